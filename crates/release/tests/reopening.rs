//! What a trial found and the world that it rests on: when it is opened again, and what leaves the release.

use crate::fixture::{House, behaviour};
use crate::keeping::{MINUTE, kept, turns};
use instar_protocol::Timestamp;
use instar_protocol::event::EventKind;
use instar_release::Behaviour;
use instar_release::trial::{Keeper, Stage, Verdict, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An agent that makes calls of `look` again, on trial.
fn mended(primary: &str) -> Behaviour {
    let mitigation = json!({
        "id": "again", "gene": "again@1", "fault": "f1", "reach": "everybody",
        "trial": {"unit": "exposure", "share_permille": 500, "chapter": 1},
        "act": {"retry": {"tool": "look", "again": 1, "pause_ms": 1}},
    });
    let mut behaviour = behaviour("one");
    let main = behaviour.agents.get_mut("main").unwrap();
    primary.clone_into(&mut main.route.primary);
    main.mitigations = vec![serde_json::from_value(mitigation).unwrap()];
    behaviour
}

/// Looks at the world, and says whether the trial was opened again and what had changed.
fn looked(keeper: &mut Keeper, model: &str, takes: &Value, program: &str) -> Option<Vec<String>> {
    let behaviour = mended(model);
    looked_at(keeper, &behaviour, takes, program)
}

pub(crate) fn looked_at(
    keeper: &mut Keeper,
    behaviour: &Behaviour,
    takes: &Value,
    program: &str,
) -> Option<Vec<String>> {
    let schemas = BTreeMap::from([("look".to_owned(), takes.clone())]);
    let world = World {
        behaviour,
        let_out: None,
        schemas: &schemas,
        program,
    };
    let moved = keeper.look_around(&world, Timestamp::from_millis(1_000 * MINUTE));
    let reopened = moved.into_iter().any(|moved| {
        moved.stage
            == Stage::Ended {
                verdict: Verdict::Reopened,
            }
    });
    let kept = keeper.trials().next().unwrap();
    reopened.then(|| kept.changes.last().unwrap().what.clone())
}

#[test]
fn a_fault_that_comes_back_opens_what_was_adopted_and_nothing_that_is_still_tried() {
    let mut keeper = Keeper::default();
    let now = Timestamp::from_millis(10_000 * MINUTE);
    let experiment = "fix/main/again/1";
    for event in turns(4, 10) {
        let _moved = keeper.take(&event);
    }
    assert_eq!(keeper.rose(experiment, now), None, "a coin is fair");
    for event in &turns(80, 10)[8..] {
        let _moved = keeper.take(event);
    }
    let adopted = keeper.trials().next().unwrap();
    assert!(matches!(adopted.trial.stage(), Stage::Adopted { .. }));
    let level = adopted.trial.level();
    let moved = keeper.rose(experiment, now).unwrap();
    let reopened = Stage::Ended {
        verdict: Verdict::Reopened,
    };
    assert_eq!(moved.stage, reopened);
    let mut keeper = kept(&mut keeper);
    let again = keeper.trials().next().unwrap();
    assert_eq!(again.trial.chapter(), 2);
    assert_eq!(*again.trial.stage(), Stage::Running);
    assert!((again.trial.level() - level / 2.0).abs() < 1e-12);
    assert_eq!(again.changes.last().unwrap().what, ["fault"]);
    assert_eq!(keeper.rose(experiment, now), None, "once");
}

#[test]
fn what_was_found_is_opened_again_when_what_it_rests_on_changes_and_not_before() {
    let takes = json!({"type": "object", "properties": {"query": {"type": "string"}}});
    let other = json!({"type": "object", "properties": {"words": {"type": "string"}}});
    for change in ["tool:look", "models", "program"] {
        let mut keeper = Keeper::default();
        let events = turns(60, 10);
        for event in &events[..8] {
            let _moved = keeper.take(event);
        }
        assert_eq!(looked(&mut keeper, "a/one", &takes, "1"), None);
        for event in &events[8..] {
            let _moved = keeper.take(event);
        }
        let stage = keeper.trials().next().unwrap().trial.stage().clone();
        assert!(matches!(stage, Stage::Proven | Stage::Adopted { .. }));
        assert_eq!(
            looked(&mut keeper, "a/one", &takes, "1"),
            None,
            "the same world"
        );
        let told = match change {
            "models" => looked(&mut keeper, "b/two", &takes, "1"),
            "program" => looked(&mut keeper, "a/one", &takes, "2"),
            _ => looked(&mut keeper, "a/one", &other, "1"),
        };
        assert_eq!(told, Some(vec![change.to_owned()]));
        let mut keeper = kept(&mut keeper);
        let trial = &keeper.trials().next().unwrap().trial;
        assert_eq!((trial.chapter(), trial.settled()), (2, 0));
        assert_eq!(*trial.stage(), Stage::Running);
        assert!((trial.level() - 0.025).abs() < 1e-12);
        assert_eq!(keeper.share_permille("fix/main/again/1"), Some(500));
        // It is shown anew, or not.
        for event in turns(200, 10).iter().skip(120) {
            let _moved = keeper.take(event);
        }
        let trial = &keeper.trials().next().unwrap().trial;
        assert!(matches!(
            trial.stage(),
            Stage::Proven | Stage::Adopted { .. }
        ));
        assert_eq!(trial.chapter(), 2);
    }
}

#[test]
fn a_fix_that_left_the_release_is_opened_again_when_it_comes_back_and_not_before() {
    let takes = json!({});
    let mut keeper = Keeper::default();
    let mut events = turns(400, 0);
    for (number, event) in events.iter_mut().enumerate() {
        if let EventKind::ExposureEnd { bad, .. } = &mut event.kind {
            *bad = Some(number / 4 % 3 == 0);
        }
        let _moved = keeper.take(event);
        if number == 1 {
            assert_eq!(looked(&mut keeper, "a/one", &takes, "1"), None);
        }
    }
    assert!(keeper.trials().next().unwrap().trial.is_in_vain());
    let bare = behaviour("one");
    let without = |keeper: &mut Keeper, program| looked_at(keeper, &bare, &takes, program);
    // It is told that what was found does not hold any more, once. Nobody has the fix: nothing runs.
    assert!(without(&mut keeper, "2").is_some());
    assert_eq!(without(&mut keeper, "2"), None);
    let mut keeper = kept(&mut keeper);
    let told = keeper.trials().next().unwrap();
    assert!(!told.is_served() && told.trial.is_in_vain());
    assert_eq!(keeper.share_permille("fix/main/again/1"), Some(0));
    // Here it is again.
    assert_eq!(
        looked(&mut keeper, "a/one", &takes, "2"),
        Some(vec!["models".to_owned()])
    );
    let told = keeper.trials().next().unwrap();
    assert!(told.is_served() && *told.trial.stage() == Stage::Running);
    assert_eq!(told.trial.chapter(), 2);
}

#[test]
fn what_is_still_on_the_way_goes_on_whatever_changes() {
    let (mut keeper, takes) = (Keeper::default(), json!({}));
    for event in &turns(3, 0) {
        let _moved = keeper.take(event);
    }
    assert_eq!(looked(&mut keeper, "a/one", &takes, "1"), None);
    assert_eq!(looked(&mut keeper, "b/two", &takes, "1"), None);
    assert_eq!(keeper.trials().next().unwrap().trial.settled(), 3);
}

#[tokio::test]
async fn a_fix_that_came_to_nothing_leaves_the_release_and_no_other_does() {
    let house = House::new().await;
    let (before, _) = house.adopt(mended("demo/guide"), 1).await;
    let now = Timestamp::from_millis(5_000);
    let take_out = async |spent: &str| {
        let spent = [spent.to_owned()];
        house.releases.take_out(&spent, now, [9; 10]).await.unwrap()
    };
    assert_eq!(take_out("fix/main/again/2").await, None, "another chapter");
    let after = take_out("fix/main/again/1").await.unwrap();
    let stable = house.releases.stable().unwrap();
    assert_eq!(stable.id, after);
    assert_eq!(
        after,
        behaviour("one").id().unwrap(),
        "the inverse of what put it there"
    );
    assert_eq!(
        (stable.parents.as_slice(), stable.proposer.as_str()),
        (&[before.clone()][..], "trial")
    );
    assert_eq!(take_out("fix/main/again/1").await, None);
    // What is on without a trial is somebody's own word.
    let mut own = mended("demo/guide");
    let main = own.agents.get_mut("main").unwrap();
    main.mitigations[0].trial = None;
    house.adopt(own, 2).await;
    assert_eq!(take_out("fix/main/again/0").await, None);
}
