//! Counting what the lab names, from the gateway's own events.

use instar_policy::canonical::sha256;
use instar_protocol::Timestamp;
use instar_protocol::beats::{AGENTS_MAX, of_agent};
use instar_protocol::event::{Event, EventKind};
use instar_protocol::fault::{
    DETAIL_CHARS_MAX, Fault, FaultEdit, Occasions, SignalKind, TEXT_CHARS_MAX, is_occasion, place,
};
use instar_protocol::lab::{Found, SIGNS_MAX};
use instar_protocol::reads;
use instar_protocol::redact::redact;
use instar_store::{FaultRow, Op};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::beats::{Beat, Clockwork};
use super::reach::Reach;
use super::readings::Readings;
use super::reads::{Readers, Turn};
use super::{Cycle, divide};

/// Who merges what turned out to have one template.
const LAB: &str = "lab";
/// Merges that are followed.
const DEPTH_MAX: usize = 16;

/// The counts of one cycle, on top of those that there were.
pub(super) struct Count {
    faults: BTreeMap<String, FaultRow>,
    places: BTreeMap<String, Occasions>,
    touched: BTreeSet<String>,
    touched_places: BTreeSet<String>,
    edits: Vec<FaultEdit>,
    pub(super) beats: Clockwork,
    pub(super) reach: Reach,
    readers: Readers,
    pub(super) readings: Readings,
}

impl Count {
    pub(super) fn begin(
        faults: Vec<FaultRow>,
        places: Vec<Occasions>,
        beats: Clockwork,
        reach: Reach,
    ) -> Self {
        Self {
            faults: faults
                .into_iter()
                .map(|row| (row.fault.id.clone(), row))
                .collect(),
            places: places
                .into_iter()
                .map(|row| (row.place.clone(), row))
                .collect(),
            touched: BTreeSet::new(),
            touched_places: BTreeSet::new(),
            edits: Vec::new(),
            beats,
            reach,
            readers: Readers::default(),
            readings: Readings::default(),
        }
    }

    /// Counts a page of events and what was found in them.
    pub(super) fn page(&mut self, events: &[Event], found: Vec<Found>, cycle: &mut Cycle) {
        for event in events.iter().filter(|event| is_occasion(event)) {
            let place = place(event);
            self.touched_places.insert(place.clone());
            self.beats.came_by(event, &place);
            if let Some(agent) = self.beats.agent(event) {
                self.readers.happened(event, agent);
            }
            let occasions = self.places.entry(place.clone()).or_default();
            occasions.place = place;
            occasions.take(event);
        }
        let known: HashMap<&str, &Event> = events
            .iter()
            .map(|event| (event.id.as_str(), event))
            .collect();
        let mut signs: HashMap<String, BTreeSet<SignalKind>> = HashMap::new();
        for found in found {
            let event = known.get(found.event.as_str());
            let said = signs.entry(found.event.as_str().to_owned()).or_default();
            let fits = event.is_some_and(|event| may_fail(event))
                && said.len() < SIGNS_MAX
                && said.insert(found.kind);
            match event {
                Some(event) if fits => {
                    cycle.signs += 1;
                    self.one(event, &found, cycle);
                }
                _ => cycle.refused += 1,
            }
        }
        for event in events {
            if let Some(agent) = self.beats.agent(event) {
                let said = signs.get(event.id.as_str());
                let is_correction = said.is_some_and(|said| said.contains(&SignalKind::Correction));
                self.readings.take(event, agent, is_correction);
            }
            if let Some(beat) = self.beats.ended(event) {
                self.beat(event, &beat);
            }
            if let Some(turn) = self.readers.ended(event) {
                self.read(event, &turn);
            }
            let (faults, cost) = self.reach.ended(event).unwrap_or_default();
            for id in faults {
                if let Some(row) = self.faults.get_mut(&id) {
                    row.fault.blast.cost(cost);
                    self.touched.insert(id);
                }
            }
        }
    }

    /// Counts a heartbeat that is over, once for each place and each fault.
    fn beat(&mut self, event: &Event, beat: &Beat) {
        for place in &beat.places {
            if let Some(occasions) = self.places.get_mut(place)
                && let Some(beats) = of_agent(&mut occasions.beats, &beat.agent)
            {
                beats.take(beat.hour, beat.at);
                self.touched_places.insert(place.clone());
            }
        }
        for fault in &beat.faults {
            if let Some(row) = self.faults.get_mut(fault)
                && let Some(beats) = of_agent(&mut row.fault.beats, &beat.agent)
            {
                beats.take(beat.hour, beat.at);
                self.touched.insert(fault.clone());
            }
        }
        let faults = &self.faults;
        self.beats.note(event, beat, |id| root(faults, id));
    }

    /// Counts a turn that is over with the skills that it read: for turns as such, and for each fault with
    /// those that it had read before that showed.
    fn read(&mut self, event: &Event, turn: &Turn) {
        let (release, at) = (&turn.release, turn.begun);
        if let Some(turns) = self.places.get_mut(&place(event))
            && let Some(all) = reads::of_agent(&mut turns.reads, &turn.agent)
        {
            all.take(turn.texts(), release, at);
        }
        for fault in turn.faults() {
            if let Some(row) = self.faults.get_mut(fault)
                && let Some(failed) = reads::of_agent(&mut row.fault.reads, &turn.agent)
            {
                failed.take(turn.before(fault), release, at);
                self.touched.insert(fault.clone());
            }
        }
        let faults = &self.faults;
        self.beats.note_read(event, turn, |id| root(faults, id));
    }

    fn one(&mut self, event: &Event, found: &Found, cycle: &mut Cycle) {
        let place = place(event);
        let detail = clean(&found.detail, DETAIL_CHARS_MAX);
        let born = clean(&found.born, TEXT_CHARS_MAX);
        let id = id(found.kind, &place, &detail, &born);
        // An example is the event's own words, not what somebody says that it said.
        let text = said(event).filter(|said| said.contains(&found.text));
        let text = clean(text.map_or("", |_| found.text.as_str()), TEXT_CHARS_MAX);
        let (id, detail, part_of) = self.part(id, detail, found, event, &text);
        let row = self.faults.entry(id.clone()).or_insert_with(|| {
            cycle.faults_new += 1;
            let mut fault = Fault::new(id.clone(), found.kind, place, event.at);
            fault.detail = detail;
            fault.born = born;
            fault.part_of = part_of;
            FaultRow {
                fault,
                into: None,
                is_apart: false,
                name: String::new(),
                is_muted: false,
            }
        });
        row.fault.template = clean(&found.template, TEXT_CHARS_MAX);
        row.fault.also.extend(found.also.iter().copied());
        row.fault.happened(event, &text);
        if let Some(person) = self.reach.person(event) {
            row.fault.blast.met(person);
        }
        self.reach.failed(event, &id);
        if let Some(agent) = self.beats.agent(event)
            && (row.fault.agents.len() < AGENTS_MAX || row.fault.agents.contains_key(agent))
        {
            *row.fault.agents.entry(agent.clone()).or_default() += 1;
        }
        if let Some(agent) = self.beats.agent(event) {
            self.readers.failed(event, agent, &id);
        }
        self.beats.failed(event, &row.fault.place, &id);
        self.touched.insert(id);
    }

    /// The part of a divided fault that a failure belongs to, or the fault itself.
    fn part(
        &self,
        whole: String,
        detail: String,
        found: &Found,
        event: &Event,
        text: &str,
    ) -> (String, String, Option<String>) {
        let fault = self.faults.get(&whole).map(|row| &row.fault);
        let told =
            fault.and_then(|fault| divide::part(fault.divided?, event, &fault.template, text));
        let (Some(fault), Some(told)) = (fault, told) else {
            return (whole, detail, None);
        };
        let named = |told: &str| clean(format!("{detail} [{told}]").trim(), DETAIL_CHARS_MAX);
        let of = |detail: &str| id(found.kind, &fault.place, detail, &fault.born);
        let mut part = named(&told);
        let parts = self
            .faults
            .values()
            .filter(|row| row.fault.part_of.as_deref() == Some(&whole));
        if !self.faults.contains_key(&of(&part)) && parts.count() >= divide::PARTS_MAX {
            part = named("other");
        }
        (of(&part), part, Some(whole))
    }

    /// Templates that turned out to be one: their faults are merged, unless a person took them apart.
    pub(super) fn join(&mut self, joined: &[(String, String)], cycle: &mut Cycle) {
        for (gone, kept) in joined.iter().take(1_000) {
            let (gone, kept) = (clean(gone, TEXT_CHARS_MAX), clean(kept, TEXT_CHARS_MAX));
            let pairs: Vec<(String, String)> = self
                .faults
                .values()
                .filter(|row| row.fault.born == gone && !row.is_apart && row.into.is_none())
                .map(|row| {
                    let fault = &row.fault;
                    (
                        fault.id.clone(),
                        id(fault.kind, &fault.place, &fault.detail, &kept),
                    )
                })
                .collect();
            for (from, into) in pairs {
                if from == into || self.faults.get(&into).is_none_or(|row| row.into.is_some()) {
                    continue;
                }
                if let Some(row) = self.faults.get_mut(&from) {
                    row.into = Some(into.clone());
                }
                cycle.merged += 1;
                self.touched.insert(from.clone());
                self.edits.push(FaultEdit::Merge { fault: from, into });
            }
        }
    }

    /// Everything that is to be written.
    pub(super) fn end(mut self, cycle: &mut Cycle) -> Vec<Op> {
        cycle.faults_touched = self.touched.len() as u64;
        let at = cycle.at;
        let faults = self.touched.iter().filter_map(|id| self.faults.remove(id));
        let mut ops: Vec<Op> = faults.map(|row| Op::PutFault(Box::new(row))).collect();
        let places = self
            .touched_places
            .iter()
            .filter_map(|place| self.places.remove(place));
        ops.extend(places.map(Op::PutOccasions));
        ops.extend(self.edits.into_iter().map(|edit| edit_op(edit, LAB, at)));
        ops.push(self.reach.kept());
        ops.push(self.readings.kept());
        ops
    }
}

/// The fault that another one counts as.
fn root(faults: &BTreeMap<String, FaultRow>, id: &str) -> String {
    let mut at = id;
    for _ in 0..DEPTH_MAX {
        match faults.get(at).and_then(|row| row.into.as_deref()) {
            Some(into) => at = into,
            None => break,
        }
    }
    at.to_owned()
}

pub(super) fn edit_op(edit: FaultEdit, who: &str, at: Timestamp) -> Op {
    Op::EditFaults {
        edit,
        who: who.to_owned(),
        at,
    }
}

/// Events that can tell of a failure.
fn may_fail(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::ToolCall { .. }
            | EventKind::ModelCall { .. }
            | EventKind::Turn { .. }
            | EventKind::Error { .. }
            | EventKind::MessageIn { .. }
            | EventKind::Feedback { .. }
            | EventKind::Gateway { .. }
    )
}

/// What an event says in words.
fn said(event: &Event) -> Option<&str> {
    match &event.kind {
        EventKind::ToolCall { content, .. } | EventKind::Error { content, .. } => {
            content.as_deref()
        }
        EventKind::ModelCall { attempts, .. } => attempts
            .iter()
            .rev()
            .find_map(|attempt| attempt.failure.as_deref()),
        _ => None,
    }
}

fn id(kind: SignalKind, place: &str, detail: &str, born: &str) -> String {
    let named = format!("{}\n{place}\n{detail}\n{born}", kind.name());
    let digest = sha256(named.as_bytes());
    format!("flt_{}", digest.get(..12).unwrap_or(&digest))
}

/// Words of the lab's, as they may be stored and shown.
fn clean(text: &str, most: usize) -> String {
    let redacted = redact(text);
    let plain = redacted
        .as_str()
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign });
    plain.take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::told::{event, failure, seen};
    use instar_protocol::Standing;

    fn failed(number: u64) -> Event {
        event(number, failure("no answer from x"))
    }

    fn found(event: &str, kind: SignalKind, text: &str) -> Found {
        seen(event, kind, "no answer from <*>", text)
    }

    #[test]
    fn a_turn_counts_with_the_skills_that_it_had_read_before_it_failed() {
        use instar_protocol::event::{Arm, TurnOutcome};
        use instar_protocol::reads::SkillText;
        use instar_protocol::{AgentId, ReleaseId, RunId, SessionId, SessionKey};

        let session = SessionId::from_stored("ses_1");
        let key = SessionKey::parse("agent:main:x").unwrap();
        let text = |digest: &str| SkillText {
            name: "tides".to_owned(),
            digest: digest.to_owned(),
        };
        let of = |run: u64, number: u64, arm: Arm, kind: EventKind| Event {
            session: Some(session.clone()),
            run: Some(RunId::from_stored(format!("run_{run}"))),
            release: Some(ReleaseId::from_hex("1")),
            arm,
            ..event(number, kind)
        };
        let read = |digest: &str| {
            let mut call = failure("");
            if let EventKind::ToolCall {
                skill, is_error, ..
            } = &mut call
            {
                (*skill, *is_error) = (Some(text(digest)), false);
            }
            call
        };
        let ended = || EventKind::Turn {
            outcome: TurnOutcome::Replied,
            millis: 1,
            model_calls: 1,
            tool_calls: 1,
            usage: instar_protocol::model::Usage::default(),
            cost_micros: 0,
        };
        let fails = || failure("no answer from x");
        let (stable, canary) = (Arm::Stable, Arm::Canary);
        let events = [
            // Read, and failed after it; twice is one.
            of(1, 1, stable, read("a")),
            of(1, 2, stable, read("a")),
            of(1, 3, stable, fails()),
            of(1, 4, stable, ended()),
            // Failed first.
            of(2, 5, stable, fails()),
            of(2, 6, stable, read("b")),
            of(2, 7, stable, ended()),
            // A candidate's turn, and one that is under way.
            of(3, 8, canary, read("a")),
            of(3, 9, canary, fails()),
            of(3, 10, canary, ended()),
            of(4, 11, stable, read("a")),
        ];
        let told = [3, 5, 9].map(|number| {
            let event = format!("evt_{number}");
            found(&event, SignalKind::Timeout, "no answer from x")
        });
        let mut cycle = Cycle::new(Timestamp::from_millis(99));
        let mut beats = Clockwork::new(jiff::tz::TimeZone::UTC, Vec::new());
        beats.meet(session.clone(), AgentId::main(), &key);
        let mut count = Count::begin(Vec::new(), Vec::new(), beats, Reach::default());
        count.page(&events, told.to_vec(), &mut cycle);
        let all = &count.places["turn"].reads[&AgentId::main()];
        assert_eq!(
            (all.turns, all.of(&text("a")), all.of(&text("b"))),
            (2, 1, 1)
        );
        let (_, row) = count.faults.first_key_value().unwrap();
        let failed = &row.fault.reads[&AgentId::main()];
        assert_eq!((row.fault.failures, failed.turns), (3, 2));
        assert_eq!((failed.of(&text("a")), failed.of(&text("b"))), (1, 0));
    }

    #[test]
    fn a_lab_that_lies_invents_neither_events_nor_counts_nor_words() {
        let mut cycle = Cycle::new(Timestamp::from_millis(9));
        let beats = Clockwork::new(jiff::tz::TimeZone::UTC, Vec::new());
        let mut count = Count::begin(Vec::new(), Vec::new(), beats, Reach::default());
        let told = vec![
            found("evt_1", SignalKind::Timeout, "no answer from x"),
            // The same sign twice, an event that was never told, words that nobody said.
            found("evt_1", SignalKind::Timeout, "no answer from x"),
            found("evt_7", SignalKind::Timeout, "no answer from x"),
            found("evt_2", SignalKind::Timeout, "send your key to me"),
        ];
        count.page(&[failed(1), failed(2)], told, &mut cycle);
        assert_eq!((cycle.signs, cycle.refused), (2, 2));
        let (id, row) = count.faults.first_key_value().unwrap();
        assert_eq!(
            (row.fault.failures, row.fault.place.as_str()),
            (2, "tool:fetch")
        );
        assert_eq!(row.fault.examples[1].text, "");
        assert_eq!(row.fault.blast.askers, [(Standing::Contact, 2)].into());
        assert!(row.fault.blast.is_outside());
        assert_eq!(count.places["tool:fetch"].count, 2);
        // What a person took apart stays apart.
        let id = id.clone();
        let mut other = found("evt_1", SignalKind::Timeout, "");
        other.born = "no answer".to_owned();
        count.page(&[failed(1)], vec![other], &mut cycle);
        if let Some(row) = count.faults.get_mut(&id) {
            row.is_apart = true;
        }
        let joined = [("no answer from <*>".to_owned(), "no answer".to_owned())];
        count.join(&joined, &mut cycle);
        assert_eq!(cycle.merged, 0);
        if let Some(row) = count.faults.get_mut(&id) {
            row.is_apart = false;
        }
        count.join(&joined, &mut cycle);
        assert_eq!(cycle.merged, 1);
        assert!(count.faults[&id].into.is_some());
    }
}
