//! A rollout in the event log: what is told of it, and the way back from there to its state.

use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::{EventId, Timestamp};
use instar_store::{Op, UnitRow};
use std::collections::BTreeMap;

use super::live::Live;
use super::machine::Rollout;
use super::settle::pairs;
use super::stage::{Settled, Stage};
use crate::evidence;

/// The event of a stage that was entered.
pub(super) fn told(live: &Live, stage: &Stage, at: Timestamp, random: [u8; 10]) -> Op {
    let reason = match stage {
        Stage::Canary { step } => Some(format!("step {}", step + 1)),
        Stage::RolledBack { why } => Some(why.words()),
        _ => None,
    };
    event(live, stage.name(), reason, at, random)
}

/// The event of something beside the stages.
pub(super) fn noted(live: &Live, word: &str, why: &str, at: Timestamp, random: [u8; 10]) -> Op {
    event(live, word, Some(why.to_owned()), at, random)
}

fn event(live: &Live, word: &str, reason: Option<String>, at: Timestamp, random: [u8; 10]) -> Op {
    Op::AppendEvent(Event {
        release: Some(live.body.release.clone()),
        arm: Arm::Canary,
        ..Event::of_house(
            EventId::new(at, random),
            at,
            EventKind::Rollout {
                rollout: live.row.id.clone(),
                stage: word.to_owned(),
                reason,
            },
        )
    })
}

/// The event of an episode's beginning, or of its judgement.
pub(super) fn episode(
    live: &Live,
    unit: &UnitRow,
    judged: Option<(&BTreeMap<String, Option<f64>>, bool)>,
    at: Timestamp,
    random: [u8; 10],
) -> Op {
    let release = match unit.arm {
        Arm::Stable => &live.body.stable,
        Arm::Canary | Arm::Shadow => &live.body.release,
    };
    Op::AppendEvent(Event {
        session: Some(unit.session.clone()),
        release: Some(release.clone()),
        arm: unit.arm,
        ..Event::of_house(
            EventId::new(at, random),
            at,
            EventKind::Episode {
                rollout: live.row.id.clone(),
                unit: unit.id.clone(),
                share: unit.share,
                bad: judged.map(|(bad, _)| bad.clone()),
                is_heard: judged.is_some_and(|(_, is_heard)| is_heard),
            },
        )
    })
}

pub(super) fn side(arm: Arm) -> evidence::Arm {
    match arm {
        Arm::Stable => evidence::Arm::Old,
        Arm::Canary | Arm::Shadow => evidence::Arm::New,
    }
}

/// The state that the recorded events of a rollout give, in the order of their judgement: whoever has them
/// can work out every move for himself.
#[must_use]
pub fn recompute<'a>(
    rollout: &str,
    begun: Rollout,
    events: impl IntoIterator<Item = &'a Event>,
) -> Rollout {
    let mut machine = begun;
    let mut shadows = Vec::new();
    for event in events {
        if matches!(event.kind, EventKind::Shadow { .. }) {
            shadows.push(event.clone());
        }
        let EventKind::Episode {
            rollout: of,
            unit,
            share,
            bad: Some(bad),
            is_heard,
        } = &event.kind
        else {
            continue;
        };
        if of == rollout && event.arm == Arm::Shadow {
            let (pair, reach) = pairs(&shadows, unit);
            machine.settle_pair(unit, pair, reach);
        } else if of == rollout {
            machine.settle(&Settled {
                unit: unit.clone(),
                arm: side(event.arm),
                share: *share,
                bad: bad.clone(),
                is_heard: *is_heard,
            });
        }
    }
    machine
}
