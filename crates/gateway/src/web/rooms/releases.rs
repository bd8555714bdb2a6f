//! Releases: which there are, when each was stable, and what each changed.

use axum::extract::{Path, State};
use instar_release::{Change, STABLE};
use maud::{Markup, html};

use crate::api::queries::{self, MoveRow, ReleaseRow};
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::frame::{Frame, Tab, beginning, moment, short};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Characters of one value that are shown.
const VALUE_CHARS_MAX: usize = 2_000;

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
) -> Result<Markup, Refused> {
    let rows = queries::releases(&app.releases, None)
        .await
        .map_err(ApiProblem::from)?;
    let moves = queries::release_log(&app.releases, Some(STABLE), None)
        .await
        .map_err(ApiProblem::from)?;
    let proposed = crate::api::candidates::list(&app.releases, None)
        .await
        .map_err(ApiProblem::from)?;
    let body = html! {
        p class="soft lead" { (words.releases_about) }
        @if let Some(now) = app.releases.rollout() { (super::rollouts::card(words, &forms, &now)) }
        p { a href="/rollouts" { (words.rollouts) } " · " a href="/reports" { (words.reports) } }
        div class="wide" tabindex="0" { table class="rows" {
            thead { tr { th scope="col" { (words.release) } th scope="col" { (words.why) }
                th scope="col" { (words.made_by) } th scope="col" { (words.when) } th scope="col" { (words.authority) } } }
            tbody { @for row in &rows { (line(words, row)) } }
        } }
        (super::candidates::section(words, &proposed))
        (log(words, &moves))
    };
    Ok(Frame::new(&app, words, Tab::Releases).await.around(&body))
}

fn line(words: &Words, row: &ReleaseRow) -> Markup {
    let id = row.id.to_string();
    html! {
        tr {
            td class="main" {
                a href={ "/releases/" (id) } { (short(&id)) }
                @if row.stable { " " span class="mark" { (words.stable) } }
            }
            td { (row.reason) } td { (row.proposer) } td { (moment(row.made_at)) } td { (short(&row.authority)) }
        }
    }
}

fn log(words: &Words, moves: &[MoveRow]) -> Markup {
    html! {
        section {
            h2 { (words.moves) }
            ol class="line" {
                @for one in moves {
                    li { (moment(one.at)) " " (short(&one.to.to_string())) " " span class="soft" { (one.by) ": " (one.reason) } }
                }
            }
        }
    }
}

pub(super) async fn one(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
    Path(name): Path<String>,
) -> Result<Markup, Refused> {
    let release = queries::release(&app.releases, &name)
        .await
        .map_err(ApiProblem::from)?;
    let changes = match release.parents.first() {
        None => None,
        Some(parent) => Some(
            queries::release_diff(&app.releases, parent.as_str(), release.id.as_str())
                .await
                .map_err(ApiProblem::from)?,
        ),
    };
    let id = release.id.to_string();
    let title = format!("{} {}", words.release, beginning(&id));
    let moves = queries::release_log(&app.releases, Some(STABLE), None)
        .await
        .map_err(ApiProblem::from)?;
    let is_stable = app
        .releases
        .stable()
        .is_some_and(|stable| stable.id == release.id);
    let was_stable = !is_stable && moves.iter().any(|one| one.to == release.id);
    let body = html! {
        dl class="facts" {
            div { dt { (words.when) } dd { (moment(release.made_at)) } }
            div { dt { (words.made_by) } dd { (release.proposer) } }
            div { dt { (words.why) } dd { (release.reason) } }
            div { dt { (words.authority) } dd { (short(&release.authority)) } }
            div { dt { (words.version) } dd { (release.code_version) } }
        }
        p { a href={ "/releases/" (id) "/lineage" } { (words.lineage) } }
        @if was_stable { div class="acts" { (go_back(words, &forms, &id)) } }
        section {
            h2 { (words.compare) }
            @match changes.as_deref() {
                None => p { (words.first_release) },
                Some([]) => p { (words.nothing_changed) },
                Some(changes) => { @for change in changes { (shown(words, change)) } }
            }
        }
    };
    Ok(Frame::new(&app, words, Tab::Releases)
        .await
        .titled(&title)
        .around(&body))
}

/// Going back to a release that was stable before.
fn go_back(words: &Words, forms: &Forms, id: &str) -> Markup {
    let act = Act {
        method: "POST",
        path: "/api/v1/releases/rollback",
        then: "/releases",
        script: "reload",
    };
    forms.form(
        act,
        &html! { input type="hidden" name="to" value=(id); button { (words.go_back_to) } },
    )
}

/// The lines of a unified diff.
pub(super) fn lines_of(text: &str) -> Markup {
    html! {
        pre class="diff" { @for line in text.lines() {
            @let class = match line.as_bytes().first() {
                Some(b'+') => "added", Some(b'-') => "gone", Some(b'@') => "place", _ => "",
            };
            span class=(class) { (line) "\n" }
        } }
    }
}

pub(super) fn shown(words: &Words, change: &Change) -> Markup {
    let value = |value: &serde_json::Value| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        text.chars().take(VALUE_CHARS_MAX).collect::<String>()
    };
    html! {
        article class="change" {
            h3 { code { (change.path) } }
            @if let Some(text) = &change.text {
                (lines_of(text))
            } @else {
                dl class="facts" {
                    @if let Some(before) = &change.before { div { dt { (words.before) } dd class="gone" { (value(before)) } } }
                    @if let Some(after) = &change.after { div { dt { (words.after) } dd class="added" { (value(after)) } } }
                }
            }
        }
    }
}
