//! A connection after its handshake: one task reads and runs requests, one writes.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::json;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::frame::{self, Event, Refusal, Request};
use super::link::{Link, Outbox, Outgoing};
use super::method::{Call, Method};
use super::methods;
use super::socket::{Socket, ping, text};
use crate::app::AppState;

/// Requests of one connection that run at once. Others wait for none of them: they are refused.
const REQUESTS_MAX: usize = 64;
/// Between two pings.
const PING: Duration = Duration::from_secs(20);
/// How long the other side may be silent, pongs included.
const SILENCE_MAX: Duration = Duration::from_secs(65);
/// How long one frame may take to be written.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// How long the last frames may take when the connection is ended from this side.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Serves a connection until either side ends it.
pub(super) async fn talk(app: &AppState, socket: Socket, link: &Arc<Link>, outbox: Outbox) {
    let (sink, stream) = socket.split();
    let writing = tokio::spawn(write(sink, outbox, Arc::clone(link)));
    let mut running = JoinSet::new();
    read(app, stream, link, &mut running).await;
    // Whoever waited for an answer is gone.
    running.shutdown().await;
    link.close((1000, ""));
    if writing.await.is_err() {
        tracing::error!("the task that writes to a client panicked");
    }
}

async fn read(
    app: &AppState,
    mut stream: SplitStream<Socket>,
    link: &Arc<Link>,
    running: &mut JoinSet<()>,
) {
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            _why = link.cut() => return,
            () = app.closing.cancelled() => {
                let stopping = json!({ "reason": "the gateway stops" });
                link.tell(&Event::new("shutdown", &stopping));
                return link.close((1012, "service restart"));
            }
            () = tokio::time::sleep_until(heard + SILENCE_MAX) => {
                return link.close((1008, "no sign of life"));
            }
            Some(_) = running.join_next() => {}
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    heard = Instant::now();
                    take(app, link, running, &text);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => heard = Instant::now(),
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                    return link.close((1003, "text frames only"));
                }
                Some(Ok(Message::Close(_))) | None => return,
                Some(Err(error)) => {
                    tracing::debug!(%error, "a client's connection failed");
                    return link.close((1009, "frame refused"));
                }
            },
        }
    }
}

/// Begins one request.
fn take(app: &AppState, link: &Arc<Link>, running: &mut JoinSet<()>, text: &str) {
    let request = match frame::read(text) {
        frame::Read::Request(request) => request,
        frame::Read::Other => {
            let refusal = Refusal::invalid("invalid request frame");
            // An id that could be read would be answered; the protocol has no empty one.
            return link.reply("unreadable", &Err(refusal));
        }
        frame::Read::NotJson => return link.close((1008, "not JSON")),
    };
    let id = request.id.clone();
    let refuse = |refusal: Refusal| link.reply(&id, &Err(refusal));
    if running.len() >= REQUESTS_MAX {
        return refuse(Refusal::unavailable("too many requests at once").after(250));
    }
    let method = match allowed(link, &request) {
        Ok(method) => method,
        Err(refusal) => return refuse(refusal),
    };
    let call = Call {
        app: app.clone(),
        who: Arc::clone(&link.who),
        link: Arc::clone(link),
        method: method.name,
        id: request.id,
        params: request.params,
    };
    let link = Arc::clone(link);
    running.spawn(async move {
        let (id, name) = (call.id.clone(), call.method);
        let ran = AssertUnwindSafe((method.run)(call)).catch_unwind().await;
        let result = ran.unwrap_or_else(|_| {
            tracing::error!(method = name, "a method panicked");
            Err(Refusal::unavailable(
                "something went wrong inside; see `instar logs`",
            ))
        });
        link.reply(&id, &result);
    });
}

/// The method of a request, if there is one and its caller may call it.
fn allowed(link: &Link, request: &Request) -> Result<&'static Method, Refusal> {
    let name = &request.method;
    let method =
        methods::find(name).ok_or_else(|| Refusal::invalid(format!("unknown method: {name}")))?;
    let scope = method.need.of(&request.params);
    if link.who.may(scope) {
        return Ok(method);
    }
    let scope = scope.as_str();
    Err(
        Refusal::forbidden(format!("missing scope: {scope}")).details(json!({
            "code": "MISSING_SCOPE",
            "missingScope": scope,
            "requiredScopes": [scope],
        })),
    )
}

type Sink = SplitSink<Socket, Message>;

async fn write(mut sink: Sink, mut outbox: Outbox, link: Arc<Link>) {
    let mut seq = 0;
    let mut pings = tokio::time::interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let message = tokio::select! {
            biased;
            (code, reason) = link.cut() => return finish(&mut sink, &mut outbox, &mut seq, code, reason).await,
            outgoing = outbox.frames.recv() => match outgoing {
                Some(outgoing) => render(outgoing, &outbox, &mut seq),
                None => return,
            },
            _ = pings.tick() => ping(),
        };
        let written = tokio::select! {
            (code, reason) = link.cut() => return finish(&mut sink, &mut outbox, &mut seq, code, reason).await,
            written = tokio::time::timeout(WRITE_MAX, sink.send(message)) => written,
        };
        if !matches!(written, Ok(Ok(()))) {
            return link.close((1008, "slow consumer"));
        }
    }
}

/// Writes what waits, if that goes quickly, and says why the connection ends.
async fn finish(sink: &mut Sink, outbox: &mut Outbox, seq: &mut u64, code: u16, reason: &str) {
    let last = async {
        if code != 1008 {
            while let Ok(outgoing) = outbox.frames.try_recv() {
                let message = render(outgoing, outbox, seq);
                sink.send(message).await?;
            }
        }
        let close = CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        };
        sink.send(Message::Close(Some(close))).await
    };
    // Whoever does not read does not learn why.
    drop(tokio::time::timeout(FAREWELL_MAX, last).await);
}

fn render(outgoing: Outgoing, outbox: &Outbox, seq: &mut u64) -> Message {
    outbox.waiting.fetch_sub(outgoing.len(), Ordering::Relaxed);
    text(match outgoing {
        Outgoing::Frame(frame) => frame,
        Outgoing::Event(event) => {
            *seq += 1;
            event.numbered(*seq)
        }
    })
}
