//! A fault's page: how often, since when, what was done about it, and what the evidence says.

use axum::extract::{Path, State};
use instar_protocol::amend::NoteEdit;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::lab::Known;
use instar_release::Candidate;
use instar_release::rollout::wilson;
use instar_release::trial::{GIVE_UP, Stage};
use maud::{Markup, html};

use super::faults::{cut, share};
use crate::app::AppState;
use crate::door::Caller;
use crate::healing::{self, TrialView};
use crate::lab::{self, Arms, FaultView, Story};
use crate::policing::word;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::chart::{self, Arm, Bar};
use crate::web::curve::{self, Bound, Curve};
use crate::web::frame::{Frame, Tab, dollars, moment, short};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Days of a chart.
const DAYS_MAX: usize = 60;

pub(super) async fn one(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
    Path(name): Path<String>,
) -> Result<Markup, Refused> {
    let folded = healing::fold(&app).await;
    folded.map_err(|error| ApiProblem::from(crate::api::queries::QueryError::from(error)))?;
    let one = lab::one(&app.store, &name)
        .await
        .map_err(ApiProblem::from)?;
    let story = lab::story(&app.store, &app.releases, &one)
        .await
        .map_err(ApiProblem::from)?;
    let body = html! {
        // Drawn anew while somebody looks; the forms below are left alone.
        div id="fault" data-fresh="4" {
            (facts(words, &one))
            @if !one.fault.template.is_empty() { pre { (one.fault.template) } }
            (chart::bars(words.fault_by_day, &bars(&one), None))
            (done(words, &one, &story))
            (arms(words.release, words, &one.by_release))
            (arms(words.arm, words, &one.by_arm))
            section { h2 { (words.fault_examples) }
                ol class="line" { @for example in &one.fault.examples { li { (moment(example.at)) " " code { (example.text) } } } }
            }
            (recent(words, &story.events))
        }
        (edits(words, &forms, &one))
    };
    let title = cut(&one.title);
    Ok(Frame::new(&app, words, Tab::Faults)
        .await
        .titled(&title)
        .around(&body))
}

fn facts(words: &Words, one: &FaultView) -> Markup {
    let fault = &one.fault;
    html! {
        dl class="facts" {
            div { dt { (words.fault_kind) } dd { (fault.kind.name()) @if !fault.detail.is_empty() { " " code { (fault.detail) } } } }
            div { dt { (words.fault_place) } dd { (fault.place) } }
            div { dt { (words.fault_share) } dd { (share(fault.failures, one.exposures)) } }
            div { dt { (words.fault_trend) } dd { (word(&one.trend.course)) } }
            div { dt { (words.fault_people) } dd { (fault.blast.people.len()) @if fault.blast.more_people { "+" } } }
            div { dt { (words.fault_cost) } dd { (dollars(fault.blast.cost_micros)) " / " (fault.blast.turns) } }
            div { dt { (words.fault_reached) } dd { (fault.blast.sessions.len()) @if fault.blast.more_sessions { "+" } } }
            div { dt { (words.when) } dd { (moment(fault.first_seen)) " – " (moment(fault.last_seen)) } }
        }
    }
}

/// What is tried, what was tried, and what waits.
fn done(words: &Words, one: &FaultView, story: &Story) -> Markup {
    html! {
        section class="trials" {
            h2 { (words.fault_trials) }
            @if story.trials.is_empty() { p { (words.no_trials) } }
            @for trial in &story.trials { (trial_of(words, one, trial)) }
        }
        @if !story.tried.is_empty() { section { h2 { (words.fault_tried) } (known(words, &story.tried)) } }
        @if !story.proposed.is_empty() { section { h2 { (words.candidates) } (proposed(words, &story.proposed)) } }
        @if !story.edits.is_empty() { section { h2 { (words.note_edits) } (note_edits(&story.edits)) } }
    }
}

fn trial_of(words: &Words, one: &FaultView, trial: &TrialView) -> Markup {
    html! {
        article class="card trial" {
            h3 { (trial.mitigation) " " span class="mark" { (stage(&trial.stage)) } }
            p class="soft" {
                (moment(trial.begun)) " · " (words.fix_share) ": " (format!("{:.0} %", 100.0 * trial.share))
                " · " (words.not_judged_yet) ": " (trial.waiting)
                @if let Some(classic) = trial.classic { " · classic 3/5: " (classic) }
            }
            (chart::arms(words.fault_before_after, &rates(words, one, trial)))
            (curve::curves(words.fault_curves, &curves(words, trial), &bounds(words, trial)))
            table class="rows" {
                thead { tr { th scope="col" { (words.evidence) } th scope="col" { (words.now) } th scope="col" { (words.bound) } } }
                tbody { @for (name, value) in evidence(words, trial) { tr {
                    td class="main" { (name) } td { (format!("{value:.2}")) } td { (format!("{:.0}", trial.bound)) }
                } } }
            }
        }
    }
}

/// Where there was no coin, nothing more than support is to be had.
fn evidence<'a>(words: &'a Words, trial: &TrialView) -> Vec<(&'a str, f64)> {
    if trial.without_coin {
        return vec![(words.that_supports, trial.evidence_supported)];
    }
    vec![
        (words.that_helps, trial.evidence_proven),
        (words.that_fails, trial.evidence_failed),
        (words.that_harms, trial.evidence_harmful),
    ]
}

fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Running => "running".to_owned(),
        Stage::Proven => "proven".to_owned(),
        Stage::Adopted { .. } => "adopted".to_owned(),
        Stage::Ended { verdict } => verdict.name().replace('_', " "),
    }
}

/// The rate before the trial began, and of both arms since. Without a coin there is no other arm: what is
/// held against it is the time before.
fn rates(words: &Words, one: &FaultView, trial: &TrialView) -> Vec<Arm> {
    if trial.without_coin {
        return vec![
            rate(words.fault_before, trial.control.1, trial.control.0, true),
            rate(words.with_fix, trial.treated.1, trial.treated.0, false),
        ];
    }
    let (exposures, failures) = lab::before(one, trial.begun);
    vec![
        rate(words.fault_before, count(failures), exposures, false),
        rate(words.without_fix, trial.control.1, trial.control.0, true),
        rate(words.with_fix, trial.treated.1, trial.treated.0, false),
    ]
}

fn rate(name: &str, bad: f64, units: u64, is_bare: bool) -> Arm {
    let some = units > 0;
    Arm {
        name: name.to_owned(),
        rate: some.then(|| (bad / count(units)).min(1.0)),
        interval: some.then(|| wilson(bad.min(count(units)), units)),
        told: format!("{bad:.0} / {units}"),
        // Drawn as what is bad: nothing is done there.
        is_new: is_bare,
    }
}

fn curves(words: &Words, trial: &TrialView) -> Vec<Curve> {
    type Of = fn(&instar_release::trial::Point) -> f64;
    let all: [(&str, &'static str, Of, f64); 3] = [
        (
            words.that_helps,
            "proven",
            |point| point.proven,
            trial.evidence_proven,
        ),
        (
            words.that_fails,
            "failed",
            |point| point.failed,
            trial.evidence_failed,
        ),
        (
            words.that_harms,
            "harmful",
            |point| point.harmful,
            trial.evidence_harmful,
        ),
    ];
    let units = trial.treated.0
        + if trial.without_coin {
            0
        } else {
            trial.control.0
        };
    // The first curve of one without a coin is that of its support.
    let support = [(
        words.that_supports,
        "proven",
        all[0].2,
        trial.evidence_supported,
    )];
    let all = if trial.without_coin {
        support.to_vec()
    } else {
        all.to_vec()
    };
    let curve = |(name, class, of, now): (&str, &'static str, Of, f64)| {
        let kept = trial.curve.iter().map(|point| (point.units, of(point)));
        Curve {
            name: name.to_owned(),
            class,
            // What is kept is thinned; the end is where the trial stands.
            points: kept.chain((units > 0).then_some((units, now))).collect(),
        }
    };
    all.into_iter().map(curve).collect()
}

fn bounds(words: &Words, trial: &TrialView) -> Vec<Bound> {
    vec![
        Bound {
            value: trial.bound,
            told: format!("{}: {:.0}", words.decides_at, trial.bound),
        },
        Bound {
            value: GIVE_UP,
            told: format!("{}: {GIVE_UP}", words.gives_up_at),
        },
    ]
}

/// How trials ended.
pub(super) fn known(words: &Words, tried: &[Known]) -> Markup {
    html! {
        div class="wide" tabindex="0" { table class="rows" {
            thead { tr { th scope="col" { (words.recipe) } th scope="col" { (words.verdict) } th scope="col" { (words.with_fix) }
                th scope="col" { (words.without_fix) } th scope="col" { (words.evidence) } th scope="col" { "classic 3/5" }
                th scope="col" { (words.faults) } th scope="col" { (words.when) } } }
            tbody { @for one in tried { tr {
                td class="main" { (one.gene.split('@').next().unwrap_or_default()) } td { (one.outcome.replace('_', " ")) }
                td { (format!("{:.0} / {}", one.treated.1, one.treated.0)) } td { (without(words, one)) }
                td { (format!("{:.2}", one.evidence)) } td { (one.classic.as_deref().unwrap_or("–")) }
                td { a href={ "/faults/" (one.fault) } { (one.fault) } } td { (moment(one.at)) }
            } } }
        } }
    }
}

/// Units without the fix. Where there was no coin these are the ones before it, if they were counted.
fn without(words: &Words, one: &Known) -> String {
    let counted = (one.control.0 > 0).then(|| format!("{:.0} / {}", one.control.1, one.control.0));
    match (one.without_coin, counted) {
        (true, Some(counted)) => format!("{counted} ({}, {})", words.fault_before, words.no_coin),
        (true, None) => words.no_coin.to_owned(),
        (false, counted) => counted.unwrap_or_else(|| "0 / 0".to_owned()),
    }
}

fn proposed(words: &Words, candidates: &[Candidate]) -> Markup {
    html! {
        div class="wide" tabindex="0" { table class="rows" {
            thead { tr { th scope="col" { (words.candidate) } th scope="col" { (words.class) } th scope="col" { (words.why) } th scope="col" { (words.when) } } }
            tbody { @for one in candidates { tr {
                td class="main" { a href={ "/candidates/" (one.id) } { (short(&one.id)) } " " span class="mark" { (word(&one.state)) } }
                td { (word(&one.assessment.class)) } td { (one.spec.proposer) ": " (one.spec.reason) } td { (moment(one.spec.made_at)) }
            } } }
        } }
    }
}

/// Notes that wait for their owner's word. He gives it where he is known in person.
fn note_edits(edits: &[NoteEdit]) -> Markup {
    html! {
        ul { @for edit in edits { li {
            (edit.note.path) ": " (edit.why) " " code { "instar memory edit show " (edit.id) }
        } } }
    }
}

fn recent(words: &Words, events: &[Event]) -> Markup {
    html! {
        @if !events.is_empty() { section { h2 { (words.fault_recent) }
            ol class="line" { @for event in events { @if let EventKind::Exposure { mitigation, with_fix, .. } = &event.kind {
                li { (moment(event.at)) " " code { (mitigation) } " " (if *with_fix { words.with_fix } else { words.without_fix }) }
            } } }
        } }
    }
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
            @if one.fault.divided.is_some() { (form("unite", id, html! { button { (words.fault_unite) } })) }
            @else if one.fault.part_of.is_none() && one.fault.template.contains("<*>") {
                (form("divide", id, html! { label { (words.fault_divide) " " input name="by" type="number" min="1" value="1" required; } " " button { (words.fault_split) } }))
            }
            @if !one.members.is_empty() {
                h2 { (words.fault_members) }
                ul { @for member in &one.members { li { a href={ "/faults/" (member) } { (member) } " "
                    (form("split", member, html! { button { (words.fault_split) } })) } } }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count for a picture")]
fn count(units: u64) -> f64 {
    units as f64
}
