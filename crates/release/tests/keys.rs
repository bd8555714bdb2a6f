//! Handing over from one signing key to the next.

use instar_protocol::Timestamp;
use instar_release::sign::{Envelope, SignError, Statement};
use instar_release::{ReleaseError, Releases, Signer};
use instar_store::{EnvelopeRow, Op, Options, Store};
use tempfile::TempDir;

use crate::fixture::behaviour;

const NOW: Timestamp = Timestamp::from_millis(1_795_286_385_000);
const LATER: Timestamp = Timestamp::from_millis(1_795_286_390_000);

fn seed(number: u32) -> Result<[u8; 32], ReleaseError> {
    Ok([u8::try_from(number).unwrap(); 32])
}

/// The signer as a start finds it.
async fn signer(store: &Store) -> Signer {
    let found: Result<Signer, Wrong> = Signer::of_chain(store, |number| Ok(seed(number)?)).await;
    found.unwrap()
}

#[derive(Debug)]
struct Wrong;

impl From<SignError> for Wrong {
    fn from(_: SignError) -> Self {
        Self
    }
}

impl From<ReleaseError> for Wrong {
    fn from(_: ReleaseError) -> Self {
        Self
    }
}

async fn rotated() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let first = signer(&store).await;
    assert_eq!(first.number(), 1);
    let releases = Releases::open_signed(store.clone(), first.clone(), NOW)
        .await
        .unwrap();
    for (number, text) in [(1, "one"), (2, "two")] {
        let made = releases.adopt(behaviour(text), "owner", "an edit", NOW, [number; 10]);
        let _made = made.await.unwrap();
    }
    let next = seed(2).unwrap();
    let rotated = Releases::rotate_key(&store, &first, &next, LATER, [3; 10]);
    let _stable = rotated.await.unwrap();
    (folder, store)
}

async fn problems(store: &Store) -> Vec<String> {
    let signer = signer(store).await;
    let releases = Releases::open(store.clone()).await.unwrap();
    releases
        .verify(&signer, None, true, &[])
        .await
        .unwrap()
        .problems
}

#[tokio::test]
async fn what_was_signed_before_still_verifies_by_the_chain_and_the_next_key_signs() {
    let (_folder, store) = rotated().await;
    let now = signer(&store).await;
    assert_eq!(now.number(), 2);
    let keys = now.shown_keys();
    assert_eq!(
        (keys.len(), keys[0].retired_at, keys[1].retired_at),
        (2, Some(LATER), None)
    );
    assert_eq!(problems(&store).await, Vec::<String>::new());
    let releases = Releases::open_signed(store.clone(), now.clone(), LATER)
        .await
        .unwrap();
    let made = releases.adopt(behaviour("three"), "owner", "an edit", LATER, [4; 10]);
    let _made = made.await.unwrap();
    let back = releases.roll_back(Some("stable~3"), "owner", "back", LATER, [5; 10]);
    let went = back.await.unwrap();
    assert_eq!(releases.stable().unwrap().id, went.to);
    // And once more.
    let next = seed(3).unwrap();
    let again = Releases::rotate_key(&store, &now, &next, LATER, [6; 10]);
    let _stable = again.await.unwrap();
    assert_eq!(signer(&store).await.number(), 3);
    assert_eq!(problems(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_retired_key_signs_nothing_more_whatever_time_it_says() {
    let (_folder, store) = rotated().await;
    let old = Signer::of_seed(&seed(1).unwrap()).unwrap();
    // The release in service was signed anew; the one before it was not.
    let release = store.releases().await.unwrap().pop().unwrap().id;
    let rows = store.envelopes(Some(&release)).await.unwrap();
    let row = rows.iter().find(|row| row.kind == "provenance").unwrap();
    let bytes = store.object(&row.object).await.unwrap();
    let (payload, _by) = Envelope::read(&bytes)
        .unwrap()
        .verify(&[old.public()])
        .unwrap();
    let mut statement: Statement = serde_json::from_slice(&payload).unwrap();
    statement.predicate["buildDefinition"]["externalParameters"]["reason"] = "another".into();
    let forged = Envelope::sign(&statement.to_bytes().unwrap(), old.key());
    let object = store.put_object(forged.to_bytes().unwrap()).await.unwrap();
    let row = EnvelopeRow {
        release,
        kind: "provenance".to_owned(),
        object,
        at: NOW,
    };
    store.commit(vec![Op::PutEnvelope(row)]).await.unwrap();
    let found = problems(&store).await;
    assert!(
        found
            .iter()
            .any(|one| one.contains(&SignError::Retired.to_string())),
        "{found:?}"
    );
    assert!(SignError::Retired.to_string().contains("had been retired"));
    // Who knows nothing of the hand-over does not take the release in service for one of his.
    let refused = Releases::open_signed(store.clone(), old, LATER).await;
    assert!(
        matches!(refused, Err(ReleaseError::Refused { .. })),
        "{refused:?}"
    );
}
