//! Questions in words in the shapes of the protocol.

use instar_protocol::letter::{Letter, LetterState, Said, ShownLetter};
use serde_json::{Value, json};

/// The protocol has several questions in one record; here it is one.
pub(crate) const ONE: &str = "q1";
/// The most characters of the line over a question.
const HEADER_CHARS: usize = 12;

fn status(letter: &Letter) -> &'static str {
    match letter.state {
        LetterState::Open => "pending",
        LetterState::Answered | LetterState::Delivered => "answered",
        LetterState::Closed => "cancelled",
        LetterState::Expired => "expired",
    }
}

/// What was answered, where it was.
fn answers(letter: &Letter, shown: &ShownLetter) -> Option<Value> {
    let said = match &letter.reply.as_ref()?.said {
        Said::Typed(text) => text.clone(),
        Said::Picked(at) => shown.options.get(*at)?.clone(),
    };
    Some(json!({ "answers": { ONE: [said] } }))
}

/// A question for whoever is about to answer it, and what became of it.
pub(crate) fn shown(letter: &Letter) -> Value {
    let shown = ShownLetter::of(letter);
    let options = shown.options.iter().map(|label| json!({ "label": label }));
    let header: String = shown.agent.as_str().chars().take(HEADER_CHARS).collect();
    let mut value = json!({
        "id": shown.id,
        "questions": [{
            "questionId": ONE,
            "header": header,
            "question": shown.text,
            "options": options.collect::<Vec<_>>(),
            "isOther": true,
        }],
        "status": status(letter),
        "agentId": shown.agent,
        "sessionKey": shown.session,
        "runId": shown.run,
        "createdAtMs": shown.at,
        "expiresAtMs": shown.expires_at.unwrap_or(shown.at),
    });
    if let Some(answers) = answers(letter, &shown) {
        value["answers"] = answers;
    }
    if let Some(reply) = &shown.reply {
        value["resolvedBy"] = json!(reply.by);
    }
    value
}

/// How it stands: the answer of `question.resolve` and of `question.waitAnswer`.
pub(crate) fn standing(letter: &Letter) -> Value {
    let mut value = json!({ "status": status(letter) });
    if let Some(answers) = answers(letter, &ShownLetter::of(letter)) {
        value["answers"] = answers;
    }
    value
}

/// What `question.resolved` tells.
pub(crate) fn settled(letter: &Letter) -> Value {
    let mut value = standing(letter);
    value["id"] = json!(letter.id);
    value
}
