//! Changing one key: the form, what it would change, and the write.

use std::time::Duration;

use axum::Form;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use instar_config::{Author, ConfigError, KeyPath, Preview, Writing, parse_value, place, put_key};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::blocking;
use super::keys::{Key, key};
use super::list::{docs, source, typed};
use crate::app::AppState;
use crate::config::{InstarConfig, is_secret, needs_restart};
use crate::door::{Caller, FORM_FIELD, form_token};
use crate::problem::ApiProblem;
use crate::web::frame::{Frame, Tab};
use crate::web::pages::Refused;
use crate::web::rooms::sessions::encoded;
use crate::web::words::Words;

/// Lines that stay the same, shown around those that change.
const LINES_AROUND: usize = 3;
/// Lines of a change that are shown.
const LINES_MAX: usize = 400;
/// How long the next page waits for a change to be in force, so that it shows the new value.
const IN_FORCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Deserialize, Debug)]
pub(in crate::web::rooms) struct Open {
    path: String,
    /// A value that another page proposes; it is written only as every other.
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    done: Option<String>,
}

/// What the forms send. The first field, the form's token, was checked at the door.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(in crate::web::rooms) struct Change {
    path: String,
    value: String,
    /// `unset` removes the key.
    action: String,
    /// The file that was shown.
    seen: String,
}

impl Change {
    /// The value that is asked for; none to remove the key.
    fn value(&self) -> Result<Option<Value>, ConfigError> {
        if self.action == "unset" {
            return Ok(None);
        }
        // Browsers send the lines of a text with carriage returns.
        let text = self.value.replace("\r\n", "\n");
        parse_value::<InstarConfig>(&self.path, &text).map(Some)
    }
}

/// Who asks, in which language, with which token for the next form.
pub(in crate::web::rooms) struct Asker {
    app: AppState,
    words: &'static Words,
    token: String,
}

impl FromRequestParts<AppState> for Asker {
    type Rejection = Refused;

    /// Somebody who may see the page, with what its forms need.
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Refused> {
        let _caller = Caller::from_request_parts(parts, app).await?;
        let token = form_token(&parts.headers).ok_or_else(ApiProblem::internal)?;
        Ok(Self {
            app: app.clone(),
            words: Words::of(&parts.headers),
            token,
        })
    }
}

impl Asker {
    async fn page(&self, title: &str, body: &Markup) -> Markup {
        Frame::new(&self.app, self.words, Tab::Config)
            .await
            .titled(title)
            .around(body)
    }

    async fn key(&self, path: &str) -> Result<Key, ApiProblem> {
        let unknown = || ApiProblem::not_found("there is no such key").next("see them on /config");
        let path = KeyPath::parse(path).map_err(|_| unknown())?;
        let app = self.app.clone();
        blocking(move || key(&app, &path))
            .await?
            .ok_or_else(unknown)
    }

    async fn refused(&self, key: &Key, change: &Change, error: &ConfigError) -> Response {
        let told = html! {
            div class="trouble" role="alert" { (self.words.config_refused) " " (explain(self.words, error)) }
        };
        let typed = (!key.is_secret()).then_some(change.value.as_str());
        let body = form(self, key, typed, Some(&told));
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            self.page(&key.path, &body).await,
        )
            .into_response()
    }
}

/// The page of one key.
pub(in crate::web::rooms) async fn edit(
    asker: Asker,
    Query(open): Query<Open>,
) -> Result<Markup, Refused> {
    let key = asker.key(&open.path).await?;
    let told = open.done.is_some().then(|| {
        html! { p class="good" role="status" { (asker.words.config_written) " " (takes(asker.words, &key.path)) } }
    });
    let now = key.written.as_ref().or(key.value.as_ref()).map(typed);
    let now = open.value.or(now);
    let body = form(&asker, &key, now.as_deref(), told.as_ref());
    Ok(asker.page(&key.path, &body).await)
}

/// What a change would do; nothing is written.
pub(in crate::web::rooms) async fn preview(
    asker: Asker,
    Form(change): Form<Change>,
) -> Result<Response, Refused> {
    let key = asker.key(&change.path).await?;
    let shown = match change.value() {
        Ok(value) => look(&asker.app, &key.path, value).await?,
        Err(error) => Err(error),
    };
    Ok(match shown {
        Err(error) => asker.refused(&key, &change, &error).await,
        Ok(shown) => {
            let body = before_and_after(&asker, &key, &change, &shown);
            asker.page(&key.path, &body).await.into_response()
        }
    })
}

/// Writes a change that was shown, if the file is still the one that it was shown for.
pub(in crate::web::rooms) async fn apply(
    asker: Asker,
    Form(change): Form<Change>,
) -> Result<Response, Refused> {
    let key = asker.key(&change.path).await?;
    let before = asker.app.config.current().hash.clone();
    let written = match change.value() {
        Ok(value) => write(&asker.app, &key.path, value, change.seen.clone()).await?,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        return Ok(asker.refused(&key, &change, &error).await);
    }
    settle(&asker.app, &before).await;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let back = format!("/config/key?path={}&done=1", encoded(&key.path));
    let back = HeaderValue::from_str(&back).map_err(|_| ApiProblem::internal())?;
    let _old = response.headers_mut().insert(header::LOCATION, back);
    Ok(response)
}

async fn look(
    app: &AppState,
    path: &str,
    value: Option<Value>,
) -> Result<Result<Preview, ConfigError>, ApiProblem> {
    let (app, path) = (app.clone(), path.to_owned());
    blocking(move || {
        let path = KeyPath::parse(&path)?;
        let against: (
            instar_config::Env<'_>,
            instar_config::Rules<'_, InstarConfig>,
        ) = (&app.env, &InstarConfig::problems);
        Ok(instar_config::preview(
            &app.state_dir,
            &path,
            value.as_ref(),
            against,
            &is_secret,
        ))
    })
    .await
}

async fn write(
    app: &AppState,
    path: &str,
    value: Option<Value>,
    seen: String,
) -> Result<Result<Vec<String>, ConfigError>, ApiProblem> {
    let (app, path) = (app.clone(), path.to_owned());
    let author = Author {
        who: "web".to_owned(),
        pid: std::process::id(),
    };
    blocking(move || {
        let path = KeyPath::parse(&path)?;
        let writing = Writing {
            author: &author,
            env: &app.env,
            rules: &InstarConfig::problems,
            seen: Some(&seen),
        };
        Ok(put_key::<InstarConfig>(
            &app.state_dir,
            &path,
            value.as_ref(),
            &writing,
        ))
    })
    .await
}

/// Waits until the file was read again, for a moment at most: the next page is right either way.
pub(in crate::web::rooms) async fn settle(app: &AppState, before: &str) {
    let deadline = tokio::time::Instant::now() + IN_FORCE;
    while app.config.current().hash == before && app.config_health().ok {
        if tokio::time::Instant::now() >= deadline {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn takes(words: &Words, path: &str) -> &'static str {
    if needs_restart(path) {
        words.config_at_restart
    } else {
        words.config_at_once
    }
}

fn explain(words: &Words, error: &ConfigError) -> Markup {
    html! {
        @match error {
            ConfigError::Changed { .. } => (words.config_stale),
            ConfigError::Invalid(problems) => ul lang="en" {
                @for problem in problems { li {
                    @if !problem.path.is_empty() { code { (problem.path) } ": " }
                    (problem.message)
                    @if let Some(expected) = &problem.expected { "; expected " (expected) }
                    @if let Some(hint) = &problem.hint { "; " (hint) }
                } }
            },
            other => span lang="en" { (other) },
        }
    }
}

/// What is known of a key, and the form that changes it.
fn form(asker: &Asker, key: &Key, typed_now: Option<&str>, told: Option<&Markup>) -> Markup {
    let words = asker.words;
    let hidden = typed_now.is_some_and(|text| text.contains(instar_config::HIDDEN));
    html! {
        p { a href="/config" { (words.config_all_keys) } }
        @if let Some(told) = told { (told) }
        dl class="facts" {
            div { dt { (words.config_meaning) } dd lang="en" { (docs(&key.doc.docs)) } }
            div { dt { (words.config_takes) } dd lang="en" { (key.doc.kind) } }
            @if let Some(default) = &key.doc.default { div { dt { (words.config_default) } dd { code { (typed(default)) } } } }
            div { dt { (words.config_value) } dd {
                @match &key.value { Some(value) => pre { (typed(value)) }, None => (words.none) }
            } }
            div { dt { (words.config_source) } dd { (source(words, key)) } }
        }
        form class="change-form" method="post" action="/config/preview" autocomplete="off" {
            input type="hidden" name=(FORM_FIELD) value=(asker.token);
            input type="hidden" name="path" value=(key.path);
            label for="value" { (words.config_new_value) }
            (field(key, typed_now.unwrap_or_default()))
            @if hidden { p class="soft" { (words.config_hidden) } }
            div class="acts" {
                button class="primary" name="action" value="set" { (words.config_preview) }
                @if key.written.is_some() {
                    button name="action" value="unset" formnovalidate { (words.config_unset) }
                }
            }
        }
    }
}

/// A field that fits what the key takes.
fn field(key: &Key, now: &str) -> Markup {
    let choices = choices(&key.path);
    let several = now.contains('\n')
        || ["list", "object", "by name"]
            .iter()
            .any(|word| key.doc.kind.contains(word));
    html! {
        @if !choices.is_empty() && !several {
            select id="value" name="value" {
                @if !choices.iter().any(|choice| choice == now) { option value=(now) selected { (now) } }
                @for choice in &choices { option value=(choice) selected[choice == now] { (choice) } }
            }
        } @else if several {
            textarea id="value" name="value" rows="8" spellcheck="false" maxlength="200000" { (now) }
        } @else {
            input id="value" name="value" value=(now) spellcheck="false" maxlength="20000";
        }
    }
}

/// The words that a key takes, if they are few and fixed.
fn choices(path: &str) -> Vec<String> {
    let place = KeyPath::parse(path)
        .ok()
        .and_then(|path| place::<InstarConfig>(&path));
    let Some(place) = place else {
        return Vec::new();
    };
    let list = |name: &str| place.schema.get(name).and_then(Value::as_array);
    if let Some(words) = list("enum") {
        return words
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
    }
    if let Some(choices) = list("oneOf") {
        let words: Vec<String> = choices
            .iter()
            .filter_map(|choice| choice.get("const")?.as_str())
            .map(str::to_owned)
            .collect();
        if words.len() == choices.len() {
            return words;
        }
    }
    if place.schema.get("type") == Some(&Value::from("boolean")) {
        return vec!["true".to_owned(), "false".to_owned()];
    }
    Vec::new()
}

fn before_and_after(asker: &Asker, key: &Key, change: &Change, shown: &Preview) -> Markup {
    let words = asker.words;
    let lines = changed_lines(&shown.before, &shown.after);
    html! {
        p { a href={ "/config/key?path=" (encoded(&key.path)) } { (words.config_again) } }
        @if lines.is_empty() {
            p role="status" { (words.config_same) }
        } @else {
            p role="status" { (words.config_not_yet) }
            pre class="diff" tabindex="0" {
                @for line in lines.iter().take(LINES_MAX) { (line.drawn()) "\n" }
                @if lines.len() > LINES_MAX { "…\n" }
            }
            p { (takes(words, &key.path)) }
            form method="post" action="/config/apply" {
                input type="hidden" name=(FORM_FIELD) value=(asker.token);
                input type="hidden" name="path" value=(key.path);
                input type="hidden" name="value" value=(change.value);
                input type="hidden" name="action" value=(change.action);
                input type="hidden" name="seen" value=(shown.digest);
                button class="primary" { (words.config_write) }
            }
        }
    }
}

/// A line of the file before or after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    Added(&'a str),
}

impl Line<'_> {
    fn drawn(self) -> Markup {
        html! {
            @match self {
                Self::Same(text) => { "  " (text) },
                Self::Gone(text) => span class="gone" { "- " (text) },
                Self::Added(text) => span class="added" { "+ " (text) },
            }
        }
    }
}

/// The one stretch of lines in which two texts differ, with a few lines around it. An edit of one
/// key changes one stretch.
fn changed_lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if old == new {
        return Vec::new();
    }
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let shortest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count().min(shortest);
    let mut lines: Vec<Line<'a>> = Vec::new();
    let above = &old[head.saturating_sub(LINES_AROUND)..head];
    lines.extend(above.iter().map(|text| Line::Same(text)));
    lines.extend(
        old[head..old.len() - tail]
            .iter()
            .map(|text| Line::Gone(text)),
    );
    lines.extend(
        new[head..new.len() - tail]
            .iter()
            .map(|text| Line::Added(text)),
    );
    let below = old[old.len() - tail..].iter().take(LINES_AROUND);
    lines.extend(below.map(|text| Line::Same(text)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_change_are_told_with_those_around() {
        let before = "{\n  a: 1,\n  b: 2,\n  c: 3,\n  d: 4,\n  e: 5\n}\n";
        let after = before.replace("d: 4", "d: 40");
        assert_eq!(
            changed_lines(before, &after),
            [
                Line::Same("  a: 1,"),
                Line::Same("  b: 2,"),
                Line::Same("  c: 3,"),
                Line::Gone("  d: 4,"),
                Line::Added("  d: 40,"),
                Line::Same("  e: 5"),
                Line::Same("}"),
            ]
        );
        assert_eq!(changed_lines(before, before), []);
        assert_eq!(changed_lines("", "{}"), [Line::Added("{}")]);
        assert_eq!(
            changed_lines("a\na\n", "a\n"),
            [Line::Same("a"), Line::Gone("a")]
        );
    }

    #[test]
    fn words_and_truths_are_chosen_and_the_rest_is_typed() {
        assert!(choices("gateway.bind").contains(&"loopback".to_owned()));
        assert_eq!(choices("gateway.controlUi.enabled"), ["true", "false"]);
        assert!(choices("gateway.port").is_empty());
        assert!(choices("nothing.here").is_empty());
    }
}
