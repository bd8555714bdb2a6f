//! Heartbeats that were moved because of a fault.
//!
//! A schedule has no coin: it is one for everybody. So the heartbeats before the move are held against those
//! after it. Their number before is fixed when the move is proposed, by the gateway's own counts; those after
//! it are told by the lab's cycles, as exposures of an experiment that can end as supported and not as more.

use instar_protocol::beats::Beats;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::fault::Fault;
use instar_protocol::{AgentId, EventId, Timestamp};
use instar_release::Heartbeat;
use instar_release::evidence::Baseline;
use instar_release::mitigation::WINDOW;
use instar_release::trial::Keeper;
use instar_store::{HealingRow, Op, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::HealingError;
use crate::api::queries::QueryError;
use crate::app::AppState;

const SHIFT: &str = "shift";
/// Moves that are kept, the latest; those in service are not among what goes.
const SHIFTS_MAX: usize = 50;

/// A heartbeat that was to be moved, with what was counted until then.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Shift {
    pub(crate) experiment: String,
    pub(crate) fault: String,
    pub(crate) mitigation: String,
    gene: String,
    pub(crate) place: String,
    pub(crate) agent: AgentId,
    to: Heartbeat,
    pub(super) before: Baseline,
    made_at: Timestamp,
    /// While it is in service.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Shift {
    pub(super) async fn new(
        store: &Store,
        agent: &str,
        fault: &Fault,
        gene: &str,
        to: Heartbeat,
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        let invalid = |why: &str| QueryError::Invalid {
            param: "fault",
            why: why.to_owned(),
        };
        let agent = AgentId::parse(agent).map_err(|_| invalid("there is no such agent"))?;
        let all = beats(store, agent.as_str()).await?;
        let exposures = all.get(&fault.place).map_or(0, Beats::total);
        let bad = fault.beats.get(&agent).map_or(0, Beats::total);
        if bad == 0 || bad > exposures {
            return Err(invalid("no heartbeat of that agent has met it"));
        }
        let name = gene.split('@').next().unwrap_or(gene);
        let mitigation = format!("{name}-{}", fault.id);
        // Moved once more, it is another chapter.
        let stem = format!("{WINDOW}{agent}/{mitigation}/");
        let before = shifts(store).await?;
        let same = before
            .iter()
            .filter(|one| one.experiment.starts_with(&stem));
        Ok(Self {
            experiment: format!("{stem}{}", same.count() + 1),
            fault: fault.id.clone(),
            mitigation,
            gene: gene.to_owned(),
            place: fault.place.clone(),
            agent,
            to,
            before: Baseline { exposures, bad },
            made_at: now,
            since: None,
            until: None,
        })
    }

    /// Writes it down, and lets go of the oldest that are not in service.
    pub(super) async fn ops(&self, store: &Store, now: Timestamp) -> Result<Vec<Op>, HealingError> {
        let mut others = shifts(store).await?;
        others.retain(|one| one.since.is_none() || one.until.is_some());
        others.sort_by_key(|one| one.made_at);
        let gone = (others.len() + 1).saturating_sub(SHIFTS_MAX);
        let gone = others.into_iter().take(gone).map(|one| Op::RemoveHealing {
            kind: SHIFT.to_owned(),
            id: one.experiment,
        });
        Ok(std::iter::once(self.put(now)).chain(gone).collect())
    }

    fn put(&self, now: Timestamp) -> Op {
        Op::PutHealing(HealingRow {
            kind: SHIFT.to_owned(),
            id: self.experiment.clone(),
            at: now,
            body: serde_json::to_string(self).unwrap_or_default(),
        })
    }

    /// True for what began while it was in service.
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        let is_before_end = self.until.is_none_or(|until| at < until);
        self.since.is_some_and(|since| at >= since) && is_before_end
    }
}

/// The moves of this house.
pub(crate) async fn shifts(store: &Store) -> Result<Vec<Shift>, HealingError> {
    let rows = store.healing(SHIFT).await?;
    let read = |row: &HealingRow| serde_json::from_str(&row.body).ok();
    Ok(rows.iter().filter_map(read).collect())
}

/// The heartbeats of an agent that came by each place.
pub(super) async fn beats(
    store: &Store,
    agent: &str,
) -> Result<BTreeMap<String, Beats>, HealingError> {
    let places = store.occasions().await?.into_iter();
    let of_agent = places.filter_map(|mut place| {
        let agent = AgentId::parse(agent).ok()?;
        Some((place.place, place.beats.remove(&agent)?))
    });
    Ok(of_agent.collect())
}

/// Begins the time after a move when the release in service has it, and ends it when that has it no more.
pub(super) async fn look(
    app: &AppState,
    keeper: &mut Keeper,
    now: Timestamp,
) -> Result<Vec<Op>, HealingError> {
    let Some(stable) = app.releases.stable() else {
        return Ok(Vec::new());
    };
    let mut ops = Vec::new();
    for mut shift in shifts(&app.store).await? {
        let agent = stable.behaviour.agents.get(shift.agent.as_str());
        let heartbeat = agent.and_then(|agent| agent.heartbeat.as_ref());
        let is_served = heartbeat.is_some_and(|there| there.is_in_time_with(&shift.to));
        match (shift.since, shift.until) {
            (None, _) if is_served => {
                shift.since = Some(now);
                let kind = EventKind::Window {
                    fault: shift.fault.clone(),
                    mitigation: shift.mitigation.clone(),
                    gene: shift.gene.clone(),
                    experiment: shift.experiment.clone(),
                    exposures: shift.before.exposures,
                    bad: shift.before.bad,
                };
                let event = Event::of_house(EventId::new(now, app.random()), now, kind);
                ops.push(Op::AppendEvent(event));
            }
            (Some(_), None) if !is_served => {
                shift.until = Some(now);
                keeper.leave(&shift.experiment);
            }
            _ => continue,
        }
        ops.push(shift.put(now));
    }
    Ok(ops)
}

#[expect(clippy::cast_precision_loss, reason = "a count of heartbeats")]
pub(super) fn bad(before: Baseline) -> f64 {
    before.bad as f64
}
