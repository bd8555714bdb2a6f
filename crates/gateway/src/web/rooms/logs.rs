//! The gateway's log: the newest lines, by level, and live.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

use super::events::live;
use crate::api::last_lines;
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::frame::{Frame, Tab, empty};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Lines that are read and shown.
const LINES: usize = 300;
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    level: String,
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let worst = LEVELS.iter().position(|level| *level == asked.level);
    let path = match &app.config.current().value.logging.file {
        Some(file) => PathBuf::from(file),
        None => app.state_dir.log_file(),
    };
    let lines = tokio::task::spawn_blocking(move || last_lines(&path, LINES))
        .await
        .map_err(|error| {
            tracing::error!(%error, "the log could not be read");
            ApiProblem::internal()
        })?;
    let lines: Vec<Line> = lines
        .iter()
        .map(|text| Line::read(text))
        .filter(|line| worst.is_none_or(|worst| line.rank() <= worst))
        .collect();
    let level = worst.and_then(|at| LEVELS.get(at)).copied().unwrap_or("");
    let body = html! {
        form class="tools" method="get" {
            label { (words.level) " " select name="level" {
                option value="" { (words.all) }
                @for one in &LEVELS[..3] { option value=(one) selected[*one == level] { (one) @if *one != "ERROR" { " " (words.and_worse) } } }
            } }
            button { (words.show) }
            (live(words))
        }
        (table(words, &lines, level))
    };
    Ok(Frame::new(&app, words, Tab::Logs).await.around(&body))
}

fn table(words: &Words, lines: &[Line], level: &str) -> Markup {
    html! {
        @if lines.is_empty() { (empty(words.no_logs, words.no_logs_do)) }
        div class="wide" tabindex="0" { table class="rows live log-rows" data-live="/api/v1/logs?lines=0" data-shape="log" data-level=(level) {
            thead { tr { th scope="col" { (words.when) } th scope="col" { (words.level) } th scope="col" { (words.what) } } }
            tbody { @for line in lines.iter().rev() {
                tr {
                    td { (line.at) }
                    td { span class={ "mark " (line.level.to_ascii_lowercase()) } { (line.level) } }
                    td class="main" { (line.text) }
                }
            } }
        } }
    }
}

/// A line of the log; one that is no JSON is shown as it is.
#[derive(Debug)]
struct Line {
    at: String,
    level: String,
    text: String,
}

impl Line {
    fn read(text: &str) -> Self {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
            return Self {
                at: String::new(),
                level: String::new(),
                text: text.to_owned(),
            };
        };
        let mut word = |names: &[&str]| {
            let found = names.iter().find_map(|name| fields.remove(*name));
            found.map_or_else(String::new, |value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            })
        };
        let at = word(&["at", "time", "timestamp"]);
        let level = word(&["level"]).to_ascii_uppercase();
        let message = word(&["message", "msg"]);
        let rest: Vec<String> = fields
            .iter()
            .map(|(name, value)| {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                format!("{name}={value}")
            })
            .collect();
        Self {
            at: at.get(..19).unwrap_or(&at).replace('T', " "),
            level,
            text: [message, rest.join(" ")].join(" ").trim().to_owned(),
        }
    }

    /// Lower is worse; what has no level is shown always.
    fn rank(&self) -> usize {
        LEVELS
            .iter()
            .position(|level| *level == self.level)
            .unwrap_or(0)
    }
}
