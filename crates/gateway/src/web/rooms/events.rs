//! The event log: filtered, and live.

use axum::extract::{Query, State};
use instar_protocol::event::{Event, EventKind};
use instar_store::EventFilter;
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::queries::find_session;
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::frame::{Frame, Tab, empty, moment};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

const ROWS: usize = 100;
/// Characters of one field on the line of its event; the whole is behind it.
const VALUE_CHARS_MAX: usize = 160;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    kind: String,
    session: String,
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let kind = EventKind::NAMES
        .into_iter()
        .find(|kind| *kind == asked.kind);
    let session = match asked.session.trim() {
        "" => None,
        name => Some(
            find_session(&app.store, name)
                .await
                .map_err(ApiProblem::from)?
                .id,
        ),
    };
    let filter = EventFilter {
        kind: kind.map(str::to_owned),
        session: session.clone(),
        limit: ROWS,
        ..EventFilter::default()
    };
    let events = app.store.events(filter).await.map_err(ApiProblem::from)?;
    let mut stream = "/api/v1/events?limit=0".to_owned();
    if let Some(kind) = kind {
        stream.push_str("&kind=");
        stream.push_str(kind);
    }
    if let Some(session) = &session {
        stream.push_str("&session=");
        stream.push_str(session.as_str());
    }
    let body = html! {
        form class="tools" method="get" {
            label { (words.kind) " " select name="kind" {
                option value="" { (words.all) }
                @for one in EventKind::NAMES { option value=(one) selected[Some(one) == kind] { (one) } }
            } }
            label { (words.session) " " input name="session" value=(asked.session) placeholder="main" maxlength="200" data-search=""; }
            button { (words.show) }
            (live(words))
        }
        @if events.is_empty() { (empty(words.no_events, words.no_events_do)) }
        div class="wide" tabindex="0" { table class="rows live" data-live=(stream) data-shape="event" {
            thead { tr { th scope="col" { (words.when) } th scope="col" { (words.kind) } th scope="col" { (words.what) } } }
            tbody { @for event in &events { (line(event)) } }
        } }
    };
    Ok(Frame::new(&app, words, Tab::Events).await.around(&body))
}

/// The switch of a page that grows by itself.
pub(super) fn live(words: &Words) -> Markup {
    html! {
        span class="live-switch" {
            button type="button" data-pause="" data-words-pause=(words.pause) data-words-resume=(words.resume) aria-pressed="false" { (words.pause) }
            span class="soft" role="status" data-live-state="" data-words-paused=(words.paused) data-words-following=(words.following) { (words.following) }
        }
    }
}

fn line(event: &Event) -> Markup {
    let mut body = serde_json::to_value(event).unwrap_or_default();
    let told = summary(&mut body);
    html! {
        tr {
            td { (moment(event.at)) }
            td { code { (event.kind.name()) } }
            td class="main" {
                details { summary { (told) } pre { (serde_json::to_string_pretty(event).unwrap_or_default()) } }
            }
        }
    }
}

/// The event's own fields on one line, as the live rows of the page's script show them.
fn summary(body: &mut serde_json::Value) -> String {
    const HIDDEN: [&str; 8] = [
        "id", "at", "session", "run", "release", "arm", "label", "kind",
    ];
    let Some(fields) = body.as_object_mut() else {
        return String::new();
    };
    fields.retain(|name, _| !HIDDEN.contains(&name.as_str()));
    let mut told = Vec::new();
    for (name, value) in fields.iter() {
        match value.as_object() {
            // What is nested is told by its own names; what is nothing is not told.
            Some(inner) => told.extend(inner.iter().filter_map(|(name, value)| one(name, value))),
            None => told.extend(one(name, value)),
        }
    }
    told.join(" · ")
}

fn one(name: &str, value: &serde_json::Value) -> Option<String> {
    if value.is_null()
        || *value == 0
        || *value == false
        || value.as_array().is_some_and(Vec::is_empty)
    {
        return None;
    }
    let value: String = told(value).chars().take(VALUE_CHARS_MAX).collect();
    Some(format!("{} {value}", name.replace('_', " ")))
}

/// A value in words: what a list holds one after the other, what a row is about first.
fn told(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(told).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let about = fields.get("model").map(told);
            let rest = fields.iter().filter(|(name, _)| *name != "model");
            let rest = rest.filter_map(|(name, value)| match name.as_str() {
                "millis" => Some(format!("{value} ms")),
                name => one(name, value),
            });
            about.into_iter().chain(rest).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_with_its_attempts_is_told_in_words() {
        let mut event = serde_json::json!({
            "id": "x", "kind": "model_call", "model": "b/y", "cost_micros": 0,
            "attempts": [
                { "model": "a/x", "millis": 12, "failure": "overloaded", "usage": { "input_tokens": 0 } },
                { "model": "b/y", "millis": 40, "usage": { "input_tokens": 7 } },
            ],
        });
        let line = summary(&mut event);
        for part in [
            "attempts a/x",
            "failure overloaded",
            "12 ms",
            ", b/y",
            "input tokens 7",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!line.contains(['{', '[', '"']), "{line}");
    }
}
