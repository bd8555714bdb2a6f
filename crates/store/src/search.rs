//! Looking for words in what was said, without an index: newest first, over so many entries that it
//! ends soon.

use instar_protocol::message::{Entry, EntryBody, plain_text};
use instar_protocol::{AgentId, SessionKey};
use rusqlite::{Connection, params};

use crate::apply::from_word;
use crate::error::StoreError;
use crate::read::{all, column, entry_row, rows, text};

/// Entries that one search looks at.
const LOOKED_AT: usize = 50_000;
/// Entries that are read at once.
const PAGE: usize = 500;

/// What is looked for, and where.
#[derive(Debug, Clone, Default)]
pub struct TextSearch {
    /// Compared without regard to case.
    pub text: String,
    pub agent: Option<AgentId>,
    /// Only in these conversations; in all when empty.
    pub keys: Vec<SessionKey>,
    pub limit: usize,
}

/// Entries that hold the text, newest first.
#[derive(Debug, Default)]
pub struct TextFound {
    pub entries: Vec<(SessionKey, Entry)>,
    /// True if there may be more: enough were found, or enough was looked at.
    pub is_cut: bool,
}

/// Words of people and of agents; conversations that were deleted are left out.
pub(crate) fn search(
    connection: &Connection,
    wanted: &TextSearch,
) -> Result<TextFound, StoreError> {
    let needle = wanted.text.to_lowercase();
    let mut found = TextFound::default();
    let mut before = i64::MAX;
    let mut looked_at = 0;
    while looked_at < LOOKED_AT {
        let page = page(connection, before)?;
        let Some((last, ..)) = page.last() else {
            return Ok(found);
        };
        before = *last;
        looked_at += page.len();
        for (_, key, agent, entry) in page {
            let here = wanted.agent.as_ref().is_none_or(|asked| *asked == agent)
                && (wanted.keys.is_empty() || wanted.keys.contains(&key));
            if here && said(&entry).is_some_and(|text| text.to_lowercase().contains(&needle)) {
                if found.entries.len() == wanted.limit {
                    found.is_cut = true;
                    return Ok(found);
                }
                found.entries.push((key, entry));
            }
        }
    }
    found.is_cut = true;
    Ok(found)
}

fn page(
    connection: &Connection,
    before: i64,
) -> Result<Vec<(i64, SessionKey, AgentId, Entry)>, StoreError> {
    let sql =
        "SELECT e.id, e.session, e.parent, e.at, e.run, e.label, e.body, e.seq, s.key, s.agent
        FROM entries e JOIN sessions s ON s.id = e.session
        WHERE e.seq < ?1 AND s.deleted_at IS NULL ORDER BY e.seq DESC LIMIT ?2";
    all(connection, sql, params![before, rows(PAGE)], |row| {
        let entry = entry_row(row)?;
        let id = entry.session.to_string();
        Ok((
            row.get(7).map_err(column)?,
            from_word("session", &id, &text(row, 8)?)?,
            from_word("session", &id, &text(row, 9)?)?,
            entry,
        ))
    })
}

fn said(entry: &Entry) -> Option<String> {
    match &entry.body {
        EntryBody::User { parts, .. } => Some(plain_text(parts)),
        EntryBody::Assistant { text, .. } => Some(text.clone()),
        EntryBody::ToolResult { .. }
        | EntryBody::Compaction { .. }
        | EntryBody::Reset { .. }
        | EntryBody::ModelChange { .. }
        | EntryBody::Notice { .. } => None,
    }
}
