//! Reads from the store what a session's next turn needs: the newest entries, never all of them.

use instar_protocol::message::{Entry, EntryBody};
use instar_protocol::{AgentId, EntryId, SessionId, SessionKey, Timestamp};
use instar_store::{SessionRow, Store, StoreError};
use jiff::tz::TimeZone;
use std::sync::Arc;

use crate::house::House;
use crate::window::Window;

/// Entries that are read at once.
const PAGE: usize = 200;
/// The most entries that one window is made of. A conversation that is compacted never has so many
/// since its last summary.
const ENTRIES_MAX: usize = 2_000;

/// The window of a stored session: back to the last reset, or to where the last summary begins.
pub(crate) async fn load(
    store: &Store,
    row: &SessionRow,
    zone: &Arc<TimeZone>,
) -> Result<Window, StoreError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut from = row.leaf.clone();
    while let Some(leaf) = from {
        let page = store.branch(&row.id, Some(leaf), PAGE).await?;
        from = page.last().and_then(|oldest| oldest.parent.clone());
        if page.is_empty() {
            break;
        }
        entries.extend(page);
        if entries.len() >= ENTRIES_MAX || is_enough(&entries) {
            break;
        }
    }
    entries.truncate(ENTRIES_MAX);
    let mut window = Window::new(Arc::clone(zone));
    for entry in newest_summary_alone(&entries).into_iter().rev() {
        window.push(entry);
    }
    Ok(window)
}

/// The entries without summaries that a later one covers. An older summary, taken in again, would
/// look for its own first kept entry, which may not be read any more, and take what the newest one
/// keeps with it.
fn newest_summary_alone(entries: &[Entry]) -> Vec<&Entry> {
    let mut found = false;
    let mut covered = |entry: &&Entry| match &entry.body {
        EntryBody::Compaction { .. } => std::mem::replace(&mut found, true),
        _ => false,
    };
    entries.iter().filter(|entry| !covered(entry)).collect()
}

/// True if nothing older can be in the window. `entries` run from the newest back.
fn is_enough(entries: &[Entry]) -> bool {
    let mut wanted: Option<&EntryId> = None;
    for entry in entries {
        match &entry.body {
            EntryBody::Reset { .. } => return true,
            EntryBody::Compaction { first_kept, .. } if wanted.is_none() => match first_kept {
                Some(first) => wanted = Some(first),
                None => return true,
            },
            _ => {}
        }
        if wanted == Some(&entry.id) {
            return true;
        }
    }
    false
}

/// The row of a session that no message has opened yet, for what a crash left behind.
pub(crate) fn empty_row(house: &House, key: &SessionKey, agent: &AgentId) -> SessionRow {
    let now = house.now();
    new_row(SessionId::new(now, house.random()), key, agent, now)
}

/// The row of a session in which nothing has been said.
pub(crate) fn new_row(
    id: SessionId,
    key: &SessionKey,
    agent: &AgentId,
    now: Timestamp,
) -> SessionRow {
    SessionRow {
        id,
        key: key.clone(),
        agent: agent.clone(),
        title: None,
        created_at: now,
        updated_at: now,
        leaf: None,
        model: None,
        deleted_at: None,
        entries: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost_micros: 0,
        parent: None,
    }
}
