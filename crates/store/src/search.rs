//! Looking for words in what was said, newest first.
//!
//! The index (see [`crate::said`]) tells which entries may hold them; a look at each decides. What
//! the index lacks, and words too short for it, are looked for entry by entry. Both end soon: after
//! enough was found, or looked at.

use instar_protocol::message::Entry;
use instar_protocol::{AgentId, EntryId, SessionId, SessionKey};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::{BTreeMap, HashSet};

use crate::apply::from_word;
use crate::error::StoreError;
use crate::read::{all, column, entry_row, rows, session, text};
use crate::said;
use crate::store::Store;

/// Entries that one search looks at.
const LOOKED_AT: usize = 50_000;
/// Entries that are read at once.
const PAGE: usize = 500;
/// Steps up the transcripts, to tell which of the entries are part of their conversation still.
const STEPS: usize = 200_000;

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
    pub entries: Vec<Found>,
    /// True if there may be more: enough were found, or enough was looked at.
    pub is_cut: bool,
    /// True if the index does not hold everything yet.
    pub is_indexing: bool,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Found {
    pub key: SessionKey,
    pub entry: Entry,
    /// True if it is part of the conversation as it stands. One that is not was left behind on
    /// another branch, or lies so far back that nobody looked.
    pub is_current: bool,
}

/// An entry that may be one, with its place in the order of all.
#[derive(Debug)]
struct Candidate {
    seq: i64,
    key: SessionKey,
    agent: AgentId,
    entry: Entry,
}

/// Words of people and of agents; conversations that were deleted are left out.
pub(crate) fn search(
    connection: &Connection,
    wanted: &TextSearch,
) -> Result<TextFound, StoreError> {
    // One snapshot for all looks.
    let snapshot = connection
        .unchecked_transaction()
        .map_err(|source| StoreError::sql("starting a read", source))?;
    let through = said::through(&snapshot)?;
    let mut looking = Looking {
        wanted,
        needle: wanted.text.to_lowercase(),
        found: Vec::new(),
        left: LOOKED_AT,
        is_cut: false,
    };
    match said::question(&wanted.text) {
        Some(question) => {
            looking.look(i64::MAX, |before| page(&snapshot, before, through))?;
            looking.look(i64::MAX, |before| indexed(&snapshot, &question, before))?;
        }
        None => looking.look(i64::MAX, |before| page(&snapshot, before, 0))?,
    }
    let Looking { found, is_cut, .. } = looking;
    Ok(TextFound {
        entries: tell_current(&snapshot, found)?,
        is_cut,
        is_indexing: said::is_behind(&snapshot)?,
    })
}

struct Looking<'a> {
    wanted: &'a TextSearch,
    needle: String,
    found: Vec<Candidate>,
    /// Entries that may be looked at still.
    left: usize,
    is_cut: bool,
}

impl Looking<'_> {
    /// Looks through pages from the newest on, until they end or enough is found.
    fn look(
        &mut self,
        mut before: i64,
        mut next: impl FnMut(i64) -> Result<Vec<Candidate>, StoreError>,
    ) -> Result<(), StoreError> {
        while !self.is_cut {
            let page = next(before)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            before = last.seq;
            self.left = self.left.saturating_sub(page.len());
            for candidate in page {
                if !self.fits(&candidate) {
                    continue;
                }
                if self.found.len() == self.wanted.limit {
                    self.is_cut = true;
                    return Ok(());
                }
                self.found.push(candidate);
            }
            self.is_cut = self.left == 0;
        }
        Ok(())
    }

    fn fits(&self, candidate: &Candidate) -> bool {
        let Self { wanted, needle, .. } = self;
        let agent = wanted.agent.as_ref();
        agent.is_none_or(|asked| *asked == candidate.agent)
            && (wanted.keys.is_empty() || wanted.keys.contains(&candidate.key))
            && said::words(&candidate.entry.body)
                .is_some_and(|text| text.to_lowercase().contains(needle))
    }
}

const CANDIDATE: &str = "SELECT e.id, e.session, e.parent, e.at, e.run, e.label, e.body, e.seq,
    s.key, s.agent FROM";
const IN_SESSION: &str = "JOIN sessions s ON s.id = e.session WHERE s.deleted_at IS NULL";

/// Entries of all conversations after `after` and before `before`.
fn page(connection: &Connection, before: i64, after: i64) -> Result<Vec<Candidate>, StoreError> {
    let sql = format!(
        "{CANDIDATE} entries e {IN_SESSION} AND e.seq < ?1 AND e.seq > ?2
         ORDER BY e.seq DESC LIMIT ?3"
    );
    all(
        connection,
        &sql,
        params![before, after, rows(PAGE)],
        candidate,
    )
}

/// Entries that the index names.
fn indexed(
    connection: &Connection,
    question: &str,
    before: i64,
) -> Result<Vec<Candidate>, StoreError> {
    let sql = format!(
        "{CANDIDATE} said CROSS JOIN entries e ON e.seq = said.rowid {IN_SESSION}
         AND said MATCH ?1 AND said.rowid < ?2 ORDER BY said.rowid DESC LIMIT ?3"
    );
    all(
        connection,
        &sql,
        params![question, before, rows(PAGE)],
        candidate,
    )
}

fn candidate(row: &rusqlite::Row<'_>) -> Result<Candidate, StoreError> {
    let entry = entry_row(row)?;
    let id = entry.session.to_string();
    Ok(Candidate {
        seq: row.get(7).map_err(column)?,
        key: from_word("session", &id, &text(row, 8)?)?,
        agent: from_word("session", &id, &text(row, 9)?)?,
        entry,
    })
}

/// Tells which of the entries lie on the way from the root to where their conversation stands.
fn tell_current(connection: &Connection, found: Vec<Candidate>) -> Result<Vec<Found>, StoreError> {
    let mut oldest: BTreeMap<SessionId, i64> = BTreeMap::new();
    for one in &found {
        let oldest = oldest.entry(one.entry.session.clone()).or_insert(one.seq);
        *oldest = one.seq.min(*oldest);
    }
    let (mut current, mut left) = (HashSet::new(), STEPS);
    for (id, oldest) in oldest {
        let mut next = session(connection, &id)?.and_then(|row| row.leaf);
        while let Some(id) = next.take().filter(|_| left > 0) {
            left -= 1;
            let Some((seq, parent)) = step_up(connection, &id)? else {
                break;
            };
            if seq >= oldest {
                current.insert(seq);
                next = parent;
            }
        }
    }
    let told = found.into_iter().map(|one| Found {
        is_current: current.contains(&one.seq),
        key: one.key,
        entry: one.entry,
    });
    Ok(told.collect())
}

/// The place of an entry, and what it hangs under.
fn step_up(
    connection: &Connection,
    id: &EntryId,
) -> Result<Option<(i64, Option<EntryId>)>, StoreError> {
    connection
        .prepare_cached("SELECT seq, parent FROM entries WHERE id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([id.as_str()], |row| {
                    let parent: Option<String> = row.get(1)?;
                    Ok((row.get(0)?, parent.map(EntryId::from_stored)))
                })
                .optional()
        })
        .map_err(|source| StoreError::sql("walking up a transcript", source))
}

impl Store {
    /// Looks for words in what was said, newest first.
    pub async fn search(&self, wanted: TextSearch) -> Result<TextFound, StoreError> {
        self.read(move |sql| search(sql, &wanted)).await
    }
}
