//! Who is failed three times in a row by the candidate goes on with the stable release.

use instar_protocol::event::{Arm, EventKind};

use crate::traffic::{Dice, House, Rates, plan};

const BAD: Rates = Rates {
    stable: 0.0,
    canary: 1.0,
};

/// A conversation that the candidate serves.
async fn of_candidate(house: &House, dice: &mut Dice) -> String {
    for number in 0..40 {
        let session = format!("ses_{number}");
        if house.turn(&session, Some(BAD), dice).await == Arm::Canary {
            return session;
        }
    }
    panic!("nobody has the arm of the candidate");
}

async fn rescues(house: &House) -> usize {
    let events = house.events().await;
    let is_one =
        |kind: &EventKind| matches!(kind, EventKind::Rollout { stage, .. } if stage == "rescued");
    events.iter().filter(|event| is_one(&event.kind)).count()
}

#[tokio::test]
async fn after_three_failures_in_a_row_stable_answers_and_the_episode_stays_bad() {
    let house = House::new().await;
    let mut dice = Dice(5);
    let made = house.candidate("# Who\nA brief helper.\n").await;
    house.start(&made, plan(0.5)).await.unwrap();
    let session = of_candidate(&house, &mut dice).await;
    for turn in 2..=3 {
        let arm = house.turn(&session, Some(BAD), &mut dice).await;
        assert_eq!((turn, arm), (turn, Arm::Canary));
    }
    assert_eq!(rescues(&house).await, 0);
    for _ in 0..3 {
        assert_eq!(
            house.turn(&session, Some(BAD), &mut dice).await,
            Arm::Stable
        );
    }
    assert_eq!(rescues(&house).await, 1, "it is told once");
    let house = house.again().await;
    assert_eq!(
        house.turn(&session, Some(BAD), &mut dice).await,
        Arm::Stable,
        "a restart does not give it back"
    );
}

#[tokio::test]
async fn failures_with_a_good_turn_between_them_are_not_in_a_row() {
    let house = House::new().await;
    let mut dice = Dice(6);
    let made = house.candidate("# Who\nA brief helper.\n").await;
    house.start(&made, plan(0.5)).await.unwrap();
    let session = of_candidate(&house, &mut dice).await;
    let good = Rates {
        stable: 0.0,
        canary: 0.0,
    };
    for rates in [BAD, good, BAD, BAD, good, BAD, BAD] {
        let arm = house.turn(&session, Some(rates), &mut dice).await;
        assert_eq!(arm, Arm::Canary);
    }
    assert_eq!(
        house.turn(&session, Some(BAD), &mut dice).await,
        Arm::Canary
    );
    assert_eq!(
        house.turn(&session, Some(good), &mut dice).await,
        Arm::Stable
    );
}
