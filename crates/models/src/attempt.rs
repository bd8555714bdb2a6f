//! One try at one model: send, read the stream, hand events on. Everything here is bounded in time
//! and bytes, and ends when the call is cancelled.

use crate::catalog::{ModelFacts, Provider};
use crate::codec::{Decoder, Encoded, Images, encode};
use crate::config::Api;
use crate::error::Failure;
use crate::gather::{Gathered, tokens_of};
use crate::models::{Call, Inner};
use crate::{price, retry};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use instar_egress::{Incoming, Outgoing, Purpose};
use instar_protocol::event::ErrorClass;
use instar_protocol::message::Part;
use instar_protocol::model::{LocalModel, ModelEvent, ModelMessage, ModelRef, Usage};
use instar_protocol::{ObjectHash, Secret};
use std::future::Future;
use std::time::Duration;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer that has not ended after so many bytes never will.
const STREAM_BYTES_MAX: usize = 64 * 1024 * 1024;
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// What a picture is taken to cost where no vendor has counted.
const IMAGE_TOKENS: u64 = 1_000;
const IMAGES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How much of an answer's end is read so that the connection can be used again.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
const DRAINS_MAX: usize = 32;
/// The end of an answer follows its last event within microseconds, or the server keeps it back.
const DRAIN_INLINE: Duration = Duration::from_millis(2);

pub(crate) type OnEvent<'e> = &'e mut (dyn FnMut(&ModelEvent) + Send);

/// Waits for a step of a call; ends with the call's token or deadline.
pub(crate) async fn guard<T>(call: &Call<'_>, step: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => Err(Failure::new(ErrorClass::Cancelled, "the call was stopped")),
        done = step => Ok(done),
        () = tokio::time::sleep_until(call.deadline) => {
            Err(Failure::new(ErrorClass::Timeout, "the call's deadline passed"))
        }
    }
}

/// A model in this process: its events at their pauses.
pub(crate) async fn local(
    model: &ModelRef,
    local: &dyn LocalModel,
    call: &Call<'_>,
    gathered: &mut Gathered,
    on_event: OnEvent<'_>,
) -> Result<(), Failure> {
    for (pause, event) in local.answer(model.model(), call.request) {
        if call.cancel.is_cancelled() || pause > 0 {
            guard(call, tokio::time::sleep(Duration::from_millis(pause))).await?;
        }
        gathered.add(&event);
        on_event(&event);
        if gathered.end().is_some() {
            return Ok(());
        }
    }
    Err(Failure::new(
        ErrorClass::Malformed,
        "the local model's answer has no end",
    ))
}

/// A request that is ready to be sent.
pub(crate) struct Prepared {
    request: Outgoing,
    /// Our estimate of its tokens.
    tokens: u64,
    /// What must not be read in an error.
    secrets: Vec<Secret>,
    /// What the answer is written in.
    api: Api,
}

impl Prepared {
    /// What the call may come to cost, in micro-dollars, if the answer is as long as it may be.
    pub(crate) fn most_micros(&self, facts: &ModelFacts, asked: Option<u32>) -> u64 {
        let usage = Usage {
            input_tokens: self.tokens,
            output_tokens: asked.map_or(facts.max_tokens, u64::from),
            ..Usage::default()
        };
        let cost = facts.cost.as_ref();
        cost.map_or(0, |cost| price::cost_micros(cost, usage))
    }
}

/// Writes the request for a model behind HTTP.
pub(crate) async fn prepare(
    inner: &Inner,
    provider: &Provider,
    model: &ModelRef,
    call: &Call<'_>,
) -> Result<Prepared, Failure> {
    let key = provider.secret(&inner.parts).map_err(|why| {
        let message = format!("There is no key for {} that can be used.", provider.name);
        Failure::new(ErrorClass::Auth, why).saying(message)
    })?;
    let facts = provider.facts(model.model());
    let images = guard(call, images(inner, call, facts.pictures)).await??;
    let body = encode(
        provider.api,
        Encoded {
            model: model.model(),
            request: call.request,
            images: &images,
            quirks: &provider.quirks,
            max_tokens: facts.max_tokens,
            context_window: facts.own_window,
            reasoning: facts.reasoning,
        },
    )
    .map_err(|error| {
        Failure::new(
            ErrorClass::Internal,
            format!("cannot write the request: {error}"),
        )
    })?;
    let pictures: usize = images.values().map(String::len).sum();
    let words = tokens_of(body.len().saturating_sub(pictures));
    Ok(Prepared {
        tokens: words.saturating_add(IMAGE_TOKENS.saturating_mul(images.len() as u64)),
        secrets: provider.secrets(key.as_ref()),
        api: provider.api,
        request: outgoing(
            provider,
            key.as_ref(),
            Method::POST,
            provider.endpoint.clone(),
            body.into(),
        ),
    })
}

/// A model behind HTTP: `stall` bounds the silence within its answer.
pub(crate) async fn remote(
    inner: &Inner,
    stall: Duration,
    prepared: Prepared,
    call: &Call<'_>,
    gathered: &mut Gathered,
    on_event: OnEvent<'_>,
) -> Result<(), Failure> {
    let Prepared {
        request,
        tokens,
        secrets,
        api,
    } = prepared;
    // Stopped while it waits, the request may have been read by then.
    gathered.sent_tokens = Some(tokens);
    let sent = guard(call, inner.egress.send(request)).await?;
    let answer = sent.map_err(|error| {
        gathered.sent_tokens = None;
        Failure::egress(&error)
    })?;
    if !answer.status.is_success() {
        gathered.sent_tokens = None;
        return Err(refused(inner, call, answer, &secrets).await);
    }
    stream(
        inner, stall, api, call, answer, &secrets, gathered, on_event,
    )
    .await
}

/// A request to a provider, with its headers and its key.
pub(crate) fn outgoing(
    provider: &Provider,
    key: Option<&Secret>,
    method: Method,
    url: url::Url,
    body: Bytes,
) -> Outgoing {
    let mut headers = HeaderMap::new();
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("text/event-stream, application/json"),
    );
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if provider.api == Api::AnthropicMessages {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    headers.extend(provider.headers.clone());
    Outgoing {
        purpose: Purpose::Model {
            local: provider.local.clone(),
        },
        method,
        url,
        headers,
        credential: key.and_then(|key| provider.credential(key)),
        body,
        connect_timeout: CONNECT_TIMEOUT,
        head_timeout: provider.head_timeout,
    }
}

async fn refused(inner: &Inner, call: &Call<'_>, answer: Incoming, secrets: &[Secret]) -> Failure {
    let status = answer.status.as_u16();
    let after = retry::retry_after(&answer.headers, inner.parts.clock.now().millis());
    let body = guard(call, answer.read(ERROR_BYTES_MAX, Duration::from_secs(5))).await;
    match body {
        Ok(body) => Failure::status(status, &body.unwrap_or_default(), after, secrets),
        Err(stopped) => stopped,
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one loop, used once"
)]
async fn stream(
    inner: &Inner,
    stall: Duration,
    api: Api,
    call: &Call<'_>,
    mut answer: Incoming,
    secrets: &[Secret],
    gathered: &mut Gathered,
    on_event: OnEvent<'_>,
) -> Result<(), Failure> {
    let mut decoder = Decoder::new(api, retry::random());
    let mut events = Vec::new();
    let mut bytes = 0;
    loop {
        let piece = guard(call, answer.chunk(stall)).await?;
        let piece = piece.map_err(|error| Failure::egress(&error))?;
        let done = match &piece {
            Some(piece) => {
                bytes += piece.len();
                decoder.push(piece, &mut events)
            }
            None => decoder.finish(&mut events),
        };
        gathered.seen = decoder.usage();
        for event in events.drain(..) {
            gathered.add(&event);
            on_event(&event);
        }
        done.map_err(|error| Failure::decode(&error, secrets))?;
        if gathered.end().is_some() {
            if piece.is_some() {
                drain(inner, answer).await;
            }
            return Ok(());
        }
        if piece.is_none() {
            return Err(Failure::new(
                ErrorClass::Network,
                "the answer ended before it was complete",
            ));
        }
        if bytes > STREAM_BYTES_MAX {
            return Err(Failure::new(
                ErrorClass::Malformed,
                "the answer does not end",
            ));
        }
    }
}

/// Reads the end of an answer, so that its connection goes back to the pool before the next call
/// wants one. It mostly came with the last event; what did not is read aside.
async fn drain(inner: &Inner, mut answer: Incoming) {
    let end = async {
        // The last event was seen, so one piece more is all that a sound server has to say.
        while let Ok(Some(_)) = answer.chunk(DRAIN_INLINE).await {}
    };
    if tokio::time::timeout(DRAIN_INLINE, end).await.is_ok() {
        return;
    }
    if inner.drains.len() >= DRAINS_MAX {
        return;
    }
    inner.drains.spawn(async move {
        let mut bytes = 0;
        while let Ok(Some(piece)) = answer.chunk(Duration::from_secs(1)).await {
            bytes += piece.len();
            if bytes > DRAIN_BYTES_MAX {
                return;
            }
        }
    });
}

/// The request's images in base 64. Those that people sent are left out only where the model is known
/// to take none; those of tools go along only where it is known to take them, so that looking at
/// something never ends a turn that words alone would have carried.
async fn images(inner: &Inner, call: &Call<'_>, takes: Option<bool>) -> Result<Images, Failure> {
    let mut images = Images::new();
    let mut bytes = 0;
    if takes == Some(false) {
        return Ok(images);
    }
    for object in sent_along(call) {
        if images.contains_key(object) {
            continue;
        }
        let data = inner.parts.objects.object(object).await.map_err(|why| {
            Failure::new(
                ErrorClass::Storage,
                format!("cannot read image {object}: {why}"),
            )
        })?;
        bytes += data.len();
        if bytes > IMAGES_BYTES_MAX {
            return Err(Failure::new(
                ErrorClass::ContextLength,
                "the images are larger than 32 MiB together",
            ));
        }
        images.insert(object.clone(), base64(&data));
    }
    if takes.is_none() {
        return Ok(images);
    }
    for object in shown_by_tools(call) {
        if images.contains_key(object) {
            continue;
        }
        // What is gone, or does not fit, is named in words.
        let Ok(data) = inner.parts.objects.object(object).await else {
            continue;
        };
        if bytes + data.len() <= IMAGES_BYTES_MAX {
            bytes += data.len();
            images.insert(object.clone(), base64(&data));
        }
    }
    Ok(images)
}

fn base64(data: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(data)
}

/// The images of people's messages.
fn sent_along<'a>(call: &Call<'a>) -> impl Iterator<Item = &'a ObjectHash> {
    let messages = call.request.messages.iter();
    messages.flat_map(|message| match message {
        ModelMessage::User { parts } => objects(parts),
        ModelMessage::Assistant { .. } | ModelMessage::Tool { .. } => objects(&[]),
    })
}

/// The images of results, the newest first.
fn shown_by_tools<'a>(call: &Call<'a>) -> impl Iterator<Item = &'a ObjectHash> {
    let messages = call.request.messages.iter().rev();
    messages.flat_map(|message| match message {
        ModelMessage::Tool { attached, .. } => objects(attached),
        ModelMessage::Assistant { .. } | ModelMessage::User { .. } => objects(&[]),
    })
}

fn objects(parts: &[Part]) -> impl Iterator<Item = &ObjectHash> {
    parts.iter().filter_map(|part| match part {
        Part::Image { object, .. } => Some(object),
        Part::Text { .. } | Part::File { .. } => None,
    })
}
