//! How the gateway is, and the doctor's checks.

use axum::extract::{Query, State};
use instar_protocol::api::{Finding, Health, Severity, Status};
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::{doctor_findings, status};
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::frame::{Frame, Tab, coded, moment, number, short};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    checks: Option<String>,
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let status = status(&app).await?;
    // Without a script the checks come with the page, when they are asked for.
    let found = match asked.checks.as_deref() {
        Some("1") => Some(doctor_findings(&app).await?),
        _ => None,
    };
    let body = html! {
        (conditions(words, &status))
        (facts(words, &status))
        section {
            h2 { (words.checks) }
            p class="soft" { (words.checks_note) }
            p { a class="button" href="/status?checks=1" data-into="/status/checks" data-words-busy=(words.probing) { (words.run_checks) } }
            div data-place="" aria-live="polite" { @if let Some(found) = &found { (findings(words, found)) } }
        }
    };
    Ok(Frame::new(&app, words, Tab::Health).await.around(&body))
}

/// The findings alone, for the page's script.
pub(super) async fn checks(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
) -> Result<Markup, ApiProblem> {
    Ok(findings(words, &doctor_findings(&app).await?))
}

fn conditions(words: &Words, status: &Status) -> Markup {
    let rows: [(&str, &Health); 4] = [
        (words.store, &status.store),
        (words.config_file, &status.config),
        (words.models, &status.models),
        (words.budget, &status.budget),
    ];
    let troubled = rows.iter().any(|(_, health)| health.problem.is_some());
    html! {
        @if !troubled { p class="good" { (words.all_well) } }
        @for (name, health) in rows {
            @if let Some(problem) = &health.problem {
                div class={ "trouble " (if health.ok { "mild" } else { "" }) } role="alert" {
                    strong { (name) } " " (problem)
                    @if let Some(step) = &health.next_step { div { (coded(step)) } }
                }
            }
        }
    }
}

fn facts(words: &Words, status: &Status) -> Markup {
    let minutes = status.uptime_ms / 60_000;
    let uptime = format!(
        "{} d {} h {} min",
        minutes / 1_440,
        minutes / 60 % 24,
        minutes % 60
    );
    html! {
        dl class="facts" {
            div { dt { (words.version) } dd { (status.version) } }
            div { dt { (words.uptime) } dd { (uptime) " · " (moment(status.started_at)) } }
            div { dt { (words.process) } dd { (status.pid) } }
            div { dt { (words.memory) } dd { (number(status.memory_bytes / 1_000_000)) " MB" } }
            div { dt { (words.model) } dd { code { (status.model) } } }
            @if let Some(release) = &status.release {
                div { dt { (words.release) } dd { a href={ "/releases/" (release) } { (short(release.as_str())) } } }
            }
            div { dt { (words.sessions) } dd { (number(status.sessions)) } }
            div { dt { (words.running_turns) } dd { (number(status.running_turns)) } }
            div { dt { (words.uncertain) } dd { (number(status.uncertain)) } }
            div { dt { (words.state_folder) } dd { code { (status.state_dir) } } }
            div { dt { (words.config_file) } dd { code { (status.config_file) } } }
        }
    }
}

fn findings(words: &Words, found: &[Finding]) -> Markup {
    html! {
        div class="wide" tabindex="0" { table class="rows" {
            thead { tr { th scope="col" { (words.check) } th scope="col" { (words.verdict) } th scope="col" { (words.next_step) } } }
            tbody { @for one in found {
                @let (class, told) = match one.severity {
                    Severity::Fine => ("fine", words.fine),
                    Severity::Notice => ("notice", words.notice),
                    Severity::Warning => ("warning", words.warning),
                    Severity::Error => ("wrong", words.error),
                };
                tr {
                    td { (one.check) }
                    td class="main" { span class={ "mark " (class) } { (told) } " " (one.message) }
                    td { @if let Some(step) = &one.next_step { (coded(step)) } }
                }
            } }
        } }
    }
}
