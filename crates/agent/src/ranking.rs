//! What was said about something, in the order of the numbers that the release has for it.

use instar_protocol::message::{EntryBody, plain_text};
use instar_protocol::{AgentId, EntryId, Label, Principal, Timestamp};
use instar_release::retrieval::{Passage, Retrieval};
use instar_release::{Cohort, Releases};
use instar_store::{Found, Store, StoreError, TextSearch};
use instar_tools::Caller;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::port::iso;

/// Entries that are ranked for each word.
const RANKED_MAX: usize = 200;
/// Characters before the first word of a passage.
const BEFORE: usize = 80;
const DAY_SECONDS: f64 = 86_400.0;

/// Passages with these words, the best fit first, and the join of their labels.
pub(crate) async fn search(
    store: &Store,
    releases: &Releases,
    caller: &Caller,
    words: &[String],
    now: Timestamp,
) -> Result<(Value, Label), StoreError> {
    let numbers = numbers(releases, caller, now);
    let mut found = BTreeMap::<EntryId, (Found, u32)>::new();
    for word in words {
        let wanted = TextSearch {
            text: word.clone(),
            agent: Some(caller.agent.clone()),
            keys: Vec::new(),
            limit: RANKED_MAX,
        };
        for one in store.search(wanted).await?.entries {
            // What was taken back is not said any more.
            if one.is_current {
                let id = one.entry.id.clone();
                found.entry(id).or_insert((one, 0)).1 += 1;
            }
        }
    }
    let asked = u32::try_from(words.len()).unwrap_or(u32::MAX);
    let mut ranked: Vec<(f64, Found)> = found
        .into_values()
        .map(|(one, words)| (numbers.rank(&passage(&one, words, asked, caller, now)), one))
        .collect();
    // Of two that fit alike, the newer one.
    ranked.sort_by(|(one, first), (two, second)| {
        two.total_cmp(one)
            .then_with(|| second.entry.id.cmp(&first.entry.id))
    });
    let shown = usize::try_from(numbers.results).unwrap_or(usize::MAX);
    ranked.truncate(shown);
    let labels = ranked.iter().map(|(_, one)| &one.entry.label);
    let label = labels.fold(Label::system(), |joined, label| joined.join(label));
    let rows = ranked.iter().map(|(_, one)| row(one, words, &numbers));
    Ok((rows.collect(), label))
}

/// Those of the release that serves the conversation.
fn numbers(releases: &Releases, caller: &Caller, now: Timestamp) -> Retrieval {
    let cohort = Cohort {
        session: caller.session.clone(),
        at: now,
    };
    let of = |agent: &AgentId| {
        let served = releases.resolve(agent, &cohort)?;
        served
            .release
            .behaviour
            .agents
            .get(agent.as_str())?
            .retrieval
    };
    of(&caller.agent).unwrap_or_default()
}

fn passage(one: &Found, words: u32, asked: u32, caller: &Caller, now: Timestamp) -> Passage {
    let age = now.since(one.entry.at).as_secs_f64() / DAY_SECONDS;
    let is_owners = matches!(
        &one.entry.body,
        EntryBody::User {
            principal: Principal::Owner { .. },
            ..
        }
    );
    Passage {
        words,
        asked,
        age_days: age,
        is_owners,
        is_here: one.entry.session == caller.session,
    }
}

fn row(one: &Found, words: &[String], numbers: &Retrieval) -> Value {
    let (who, text) = match &one.entry.body {
        EntryBody::User { parts, .. } => ("user", plain_text(parts)),
        EntryBody::Assistant { text, .. } => ("assistant", text.clone()),
        // The search looks at nothing else.
        _ => ("", String::new()),
    };
    let chars = usize::try_from(numbers.chars).unwrap_or(usize::MAX);
    json!({
        "session": one.key,
        "at": iso(one.entry.at),
        "who": who,
        "text": around(&text, words, chars),
    })
}

/// So many characters of a text, from a little before the first of the words on.
fn around(text: &str, words: &[String], chars: usize) -> String {
    let lower = text.to_lowercase();
    let starts = words
        .iter()
        .filter_map(|word| lower.find(&word.to_lowercase()));
    // Lower case may be longer than what it is the lower case of: about the same place will do.
    let first = starts.min().map_or(0, |at| lower[..at].chars().count());
    let from = first.saturating_sub(BEFORE);
    let mut shown: String = text.chars().skip(from).take(chars).collect();
    if from > 0 {
        shown.insert(0, '…');
    }
    if text.chars().nth(from + chars).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_begins_a_little_before_its_words() {
        let words = ["boat".to_owned()];
        assert_eq!(
            around("The Boat is blue.", &words, 100),
            "The Boat is blue."
        );
        let text = format!("{} the boat {}", "x".repeat(200), "y".repeat(200));
        let shown = around(&text, &words, 100);
        assert_eq!(shown.chars().count(), 102);
        assert!(shown.starts_with('…') && shown.ends_with('…') && shown.contains("the boat"));
        assert_eq!(around("İİİ boat", &words, 5), "İİİ b…");
    }
}
