//! Which skills a turn has read, and which faults showed in it after that.

use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::reads::SkillText;
use instar_protocol::{AgentId, ReleaseId, RunId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Turns that are under way at a time.
const RUNS_MAX: usize = 256;
/// Texts that are told of one turn.
const TEXTS_MAX: usize = 16;

/// The turns of a cycle that are not over yet. Only those that the stable release answers: what a candidate
/// says in its skills is the matter of its rollout.
#[derive(Default)]
pub(super) struct Readers {
    runs: BTreeMap<RunId, Turn>,
}

/// One turn.
pub(super) struct Turn {
    pub(super) agent: AgentId,
    pub(super) begun: Timestamp,
    pub(super) release: ReleaseId,
    /// With the time at which each was first read.
    read: BTreeMap<SkillText, Timestamp>,
    /// With the latest time at which each showed.
    faults: BTreeMap<String, Timestamp>,
}

impl Turn {
    pub(super) fn texts(&self) -> impl Iterator<Item = &SkillText> {
        self.read.keys()
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = &String> {
        self.faults.keys()
    }

    /// What had been read when a fault showed.
    pub(super) fn before(&self, fault: &str) -> Vec<&SkillText> {
        let Some(showed) = self.faults.get(fault) else {
            return Vec::new();
        };
        let read = self.read.iter().filter(|(_, at)| *at <= showed);
        read.map(|(text, _)| text).collect()
    }

    /// True if one of these showed after the text was read.
    pub(super) fn failed_after(&self, text: &SkillText, faults: &BTreeSet<String>) -> bool {
        let mut faults = faults.iter();
        faults.any(|fault| self.before(fault).contains(&text))
    }
}

impl Readers {
    fn turn(&mut self, event: &Event, agent: &AgentId) -> Option<&mut Turn> {
        let (run, release) = (event.run.as_ref()?, event.release.as_ref()?);
        let has_room = self.runs.len() < RUNS_MAX || self.runs.contains_key(run);
        if event.arm != Arm::Stable || !has_room {
            return None;
        }
        let fresh = || Turn {
            agent: agent.clone(),
            begun: event.at,
            release: release.clone(),
            read: BTreeMap::new(),
            faults: BTreeMap::new(),
        };
        Some(self.runs.entry(run.clone()).or_insert_with(fresh))
    }

    /// Something happened in a turn of the agent, maybe that a skill was read.
    pub(super) fn happened(&mut self, event: &Event, agent: &AgentId) {
        let read = match &event.kind {
            EventKind::ToolCall { skill, .. } => skill.as_ref(),
            _ => None,
        };
        if let Some(turn) = self.turn(event, agent)
            && let Some(text) = read
            && turn.read.len() < TEXTS_MAX
        {
            turn.read.entry(text.clone()).or_insert(event.at);
        }
    }

    pub(super) fn failed(&mut self, event: &Event, agent: &AgentId, fault: &str) {
        if let Some(turn) = self.turn(event, agent) {
            let showed = turn.faults.entry(fault.to_owned()).or_insert(event.at);
            *showed = (*showed).max(event.at);
        }
    }

    /// The turn that ended with this event.
    pub(super) fn ended(&mut self, event: &Event) -> Option<Turn> {
        let EventKind::Turn { .. } = event.kind else {
            return None;
        };
        self.runs.remove(event.run.as_ref()?)
    }
}
