//! The register of faults as people see it and change it. Every change is reversible: a fault that went
//! into another keeps its own counts.

use instar_protocol::fault::{Divided, Fault, FaultEdit, Occasions};
use instar_protocol::{ReleaseId, Timestamp};
use instar_store::{FaultRow, Op, Store};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use super::count::edit_op;
use super::divide::holes;
use super::trend::{Trend, trend};
use crate::api::queries::QueryError;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 120;
/// Merges that are followed.
const DEPTH_MAX: usize = 16;

/// A fault with everything that was merged into it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FaultView {
    #[serde(flatten)]
    pub fault: Fault,
    /// What people call it: its name, or its template.
    pub title: String,
    pub name: String,
    pub muted: bool,
    /// What counts as a part of it.
    pub members: Vec<String>,
    /// What it counts as a part of, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Occasions since it is counted, and the share that failed.
    pub exposures: u64,
    pub rate: f64,
    pub by_day: Vec<DayRow>,
    pub by_release: Vec<Arms>,
    pub by_arm: Vec<Arms>,
    pub trend: Trend,
}

#[cfg(test)]
impl FaultView {
    /// One of which nothing was counted by day.
    pub(super) fn plain(fault: Fault) -> Self {
        Self {
            title: String::new(),
            name: String::new(),
            muted: false,
            members: Vec::new(),
            into: None,
            exposures: 0,
            rate: 0.0,
            by_day: Vec::new(),
            by_release: Vec::new(),
            by_arm: Vec::new(),
            trend: trend(&[]),
            fault,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DayRow {
    /// Days since the epoch, UTC.
    pub day: u64,
    pub exposures: u64,
    pub failures: u64,
}

/// The counts of a release, or of an arm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Arms {
    pub name: String,
    pub exposures: u64,
    pub failures: u64,
}

/// A change, and the version of the register from then on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EditView {
    pub version: u64,
    pub at: Timestamp,
    pub who: String,
    pub what: FaultEdit,
}

/// The faults that stand by themselves, the latest first.
pub async fn list(store: &Store) -> Result<Vec<FaultView>, QueryError> {
    let register = Register::read(store).await?;
    let roots = register.rows.iter().filter(|row| row.into.is_none());
    Ok(roots.map(|row| register.view(row)).collect())
}

/// One by its id or the beginning of it; its edits are beside it.
pub async fn one(store: &Store, name: &str) -> Result<FaultView, QueryError> {
    let register = Register::read(store).await?;
    let row = register.find(name)?;
    Ok(register.view(row))
}

/// What was changed in the register, the newest first.
pub async fn edits(store: &Store, limit: usize) -> Result<Vec<EditView>, QueryError> {
    let rows = store.fault_edits(limit).await?;
    let views = rows.into_iter().map(|row| EditView {
        version: row.seq,
        at: row.at,
        who: row.who,
        what: row.edit,
    });
    Ok(views.collect())
}

/// A person's change. What comes back is the fault in its next state.
pub async fn edit(
    store: &Store,
    asked: FaultEdit,
    now: Timestamp,
) -> Result<FaultView, QueryError> {
    let register = Register::read(store).await?;
    let mut row = register.find(asked.fault())?.clone();
    let id = row.fault.id.clone();
    let done = match asked {
        FaultEdit::Merge { into, .. } => {
            let into = register.root(register.find(&into)?).fault.id.clone();
            if into == id || register.members(&id).contains(&into) {
                return Err(invalid(
                    "into",
                    "a fault cannot go into itself or into a part of itself",
                ));
            }
            row.into = Some(into.clone());
            row.is_apart = false;
            FaultEdit::Merge { fault: id, into }
        }
        FaultEdit::Split { .. } => {
            if row.into.is_none() {
                return Err(invalid(
                    "fault",
                    "it stands by itself; name the part that is to be taken out",
                ));
            }
            row.into = None;
            row.is_apart = true;
            FaultEdit::Split { fault: id }
        }
        FaultEdit::Divide { by, .. } => {
            return divide(store, &register, row, by, now).await;
        }
        FaultEdit::Unite { .. } => return unite(store, &register, row, now).await,
        FaultEdit::Name { name, .. } => {
            let name: String = name
                .trim()
                .chars()
                .filter(|sign| !sign.is_control())
                .take(NAME_CHARS_MAX)
                .collect();
            row.name.clone_from(&name);
            FaultEdit::Name { fault: id, name }
        }
        FaultEdit::Mute { muted, .. } => {
            row.is_muted = muted;
            FaultEdit::Mute { fault: id, muted }
        }
    };
    let id = row.fault.id.clone();
    let ops = vec![Op::PutFault(Box::new(row)), edit_op(done, "owner", now)];
    store.commit(ops).await?;
    one(store, &id).await
}

/// Its failures are told apart from now on. Parts that it had before stand by themselves again.
async fn divide(
    store: &Store,
    register: &Register,
    mut row: FaultRow,
    by: Divided,
    now: Timestamp,
) -> Result<FaultView, QueryError> {
    if let Divided::Value { place } = by
        && place >= holes(&row.fault.template)
    {
        return Err(invalid("by", "its template has no value at that place"));
    }
    if by == Divided::Arguments && !row.fault.place.starts_with("tool:") {
        return Err(invalid("by", "only the failures of a tool have arguments"));
    }
    if row.fault.part_of.is_some() {
        return Err(invalid("fault", "it is a part of a divided fault already"));
    }
    let id = row.fault.id.clone();
    row.fault.divided = Some(by);
    let mut ops = vec![Op::PutFault(Box::new(row))];
    for mut part in register.parts(&id) {
        part.into = None;
        ops.push(Op::PutFault(Box::new(part)));
    }
    ops.push(edit_op(
        FaultEdit::Divide {
            fault: id.clone(),
            by,
        },
        "owner",
        now,
    ));
    store.commit(ops).await?;
    one(store, &id).await
}

/// Its parts go into it; what each counted stays its own, so that this can be taken back, too.
async fn unite(
    store: &Store,
    register: &Register,
    mut row: FaultRow,
    now: Timestamp,
) -> Result<FaultView, QueryError> {
    let id = row.fault.id.clone();
    if row.fault.divided.take().is_none() {
        return Err(invalid("fault", "it is not divided"));
    }
    let mut ops = vec![Op::PutFault(Box::new(row))];
    for mut part in register.parts(&id) {
        part.into = Some(id.clone());
        ops.push(Op::PutFault(Box::new(part)));
    }
    ops.push(edit_op(
        FaultEdit::Unite { fault: id.clone() },
        "owner",
        now,
    ));
    store.commit(ops).await?;
    one(store, &id).await
}

fn invalid(param: &'static str, why: &str) -> QueryError {
    QueryError::Invalid {
        param,
        why: why.to_owned(),
    }
}

struct Register {
    rows: Vec<FaultRow>,
    places: BTreeMap<String, Occasions>,
}

impl Register {
    async fn read(store: &Store) -> Result<Self, QueryError> {
        let places = store.occasions().await?;
        Ok(Self {
            rows: store.faults().await?,
            places: places
                .into_iter()
                .map(|row| (row.place.clone(), row))
                .collect(),
        })
    }

    fn find(&self, name: &str) -> Result<&FaultRow, QueryError> {
        let mut fitting = self
            .rows
            .iter()
            .filter(|row| row.fault.id.starts_with(name));
        let none = || QueryError::NotFound {
            what: "fault",
            name: name.to_owned(),
        };
        let exact = self.rows.iter().find(|row| row.fault.id == name);
        let first = exact.or_else(|| fitting.next()).ok_or_else(none)?;
        if exact.is_none() && fitting.next().is_some() {
            return Err(invalid(
                "fault",
                "several faults begin like this; write more of the id",
            ));
        }
        Ok(first)
    }

    /// What a divided fault was divided into.
    fn parts(&self, id: &str) -> Vec<FaultRow> {
        let parts = self
            .rows
            .iter()
            .filter(|row| row.fault.part_of.as_deref() == Some(id));
        parts.cloned().collect()
    }

    fn root<'a>(&'a self, row: &'a FaultRow) -> &'a FaultRow {
        let mut at = row;
        for _ in 0..DEPTH_MAX {
            let next = at
                .into
                .as_ref()
                .and_then(|into| self.rows.iter().find(|row| row.fault.id == *into));
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }

    /// Everything that went into a fault, also by way of others.
    fn members(&self, id: &str) -> BTreeSet<String> {
        let mut members = BTreeSet::new();
        let mut names = vec![id.to_owned()];
        while let Some(name) = names.pop() {
            for row in self
                .rows
                .iter()
                .filter(|row| row.into.as_deref() == Some(&name))
            {
                if members.insert(row.fault.id.clone()) {
                    names.push(row.fault.id.clone());
                }
            }
        }
        members.remove(id);
        members
    }

    fn view(&self, row: &FaultRow) -> FaultView {
        let mut fault = row.fault.clone();
        let members = self.members(&fault.id);
        let mut places = BTreeSet::from([fault.place.clone()]);
        for member in self
            .rows
            .iter()
            .filter(|row| members.contains(&row.fault.id))
        {
            fault.add(&member.fault);
            places.insert(member.fault.place.clone());
        }
        let mut occasions = Occasions::default();
        for place in places.iter().filter_map(|place| self.places.get(place)) {
            occasions.count += place.count;
            add(&mut occasions.days, &place.days);
            add(&mut occasions.releases, &place.releases);
            add(&mut occasions.arms, &place.arms);
        }
        let by_day = by_day(&fault, &occasions);
        let triples: Vec<_> = by_day
            .iter()
            .map(|row| (row.day, row.exposures, row.failures))
            .collect();
        let exposures: u64 = by_day.iter().map(|row| row.exposures).sum();
        let title = match (row.name.as_str(), fault.template.as_str()) {
            ("", "") => format!("{} {}", fault.kind.name(), fault.detail)
                .trim()
                .to_owned(),
            // Parts of one fault have one template.
            ("", template) if fault.part_of.is_some() => format!("{template} {}", fault.detail),
            ("", template) => template.to_owned(),
            (name, _) => name.to_owned(),
        };
        FaultView {
            title,
            name: row.name.clone(),
            muted: row.is_muted,
            members: members.into_iter().collect(),
            into: row.into.clone(),
            exposures,
            rate: rate(fault.failures, exposures),
            by_release: arms(&fault.releases, &occasions.releases, ReleaseId::to_string),
            by_arm: arms(&fault.arms, &occasions.arms, String::clone),
            trend: trend(&triples),
            by_day,
            fault,
        }
    }
}

/// From the first day of the fault on.
fn by_day(fault: &Fault, occasions: &Occasions) -> Vec<DayRow> {
    let Some(first) = fault.days.keys().next() else {
        return Vec::new();
    };
    let seen = occasions.days.range(first..).map(|(day, _)| *day);
    let days: BTreeSet<u64> = seen.chain(fault.days.keys().copied()).collect();
    let of = |days: &BTreeMap<u64, u64>, day: &u64| days.get(day).copied().unwrap_or(0);
    days.iter()
        .map(|day| DayRow {
            day: *day,
            exposures: of(&occasions.days, day),
            failures: of(&fault.days, day),
        })
        .collect()
}

fn arms<K: Ord>(
    failures: &BTreeMap<K, u64>,
    exposures: &BTreeMap<K, u64>,
    name: impl Fn(&K) -> String,
) -> Vec<Arms> {
    failures
        .iter()
        .map(|(key, failures)| Arms {
            name: name(key),
            exposures: exposures.get(key).copied().unwrap_or(0),
            failures: *failures,
        })
        .collect()
}

fn add<K: Ord + Clone>(mine: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, count) in other {
        *mine.entry(key.clone()).or_default() += count;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn rate(failures: u64, exposures: u64) -> f64 {
    if exposures == 0 {
        0.0
    } else {
        failures as f64 / exposures as f64
    }
}
