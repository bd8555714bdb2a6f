//! What goes out to the files of the exchange, and what of a foreign folder is kept. Files are a picture of
//! the ledger; what comes in is a record, and acts after the owner allowed it.

use instar_policy::canonical::sha256;
use instar_protocol::event::Event;
use instar_protocol::lab::{Case, FOREIGN_CHARS_MAX, FOREIGN_MAX, Foreign, ForeignPrior, Takeover};
use instar_protocol::{AgentId, Timestamp};
use instar_release::Releases;
use instar_store::{EventFilter, HealingRow, Op, Store};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::{Cycle, EditView, FaultView, edits, list, log};
use crate::api::queries::QueryError;
use crate::healing::{self, TrialView};

const FOREIGN: &str = "foreign";
const CYCLES: usize = 500;
const EDITS: usize = 1_000;
const FEEDBACK: usize = 2_000;
const RECIPE_BYTES_MAX: usize = 16 * 1024;

/// All that files are written from.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    pub faults: Vec<FaultView>,
    pub edits: Vec<EditView>,
    pub cycles: Vec<Cycle>,
    pub trials: Vec<TrialView>,
    pub case: Case,
    pub feedback: Vec<Event>,
    pub embeddings: Value,
}

pub async fn ledger(store: &Store, releases: &Releases) -> Result<Ledger, QueryError> {
    let spoken = EventFilter {
        kind: Some("feedback".to_owned()),
        limit: FEEDBACK,
        ..EventFilter::default()
    };
    Ok(Ledger {
        faults: list(store).await?,
        edits: edits(store, EDITS).await?,
        cycles: log(store, CYCLES).await?,
        trials: healing::trials(store).await?,
        case: healing::case(store, releases, AgentId::main().as_str()).await?,
        feedback: store.events(spoken).await?,
        embeddings: super::alike::vectors(store).await?,
    })
}

/// What was taken over of foreign folders.
pub async fn foreign(store: &Store) -> Result<Vec<Foreign>, QueryError> {
    let rows = store.healing(FOREIGN).await?;
    let read = rows
        .iter()
        .filter_map(|row| serde_json::from_str(&row.body).ok());
    Ok(read.collect())
}

/// Keeps the records of a folder. The same asset is kept once, and what this house wrote itself not at all:
/// its own trials say that already. How many are new.
pub async fn take_over(
    store: &Store,
    asked: Takeover,
    now: Timestamp,
) -> Result<usize, QueryError> {
    let there: BTreeSet<String> = foreign(store)
        .await?
        .into_iter()
        .map(|one| one.address)
        .collect();
    let own: BTreeSet<String> = healing::trials(store)
        .await?
        .into_iter()
        .map(|trial| format!("capsule_{}", trial.experiment))
        .collect();
    let mut ops = Vec::new();
    let mut room = FOREIGN_MAX.saturating_sub(there.len());
    for asset in asked.assets {
        if there.contains(&asset.address) || own.contains(&asset.id) {
            continue;
        }
        check(&asset)?;
        if room == 0 {
            return Err(invalid(
                "there are 500 records of other engines already; `instar lab forget` drops them",
            ));
        }
        room -= 1;
        let body = serde_json::to_string(&asset).map_err(|_| invalid("it has no form"))?;
        ops.push(Op::PutHealing(HealingRow {
            kind: FOREIGN.to_owned(),
            id: sha256(asset.address.as_bytes()),
            at: now,
            body,
        }));
    }
    let new = ops.len();
    store.commit(ops).await?;
    Ok(new)
}

/// Drops all records. Recipes that the owner allowed are his and stay.
pub async fn forget(store: &Store) -> Result<usize, QueryError> {
    let rows = store.healing(FOREIGN).await?;
    let count = rows.len();
    let gone = rows.into_iter().map(|row| Op::RemoveHealing {
        kind: row.kind,
        id: row.id,
    });
    store.commit(gone.collect()).await?;
    Ok(count)
}

fn check(asset: &Foreign) -> Result<(), QueryError> {
    let texts = [
        &asset.address,
        &asset.id,
        &asset.summary,
        &asset.about,
        &asset.outcome,
    ];
    let all = texts.into_iter().chain(&asset.signals);
    let is_long = |text: &String| {
        text.chars().count() > FOREIGN_CHARS_MAX || text.chars().any(char::is_control)
    };
    let recipe = asset.gene.as_ref().map_or(0, |gene| gene.to_string().len());
    if all.into_iter().any(is_long) || asset.signals.len() > 64 || recipe > RECIPE_BYTES_MAX {
        return Err(invalid("a record is longer than records may be"));
    }
    if !asset.address.starts_with("sha256:") {
        return Err(invalid("a record has no content address"));
    }
    Ok(())
}

/// What the records say of recipes.
pub(crate) fn priors(rows: &[HealingRow]) -> Vec<ForeignPrior> {
    let mut priors: BTreeMap<String, ForeignPrior> = BTreeMap::new();
    for row in rows {
        let Ok(one) = serde_json::from_str::<Foreign>(&row.body) else {
            continue;
        };
        let (helped, hurt) = (one.outcome == "helped", one.outcome == "hurt");
        if !helped && !hurt {
            continue;
        }
        let prior = priors.entry(one.about.clone()).or_insert(ForeignPrior {
            gene: one.about,
            helped: 0,
            hurt: 0,
        });
        prior.helped += u32::from(helped);
        prior.hurt += u32::from(hurt);
    }
    priors.into_values().collect()
}

/// The priors of a case.
pub(crate) async fn heard(store: &Store) -> Result<Vec<ForeignPrior>, instar_store::StoreError> {
    Ok(priors(&store.healing(FOREIGN).await?))
}

/// The recipe of a record that the owner allows.
pub(crate) async fn proposed(store: &Store, id: &str) -> Result<Option<Value>, QueryError> {
    let all = foreign(store).await?;
    match all.into_iter().find(|one| one.id == id) {
        Some(one) if one.gene.is_none() => {
            Err(invalid("it is prose, and has no recipe that could act"))
        }
        found => Ok(found.and_then(|one| one.gene)),
    }
}

fn invalid(why: &str) -> QueryError {
    QueryError::Invalid {
        param: "assets",
        why: why.to_owned(),
    }
}
