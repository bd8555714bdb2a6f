//! Questions to the owner in the shapes of the protocol.
//!
//! Whatever tool is asked about is shown as the protocol shows a command: only that form has room
//! for the whole call. Nothing is cut.

use instar_protocol::approval::{Question, QuestionState, StandingRule};
use instar_protocol::approvals::ShownQuestion;
use serde_json::{Value, json};

/// The tool and everything that it would be given.
fn command(shown: &ShownQuestion) -> String {
    format!("{} {}", shown.tool, shown.call)
}

fn warning(shown: &ShownQuestion) -> String {
    let touched = shown.touches.iter().chain(&shown.why);
    touched.cloned().collect::<Vec<_>>().join("\n")
}

fn decisions(shown: &ShownQuestion) -> Value {
    match shown.always {
        Some(_) => json!(["allow-once", "allow-always", "deny"]),
        None => json!(["allow-once", "deny"]),
    }
}

/// What `exec.approval.requested` tells, and a row of the list.
pub(crate) fn requested(question: &Question) -> Value {
    let shown = ShownQuestion::of(question);
    json!({
        "id": shown.id,
        "request": {
            "command": command(&shown),
            "warningText": warning(&shown),
            "allowedDecisions": decisions(&shown),
            "host": "gateway",
            "agentId": shown.agent,
            "sessionKey": shown.session,
            "runId": shown.run,
            "toolCallId": question.call.id,
        },
        "createdAtMs": shown.asked_at,
        "expiresAtMs": shown.expires_at,
    })
}

/// One question for whoever is about to answer it.
pub(crate) fn details(question: &Question) -> Value {
    let shown = ShownQuestion::of(question);
    json!({
        "id": shown.id,
        "commandText": command(&shown),
        "warningText": warning(&shown),
        "allowedDecisions": decisions(&shown),
        "host": "gateway",
        "nodeId": null,
        "agentId": shown.agent,
        "createdAtMs": shown.asked_at,
        "expiresAtMs": shown.expires_at,
    })
}

/// What `exec.approval.resolved` tells.
pub(crate) fn resolved(question: &Question, now: u64) -> Value {
    json!({
        "id": question.id,
        "decision": decision(question),
        "resolvedBy": question.answer.as_ref().map(|answer| &answer.by),
        "ts": now,
    })
}

/// What came of it. What nobody answered is a no.
fn decision(question: &Question) -> &'static str {
    match (question.state, &question.answer) {
        (QuestionState::Approved | QuestionState::Used, Some(answer)) if answer.rule.is_some() => {
            "allow-always"
        }
        (QuestionState::Approved | QuestionState::Used, _) => "allow-once",
        _ => "deny",
    }
}

/// The snapshot that `approval.*` speaks of.
pub(crate) fn snapshot(question: &Question) -> Value {
    let shown = ShownQuestion::of(question);
    let mut snapshot = json!({
        "id": shown.id,
        "urlPath": format!("/approve/{}", shown.id),
        "createdAtMs": shown.asked_at,
        "expiresAtMs": shown.expires_at,
        "presentation": {
            "kind": "exec",
            "commandText": command(&shown),
            "warningText": warning(&shown),
            "host": "gateway",
            "agentId": shown.agent,
            "allowedDecisions": decisions(&shown),
        },
    });
    if question.state == QuestionState::Open {
        snapshot["status"] = "pending".into();
        snapshot["sourceSessionKey"] = json!(shown.session);
        return snapshot;
    }
    let at = question.answer.as_ref().map(|answer| answer.at);
    snapshot["resolvedAtMs"] = json!(at.unwrap_or(question.expires_at));
    snapshot["source"] = json!({ "agentId": shown.agent, "sessionKey": shown.session });
    let (status, reason) = match (question.state, &question.answer) {
        (QuestionState::Expired, None) => ("expired", "timeout"),
        (QuestionState::Void, None) => ("cancelled", "run-aborted"),
        (_, Some(answer)) if !answer.approved => ("denied", "user"),
        // An approval that ran out before its call came is still what the owner said.
        (_, Some(_)) => ("allowed", "user"),
        (_, None) => ("denied", "storage-corrupt"),
    };
    snapshot["status"] = status.into();
    snapshot["reason"] = reason.into();
    match status {
        "allowed" => {
            let rule = question
                .answer
                .as_ref()
                .and_then(|answer| answer.rule.as_ref());
            let word = if rule.is_some() {
                "allow-always"
            } else {
                "allow-once"
            };
            snapshot["decision"] = word.into();
        }
        "denied" => snapshot["decision"] = "deny".into(),
        _ => {}
    }
    if let Some(answer) = &question.answer {
        snapshot["resolver"] = match answer.by.strip_prefix("device:") {
            Some(device) => json!({ "kind": "device", "id": device }),
            None => json!({ "kind": "system", "id": answer.by }),
        };
    }
    snapshot
}

/// The longest text of a rule that the protocol's shape takes.
const RULE_CHARS: usize = 512;

/// A standing rule in the shape of the protocol's grants. That shape was made for schedules: a rule
/// here holds for every run of the house, and its uses are not counted.
pub(crate) fn grant(rule: &StandingRule, agent: &str, asked: Option<&Question>) -> Value {
    let words = instar_protocol::approval::visible(&rule.words);
    let command: String = words.chars().take(RULE_CHARS).collect();
    json!({
        "grantId": rule.id,
        "mintedByApprovalId": asked.map_or(rule.id.as_str(), |question| question.id.as_str()),
        "agentId": asked.map_or(agent, |question| question.agent.as_str()),
        "cronJobId": "*",
        "cronJobName": null,
        "command": command,
        "cwd": null,
        "createdAtMs": rule.created_at,
        "expiresAtMs": rule.expires_at,
        "revokedAtMs": rule.revoked_at,
        "revokedBy": null,
        "lastUsedAtMs": null,
        "useCount": 0,
    })
}
