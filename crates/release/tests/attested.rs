//! What gates said: nothing of it counts that was changed, taken away, or is about another place.

use instar_protocol::{Label, ReleaseId};
use instar_release::Releases;
use instar_release::gate::{Asked, Finding, Gate, Outcome, Step};
use instar_store::{Options, Store};

use crate::fixture::behaviour;
use crate::gates::{House, LATER, NOW, outcome, section, signer, why};

#[tokio::test]
async fn an_attestation_that_was_changed_is_refused_with_its_reason_and_none_before_it_counts() {
    let house = House::new().await;
    let one = house
        .propose(section("# Who\nA kind helper.\n"), Label::owner())
        .await;
    let two = house
        .propose(section("# Who\nA dull helper.\n"), Label::owner())
        .await;
    house.measured(&one).await;
    let checking = house
        .releases
        .check_candidate(&two.id, |_| Vec::new(), &[], Asked::at(NOW))
        .await
        .unwrap();
    house
        .releases
        .attest(
            &checking,
            Gate::Evals,
            Finding::fail("worse"),
            Asked::at(NOW),
        )
        .await
        .unwrap();
    let rows = house.store.envelopes(None).await.unwrap();
    let of = |release: &ReleaseId, kind: &str| {
        let found = rows
            .iter()
            .find(|row| row.release == *release && row.kind == kind);
        found.unwrap().object.to_string()
    };
    let (mine, others) = (
        of(&one.spec.release, "gate:evals"),
        of(&two.spec.release, "gate:evals"),
    );
    let policy = of(&one.spec.release, "gate:policy");
    let foreign = {
        let bytes = house
            .store
            .object(&instar_protocol::ObjectHash::from_hex(&mine))
            .await
            .unwrap();
        let read = instar_release::sign::Envelope::read(&bytes).unwrap();
        let (payload, _) = read.verify(&[signer(1).public()]).unwrap();
        let again = instar_release::sign::Envelope::sign(&payload, signer(2).key());
        house
            .store
            .put_object(again.to_bytes().unwrap())
            .await
            .unwrap()
            .to_string()
    };
    let change = |sql: &str| {
        let file = house.folder.path().join("instar.sqlite");
        rusqlite::Connection::open(file)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    };
    let release = &one.spec.release;
    // Each row names another object: that of another candidate, of another gate, of a foreign key, of
    // one that is not there.
    for (object, reason) in [
        (&others, "it speaks of something else"),
        (&policy, "it speaks of something else"),
        (&foreign, "nobody signed it whose key is trusted here"),
        (&"0".repeat(64), "its content or its signature was changed"),
    ] {
        change(&format!(
            "UPDATE envelopes SET object = '{object}' WHERE kind = 'gate:evals' AND release = '{release}'"
        ));
        let table = house.table(&one, &[]).await;
        assert_eq!(outcome(&table, Gate::Evals), Outcome::NoData);
        assert!(
            why(&table, Gate::Evals).contains(reason),
            "{reason}: {}",
            why(&table, Gate::Evals)
        );
        assert_eq!(table.decision.may, Step::Nothing);
        let found = house
            .releases
            .verify(&signer(1), None, true, &[])
            .await
            .unwrap();
        assert!(!found.problems.is_empty(), "{reason}");
    }
    // A byte of the file itself.
    change(&format!(
        "UPDATE envelopes SET object = '{mine}' WHERE kind = 'gate:evals' AND release = '{release}'"
    ));
    assert_eq!(
        outcome(&house.table(&one, &[]).await, Gate::Evals),
        Outcome::Pass
    );
    let path = house
        .folder
        .path()
        .join("objects")
        .join(&mine[..2])
        .join(&mine);
    let path = if path.exists() {
        path
    } else {
        house
            .folder
            .path()
            .join("objects")
            .join(&mine[..2])
            .join(&mine[2..])
    };
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    let mut writable = std::fs::metadata(&path).unwrap().permissions();
    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "a file of this test's own folder"
    )]
    writable.set_readonly(false);
    std::fs::set_permissions(&path, writable).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let table = house.table(&one, &[]).await;
    assert!(
        why(&table, Gate::Evals).contains("was changed"),
        "{}",
        why(&table, Gate::Evals)
    );
}

#[tokio::test]
async fn going_back_needs_a_release_that_was_stable_and_is_sound_and_is_signed_for_its_place() {
    let house = House::new().await;
    let nothing = house
        .releases
        .roll_back(None, "owner", "x", NOW, [1; 10])
        .await;
    assert!(
        nothing
            .unwrap_err()
            .to_string()
            .contains("no release was stable before")
    );
    let first = house.releases.stable().unwrap().id.clone();
    let second = house.adopt("# Who\nAnother.\n", "owner", 2).await;
    let one = house
        .propose(section("# Who\nA kind helper.\n"), Label::owner())
        .await;
    house.check(&one, &[]).await;
    for (to, part) in [
        (second.as_str(), "stable already"),
        (one.spec.release.as_str(), "is not stored"),
        ("stable~7", "is not stored"),
    ] {
        let refused = house
            .releases
            .roll_back(Some(to), "owner", "x", NOW, [3; 10])
            .await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(part), "{to}: {refused}");
    }
    let went = house
        .releases
        .roll_back(None, "owner", "worse", LATER, [4; 10])
        .await
        .unwrap();
    assert_eq!((went.from, went.to), (second.clone(), first.clone()));
    assert_eq!(house.releases.stable().unwrap().id, first);
    // What the files say does not come back by itself, and what changes in them does.
    let same = behaviour("# Who\nAnother.\n");
    let taken = house
        .releases
        .adopt_files(same, "a start", LATER, [5; 10])
        .await
        .unwrap();
    assert_eq!(taken, (first.clone(), false));
    let sound = house
        .releases
        .verify(&signer(1), None, true, &[])
        .await
        .unwrap();
    assert_eq!(sound.problems, Vec::<String>::new());
    house.store.close().await.unwrap();
    let store = Store::open(house.folder.path(), Options::default()).unwrap();
    let again = Releases::open_signed(store, signer(1), LATER)
        .await
        .unwrap();
    assert_eq!(again.stable().unwrap().id, first);
    let forth = again
        .roll_back(Some(second.short()), "owner", "after all", LATER, [6; 10])
        .await;
    assert_eq!(forth.unwrap().to, second);
}

#[tokio::test]
async fn where_a_newer_statement_was_taken_away_no_older_one_counts() {
    let house = House::new().await;
    let candidate = house
        .propose(section("# Who\nA brief helper.\n"), Label::owner())
        .await;
    house.measured(&candidate).await;
    let checking = house
        .releases
        .check_candidate(&candidate.id, |_| Vec::new(), &[], Asked::at(NOW))
        .await
        .unwrap();
    let worse = Finding::fail("a case got worse");
    house
        .releases
        .attest(&checking, Gate::Evals, worse, Asked::at(LATER))
        .await
        .unwrap();
    let held = house.table(&candidate, &[]).await;
    assert_eq!(
        held.row(Gate::Evals).unwrap().finding.outcome,
        Outcome::Fail
    );
    // Its row is gone: an older pass of the same gate is there.
    let file = house.folder.path().join("instar.sqlite");
    let gone = rusqlite::Connection::open(file).unwrap();
    let sql = "DELETE FROM envelopes WHERE seq = (SELECT max(seq) FROM envelopes WHERE kind = 'gate:evals')";
    assert_eq!(gone.execute(sql, []).unwrap(), 1);
    drop(gone);
    let table = house.table(&candidate, &[]).await;
    let evals = &table.row(Gate::Evals).unwrap().finding;
    assert_eq!(evals.outcome, Outcome::NoData, "{table:?}");
    assert!(evals.why.contains("is gone"), "{}", evals.why);
    assert_eq!(table.decision.may, Step::Nothing);
    // Asked again, they count again.
    house.measured(&candidate).await;
    let table = house.table(&candidate, &[]).await;
    assert_eq!(
        table.row(Gate::Evals).unwrap().finding.outcome,
        Outcome::Pass
    );
}
