//! The object store: content under its hash, checked on the way out.

use std::time::{Duration, SystemTime};

use instar_protocol::ObjectHash;
use instar_protocol::message::{Entry, EntryBody, Part};
use instar_store::{CandidateRow, EnvelopeRow, Op, Store, StoreError, Swept};

use crate::given::{at, candidate, entry, envelope, event, inbound, session, session_id, store};

#[tokio::test]
async fn an_object_is_stored_once_and_checked_when_read() {
    let (_folder, store) = store();
    let hash = store.put_object(b"hello".to_vec()).await.unwrap();
    let expected = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(hash.as_str(), expected);
    assert_eq!(store.object(&hash).await.unwrap(), b"hello");
    assert_eq!(store.put_object(b"hello".to_vec()).await.unwrap(), hash);
    let objects = store.path().join("objects");
    assert!(
        std::fs::read_dir(objects.join("tmp"))
            .unwrap()
            .next()
            .is_none()
    );

    let file = objects.join(&expected[..2]).join(&expected[2..]);
    std::fs::write(&file, b"hellO").unwrap();
    let changed = store.object(&hash).await;
    assert!(matches!(changed, Err(StoreError::Object(_))), "{changed:?}");
    // Storing it again heals it.
    store.put_object(b"hello".to_vec()).await.unwrap();
    assert_eq!(store.object(&hash).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_hash_is_never_a_path() {
    let (_folder, store) = store();
    let long = "../".repeat(22);
    let upper = "A".repeat(64);
    for text in ["", "ab", "../instar.sqlite", &long[..64], &upper, "é"] {
        let refused = store.object(&ObjectHash::from_hex(text)).await;
        assert!(
            matches!(refused, Err(StoreError::Object(_))),
            "{text}: {refused:?}"
        );
    }
}

const GRACE: Duration = Duration::from_secs(3_600);

fn image(object: &ObjectHash) -> Part {
    Part::Image {
        object: object.clone(),
        mime: "image/png".to_owned(),
    }
}

/// Stores an object as if that had been two hours ago.
async fn old_object(store: &Store, text: &str) -> ObjectHash {
    let hash = store.put_object(text.as_bytes().to_vec()).await.unwrap();
    let (folder, name) = hash.as_str().split_at(2);
    let file = std::fs::File::open(store.path().join("objects").join(folder).join(name)).unwrap();
    file.set_modified(SystemTime::now() - 2 * GRACE).unwrap();
    hash
}

#[tokio::test]
async fn objects_go_when_no_row_names_them_any_more_and_not_before() {
    let (_folder, store) = store();
    let said = old_object(&store, "in a conversation").await;
    let waiting = old_object(&store, "in a message that waits").await;
    let served = old_object(&store, "in a release").await;
    let behaviour = old_object(&store, "the behaviour of a release").await;
    let proposed = old_object(&store, "what a candidate is made of").await;
    let candidate_behaviour = old_object(&store, "what it would be").await;
    let signed = old_object(&store, "a signed statement").await;
    let nobody = old_object(&store, "nobody's").await;
    let young = store.put_object(b"on its way".to_vec()).await.unwrap();
    let again = old_object(&store, "stored again").await;
    store.put_object(b"stored again".to_vec()).await.unwrap();

    let mut message = inbound(1, None);
    message.parts = vec![image(&waiting)];
    store.accept(&message, event(1)).await.unwrap();
    let says = |number, object| {
        Op::AppendEntry(Entry {
            body: EntryBody::User {
                parts: vec![Part::text("look"), image(object)],
                principal: message.principal.clone(),
                inbound: None,
                surface: "web".to_owned(),
            },
            ..entry(1, number, None)
        })
    };
    let mut ops = vec![Op::PutSession(session(1))];
    // More rows than one look reads lie before the one that counts.
    ops.extend((1..=1_200).map(|number| says(number, &young)));
    ops.push(says(1_201, &said));
    ops.push(Op::PutRelease {
        id: instar_protocol::ReleaseId::from_hex(behaviour.as_str()),
        object: served.clone(),
        at: at(1),
    });
    ops.push(Op::PutCandidate(CandidateRow {
        id: proposed.clone(),
        release: instar_protocol::ReleaseId::from_hex(candidate_behaviour.as_str()),
        ..candidate(1)
    }));
    ops.push(Op::PutEnvelope(EnvelopeRow {
        object: signed.clone(),
        ..envelope(1)
    }));
    store.commit(ops).await.unwrap();

    let swept = store.sweep_objects(GRACE).await.unwrap();
    assert_eq!((swept.removed, swept.removed_bytes, swept.kept), (1, 8, 9));
    assert!(store.object(&nobody).await.is_err());
    let of_releases = [&behaviour, &proposed, &candidate_behaviour, &signed];
    for hash in of_releases
        .into_iter()
        .chain([&said, &waiting, &served, &young, &again])
    {
        assert!(store.object(hash).await.is_ok(), "{hash}");
    }
    assert_eq!(
        store.objects_size().await.unwrap(),
        Swept {
            removed: 0,
            removed_bytes: 0,
            ..swept
        }
    );
    store
        .commit(vec![Op::DeleteSession {
            id: session_id(1),
            at: at(1),
        }])
        .await
        .unwrap();
    let deleted = store.sweep_objects(GRACE).await.unwrap();
    assert_eq!(
        deleted.removed, 0,
        "what is deleted can come back for a while"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_stored_again_during_a_sweep_is_there_afterwards() {
    let (_folder, store) = store();
    for round in 0..50 {
        let text = format!("round {round}");
        let hash = old_object(&store, &text).await;
        let (stored, swept) = tokio::join!(
            store.put_object(text.clone().into_bytes()),
            store.sweep_objects(GRACE)
        );
        swept.unwrap();
        assert_eq!(stored.unwrap(), hash);
        assert_eq!(store.object(&hash).await.unwrap(), text.as_bytes());
    }
}
