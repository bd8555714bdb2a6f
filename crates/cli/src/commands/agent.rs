//! `instar agent --message`: one message, its answer streamed as it comes.

use http::Method;
use instar_protocol::api::SendMessage;
use instar_protocol::live::{LiveEvent, Outcome, OutcomeStatus};
use instar_protocol::tool::ToolDecision;
use serde::Serialize;
use std::io::Read;

use crate::args::Agent;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, visible};

const MESSAGE_BYTES_MAX: u64 = 1 << 20;

pub(crate) async fn run(command: &Agent, run: &Context) -> anyhow::Result<()> {
    let text = if command.message == "-" {
        let mut text = String::new();
        let _read = std::io::stdin()
            .lock()
            .take(MESSAGE_BYTES_MAX)
            .read_to_string(&mut text)?;
        text
    } else {
        command.message.clone()
    };
    say(command, text, run).await
}

/// Sends the text in the place of the command's own and prints the answer as it comes.
pub(crate) async fn say(command: &Agent, text: String, run: &Context) -> anyhow::Result<()> {
    let body = SendMessage {
        session: Some(command.session.clone()),
        text,
        idempotency_key: None,
        model: command.model.clone(),
        attachments: Vec::new(),
        attachments_of: None,
        parent: None,
    };
    follow("/api/v1/messages", &body, run).await
}

/// Asks for an answer and prints it as it comes.
pub(super) async fn follow(path: &str, body: &impl Serialize, run: &Context) -> anyhow::Result<()> {
    let body = serde_json::to_vec(body)?;
    let client = run.client()?;
    let mut stream = client.stream(Method::POST, path, Some(body)).await?;
    let mut shown = String::new();
    while let Some(data) = stream.next().await? {
        // The first event is the acknowledgement; it has no `type`.
        let Ok(event) = serde_json::from_str::<LiveEvent>(&data) else {
            continue;
        };
        if let LiveEvent::Done { outcome, .. } = &event {
            return finish(outcome, &shown, run);
        }
        if !run.out.json() {
            show(&event, &mut shown, run);
        }
    }
    Err(Failure::new(
        Code::NoGateway,
        "the gateway closed the connection before the answer was done",
    )
    .next("the message is stored and will be answered; see `instar sessions show`")
    .into())
}

fn show(event: &LiveEvent, shown: &mut String, run: &Context) {
    match event {
        LiveEvent::Text { delta, .. } => {
            let delta = visible(delta);
            run.out.piece(&delta);
            shown.push_str(&delta);
        }
        LiveEvent::ToolCall { call, .. } => {
            run.out.note(
                &run.out
                    .paint(Style::Faint, &format!("[asks for {}]", visible(&call.name))),
            );
        }
        LiveEvent::ToolResult {
            decision: ToolDecision::Denied { reason, .. },
            ..
        } => {
            run.out.note(
                &run.out
                    .paint(Style::Warn, &format!("[refused: {}]", visible(reason))),
            );
        }
        LiveEvent::Notice { text, .. } => run.out.note(&visible(text)),
        LiveEvent::Accepted { .. }
        | LiveEvent::Started { .. }
        | LiveEvent::Moved { .. }
        | LiveEvent::Reasoning { .. }
        | LiveEvent::ToolResult { .. }
        | LiveEvent::Stored { .. }
        | LiveEvent::Done { .. } => {}
    }
}

fn finish(outcome: &Outcome, shown: &str, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        run.out.value(outcome)?;
    } else if shown.is_empty() && !outcome.text.is_empty() {
        run.out.line(&visible(&outcome.text));
    } else if !shown.is_empty() && !shown.ends_with('\n') {
        run.out.line("");
    }
    match (&outcome.error, outcome.status) {
        (Some(error), _) => Err(Failure::new(Code::Failed, visible(&error.message))
            .next(visible(&error.next_step))
            .into()),
        (None, OutcomeStatus::Aborted) => {
            Err(Failure::new(Code::Failed, "the turn was stopped").into())
        }
        (None, _) => Ok(()),
    }
}
