//! Faults as a map and as a list, with what is known of recipes and how the budget was spent.

use axum::extract::State;
use instar_protocol::AgentId;
use instar_protocol::lab::Case;
use maud::{Markup, html};

use crate::app::AppState;
use crate::door::Caller;
use crate::healing;
use crate::lab::{self, Course, Cycle, FaultView, Likeness, Outcome};
use crate::policing::word;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::chart::{self, Meter};
use crate::web::frame::{Frame, Tab, moment};
use crate::web::map::{Spot, map};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Faults of the list, and verdicts.
const ROWS_MAX: usize = 200;
const KNOWN_MAX: usize = 50;
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
    let case = healing::case(&app.store, &app.releases, AgentId::main().as_str()).await;
    let case =
        case.map_err(|error| ApiProblem::from(crate::api::queries::QueryError::from(error)))?;
    let merges = lab::merges(&app.store).await.map_err(ApiProblem::from)?;
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
        (proposed(words, &forms, &merges))
        div id="faults" data-fresh="5" {
            @if shown.is_empty() { p { (words.no_faults) } } @else {
                (map(words.fault_map, &spots))
                (table(words, &shown))
            }
            @let muted: Vec<&FaultView> = faults.iter().filter(|fault| fault.muted).take(ROWS_MAX).collect();
            @if !muted.is_empty() { details { summary { (words.fault_mute) " (" (muted.len()) ")" } (table(words, &muted)) } }
            (known(words, &case))
            (log(words, &cycles))
        }
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

/// Faults that an embedder takes for one: a person says.
fn proposed(words: &Words, forms: &Forms, merges: &[Likeness]) -> Markup {
    let act = Act {
        method: "POST",
        path: "/api/v1/faults/merges",
        then: "/faults",
        script: "reload",
    };
    let word = |one: &Likeness, accept: bool, told: &str| {
        let fields = html! {
            input type="hidden" name="fault" value=(one.fault);
            input type="hidden" name="into" value=(one.into);
            input type="hidden" name="accept" value=(accept);
            button { (told) }
        };
        forms.form(act, &fields)
    };
    html! {
        @if !merges.is_empty() { section class="merges" {
            h2 { (words.merges) }
            @for one in merges { article class="card" {
                p { a href={ "/faults/" (one.fault) } { code { (cut(&one.fault_says)) } } }
                p { a href={ "/faults/" (one.into) } { code { (cut(&one.into_says)) } } " " span class="mark" { (format!("{:.2}", one.alike)) } }
                div class="acts" { (word(one, true, words.merge_yes)) (word(one, false, words.merge_no)) }
            } }
        } }
    }
}

/// What trials taught, and how the budget was split between kinds of tries.
fn known(words: &Words, case: &Case) -> Markup {
    let mut newest = case.known.clone();
    newest.sort_by_key(|known| std::cmp::Reverse(known.at));
    newest.truncate(KNOWN_MAX);
    let budget = budget(words, case);
    html! {
        @if !newest.is_empty() { section { h2 { (words.knowledge) } (super::fault::known(words, &newest)) } }
        @if !budget.is_empty() { section {
            h2 { (words.strategy_shares) }
            p class="soft" { (words.strategy_about) }
            (chart::shares(words.strategy_shares, &budget))
        } }
    }
}

/// What was spent on each kind of try in hundredths, and the share that it should have.
fn budget(words: &Words, case: &Case) -> Vec<Meter> {
    let spent = |name: &str| case.spent[name].as_f64().unwrap_or(0.0);
    let all = spent("repair") + spent("optimize") + spent("innovate");
    let kinds = [
        ("repair", words.intent_repair),
        ("optimize", words.intent_optimize),
        ("innovate", words.intent_innovate),
    ];
    let meter = |(at, (name, title)): (usize, (&str, &str))| Meter {
        name: title.to_owned(),
        value: 100.0 * spent(name) / all,
        bound: case.spent["planned"][at].as_f64().unwrap_or(0.0),
        is_bad: false,
    };
    let meters = kinds.into_iter().enumerate().map(meter);
    if all > 0.0 {
        meters.collect()
    } else {
        Vec::new()
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
                        (words.events) " " (cycle.events) " · " (words.lab_signs) " " (cycle.signs) " · "
                        (words.faults) " " (cycle.faults_touched) " · " (cycle.millis) " ms"
                    } @else { (cycle.why) }
                }
            } } }
        }
    }
}

pub(super) fn share(failures: u64, exposures: u64) -> String {
    format!("{failures} / {exposures}")
}

pub(super) fn cut(title: &str) -> String {
    title.chars().take(100).collect()
}
