//! A decision that was made, found by its receipt, its question or its call.

use instar_policy::{Authority, Recorded};
use instar_protocol::QuestionId;
use instar_protocol::approval::visible;
use instar_protocol::policy::{Explained, ExplainedValue};
use instar_protocol::receipt::StoredReceipt;
use instar_protocol::tool::ToolDecision;
use instar_store::Store;
use serde_json::Value;

use super::supposed::add_facts;
use super::{shown, word};
use crate::api::queries::QueryError;

/// Receipts that are looked through for a call.
const LOOKED_MAX: usize = 20_000;
const PAGE: usize = 500;

/// The decision that is meant: by the number of a receipt, the id of a question, or that of a call.
pub async fn decision(
    store: &Store,
    authority: &Authority,
    named: &str,
) -> Result<Explained, QueryError> {
    let missing = || QueryError::NotFound {
        what: "decision",
        name: named.chars().take(120).collect(),
    };
    if named.starts_with("ask_") {
        return question(store, authority, named).await?.ok_or_else(missing);
    }
    let receipt = match named.parse::<u64>() {
        Ok(seq) => numbered(store, seq).await?,
        Err(_) => of_call(store, named, None).await?,
    };
    let receipt = receipt.ok_or_else(missing)?;
    let body = receipt.body.as_ref().ok_or_else(missing)?;
    // What came of a decision leads back to it.
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match (receipt.kind.as_str(), text("question"), text("call")) {
        ("decision", ..) => Ok(receipted(authority, &receipt)),
        (_, Some(id), _) => question(store, authority, id).await?.ok_or_else(missing),
        (_, None, Some(call)) => {
            let found = of_call(store, call, receipt.session.as_ref()).await?;
            let found = found.ok_or_else(missing)?;
            Ok(receipted(authority, &found))
        }
        _ => Err(missing()),
    }
}

async fn numbered(store: &Store, seq: u64) -> Result<Option<StoredReceipt>, QueryError> {
    let found = store.receipts(None, seq.checked_add(1), 1).await?;
    Ok(found.into_iter().find(|receipt| receipt.seq == seq))
}

/// The newest decision about a call of this id.
async fn of_call(
    store: &Store,
    call: &str,
    session: Option<&instar_protocol::SessionId>,
) -> Result<Option<StoredReceipt>, QueryError> {
    let (mut before, mut looked) = (None, 0);
    while looked < LOOKED_MAX {
        let page = store.receipts(session, before, PAGE).await?;
        looked += page.len();
        before = page.last().map(|last| last.seq);
        let is_last = page.len() < PAGE;
        let found = page.into_iter().find(|receipt| {
            let body = receipt.body.as_ref();
            receipt.kind == "decision"
                && body.and_then(|body| body.get("call")?.as_str()) == Some(call)
        });
        if found.is_some() || is_last {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The facts that a receipt keeps.
pub(super) fn recorded(body: &Value) -> Option<Recorded> {
    serde_json::from_value(body.get("facts")?.clone()).ok()
}

fn receipted(authority: &Authority, receipt: &StoredReceipt) -> Explained {
    let body = receipt.body.as_ref().unwrap_or(&Value::Null);
    let tool = body.get("tool").and_then(Value::as_str);
    let decided = body.get("decision").cloned().unwrap_or_default();
    let (outcome, rule, reason) = match serde_json::from_value(decided) {
        Ok(ToolDecision::Allowed { rule }) => ("allow", rule, None),
        Ok(ToolDecision::Asked { rule, .. }) => ("ask", rule, None),
        Ok(ToolDecision::Denied { rule, reason }) => ("deny", rule, Some(reason)),
        Ok(ToolDecision::Handed) => ("allow", "handed".to_owned(), None),
        Err(_) => ("deny", String::new(), None),
    };
    let mut told = Explained {
        of: format!("receipt {}", receipt.seq),
        at: Some(receipt.at),
        tool: visible(tool.unwrap_or_default()),
        outcome: outcome.to_owned(),
        rule: visible(&rule),
        why: reason.as_deref().map(visible).into_iter().collect(),
        ..Explained::default()
    };
    match recorded(body) {
        Some(recorded) => judged_again(&mut told, &recorded, authority),
        None => told.notes.push(
            "it was decided before its arguments were looked at, or by a version that kept no facts"
                .to_owned(),
        ),
    }
    told
}

async fn question(
    store: &Store,
    authority: &Authority,
    id: &str,
) -> Result<Option<Explained>, QueryError> {
    let Some(question) = store.question(&QuestionId::from_stored(id)).await? else {
        return Ok(None);
    };
    let rule = question.facts.get("rule").and_then(Value::as_str);
    let graded = question
        .arguments
        .iter()
        .filter(|argument| !argument.grade.is_empty());
    let mut told = Explained {
        of: format!("question {}", question.id),
        at: Some(question.asked_at),
        tool: visible(&question.call.name),
        outcome: "ask".to_owned(),
        rule: visible(rule.unwrap_or_default()),
        why: question.why.iter().map(|line| visible(line)).collect(),
        values: graded
            .map(|argument| ExplainedValue {
                path: visible(&argument.path),
                text: visible(&argument.text),
                grade: argument.grade.clone(),
                source: argument.source.as_deref().map(visible),
            })
            .collect(),
        ..Explained::default()
    };
    match recorded(&question.facts) {
        Some(recorded) => judged_again(&mut told, &recorded, authority),
        None => told
            .notes
            .push("it was asked by a version that kept no facts".to_owned()),
    }
    told.notes
        .push(format!("the question is {}", question.state.name()));
    Ok(Some(told))
}

/// The rules and facts behind a decision, and whether it would be the same today.
fn judged_again(told: &mut Explained, recorded: &Recorded, authority: &Authority) {
    let then = recorded.judge(&authority.rules);
    told.rules = then.rules().iter().map(shown).collect();
    add_facts(told, recorded, authority);
    if told.why.is_empty() {
        let own = told.rules.iter().find(|rule| rule.rule == told.rule);
        told.why = own.map(|rule| rule.words.clone()).into_iter().collect();
    }
    if told.values.is_empty() {
        let values = recorded.values.iter().map(|(role, value)| ExplainedValue {
            path: word(role),
            text: visible(&value.form),
            grade: String::new(),
            source: None,
        });
        told.values = values.collect();
    }
    // A refused question ends as a refusal; the rules still say that it asks.
    if told.outcome == "deny" && then.outcome() == "ask" {
        told.outcome = "ask".to_owned();
        told.notes
            .push("nobody said yes to the question, so it was not made".to_owned());
    } else if then.outcome() != told.outcome {
        told.notes.push(format!(
            "the rules have changed since: over the same facts they say {} by {} now",
            then.outcome(),
            then.first()
        ));
    }
    if recorded.cut {
        told.notes
            .push("it had more values than are kept with a decision".to_owned());
    }
}
