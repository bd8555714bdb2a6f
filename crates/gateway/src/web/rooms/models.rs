//! Models: which can be called, where each key comes from, and whether one answers now.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::ModelRow;
use crate::app::AppState;
use crate::door::Caller;
use crate::web::frame::{Frame, Tab, coded, empty, number};
use crate::web::words::{Reader, Words};

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    all: Option<String>,
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Markup {
    let all = asked.all.as_deref() == Some("1");
    let default = app.default_model();
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
                tbody { @for row in &rows { (line(words, row)) } }
            } }
        }
    };
    Frame::new(&app, words, Tab::Models).around(&body)
}

fn line(words: &Words, row: &ModelRow) -> Markup {
    html! {
        tr {
            td class="main" { code { (row.id) } @if row.default { " " span class="mark" { (words.default) } }
                div class="soft key" { (row.name) @if !row.base_url.is_empty() { " · " (row.base_url) } } }
            td class="num" { (number(row.context_window)) }
            td { (row.auth) }
            td { @if row.priced { (words.yes) } @else { (words.no) } }
            td class="acts" {
                form data-send="POST" data-path="/api/v1/models/probe" data-then="probe" data-words-busy=(words.probing)
                    data-words-good=(words.answered) data-words-bad=(words.not_answered) {
                    input type="hidden" name="model" value=(row.id);
                    button { (words.probe) }
                    span role="status" data-result="" {}
                }
            }
        }
    }
}
