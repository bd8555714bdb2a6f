//! How a rollout ends otherwise than by its evidence: another release, the owner's word, a violation, bytes that were changed.

use instar_release::Behaviour;
use instar_release::rollout::{Reason, RolloutError, Stage};
use instar_store::CandidateState;

use crate::fixture::{behaviour, main_agent};
use crate::traffic::{House, Rates, plan};

#[tokio::test]
async fn another_stable_release_ends_the_rollout_and_its_successor_is_judged_more_strictly() {
    let house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    house.start(&candidate, plan(0.5)).await.unwrap();
    let busy = house.start(&candidate, plan(0.5)).await.unwrap_err();
    assert!(matches!(busy, RolloutError::Busy(_)));
    let at = house.now();
    house
        .releases
        .adopt(
            behaviour("The owner's."),
            "owner",
            "edit",
            at,
            house.random(),
        )
        .await
        .unwrap();
    assert!(house.releases.rollout().is_none());
    let shown = house.releases.rollouts(10).await.unwrap();
    assert_eq!(shown[0].view.stage, Stage::Superseded);
    let stale = house.start(&candidate, plan(0.5)).await.unwrap_err();
    assert!(matches!(stale, RolloutError::Stale(_)));
    let next = house.candidate("I am three.").await;
    let begun = house.start(&next, plan(0.5)).await.unwrap();
    assert!((begun.view.worse_at - 40.0).abs() < 1e-9);
}

#[tokio::test]
async fn the_owner_ends_it_either_way_and_what_was_counted_is_not_forgotten() {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let begun = house.start(&candidate, plan(0.5)).await.unwrap();
    let rates = Rates {
        stable: 0.1,
        canary: 0.1,
    };
    house.traffic(rates, 20).await;
    let now = house.now();
    let random = || house.random();
    let ended = house.releases.end_rollout(false, now, &random).await;
    let owner = Stage::RolledBack { why: Reason::Owner };
    assert_eq!(ended.unwrap().view.stage, owner);
    assert_eq!(house.state_of(&candidate).await, CandidateState::Open);
    let none = house.releases.end_rollout(false, now, &random).await;
    assert!(matches!(none, Err(RolloutError::None)));
    let again = house.start(&candidate, plan(0.5)).await.unwrap();
    assert_eq!(again.view.settled, 20, "the same candidate goes on");
    let ended = house.releases.end_rollout(true, now, &random).await;
    assert_eq!(ended.unwrap().view.stage, Stage::Promoted);
    assert_eq!(house.stable(), begun.release);
}

#[tokio::test]
async fn a_violation_ends_it_at_once_and_only_the_candidates_own() {
    let house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let begun = house.start(&candidate, plan(0.5)).await.unwrap();
    let now = house.now();
    let random = || house.random();
    let stable = house.stable();
    let other = house
        .releases
        .violation(&stable, "a secret was said", now, &random);
    assert!(!other.await.unwrap());
    assert!(house.releases.rollout().is_some());
    let own = house
        .releases
        .violation(&begun.release, "a secret was said", now, &random);
    assert!(own.await.unwrap());
    let shown = house.releases.rollouts(1).await.unwrap();
    let what = "a secret was said".to_owned();
    let why = Reason::Violation { what };
    assert_eq!(shown[0].view.stage, Stage::RolledBack { why });
}

#[tokio::test]
async fn a_candidate_whose_bytes_were_changed_is_refused_when_it_is_loaded() {
    let house = House::new().await;
    let before = house.stable();
    let candidate = house.candidate("I am two.").await;
    let begun = house.start(&candidate, plan(0.5)).await.unwrap();
    house.store.close().await.unwrap();
    let id = begun.release.as_str();
    let file = house
        .folder
        .path()
        .join("objects")
        .join(&id[..2])
        .join(&id[2..]);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let now = house.now + 1;
    drop((house.releases, house.store));
    let house = House::over(house.folder, now).await;
    assert_eq!(house.stable(), before);
    assert!(house.releases.rollout().is_none());
    let shown = house.releases.rollouts(1).await.unwrap();
    let Stage::RolledBack {
        why: Reason::Violation { what },
    } = &shown[0].view.stage
    else {
        panic!("{:?}", shown[0].view.stage);
    };
    assert!(what.contains("do not have that hash"), "{what}");
}

#[tokio::test]
async fn what_the_owner_changes_in_the_files_holds_over_a_promotion_and_the_rest_of_it_stays() {
    let mut house = House::new().await;
    let mut files = behaviour("I am one.");
    let candidate = house.candidate("I am two.").await;
    let begun = house.start(&candidate, plan(0.5)).await.unwrap();
    let random = || house.random();
    let now = house.now();
    let promoted = house.releases.end_rollout(true, now, &random).await;
    promoted.unwrap();
    // The files are as they were: nothing moves, however often they are read.
    let read = |files: &Behaviour| {
        house
            .releases
            .adopt_files(files.clone(), "read", house.now(), house.random())
    };
    assert_eq!(read(&files).await.unwrap(), (begun.release.clone(), false));
    main_agent(&mut files).limits.model_calls_max = 7;
    let (_, moved) = read(&files).await.unwrap();
    assert!(moved);
    let stable = house.releases.stable().unwrap();
    let agent = &stable.behaviour.agents["main"];
    assert_eq!(agent.limits.model_calls_max, 7);
    assert_eq!(agent.prompt["IDENTITY.md"].text, "I am two.");
    let (again, moved) = read(&files).await.unwrap();
    assert_eq!((again, moved), (stable.id.clone(), false));
    // A new text in the same place is the owner's word.
    house.now += 1;
    let mut files = behaviour("The owner's.");
    main_agent(&mut files).limits.model_calls_max = 7;
    let taken = house
        .releases
        .adopt_files(files, "read", house.now(), house.random());
    assert!(taken.await.unwrap().1);
    let stable = house.releases.stable().unwrap();
    let agent = &stable.behaviour.agents["main"];
    assert_eq!(agent.prompt["IDENTITY.md"].text, "The owner's.");
    let house = house.again().await;
    assert_eq!(house.stable(), stable.id);
}
