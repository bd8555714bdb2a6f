//! Faults, the register's changes, and what the lab is told again.

use instar_protocol::Timestamp;
use instar_protocol::fault::{Fault, FaultEdit, Occasions};
use rusqlite::{Connection, Row, params};

use crate::apply::{json, millis, run_sql};
use crate::error::StoreError;
use crate::read::{all, column, maybe, parsed, rows, text, time, unsigned};
use crate::store::Store;

/// Faults that are kept; those seen longest ago go first.
pub const FAULTS_MAX: usize = 2_000;
/// Places whose occasions are counted.
const PLACES_MAX: usize = 1_000;
/// Changes and cycles that are kept.
const EDITS_MAX: usize = 5_000;
const RUNS_MAX: usize = 500;

/// A fault as it stands in the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRow {
    pub fault: Fault,
    /// It counts as a part of this one.
    pub into: Option<String>,
    /// A person took it out of another; the lab leaves it alone.
    pub is_apart: bool,
    /// Empty without one.
    pub name: String,
    pub is_muted: bool,
}

/// A change of the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEditRow {
    /// The register's version from then on; given by the store.
    pub seq: u64,
    pub at: Timestamp,
    pub who: String,
    pub edit: FaultEdit,
}

/// One cycle of the lab: JSON of whoever ran it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabRunRow {
    pub seq: u64,
    pub at: Timestamp,
    pub body: String,
}

pub(crate) fn put(connection: &Connection, row: &FaultRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO faults (id, into_fault, is_apart, name, is_muted, last_seen, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET into_fault = excluded.into_fault, is_apart = excluded.is_apart,
         name = excluded.name, is_muted = excluded.is_muted, last_seen = excluded.last_seen,
         body = excluded.body",
        params![
            row.fault.id,
            row.into,
            row.is_apart,
            row.name,
            row.is_muted,
            millis(row.fault.last_seen),
            json("fault", &row.fault.id, &row.fault)?,
        ],
    )
}

pub(crate) fn put_place(connection: &Connection, row: &Occasions) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT OR REPLACE INTO fault_places (place, body) VALUES (?1, ?2)",
        params![row.place, json("fault place", &row.place, row)?],
    )
}

pub(crate) fn edit(
    connection: &Connection,
    at: Timestamp,
    who: &str,
    edit: &FaultEdit,
) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO fault_edits (at, who, body) VALUES (?1, ?2, ?3)",
        params![millis(at), who, json("fault edit", edit.fault(), edit)?],
    )
}

/// Writes down a cycle and what comes of it, and keeps all of it bounded.
pub(crate) fn put_run(
    connection: &Connection,
    at: Timestamp,
    body: &str,
) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO lab_runs (at, body) VALUES (?1, ?2)",
        params![millis(at), body],
    )?;
    for (sql, most) in [
        (
            "DELETE FROM faults WHERE id IN (SELECT id FROM faults ORDER BY last_seen DESC LIMIT -1 OFFSET ?1)",
            FAULTS_MAX,
        ),
        (
            "DELETE FROM fault_places WHERE place IN (SELECT place FROM fault_places ORDER BY json_extract(body, '$.count') DESC LIMIT -1 OFFSET ?1)",
            PLACES_MAX,
        ),
        (
            "DELETE FROM fault_edits WHERE seq <= (SELECT max(seq) FROM fault_edits) - ?1",
            EDITS_MAX,
        ),
        (
            "DELETE FROM lab_runs WHERE seq <= (SELECT max(seq) FROM lab_runs) - ?1",
            RUNS_MAX,
        ),
    ] {
        run_sql(connection, sql, params![rows(most)])?;
    }
    Ok(())
}

pub(crate) fn remember(connection: &Connection, name: &str, body: &str) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT OR REPLACE INTO lab_memory (name, body) VALUES (?1, ?2)",
        params![name, body],
    )
}

const FAULT: &str = "SELECT id, into_fault, is_apart, name, is_muted, body FROM faults";

/// The latest first.
pub(crate) fn faults(connection: &Connection) -> Result<Vec<FaultRow>, StoreError> {
    let sql = format!("{FAULT} ORDER BY last_seen DESC, id");
    all(connection, &sql, params![], fault)
}

pub(crate) fn one(connection: &Connection, id: &str) -> Result<Option<FaultRow>, StoreError> {
    let sql = format!("{FAULT} WHERE id = ?1");
    Ok(all(connection, &sql, params![id], fault)?.pop())
}

fn fault(row: &Row<'_>) -> Result<FaultRow, StoreError> {
    let id = text(row, 0)?;
    Ok(FaultRow {
        fault: parsed("fault", &id, &text(row, 5)?)?,
        into: maybe(row, 1)?,
        is_apart: row.get(2).map_err(column)?,
        name: text(row, 3)?,
        is_muted: row.get(4).map_err(column)?,
    })
}

pub(crate) fn places(connection: &Connection) -> Result<Vec<Occasions>, StoreError> {
    let sql = "SELECT place, body FROM fault_places ORDER BY place";
    all(connection, sql, params![], |row| {
        parsed("fault place", &text(row, 0)?, &text(row, 1)?)
    })
}

/// The newest first.
pub(crate) fn edits(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<FaultEditRow>, StoreError> {
    let sql = "SELECT seq, at, who, body FROM fault_edits ORDER BY seq DESC LIMIT ?1";
    all(connection, sql, params![rows(limit)], |row| {
        Ok(FaultEditRow {
            seq: unsigned(row.get(0).map_err(column)?),
            at: time(row, 1)?,
            who: text(row, 2)?,
            edit: parsed("fault edit", "", &text(row, 3)?)?,
        })
    })
}

/// The newest first.
pub(crate) fn runs(connection: &Connection, limit: usize) -> Result<Vec<LabRunRow>, StoreError> {
    let sql = "SELECT seq, at, body FROM lab_runs ORDER BY seq DESC LIMIT ?1";
    all(connection, sql, params![rows(limit)], |row| {
        Ok(LabRunRow {
            seq: unsigned(row.get(0).map_err(column)?),
            at: time(row, 1)?,
            body: text(row, 2)?,
        })
    })
}

pub(crate) fn memory(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT body FROM lab_memory WHERE name = ?1";
    Ok(all(connection, sql, params![name], |row| text(row, 0))?.pop())
}

impl Store {
    /// The faults of the register, the latest first.
    pub async fn faults(&self) -> Result<Vec<FaultRow>, StoreError> {
        self.read(faults).await
    }

    pub async fn fault(&self, id: &str) -> Result<Option<FaultRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| one(sql, &id)).await
    }

    /// What was counted of each place.
    pub async fn occasions(&self) -> Result<Vec<Occasions>, StoreError> {
        self.read(places).await
    }

    /// Changes of the register of faults, the newest first.
    pub async fn fault_edits(&self, limit: usize) -> Result<Vec<FaultEditRow>, StoreError> {
        self.read(move |sql| edits(sql, limit)).await
    }

    /// Cycles of the lab, the newest first.
    pub async fn lab_runs(&self, limit: usize) -> Result<Vec<LabRunRow>, StoreError> {
        self.read(move |sql| runs(sql, limit)).await
    }

    /// What the lab is told again under this name.
    pub async fn lab_memory(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(move |sql| memory(sql, &name)).await
    }
}
