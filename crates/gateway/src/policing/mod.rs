//! Policy that can be read: rules in words, rights as a table, decisions explained, an owner's tests
//! of his rules, and what another posture would have changed.
//!
//! Everything here asks the very decision that calls of turns go through, and nothing runs. It needs a
//! store and files, and no running gateway: the command line asks the same functions.

mod agreed;
mod contacts;
mod decided;
mod replay;
mod supposed;
mod trials;

use instar_config::StateDir;
pub use instar_policy::Authority;
use instar_policy::cedar::{Answer, Reference};
use instar_policy::suppose::{at_most, right};
use instar_policy::{Posture, Role};
use instar_protocol::AgentId;
use instar_protocol::approval::visible;
use instar_protocol::policy::{PolicyAnswer, PolicyReport, PolicyRight, PolicyRule};
use instar_release::Releases;
use instar_store::Store;
use serde::Serialize;

use crate::api::queries::QueryError;
use crate::behaviour;
use crate::config::InstarConfig;

pub use agreed::often_agreed;
pub use contacts::contacts;
pub use decided::decision;
pub use replay::{DAYS, posture};
pub use supposed::{ExplainCall, explain};
pub use trials::test;

/// Every posture, from the most careful one.
pub(crate) const POSTURES: [Posture; 3] = [Posture::Careful, Posture::Balanced, Posture::Open];

/// The authority as it would be taken now: what the last release knows of tools, under the
/// configuration and the rules as they lie on the disk. Rules that cannot be taken are told, and
/// those of the release go on.
pub async fn authority_on_disk(
    store: &Store,
    config: &InstarConfig,
    state: &StateDir,
) -> Result<(Authority, Vec<String>), QueryError> {
    let releases = Releases::open(store.clone()).await;
    let releases = releases.map_err(QueryError::Release)?;
    let last = releases.stable();
    let last = last.map(|release| release.behaviour.authority.clone());
    Ok(under(last.unwrap_or_default(), config, state))
}

/// An authority under the configuration and the rules on the disk.
#[must_use]
pub fn under(last: Authority, config: &InstarConfig, state: &StateDir) -> (Authority, Vec<String>) {
    let kept = last.rules.clone();
    let mut authority = behaviour::configured(config, last);
    match behaviour::rules(state) {
        Ok(rules) => {
            authority.rules = rules;
            (authority, Vec::new())
        }
        Err(error) => {
            authority.rules = kept;
            (authority, behaviour::problems(error))
        }
    }
}

/// Rules in words, and the rights of an agent when somebody of this kind asks.
#[must_use]
pub fn report(
    authority: &Authority,
    agent: &AgentId,
    role: Role,
    problems: Vec<String>,
) -> PolicyReport {
    let rights = authority.annotations.iter().map(|(tool, annotation)| {
        let (effect, reach) = at_most(annotation);
        let answers = POSTURES.map(|posture| {
            let clean = right(authority, tool, agent, role, posture, false);
            let tainted = right(authority, tool, agent, role, posture, true);
            PolicyAnswer {
                posture: word(&posture),
                outcome: clean.outcome.to_owned(),
                rule: clean.rule,
                tainted: tainted.outcome.to_owned(),
                tainted_rule: tainted.rule,
            }
        });
        PolicyRight {
            tool: visible(tool),
            effect: effect.name().to_owned(),
            reach: word(&reach),
            undoable: annotation.undoable,
            answers: answers.to_vec(),
        }
    });
    PolicyReport {
        posture: word(&authority.posture),
        rights: rights.collect(),
        rules: authority.rules.all().map(shown).collect(),
        problems,
    }
}

fn shown(rule: &Reference) -> PolicyRule {
    let answer = match rule.answer {
        Answer::Permit => "permit",
        Answer::Never => "never",
        Answer::Ask => "ask",
        Answer::Yield => "yield",
    };
    PolicyRule {
        rule: rule.rule.clone(),
        place: visible(&rule.place),
        words: visible(&rule.words),
        answer: answer.to_owned(),
        owners: rule.is_owners,
    }
}

/// The word that serde has for it.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
