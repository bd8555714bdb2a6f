//! `instar acp`: the agent of an editor, over the Agent Client Protocol on standard input and output.
//!
//! One session of the editor is one conversation of the gateway, under a key `agent:<id>:acp:<uuid>`
//! that is also the session's id: it can be loaded again after this process or the gateway was
//! started anew. Nothing of a session is kept here but the model that was chosen and whether its
//! turn was cancelled. [`prompt`] turns what the editor sends into a message, [`update`] what
//! happens into what the editor shows.

mod desk;

mod prompt;
mod update;

use std::future::Future;
use std::sync::Arc;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::schema::{
    AgentCapabilities, AuthenticateRequest, AuthenticateResponse, CancelNotification,
    CloseSessionRequest, CloseSessionResponse, Implementation, InitializeRequest,
    InitializeResponse, LoadSessionRequest, NewSessionRequest, PromptCapabilities, PromptRequest,
    ResumeSessionRequest, SessionCapabilities, SessionCloseCapabilities, SessionResumeCapabilities,
    SetSessionConfigOptionRequest,
};
use agent_client_protocol::v1::{ConnectionTo, Responder};
use agent_client_protocol::{
    Agent, Client as Editor, Error, JsonRpcResponse, Lines, on_receive_notification,
    on_receive_request,
};
use futures_util::{sink, stream};
use tokio::sync::mpsc;

use crate::args::Acp;
use crate::client::Client;
use crate::context::Context;
use crate::lines::{self, Line, Writer};
use desk::Desk;

/// Speaks the protocol until the editor closes its end.
pub(crate) async fn run(command: &Acp, run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    // An editor that starts this without a gateway shows why, and what to do, at once.
    drop(Client::require(&state)?);
    let desk = Arc::new(Desk::new(state, command.agent.clone()));
    let writer = Writer::start();
    let outgoing = sink::unfold(writer.lines.clone(), |lines, line: String| async move {
        let sent = lines.send(line).await;
        sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        Ok(lines)
    });
    let incoming = stream::unfold(lines::reader(), |mut lines| async move {
        let line = next(&mut lines).await?;
        Some((Ok(line), lines))
    });
    let ended = serve(desk, Lines::new(outgoing, incoming)).await;
    writer.finish();
    ended.map_err(|error| anyhow::anyhow!("the editor's connection failed: {error}"))
}

/// What is no text becomes a line that is no message: the protocol answers it with an error.
async fn next(lines: &mut mpsc::Receiver<Line>) -> Option<String> {
    Some(match lines.recv().await? {
        Line::Text(text) => text,
        Line::TooLong => format!("(a line longer than {} bytes)", lines::LINE_BYTES_MAX),
        Line::NotText => "(a line that is not UTF-8)".to_owned(),
    })
}

async fn serve(
    desk: Arc<Desk>,
    pipes: impl agent_client_protocol::ConnectTo<Agent>,
) -> Result<(), Error> {
    let desks = || Arc::clone(&desk);
    let (opening, loading, resuming, closing) = (desks(), desks(), desks(), desks());
    let (choosing, prompting, cancelling) = (desks(), desks(), desks());
    Agent
        .v1()
        .name("instar")
        .on_receive_request(
            async move |_: InitializeRequest, responder, _| responder.respond(greeting()),
            on_receive_request!(),
        )
        .on_receive_request(
            // Nothing is asked for: the gateway's run file is what proves who started this.
            async move |_: AuthenticateRequest, responder, _| {
                responder.respond(AuthenticateResponse::new())
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |_: NewSessionRequest, responder, editor: ConnectionTo<Editor>| {
                let desk = Arc::clone(&opening);
                let shown = editor.clone();
                editor.spawn(async move {
                    match desk.open().await {
                        Ok(opened) => {
                            let session = opened.session_id.clone();
                            responder.respond(opened)?;
                            shown.send_notification(update::commands(session))
                        }
                        Err(error) => responder.respond_with_error(error),
                    }
                })
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |asked: LoadSessionRequest, responder, editor: ConnectionTo<Editor>| {
                let desk = Arc::clone(&loading);
                let shown = editor.clone();
                editor.spawn(async move {
                    let session = asked.session_id.clone();
                    match desk.load(asked.session_id, &shown).await {
                        Ok(loaded) => {
                            responder.respond(loaded)?;
                            shown.send_notification(update::commands(session))
                        }
                        Err(error) => responder.respond_with_error(error),
                    }
                })
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |asked: ResumeSessionRequest, responder, editor: ConnectionTo<Editor>| {
                let desk = Arc::clone(&resuming);
                let work = async move { desk.resume(asked.session_id).await };
                answer(&editor, responder, work)
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |asked: CloseSessionRequest, responder, editor: ConnectionTo<Editor>| {
                let desk = Arc::clone(&closing);
                let work = async move {
                    desk.close(&asked.session_id).await?;
                    Ok(CloseSessionResponse::new())
                };
                answer(&editor, responder, work)
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |asked: SetSessionConfigOptionRequest,
                        responder,
                        editor: ConnectionTo<Editor>| {
                let desk = Arc::clone(&choosing);
                let work = async move { desk.choose(asked).await };
                answer(&editor, responder, work)
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |asked: PromptRequest, responder, editor: ConnectionTo<Editor>| {
                let desk = Arc::clone(&prompting);
                let shown = editor.clone();
                let work = async move { desk.prompt(asked, &shown).await };
                answer(&editor, responder, work)
            },
            on_receive_request!(),
        )
        .on_receive_notification(
            async move |asked: CancelNotification, editor: ConnectionTo<Editor>| {
                let desk = Arc::clone(&cancelling);
                editor.spawn(async move {
                    // A prompt that cannot be stopped says so itself, with its own error.
                    let _stopped = desk.cancel(&asked.session_id).await;
                    Ok(())
                })
            },
            on_receive_notification!(),
        )
        .connect_to(pipes)
        .await
}

/// Answers from a task of its own, so that the next message is read meanwhile.
fn answer<T: JsonRpcResponse + Send + 'static>(
    editor: &ConnectionTo<Editor>,
    responder: Responder<T>,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<(), Error> {
    editor.spawn(async move { responder.respond_with_result(work.await) })
}

fn greeting() -> InitializeResponse {
    let prompts = PromptCapabilities::new().image(true).embedded_context(true);
    let sessions = SessionCapabilities::new()
        .resume(SessionResumeCapabilities::new())
        .close(SessionCloseCapabilities::new());
    let abilities = AgentCapabilities::new()
        .load_session(true)
        .prompt_capabilities(prompts)
        .session_capabilities(sessions);
    InitializeResponse::new(ProtocolVersion::V1)
        .agent_capabilities(abilities)
        .agent_info(Implementation::new("instar", env!("CARGO_PKG_VERSION")))
}
