//! Signed releases: what is served was signed, here, and for the place where it stands.

use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use instar_release::sign::dsse::{IN_TOTO, pae};
use instar_release::sign::statement::SUMMARY;
use instar_release::sign::{Envelope, SignError, Statement, minisign, sshsig};
use instar_release::{ReleaseError, Releases, Signer};
use instar_store::{Options, Store};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::behaviour;

const NOW: Timestamp = Timestamp::from_millis(1_795_286_385_000);

fn signer(seed: u8) -> Signer {
    Signer::of_seed(&[seed; 32]).unwrap()
}

fn store(folder: &TempDir) -> Store {
    Store::open(folder.path(), Options::default()).unwrap()
}

async fn adopt(releases: &Releases, text: &str, n: u8) -> ReleaseId {
    let at = Timestamp::from_millis(NOW.millis() + u64::from(n) * 1_000);
    let made = releases.adopt(behaviour(text), "owner", "an edit", at, [n; 10]);
    made.await.unwrap().0
}

/// Three moves of the alias: to one release, to another, and to a third.
async fn lived_in(folder: &TempDir) -> [ReleaseId; 3] {
    let store = store(folder);
    let releases = Releases::open_signed(store.clone(), signer(1), NOW)
        .await
        .unwrap();
    let ids = [
        adopt(&releases, "one", 1).await,
        adopt(&releases, "two", 2).await,
        adopt(&releases, "three", 3).await,
    ];
    let sound = releases.verify(&signer(1), None, true, &[]).await.unwrap();
    assert_eq!(sound.problems, Vec::<String>::new());
    assert_eq!((sound.releases, sound.moves, sound.statements), (3, 3, 6));
    store.close().await.unwrap();
    ids
}

async fn refused(folder: &TempDir, seed: u8) -> Option<SignError> {
    let store = store(folder);
    let opened = Releases::open_signed(store.clone(), signer(seed), NOW).await;
    store.close().await.unwrap();
    match opened {
        Ok(_) => None,
        Err(ReleaseError::Refused { reason, .. }) => Some(reason),
        Err(other) => panic!("{other}"),
    }
}

/// Changes rows as somebody would who has the file.
fn change(folder: &TempDir, sql: &str) {
    let connection = rusqlite::Connection::open(folder.path().join("instar.sqlite")).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_release_is_served_as_it_was_signed_and_refused_for_each_reason_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _, three] = lived_in(&folder).await;
    assert_eq!(refused(&folder, 1).await, None);
    assert_eq!(refused(&folder, 2).await, Some(SignError::Foreign));

    let file = folder.path().join("instar.sqlite");
    let sound = std::fs::read(&file).unwrap();
    let rolled = |found, stands| Some(SignError::RolledBack { found, stands });
    let unlocked = "DROP TRIGGER alias_log_is_not_changed; DROP TRIGGER alias_log_is_kept;";
    let back = format!("UPDATE aliases SET release = '{one}';");
    for (sql, reason) in [
        (
            "DELETE FROM envelopes WHERE kind = 'adoption'".to_owned(),
            Some(SignError::Missing),
        ),
        (
            "DELETE FROM envelopes WHERE kind = 'provenance'".to_owned(),
            Some(SignError::Missing),
        ),
        // The statement about another release.
        (
            format!(
                "UPDATE envelopes SET release = '{three}' WHERE release = '{one}';
                     DELETE FROM envelopes WHERE seq > 2"
            ),
            Some(SignError::Subject),
        ),
        // The old release again, with all that was signed of it, in three ways.
        (back.clone(), rolled(0, 3)),
        (
            format!(
                "{back} INSERT INTO alias_log (alias, from_release, to_release, reason, by, at)
                     VALUES ('stable', '{three}', '{one}', 'x', 'owner', 1)"
            ),
            rolled(1, 4),
        ),
        (
            format!("{unlocked} {back} DELETE FROM alias_log WHERE seq > 1"),
            rolled(1, 3),
        ),
    ] {
        std::fs::write(&file, &sound).unwrap();
        change(&folder, &sql);
        assert_eq!(refused(&folder, 1).await, reason, "{sql}");
    }
    // Who signs again as the owner goes on from there.
    std::fs::write(&file, &sound).unwrap();
    change(&folder, "DELETE FROM envelopes");
    let store = store(&folder);
    Releases::sign_again(&store, &signer(1), NOW, [9; 10])
        .await
        .unwrap();
    store.close().await.unwrap();
    assert_eq!(refused(&folder, 1).await, None);
}

#[tokio::test]
async fn the_owner_goes_back_to_an_old_release_by_an_edit() {
    let folder = tempfile::tempdir().unwrap();
    lived_in(&folder).await;
    let store = store(&folder);
    let releases = Releases::open_signed(store.clone(), signer(1), NOW)
        .await
        .unwrap();
    adopt(&releases, "one", 4).await;
    store.close().await.unwrap();
    assert_eq!(refused(&folder, 1).await, None);
}

#[tokio::test]
async fn a_folder_from_before_signatures_is_signed_once_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let unsigned = Releases::open(store.clone()).await.unwrap();
    let id = adopt(&unsigned, "one", 1).await;
    store.close().await.unwrap();
    // Adopted after the history became a chain, and not signed: that is no old folder.
    assert_eq!(refused(&folder, 1).await, Some(SignError::Missing));
    change(
        &folder,
        "DROP TRIGGER alias_log_is_not_changed; UPDATE alias_log SET hash = NULL",
    );
    assert_eq!(refused(&folder, 1).await, None);
    let store = self::store(&folder);
    let rows = store.envelopes(Some(&id)).await.unwrap();
    assert_eq!(rows.len(), 2);
    let bytes = store.object(&rows[1].object).await.unwrap();
    let payload = Envelope::read(&bytes)
        .unwrap()
        .verify(&[signer(1).public()])
        .unwrap()
        .0;
    let said: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let late = &said["predicate"]["buildDefinition"]["internalParameters"]["note"]["signedLater"];
    assert_eq!(*late, true);
    store.close().await.unwrap();
    // Once something was signed here, nothing is signed later any more.
    change(&folder, "DELETE FROM envelopes WHERE kind = 'adoption'");
    assert_eq!(refused(&folder, 1).await, Some(SignError::Missing));
}

#[tokio::test]
async fn no_byte_of_a_statement_or_of_the_content_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let [_, _, three] = lived_in(&folder).await;
    let store = self::store(&folder);
    let rows = store.envelopes(Some(&three)).await.unwrap();
    let mut objects: Vec<ObjectHash> = rows.iter().map(|row| row.object.clone()).collect();
    for object in &objects {
        let bytes = store.object(object).await.unwrap();
        for at in 0..bytes.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= bit;
                let taken =
                    Envelope::read_own(&changed).and_then(|own| own.verify_own(signer(1).public()));
                assert!(taken.is_err(), "byte {at} of {}", bytes.len());
            }
        }
    }
    // On the disk: one byte of every 97 of each object, as the store reads it.
    objects.push(ObjectHash::from_hex(three.as_str()));
    objects.push(store.release(&three).await.unwrap().unwrap().object);
    let releases = Releases::open(store.clone()).await.unwrap();
    for object in &objects {
        let (first, rest) = object.as_str().split_at(2);
        let path = folder.path().join("objects").join(first).join(rest);
        let sound = std::fs::read(&path).unwrap();
        for at in (0..sound.len()).step_by(97) {
            let mut changed = sound.clone();
            changed[at] ^= 0x01;
            std::fs::write(&path, changed).unwrap();
            let found = releases.verify(&signer(1), None, true, &[]).await.unwrap();
            assert!(
                !found.problems.is_empty(),
                "byte {at} of {}",
                path.display()
            );
        }
        std::fs::write(&path, sound).unwrap();
    }
    let found = releases.verify(&signer(1), None, true, &[]).await.unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    store.close().await.unwrap();
}

#[tokio::test]
async fn every_row_of_releases_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    lived_in(&folder).await;
    let file = folder.path().join("instar.sqlite");
    let sound = std::fs::read(&file).unwrap();
    let other = "9".repeat(64);
    let mut changes = Vec::new();
    for (table, columns) in [
        ("releases", &["id", "object", "at"][..]),
        ("aliases", &["alias", "release"]),
        (
            "alias_log",
            &[
                "alias",
                "from_release",
                "to_release",
                "reason",
                "by",
                "at",
                "hash",
            ],
        ),
        ("envelopes", &["release", "kind", "object", "at"]),
    ] {
        for column in columns {
            let value = if *column == "at" {
                "at + 1000".to_owned()
            } else {
                format!("'{other}'")
            };
            changes.push(format!(
                "UPDATE {table} SET {column} = {value} WHERE rowid = (SELECT max(rowid) FROM {table})"
            ));
        }
        changes.push(format!(
            "DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"
        ));
    }
    for sql in changes {
        // `aliases` has no rowid, and one row.
        let sql = if sql.contains(" aliases ") {
            sql.split(" WHERE").next().unwrap().to_owned()
        } else {
            sql
        };
        std::fs::write(&file, &sound).unwrap();
        change(
            &folder,
            "DROP TRIGGER alias_log_is_not_changed; DROP TRIGGER alias_log_is_kept;",
        );
        change(&folder, &sql);
        let store = store(&folder);
        let found = match Releases::open(store.clone()).await {
            Ok(releases) => releases
                .verify(&signer(1), None, true, &[])
                .await
                .unwrap()
                .problems
                .len(),
            Err(_) => 1,
        };
        assert!(found > 0, "{sql}");
        store.close().await.unwrap();
    }
}

#[test]
fn the_signed_bytes_are_those_of_the_specification() {
    let pae = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(
        pae,
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn a_statement_that_ended_or_speaks_of_something_else_is_refused() {
    let release = ReleaseId::from_hex("1".repeat(64));
    let say = |end: &str, kind: &str| {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "x", "digest": {"sha256": release}}],
            "predicateType": kind,
            "predicate": {"urn:instar:expires": end},
        });
        serde_json::to_vec(&statement).unwrap()
    };
    let read = |payload: &[u8], about: &ReleaseId| {
        Statement::read(payload, about, SUMMARY, Some(NOW)).map(drop)
    };
    assert_eq!(
        read(&say("2026-11-21T18:39:46Z", SUMMARY), &release),
        Ok(())
    );
    for end in ["2026-11-21T18:39:45Z", "2020-01-01T00:00:00Z", "never", ""] {
        let refused = read(&say(end, SUMMARY), &release);
        assert_eq!(refused, Err(SignError::Expired(end.to_owned())));
    }
    let later = say("2099-01-01T00:00:00Z", SUMMARY);
    assert_eq!(
        read(&later, &ReleaseId::from_hex("2".repeat(64))),
        Err(SignError::Subject)
    );
    let other = say("2099-01-01T00:00:00Z", "https://example.org/x");
    assert_eq!(read(&other, &release), Err(SignError::Predicate(SUMMARY)));
}

#[test]
fn signatures_over_files_hold_for_these_bytes_this_key_and_this_purpose() {
    let (mine, others) = (signer(1), signer(2));
    let message = b"a statement";
    let trusted = [others.public(), mine.public()];
    type Verify = fn(
        &[u8],
        &str,
        &[instar_release::sign::PublicKey],
    ) -> Result<instar_release::sign::PublicKey, SignError>;
    for (text, verify) in [
        (sshsig::sign(message, mine.key()), sshsig::verify as Verify),
        (
            minisign::sign(message, mine.key()),
            minisign::verify as Verify,
        ),
    ] {
        assert_eq!(verify(message, &text, &trusted), Ok(mine.public()));
        assert_eq!(
            verify(message, &text, &[others.public()]),
            Err(SignError::Foreign)
        );
        assert!(verify(b"another statement", &text, &trusted).is_err());
        let mut refused = 0;
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 0x01;
            if let Ok(changed) = String::from_utf8(changed) {
                refused += usize::from(verify(message, &changed, &trusted).is_err());
            }
        }
        // The comment that minisign itself calls untrusted may say anything.
        let untrusted = text.lines().next().unwrap().len();
        assert!(
            refused + untrusted >= text.len() - 2,
            "{refused} of {}",
            text.len()
        );
    }
    let file = minisign::public_file(mine.public());
    let line = file.lines().nth(1).unwrap();
    for text in [line, &mine.public().ssh(), &mine.public().hex()] {
        assert_eq!(
            instar_release::sign::PublicKey::parse(text),
            Ok(mine.public())
        );
    }
}

#[test]
fn only_envelopes_of_statements_are_read() {
    let mut envelope = Envelope::sign(b"{}", signer(1).key());
    assert_eq!(envelope.payload_type, IN_TOTO);
    envelope.payload_type = "text/plain".to_owned();
    let refused = envelope.verify(&[signer(1).public()]).unwrap_err();
    assert_eq!(refused, SignError::PayloadType("text/plain".to_owned()));
}
