//! Bytes on disk that are not what they should be, and steps that a crash cut off.

use crate::fixture::{House, behaviour, served};
use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use instar_release::{ReleaseError, Releases, STABLE};
use instar_store::{Op, Store};
use std::path::{Path, PathBuf};

/// The file below `folder` whose path ends with the object's hash, however it is split.
fn object_file(folder: &Path, hash: &str) -> PathBuf {
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let plain: String = path.to_string_lossy().replace(['/', '\\'], "");
            if path.is_dir() {
                open.push(path);
            } else if plain.ends_with(hash) {
                return path;
            }
        }
    }
    panic!("no file for object {hash}");
}

fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_changed_behaviour_file_is_refused() {
    let house = House::new().await;
    let (id, _) = house.adopt(behaviour("one"), 1).await;
    let path = object_file(house.folder.path(), id.as_str());
    let changed = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"look\"", "\"loot\"");
    overwrite(&path, changed.as_bytes());
    let got = house.releases.get(id.as_str()).await;
    assert!(matches!(got, Err(ReleaseError::Tampered { .. })), "{got:?}");
    // What was loaded before stays served; a restart refuses to serve what cannot be trusted.
    assert_eq!(served(&house.releases), Some(id));
    assert!(matches!(
        house.again().await,
        Err(ReleaseError::Tampered { .. })
    ));
}

#[tokio::test]
async fn a_changed_manifest_is_refused() {
    let house = House::new().await;
    let (id, _) = house.adopt(behaviour("one"), 1).await;
    let manifest = house.store.releases().await.unwrap().remove(0).object;
    overwrite(&object_file(house.folder.path(), manifest.as_str()), b"{}");
    let got = house.releases.get(id.as_str()).await;
    assert!(matches!(got, Err(ReleaseError::Tampered { .. })), "{got:?}");
}

/// A row that names another release's manifest, or an object that is no manifest.
#[tokio::test]
async fn a_row_that_names_the_wrong_object_is_refused() {
    let house = House::new().await;
    house.adopt(behaviour("one"), 1).await;
    let manifest = house.store.releases().await.unwrap().remove(0).object;
    let other = ReleaseId::from_hex("00".repeat(32));
    put_row(&house.store, &other, manifest).await;
    let got = house.releases.get(other.as_str()).await;
    assert!(matches!(got, Err(ReleaseError::Tampered { .. })), "{got:?}");

    let junk = house
        .store
        .put_object(b"not a manifest".to_vec())
        .await
        .unwrap();
    let third = ReleaseId::from_hex("11".repeat(32));
    put_row(&house.store, &third, junk).await;
    let got = house.releases.get(third.as_str()).await;
    assert!(matches!(got, Err(ReleaseError::Decode { .. })), "{got:?}");
}

async fn put_row(store: &Store, id: &ReleaseId, object: ObjectHash) {
    let row = Op::PutRelease {
        id: id.clone(),
        object,
        at: Timestamp::from_millis(1),
    };
    store.commit(vec![row]).await.unwrap();
}

/// A crash after the objects and before the batch leaves objects only: nothing is served, and
/// doing it again works.
#[tokio::test]
async fn objects_without_a_row_mean_nothing() {
    let house = House::new().await;
    let canonical = behaviour("one").canonical().unwrap();
    house
        .store
        .put_object(canonical.into_bytes())
        .await
        .unwrap();
    let house = house.again().await.unwrap();
    assert!(house.releases.stable().is_none());
    assert!(house.releases.list().await.unwrap().is_empty());
    let (id, moved) = house.adopt(behaviour("one"), 1).await;
    assert!(moved);
    assert_eq!(served(&house.releases), Some(id));
}

/// The alias was moved by another handle (a caller that went away before it swapped the pointer):
/// the next adoption of the same behaviour brings what is served up to date.
#[tokio::test]
async fn what_is_served_catches_up_with_the_alias() {
    let house = House::new().await;
    house.adopt(behaviour("one"), 1).await;
    let behind = Releases::open(house.store.clone()).await.unwrap();
    let (two, _) = house.adopt(behaviour("two"), 2).await;
    assert_ne!(served(&behind), Some(two.clone()));
    let at = Timestamp::from_millis(9);
    let again = behind
        .adopt(behaviour("two"), "owner", "again", at, [9; 10])
        .await
        .unwrap();
    assert_eq!(again, (two.clone(), false));
    assert_eq!(served(&behind), Some(two));
}

/// Opening reads the stable release only: the objects of all others may be gone.
#[tokio::test]
async fn opening_reads_the_stable_release_only() {
    let house = House::new().await;
    let (one, _) = house.adopt(behaviour("one"), 1).await;
    let (two, _) = house.adopt(behaviour("two"), 2).await;
    std::fs::remove_file(object_file(house.folder.path(), one.as_str())).unwrap();
    let house = house.again().await.unwrap();
    assert_eq!(served(&house.releases), Some(two));
    assert!(house.releases.get("stable~1").await.is_err());
    assert!(house.releases.get(STABLE).await.is_ok());
}

#[tokio::test]
async fn a_store_that_is_closed_leaves_what_is_served() {
    let house = House::new().await;
    let (one, _) = house.adopt(behaviour("one"), 1).await;
    house.store.close().await.unwrap();
    let refused = house.try_adopt(behaviour("two"), 2).await;
    assert!(
        matches!(refused, Err(ReleaseError::Store(_))),
        "{refused:?}"
    );
    assert_eq!(served(&house.releases), Some(one));
}
