//! The secret store: sealed at rest, one source each, refusal instead of fallback.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use instar_config::{SecretError, SecretStore, StateDir};
use instar_protocol::{Secret, SecretOrigin, SecretRef, SecretSource};
use serde_json::Value;

use crate::support::{mode, no_env, state_in};

fn prepared(root: &Path) -> StateDir {
    let state = state_in(root);
    state.prepare().unwrap();
    state
}

fn reference(source: SecretOrigin, id: &str) -> SecretRef {
    SecretRef {
        source,
        id: id.to_owned(),
    }
}

fn put(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_secret_comes_back_and_is_not_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    let store = SecretStore::open(&state, &no_env).unwrap();
    store.set("telegram", &Secret::new("canary-3141")).unwrap();
    drop(store);
    let store = SecretStore::open(&state, &no_env).unwrap();
    assert_eq!(store.get("telegram").unwrap().expose(), "canary-3141");
    assert_eq!(store.names().unwrap(), ["telegram"]);
    assert!(!format!("{store:?}").contains("canary"));
    for entry in std::fs::read_dir(state.root()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert_eq!(mode(&path), 0o600, "{path:?}");
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !String::from_utf8_lossy(&bytes).contains("canary-3141"),
                "{path:?}"
            );
        }
    }
    assert!(store.remove("telegram").unwrap());
    assert!(!store.remove("telegram").unwrap());
    assert!(matches!(
        store.get("telegram"),
        Err(SecretError::Missing(_))
    ));
}

#[test]
fn exchanged_or_changed_entries_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    let store = SecretStore::open(&state, &no_env).unwrap();
    store.set("a", &Secret::new("one")).unwrap();
    store.set("b", &Secret::new("two")).unwrap();
    let path = state.root().join("secrets.json");
    let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut swapped = whole.clone();
    swapped["entries"]["a"] = whole["entries"]["b"].clone();
    swapped["entries"]["b"] = whole["entries"]["a"].clone();
    put(&path, &swapped.to_string(), 0o600);
    assert!(matches!(store.get("a"), Err(SecretError::Tampered)));
    assert!(matches!(store.get("b"), Err(SecretError::Tampered)));
    put(&path, &whole.to_string(), 0o600);
    assert_eq!(store.get("a").unwrap().expose(), "one");
    put(&path, "{}", 0o600);
    assert!(matches!(
        SecretStore::open(&state, &no_env),
        Err(SecretError::Tampered)
    ));
}

#[test]
fn keys_of_two_purposes_differ_and_last() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    let first = SecretStore::open(&state, &no_env).unwrap();
    let cookie = first.derive("cookie").unwrap();
    assert_ne!(*cookie, *first.derive("cohort").unwrap());
    let second = SecretStore::open(&state, &no_env).unwrap();
    assert_eq!(*cookie, *second.derive("cookie").unwrap());
}

/// Takes each source away in turn; every other one is there and must not be used.
#[test]
fn a_missing_source_is_refused_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    put(&state.root().join("token"), "from-file\n", 0o600);
    let open = |set: bool| {
        let store = SecretStore::open(&state, &no_env).unwrap();
        store.with_environment(move |name| (set && name == "token").then(|| "from-env".to_owned()))
    };
    let store = open(true);
    store.set("token", &Secret::new("from-store")).unwrap();
    let all = [
        (SecretOrigin::Env, "from-env"),
        (SecretOrigin::File, "from-file"),
        (SecretOrigin::Store, "from-store"),
    ];
    for (source, text) in all {
        assert_eq!(
            store.secret(&reference(source, "token")).unwrap().expose(),
            text
        );
    }
    let refused = |store: &SecretStore, source| {
        let error = store.secret(&reference(source, "token")).unwrap_err();
        assert!(!error.contains("from-"), "{error}");
    };
    refused(&open(false), SecretOrigin::Env);
    let empty = SecretStore::open(&state, &no_env)
        .unwrap()
        .with_environment(|_| Some(String::new()));
    refused(&empty, SecretOrigin::Env);
    std::fs::remove_file(state.root().join("token")).unwrap();
    refused(&store, SecretOrigin::File);
    store.remove("token").unwrap();
    refused(&store, SecretOrigin::Store);
}

#[test]
fn a_lost_master_key_is_never_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    let store = SecretStore::open(&state, &no_env).unwrap();
    store.set("a", &Secret::new("one")).unwrap();
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    put(
        &credentials.join("instar-master-key"),
        &"7".repeat(64),
        0o400,
    );
    let env =
        |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| credentials.display().to_string());
    let key = state.root().join("master.key");
    let saved = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    // Neither a new key nor the credential that happens to be there takes its place.
    for env in [&no_env as instar_config::Env<'_>, &env] {
        assert!(matches!(
            SecretStore::open(&state, env),
            Err(SecretError::MasterMissing { .. })
        ));
    }
    assert!(!key.exists());
    put(&key, &"0".repeat(64), 0o600);
    assert!(matches!(
        SecretStore::open(&state, &no_env),
        Err(SecretError::Tampered)
    ));
    put(&key, &saved, 0o640);
    assert!(matches!(
        SecretStore::open(&state, &no_env),
        Err(SecretError::Loose { mode: 0o640, .. })
    ));
    put(&key, &saved, 0o600);
    assert_eq!(
        SecretStore::open(&state, &no_env)
            .unwrap()
            .get("a")
            .unwrap()
            .expose(),
        "one"
    );
    std::fs::remove_file(state.root().join("master.json")).unwrap();
    assert!(matches!(
        SecretStore::open(&state, &no_env),
        Err(SecretError::MasterMissing { .. })
    ));
}

#[test]
fn a_credential_is_the_only_key_of_a_store_made_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    let file = folder.path().join("instar-master-key");
    put(&file, &"ab".repeat(32), 0o440);
    let env =
        |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.path().display().to_string());
    let store = SecretStore::open(&state, &env).unwrap();
    store.set("a", &Secret::new("one")).unwrap();
    assert!(!state.root().join("master.key").exists());
    put(&state.root().join("master.key"), &"ab".repeat(32), 0o600);
    assert!(matches!(
        SecretStore::open(&state, &no_env),
        Err(SecretError::MasterMissing { .. })
    ));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(
        SecretStore::open(&state, &env),
        Err(SecretError::MasterMissing { .. })
    ));
    put(&file, &"ab".repeat(32), 0o444);
    assert!(matches!(
        SecretStore::open(&state, &env),
        Err(SecretError::Loose { .. })
    ));
}

#[test]
fn a_passphrase_locks_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    let store = SecretStore::open(&state, &no_env).unwrap();
    store.set("a", &Secret::new("one")).unwrap();
    assert!(matches!(
        store.protect(&Secret::new("short")),
        Err(SecretError::Passphrase(8))
    ));
    store.protect(&Secret::new("correct horse")).unwrap();
    assert!(!state.root().join("master.key").exists());
    assert!(matches!(
        SecretStore::open(&state, &no_env),
        Err(SecretError::Locked)
    ));
    let file = folder.path().join("passphrase");
    let env = |name: &str| (name == "INSTAR_PASSPHRASE_FILE").then(|| file.display().to_string());
    put(&file, "wrong horse\n", 0o600);
    assert!(matches!(
        SecretStore::open(&state, &env),
        Err(SecretError::Tampered)
    ));
    put(&file, "correct horse\n", 0o644);
    assert!(matches!(
        SecretStore::open(&state, &env),
        Err(SecretError::Loose { .. })
    ));
    put(&file, "correct horse\n", 0o600);
    assert_eq!(
        SecretStore::open(&state, &env)
            .unwrap()
            .get("a")
            .unwrap()
            .expose(),
        "one"
    );
    let record = state.root().join("master.json");
    let mut cheap: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    cheap["keeper"]["passphrase"]["cost"]["memory_kib"] = 8.into();
    put(&record, &cheap.to_string(), 0o600);
    assert!(matches!(
        SecretStore::open(&state, &env),
        Err(SecretError::Tampered)
    ));
}

#[test]
fn secret_files_are_private_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let state = prepared(folder.path());
    let store = SecretStore::open(&state, &no_env).unwrap();
    let path = folder.path().join("token");
    let read = || store.secret(&reference(SecretOrigin::File, path.to_str().unwrap()));
    put(&path, "line one\nline two\n\n", 0o400);
    assert_eq!(read().unwrap().expose(), "line one\nline two\n");
    put(&path, "x", 0o640);
    assert!(read().unwrap_err().contains("mode 640"));
    put(&path, "\n", 0o600);
    assert!(read().is_err());
    put(&path, &"x".repeat(64 * 1024 + 1), 0o600);
    assert!(read().unwrap_err().contains("larger than 65536 bytes"));
    for name in ["", "a/b", "a b", &"x".repeat(129)] {
        assert!(matches!(
            store.set(name, &Secret::new("x")),
            Err(SecretError::Name(_))
        ));
    }
    assert!(matches!(
        store.set("a", &Secret::new("")),
        Err(SecretError::Size)
    ));
}
