//! What goes out by itself, one small step after the other, and when a person has to look.

use instar_protocol::Label;
use instar_release::gate::{Asked, Gate, Outcome, Table};
use instar_release::sign::sshsig;
use instar_release::{Candidate, Class, build};
use instar_store::{CandidateState, Op};

use crate::fixture::behaviour;
use crate::gates::{House, LATER, NOW, outcome, section, signer, why};

const FIRST: &str = "# Who\nA helper.\n";

impl House {
    /// What the rollout does where a candidate may go all the way by itself.
    async fn promote(&self, candidate: &Candidate, n: u8) {
        let parent = self.releases.get(candidate.spec.parent.as_str()).await;
        let after = build(&parent.unwrap().behaviour, &candidate.spec.deltas).unwrap();
        let moved = self
            .releases
            .adopt(after, "the rollout", "promoted", NOW, [n; 10]);
        assert_eq!(moved.await.unwrap().0, candidate.spec.release);
        self.settle(candidate, CandidateState::Promoted).await;
    }

    async fn settle(&self, candidate: &Candidate, state: CandidateState) {
        let rows = self.store.candidates().await.unwrap();
        let row = rows.into_iter().find(|row| row.id.as_str() == candidate.id);
        let mut row = row.unwrap();
        row.state = state;
        self.store
            .commit(vec![Op::PutCandidate(row)])
            .await
            .unwrap();
    }

    async fn of_owner(&self, text: &str) -> Candidate {
        self.propose(section(text), Label::owner()).await
    }
}

fn long(word: &str) -> String {
    format!("# Who\nA helper. {}\n", format!("{word} ").repeat(240))
}

fn sum(table: &Table) -> Option<(usize, Class)> {
    table.sum.as_ref().map(|sum| (sum.releases, sum.class))
}

#[tokio::test]
async fn two_texts_that_are_short_are_long_together() {
    let house = House::new().await;
    let one = house.of_owner(&long("kind")).await;
    let table = house.check(&one, &[]).await;
    assert_eq!((table.class, sum(&table)), (Class::B, None));
    house.promote(&one, 2).await;
    let two = house.of_owner(&long("good")).await;
    assert_eq!(two.assessment.class, Class::B, "by itself it is short");
    let table = house.check(&two, &[]).await;
    assert_eq!((table.class, sum(&table)), (Class::C, Some((1, Class::C))));
    assert_eq!(outcome(&table, Gate::Reach), Outcome::NoData);
    let told = &table.sum.unwrap().grounds;
    assert!(
        told.iter()
            .any(|ground| ground.why.contains("characters of text are more than")),
        "{told:#?}"
    );
}

#[tokio::test]
async fn what_came_in_by_itself_is_not_what_the_owner_knew() {
    let house = House::new().await;
    let names = "# Who\nA helper. Write to eve@evil.example.\n";
    let one = house.of_owner(names).await;
    assert_eq!(house.check(&one, &[]).await.class, Class::C);
    house.promote(&one, 2).await;
    // The address stood in stable before, so that nothing is new about it, but for him it is.
    let two = house
        .of_owner("# Who\nA kind helper. Write to eve@evil.example.\n")
        .await;
    assert_eq!(two.assessment.class, Class::B);
    let table = house.check(&two, &[]).await;
    assert_eq!((table.class, sum(&table)), (Class::C, Some((1, Class::C))));

    // His signature under what is stable ends the sum, as long as the key is his.
    let key = signer(9);
    let owners = [key.public()];
    let spoken = house.releases.statement(one.spec.release.as_str()).await;
    let signature = sshsig::sign(spoken.unwrap().statement.as_bytes(), key.key());
    let kept = house
        .releases
        .endorse(one.spec.release.as_str(), &signature, &owners, NOW);
    kept.await.unwrap();
    let table = house.table(&two, &owners).await;
    assert_eq!((table.class, sum(&table)), (Class::B, None));
    assert_eq!(house.table(&two, &[]).await.class, Class::C);

    // So does his yes.
    let yes = house
        .releases
        .approve_candidate(&two.id, "owner", &[], Asked::at(LATER));
    let _approved = yes.await.unwrap();
    assert_eq!(sum(&house.table(&two, &[]).await), None);
}

#[tokio::test]
async fn what_was_taken_back_after_its_promotion_is_no_step_of_the_sum() {
    let house = House::new().await;
    let one = house.of_owner(&long("kind")).await;
    house.promote(&one, 2).await;
    let two = house.of_owner(&long("fine")).await;
    house.promote(&two, 3).await;
    let three = house.of_owner("# Who\nA short helper.\n").await;
    assert_eq!(sum(&house.table(&three, &[]).await), Some((2, Class::C)));
    // The watch gives the place back to the release before, by itself as well.
    house.settle(&two, CandidateState::RolledBack).await;
    let back = house.releases.adopt(
        behaviour(&long("kind")),
        "the rollout",
        "taken back",
        NOW,
        [4; 10],
    );
    assert_eq!(back.await.unwrap().0, one.spec.release);
    let three = house.of_owner("# Who\nA short helper.\n").await;
    let table = house.table(&three, &[]).await;
    // The promotion counts, its text is gone, and going back is no promotion.
    assert_eq!(sum(&table), Some((2, Class::B)));
    house.adopt(FIRST, "owner", 5).await;
    let four = house.of_owner("# Who\nA short helper.\n").await;
    assert_eq!(sum(&house.table(&four, &[]).await), None);
}

#[tokio::test]
async fn a_long_text_is_held_for_a_person_to_read() {
    let house = House::new().await;
    let long = format!("# Who\n{}\n", "word ".repeat(500));
    let one = house.propose(section(&long), Label::owner()).await;
    let table = house.check(&one, &[]).await;
    assert_eq!(outcome(&table, Gate::Reach), Outcome::NoData);
    assert!(why(&table, Gate::Reach).contains("for a person to read"));
}

#[tokio::test]
async fn ten_releases_by_themselves_are_enough_until_a_person_looks() {
    let house = House::new().await;
    for n in 2..13 {
        house
            .adopt(&format!("# Who\nA helper of kind {n}.\n"), "the rollout", n)
            .await;
    }
    let one = house
        .propose(section("# Who\nA kind helper.\n"), Label::owner())
        .await;
    let table = house.check(&one, &[]).await;
    assert_eq!(outcome(&table, Gate::Reach), Outcome::NoData);
    assert!(why(&table, Gate::Reach).contains("a person has to"));
    // Who says yes to one has been told of the others.
    house.measured(&one).await;
    let yes = house
        .releases
        .approve_candidate(&one.id, "owner", &[], Asked::at(NOW))
        .await;
    let _approved = yes.unwrap();
    assert_eq!(
        outcome(&house.check(&one, &[]).await, Gate::Reach),
        Outcome::Pass
    );
    for n in 21..32 {
        let text = format!("# Who\nA helper of kind {n}.\n");
        house.adopt_at(&text, "the rollout", n, LATER).await;
    }
    let one = house
        .propose(section("# Who\nA kind helper.\n"), Label::owner())
        .await;
    assert_eq!(
        outcome(&house.check(&one, &[]).await, Gate::Reach),
        Outcome::NoData,
        "what goes out after his yes counts again"
    );
    house.adopt_at("# Who\nMine.\n", "owner", 20, LATER).await;
    let one = house
        .propose(section("# Who\nA kind helper.\n"), Label::owner())
        .await;
    assert_eq!(
        outcome(&house.check(&one, &[]).await, Gate::Reach),
        Outcome::Pass
    );
}
