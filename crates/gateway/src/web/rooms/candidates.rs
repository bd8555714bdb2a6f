//! Candidates: what each would change, and how weighty that is.

use axum::extract::{Path, State};
use instar_release::gate::{Outcome, Table};
use instar_release::{Candidate, Fit, Listed};
use instar_store::CandidateState;
use maud::{Markup, html};

use super::releases::shown;
use crate::api::candidates;
use crate::app::AppState;
use crate::door::Caller;
use crate::policing::word;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::frame::{Frame, Tab, beginning, moment, short};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// The list on the page of releases.
pub(super) fn section(words: &Words, list: &[Listed]) -> Markup {
    html! {
        section id="candidates" {
            h2 { (words.candidates) }
            p class="soft" { (words.candidates_about) }
            @if list.is_empty() { p { (words.no_candidates) } } @else {
                div class="wide" tabindex="0" { table class="rows" {
                    thead { tr { th scope="col" { (words.candidate) } th scope="col" { (words.class) } th scope="col" { (words.why) }
                        th scope="col" { (words.made_by) } th scope="col" { (words.when) } th scope="col" { (words.compare) } } }
                    tbody { @for one in list { (line(one)) } }
                } }
            }
        }
    }
}

fn line(one: &Listed) -> Markup {
    let one = match one {
        Listed::Candidate(one) => one,
        Listed::Unreadable {
            id,
            state,
            unreadable,
        } => {
            return html! {
                tr {
                    td class="main" { (short(id)) " " span class="mark" { (word(state)) } }
                    td {} td colspan="4" { span class="mark warning" { (unreadable) } }
                }
            };
        }
    };
    html! {
        tr {
            td class="main" {
                a href={ "/candidates/" (one.id) } { (short(&one.id)) } " " span class="mark" { (word(&one.state)) }
            }
            td { (word(&one.assessment.class)) } td { (one.spec.reason) } td { (one.spec.proposer) }
            td { (moment(one.spec.made_at)) }
            td { @for change in one.changes.iter().take(5) { code { (change.path) } " " } }
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
    let one = candidates::one(&app.releases, &name)
        .await
        .map_err(ApiProblem::from)?;
    let table = crate::gates::table(&app, &one.id).await?;
    let title = format!("{} {}", words.candidate, beginning(&one.id));
    let judged = &one.assessment;
    let body = html! {
        p class="soft lead" { (words.candidates_about) }
        dl class="facts" {
            div { dt { (words.when) } dd { (moment(one.spec.made_at)) } }
            div { dt { (words.made_by) } dd { (one.spec.proposer) } }
            div { dt { (words.why) } dd { (one.spec.reason) } }
            div { dt { (words.state) } dd { (word(&one.state)) } }
            div { dt { (words.fits) } dd { (fit(&one.fit)) } }
            div { dt { (words.class) } dd { (word(&judged.class)) } }
        }
        ul { @for ground in &judged.grounds { li { (word(&ground.class)) ": " (ground.why) } } }
        (gates(words, &table))
        @if one.state == CandidateState::Open { (acts(words, &forms, &one)) }
        (lines(words.newly_possible, &judged.newly))
        (lines(words.rules_new, &judged.rules_new))
        (lines(words.rules_gone, &judged.rules_gone))
        section {
            h2 { (words.compare) }
            @for change in &one.changes { (shown(words, change)) }
        }
    };
    Ok(Frame::new(&app, words, Tab::Releases)
        .await
        .titled(&title)
        .around(&body))
}

/// What each gate said, and what may come of it.
fn gates(words: &Words, table: &Table) -> Markup {
    html! {
        section id="gates" {
            h2 { (words.gates) }
            p class="soft" { (words.gates_about) }
            div class="wide" tabindex="0" { table class="rows" {
                thead { tr { th scope="col" { (words.gate) } th scope="col" { (words.says) } th scope="col" { (words.why) }
                    th scope="col" { (words.made_by) } th scope="col" { (words.when) } th scope="col" { (words.holds_until) } } }
                tbody { @for row in &table.rows { tr {
                    td class="main" { (row.gate.name()) }
                    td { span class={ "mark " (said(row.finding.outcome)) } { (word(&row.finding.outcome)) } }
                    td {
                        (row.finding.why)
                        @if !row.finding.evidence.is_empty() { details { summary { (words.evidence) }
                            ul { @for line in &row.finding.evidence { li { (line) } } } } }
                    }
                    td { @if let Some(by) = &row.by { (by) } } td { @if let Some(at) = row.at { (moment(at)) } }
                    td class="until" { @if let Some(until) = &row.until { (until.split('T').next().unwrap_or_default()) } }
                } } }
            } }
            @if let Some(sum) = &table.sum {
                p { (words.since_your_word) " " (sum.releases) ", " (words.class) " " (word(&sum.class)) }
                ul { @for ground in &sum.grounds { li { (word(&ground.class)) ": " (ground.why) } } }
            }
            p { strong { (words.may_go) " " (table.decision.may.name()) } }
            ul { @for needed in &table.decision.needed { li { (needed) } } }
        }
    }
}

/// How a mark is coloured.
fn said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "",
        Outcome::Fail => "wrong",
        Outcome::NoData => "notice",
    }
}

fn acts(words: &Words, forms: &Forms, one: &Candidate) -> Markup {
    let page = format!("/candidates/{}", one.id);
    let form = |what: &str, title: &str| {
        let path = format!("/api/v1/candidates/{}/{what}", one.id);
        let act = Act {
            method: "POST",
            path: &path,
            then: &page,
            script: "reload",
        };
        forms.form(act, &html! { button { (title) } })
    };
    html! {
        div class="acts" {
            (form("check", words.ask_gates)) (form("approve", words.say_yes))
            @if one.fit == Fit::Rebasable { (form("rebase", words.rebase)) }
        }
    }
}

fn lines(title: &str, lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            section { h2 { (title) } ul { @for line in lines { li { (line) } } } }
        }
    }
}

fn fit(fit: &Fit) -> String {
    match fit {
        Fit::Current => "its parent is stable".to_owned(),
        Fit::Rebasable => "stable moved on, elsewhere".to_owned(),
        Fit::Conflict { places } => format!("stable changed in {}", places.join(", ")),
        Fit::Unfit { why } => why.clone(),
    }
}
