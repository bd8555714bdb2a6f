//! Another answer to the last message, the message in another form, and the branches that there are.

use instar_protocol::EntryId;
use instar_protocol::api::BranchInfo;
use instar_protocol::message::{Entry, EntryBody, Part, plain_text};

use super::state::{Asked, Effect, Neighbour, State};
use super::text::clean;
use super::update::show;

/// The last thing that a person said.
pub(super) fn last(entries: &[Entry]) -> Option<Asked> {
    entries.iter().rev().find_map(|entry| match &entry.body {
        EntryBody::User { parts, .. } => Some(Asked {
            entry: entry.id.clone(),
            parent: entry.parent.clone(),
            text: plain_text(parts),
            has_files: parts.iter().any(|part| !matches!(part, Part::Text { .. })),
        }),
        _ => None,
    })
}

/// Goes over to a branch beside this one.
pub(super) fn switch(state: &mut State, to: Neighbour) -> Vec<Effect> {
    state.scroll = 0;
    let key = state.key.clone();
    vec![Effect::Switch { key, to }]
}

/// Which of the branches that is, the newest being the first; what to tell where there is none.
pub(super) fn neighbour(branches: &[BranchInfo], to: Neighbour) -> Result<usize, String> {
    let all = branches.len();
    let at = branches.iter().position(|branch| branch.active);
    let at = at.filter(|_| all > 1).ok_or(
        "there is one branch only; another answer (Ctrl-R) or form (Ctrl-G) makes a second",
    )?;
    match to {
        Neighbour::Older if at + 1 < all => Ok(at + 1),
        Neighbour::Newer | Neighbour::Next if at > 0 => Ok(at - 1),
        Neighbour::Next => Ok(all - 1),
        Neighbour::Older | Neighbour::Newer => Err(place(branches, at)),
    }
}

/// Where a branch stands among all, from the oldest on.
pub(super) fn place(branches: &[BranchInfo], at: usize) -> String {
    format!("branch {} of {}", branches.len() - at, branches.len())
}

/// The entries up to where the conversation goes on; all of them if that is their end.
pub(super) fn up_to<'a>(entries: &'a [Entry], moved: Option<&Option<EntryId>>) -> &'a [Entry] {
    match moved {
        None => entries,
        Some(None) => &[],
        Some(Some(leaf)) => match entries.iter().position(|entry| &entry.id == leaf) {
            Some(at) => &entries[..=at],
            None => entries,
        },
    }
}

pub(super) fn retry(state: &mut State) -> Vec<Effect> {
    let Some(asked) = &state.asked else {
        return nothing(state);
    };
    let entry = asked.entry.clone();
    let key = state.key.clone();
    state.scroll = 0;
    vec![Effect::Retry { key, entry }]
}

/// Puts the last message into the box.
pub(super) fn edit(state: &mut State) {
    let Some(asked) = state.asked.clone() else {
        drop(nothing(state));
        return;
    };
    state.input.set(&clean(&asked.text));
    state.editing = Some(asked);
    state.flash = Some("the last message in another form; Esc leaves it as it is".to_owned());
}

/// Leaves the message as it is. False if none was being written anew.
pub(super) fn leave(state: &mut State) -> bool {
    let left = state.editing.take().is_some();
    if left {
        state.input.clear();
    }
    left
}

/// Sends what was written instead of the message.
pub(super) fn send(state: &mut State, text: String) -> Vec<Effect> {
    let Some(instead_of) = state.editing.take() else {
        return Vec::new();
    };
    let number = show(state, text.clone());
    let key = state.key.clone();
    vec![Effect::SendAgain {
        key,
        text,
        number,
        instead_of,
    }]
}

fn nothing(state: &mut State) -> Vec<Effect> {
    state.flash = Some("nothing was said here yet".to_owned());
    Vec::new()
}
