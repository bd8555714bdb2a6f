//! Whose runs events are of, and heartbeats: which places one came by, what failed in it, and the exposures
//! of what was changed without a coin because of a fault.

use instar_protocol::event::{Event, EventKind};
use instar_protocol::{AgentId, EventId, RunId, SessionId, SessionKey, Timestamp};
use instar_store::Op;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::reads::Turn;
use crate::healing::Shift;

/// The last part of the key of the conversation of heartbeats.
const HEARTBEAT: &str = "heartbeat";
/// Runs that are under way at a time.
const RUNS_MAX: usize = 256;

/// What is known of runs during one cycle.
pub(super) struct Clockwork {
    zone: jiff::tz::TimeZone,
    shifts: Vec<Shift>,
    talks: HashMap<SessionId, Talk>,
    runs: BTreeMap<RunId, Beat>,
    units: Vec<Unit>,
}

struct Talk {
    agent: AgentId,
    is_heartbeat: bool,
}

/// One heartbeat.
pub(super) struct Beat {
    pub(super) agent: AgentId,
    pub(super) at: Timestamp,
    pub(super) hour: u8,
    pub(super) places: BTreeSet<String>,
    pub(super) faults: BTreeSet<String>,
}

/// A heartbeat or a turn after a move, and whether its fault showed.
struct Unit {
    shift: usize,
    run: RunId,
    is_bad: bool,
}

impl Clockwork {
    pub(super) fn new(zone: jiff::tz::TimeZone, shifts: Vec<Shift>) -> Self {
        Self {
            zone,
            shifts,
            talks: HashMap::new(),
            runs: BTreeMap::new(),
            units: Vec::new(),
        }
    }

    /// Conversations of these events that were not met in this cycle.
    pub(super) fn unknown(&self, events: &[Event]) -> BTreeSet<SessionId> {
        let sessions = events.iter().filter_map(|event| event.session.clone());
        sessions
            .filter(|session| !self.talks.contains_key(session))
            .collect()
    }

    pub(super) fn meet(&mut self, session: SessionId, agent: AgentId, key: &SessionKey) {
        let own = SessionKey::under(&agent, &[HEARTBEAT]);
        let is_heartbeat = own.is_ok_and(|own| own == *key);
        let talk = Talk {
            agent,
            is_heartbeat,
        };
        self.talks.insert(session, talk);
    }

    /// The agent of an event.
    pub(super) fn agent(&self, event: &Event) -> Option<&AgentId> {
        let talk = self.talks.get(event.session.as_ref()?)?;
        Some(&talk.agent)
    }

    fn beat(&mut self, event: &Event) -> Option<&mut Beat> {
        let run = event.run.as_ref()?;
        let talk = self.talks.get(event.session.as_ref()?)?;
        if !talk.is_heartbeat || (self.runs.len() >= RUNS_MAX && !self.runs.contains_key(run)) {
            return None;
        }
        let fresh = || Beat {
            agent: talk.agent.clone(),
            at: event.at,
            hour: hour(event.at, &self.zone),
            places: BTreeSet::new(),
            faults: BTreeSet::new(),
        };
        Some(self.runs.entry(run.clone()).or_insert_with(fresh))
    }

    /// A heartbeat came by a place.
    pub(super) fn came_by(&mut self, event: &Event, place: &str) {
        if let Some(beat) = self.beat(event) {
            beat.places.insert(place.to_owned());
        }
    }

    /// A fault showed at a place, maybe in a heartbeat.
    pub(super) fn failed(&mut self, event: &Event, place: &str, fault: &str) {
        if let Some(beat) = self.beat(event) {
            beat.places.insert(place.to_owned());
            beat.faults.insert(fault.to_owned());
        }
    }

    /// The heartbeat that ended with this event.
    pub(super) fn ended(&mut self, event: &Event) -> Option<Beat> {
        let EventKind::Turn { .. } = event.kind else {
            return None;
        };
        self.runs.remove(event.run.as_ref()?)
    }

    /// Notes the exposure of what was moved. `root` is the fault that another one counts as.
    pub(super) fn note(&mut self, event: &Event, beat: &Beat, root: impl Fn(&str) -> String) {
        let Some(run) = &event.run else { return };
        for (at, shift) in self.shifts.iter().enumerate() {
            let is_of_it = shift.heartbeat().is_some()
                && shift.agent == beat.agent
                && beat.places.contains(&shift.place);
            if is_of_it && shift.holds(beat.at) {
                let mut faults = beat.faults.iter();
                self.units.push(Unit {
                    shift: at,
                    run: run.clone(),
                    is_bad: faults.any(|fault| *fault == shift.fault || root(fault) == shift.fault),
                });
            }
        }
    }

    /// Notes the exposure of a skill that went back to an earlier text: a turn that read it.
    pub(super) fn note_read(&mut self, event: &Event, turn: &Turn, root: impl Fn(&str) -> String) {
        let Some(run) = &event.run else { return };
        for (at, shift) in self.shifts.iter().enumerate() {
            let text = shift.text().filter(|_| shift.agent == turn.agent);
            let text = text.filter(|_| shift.holds(turn.begun));
            let Some(text) = text.filter(|text| turn.texts().any(|one| one == *text)) else {
                continue;
            };
            let of_it = |fault: &&String| **fault == shift.fault || root(fault) == shift.fault;
            let faults = turn.faults().filter(of_it).cloned().collect();
            self.units.push(Unit {
                shift: at,
                run: run.clone(),
                is_bad: turn.failed_after(text, &faults),
            });
        }
    }

    /// The exposures, as those of turns are told.
    pub(super) fn ops(&self, id: impl Fn() -> EventId, now: Timestamp) -> Vec<Op> {
        let event = |kind| Op::AppendEvent(Event::of_house(id(), now, kind));
        let of_unit = |unit: &Unit| {
            let shift = &self.shifts[unit.shift];
            let begun = EventKind::Exposure {
                fault: shift.fault.clone(),
                mitigation: shift.mitigation.clone(),
                experiment: shift.experiment.clone(),
                unit: unit.run.to_string(),
                with_fix: true,
                share_permille: 1_000,
            };
            let ended = EventKind::ExposureEnd {
                experiment: shift.experiment.clone(),
                unit: unit.run.to_string(),
                bad: Some(unit.is_bad),
            };
            [event(begun), event(ended)]
        };
        self.units.iter().flat_map(of_unit).collect()
    }
}

/// The hour of the owner's day, as heartbeats are timed by it.
fn hour(at: Timestamp, zone: &jiff::tz::TimeZone) -> u8 {
    let millis = i64::try_from(at.millis()).unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    u8::try_from(time.to_zoned(zone.clone()).hour()).unwrap_or_default()
}
