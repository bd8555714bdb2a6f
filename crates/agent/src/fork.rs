//! A conversation of its own that begins as a branch of another.

use instar_protocol::event::{BranchReason, Event, EventKind};
use instar_protocol::message::{Entry, EntryBody};
use instar_protocol::{EntryId, EventId, Label, RunId, SessionId, SessionKey};
use instar_store::{Op, SessionPatch, SessionRow};
use std::collections::HashMap;

use crate::history;
use crate::house::House;
use crate::place;
use crate::sessions::{RewindError, Sessions};

/// The most entries that come along: as many as a window is made of.
const ENTRIES_MAX: usize = 2_000;

/// A conversation that was made of a branch.
#[derive(Debug)]
pub struct Forked {
    pub session: SessionId,
    /// The message that the branch was cut before, for its writer to send in another form.
    pub cut_before: Option<Entry>,
}

impl Sessions {
    /// Copies a branch into a new conversation under a key that nothing has yet: up to an answer, or
    /// up to before a message. The other one stays as it is.
    pub async fn fork(
        &self,
        session: &SessionId,
        entry: &EntryId,
        key: &SessionKey,
    ) -> Result<Forked, RewindError> {
        let house = &self.inner.house;
        let store = &house.parts.store;
        let row = store.session(session).await?;
        let row = row.ok_or_else(|| RewindError::UnknownSession(session.to_string()))?;
        let found = place::entry(store, session, entry).await?;
        let found = found.ok_or_else(|| RewindError::UnknownEntry(entry.clone()))?;
        let (end, cut_before) = match &found.body {
            EntryBody::User { .. } => (found.parent.clone(), Some(found)),
            _ => (Some(found.id.clone()), None),
        };
        let path = match end {
            Some(end) => store.branch(session, Some(end), ENTRIES_MAX).await?,
            None => Vec::new(),
        };
        let now = house.now();
        let id = SessionId::new(now, house.random());
        let new = SessionRow {
            title: row.title,
            model: row.model,
            ..history::new_row(id.clone(), key, &row.agent, now)
        };
        let event = forked(house, &id, entry);
        store.commit(copy(house, new, path, event)).await?;
        Ok(Forked {
            session: id,
            cut_before,
        })
    }
}

/// The batch that stores the new conversation. `path` runs from the newest entry back.
fn copy(house: &House, new: SessionRow, path: Vec<Entry>, event: Event) -> Vec<Op> {
    let session = new.id.clone();
    // Nothing may find these entries by the run that made the others, nor by its message.
    let run = RunId::new(house.now(), house.random());
    let mut names: HashMap<EntryId, EntryId> = HashMap::new();
    let mut ops = vec![Op::PutSession(new)];
    let mut leaf = None;
    for mut entry in path.into_iter().rev() {
        let id = EntryId::new(house.now(), house.random());
        names.insert(std::mem::replace(&mut entry.id, id.clone()), id.clone());
        entry.parent = leaf.replace(id);
        entry.session = session.clone();
        entry.run = Some(run.clone());
        match &mut entry.body {
            EntryBody::User { inbound, .. } => *inbound = None,
            EntryBody::Compaction { first_kept, .. } => {
                *first_kept = first_kept.as_ref().and_then(|id| names.get(id).cloned());
            }
            EntryBody::Assistant { .. }
            | EntryBody::ToolResult { .. }
            | EntryBody::Reset { .. }
            | EntryBody::ModelChange { .. }
            | EntryBody::Notice { .. } => {}
        }
        ops.push(Op::AppendEntry(entry));
    }
    let patch = SessionPatch {
        leaf: Some(leaf),
        ..SessionPatch::default()
    };
    ops.push(Op::PatchSession { id: session, patch });
    ops.push(Op::AppendEvent(event));
    ops
}

fn forked(house: &House, session: &SessionId, from: &EntryId) -> Event {
    let at = house.now();
    Event {
        session: Some(session.clone()),
        label: Label::owner(),
        ..Event::of_house(
            EventId::new(at, house.random()),
            at,
            EventKind::Branch {
                why: BranchReason::Fork,
                from: Some(from.clone()),
                to: None,
            },
        )
    }
}
