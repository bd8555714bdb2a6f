//! A call that somebody thinks of, explained.

use instar_policy::suppose::{Seen, Supposed};
use instar_policy::{Authority, Explanation, Recorded, Turn};
use instar_protocol::Timestamp;
use instar_protocol::approval::visible;
use instar_protocol::policy::{Explained, ExplainedValue, Fact, FactTurn};
use instar_store::Store;
use serde::Deserialize;

use super::shown;
use crate::api::queries::{QueryError, find_session};

/// A longer call is not looked at.
const CALL_BYTES_MAX: usize = 256 * 1024;

/// What is asked. Also the body of `POST /policy/explain`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainCall {
    pub given: Supposed,
    /// As the next call of this conversation: with its words, what was read in it, and its label.
    #[serde(default)]
    pub session: Option<String>,
}

/// What would become of the call, by which rule and which facts.
pub async fn explain(
    store: &Store,
    authority: &Authority,
    asked: &ExplainCall,
    now: Timestamp,
) -> Result<Explained, QueryError> {
    let bytes = asked.given.arguments.to_string().len();
    if bytes > CALL_BYTES_MAX {
        return Err(QueryError::Invalid {
            param: "given.arguments",
            why: format!("{bytes} bytes are more than any call may have"),
        });
    }
    let mut given = asked.given.clone();
    let seen = match &asked.session {
        Some(name) => {
            let row = find_session(store, name).await?;
            given.agent.get_or_insert_with(|| row.agent.clone());
            instar_agent::retrace(store, &row, authority, now).await?
        }
        None => {
            let mut seen = Seen::nothing(instar_agent::standing(store, now).await?);
            instar_agent::know(&mut seen.evidence, &store.contacts().await?);
            seen
        }
    };
    let mut told = told(&given.explain(authority, &seen), authority);
    told.tool = visible(&given.tool);
    if given.plan.is_none() && given.role == instar_policy::Role::Owner {
        told.notes.push(
            "no plan is supposed: in the balanced posture a plan of your words is made when a call comes, and \
             what it does not have asks"
                .to_owned(),
        );
    }
    Ok(told)
}

fn told(found: &Explanation, authority: &Authority) -> Explained {
    let values = found.values.iter().map(|value| ExplainedValue {
        path: visible(&value.path),
        text: visible(&value.text),
        grade: value.grade.name().to_owned(),
        source: value.source.as_deref().map(visible),
    });
    let mut told = Explained {
        of: "supposed".to_owned(),
        outcome: found.outcome.to_owned(),
        rule: found.rule.clone(),
        why: found.why.iter().map(|line| visible(line)).collect(),
        rules: found.rules.iter().map(shown).collect(),
        values: values.collect(),
        ..Explained::default()
    };
    if let Some(recorded) = &found.recorded {
        add_facts(&mut told, recorded, authority);
    }
    told
}

/// The facts, and which of them it hangs on.
pub(super) fn add_facts(told: &mut Explained, recorded: &Recorded, authority: &Authority) {
    let facts = recorded.facts().into_iter();
    told.facts = facts
        .map(|(name, is)| Fact {
            name: name.to_owned(),
            is,
        })
        .collect();
    let turns = recorded.turns(&authority.rules).into_iter();
    told.turns = turns.map(turn).collect();
}

fn turn(turn: Turn) -> FactTurn {
    FactTurn {
        fact: turn.fact.to_owned(),
        is: turn.is,
        would_be: turn.would_be,
        outcome: turn.outcome.to_owned(),
        rule: turn.rule,
    }
}
