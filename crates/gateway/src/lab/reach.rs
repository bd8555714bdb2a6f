//! Whom a fault reached, and what the turns cost in which it showed.
//!
//! A turn is paid for when it ends, which may be after the cycle that saw the failure: turns that are under way are
//! remembered from one cycle to the next.

use instar_policy::canonical::sha256;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::lab::Found;
use instar_protocol::message::EntryBody;
use instar_protocol::{Principal, RunId, Standing};
use instar_store::{Op, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The name under which turns that are under way are kept.
const TURNS: &str = "faults.turns";
/// Turns that are waited for. The oldest goes, and with it what it costs.
const TURNS_MAX: usize = 256;
/// Entries of a conversation in which the one who asked is looked for.
const ENTRIES_MAX: usize = 200;
const NAME_CHARS: usize = 12;

/// What is known of runs that met faults.
#[derive(Debug, Default)]
pub(super) struct Reach {
    people: HashMap<RunId, String>,
    /// Faults that a turn met, until it ends.
    turns: BTreeMap<RunId, BTreeSet<String>>,
}

impl Reach {
    pub(super) async fn resume(store: &Store) -> Result<Self, StoreError> {
        let kept = store.lab_memory(TURNS).await?;
        let turns = kept.and_then(|kept| serde_json::from_str(&kept).ok());
        Ok(Self {
            people: HashMap::new(),
            turns: turns.unwrap_or_default(),
        })
    }

    /// Looks up who asked for the runs in which something was found.
    pub(super) async fn meet(
        &mut self,
        store: &Store,
        events: &[Event],
        found: &[Found],
    ) -> Result<(), StoreError> {
        let named: BTreeSet<&str> = found.iter().map(|found| found.event.as_str()).collect();
        for event in events.iter().filter(|one| named.contains(one.id.as_str())) {
            let (Some(run), Some(session), Some(asker)) = (&event.run, &event.session, event.asker)
            else {
                continue;
            };
            if !asker.is_outside() || self.people.contains_key(run) {
                continue;
            }
            let entries = store.branch(session, None, ENTRIES_MAX).await?;
            let asked = entries.iter().find_map(|entry| match &entry.body {
                EntryBody::User { principal, .. } => {
                    let is_it = entry.at <= event.at && principal.standing() == asker;
                    is_it.then(|| name(principal))?
                }
                _ => None,
            });
            if let Some(person) = asked {
                self.people.insert(run.clone(), person);
            }
        }
        Ok(())
    }

    /// Who asked for the run of an event, if that was a person and it is known which.
    pub(super) fn person(&self, event: &Event) -> Option<&str> {
        match event.asker? {
            Standing::Owner => Some("owner"),
            Standing::Nobody => None,
            Standing::Contact | Standing::Stranger => {
                self.people.get(event.run.as_ref()?).map(String::as_str)
            }
        }
    }

    pub(super) fn failed(&mut self, event: &Event, fault: &str) {
        let Some(run) = &event.run else { return };
        if !self.turns.contains_key(run) && self.turns.len() >= TURNS_MAX {
            self.turns.pop_first();
        }
        let met = self.turns.entry(run.clone()).or_default();
        met.insert(fault.to_owned());
    }

    /// The faults that a turn had met which ends with this event, and what it cost.
    pub(super) fn ended(&mut self, event: &Event) -> Option<(BTreeSet<String>, u64)> {
        let EventKind::Turn { cost_micros, .. } = event.kind else {
            return None;
        };
        let faults = self.turns.remove(event.run.as_ref()?)?;
        Some((faults, cost_micros))
    }

    pub(super) fn kept(&self) -> Op {
        Op::PutLabMemory {
            name: TURNS.to_owned(),
            body: serde_json::to_string(&self.turns).unwrap_or_default(),
        }
    }
}

/// A name that tells people apart without saying who they are.
fn name(principal: &Principal) -> Option<String> {
    let (kind, id) = match principal {
        Principal::Contact { id } => ("contact", id),
        Principal::Stranger { id } => ("stranger", id),
        Principal::Owner { .. } | Principal::Automation { .. } => return None,
    };
    let digest = sha256(format!("{kind}\n{id}").as_bytes());
    let short = digest.get(..NAME_CHARS).unwrap_or(&digest);
    Some(format!("{kind}-{short}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Cycle;
    use crate::lab::beats::Clockwork;
    use crate::lab::count::Count;
    use crate::lab::told::{event, failure, seen};
    use instar_protocol::event::TurnOutcome;
    use instar_protocol::fault::{Fault, SignalKind};
    use instar_protocol::message::{Entry, Part};
    use instar_protocol::model::Usage;
    use instar_protocol::{AgentId, EntryId, Label, SessionId, SessionKey, Timestamp};
    use instar_store::{FaultRow, Options, SessionPatch, SessionRow};

    const SESSION: &str = "ses_group";

    fn of_run(number: u64, run: &str, asker: Standing, kind: EventKind) -> Event {
        Event {
            session: Some(SessionId::from_stored(SESSION)),
            run: Some(RunId::from_stored(run)),
            asker: Some(asker),
            ..event(number, kind)
        }
    }

    fn failed(number: u64, run: &str, asker: Standing) -> Event {
        of_run(number, run, asker, failure("no answer"))
    }

    fn ended(number: u64, run: &str, cost_micros: u64) -> Event {
        let kind = EventKind::Turn {
            outcome: TurnOutcome::Replied,
            millis: 1,
            model_calls: 1,
            tool_calls: 1,
            usage: Usage::default(),
            cost_micros,
        };
        of_run(number, run, Standing::Contact, kind)
    }

    fn found(event: &Event) -> Found {
        let name = event.id.as_str();
        seen(name, SignalKind::ToolError, "no answer", "no answer")
    }

    /// A conversation of two contacts, who spoke one after the other.
    async fn group(store: &Store) {
        let row = SessionRow {
            id: SessionId::from_stored(SESSION),
            key: SessionKey::main(&AgentId::main()),
            agent: AgentId::main(),
            title: None,
            created_at: Timestamp::from_millis(1),
            updated_at: Timestamp::from_millis(1),
            leaf: None,
            model: None,
            deleted_at: None,
            entries: 0,
            input_tokens: 0,
            output_tokens: 0,
            cost_micros: 0,
            parent: None,
        };
        let mut ops = vec![Op::PutSession(row)];
        let mut parent = None;
        for (at, who) in [(5, "ann"), (25, "bob"), (45, "ann")] {
            let id = EntryId::from_stored(format!("ent_{at:02}"));
            ops.push(Op::AppendEntry(Entry {
                id: id.clone(),
                parent: parent.replace(id),
                session: SessionId::from_stored(SESSION),
                at: Timestamp::from_millis(at),
                run: None,
                label: Label::system(),
                body: EntryBody::User {
                    parts: vec![Part::text("again")],
                    principal: Principal::Contact { id: who.to_owned() },
                    inbound: None,
                    surface: "test".to_owned(),
                },
            }));
        }
        ops.push(Op::PatchSession {
            id: SessionId::from_stored(SESSION),
            patch: SessionPatch {
                leaf: Some(parent),
                ..SessionPatch::default()
            },
        });
        store.commit(ops).await.unwrap();
    }

    /// One cycle over these events; each failure among them is found.
    async fn cycle(store: &Store, events: &[Event]) -> Fault {
        let beats = Clockwork::new(jiff::tz::TimeZone::UTC, Vec::new());
        let reach = Reach::resume(store).await.unwrap();
        let rows = store.faults().await.unwrap();
        let mut count = Count::begin(rows, Vec::new(), beats, reach);
        let failures = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::ToolCall { .. }));
        let found: Vec<Found> = failures.map(found).collect();
        count.reach.meet(store, events, &found).await.unwrap();
        let mut cycle = Cycle::new(Timestamp::from_millis(9));
        count.page(events, found, &mut cycle);
        store.commit(count.end(&mut cycle)).await.unwrap();
        let rows: Vec<FaultRow> = store.faults().await.unwrap();
        rows.into_iter().next().unwrap().fault
    }

    #[tokio::test]
    async fn people_conversations_and_the_cost_of_turns_are_counted_from_events() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        group(&store).await;
        let contact = Standing::Contact;
        // Two failures in one turn of the first contact, which ends, and one of the second, which goes on.
        let events = [
            failed(1, "run_1", contact),
            failed(2, "run_1", contact),
            ended(3, "run_1", 700),
            failed(4, "run_2", contact),
            ended(5, "run_9", 5_000),
        ];
        let blast = cycle(&store, &events).await.blast;
        assert_eq!((blast.people.len(), blast.sessions.len()), (2, 1));
        let told = format!("{:?}", blast.people);
        assert!(told.contains("contact-") && !told.contains("ann"), "{told}");
        assert_eq!((blast.turns, blast.cost_micros), (1, 700), "each turn once");
        // It ends in the next cycle; the first contact comes again, and a schedule is nobody.
        let events = [
            ended(6, "run_2", 30),
            failed(7, "run_3", contact),
            failed(8, "run_4", Standing::Nobody),
            failed(9, "run_5", Standing::Owner),
            ended(10, "run_3", 4),
        ];
        let blast = cycle(&store, &events).await.blast;
        assert_eq!((blast.turns, blast.cost_micros), (3, 734));
        assert_eq!(blast.people.len(), 3, "{:?}", blast.people);
        assert!(blast.people.contains("owner"));
    }
}
