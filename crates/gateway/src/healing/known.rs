//! What is remembered of trials: the stage that each came to, with the numbers that it rests on.

use instar_protocol::Timestamp;
use instar_protocol::lab::{Known, Seen};
use instar_release::mitigation::WINDOW;
use instar_release::trial::{Keeper, Kept, Moved, Stage, Verdict};
use instar_store::{FaultRow, HealingRow, Op, Store};

use super::around::Around;
use super::shift::{self, Shift, shifts};
use super::{HealingError, KNOWN};

/// How trials ended, as it is remembered.
pub async fn verdicts(store: &Store) -> Result<Vec<Known>, HealingError> {
    let rows = store.healing(KNOWN).await?;
    let moved = shifts(store).await?;
    Ok(rows.iter().filter_map(|row| read(row, &moved)).collect())
}

/// What was written down without the time before it is told with what the move itself knows of that.
fn read(row: &HealingRow, moved: &[Shift]) -> Option<Known> {
    let mut known: Known = serde_json::from_str(&row.body).ok()?;
    known.without_coin |= row.id.starts_with(WINDOW);
    if known.without_coin
        && known.control.0 == 0
        && let Some(shift) = moved.iter().find(|one| one.experiment == row.id)
    {
        known.control = (shift.before.exposures, shift::bad(shift.before));
    }
    Some(known)
}

/// What is remembered of a stage, with the numbers that it rests on.
pub(super) fn known(
    around: &Around,
    keeper: &Keeper,
    (before, faults): (&[HealingRow], &[FaultRow]),
    moved: &Moved,
    now: Timestamp,
) -> Option<Op> {
    let kept = keeper
        .trials()
        .find(|kept| kept.experiment == moved.experiment)?;
    let supported = Stage::Ended {
        verdict: Verdict::SupportedSynthetic,
    };
    // What was made up says nothing against a fix.
    if kept.trial.plan().synthetic && moved.stage != supported {
        return None;
    }
    let before = before.iter().find(|row| row.id == moved.experiment);
    let before = before.and_then(|row| serde_json::from_str::<Known>(&row.body).ok());
    let outcome = word(&moved.stage).to_owned();
    let body = match (&moved.stage, before) {
        // The numbers that it rested on stay beside it.
        (Stage::Ended { verdict }, Some(before)) if *verdict == Verdict::Reopened => Known {
            outcome,
            at: now,
            ..before
        },
        (_, before) => {
            let mut agents = around.stable.behaviour.agents.values();
            let in_service = agents.find_map(|agent| {
                let mut all = agent.mitigations.iter();
                all.find(|one| one.id == kept.mitigation)
            });
            let gene = in_service.map(|one| one.gene.clone());
            let seen_before = before.as_ref().and_then(|before| before.seen.clone());
            let gene = gene.or_else(|| Some(kept.gene.clone()).filter(|gene| !gene.is_empty()));
            let treated = kept.trial.treated();
            Known {
                agent: agent_of(kept).unwrap_or_default().to_owned(),
                gene: gene.or_else(|| before.map(|before| before.gene))?,
                fault: kept.fault.clone(),
                mitigation: kept.mitigation.clone(),
                outcome,
                treated: (treated.units, treated.bad),
                control: control(kept),
                evidence: kept.trial.evidence_proven(),
                without_coin: kept.trial.before().is_some(),
                classic: kept.trial.classic().label().map(str::to_owned),
                release: around.stable.id.to_string(),
                at: now,
                seen: seen(around, kept, faults).or(seen_before),
            }
        }
    };
    Some(Op::PutHealing(HealingRow {
        kind: KNOWN.to_owned(),
        id: moved.experiment.clone(),
        at: now,
        body: serde_json::to_string(&body).ok()?,
    }))
}

/// What the fault of a trial looks like now, and in which environment.
fn seen(around: &Around, kept: &Kept, faults: &[FaultRow]) -> Option<Seen> {
    let row = faults.iter().find(|row| row.fault.id == kept.fault)?;
    let agent = agent_of(kept)?;
    let here = around.world().class(agent, &row.fault.place);
    Some(Seen::of(&row.fault, &here))
}

/// The agent of `fix/AGENT/ID/CHAPTER`.
fn agent_of(kept: &Kept) -> Option<&str> {
    kept.experiment.split('/').nth(1)
}

fn word(stage: &Stage) -> &'static str {
    match stage {
        Stage::Running => "running",
        Stage::Proven => "proven",
        Stage::Adopted { .. } => "adopted",
        Stage::Ended { verdict } => verdict.name(),
    }
}

/// Units without the fix, and how many were bad: those before it, where there is no coin.
pub(super) fn control(kept: &Kept) -> (u64, f64) {
    match kept.trial.before() {
        Some(before) => (before.exposures, shift::bad(before)),
        None => {
            let control = kept.trial.control();
            (control.units, control.bad)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn row(id: &str, control: &Value) -> HealingRow {
        // As it was written before it said whether there was a coin.
        let body = json!({
            "agent": "main", "gene": "move-heartbeat@0", "fault": "flt_1", "mitigation": "move-heartbeat-flt_1",
            "outcome": "supported", "treated": [30, 1.0], "control": control, "evidence": 30.0,
            "classic": null, "release": "", "at": 5,
        });
        HealingRow {
            kind: KNOWN.to_owned(),
            id: id.to_owned(),
            at: Timestamp::from_millis(5),
            body: body.to_string(),
        }
    }

    #[test]
    fn a_verdict_without_a_coin_is_told_with_the_time_before_where_that_is_known() {
        let window = format!("{WINDOW}main/move-heartbeat-flt_1/1");
        let shift: Shift = serde_json::from_value(json!({
            "experiment": window, "fault": "flt_1", "mitigation": "move-heartbeat-flt_1",
            "gene": "move-heartbeat@0", "place": "tool:search", "agent": "main",
            "to": {"every_minutes": 60, "text": ""}, "before": {"exposures": 40, "bad": 12},
            "made_at": 1, "since": 2, "until": null,
        }))
        .unwrap();
        let shifts = [shift];
        let told = |id: &str, control: &Value| {
            let known = read(&row(id, control), &shifts).unwrap();
            (known.without_coin, known.control.0)
        };
        assert_eq!(told(&window, &json!([0, 0.0])), (true, 40));
        // What was written down stays; what nobody knows any more is not made up.
        assert_eq!(told(&window, &json!([39, 9.0])), (true, 39));
        let gone = format!("{WINDOW}main/move-heartbeat-flt_2/1");
        assert_eq!(told(&gone, &json!([0, 0.0])), (true, 0));
        assert_eq!(told("fix/main/retry/1", &json!([0, 0.0])), (false, 0));
    }
}
