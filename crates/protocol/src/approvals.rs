//! Questions, standing rules and receipts, as `/api/v1` shows them. Every text of a question is in
//! its visible form: a face prints it as it comes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::approval::{Answer, Question, QuestionState, ShownArgument, StandingRule, visible};
use crate::id::{QuestionId, RuleId, RunId};
use crate::principal::Principal;
use crate::receipt::StoredReceipt;
use crate::session::{AgentId, SessionKey};
use crate::time::Timestamp;
use crate::tool::Effect;

/// `GET /api/v1/approvals`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct QuestionList {
    pub questions: Vec<ShownQuestion>,
    /// How many wait for the owner, whatever was asked for.
    pub open: usize,
    /// How many got the owner's yes within a week, where they are many and the posture asks about every
    /// effect: then it is worth a look what another would ask. A gateway that runs says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<usize>,
}

/// A question as it is shown: `GET /api/v1/approvals/{id}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownQuestion {
    pub id: QuestionId,
    /// What an answer has to name: who answers shows by it which bytes he saw.
    pub digest: String,
    pub state: QuestionState,
    pub session: SessionKey,
    pub agent: AgentId,
    pub run: RunId,
    /// On whose behalf the call would be made.
    pub asked_for: String,
    pub tool: String,
    pub effect: Effect,
    /// The whole call, exactly.
    pub call: String,
    pub arguments: Vec<ShownArgument>,
    pub touches: Vec<String>,
    pub why: Vec<String>,
    /// Where the worst of what the model had read came from.
    pub context: String,
    /// The rule that "always" would keep, in words; absent where it is not offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<String>,
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

impl ShownQuestion {
    #[must_use]
    pub fn of(question: &Question) -> Self {
        let seen = |lines: &[String]| lines.iter().map(|line| visible(line)).collect();
        let arguments = question.arguments.iter().map(|argument| ShownArgument {
            path: visible(&argument.path),
            text: visible(&argument.text),
            grade: argument.grade.clone(),
            origin: visible(&argument.origin),
            source: argument.source.as_deref().map(visible),
        });
        let call = match &question.call.arguments {
            Value::String(text) => text.clone(),
            arguments => serde_json::to_string_pretty(arguments).unwrap_or_default(),
        };
        Self {
            id: question.id.clone(),
            digest: question.digest.clone(),
            state: question.state,
            session: question.key.clone(),
            agent: question.agent.clone(),
            run: question.run.clone(),
            asked_for: told(&question.principal),
            tool: visible(&question.call.name),
            effect: question.effect,
            call: unmarked(&call),
            arguments: arguments.collect(),
            touches: seen(&question.touches),
            why: seen(&question.why),
            context: question.context.origins.worst().to_owned(),
            always: question.always.as_ref().map(|rule| visible(&rule.words)),
            asked_at: question.asked_at,
            expires_at: question.expires_at,
            answer: question.answer.clone(),
        }
    }
}

/// JSON has its own marks for line breaks: those of its layout need none.
fn unmarked(json: &str) -> String {
    let lines: Vec<String> = json.lines().map(visible).collect();
    lines.join("\n")
}

fn told(principal: &Principal) -> String {
    match principal {
        Principal::Owner { .. } => "owner".to_owned(),
        Principal::Contact { id } => visible(&format!("contact {id}")),
        Principal::Stranger { id } => visible(&format!("stranger {id}")),
        Principal::Automation { source } => visible(&format!("automation {source}")),
    }
}

/// `POST /api/v1/approvals/{id}/answer`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerQuestion {
    /// The digest of what was shown.
    pub digest: String,
    pub answer: OwnersWord,
}

/// What the owner may say to a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnersWord {
    /// Yes, this once.
    Once,
    /// Yes, and keep the rule that is offered for its usual time.
    Always,
    /// Yes, and keep it without an end.
    Pinned,
    No,
}

impl OwnersWord {
    #[must_use]
    pub fn is_yes(self) -> bool {
        self != Self::No
    }

    #[must_use]
    pub fn keeps_a_rule(self) -> bool {
        matches!(self, Self::Always | Self::Pinned)
    }
}

/// `GET /api/v1/rules`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RuleList {
    pub rules: Vec<ShownRule>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownRule {
    pub id: RuleId,
    pub words: String,
    pub rule: Value,
    /// True if it counts now.
    pub holds: bool,
    pub created_at: Timestamp,
    pub created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl ShownRule {
    #[must_use]
    pub fn of(rule: StandingRule, now: Timestamp) -> Self {
        Self {
            holds: rule.holds_at(now),
            id: rule.id,
            words: visible(&rule.words),
            rule: rule.rule,
            created_at: rule.created_at,
            created_by: rule.created_by,
            expires_at: rule.expires_at,
            revoked_at: rule.revoked_at,
        }
    }
}

/// `GET /api/v1/audit/receipts`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReceiptPage {
    /// The newest first.
    pub receipts: Vec<StoredReceipt>,
    /// What `before` has to be for those behind; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_a_call_is_not_marked_and_what_hides_in_it_is() {
        let call = serde_json::json!({ "text": "x\ny", "to": "a\u{202e}b" });
        let shown = unmarked(&serde_json::to_string_pretty(&call).unwrap());
        assert_eq!(
            shown,
            "{\n  \"text\": \"x\\ny\",\n  \"to\": \"a⟦U+202E⟧b\"\n}"
        );
    }
}
