//! A question to the owner, in the words and the order in which every face of the terminal shows it.

use instar_protocol::Timestamp;
use instar_protocol::approval::QuestionState;
use instar_protocol::approvals::{AnswerQuestion, OwnersWord, ShownQuestion};

use crate::client::Client;
use crate::commands::events::escape;
use crate::out::{Style, ago, span};

/// One thing that an answer should be based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Empty where it says more about the one before.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) style: Style,
}

pub(crate) fn asks(question: &ShownQuestion) -> String {
    format!("May {} run this?", question.agent)
}

pub(crate) fn state_of(question: &ShownQuestion, now: Timestamp) -> (Style, String) {
    match question.state {
        QuestionState::Open if now < question.expires_at => {
            let left = span(question.expires_at.since(now));
            (Style::Warn, format!("waits, {left} left"))
        }
        QuestionState::Open => (Style::Faint, "expired".to_owned()),
        QuestionState::Approved | QuestionState::Used => {
            (Style::Good, question.state.name().to_owned())
        }
        QuestionState::Denied => (Style::Bad, question.state.name().to_owned()),
        QuestionState::Expired | QuestionState::Void => {
            (Style::Faint, question.state.name().to_owned())
        }
    }
}

/// Everything there is to know of it. Nothing is cut.
pub(crate) fn facts(question: &ShownQuestion, now: Timestamp) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut styled = |name: &str, text: String, style| {
        let name = name.to_owned();
        facts.push(Fact { name, text, style });
    };
    let tool = format!("{} ({:?})", question.tool, question.effect);
    styled("tool", tool.to_lowercase(), Style::Plain);
    styled("call", question.call.clone(), Style::Plain);
    for argument in &question.arguments {
        styled(&argument.path, argument.text.clone(), Style::Plain);
        let grade = match argument.grade.as_str() {
            "" => String::new(),
            grade => format!("{grade}, "),
        };
        let source = argument.source.as_deref().unwrap_or("no source line");
        let told = format!("{grade}{}: {source}", argument.origin);
        styled("", told, Style::Faint);
    }
    let mut line = |name: &str, text: &str| styled(name, text.to_owned(), Style::Plain);
    for touched in &question.touches {
        line("touches", touched);
    }
    for why in &question.why {
        line("why", why);
    }
    line("read before", &question.context);
    line("conversation", question.session.as_str());
    line("asked for", &question.asked_for);
    line("asked", &ago(question.asked_at, now));
    let (style, state) = state_of(question, now);
    styled("state", state, style);
    let mut line = |name: &str, text: &str| styled(name, text.to_owned(), Style::Plain);
    if let Some(answer) = &question.answer {
        let word = if answer.approved { "yes" } else { "no" };
        let told = format!("{word}, {}, {}", answer.by, ago(answer.at, now));
        line("answer", &told);
    }
    if question.state == QuestionState::Open {
        let always = question.always.as_deref();
        line("always", always.unwrap_or("not offered for this"));
        line("id", question.id.as_str());
        line("digest", &question.digest);
    }
    facts
}

/// Answers a question whose bytes were shown.
pub(crate) async fn answer(
    client: &Client,
    question: &ShownQuestion,
    word: OwnersWord,
) -> anyhow::Result<ShownQuestion> {
    let path = format!("/api/v1/approvals/{}/answer", escape(question.id.as_str()));
    let body = AnswerQuestion {
        digest: question.digest.clone(),
        answer: word,
    };
    client.post(&path, &body).await
}

/// What became of it, in a line.
pub(crate) fn settled(question: &ShownQuestion, word: OwnersWord) -> String {
    let rule = question
        .answer
        .as_ref()
        .and_then(|answer| answer.rule.as_ref());
    match (word, rule) {
        (OwnersWord::No, _) => format!("no: {} does not run", question.tool),
        (_, None) => format!(
            "yes, once: {} may run with exactly these arguments",
            question.tool
        ),
        (_, Some(rule)) => {
            format!("yes, and the rule {rule} was kept; `instar approvals rules` lists it")
        }
    }
}
