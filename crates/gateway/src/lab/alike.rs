//! Faults whose words say the same in other words. Where the owner has an embedder, it is asked for vectors
//! of templates; faults of one kind whose vectors point the same way are proposed as one. A person says yes
//! or no, and nothing is merged before.

use instar_models::TEXTS_MAX;
use instar_policy::canonical::sha256;
use instar_protocol::fault::FaultEdit;
use instar_protocol::model::ModelRef;
use instar_protocol::redact::redact;
use instar_protocol::{AgentId, Timestamp};
use instar_store::{FaultRow, Op, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::{FaultView, edit};
use crate::api::queries::QueryError;
use crate::app::AppState;
use crate::gates::places::vectors as vectors_of;

/// What is kept of vectors, and of what was proposed and refused.
const VECTORS: &str = "embeddings";
const MERGES: &str = "merges";
/// Faults that are compared, the latest first; each has one vector in the cache.
const COMPARED_MAX: usize = 400;
const CACHE_BYTES_MAX: usize = 4 << 20;
/// From here on two templates are taken to say the same.
const ALIKE_MIN: f32 = 0.92;
const PROPOSED_MAX: usize = 50;
const REFUSED_MAX: usize = 2_000;
/// Under which the calls are booked.
const SESSION: &str = "lab";

/// Vectors by the hash of model and text.
#[derive(Default, Serialize, Deserialize)]
struct Vectors {
    model: String,
    entries: BTreeMap<String, Vec<f32>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Merges {
    proposed: Vec<Likeness>,
    /// Pairs that a person said no to.
    refused: BTreeSet<String>,
}

/// Two faults that may be one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Likeness {
    pub fault: String,
    pub into: String,
    /// The cosine of their vectors.
    pub alike: f32,
    pub fault_says: String,
    pub into_says: String,
}

/// A person's word about a proposal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeWord {
    pub fault: String,
    pub into: String,
    #[serde(deserialize_with = "instar_protocol::fault::truth")]
    pub accept: bool,
}

/// What is proposed now.
pub async fn merges(store: &Store) -> Result<Vec<Likeness>, QueryError> {
    Ok(read::<Merges>(store, MERGES).await?.proposed)
}

/// Merges two faults, or remembers that they are not one.
pub async fn merge_word(
    store: &Store,
    word: MergeWord,
    now: Timestamp,
) -> Result<Option<FaultView>, QueryError> {
    let mut merges: Merges = read(store, MERGES).await?;
    let asked = pair(&word.fault, &word.into);
    let is_it = |one: &Likeness| pair(&one.fault, &one.into) == asked;
    if !merges.proposed.iter().any(is_it) {
        return Err(QueryError::Invalid {
            param: "fault",
            why: "nobody proposed to merge these two; `instar fault merges list` shows what is proposed".to_owned(),
        });
    }
    merges.proposed.retain(|one| !is_it(one));
    let merged = if word.accept {
        let (fault, into) = (word.fault.clone(), word.into.clone());
        Some(edit(store, FaultEdit::Merge { fault, into }, now).await?)
    } else {
        if merges.refused.len() >= REFUSED_MAX {
            merges.refused.pop_first();
        }
        merges.refused.insert(asked);
        None
    };
    keep(store, MERGES, &merges).await?;
    Ok(merged)
}

/// Vectors for the files of the exchange.
pub(super) async fn vectors(store: &Store) -> Result<Value, QueryError> {
    let kept = store.lab_memory(VECTORS).await?;
    let parsed = kept.and_then(|text| serde_json::from_str(&text).ok());
    Ok(parsed.unwrap_or(Value::Null))
}

/// Asks the embedder about templates that are new, and proposes what is alike. Without an embedder nothing
/// is asked. How many are proposed now.
pub(super) async fn look(app: &AppState) -> Result<usize, String> {
    let named = app.config.current().value.improve.embedder.clone();
    let Some(model) = named.filter(|name| !name.is_empty()) else {
        return Ok(0);
    };
    let model = ModelRef::parse(&model).ok_or("improve.embedder is no PROVIDER/MODEL")?;
    let told = |error: QueryError| error.to_string();
    let rows = app
        .store
        .faults()
        .await
        .map_err(|error| error.to_string())?;
    let faults: Vec<&FaultRow> = rows
        .iter()
        .filter(|row| is_open(row))
        .take(COMPARED_MAX)
        .collect();
    let mut vectors: Vectors = read(&app.store, VECTORS).await.map_err(told)?;
    if vectors.model != model.as_str() {
        vectors = Vectors {
            model: model.to_string(),
            ..Vectors::default()
        };
    }
    let keyed: Vec<(String, String, &FaultRow)> = faults
        .into_iter()
        .map(|row| {
            let text = redact(&row.fault.template).as_str().to_owned();
            (sha256(format!("{model}\n{text}").as_bytes()), text, row)
        })
        .collect();
    let before = vectors.entries.len();
    vectors
        .entries
        .retain(|hash, _| keyed.iter().any(|(of, ..)| of == hash));
    let left = vectors.entries.len();
    let asked = ask(app, &model, &mut vectors, &keyed).await;
    let changed = left < before || vectors.entries.len() > left;
    let mut merges: Merges = read(&app.store, MERGES).await.map_err(told)?;
    let proposed = alike(&keyed, &vectors, &merges.refused);
    let count = proposed.len();
    if proposed != merges.proposed {
        merges.proposed = proposed;
        keep(&app.store, MERGES, &merges).await.map_err(told)?;
    }
    let fits = || serde_json::to_string(&vectors).is_ok_and(|text| text.len() <= CACHE_BYTES_MAX);
    if changed && fits() {
        keep(&app.store, VECTORS, &vectors).await.map_err(told)?;
    }
    asked.map(|()| count)
}

async fn ask(
    app: &AppState,
    model: &ModelRef,
    vectors: &mut Vectors,
    keyed: &[(String, String, &FaultRow)],
) -> Result<(), String> {
    let mut missing: BTreeMap<&String, &String> = BTreeMap::new();
    for (hash, text, _) in keyed {
        if !vectors.entries.contains_key(hash) {
            missing.insert(hash, text);
        }
    }
    let missing: Vec<(&String, &String)> = missing.into_iter().collect();
    for part in missing.chunks(TEXTS_MAX) {
        let texts: Vec<String> = part.iter().map(|(_, text)| (*text).clone()).collect();
        let found = vectors_of(app, model, &AgentId::main(), SESSION, &texts).await?;
        for ((hash, _), vector) in part.iter().zip(found) {
            vectors.entries.insert((*hash).clone(), rounded(vector));
        }
    }
    Ok(())
}

/// Pairs of one kind that point the same way, the most alike first; the older takes the newer in.
fn alike(
    keyed: &[(String, String, &FaultRow)],
    vectors: &Vectors,
    refused: &BTreeSet<String>,
) -> Vec<Likeness> {
    let mut found = Vec::new();
    for (at, (hash, _, one)) in keyed.iter().enumerate() {
        for (other_hash, _, other) in keyed.iter().skip(at + 1) {
            let (one, other) = if one.fault.first_seen <= other.fault.first_seen {
                (other, one)
            } else {
                (one, other)
            };
            if one.fault.kind != other.fault.kind
                || refused.contains(&pair(&one.fault.id, &other.fault.id))
            {
                continue;
            }
            let both = vectors
                .entries
                .get(hash)
                .zip(vectors.entries.get(other_hash));
            let alike = both.map_or(0.0, |(one, other)| cosine(one, other));
            if alike >= ALIKE_MIN {
                found.push(Likeness {
                    fault: one.fault.id.clone(),
                    into: other.fault.id.clone(),
                    alike,
                    fault_says: one.fault.template.clone(),
                    into_says: other.fault.template.clone(),
                });
            }
        }
    }
    found.sort_by(|a, b| b.alike.total_cmp(&a.alike));
    found.truncate(PROPOSED_MAX);
    found
}

fn is_open(row: &FaultRow) -> bool {
    row.into.is_none() && !row.is_apart && !row.is_muted && !row.fault.template.is_empty()
}

fn pair(one: &str, other: &str) -> String {
    let (first, second) = if one < other {
        (one, other)
    } else {
        (other, one)
    };
    format!("{first} {second}")
}

fn rounded(vector: Vec<f32>) -> Vec<f32> {
    vector
        .into_iter()
        .map(|number| (number * 1e4).round() / 1e4)
        .collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot: f32 = one.iter().zip(other).map(|(a, b)| a * b).sum();
    let size = |of: &[f32]| of.iter().map(|a| a * a).sum::<f32>().sqrt();
    dot / (size(one) * size(other)).max(f32::MIN_POSITIVE)
}

async fn read<T: Default + for<'a> Deserialize<'a>>(
    store: &Store,
    name: &str,
) -> Result<T, QueryError> {
    let kept = store.lab_memory(name).await?;
    Ok(kept
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

async fn keep(store: &Store, name: &str, value: &impl Serialize) -> Result<(), QueryError> {
    let op = Op::PutLabMemory {
        name: name.to_owned(),
        body: serde_json::to_string(value).unwrap_or_default(),
    };
    Ok(store.commit(vec![op]).await?)
}
