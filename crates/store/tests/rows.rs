//! What is written comes back: sessions, branches, inbox, outbox, effects, events, aliases.

use instar_protocol::message::{InboxState, OutboxState};
use instar_protocol::tool::ToolCall;
use instar_protocol::{AgentId, EventId, ObjectHash, ReleaseId};
use instar_store::{
    Accepted, EffectOutcome, EventFilter, Op, Retention, SessionFilter, SessionPatch, Spend, Store,
    StoreError, WebSession,
};
use rusqlite::Connection;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::given::{
    at, device, device_token, entry, entry_id, event, inbound, key, open, outbox, reset, run,
    session, session_id, store,
};

fn beside(store: &Store) -> Connection {
    Connection::open(store.path().join("instar.sqlite")).unwrap()
}

#[tokio::test]
async fn a_key_points_at_its_newest_session_and_the_earlier_one_stays() {
    let (_folder, store) = store();
    let mut newer = session(2);
    newer.key = session(1).key;
    store
        .commit(vec![
            Op::PutSession(session(1)),
            Op::PutSession(newer.clone()),
        ])
        .await
        .unwrap();
    assert_eq!(
        store.session_by_key(&newer.key).await.unwrap(),
        Some(newer.clone())
    );
    assert_eq!(
        store.session(&session_id(1)).await.unwrap(),
        Some(session(1))
    );
    assert_eq!(store.session_count().await.unwrap(), 2);

    let (id, gone) = (newer.id.clone(), at(9));
    store
        .commit(vec![Op::DeleteSession { id, at: gone }])
        .await
        .unwrap();
    assert_eq!(store.session_by_key(&newer.key).await.unwrap(), None);
    assert_eq!(store.session_count().await.unwrap(), 1);
    store
        .commit(vec![Op::RestoreSession {
            id: newer.id.clone(),
        }])
        .await
        .unwrap();
    assert_eq!(store.session_by_key(&newer.key).await.unwrap(), Some(newer));
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let (_folder, store) = store();
    store
        .commit(vec![Op::PutSession(session(1))])
        .await
        .unwrap();
    let patch = |patch| Op::PatchSession {
        id: session_id(1),
        patch,
    };
    let first = SessionPatch {
        model: Some(Some("demo/demo".to_owned())),
        leaf: Some(Some(entry_id(3))),
        add_input_tokens: 5,
        add_cost_micros: 2,
        ..SessionPatch::default()
    };
    let second = SessionPatch {
        title: Some("Named".to_owned()),
        updated_at: Some(at(7)),
        add_input_tokens: 1,
        ..SessionPatch::default()
    };
    store
        .commit(vec![patch(first), patch(second)])
        .await
        .unwrap();
    let row = store.session(&session_id(1)).await.unwrap().unwrap();
    assert_eq!(row.title.as_deref(), Some("Named"));
    assert_eq!(row.model.as_deref(), Some("demo/demo"));
    assert_eq!(row.leaf, Some(entry_id(3)));
    assert_eq!(
        (row.input_tokens, row.cost_micros, row.updated_at),
        (6, 2, at(7))
    );
    let back = SessionPatch {
        model: Some(None),
        ..SessionPatch::default()
    };
    store.commit(vec![patch(back)]).await.unwrap();
    assert_eq!(
        store.session(&session_id(1)).await.unwrap().unwrap().model,
        None
    );
    let to_root = SessionPatch {
        leaf: Some(None),
        ..SessionPatch::default()
    };
    store.commit(vec![patch(to_root)]).await.unwrap();
    assert_eq!(
        store.session(&session_id(1)).await.unwrap().unwrap().leaf,
        None
    );
}

#[tokio::test]
async fn sessions_are_searched_and_paged() {
    let (_folder, store) = store();
    let all = (1..=5).map(|n| Op::PutSession(session(n))).collect();
    store.commit(all).await.unwrap();
    let filter = SessionFilter {
        limit: 2,
        before: Some(at(5)),
        ..SessionFilter::default()
    };
    let page = store.sessions(filter).await.unwrap();
    assert_eq!(
        page.iter()
            .map(|row| row.updated_at.millis())
            .collect::<Vec<_>>(),
        [4, 3]
    );
    for (search, found) in [("TALK 3", 1), ("chat", 5), ("100%", 0), ("_", 0)] {
        let filter = SessionFilter {
            search: Some(search.to_owned()),
            limit: 10,
            ..SessionFilter::default()
        };
        assert_eq!(
            store.sessions(filter).await.unwrap().len(),
            found,
            "{search}"
        );
    }
}

#[tokio::test]
async fn a_branch_is_read_from_its_leaf_up_to_a_reset() {
    let (_folder, store) = store();
    // 1 - 2 - 3(reset) - 4 - 5, and a second branch 4 - 6.
    store
        .commit(vec![
            Op::PutSession(session(1)),
            Op::AppendEntry(entry(1, 1, None)),
            Op::AppendEntry(entry(1, 2, Some(1))),
            Op::AppendEntry(reset(1, 3, Some(2))),
            Op::AppendEntry(entry(1, 4, Some(3))),
            Op::AppendEntry(entry(1, 5, Some(4))),
            Op::AppendEntry(entry(1, 6, Some(4))),
            Op::PatchSession {
                id: session_id(1),
                patch: SessionPatch {
                    leaf: Some(Some(entry_id(6))),
                    ..SessionPatch::default()
                },
            },
        ])
        .await
        .unwrap();
    let id = session_id(1);
    let walk = async |from: Option<u64>, limit| {
        let path = store.branch(&id, from.map(entry_id), limit).await.unwrap();
        path.iter()
            .map(|entry| entry.at.millis())
            .collect::<Vec<_>>()
    };
    assert_eq!(walk(None, 100).await, [6, 4, 3]);
    assert_eq!(walk(Some(5), 2).await, [5, 4]);
    assert_eq!(walk(Some(2), 100).await, [2, 1]);
    let all = store.entries(&id, None, 100).await.unwrap();
    assert_eq!(all.len(), 6);
    assert_eq!(all[2], reset(1, 3, Some(2)));
    let rest = store.entries(&id, Some(entry_id(4)), 1).await.unwrap();
    assert_eq!(rest, [entry(1, 5, Some(4))]);
    assert_eq!(store.entries_of_run(&run(2)).await.unwrap().len(), 2);
    assert_eq!(store.session(&id).await.unwrap().unwrap().entries, 6);
    assert!(
        store
            .branch(&session_id(2), Some(entry_id(5)), 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_idempotency_key_is_accepted_once_per_session() {
    let (_folder, store) = store();
    let first = inbound(1, Some("k"));
    assert_eq!(
        store.accept(&first, event(1)).await.unwrap(),
        Accepted::Fresh
    );
    let settle = Op::SettleInbound {
        id: first.id.clone(),
        run: Some(run(7)),
        state: InboxState::Done,
        at: at(2),
    };
    store.commit(vec![settle]).await.unwrap();
    let again = store
        .accept(&inbound(2, Some("k")), event(2))
        .await
        .unwrap();
    let known = Accepted::Duplicate {
        id: first.id.clone(),
        state: InboxState::Done,
        run: Some(run(7)),
    };
    assert_eq!(again, known);
    let mut elsewhere = inbound(3, Some("k"));
    elsewhere.session_key = key("other");
    assert_eq!(
        store.accept(&elsewhere, event(3)).await.unwrap(),
        Accepted::Fresh
    );
    assert_eq!(
        store.accept(&inbound(4, None), event(4)).await.unwrap(),
        Accepted::Fresh
    );
    // The duplicate left no event.
    let filter = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    assert_eq!(store.events(filter).await.unwrap().len(), 3);
    assert_eq!(
        store.inbound(&first.id).await.unwrap().unwrap().inbound,
        first
    );
}

#[tokio::test]
async fn what_a_restart_has_to_settle_is_found() {
    let (folder, store) = store();
    let call = |id: &str| ToolCall {
        id: id.to_owned(),
        name: "send".to_owned(),
        arguments: json!({"to": "a"}),
    };
    let begin = |id: &str| Op::BeginEffect {
        run: run(1),
        session: session_id(1),
        call: call(id),
        at: at(1),
    };
    store.accept(&inbound(1, None), event(1)).await.unwrap();
    store.accept(&inbound(2, None), event(2)).await.unwrap();
    store
        .commit(vec![
            begin("one"),
            begin("two"),
            Op::EndEffect {
                run: run(1),
                call_id: "one".to_owned(),
                outcome: EffectOutcome::Done,
                at: at(2),
            },
            Op::PutOutbox(outbox(1)),
            Op::PutOutbox(outbox(2)),
            Op::PutOutbox(outbox(3)),
            Op::SettleOutbox {
                id: outbox(1).id,
                state: OutboxState::Sent,
                at: at(3),
            },
            Op::SettleOutbox {
                id: outbox(2).id,
                state: OutboxState::Sending,
                at: at(3),
            },
            Op::SettleOutbox {
                id: outbox(3).id,
                state: OutboxState::Uncertain,
                at: at(3),
            },
            Op::SettleInbound {
                id: inbound(1, None).id,
                run: Some(run(1)),
                state: InboxState::Done,
                at: at(3),
            },
            // Taken up, not finished.
            Op::SettleInbound {
                id: inbound(2, None).id,
                run: Some(run(2)),
                state: InboxState::Pending,
                at: at(3),
            },
        ])
        .await
        .unwrap();
    store.close().await.unwrap();
    let store = open(&folder);
    let open = store.unfinished().await.unwrap();
    assert_eq!(open.inbox.len(), 1);
    assert_eq!(
        (&open.inbox[0].inbound, &open.inbox[0].run),
        (&inbound(2, None), &Some(run(2)))
    );
    assert_eq!(open.effects.len(), 1);
    assert_eq!(open.effects[0].call, call("two"));
    assert_eq!(open.outbox.len(), 1);
    assert_eq!(open.outbox[0].state, OutboxState::Sending);
    assert_eq!(store.uncertain(10).await.unwrap()[0].id, outbox(3).id);
    assert_eq!(
        store.outbox_of_run(&run(1)).await.unwrap()[0].state,
        OutboxState::Sent
    );
}

#[tokio::test]
async fn events_are_filtered_and_followed_in_the_order_they_were_stored() {
    let (_folder, store) = store();
    // Number 2 is committed after number 9, as a lazy batch may be.
    for number in [1, 3, 4, 6, 9, 2, 12] {
        store
            .commit(vec![Op::AppendEvent(event(number))])
            .await
            .unwrap();
    }
    let ids = async |filter: EventFilter| {
        let found = store.events(filter).await.unwrap();
        found
            .iter()
            .map(|event| event.at.millis())
            .collect::<Vec<_>>()
    };
    let all = EventFilter {
        limit: 3,
        ..EventFilter::default()
    };
    assert_eq!(ids(all.clone()).await, [12, 2, 9]);
    let after = EventFilter {
        after: Some(event(9).id),
        ..all.clone()
    };
    assert_eq!(ids(after).await, [2, 12]);
    // An id that is not stored stands before its successor.
    let after = EventFilter {
        after: Some(EventId::from_stored("evt_00000005")),
        ..all.clone()
    };
    assert_eq!(ids(after).await, [6, 9, 2]);
    let kind = EventFilter {
        kind: Some("gateway".to_owned()),
        ..all.clone()
    };
    assert_eq!(ids(kind).await, [12, 9, 6]);
    let in_session = EventFilter {
        session: Some(session_id(0)),
        ..all
    };
    assert_eq!(ids(in_session).await, [12, 4]);
}

#[tokio::test]
async fn events_and_alias_moves_cannot_be_changed() {
    let (_folder, store) = store();
    let release = |n: u8| ReleaseId::from_hex(format!("{n:064x}"));
    let step = |n| Op::MoveAlias {
        alias: "stable".to_owned(),
        to: release(n),
        reason: "test".to_owned(),
        by: "owner".to_owned(),
        at: at(u64::from(n)),
    };
    let put = Op::PutRelease {
        id: release(1),
        object: ObjectHash::from_hex("a"),
        at: at(1),
    };
    store
        .commit(vec![put, step(1), step(2), Op::AppendEvent(event(1))])
        .await
        .unwrap();
    assert_eq!(store.alias("stable").await.unwrap(), Some(release(2)));
    let log = store.alias_log(Some("stable"), 10).await.unwrap();
    assert_eq!(
        (log[0].from.clone(), log[1].from.clone()),
        (Some(release(1)), None)
    );
    assert_eq!(store.alias_log(None, 1).await.unwrap().len(), 1);
    assert_eq!(store.releases().await.unwrap()[0].id, release(1));
    let found = store.release(&release(1)).await.unwrap();
    assert_eq!(found.unwrap().id, release(1));
    assert!(store.release(&release(9)).await.unwrap().is_none());

    let sql = beside(&store);
    for change in [
        "UPDATE events SET at = 5",
        "DELETE FROM events",
        "UPDATE alias_log SET reason = 'x'",
        "DELETE FROM alias_log",
    ] {
        let refused = sql.execute(change, []).unwrap_err().to_string();
        assert!(
            refused.contains("append-only") || refused.contains("retention"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn spending_is_summed_and_web_sessions_end() {
    let (_folder, store) = store();
    let spend = |day: &str, session: u64| {
        Op::AddSpend(Spend {
            day: day.to_owned(),
            agent: AgentId::main(),
            model: "demo/demo".to_owned(),
            session: session_id(session),
            calls: 1,
            input_tokens: 10,
            output_tokens: 2,
            cost_micros: 3,
        })
    };
    let web = |digest: &str, expires| {
        Op::PutWebSession(WebSession {
            digest: digest.to_owned(),
            created_at: at(1),
            expires_at: at(expires),
            via: "code".to_owned(),
        })
    };
    store
        .commit(vec![
            spend("2026-11-20", 1),
            spend("2026-11-21", 1),
            spend("2026-11-21", 2),
            web("old", 5),
            web("new", 50),
        ])
        .await
        .unwrap();
    let rows = store.spend("2026-11-21", "2026-11-30").await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].calls, rows[0].input_tokens, rows[0].cost_micros),
        (2, 20, 6)
    );
    let keep = Retention {
        deleted_sessions_days: 1,
        events_days: 1,
    };
    assert_eq!(store.maintain(at(10), keep).await.unwrap(), 1);
    assert_eq!(store.web_session("old").await.unwrap(), None);
    assert_eq!(store.web_session("new").await.unwrap().unwrap().via, "code");
    store
        .commit(vec![Op::DropWebSession {
            digest: "new".to_owned(),
        }])
        .await
        .unwrap();
    assert_eq!(store.web_session("new").await.unwrap(), None);
}

#[tokio::test]
async fn only_so_many_web_sessions_are_kept() {
    let (_folder, store) = store();
    let web = |n: u64| {
        Op::PutWebSession(WebSession {
            digest: format!("{n}"),
            created_at: at(n),
            expires_at: at(1_000 + n),
            via: "code".to_owned(),
        })
    };
    let max = u64::from(instar_store::WEB_SESSIONS_MAX);
    store
        .commit((0..max + 10).map(web).collect())
        .await
        .unwrap();
    let known = async |n: u64| store.web_session(&n.to_string()).await.unwrap().is_some();
    assert!(!known(9).await, "the oldest made room");
    assert!(known(10).await && known(max + 9).await);
}

#[tokio::test]
async fn retention_removes_in_bounded_steps_what_is_old() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let (_folder, store) = store();
    let mut ops: Vec<Op> = (1..=600).map(|n| Op::AppendEvent(event(n))).collect();
    ops.push(Op::AppendEvent({
        let mut late = event(9_999);
        late.at = at(9 * DAY);
        late
    }));
    // What waits for long must not stand in the way of what is settled, however much it is.
    let begin = |n: u64| Op::BeginEffect {
        run: run(n),
        session: session_id(1),
        call: ToolCall {
            id: "call".to_owned(),
            name: "write".to_owned(),
            arguments: json!({}),
        },
        at: at(n),
    };
    ops.extend((1..=600).flat_map(|n| [Op::PutOutbox(outbox(10_000 + n)), begin(n)]));
    ops.push(begin(601));
    ops.push(Op::EndEffect {
        run: run(601),
        call_id: "call".to_owned(),
        outcome: EffectOutcome::Done,
        at: at(601),
    });
    // More replies of unknown fate than one call looks at must not stand in the way for ever.
    for n in 1..=600 {
        ops.push(Op::PutOutbox(outbox(n)));
        ops.push(Op::SettleOutbox {
            id: outbox(n).id,
            state: OutboxState::Uncertain,
            at: at(n),
        });
    }
    ops.push(Op::PutSession(session(1)));
    ops.push(Op::PutSession(session(2)));
    ops.extend((1..=700).map(|n| Op::AppendEntry(entry(1, n, None))));
    ops.push(Op::AppendEntry(entry(2, 701, None)));
    ops.push(Op::DeleteSession {
        id: session_id(1),
        at: at(DAY),
    });
    ops.push(Op::DeleteSession {
        id: session_id(2),
        at: at(9 * DAY),
    });
    store.commit(ops).await.unwrap();

    let keep = Retention {
        deleted_sessions_days: 7,
        events_days: 7,
    };
    let mut calls = 0;
    loop {
        let removed = store.maintain(at(10 * DAY), keep).await.unwrap();
        assert!(removed <= 2_500, "{removed}");
        if removed == 0 {
            break;
        }
        calls += 1;
    }
    assert!(calls > 1);
    let open = store.unfinished().await.unwrap();
    assert_eq!((open.effects.len(), open.outbox.len()), (600, 600));
    let effects: i64 = beside(&store)
        .query_row("SELECT count(*) FROM effects", [], |row| row.get(0))
        .unwrap();
    assert_eq!(effects, 600, "the one that ended is gone");
    assert_eq!(store.uncertain(10).await.unwrap(), []);
    assert_eq!(store.session(&session_id(1)).await.unwrap(), None);
    assert!(store.session(&session_id(2)).await.unwrap().is_some());
    assert!(
        store
            .entries(&session_id(1), None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        store.entries(&session_id(2), None, 10).await.unwrap().len(),
        1
    );
    let left = store
        .events(EventFilter {
            limit: 10,
            ..EventFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn a_change_to_what_is_not_stored_is_refused_whole() {
    let (_folder, store) = store();
    let missing = Op::DeleteSession {
        id: session_id(9),
        at: at(1),
    };
    let refused = store.commit(vec![Op::AppendEvent(event(1)), missing]).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Missing {
                what: "session",
                ..
            })
        ),
        "{refused:?}"
    );
    let refused = store.commit(vec![Op::AppendEntry(entry(9, 1, None))]).await;
    assert!(
        matches!(refused, Err(StoreError::Missing { .. })),
        "{refused:?}"
    );
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    assert!(store.events(all).await.unwrap().is_empty());
    assert_eq!(store.health(), None, "the batch was wrong, not the disk");
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let (_folder, store) = store();
    store.commit(vec![Op::AppendEvent(event(1))]).await.unwrap();
    let hash = store.put_object(b"x".to_vec()).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let state = store.path();
    assert_eq!(mode(state), 0o700);
    for name in ["instar.sqlite", "instar.sqlite-wal", "instar.sqlite-shm"] {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
    let (folder, name) = hash.as_str().split_at(2);
    assert_eq!(mode(&state.join("objects").join(folder)), 0o700);
    assert_eq!(mode(&state.join("objects").join(folder).join(name)), 0o600);
}

#[tokio::test]
async fn a_turn_reads_and_writes_through_indexes() {
    let (_folder, store) = store();
    let sql = beside(&store);
    for question in [
        "SELECT * FROM sessions s JOIN session_keys k ON k.session = s.id WHERE k.key = 'x' AND s.deleted_at IS NULL",
        "SELECT * FROM entries WHERE id = 'x' AND session = 'y'",
        "SELECT * FROM entries WHERE session = 'x' AND seq > 5 ORDER BY seq LIMIT 5",
        "SELECT * FROM entries WHERE run = 'x' ORDER BY seq LIMIT 5",
        "SELECT * FROM entries INDEXED BY entries_under WHERE coalesce(parent, session) = 'x' AND session = 'y' ORDER BY seq LIMIT 5",
        "SELECT * FROM inbox WHERE state = 'pending' ORDER BY seq",
        "SELECT * FROM inbox WHERE session_key = 'x' AND idempotency_key = 'y'",
        "SELECT * FROM outbox WHERE state IN ('pending', 'sending') ORDER BY seq",
        "SELECT * FROM effects WHERE outcome IS NULL ORDER BY seq",
        "SELECT * FROM events WHERE kind = 'error' AND kind NOT IN ('message_in', 'message_out', 'turn', 'model_call', 'tool_call') ORDER BY seq DESC LIMIT 5",
        "SELECT * FROM events WHERE session = 'x' ORDER BY seq DESC LIMIT 5",
        "SELECT * FROM spend WHERE day BETWEEN 'a' AND 'b'",
        "SELECT * FROM sessions WHERE deleted_at IS NULL ORDER BY updated_at DESC LIMIT 5",
    ] {
        let mut plan = sql
            .prepare(&format!("EXPLAIN QUERY PLAN {question}"))
            .unwrap();
        let steps: Vec<String> = plan
            .query_map([], |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for step in steps {
            assert!(step.contains("USING"), "{question}: {step}");
            assert!(!step.contains("TEMP B-TREE"), "{question}: {step}");
        }
    }
}

#[tokio::test]
async fn a_device_has_one_token_that_goes_with_it_and_with_every_new_approval() {
    let (_folder, store) = store();
    let gone = vec![Op::PutDeviceToken(device_token(1))];
    store.commit(gone).await.unwrap();
    assert!(store.device_tokens().await.unwrap().is_empty(), "no device");
    let first = vec![
        Op::PutDevice(device(1)),
        Op::PutDeviceToken(device_token(1)),
    ];
    store.commit(first).await.unwrap();
    let mut second = device_token(1);
    second.digest = "another".to_owned();
    store
        .commit(vec![
            Op::PutDeviceToken(second.clone()),
            Op::RenameDevice {
                id: "device1".to_owned(),
                name: "the desk".to_owned(),
            },
            Op::SeenDevice {
                id: "device1".to_owned(),
                at: at(9),
            },
        ])
        .await
        .unwrap();
    assert_eq!(store.device_token("digest1").await.unwrap(), None);
    assert_eq!(store.device_token("another").await.unwrap(), Some(second));
    let found = store.device("device1").await.unwrap().unwrap();
    assert_eq!(found.name.as_deref(), Some("the desk"));
    assert_eq!(found.last_seen_at, Some(at(9)));
    let mut wider = device(1);
    wider.scopes.push("operator.write".to_owned());
    store.commit(vec![Op::PutDevice(wider)]).await.unwrap();
    assert!(
        store.device_tokens().await.unwrap().is_empty(),
        "it was for less"
    );
    let found = store.device("device1").await.unwrap().unwrap();
    assert_eq!(
        (found.scopes.len(), found.name.as_deref()),
        (2, Some("the desk"))
    );
    let forget = |id: &str| Op::ForgetDevice { id: id.to_owned() };
    let token = Op::PutDeviceToken(device_token(1));
    store.commit(vec![token, forget("device1")]).await.unwrap();
    assert!(store.devices().await.unwrap().is_empty());
    assert!(store.device_tokens().await.unwrap().is_empty());
}
