//! Recipes that the owner brings, and those that he bans.

use instar_protocol::Timestamp;
use instar_store::{HealingRow, Op, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::GENE;
use crate::api::queries::QueryError;

const GENE_BYTES_MAX: usize = 16 * 1024;

/// A recipe of the owner's, or his word about one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneAsked {
    pub id: String,
    /// The recipe; without one only the ban is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene: Option<Value>,
    #[serde(default)]
    pub banned: bool,
}

/// Keeps a recipe of the owner's, or a ban.
pub async fn keep_gene(
    store: &Store,
    asked: GeneAsked,
    now: Timestamp,
) -> Result<GeneAsked, QueryError> {
    let invalid = |why: &str| QueryError::Invalid {
        param: "gene",
        why: why.to_owned(),
    };
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=48).contains(&asked.id.len()) || !asked.id.chars().all(is_id) {
        return Err(invalid("its id is 1 to 48 of a-z, 0-9 and -"));
    }
    let rows = store.healing(GENE).await?;
    let there = rows.iter().find(|row| row.id == asked.id);
    let there = there.and_then(|row| serde_json::from_str::<GeneAsked>(&row.body).ok());
    let whole = GeneAsked {
        gene: match asked.gene.or_else(|| there.and_then(|there| there.gene)) {
            // What came with a foreign folder is the owner's from the moment that he allows it.
            None if !asked.banned => crate::lab::proposed(store, &asked.id).await?,
            gene => gene,
        },
        ..asked
    };
    let body = serde_json::to_string(&whole).map_err(|_| invalid("it has no form"))?;
    if body.len() > GENE_BYTES_MAX {
        return Err(invalid("it is longer than 16 KiB"));
    }
    let op = if whole.gene.is_none() && !whole.banned {
        Op::RemoveHealing {
            kind: GENE.to_owned(),
            id: whole.id.clone(),
        }
    } else {
        Op::PutHealing(HealingRow {
            kind: GENE.to_owned(),
            id: whole.id.clone(),
            at: now,
            body,
        })
    };
    store.commit(vec![op]).await?;
    Ok(whole)
}
