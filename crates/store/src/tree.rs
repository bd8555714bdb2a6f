//! A transcript as a tree: where it forks, where its branches end.
//!
//! A chat window asks for the forks along the path that it shows: one look into the index per entry.
//! The list of all branches reads the newest [`ROWS_MAX`] entries of the session once, oldest first,
//! so that each entry is met after the one it hangs under.

use instar_protocol::message::Entry;
use instar_protocol::{EntryId, SessionId, Timestamp};
use rusqlite::{Connection, params};
use std::collections::{HashMap, HashSet};

use crate::error::StoreError;
use crate::op::{Branch, Branches, Fork};
use crate::read::{ENTRY, ROWS_MAX, all, column, entry_row, maybe, rows, session, text, time};
use crate::store::Store;

type Answer<T> = Result<T, StoreError>;

/// Ways on from one entry that are told: whoever tries a thousand answers sees the first of them.
const CHILDREN_MAX: usize = 1_000;

pub(crate) fn forks(
    connection: &Connection,
    session: &SessionId,
    parents: &[Option<EntryId>],
) -> Answer<Vec<Fork>> {
    let sql = "SELECT id FROM entries INDEXED BY entries_under
        WHERE coalesce(parent, session) = ?1 AND session = ?2 ORDER BY seq LIMIT ?3";
    let mut found = Vec::new();
    for parent in parents.iter().take(ROWS_MAX) {
        let under = parent.as_ref().map_or(session.as_str(), EntryId::as_str);
        let values = params![under, session.as_str(), rows(CHILDREN_MAX)];
        let children = all(connection, sql, values, |row| {
            Ok(EntryId::from_stored(text(row, 0)?))
        })?;
        if children.len() > 1 {
            found.push(Fork {
                parent: parent.clone(),
                children,
            });
        }
    }
    Ok(found)
}

pub(crate) fn newest_under(
    connection: &Connection,
    session: &SessionId,
    entry: &EntryId,
) -> Answer<Option<EntryId>> {
    let sql = "WITH RECURSIVE under (id, seq) AS (
            SELECT id, seq FROM entries WHERE id = ?1 AND session = ?2
            UNION ALL
            SELECT e.id, e.seq FROM under u JOIN entries e INDEXED BY entries_under
                ON coalesce(e.parent, e.session) = u.id
        )
        SELECT id FROM under ORDER BY seq DESC LIMIT 1";
    let values = params![entry.as_str(), session.as_str()];
    let mut found = all(connection, sql, values, |row| {
        Ok(EntryId::from_stored(text(row, 0)?))
    })?;
    Ok(found.pop())
}

/// An entry without its body.
struct Node {
    id: String,
    parent: Option<String>,
    at: Timestamp,
    kind: String,
}

/// What lies on the path to an entry, since the last reset.
#[derive(Clone, Copy, Default)]
struct Path {
    messages: u64,
    /// The place of the last thing that a person said.
    said: Option<usize>,
}

pub(crate) fn branches(connection: &Connection, id: &SessionId, limit: usize) -> Answer<Branches> {
    // One snapshot for all of it.
    let snapshot = connection
        .unchecked_transaction()
        .map_err(|source| StoreError::sql("starting a read", source))?;
    let Some(row) = session(&snapshot, id)? else {
        return Ok(Branches::default());
    };
    let nodes = nodes(&snapshot, id)?;
    let paths = paths(&nodes);
    let mut ends = ends(&nodes, row.leaf.as_ref());
    ends.reverse();
    let is_cut = ends.len() > limit;
    ends.truncate(limit);
    let branches = ends.into_iter().map(|place| {
        let node = &nodes[place];
        let said = match paths[place].said {
            Some(said) => entry(&snapshot, &nodes[said].id)?,
            None => None,
        };
        Ok(Branch {
            leaf: EntryId::from_stored(node.id.clone()),
            at: node.at,
            messages: paths[place].messages,
            said,
            is_active: row
                .leaf
                .as_ref()
                .is_some_and(|leaf| leaf.as_str() == node.id),
        })
    });
    Ok(Branches {
        branches: branches.collect::<Answer<_>>()?,
        is_cut,
    })
}

/// The newest entries, oldest first.
fn nodes(connection: &Connection, session: &SessionId) -> Answer<Vec<Node>> {
    let sql = "SELECT id, parent, at, body ->> '$.type' FROM entries WHERE session = ?1
        ORDER BY seq DESC LIMIT ?2";
    let values = params![session.as_str(), rows(ROWS_MAX)];
    let mut nodes = all(connection, sql, values, |row| {
        Ok(Node {
            id: text(row, 0)?,
            parent: maybe(row, 1)?,
            at: time(row, 2)?,
            kind: row.get(3).map_err(column)?,
        })
    })?;
    nodes.reverse();
    Ok(nodes)
}

fn paths(nodes: &[Node]) -> Vec<Path> {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(nodes.len());
    let mut paths: Vec<Path> = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.iter().enumerate() {
        let above = node.parent.as_deref().and_then(|id| places.get(id));
        let mut path = above.map_or_else(Path::default, |above| paths[*above]);
        match node.kind.as_str() {
            "user" => {
                path.messages += 1;
                path.said = Some(place);
            }
            "assistant" => path.messages += 1,
            "reset" => path = Path::default(),
            _ => {}
        }
        paths.push(path);
        places.insert(&node.id, place);
    }
    paths
}

/// The places that nothing hangs under, and the one where the next message goes, oldest first.
fn ends(nodes: &[Node], active: Option<&EntryId>) -> Vec<usize> {
    let parents: HashSet<&str> = nodes
        .iter()
        .filter_map(|node| node.parent.as_deref())
        .collect();
    let is_end = |node: &Node| {
        !parents.contains(node.id.as_str()) || active.is_some_and(|leaf| leaf.as_str() == node.id)
    };
    let ends = nodes.iter().enumerate().filter(|(_, node)| is_end(node));
    ends.map(|(place, _)| place).collect()
}

fn entry(connection: &Connection, id: &str) -> Answer<Option<Entry>> {
    let sql = format!("{ENTRY} WHERE id = ?1");
    Ok(all(connection, &sql, [id], entry_row)?.pop())
}

impl Store {
    /// Where the transcript goes on in more than one way under the given entries, `None` for its
    /// root.
    pub async fn forks(
        &self,
        session: &SessionId,
        parents: Vec<Option<EntryId>>,
    ) -> Result<Vec<Fork>, StoreError> {
        let session = session.clone();
        self.read(move |sql| forks(sql, &session, &parents)).await
    }

    /// The newest of an entry and everything under it: the end of its newest branch. `None` if
    /// there is no such entry in the session.
    pub async fn newest_under(
        &self,
        session: &SessionId,
        entry: &EntryId,
    ) -> Result<Option<EntryId>, StoreError> {
        let (session, entry) = (session.clone(), entry.clone());
        self.read(move |sql| newest_under(sql, &session, &entry))
            .await
    }

    /// The branches of a transcript, at most `limit`, among its newest [`crate::ROWS_MAX`] entries.
    pub async fn branches(
        &self,
        session: &SessionId,
        limit: usize,
    ) -> Result<Branches, StoreError> {
        let session = session.clone();
        self.read(move |sql| branches(sql, &session, limit)).await
    }
}
