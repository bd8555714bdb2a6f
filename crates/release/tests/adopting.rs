//! From a behaviour to what is served.

use crate::fixture::{House, behaviour, cohort, main_agent, served};
use instar_protocol::AgentId;
use instar_protocol::event::{Arm, EventKind};
use instar_release::{ReleaseError, STABLE};
use instar_store::EventFilter;

#[tokio::test]
async fn a_fresh_state_serves_nothing() {
    let house = House::new().await;
    assert!(served(&house.releases).is_none());
    assert!(house.releases.stable().is_none());
    assert!(house.releases.list().await.unwrap().is_empty());
    let unknown = house.releases.get(STABLE).await;
    assert!(
        matches!(unknown, Err(ReleaseError::Unknown(_))),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn what_is_adopted_is_served_and_survives_a_restart() {
    let house = House::new().await;
    let (id, moved) = house.adopt(behaviour("one"), 1).await;
    assert!(moved);
    assert_eq!(id, behaviour("one").id().unwrap());
    let answer = house.releases.resolve(&AgentId::main(), &cohort()).unwrap();
    assert_eq!((&answer.release.id, answer.arm), (&id, Arm::Stable));
    assert_eq!(answer.release.behaviour, behaviour("one"));
    assert_eq!(
        answer.release.authority,
        behaviour("x").authority.hash().unwrap()
    );
    assert_eq!(
        (
            answer.release.proposer.as_str(),
            answer.release.reason.as_str()
        ),
        ("owner", "edit 1")
    );
    assert!(answer.release.parents.is_empty());
    let other = AgentId::parse("other").unwrap();
    assert!(house.releases.resolve(&other, &cohort()).is_none());

    let house = house.again().await.unwrap();
    assert_eq!(*house.releases.stable().unwrap(), *answer.release);
    assert_eq!(house.adopt(behaviour("one"), 2).await, (id, false));
    assert_eq!(house.releases.log(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_makes_a_child_and_going_back_stores_nothing() {
    let house = House::new().await;
    let (one, _) = house.adopt(behaviour("one"), 1).await;
    let (two, _) = house.adopt(behaviour("two"), 2).await;
    assert_eq!(
        house.releases.get("stable").await.unwrap().parents,
        std::slice::from_ref(&one)
    );
    let (back, moved) = house.adopt(behaviour("one"), 3).await;
    assert!(moved && back == one);
    assert_eq!(served(&house.releases), Some(one.clone()));
    assert_eq!(house.store.releases().await.unwrap().len(), 2);
    let first = house.releases.get(one.as_str()).await.unwrap();
    assert_eq!((first.reason.as_str(), first.parents.len()), ("edit 1", 0));

    let log = house.releases.log(Some(STABLE), 10).await.unwrap();
    let moves: Vec<_> = log
        .iter()
        .map(|m| (m.from.clone(), m.to.clone(), m.reason.as_str()))
        .collect();
    assert_eq!(
        moves,
        [
            (Some(two.clone()), one.clone(), "edit 3"),
            (Some(one.clone()), two, "edit 2"),
            (None, one.clone(), "edit 1"),
        ]
    );
    let house = house.again().await.unwrap();
    assert_eq!(served(&house.releases), Some(one));
}

#[tokio::test]
async fn every_move_is_an_event() {
    let house = House::new().await;
    let (one, _) = house.adopt(behaviour("one"), 1).await;
    let (two, _) = house.adopt(behaviour("two"), 2).await;
    house.adopt(behaviour("two"), 3).await;
    let filter = EventFilter {
        kind: Some("release".to_owned()),
        limit: 10,
        ..EventFilter::default()
    };
    let events = house.store.events(filter).await.unwrap();
    let moves: Vec<_> = events
        .iter()
        .map(|event| match &event.kind {
            EventKind::Release { from, to, .. } => {
                (from.clone(), to.clone(), event.release.clone())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        moves,
        [
            (Some(one.clone()), two.clone(), Some(two)),
            (None, one.clone(), Some(one)),
        ]
    );
}

#[tokio::test]
async fn a_reason_is_stored_redacted_and_short() {
    let house = House::new().await;
    let reason = format!("ask ann@example.org\nnow {}", "x".repeat(1000));
    let at = instar_protocol::Timestamp::from_millis(5);
    house
        .releases
        .adopt(behaviour("one"), "own\ner", &reason, at, [1; 10])
        .await
        .unwrap();
    let log = house.releases.log(None, 1).await.unwrap();
    assert!(log[0].reason.starts_with("ask [email] now xxx") && log[0].reason.len() <= 300);
    assert_eq!(log[0].by, "own er");
    assert_eq!(
        house.releases.get(STABLE).await.unwrap().reason,
        log[0].reason
    );
}

/// A refused behaviour leaves no trace, and what is served stays.
#[tokio::test]
async fn a_refused_behaviour_changes_nothing() {
    let house = House::new().await;
    let (one, _) = house.adopt(behaviour("one"), 1).await;
    let mut broken = behaviour("two");
    main_agent(&mut broken).route.primary = String::new();
    let refused = house.try_adopt(broken, 2).await;
    assert!(matches!(
        refused,
        Err(ReleaseError::Static { check: "route", .. })
    ));
    assert_eq!(served(&house.releases), Some(one));
    assert_eq!(house.store.releases().await.unwrap().len(), 1);
    assert_eq!(house.releases.log(None, 10).await.unwrap().len(), 1);
}

/// Clones share what is served; adoptions at the same time form one chain.
#[tokio::test]
async fn adoptions_at_the_same_time_form_a_chain() {
    let house = House::new().await;
    let seen = house.releases.clone();
    let texts: Vec<String> = (0..6).map(|n| format!("text {n}")).collect();
    let (a, b, c) = tokio::join!(
        house.adopt(behaviour(&texts[0]), 0),
        house.adopt(behaviour(&texts[1]), 1),
        house.adopt(behaviour(&texts[2]), 2),
    );
    assert!(a.1 && b.1 && c.1);
    let log = house.releases.log(Some(STABLE), 10).await.unwrap();
    for pair in log.windows(2) {
        assert_eq!(pair[0].from.as_ref(), Some(&pair[1].to));
    }
    assert_eq!(served(&seen), Some(log[0].to.clone()));
    for step in &log {
        let release = house.releases.get(step.to.as_str()).await.unwrap();
        assert_eq!(release.parents.first(), step.from.as_ref());
    }
}
