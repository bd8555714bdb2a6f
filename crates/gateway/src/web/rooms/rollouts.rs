//! The rollout page: both arms side by side, what the evidence says, and the button that takes it back.

use axum::extract::{Path, State};
use instar_release::rollout::{Hold, MetricView, Past, Shown};
use maud::{Markup, html};

use crate::api::rollouts;
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::chart::{self, Arm, Meter};
use crate::web::frame::{Frame, Tab, beginning, empty, moment, short};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Judged episodes that are shown.
const UNITS_SHOWN: usize = 25;

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
) -> Result<Markup, Refused> {
    let all = rollouts::list(&app.releases, None)
        .await
        .map_err(ApiProblem::from)?;
    let body = html! {
        p class="soft lead" { (words.rollouts_about) }
        @if all.is_empty() { (empty(words.no_rollouts, words.no_rollouts_do)) } @else {
            @if let Some(now) = all.first().filter(|one| one.ended_at.is_none()) { (card(words, &forms, now)) }
            div class="wide" tabindex="0" { table class="rows" {
                thead { tr { th scope="col" { (words.rollout) } th scope="col" { (words.stage) }
                    th scope="col" { (words.release) } th scope="col" { (words.episodes) } th scope="col" { (words.when) } } }
                tbody { @for one in &all { tr {
                    td class="main" { a href={ "/rollouts/" (one.id) } { (one.id) } }
                    td { (one.words) }
                    td { a href={ "/releases/" (one.release) } { (short(one.release.as_str())) } }
                    td { (one.view.settled) } td { (moment(one.at)) }
                } } }
            } }
        }
    };
    Ok(Frame::new(&app, words, Tab::Releases)
        .await
        .titled(words.rollouts)
        .around(&body))
}

/// What stands at the top of the releases while one is under way.
pub(super) fn card(words: &Words, forms: &Forms, shown: &Shown) -> Markup {
    html! {
        article class="card" {
            h3 { a href={ "/rollouts/" (shown.id) } { (words.rollout) " " (short(shown.release.as_str())) } }
            p { (shown.words) " · " (shown.view.settled) " " (words.episodes) }
            (buttons(words, forms, shown))
        }
    }
}

fn buttons(words: &Words, forms: &Forms, shown: &Shown) -> Markup {
    let act = |path: &'static str| Act {
        method: "POST",
        path,
        then: "/rollouts",
        script: "reload",
    };
    html! {
        @if shown.ended_at.is_none() {
            div class="acts" {
                (forms.form(act("/api/v1/rollouts/abort"), &html! { button class="bad" { (words.take_it_back) } }))
                @if shown.view.is_paused {
                    (forms.form(act("/api/v1/rollouts/resume"), &html! { button { (words.go_on) } }))
                } @else {
                    (forms.form(act("/api/v1/rollouts/pause"), &html! { button { (words.hold_it) } }))
                }
                (forms.form(act("/api/v1/rollouts/promote"), &html! { button { (words.promote_now) } }))
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
    let shown = rollouts::one(&app.releases, &name)
        .await
        .map_err(ApiProblem::from)?;
    let units = app
        .releases
        .settled_units(&shown.id, UNITS_SHOWN)
        .await
        .map_err(|error| ApiProblem::from(crate::api::queries::missing_release(error)))?;
    let id = shown.release.as_str();
    let title = format!("{} {}", words.rollout, beginning(id));
    let fresh = shown.ended_at.is_none().then_some("3");
    let body = html! {
        div id="rollout" data-fresh=[fresh] {
            p class="lead" { strong { (shown.words) } }
            (buttons(words, &forms, &shown))
            (facts(words, &shown))
            (evidence(words, &shown))
            (after(words, &shown))
            section {
                h2 { (words.both_arms) }
                @for metric in &shown.view.metrics { (arms(words, metric)) }
            }
            @if shown.ended_at.is_none() {
                section { h2 { (words.to_decide) } ul { @for line in needed(&shown) { li { (line) } } } }
            }
            @if !units.is_empty() { (judged(words, &units)) }
        }
    };
    Ok(Frame::new(&app, words, Tab::Releases)
        .await
        .titled(&title)
        .around(&body))
}

fn facts(words: &Words, shown: &Shown) -> Markup {
    html! {
        dl class="facts" {
            div { dt { (words.candidate) } dd { a href={ "/candidates/" (shown.candidate) } { (short(&shown.candidate)) } } }
            div { dt { (words.release) } dd { a href={ "/releases/" (shown.release) } { (short(shown.release.as_str())) } } }
            div { dt { (words.against) } dd { a href={ "/releases/" (shown.stable) } { (short(shown.stable.as_str())) } } }
            div { dt { (words.made_by) } dd { (shown.by) } }
            div { dt { (words.when) } dd { (moment(shown.at)) @if let Some(end) = shown.ended_at { " – " (moment(end)) } } }
            div { dt { (words.episodes) } dd { (shown.view.settled) " · " (words.not_judged_yet) ": " (shown.waiting) } }
            @if let Some(hold) = shown.view.hold {
                div { dt { (words.holds) } dd { (match hold {
                    Hold::Coverage => words.hold_coverage,
                    Hold::UnevenCoverage => words.hold_uneven,
                    Hold::Alarm => words.hold_alarm,
                    Hold::Silence => words.hold_silence,
                }) } }
            }
        }
    }
}

/// The watch after a promotion, and the alarm of both arms together.
fn after(words: &Words, shown: &Shown) -> Markup {
    let meters: Vec<Meter> = [
        shown.view.watch.map(|watch| Meter {
            name: words.that_later.to_owned(),
            value: watch.evidence,
            bound: watch.taken_back_at,
            is_bad: true,
        }),
        shown.view.alarm.map(|alarm| Meter {
            name: words.that_world.to_owned(),
            value: alarm.evidence,
            bound: alarm.alarms_at,
            is_bad: true,
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    html! {
        @if let Some(watch) = shown.view.watch {
            p class="soft" { (words.watch_about) " " (watch.settled) " / " (watch.units) }
        }
        @if let Some(alarm) = shown.view.alarm.filter(|alarm| alarm.is_on) {
            div class="trouble mild" role="alert" { (words.hold_alarm) " " (format!("({:.1} %)", 100.0 * alarm.rate)) }
        }
        @if !meters.is_empty() { (table(words, &meters)) }
    }
}

fn table(words: &Words, meters: &[Meter]) -> Markup {
    html! {
        table class="rows" {
            thead { tr { th scope="col" { (words.evidence) } th scope="col" { (words.now) } th scope="col" { (words.bound) } } }
            tbody { @for meter in meters { tr {
                td class="main" { (meter.name) } td { (format!("{:.2}", meter.value)) } td { (format!("{:.0}", meter.bound)) }
            } } }
        }
    }
}

fn evidence(words: &Words, shown: &Shown) -> Markup {
    let view = &shown.view;
    let meter = |name: &str, value, bound, is_bad| Meter {
        name: name.to_owned(),
        value,
        bound,
        is_bad,
    };
    let shadow = view
        .paired_at
        .map(|bound| meter(words.worse_in_shadow, view.evidence_paired, bound, true));
    let meters: Vec<Meter> = shadow
        .into_iter()
        .chain([
            meter(words.that_worse, view.evidence_worse, view.worse_at, true),
            meter(words.that_sound, view.evidence_sound, view.sound_at, false),
        ])
        .collect();
    html! {
        section {
            h2 { (words.evidence) }
            p class="soft" { (words.evidence_about) }
            (chart::meters(words.evidence, &meters))
            (table(words, &meters))
        }
    }
}

fn arms(words: &Words, metric: &MetricView) -> Markup {
    let arm = |name: &str, of: &instar_release::rollout::ArmView, is_new| Arm {
        name: name.to_owned(),
        rate: of.rate,
        interval: of.interval,
        told: format!("{:.0} / {}", of.bad, of.covered),
        is_new,
    };
    let title = format!(
        "{} ({:.0} %)",
        metric_name(words, &metric.name),
        100.0 * metric.weight
    );
    chart::arms(
        &title,
        &[
            arm(words.stable, &metric.stable, false),
            arm(words.candidate, &metric.canary, true),
        ],
    )
}

fn metric_name<'a>(words: &'a Words, name: &'a str) -> &'a str {
    use instar_release::rollout::{COST, LATENCY, QUESTIONS, TASK};
    match name {
        TASK => words.metric_task,
        COST => words.metric_cost,
        LATENCY => words.metric_latency,
        QUESTIONS => words.metric_questions,
        other => other,
    }
}

/// What a decision would take at the present rate of bad episodes.
fn needed(shown: &Shown) -> Vec<String> {
    let task = shown.view.metrics.iter().find(|metric| metric.required);
    let base = task.map_or(0.05, |task| {
        let count = |units: u64| u32::try_from(units).unwrap_or(u32::MAX);
        let past = Past {
            episodes: count(task.stable.covered),
            bad: rounded(task.stable.bad),
            days: 0.0,
        };
        past.base()
    });
    shown.plan.forecast(base, 0.0).lines()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of episodes"
)]
fn rounded(value: f64) -> u32 {
    value.clamp(0.0, 4_000_000_000.0).round() as u32
}

fn judged(words: &Words, units: &[instar_store::UnitRow]) -> Markup {
    html! {
        section {
            h2 { (words.judged_last) }
            div class="wide" tabindex="0" { table class="rows" {
                thead { tr { th scope="col" { (words.arm) } th scope="col" { (words.conversation) }
                    th scope="col" { (words.bad_in) } th scope="col" { (words.when) } } }
                tbody { @for unit in units { tr {
                    td class="main" { (match unit.arm { instar_protocol::event::Arm::Stable => words.stable, _ => words.candidate }) }
                    td { (unit.session.as_str()) } td { (bad_in(words, unit.bad.as_deref())) } td { (moment(unit.at)) }
                } } }
            } }
        }
    }
}

fn bad_in(words: &Words, bad: Option<&str>) -> String {
    let bad: std::collections::BTreeMap<String, Option<f64>> = bad
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let names: Vec<&str> = bad
        .iter()
        .filter(|(_, value)| value.is_some_and(|value| value > 0.0))
        .map(|(name, _)| metric_name(words, name))
        .collect();
    if names.is_empty() {
        "–".to_owned()
    } else {
        names.join(", ")
    }
}
