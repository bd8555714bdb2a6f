//! Heartbeats that were moved because of a fault, and skills that went back to an earlier text.
//!
//! Neither has a coin: there is one for everybody. So the heartbeats, or the turns that read the skill, before
//! the change are held against those after it. Their number before is fixed when the change is proposed, by
//! the gateway's own counts; those after it are told by the lab's cycles, as exposures of an experiment that
//! can end as supported and not as more.

use instar_protocol::beats::Beats;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::fault::Fault;
use instar_protocol::reads::SkillText;
use instar_protocol::{AgentId, EventId, Timestamp};
use instar_release::evidence::Baseline;
use instar_release::mitigation::WINDOW;
use instar_release::trial::Keeper;
use instar_release::{AgentBehaviour, Heartbeat};
use instar_store::{HealingRow, Op, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::HealingError;
use crate::api::queries::QueryError;
use crate::app::AppState;

const SHIFT: &str = "shift";
/// Moves that are kept, the latest; those in service are not among what goes.
const SHIFTS_MAX: usize = 50;

/// What a heartbeat, or a skill, is changed to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum To {
    Heartbeat(Heartbeat),
    Text(SkillText),
}

impl To {
    /// True if the agent has it so.
    fn is_served(&self, agent: &AgentBehaviour) -> bool {
        match self {
            Self::Heartbeat(to) => {
                let there = agent.heartbeat.as_ref();
                there.is_some_and(|there| there.is_in_time_with(to))
            }
            Self::Text(to) => {
                let there = agent.skills.get(&to.name);
                there.is_some_and(|there| there.digest() == to.digest)
            }
        }
    }
}

/// What was to be changed, with what was counted until then.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Shift {
    pub(crate) experiment: String,
    pub(crate) fault: String,
    pub(crate) mitigation: String,
    gene: String,
    pub(crate) place: String,
    pub(crate) agent: AgentId,
    to: To,
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
        (to, before): (To, Baseline),
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        let agent = AgentId::parse(agent).map_err(|_| invalid("there is no such agent"))?;
        let name = gene.split('@').next().unwrap_or(gene);
        let mitigation = format!("{name}-{}", fault.id);
        // Moved once more, it is another chapter.
        let stem = format!("{WINDOW}{agent}/{mitigation}/");
        let others = shifts(store).await?;
        let same = others
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
            before,
            made_at: now,
            since: None,
            until: None,
        })
    }

    pub(crate) fn heartbeat(&self) -> Option<&Heartbeat> {
        match &self.to {
            To::Heartbeat(to) => Some(to),
            To::Text(_) => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&SkillText> {
        match &self.to {
            To::Heartbeat(_) => None,
            To::Text(to) => Some(to),
        }
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

fn invalid(why: &str) -> QueryError {
    QueryError::Invalid {
        param: "fault",
        why: why.to_owned(),
    }
}

/// The heartbeats of an agent that met a fault, and those that came by its place.
pub(super) async fn baseline(
    store: &Store,
    agent: &str,
    fault: &Fault,
) -> Result<Baseline, QueryError> {
    let all = beats(store, agent).await?;
    let exposures = all.get(&fault.place).map_or(0, Beats::total);
    let agent = AgentId::parse(agent).map_err(|_| invalid("there is no such agent"))?;
    let bad = fault.beats.get(&agent).map_or(0, Beats::total);
    if bad == 0 || bad > exposures {
        return Err(invalid("no heartbeat of that agent has met it"));
    }
    Ok(Baseline { exposures, bad })
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
        let is_served = agent.is_some_and(|agent| shift.to.is_served(agent));
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
