//! Notes that turns of the owner's read, and whether their answers were corrected.
//!
//! Counted from the gateway's own events: what a turn under a candidate or for somebody else read is not told
//! in them. An answer is corrected by the owner's next message or by his verdict before that.

use instar_protocol::amend::{NoteRef, NoteUse};
use instar_protocol::event::{Event, EventKind, TurnOutcome};
use instar_protocol::{AgentId, RunId, Standing};
use instar_store::{Op, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name under which the counts are kept.
const NAME: &str = "notes";
/// Notes of one agent that are counted, conversations that wait for their owner's word, and notes of one turn.
const NOTES_MAX: usize = 400;
const TALKS_MAX: usize = 200;
const OF_TURN_MAX: usize = 40;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Readings {
    agents: BTreeMap<AgentId, Vec<NoteUse>>,
    /// By conversation: the latest turn that read notes.
    talks: BTreeMap<String, Talk>,
}

#[derive(Serialize, Deserialize)]
struct Talk {
    agent: AgentId,
    run: RunId,
    notes: BTreeSet<NoteRef>,
    is_answered: bool,
}

impl Readings {
    pub(crate) async fn resume(store: &Store) -> Result<Self, StoreError> {
        let kept = store.lab_memory(NAME).await?;
        let kept = kept.and_then(|kept| serde_json::from_str(&kept).ok());
        Ok(kept.unwrap_or_default())
    }

    pub(super) fn kept(&self) -> Op {
        Op::PutLabMemory {
            name: NAME.to_owned(),
            body: serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// Notes of an agent with at least one answer that was corrected.
    pub(crate) fn corrected(&self, agent: &str) -> Vec<NoteUse> {
        let of_agent = self.agents.iter().find(|(id, _)| id.as_str() == agent);
        let all = of_agent.into_iter().flat_map(|(_, all)| all);
        all.filter(|one| one.corrected > 0).cloned().collect()
    }

    /// Takes the next event of an agent's conversation; `is_correction` where the lab saw one in it.
    pub(super) fn take(&mut self, event: &Event, agent: &AgentId, is_correction: bool) {
        let Some(session) = &event.session else {
            return;
        };
        let is_owner = event.asker == Some(Standing::Owner);
        let session = session.as_str();
        match &event.kind {
            EventKind::NotesRead { notes } if is_owner => {
                if let Some(run) = &event.run {
                    self.read(session, agent, run, notes);
                }
            }
            EventKind::Turn { outcome, .. } => {
                if let Some(talk) = self.talks.get_mut(session)
                    && event.run.as_ref() == Some(&talk.run)
                    && !talk.is_answered
                {
                    talk.is_answered = *outcome == TurnOutcome::Replied;
                    if talk.is_answered {
                        let notes = talk.notes.clone();
                        self.count(agent, &notes, |one| one.turns += 1);
                    } else {
                        self.talks.remove(session);
                    }
                }
            }
            EventKind::MessageIn { .. } => self.answered(session, None, is_owner && is_correction),
            EventKind::Feedback { run, .. } if is_correction && is_owner => {
                self.answered(session, Some(run), true);
            }
            _ => {}
        }
    }

    fn read(&mut self, session: &str, agent: &AgentId, run: &RunId, notes: &[NoteRef]) {
        let is_same = self.talks.get(session).is_some_and(|talk| talk.run == *run);
        if !is_same {
            if self.talks.len() >= TALKS_MAX && !self.talks.contains_key(session) {
                // The one that is answered and was never spoken to again, else any.
                let idle = self.talks.iter().find(|(_, talk)| talk.is_answered);
                let gone = idle.or_else(|| self.talks.iter().next());
                let gone = gone.map(|(name, _)| name.clone());
                if let Some(name) = gone {
                    self.talks.remove(&name);
                }
            }
            let talk = Talk {
                agent: agent.clone(),
                run: run.clone(),
                notes: BTreeSet::new(),
                is_answered: false,
            };
            self.talks.insert(session.to_owned(), talk);
        }
        if let Some(talk) = self.talks.get_mut(session) {
            let room = OF_TURN_MAX.saturating_sub(talk.notes.len());
            talk.notes.extend(notes.iter().take(room).cloned());
        }
    }

    /// The owner's word about an answer is in.
    fn answered(&mut self, session: &str, run: Option<&RunId>, is_corrected: bool) {
        let is_meant = |talk: &Talk| talk.is_answered && run.is_none_or(|run| *run == talk.run);
        if !self.talks.get(session).is_some_and(is_meant) {
            return;
        }
        if let Some(talk) = self.talks.remove(session)
            && is_corrected
        {
            self.count(&talk.agent, &talk.notes, |one| one.corrected += 1);
        }
    }

    fn count(&mut self, agent: &AgentId, notes: &BTreeSet<NoteRef>, add: impl Fn(&mut NoteUse)) {
        let all = self.agents.entry(agent.clone()).or_default();
        for note in notes {
            if let Some(one) = all.iter_mut().find(|one| one.note == *note) {
                add(one);
                continue;
            }
            if all.len() >= NOTES_MAX {
                // One that nobody corrected goes first.
                let idle = all.iter().position(|one| one.corrected == 0);
                all.remove(idle.unwrap_or_default());
            }
            let mut one = NoteUse {
                note: note.clone(),
                turns: 0,
                corrected: 0,
            };
            add(&mut one);
            all.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::event::FeedbackVerdict;
    use instar_protocol::model::Usage;
    use instar_protocol::{InboundId, SessionId};

    use super::super::told;

    fn note(name: &str) -> NoteRef {
        NoteRef {
            path: "memory/2026-11-21.md".to_owned(),
            digest: name.repeat(64),
        }
    }

    /// What is counted of a conversation: who asked, in which run, what happened, and whether it corrects.
    fn counted(all: Vec<(Standing, &str, EventKind, bool)>) -> Vec<(u64, u64)> {
        let mut readings = Readings::default();
        for (number, (asker, run, kind, is_correction)) in (1..).zip(all) {
            let event = Event {
                session: Some(SessionId::from_stored("ses_1")),
                run: Some(RunId::from_stored(run)),
                asker: Some(asker),
                ..told::event(number, kind)
            };
            readings.take(&event, &AgentId::main(), is_correction);
        }
        let body = serde_json::to_string(&readings).unwrap();
        let again: Readings = serde_json::from_str(&body).unwrap();
        let all = again.agents.into_values().flatten();
        all.map(|one| (one.turns, one.corrected)).collect()
    }

    fn reads() -> EventKind {
        EventKind::NotesRead {
            notes: vec![note("a")],
        }
    }

    fn says() -> EventKind {
        EventKind::MessageIn {
            inbound: InboundId::from_stored("inb_1"),
            surface: "api".to_owned(),
            bytes: 1,
            content: None,
        }
    }

    fn ends(outcome: TurnOutcome) -> EventKind {
        EventKind::Turn {
            outcome,
            millis: 1,
            model_calls: 1,
            tool_calls: 1,
            usage: Usage::default(),
            cost_micros: 0,
        }
    }

    #[test]
    fn an_answer_is_corrected_by_the_owners_next_word_alone() {
        use Standing::{Contact, Owner};
        use TurnOutcome::{Failed, Replied};
        let answered = || {
            vec![
                (Owner, "run_1", says(), false),
                (Owner, "run_1", reads(), false),
                (Owner, "run_1", reads(), false),
                (Owner, "run_1", ends(Replied), false),
            ]
        };
        let then = |more: Vec<(Standing, &'static str, EventKind, bool)>| {
            let mut all = answered();
            all.extend(more);
            counted(all)
        };
        let bad = |run: &str| EventKind::Feedback {
            run: RunId::from_stored(run),
            verdict: FeedbackVerdict::Bad,
            content: None,
        };
        assert_eq!(then(vec![(Owner, "run_2", says(), true)]), [(1, 1)]);
        let twice = vec![
            (Owner, "run_1", bad("run_1"), true),
            (Owner, "run_2", says(), true),
        ];
        assert_eq!(then(twice), [(1, 1)], "once for each answer");
        assert_eq!(then(vec![(Owner, "run_2", bad("run_0"), true)]), [(1, 0)]);
        assert_eq!(then(vec![(Contact, "run_2", says(), true)]), [(1, 0)]);
        let late = vec![
            (Owner, "run_2", says(), false),
            (Owner, "run_3", says(), true),
        ];
        assert_eq!(then(late), [(1, 0)], "it is about the answer before");
        let failed = vec![
            (Owner, "run_1", reads(), false),
            (Owner, "run_1", ends(Failed), false),
            (Owner, "run_2", says(), true),
        ];
        assert_eq!(counted(failed), []);
    }
}
