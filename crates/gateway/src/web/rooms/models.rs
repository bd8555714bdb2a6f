//! Models: which can be called, where each key comes from, and whether one answers now.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::ModelRow;
use crate::app::AppState;
use crate::door::Caller;
use crate::web::act::{Act, Forms};
use crate::web::frame::{Frame, Tab, coded, empty, number};
use crate::web::rooms::sessions::encoded;
use crate::web::words::{Reader, Words};
use instar_agent::config::ModelChoice;
use serde_json::Value;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    all: Option<String>,
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
    Query(asked): Query<Asked>,
) -> Markup {
    let all = asked.all.as_deref() == Some("1");
    let default = app.default_model();
    let key = default_key(&app);
    let rows: Vec<ModelRow> = app
        .models
        .list()
        .into_iter()
        .map(|model| ModelRow::new(model, &default))
        .filter(|row| all || row.configured || row.default)
        .collect();
    let body = html! {
        nav class="tools" aria-label=(words.show) {
            a href="/models" aria-current=[(!all).then_some("page")] { (words.configured_only) }
            a href="/models?all=1" aria-current=[all.then_some("page")] { (words.known_models) }
        }
        p class="soft lead" { (coded(words.models_do)) }
        @if rows.is_empty() { (empty(words.no_models, words.models_do)) } @else {
            div class="wide" tabindex="0" { table class="rows" {
                thead { tr { th scope="col" { (words.model) } th scope="col" class="num" { (words.context) }
                    th scope="col" { (words.key) } th scope="col" { (words.priced) } th scope="col" { span class="sr" { (words.probe) } } } }
                tbody { @for row in &rows { (line(words, &forms, key, row)) } }
            } }
        }
    };
    Frame::new(&app, words, Tab::Models).await.around(&body)
}

/// The key of the configuration that names the model: beside fallbacks it is one of theirs.
fn default_key(app: &AppState) -> &'static str {
    let config = app.config.current();
    match config.value.agents.defaults.model {
        Some(ModelChoice::Chain(_)) => "agents.defaults.model.primary",
        _ => "agents.defaults.model",
    }
}

/// What a model said when it was tried by a plain form.
pub(in crate::web) async fn tried(app: &AppState, words: &'static Words, answer: &Value) -> Markup {
    let row = &answer[0];
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let ok = row["ok"] == true;
    let body = html! {
        p { a href="/models" { (words.all_models) } }
        @if ok { p class="good" role="status" { (words.answered) " " (row["millis"].as_u64().unwrap_or(0)) " ms" } }
        @else { div class="trouble" role="alert" { (words.not_answered) } }
        p lang="en" { (text("message")) }
    };
    let model = text("model");
    Frame::new(app, words, Tab::Models)
        .await
        .titled(&model)
        .around(&body)
}

fn line(words: &Words, forms: &Forms, key: &str, row: &ModelRow) -> Markup {
    let probe = Act {
        method: "POST",
        path: "/api/v1/models/probe",
        then: "/models",
        script: "probe",
    };
    html! {
        tr {
            td class="main" { code { (row.id) } @if row.default { " " span class="mark" { (words.default) } }
                div class="soft key" { (row.name) @if !row.base_url.is_empty() { " · " (row.base_url) } } }
            td class="num" data-name=(words.context) { (number(row.context_window)) }
            td data-name=(words.key) { (row.auth) }
            td data-name=(words.priced) { @if row.priced { (words.yes) } @else { (words.no) } }
            td class="acts" {
                @if !row.default {
                    a class="button" href={ "/config/key?path=" (key) "&value=" (encoded(&row.id)) } { (words.make_default) }
                }
                (forms.form(probe, &html! {
                    input type="hidden" name="model" value=(row.id);
                    button { (words.probe) }
                    span role="status" data-result="" data-words-busy=(words.probing)
                        data-words-good=(words.answered) data-words-bad=(words.not_answered) {}
                }))
            }
        }
    }
}
