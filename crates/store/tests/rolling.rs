//! Rollouts and their units.

use instar_protocol::memory::NoteState;
use instar_store::{NOTES_MAX, NoteRow, Op, RolloutRow, SessionRow, UnitRow};

use crate::given::{at, key, note, rollout, session, session_id, store, unit};

#[tokio::test]
async fn one_rollout_is_open_at_a_time() {
    let (_folder, store) = store();
    store
        .commit(vec![Op::PutRollout(rollout(1))])
        .await
        .unwrap();
    assert!(
        store
            .commit(vec![Op::PutRollout(rollout(2))])
            .await
            .is_err()
    );
    let ended = RolloutRow {
        is_open: false,
        ended_at: Some(at(3)),
        body: "{\"is\":\"over\"}".to_owned(),
        ..rollout(1)
    };
    let both = vec![Op::PutRollout(ended.clone()), Op::PutRollout(rollout(2))];
    store.commit(both).await.unwrap();
    assert_eq!(store.rollouts(10).await.unwrap(), [rollout(2), ended]);
}

#[tokio::test]
async fn who_works_under_a_conversation_is_found_through_those_between() {
    let (_folder, store) = store();
    let works_for = |number: u64, parent: Option<u64>| {
        Op::PutSession(SessionRow {
            parent: parent.map(|parent| key(&format!("chat{parent}"))),
            ..session(number)
        })
    };
    let all = [
        (0, None),
        (1, Some(0)),
        (2, Some(1)),
        (3, Some(2)),
        (4, None),
    ];
    let ops = all.map(|(number, parent)| works_for(number, parent));
    store.commit(ops.into()).await.unwrap();
    for (of, found) in [(0, &[1, 2, 3][..]), (2, &[3]), (3, &[]), (4, &[])] {
        let mut under = store.sessions_under(&session_id(of)).await.unwrap();
        under.sort();
        let found: Vec<_> = found.iter().copied().map(session_id).collect();
        assert_eq!(under, found, "{of}");
    }
}

#[tokio::test]
async fn a_unit_keeps_its_arm_and_is_settled_once() {
    let (_folder, store) = store();
    let begun = vec![
        Op::PutRollout(rollout(1)),
        Op::PutUnit(unit(1)),
        Op::PutUnit(unit(2)),
    ];
    store.commit(begun).await.unwrap();
    let settled = UnitRow {
        closed_at: Some(at(5)),
        settled_at: Some(at(6)),
        bad: Some("{\"task\":1.0}".to_owned()),
        ..unit(1)
    };
    let other_arm = UnitRow {
        arm: instar_protocol::event::Arm::Stable,
        share: 0.1,
        session: session_id(9),
        ..settled.clone()
    };
    store.commit(vec![Op::PutUnit(other_arm)]).await.unwrap();
    let late = UnitRow {
        bad: Some("{\"task\":0.0}".to_owned()),
        ..settled.clone()
    };
    store.commit(vec![Op::PutUnit(late)]).await.unwrap();
    assert_eq!(store.units("rol_1", false, 10).await.unwrap(), [unit(2)]);
    assert_eq!(store.units("rol_1", true, 10).await.unwrap(), [settled]);
}

/// The verdict over rollout 1, as one batch stores it.
fn verdict(notes: NoteState) -> Op {
    Op::PutRollout(RolloutRow {
        is_open: false,
        notes,
        ..rollout(1)
    })
}

#[tokio::test]
async fn notes_go_with_the_verdict_in_its_batch_and_late_ones_follow() {
    for notes in [NoteState::Merging, NoteState::Quarantined] {
        let (_folder, store) = store();
        let begun = vec![Op::PutRollout(rollout(1)), Op::PutNote(Box::new(note(1)))];
        store.commit(begun).await.unwrap();
        let found = store.notes(NoteState::Open, Some("rol_1"), 9).await;
        assert_eq!(found.unwrap(), [note(1)]);
        let refused = vec![
            verdict(notes),
            Op::DropNote {
                id: "nothing".to_owned(),
            },
        ];
        assert!(store.commit(refused).await.is_err());
        assert_eq!(store.note("0000000001").await.unwrap(), Some(note(1)));
        store.commit(vec![verdict(notes)]).await.unwrap();
        store
            .commit(vec![Op::PutNote(Box::new(note(2)))])
            .await
            .unwrap();
        let moved = [1, 2].map(|number| NoteRow {
            state: notes,
            ..note(number)
        });
        assert_eq!(store.notes(notes, None, 9).await.unwrap(), moved);
        assert!(
            store
                .notes(NoteState::Open, None, 9)
                .await
                .unwrap()
                .is_empty()
        );
        // The next verdict of the same rollout finds nothing open.
        store
            .commit(vec![verdict(NoteState::Quarantined)])
            .await
            .unwrap();
        assert_eq!(store.notes(notes, None, 9).await.unwrap(), moved);
    }
}

#[tokio::test]
async fn a_note_is_moved_on_from_where_it_is_and_forgotten_from_quarantine_alone() {
    let (_folder, store) = store();
    let begun = vec![Op::PutRollout(rollout(1)), Op::PutNote(Box::new(note(1)))];
    store.commit(begun).await.unwrap();
    let id = note(1).id;
    let on = |from, to| {
        vec![Op::SettleNote {
            id: id.clone(),
            from,
            to,
        }]
    };
    let dropped = vec![Op::DropNote { id: id.clone() }];
    assert!(store.commit(dropped.clone()).await.is_err());
    let wrong = on(NoteState::Quarantined, NoteState::Merging);
    assert!(store.commit(wrong).await.is_err());
    store
        .commit(vec![verdict(NoteState::Quarantined)])
        .await
        .unwrap();
    store.commit(dropped).await.unwrap();
    assert_eq!(store.note(&id).await.unwrap(), None);
    let nowhere = NoteRow {
        rollout: "rol_9".to_owned(),
        ..note(2)
    };
    assert!(
        store
            .commit(vec![Op::PutNote(Box::new(nowhere))])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_rollout_keeps_so_many_notes() {
    let (_folder, store) = store();
    let mut begun = vec![Op::PutRollout(rollout(1))];
    begun.extend((1..=NOTES_MAX as u64).map(|number| Op::PutNote(Box::new(note(number)))));
    store.commit(begun).await.unwrap();
    let one_more = vec![Op::PutNote(Box::new(note(9_999)))];
    assert!(store.commit(one_more).await.is_err());
}
