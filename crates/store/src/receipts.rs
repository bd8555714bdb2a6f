//! The chain of receipts: appended by the writer, erased in its bodies, never changed.

use instar_protocol::SessionId;
use instar_protocol::receipt::{ChainHead, ChainProblem, ChainReport, Receipt, StoredReceipt};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest, Sha256};

use crate::apply::{json, millis, number, run_sql};
use crate::error::StoreError;
use crate::read::{all, column, maybe, rows, text, time, unsigned};
use crate::store::Store;

/// What stands before the first receipt.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Rows that one step of retention looks at.
const ROWS_MAX: u32 = 500;
/// Problems that a report lists.
const PROBLEMS_MAX: usize = 100;

/// Adds a receipt to the end of the chain.
pub(crate) fn append(connection: &Connection, receipt: &Receipt) -> Result<(), StoreError> {
    let last = head(connection)?;
    let prev = last
        .as_ref()
        .map_or(GENESIS, |head| head.hash.as_str())
        .to_owned();
    let seq = last.map_or(1, |head| head.seq + 1);
    let body = json("receipt", "", &receipt.body)?;
    let salt = hex::encode(receipt.salt);
    let digest = digest_of(&salt, &body);
    let session = receipt.session.as_ref().map(SessionId::as_str);
    let kind = receipt.kind.name();
    let hash = link(&prev, seq, millis(receipt.at), kind, session, &digest);
    run_sql(
        connection,
        "INSERT INTO receipts (seq, at, kind, session, digest, prev, hash, salt, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            number(seq),
            millis(receipt.at),
            kind,
            session,
            digest,
            prev,
            hash,
            salt,
            body
        ],
    )
}

/// The end of the chain: the last row, or what retention left behind of it.
pub(crate) fn head(connection: &Connection) -> Result<Option<ChainHead>, StoreError> {
    let sql = "SELECT seq, hash FROM receipts ORDER BY seq DESC LIMIT 1";
    match all(connection, sql, [], head_row)?.pop() {
        Some(head) => Ok(Some(head)),
        None => anchor(connection),
    }
}

fn head_row(row: &Row<'_>) -> Result<ChainHead, StoreError> {
    Ok(ChainHead {
        seq: unsigned(row.get(0).map_err(column)?),
        hash: text(row, 1)?,
    })
}

/// The last receipt that retention removed.
fn anchor(connection: &Connection) -> Result<Option<ChainHead>, StoreError> {
    let read = |name: &str| {
        connection
            .prepare_cached("SELECT value FROM meta WHERE name = ?1")
            .and_then(|mut statement| {
                statement
                    .query_row([name], |row| row.get::<_, String>(0))
                    .optional()
            })
            .map_err(column)
    };
    let seq = read("receipts_removed_to")?.and_then(|seq| seq.parse().ok());
    Ok(seq
        .zip(read("receipts_removed_hash")?)
        .map(|(seq, hash)| ChainHead { seq, hash }))
}

/// The newest first, behind `before`.
pub(crate) fn receipts(
    connection: &Connection,
    session: Option<&SessionId>,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<StoredReceipt>, StoreError> {
    all(
        connection,
        "SELECT seq, at, kind, session, body, hash FROM receipts
         WHERE seq < ?1 AND (?2 IS NULL OR session = ?2) ORDER BY seq DESC LIMIT ?3",
        params![
            before.map_or(i64::MAX, number),
            session.map(SessionId::as_str),
            rows(limit)
        ],
        receipt_row,
    )
}

fn receipt_row(row: &Row<'_>) -> Result<StoredReceipt, StoreError> {
    Ok(StoredReceipt {
        seq: unsigned(row.get(0).map_err(column)?),
        at: time(row, 1)?,
        kind: text(row, 2)?,
        session: maybe(row, 3)?.map(SessionId::from_stored),
        body: maybe(row, 4)?.and_then(|body| serde_json::from_str(&body).ok()),
        hash: text(row, 5)?,
    })
}

/// Goes through the whole chain and names every row that does not fit. With `noted` it also says
/// whether that head, written down earlier, is still part of it.
pub(crate) fn verify(
    connection: &Connection,
    noted: Option<&ChainHead>,
) -> Result<ChainReport, StoreError> {
    let failed = |source| StoreError::Sql {
        doing: "reading the chain of receipts",
        source,
    };
    // One snapshot for all of it: the gateway goes on writing receipts meanwhile, and what it adds or
    // retention takes away between two looks is no fault of the chain.
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    let connection: &Connection = &snapshot;
    let mut walk = Walk::from(anchor(connection)?);
    let sql = "SELECT seq, at, kind, session, digest, prev, hash, salt, body FROM receipts
               ORDER BY seq";
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut found = statement.query([]).map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        walk.step(&Link::read(row)?, noted);
    }
    let counted = "SELECT seq FROM sqlite_sequence WHERE name = 'receipts'";
    let given: Option<i64> = connection
        .query_row(counted, [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    walk.finish(given.map_or(0, unsigned), noted);
    Ok(walk.report)
}

/// One row as it lies there.
struct Link {
    seq: u64,
    at: i64,
    kind: String,
    session: Option<String>,
    digest: String,
    prev: String,
    hash: String,
    salt: Option<String>,
    body: Option<String>,
}

impl Link {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: unsigned(row.get(0).map_err(column)?),
            at: row.get(1).map_err(column)?,
            kind: text(row, 2)?,
            session: maybe(row, 3)?,
            digest: text(row, 4)?,
            prev: text(row, 5)?,
            hash: text(row, 6)?,
            salt: maybe(row, 7)?,
            body: maybe(row, 8)?,
        })
    }
}

struct Walk {
    report: ChainReport,
    /// The hash and number that the next row has to follow.
    prev: String,
    seq: u64,
    has_noted: bool,
}

impl Walk {
    fn from(anchor: Option<ChainHead>) -> Self {
        let (seq, prev) = anchor
            .clone()
            .map_or((0, GENESIS.to_owned()), |head| (head.seq, head.hash));
        Self {
            report: ChainReport {
                receipts: 0,
                erased: 0,
                first: None,
                head: anchor,
                problems: Vec::new(),
            },
            prev,
            seq,
            has_noted: false,
        }
    }

    fn step(&mut self, link: &Link, noted: Option<&ChainHead>) {
        self.report.receipts += 1;
        self.report.first.get_or_insert(link.seq);
        if link.seq != self.seq + 1 {
            self.problem(link.seq, format!("receipt {} is missing", self.seq + 1));
        }
        if link.prev != self.prev {
            self.problem(link.seq, "it does not follow the one before it".to_owned());
        }
        match (&link.salt, &link.body) {
            (Some(salt), Some(body)) if digest_of(salt, body) != link.digest => {
                self.problem(link.seq, "its content was changed".to_owned());
            }
            (Some(_), Some(_)) => {}
            _ => self.report.erased += 1,
        }
        let hash = crate::receipts::link(
            &link.prev,
            link.seq,
            link.at,
            &link.kind,
            link.session.as_deref(),
            &link.digest,
        );
        if hash != link.hash {
            self.problem(link.seq, "its time, kind or place was changed".to_owned());
        }
        if let Some(noted) = noted
            && noted.seq == link.seq
        {
            self.has_noted = true;
            if noted.hash != link.hash {
                self.problem(link.seq, "it is not the one that was noted".to_owned());
            }
        }
        (self.seq, self.prev) = (link.seq, link.hash.clone());
        self.report.head = Some(ChainHead {
            seq: link.seq,
            hash: link.hash.clone(),
        });
    }

    fn finish(&mut self, given: u64, noted: Option<&ChainHead>) {
        if given > self.seq {
            let what = format!("receipts {} to {given} are missing", self.seq + 1);
            self.problem(given, what);
        }
        if let Some(noted) = noted
            && !self.has_noted
        {
            let what = "the noted receipt is not in the chain any more".to_owned();
            self.problem(noted.seq, what);
        }
    }

    fn problem(&mut self, seq: u64, what: String) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(ChainProblem { seq, what });
        }
    }
}

/// Removes old receipts from the front and keeps what the next one has to follow; erases the bodies
/// of receipts whose conversation is gone.
pub(crate) fn maintain(connection: &Connection, before: i64) -> Result<u64, StoreError> {
    let last = "SELECT seq, hash FROM (SELECT seq, at, hash FROM receipts ORDER BY seq LIMIT ?2)
                WHERE at < ?1 ORDER BY seq DESC LIMIT 1";
    let Some(last) = all(connection, last, params![before, ROWS_MAX], head_row)?.pop() else {
        return Ok(0);
    };
    for (name, value) in [
        ("receipts_removed_to", last.seq.to_string()),
        ("receipts_removed_hash", last.hash),
    ] {
        run_sql(
            connection,
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
    }
    connection
        .prepare_cached("DELETE FROM receipts WHERE seq <= ?1")
        .and_then(|mut statement| statement.execute([number(last.seq)]))
        .map(|gone| gone as u64)
        .map_err(|source| StoreError::Sql {
            doing: "removing old receipts",
            source,
        })
}

/// Erases what the receipts of a conversation say; the chain stays whole.
pub(crate) fn erase(connection: &Connection, session: &str) -> Result<(), StoreError> {
    run_sql(
        connection,
        "UPDATE receipts SET body = NULL, salt = NULL WHERE session = ?1 AND body IS NOT NULL",
        params![session],
    )
}

fn digest_of(salt: &str, body: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt.as_bytes());
    hasher.update(b"\n");
    hasher.update(body.as_bytes());
    hex::encode(hasher.finalize())
}

fn link(prev: &str, seq: u64, at: i64, kind: &str, session: Option<&str>, digest: &str) -> String {
    let session = session.unwrap_or("-");
    let line = format!("instar receipt 1\n{prev}\n{seq}\n{at}\n{kind}\n{session}\n{digest}");
    hex::encode(Sha256::digest(line.as_bytes()))
}

impl Store {
    /// The newest first, behind `before`.
    pub async fn receipts(
        &self,
        session: Option<&SessionId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredReceipt>, StoreError> {
        let session = session.cloned();
        self.read(move |sql| receipts(sql, session.as_ref(), before, limit))
            .await
    }

    /// The end of the chain of receipts.
    pub async fn receipts_head(&self) -> Result<Option<ChainHead>, StoreError> {
        self.read(head).await
    }

    /// Goes through the whole chain of receipts. Takes long.
    pub async fn verify_receipts(
        &self,
        noted: Option<ChainHead>,
    ) -> Result<ChainReport, StoreError> {
        self.read(move |sql| verify(sql, noted.as_ref())).await
    }
}
