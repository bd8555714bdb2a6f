//! Releases that travel: written as an OCI layout, and taken in only as they were signed.

use instar_protocol::Timestamp;
use instar_release::sign::SignError;
use instar_release::{Bundle, ReleaseError, Releases, Signer};
use instar_store::{Options, Store};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

use crate::fixture::behaviour;

const NOW: Timestamp = Timestamp::from_millis(1_795_286_385_000);

struct Place {
    _folder: TempDir,
    releases: Releases,
    key: Signer,
}

async fn place(seed: u8) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let key = Signer::of_seed(&[seed; 32]).unwrap();
    let releases = Releases::open_signed(store, key.clone(), NOW)
        .await
        .unwrap();
    Place {
        _folder: folder,
        releases,
        key,
    }
}

impl Place {
    async fn adopt(&self, text: &str, n: u8) {
        let made = self
            .releases
            .adopt(behaviour(text), "owner", "an edit", NOW, [n; 10]);
        made.await.unwrap();
    }
}

fn reason(error: ReleaseError) -> SignError {
    match error {
        ReleaseError::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_release_travels_and_is_taken_in_under_a_trusted_key_alone() {
    let (here, there) = (place(1).await, place(2).await);
    here.adopt("a traveller", 1).await;
    there.adopt("at home", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("layout");
    here.releases
        .export("stable")
        .await
        .unwrap()
        .write(&at)
        .unwrap();
    let bundle = Bundle::read(&at).unwrap();
    assert_eq!(bundle, here.releases.export("stable").await.unwrap());
    assert!(bundle.write(&at).is_err(), "a folder in use is left alone");

    let foreign = there.releases.import(bundle.clone(), &[], NOW).await;
    assert_eq!(reason(foreign.unwrap_err()), SignError::Foreign);
    assert_eq!(there.releases.list().await.unwrap().len(), 1);
    let trusted = [here.key.public()];
    let before = there.releases.stable().unwrap();
    let (id, stored) = there
        .releases
        .import(bundle.clone(), &trusted, NOW)
        .await
        .unwrap();
    assert!(stored);
    assert_eq!(
        there.releases.stable().unwrap().id,
        before.id,
        "it serves nobody"
    );
    assert_eq!(there.releases.list().await.unwrap().len(), 2);
    let found = there
        .releases
        .verify(&there.key, None, true, &[])
        .await
        .unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    let again = there.releases.import(bundle, &trusted, NOW).await.unwrap();
    assert_eq!(again, (id, false));
}

#[tokio::test]
async fn an_old_release_that_is_brought_again_is_refused() {
    let here = place(1).await;
    here.adopt("old", 1).await;
    let old = here.releases.export("stable").await.unwrap();
    here.adopt("new", 2).await;
    let refused = here.releases.import(old, &[], NOW).await.unwrap_err();
    assert_eq!(
        reason(refused),
        SignError::RolledBack {
            found: 1,
            stands: 2
        }
    );
}

#[tokio::test]
async fn a_changed_bundle_is_refused_and_nothing_of_it_is_stored() {
    let (here, there) = (place(1).await, place(2).await);
    here.adopt("a traveller", 1).await;
    here.adopt("another", 2).await;
    let sound = here.releases.export("stable").await.unwrap();
    let other = here.releases.export("stable~1").await.unwrap();
    let with = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = sound.clone();
        change(&mut bundle);
        bundle
    };
    let changed = [
        with(&|of| of.behaviour = of.behaviour.replace("another", "an other")),
        with(&|of| of.behaviour.push(' ')),
        with(&|of| of.manifest = of.manifest.replace("owner", "owned")),
        with(&|of| of.manifest.clone_from(&other.manifest)),
        with(&|of| of.statements.clone_from(&other.statements)),
        with(&|of| of.statements.clear()),
        with(&|of| of.statements = vec!["{}".to_owned()]),
        with(&|of| of.behaviour = "{}".to_owned()),
    ];
    for bundle in changed {
        let refused = there
            .releases
            .import(bundle, &[here.key.public()], NOW)
            .await;
        assert!(refused.is_err());
    }
    assert_eq!(there.releases.list().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_hostile_folder_is_refused() {
    let here = place(1).await;
    here.adopt("a traveller", 1).await;
    let bundle = here.releases.export("stable").await.unwrap();
    let made = || {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("layout");
        bundle.write(&at).unwrap();
        (folder, at)
    };
    let index = |at: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(at.join("index.json")).unwrap()).unwrap()
    };
    let digest = |index: &Value| {
        let digest = index["manifests"][0]["digest"].as_str().unwrap();
        digest.strip_prefix("sha256:").unwrap().to_owned()
    };
    type Change<'a> = Box<dyn Fn(&Path) + 'a>;
    let edit = |change: fn(&mut Value)| -> Change<'_> {
        Box::new(move |at: &Path| {
            let mut value = index(at);
            change(&mut value);
            std::fs::write(at.join("index.json"), value.to_string()).unwrap();
        })
    };
    let changes: Vec<Change<'_>> = vec![
        edit(|of| of["manifests"][0]["digest"] = "sha256:../../../etc/passwd".into()),
        edit(|of| of["manifests"][0]["size"] = 5.into()),
        edit(|of| of["manifests"][0]["mediaType"] = "text/plain".into()),
        edit(|of| of["manifests"] = Value::Array(Vec::new())),
        edit(|of| of["schemaVersion"] = 1.into()),
        Box::new(|at| std::fs::write(at.join("index.json"), vec![b' '; 300_000]).unwrap()),
        Box::new(|at| std::fs::write(at.join("oci-layout"), "{}").unwrap()),
        Box::new(|at| std::fs::remove_file(at.join("oci-layout")).unwrap()),
        Box::new(|at| {
            let blob = at.join("blobs/sha256").join(digest(&index(at)));
            let elsewhere = at.join("elsewhere");
            std::fs::rename(&blob, &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, blob).unwrap();
        }),
        Box::new(|at| {
            let blob = at.join("blobs/sha256").join(digest(&index(at)));
            std::fs::remove_file(&blob).unwrap();
            std::fs::create_dir(blob).unwrap();
        }),
    ];
    for (number, change) in changes.iter().enumerate() {
        let (_folder, at) = made();
        change(&at);
        assert!(Bundle::read(&at).is_err(), "change {number}");
    }
    // Every blob, a byte of it changed.
    let (_folder, at) = made();
    let mut blobs = 0;
    for blob in std::fs::read_dir(at.join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let sound = std::fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        bytes[sound.len() / 2] ^= 0x01;
        std::fs::write(&path, bytes).unwrap();
        assert!(Bundle::read(&at).is_err(), "{}", path.display());
        std::fs::write(&path, sound).unwrap();
        blobs += 1;
    }
    assert_eq!(blobs, 4);
    assert!(Bundle::read(&at).is_ok());
}
