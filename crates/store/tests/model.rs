//! Any sequence of changes reads like the same changes on a plain map, also after a restart.

use std::collections::BTreeMap;

use instar_protocol::message::{Entry, Outbox, OutboxState};
use instar_store::{Op, Options, SessionFilter, SessionPatch, SessionRow, Store};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::given::{at, entry, event, key, outbox, reset, session, session_id};

const KEYS: u64 = 3;

#[derive(Debug, Clone)]
enum Step {
    New {
        key: u64,
    },
    Append {
        session: usize,
        parent: Option<usize>,
        reset: bool,
    },
    Leaf {
        session: usize,
        entry: usize,
    },
    Patch {
        session: usize,
        tokens: u64,
        model: Option<Option<String>>,
    },
    Delete {
        session: usize,
    },
    Restore {
        session: usize,
    },
    Reply {
        session: usize,
    },
    Settle {
        reply: usize,
        state: OutboxState,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let any_index = 0..1_000_usize;
    let state = prop_oneof![
        Just(OutboxState::Sending),
        Just(OutboxState::Sent),
        Just(OutboxState::Uncertain),
    ];
    prop_oneof![
        2 => (0..KEYS).prop_map(|key| Step::New { key }),
        6 => (any_index.clone(), proptest::option::of(any_index.clone()), prop::bool::weighted(0.1))
            .prop_map(|(session, parent, reset)| Step::Append { session, parent, reset }),
        2 => (any_index.clone(), any_index.clone())
            .prop_map(|(session, entry)| Step::Leaf { session, entry }),
        2 => (any_index.clone(), 0..1_000_u64, proptest::option::of(proptest::option::of("[a-z]{1,4}")))
            .prop_map(|(session, tokens, model)| Step::Patch { session, tokens, model }),
        1 => any_index.clone().prop_map(|session| Step::Delete { session }),
        1 => any_index.clone().prop_map(|session| Step::Restore { session }),
        2 => any_index.clone().prop_map(|session| Step::Reply { session }),
        2 => (any_index, state).prop_map(|(reply, state)| Step::Settle { reply, state }),
    ]
}

#[derive(Debug, Default)]
struct Model {
    sessions: BTreeMap<u64, SessionRow>,
    keys: BTreeMap<u64, u64>,
    entries: Vec<Entry>,
    replies: Vec<Outbox>,
    clock: u64,
}

impl Model {
    fn pick(&self, index: usize) -> Option<u64> {
        let count = self.sessions.len();
        (count > 0).then(|| self.sessions.keys().copied().nth(index % count))?
    }

    fn in_session(&self, number: u64) -> Vec<&Entry> {
        let id = session_id(number);
        self.entries
            .iter()
            .filter(|entry| entry.session == id)
            .collect()
    }

    /// Changes the model and says what the store has to be told; `None` if there is nothing to do.
    fn apply(&mut self, step: &Step) -> Option<Op> {
        self.clock += 1;
        let now = self.clock;
        match step {
            Step::New { key: name } => {
                let mut row = session(now);
                row.key = key(&format!("key{name}"));
                self.sessions.insert(now, row.clone());
                self.keys.insert(*name, now);
                Some(Op::PutSession(row))
            }
            Step::Append {
                session,
                parent,
                reset: is_reset,
            } => {
                let owner = self.pick(*session)?;
                let known = self.in_session(owner);
                let above = parent
                    .filter(|_| !known.is_empty())
                    .map(|index| known[index % known.len()].at.millis());
                let made = if *is_reset {
                    reset(owner, now, above)
                } else {
                    entry(owner, now, above)
                };
                self.entries.push(made.clone());
                self.sessions.get_mut(&owner)?.entries += 1;
                Some(Op::AppendEntry(made))
            }
            Step::Leaf { session, entry } => {
                let owner = self.pick(*session)?;
                let known = self.in_session(owner);
                let leaf = known.get(entry % known.len().max(1))?.id.clone();
                self.sessions.get_mut(&owner)?.leaf = Some(leaf.clone());
                let patch = SessionPatch {
                    leaf: Some(Some(leaf)),
                    ..SessionPatch::default()
                };
                Some(Op::PatchSession {
                    id: session_id(owner),
                    patch,
                })
            }
            Step::Patch {
                session,
                tokens,
                model,
            } => {
                let owner = self.pick(*session)?;
                let row = self.sessions.get_mut(&owner)?;
                row.input_tokens += tokens;
                row.updated_at = at(now);
                if let Some(model) = model {
                    row.model.clone_from(model);
                }
                let patch = SessionPatch {
                    model: model.clone(),
                    updated_at: Some(at(now)),
                    add_input_tokens: *tokens,
                    ..SessionPatch::default()
                };
                Some(Op::PatchSession {
                    id: session_id(owner),
                    patch,
                })
            }
            Step::Delete { session } => {
                let owner = self.pick(*session)?;
                self.sessions.get_mut(&owner)?.deleted_at = Some(at(now));
                Some(Op::DeleteSession {
                    id: session_id(owner),
                    at: at(now),
                })
            }
            Step::Restore { session } => {
                let owner = self.pick(*session)?;
                self.sessions.get_mut(&owner)?.deleted_at = None;
                Some(Op::RestoreSession {
                    id: session_id(owner),
                })
            }
            Step::Reply { session } => {
                let owner = self.pick(*session)?;
                let made = Outbox {
                    session: session_id(owner),
                    ..outbox(now)
                };
                self.replies.push(made.clone());
                Some(Op::PutOutbox(made))
            }
            Step::Settle { reply, state } => {
                let count = self.replies.len().max(1);
                let row = self.replies.get_mut(reply % count)?;
                row.state = *state;
                Some(Op::SettleOutbox {
                    id: row.id.clone(),
                    state: *state,
                    at: at(now),
                })
            }
        }
    }

    fn branch(&self, number: u64, limit: usize) -> Vec<Entry> {
        let mut next = self.sessions[&number].leaf.clone();
        let mut path = Vec::new();
        while let Some(id) = next.take() {
            let found = self.entries.iter().find(|entry| entry.id == id).unwrap();
            path.push(found.clone());
            let ends = matches!(
                found.body,
                instar_protocol::message::EntryBody::Reset { .. }
            );
            if path.len() == limit || ends {
                break;
            }
            next.clone_from(&found.parent);
        }
        path
    }
}

async fn check(store: &Store, model: &Model) {
    for (number, row) in &model.sessions {
        let id = session_id(*number);
        assert_eq!(store.session(&id).await.unwrap().as_ref(), Some(row));
        for limit in [2, 100] {
            assert_eq!(
                store.branch(&id, None, limit).await.unwrap(),
                model.branch(*number, limit)
            );
        }
        let stored = store.entries(&id, None, 1_000).await.unwrap();
        assert_eq!(stored.iter().collect::<Vec<_>>(), model.in_session(*number));
    }
    for (name, number) in &model.keys {
        let row = Some(model.sessions[number].clone()).filter(|row| row.deleted_at.is_none());
        assert_eq!(
            store
                .session_by_key(&key(&format!("key{name}")))
                .await
                .unwrap(),
            row
        );
    }
    let mut listed: Vec<&SessionRow> = model
        .sessions
        .values()
        .filter(|row| row.deleted_at.is_none())
        .collect();
    listed.sort_by_key(|row| std::cmp::Reverse((row.updated_at, row.id.clone())));
    let filter = SessionFilter {
        limit: 1_000,
        ..SessionFilter::default()
    };
    let found = store.sessions(filter).await.unwrap();
    assert_eq!(found.iter().collect::<Vec<_>>(), listed);
    let of = |states: &[OutboxState]| -> Vec<Outbox> {
        let some = model
            .replies
            .iter()
            .filter(|row| states.contains(&row.state));
        some.cloned().collect()
    };
    let open = store.unfinished().await.unwrap().outbox;
    assert_eq!(open, of(&[OutboxState::Pending, OutboxState::Sending]));
    let mut uncertain = store.uncertain(1_000).await.unwrap();
    uncertain.reverse();
    assert_eq!(uncertain, of(&[OutboxState::Uncertain]));
}

async fn run(batches: Vec<Vec<Step>>) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let store = Store::open(&state, Options::default()).unwrap();
    let mut model = Model::default();
    for (number, batch) in batches.iter().enumerate() {
        let ops: Vec<Op> = batch.iter().filter_map(|step| model.apply(step)).collect();
        // Every other batch rides along; the order of handing over is the order of storing.
        if number % 2 == 1 {
            store.enqueue(ops).unwrap();
        } else {
            store.commit(ops).await.unwrap();
        }
    }
    let last = Op::AppendEvent(event(0));
    store.commit(vec![last]).await.unwrap();
    check(&store, &model).await;
    store.close().await.unwrap();
    let store = Store::open(&state, Options::default()).unwrap();
    check(&store, &model).await;
    store.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_reads_like_a_map(batches in vec(vec(step(), 1..8), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(batches));
    }
}
