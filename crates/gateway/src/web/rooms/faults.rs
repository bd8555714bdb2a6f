//! Faults as a map and as a list, and a page for each.

use axum::extract::{Path, State};
use maud::{Markup, html};

use crate::app::AppState;
use crate::door::Caller;
use crate::lab::{self, Arms, Course, Cycle, FaultView, Outcome};
use crate::policing::word;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::chart::{self, Bar};
use crate::web::frame::{Frame, Tab, moment, short};
use crate::web::map::{Spot, map};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Faults of the list, and days of a chart.
const ROWS_MAX: usize = 200;
const DAYS_MAX: usize = 60;
const CYCLES: usize = 8;

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
) -> Result<Markup, Refused> {
    let faults = lab::list(&app.store).await.map_err(ApiProblem::from)?;
    let cycles = lab::log(&app.store, CYCLES).await;
    let cycles =
        cycles.map_err(|error| ApiProblem::from(crate::api::queries::QueryError::from(error)))?;
    let shown: Vec<&FaultView> = faults
        .iter()
        .filter(|fault| !fault.muted)
        .take(ROWS_MAX)
        .collect();
    let spots: Vec<Spot> = shown.iter().map(|fault| spot(fault)).collect();
    let run = Act {
        method: "POST",
        path: "/api/v1/lab/run",
        then: "/faults",
        script: "reload",
    };
    let body = html! {
        p class="soft lead" { (words.faults_about) }
        (forms.form(run, &html! { button { (words.lab_run) } }))
        @if shown.is_empty() { p { (words.no_faults) } } @else {
            (map(words.fault_map, &spots))
            (table(words, &shown))
        }
        @let muted: Vec<&FaultView> = faults.iter().filter(|fault| fault.muted).take(ROWS_MAX).collect();
        @if !muted.is_empty() { details { summary { (words.fault_mute) " (" (muted.len()) ")" } (table(words, &muted)) } }
        (log(words, &cycles))
    };
    Ok(Frame::new(&app, words, Tab::Faults).await.around(&body))
}

fn spot(fault: &FaultView) -> Spot {
    Spot {
        link: format!("/faults/{}", fault.fault.id),
        place: fault.fault.place.clone(),
        told: format!(
            "{}: {}",
            fault.title,
            share(fault.fault.failures, fault.exposures)
        ),
        rate: fault.rate,
        reach: fault.fault.blast.sessions.len(),
        is_rising: fault.trend.course == Course::Rising,
    }
}

fn table(words: &Words, faults: &[&FaultView]) -> Markup {
    html! {
        div class="wide" tabindex="0" { table class="rows" {
            thead { tr { th scope="col" { (words.faults) } th scope="col" { (words.fault_kind) } th scope="col" { (words.fault_place) }
                th scope="col" { (words.fault_share) } th scope="col" { (words.fault_trend) } th scope="col" { (words.when) } } }
            tbody { @for one in faults { tr {
                td class="main" { a href={ "/faults/" (one.fault.id) } { (cut(&one.title)) } }
                td { (one.fault.kind.name()) } td { (one.fault.place) }
                td { (share(one.fault.failures, one.exposures)) } td { (word(&one.trend.course)) }
                td { (moment(one.fault.last_seen)) }
            } } }
        } }
    }
}

fn log(words: &Words, cycles: &[Cycle]) -> Markup {
    html! {
        section {
            h2 { (words.lab_cycles) }
            ol class="line" { @for cycle in cycles { li {
                (moment(cycle.at)) " " (word(&cycle.outcome)) " "
                span class="soft" {
                    @if cycle.outcome == Outcome::Done {
                        (cycle.events) " → " (cycle.signs) " → " (cycle.faults_touched) ", " (cycle.millis) " ms"
                    } @else { (cycle.why) }
                }
            } } }
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
    let one = lab::one(&app.store, &name)
        .await
        .map_err(ApiProblem::from)?;
    let fault = &one.fault;
    let body = html! {
        dl class="facts" {
            div { dt { (words.fault_kind) } dd { (fault.kind.name()) @if !fault.detail.is_empty() { " " code { (fault.detail) } } } }
            div { dt { (words.fault_place) } dd { (fault.place) } }
            div { dt { (words.fault_share) } dd { (share(fault.failures, one.exposures)) } }
            div { dt { (words.fault_trend) } dd { (word(&one.trend.course)) } }
            div { dt { (words.fault_reached) } dd { (fault.blast.sessions.len()) @if fault.blast.more_sessions { "+" } } }
            div { dt { (words.when) } dd { (moment(fault.first_seen)) " – " (moment(fault.last_seen)) } }
        }
        @if !fault.template.is_empty() { pre { (fault.template) } }
        (chart::bars(words.fault_by_day, &bars(&one), None))
        (arms(words.release, words, &one.by_release))
        (arms(words.stable, words, &one.by_arm))
        section { h2 { (words.fault_examples) }
            ol class="line" { @for example in &fault.examples { li { (moment(example.at)) " " code { (example.text) } } } }
        }
        (edits(words, &forms, &one))
    };
    let mut frame = Frame::new(&app, words, Tab::Faults).await;
    let title = cut(&one.title);
    frame.title = Some(&title);
    Ok(frame.around(&body))
}

/// The share of each of the last days, in hundredths of a percent.
fn bars(one: &FaultView) -> Vec<Bar> {
    let from = one.by_day.len().saturating_sub(DAYS_MAX);
    let days = one.by_day.iter().skip(from);
    days.map(|day| Bar {
        name: date(day.day),
        value: (day.failures * 10_000)
            .checked_div(day.exposures.max(day.failures))
            .unwrap_or(0),
        told: share(day.failures, day.exposures),
    })
    .collect()
}

fn date(day: u64) -> String {
    let seconds = i64::try_from(day.saturating_mul(86_400)).unwrap_or(0);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| day.to_string(), |at| at.strftime("%m-%d").to_string())
}

fn arms(title: &str, words: &Words, rows: &[Arms]) -> Markup {
    html! {
        div class="wide" tabindex="0" { table class="rows" {
            thead { tr { th scope="col" { (title) } th scope="col" { (words.fault_share) } } }
            tbody { @for row in rows { tr { td class="main" { (short(&row.name)) } td { (share(row.failures, row.exposures)) } } } }
        } }
    }
}

fn edits(words: &Words, forms: &Forms, one: &FaultView) -> Markup {
    let id = one.fault.id.as_str();
    let then = format!("/faults/{id}");
    let act = Act {
        method: "POST",
        path: "/api/v1/faults/edits",
        then: &then,
        script: "reload",
    };
    let form = |edit: &str, of: &str, inside: Markup| {
        let fields = html! {
            input type="hidden" name="edit" value=(edit);
            input type="hidden" name="fault" value=(of);
            (inside)
        };
        forms.form(act, &fields)
    };
    html! {
        section class="edits" {
            (form("name", id, html! { label { (words.fault_name) " " input name="name" maxlength="120" value=(one.name); } " " button { (words.fault_keep) } }))
            (form("mute", id, html! { input type="hidden" name="muted" value=(!one.muted); button { (if one.muted { words.fault_unmute } else { words.fault_mute }) } }))
            @if one.into.is_some() { (form("split", id, html! { button { (words.fault_split) } })) }
            @else { (form("merge", id, html! { label { (words.fault_into) " " input name="into" required pattern="flt_[0-9a-f]+"; } " " button { (words.fault_into) } })) }
            @if !one.members.is_empty() {
                h2 { (words.fault_members) }
                ul { @for member in &one.members { li { a href={ "/faults/" (member) } { (member) } " "
                    (form("split", member, html! { button { (words.fault_split) } })) } } }
            }
        }
    }
}

fn share(failures: u64, exposures: u64) -> String {
    format!("{failures} / {exposures}")
}

fn cut(title: &str) -> String {
    title.chars().take(100).collect()
}
