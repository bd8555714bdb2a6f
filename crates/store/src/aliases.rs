//! The history of aliases as a chain of hashes: appended by the writer, never changed.

use instar_protocol::Timestamp;
use instar_protocol::receipt::ChainHead;
use rusqlite::{Connection, Row, params};
use sha2::{Digest, Sha256};

use crate::apply::{millis, number, run_sql};
use crate::error::StoreError;
use crate::read::{all, column, maybe, text, unsigned};
use crate::store::Store;

/// What stands before the first move.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Problems that a report lists.
const PROBLEMS_MAX: usize = 100;

/// The chain of moves, gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasChain {
    pub moves: u64,
    /// Moves from before there were hashes.
    pub unhashed: u64,
    /// The last move with its hash, computed if it has none.
    pub head: Option<ChainHead>,
    pub problems: Vec<String>,
}

/// A move as it lies there.
struct Link {
    seq: u64,
    alias: String,
    from: Option<String>,
    to: String,
    reason: String,
    by: String,
    at: i64,
    hash: Option<String>,
}

impl Link {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: unsigned(row.get(0).map_err(column)?),
            alias: text(row, 1)?,
            from: maybe(row, 2)?,
            to: text(row, 3)?,
            reason: text(row, 4)?,
            by: text(row, 5)?,
            at: row.get(6).map_err(column)?,
            hash: maybe(row, 7)?,
        })
    }

    /// Each text with its length before it, so that no two moves have the same bytes.
    fn hash_after(&self, prev: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(format!(
            "instar alias move 1\n{prev}\n{}\n{}\n",
            self.seq, self.at
        ));
        let from = self.from.as_deref().unwrap_or("-");
        for part in [&self.alias, from, &self.to, &self.reason, &self.by] {
            hasher.update(format!("{}:", part.len()));
            hasher.update(part.as_bytes());
        }
        hex::encode(hasher.finalize())
    }
}

const COLUMNS: &str =
    "SELECT seq, alias, from_release, to_release, reason, by, at, hash FROM alias_log";

/// Moves an alias and appends to its history.
pub(crate) fn move_to(
    connection: &Connection,
    (alias, to): (&str, &str),
    reason: &str,
    by: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let last = head(connection)?;
    let from = "SELECT release FROM aliases WHERE alias = ?1";
    let from = all(connection, from, [alias], |row| text(row, 0))?.pop();
    let mut link = Link {
        seq: last.as_ref().map_or(1, |head| head.seq + 1),
        alias: alias.to_owned(),
        from,
        to: to.to_owned(),
        reason: reason.to_owned(),
        by: by.to_owned(),
        at: millis(at),
        hash: None,
    };
    link.hash = Some(link.hash_after(last.as_ref().map_or(GENESIS, |head| &head.hash)));
    run_sql(
        connection,
        "INSERT INTO alias_log (seq, alias, from_release, to_release, reason, by, at, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            number(link.seq),
            link.alias,
            link.from,
            link.to,
            link.reason,
            link.by,
            link.at,
            link.hash
        ],
    )?;
    run_sql(
        connection,
        "INSERT INTO aliases (alias, release) VALUES (?1, ?2)
         ON CONFLICT (alias) DO UPDATE SET release = excluded.release",
        params![alias, to],
    )
}

/// The last move. Where it has no hash of its own, what the whole history comes to.
pub(crate) fn head(connection: &Connection) -> Result<Option<ChainHead>, StoreError> {
    let last = format!("{COLUMNS} ORDER BY seq DESC LIMIT 1");
    let Some(last) = all(connection, &last, [], Link::read)?.pop() else {
        return Ok(None);
    };
    match last.hash {
        Some(hash) => Ok(Some(ChainHead {
            seq: last.seq,
            hash,
        })),
        None => Ok(walk(connection, None)?.head),
    }
}

/// Goes through the whole chain and compares the aliases with it. With `noted` it also says whether
/// that head, written down earlier, is still part of it.
pub(crate) fn verify(
    connection: &Connection,
    noted: Option<&ChainHead>,
) -> Result<AliasChain, StoreError> {
    let snapshot = connection
        .unchecked_transaction()
        .map_err(|source| StoreError::sql("reading the history of aliases", source))?;
    walk(&snapshot, noted)
}

fn walk(connection: &Connection, noted: Option<&ChainHead>) -> Result<AliasChain, StoreError> {
    let mut chain = AliasChain {
        moves: 0,
        unhashed: 0,
        head: None,
        problems: Vec::new(),
    };
    let problem = |problems: &mut Vec<String>, what: String| {
        if problems.len() < PROBLEMS_MAX {
            problems.push(what);
        }
    };
    let mut prev = GENESIS.to_owned();
    let mut now: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let mut has_noted = noted.is_none();
    for link in all(
        connection,
        &format!("{COLUMNS} ORDER BY seq"),
        [],
        Link::read,
    )? {
        let seq = link.seq;
        chain.moves += 1;
        if seq != chain.moves {
            problem(
                &mut chain.problems,
                format!("move {} is missing", chain.moves),
            );
            chain.moves = seq;
        }
        if now.get(&link.alias) != link.from.as_ref() {
            let what = format!("move {seq} does not begin where {} stood", link.alias);
            problem(&mut chain.problems, what);
        }
        let hash = link.hash_after(&prev);
        match &link.hash {
            Some(kept) if *kept != hash => {
                problem(&mut chain.problems, format!("move {seq} was changed"));
            }
            None if chain.unhashed + 1 < chain.moves => {
                problem(&mut chain.problems, format!("move {seq} lost its hash"));
            }
            None => chain.unhashed += 1,
            Some(_) => {}
        }
        let hash = link.hash.clone().unwrap_or(hash);
        if let Some(noted) = noted.filter(|noted| noted.seq == seq) {
            has_noted = true;
            if noted.hash != hash {
                problem(
                    &mut chain.problems,
                    format!("move {seq} is not the one that was noted"),
                );
            }
        }
        now.insert(link.alias, link.to);
        prev.clone_from(&hash);
        chain.head = Some(ChainHead { seq, hash });
    }
    if !has_noted {
        let what = "the noted move is not in the history any more".to_owned();
        problem(&mut chain.problems, what);
    }
    let aliases = all(
        connection,
        "SELECT alias, release FROM aliases",
        [],
        |row| Ok((text(row, 0)?, text(row, 1)?)),
    )?;
    let stand: std::collections::BTreeMap<String, String> = aliases.into_iter().collect();
    if stand != now {
        let what = "an alias does not stand where its last move put it".to_owned();
        problem(&mut chain.problems, what);
    }
    Ok(chain)
}

impl Store {
    /// The last move of all aliases.
    pub async fn alias_head(&self) -> Result<Option<ChainHead>, StoreError> {
        self.read(head).await
    }

    /// Goes through the history of aliases; with `noted` it says whether that is still part of it.
    pub async fn verify_aliases(&self, noted: Option<ChainHead>) -> Result<AliasChain, StoreError> {
        self.read(move |sql| verify(sql, noted.as_ref())).await
    }
}
