//! The object store: content under its hash, checked on the way out.

use instar_protocol::ObjectHash;
use instar_store::StoreError;

use crate::given::store;

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
