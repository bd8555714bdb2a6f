//! Rollouts and their units.

use instar_store::{Op, RolloutRow, UnitRow};

use crate::given::{at, rollout, session_id, store, unit};

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
