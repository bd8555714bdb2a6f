//! `instar rollout`.

use instar_gateway::api::rollouts::{Move, NewRollout};
use instar_release::rollout::{Caps, Plan, Shadow, World, simulate};
use serde_json::{Value, json};

use super::events::escape;
use super::models::text;
use super::offline;
use super::release::{short, when};
use crate::args::{PlanArgs, Rollout, Simulate, Start};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style};

/// Episodes of a step before the next one, where a simulation is told nothing else.
const UNITS_MIN: u64 = 20;

pub(crate) async fn run(command: &Rollout, run: &Context) -> anyhow::Result<()> {
    if let Rollout::Simulate(asked) = command {
        return played(asked, run);
    }
    let answer = fetch(command, run).await?;
    if run.out.json() {
        return run.out.value(&answer);
    }
    match command {
        Rollout::Start(_) => {
            for line in rows(&answer, "lines") {
                run.out.note(line.as_str().unwrap_or_default());
            }
            match &answer["rollout"] {
                Value::Null => run.out.line("a dry run: nothing was begun"),
                begun => status(begun, run.out),
            }
        }
        Rollout::History => history(&answer, run.out),
        _ => status(&answer, run.out),
    }
    Ok(())
}

async fn fetch(command: &Rollout, run: &Context) -> anyhow::Result<Value> {
    let Some(client) = offline::live(run).await? else {
        return match acted(command) {
            Some(what) => offline::rollout_move(run, what).await,
            None if matches!(command, Rollout::Start(_)) => Err(Failure::new(
                Code::Usage,
                "no gateway is running, so there is no traffic",
            )
            .next("start one with `instar up`")
            .into()),
            None => offline::rollout(run, name(command)).await,
        };
    };
    match command {
        Rollout::Start(start) => client.post("/api/v1/rollouts", &asked(start)).await,
        Rollout::History => client.get("/api/v1/rollouts").await,
        Rollout::Pause => client.post("/api/v1/rollouts/pause", &json!({})).await,
        Rollout::Resume => client.post("/api/v1/rollouts/resume", &json!({})).await,
        Rollout::Promote => client.post("/api/v1/rollouts/promote", &json!({})).await,
        Rollout::Abort => client.post("/api/v1/rollouts/abort", &json!({})).await,
        Rollout::Status { .. } | Rollout::Simulate(_) => {
            let name = name(command).unwrap_or("latest");
            client
                .get(&format!("/api/v1/rollouts/{}", escape(name)))
                .await
        }
    }
}

fn acted(command: &Rollout) -> Option<Move> {
    match command {
        Rollout::Pause => Some(Move::Pause),
        Rollout::Resume => Some(Move::Resume),
        Rollout::Promote => Some(Move::Promote),
        Rollout::Abort => Some(Move::Abort),
        _ => None,
    }
}

/// The one that is meant; none for the list of all.
fn name(command: &Rollout) -> Option<&str> {
    match command {
        Rollout::Status { rollout } => Some(rollout.as_deref().unwrap_or("latest")),
        _ => None,
    }
}

fn asked(start: &Start) -> NewRollout {
    let plan = &start.plan;
    NewRollout {
        candidate: start.candidate.clone(),
        shares: plan.shares.clone(),
        units_min: plan.units_min,
        level: plan.level,
        margin: plan.margin,
        horizon: plan.horizon,
        idle_seconds: start.idle,
        turns_max: start.turns,
        maturity_seconds: start.maturity,
        shadow_pairs: start.shadow,
        watch_units: start.watch,
        held_out: start.held_out,
        fast_maturity_seconds: start.fast_maturity,
        ab: start.ab,
        dry_run: start.dry_run,
    }
}

fn status(shown: &Value, out: Out) {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    out.line(&format!(
        "rollout {} of {} against {}",
        out.paint(Style::Strong, &text(shown, "id")),
        short(shown, "release"),
        short(shown, "stable"),
    ));
    out.line(&format!("stage: {}", text(shown, "words")));
    out.line(&format!(
        "episodes judged: {}, waiting: {}",
        number(&shown["settled"]),
        number(&shown["waiting"])
    ));
    out.line(&format!(
        "evidence that it is worse: {:.2} (taken back at {:.0})",
        number(&shown["evidence_worse"]),
        number(&shown["worse_at"])
    ));
    out.line(&format!(
        "evidence that it is sound: {:.2} (promoted at {:.0})",
        number(&shown["evidence_sound"]),
        number(&shown["sound_at"])
    ));
    if let Some(bound) = shown["paired_at"].as_f64() {
        out.line(&format!(
            "in the shadow: {} pairs judged, evidence that it is worse: {:.2} (taken back at {bound:.0})",
            shown["pairs"],
            number(&shown["evidence_paired"])
        ));
    }
    if let Some(step) = shown["awaits"].as_str() {
        out.note(&format!(
            "it may not go on to {step} by itself: `instar candidate approve {}`",
            short(shown, "candidate")
        ));
    }
    if let watch @ Value::Object(_) = &shown["watch"] {
        let word = if watch["is_on"] == Value::Bool(true) {
            "on"
        } else {
            "over"
        };
        out.line(&format!(
            "the watch after its promotion is {word}: {} of {} episodes, evidence that it became worse: {:.2} (taken back at {:.0})",
            watch["settled"],
            watch["units"],
            number(&watch["evidence"]),
            number(&watch["taken_back_at"])
        ));
    }
    if let alarm @ Value::Object(_) = &shown["alarm"] {
        let line = format!(
            "both arms together against the {:.1} % that was usual before: {:.2} (alarm at {:.0})",
            100.0 * number(&alarm["rate"]),
            number(&alarm["evidence"]),
            number(&alarm["alarms_at"])
        );
        let is_on = alarm["is_on"] == Value::Bool(true);
        let style = if is_on { Style::Bad } else { Style::Plain };
        out.line(&out.paint(style, &line));
    }
    if let Some(hold) = shown["hold"].as_str() {
        let why = match hold {
            "alarm" => "both arms together are worse than what was usual before",
            "coverage" => "an arm has too few episodes with data",
            "silence" => {
                "too little was heard of an arm: neither a word about its answers nor anything that went wrong"
            }
            _ => "one arm has data more often than the other",
        };
        out.note(&format!("it would not be promoted now: {why}"));
    }
    let table: Vec<_> = rows(shown, "metrics")
        .iter()
        .map(|metric| {
            vec![
                (Style::Strong, text(metric, "name")),
                (Style::Plain, arm(&metric["stable"])),
                (Style::Plain, arm(&metric["canary"])),
                (
                    Style::Plain,
                    format!("{:.2}", number(&metric["evidence_worse"])),
                ),
                (
                    Style::Plain,
                    format!("{:.2}", number(&metric["evidence_sound"])),
                ),
            ]
        })
        .collect();
    out.table(&["bad", "stable", "candidate", "worse", "sound"], &table);
}

/// `3 of 40 (2.6 to 19.9 %)`.
fn arm(arm: &Value) -> String {
    let counted = format!("{} of {}", arm["bad"], arm["covered"]);
    match (arm["interval"][0].as_f64(), arm["interval"][1].as_f64()) {
        (Some(low), Some(high)) => {
            format!("{counted} ({:.1} to {:.1} %)", 100.0 * low, 100.0 * high)
        }
        _ => counted,
    }
}

fn history(answer: &Value, out: Out) {
    let all = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        out.note("no rollout yet; `instar rollout start CANDIDATE` begins one");
    }
    let table: Vec<_> = all
        .iter()
        .map(|row| {
            vec![
                (Style::Strong, text(row, "id")),
                (Style::Plain, short(row, "release")),
                (Style::Plain, text(row, "words")),
                (Style::Plain, row["settled"].to_string()),
                (Style::Faint, when(row, "at")),
            ]
        })
        .collect();
    out.table(
        &["rollout", "release", "stage", "episodes", "begun"],
        &table,
    );
}

fn played(asked: &Simulate, run: &Context) -> anyhow::Result<()> {
    let refused = |why: String| Failure::new(Code::Usage, why);
    for (name, value) in [
        ("base", asked.base),
        ("base times effect", asked.base * asked.effect),
    ] {
        if !(0.0..=1.0).contains(&value) {
            return Err(refused(format!("{name}: {value} is no rate")).into());
        }
    }
    let mut plan = planned(&asked.plan);
    plan.shadow = asked.shadow.filter(|pairs| *pairs > 0).map(Shadow::of);
    let world = World {
        base: asked.base,
        effect: asked.effect,
        runs: asked.runs,
        seed: asked.seed,
    };
    let played = simulate(&plan, world).map_err(|error| refused(error.to_string()))?;
    if run.out.json() {
        return run.out.value(&played);
    }
    for line in plan.forecast(asked.base, 0.0).lines() {
        run.out.note(&line);
    }
    let percent = |part: u32| 100.0 * f64::from(part) / f64::from(played.runs);
    run.out.line(&format!(
        "taken back {:.1} %, promoted {:.1} %, undecided {:.1} % of {} runs",
        percent(played.rolled_back),
        percent(played.promoted),
        percent(played.undecided),
        played.runs
    ));
    run.out.line(&format!(
        "after {} episodes in the middle ({} with the candidate), {} at the ninth tenth",
        played.median, played.median_canary, played.p90
    ));
    if plan.shadow.is_some() {
        run.out.line(&format!(
            "{:.1} % in the shadow, which took {} pairs in the middle",
            percent(played.in_shadow),
            played.median_pairs
        ));
    }
    Ok(())
}

fn planned(asked: &PlanArgs) -> Plan {
    let shares = asked.shares.as_deref().unwrap_or(&[0.5]);
    let units_min = asked.units_min.unwrap_or(UNITS_MIN);
    // As if the stable release's turns had been measured, which they are after a while.
    let caps = Caps {
        cost_micros: Some(1),
        millis: Some(1),
    };
    let mut plan = Plan::over(shares, units_min, caps);
    plan.level = asked.level.unwrap_or(plan.level);
    plan.horizon = asked.horizon.unwrap_or(plan.horizon);
    if let Some(margin) = asked.margin {
        for metric in plan.metrics.values_mut() {
            metric.margin = margin;
        }
    }
    plan
}

fn rows<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}
