//! Recipes that the owner brings, and those that he bans.

use instar_policy::canonical::sha256;
use instar_protocol::Timestamp;
use instar_protocol::lab::Brought;
use instar_release::{Behaviour, Releases};
use instar_store::{HealingRow, Op, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::GENE;
use crate::api::queries::QueryError;

const GENE_BYTES_MAX: usize = 16 * 1024;
/// The file of a skill that its recipes stand in.
pub const SKILL_GENES: &str = "genes.json";

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
    /// The skill that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<FromSkill>,
}

/// Where a recipe of a skill stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromSkill {
    pub agent: String,
    pub name: String,
    /// The SHA-256 of the file that the owner was shown.
    pub digest: String,
}

impl FromSkill {
    /// Of the file as it is shown.
    #[must_use]
    pub fn of(agent: &str, name: &str, file: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            name: name.to_owned(),
            digest: sha256(file.as_bytes()),
        }
    }

    /// The file, as an agent of this behaviour has it, or why the recipe rests.
    fn file<'a>(&self, behaviour: &'a Behaviour) -> Result<&'a str, &'static str> {
        let agent = behaviour.agents.get(&self.agent);
        let skill = agent.and_then(|agent| agent.skills.get(&self.name));
        let skill = skill.ok_or("the skill is gone")?;
        let file = skill.files.get(SKILL_GENES).ok_or("its genes are gone")?;
        let is_same = sha256(file.as_bytes()) == self.digest;
        is_same.then_some(file.as_str()).ok_or("its genes changed")
    }
}

/// Recipes of the owner's and of skills that count for an agent now, those that are banned, and what skills
/// brought.
#[derive(Default)]
pub(super) struct Recipes {
    pub(super) genes: Vec<Value>,
    pub(super) banned: Vec<String>,
    pub(super) brought: Vec<Brought>,
}

impl Recipes {
    pub(super) fn of(rows: &[HealingRow], agent: &str, behaviour: &Behaviour) -> Self {
        let mut all = Self::default();
        let read = |row: &HealingRow| serde_json::from_str::<GeneAsked>(&row.body).ok();
        for asked in rows.iter().filter_map(read) {
            all.banned.extend(asked.banned.then(|| asked.id.clone()));
            if let Some(from) = &asked.from {
                let rests = match from.file(behaviour) {
                    Ok(_) if from.agent == agent => None,
                    Ok(_) => Some("the skill is another agent's"),
                    Err(why) => Some(why),
                };
                all.brought.push(Brought {
                    gene: asked.id,
                    skill: from.name.clone(),
                    rests: rests.map(str::to_owned),
                });
                if rests.is_some() {
                    continue;
                }
            }
            all.genes.extend(asked.gene);
        }
        all
    }
}

/// Keeps a recipe of the owner's, or a ban.
pub async fn keep_gene(
    (store, releases): (&Store, &Releases),
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
    if let (Some(gene), Some(from)) = (&asked.gene, &asked.from) {
        let stable = releases.stable();
        let behaviour = stable.as_ref().map(|stable| &stable.behaviour);
        let file = behaviour
            .ok_or("there is no release")
            .and_then(|behaviour| from.file(behaviour));
        let file = file.map_err(|why| invalid(&format!("{}: {why}", from.name)))?;
        if !brings(file, &asked.id, gene) {
            return Err(invalid("the skill brings no such recipe"));
        }
        let is_others = |there: &GeneAsked| {
            let mut brought = there.from.iter();
            there.gene.is_some() && !brought.any(|there| there.name == from.name)
        };
        if there.as_ref().is_some_and(is_others) {
            return Err(invalid(
                "there is a recipe of that name that the skill did not bring",
            ));
        }
    }
    // A word about a recipe leaves it whose it is.
    let from = match &asked.gene {
        Some(_) => asked.from.clone(),
        None => there.as_ref().and_then(|there| there.from.clone()),
    };
    let whole = GeneAsked {
        from,
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

/// True if the recipe stands so in the file of a skill. What it may say is asked when it is used.
fn brings(file: &str, id: &str, gene: &Value) -> bool {
    let bundle: Option<Value> = serde_json::from_str(file).ok();
    let genes = bundle
        .as_ref()
        .and_then(|bundle| bundle["genes"].as_array());
    let mut genes = genes.into_iter().flatten();
    gene["id"] == id && genes.any(|one| one == gene)
}
