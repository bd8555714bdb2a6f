//! Old stores open, newer ones are left alone.

use std::path::Path;

use instar_protocol::memory::NoteState;
use instar_protocol::message::{EntryBody, Part};
use instar_protocol::principal::{Principal, Via};
use instar_store::{EventFilter, Op, OpenError, Options, SCHEMA_VERSION, Store, TextSearch};
use rusqlite::Connection;

use crate::given::{
    at, candidate, contact, device, device_token, edit, entry, entry_id, envelope, fault, healing,
    inbound, key, letter, move_stable, note, note_edit, occasions, program, question, rollout, run,
    session_id, unit,
};

/// One store per schema version, each holding what `examples/fixture.rs` wrote.
const FIXTURES: &[&[u8]] = &[
    include_bytes!("fixtures/v1.sqlite"),
    include_bytes!("fixtures/v2.sqlite"),
    include_bytes!("fixtures/v3.sqlite"),
    include_bytes!("fixtures/v4.sqlite"),
    include_bytes!("fixtures/v5.sqlite"),
    include_bytes!("fixtures/v6.sqlite"),
    include_bytes!("fixtures/v7.sqlite"),
    include_bytes!("fixtures/v8.sqlite"),
    include_bytes!("fixtures/v9.sqlite"),
    include_bytes!("fixtures/v10.sqlite"),
    include_bytes!("fixtures/v11.sqlite"),
    include_bytes!("fixtures/v12.sqlite"),
    include_bytes!("fixtures/v13.sqlite"),
    include_bytes!("fixtures/v14.sqlite"),
    include_bytes!("fixtures/v15.sqlite"),
    include_bytes!("fixtures/v16.sqlite"),
    include_bytes!("fixtures/v17.sqlite"),
    include_bytes!("fixtures/v18.sqlite"),
];

#[tokio::test]
async fn a_store_of_every_version_opens_and_keeps_what_it_holds() {
    assert_eq!(FIXTURES.len(), usize::try_from(SCHEMA_VERSION).unwrap());
    for (version, bytes) in (1..).zip(FIXTURES) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("instar.sqlite");
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(user_version(&file), version);

        let store = Store::open(folder.path(), Options::default()).unwrap();
        let row = store.session_by_key(&key("chat1")).await.unwrap().unwrap();
        assert_eq!((row.id.clone(), row.entries), (session_id(1), 2));
        let parent = (version >= 7).then(|| key("chat0"));
        assert_eq!(row.parent, parent);
        let path = store.branch(&row.id, None, 10).await.unwrap();
        assert_eq!(path, [entry(1, 2, Some(1)), entry(1, 1, None)]);
        let leaf = store.newest_under(&row.id, &entry_id(1)).await.unwrap();
        assert_eq!(leaf, Some(entry_id(2)));
        let open = store.unfinished().await.unwrap();
        assert_eq!(open.inbox[0].inbound, inbound(1, Some("k")));
        assert_eq!((open.effects.len(), open.outbox.len()), (1, 1));
        let all = EventFilter {
            limit: 10,
            ..EventFilter::default()
        };
        assert_eq!(store.events(all).await.unwrap()[0].at, at(1));
        assert!(store.alias("stable").await.unwrap().is_some());
        assert_eq!(store.releases().await.unwrap().len(), 1);
        assert_eq!(
            store.spend("2026-11-21", "2026-11-21").await.unwrap()[0].calls,
            1
        );
        assert!(store.web_session("digest").await.unwrap().is_some());
        let devices = store.devices().await.unwrap();
        let tokens = store.device_tokens().await.unwrap();
        if version == 1 {
            assert!(devices.is_empty() && tokens.is_empty());
        } else {
            assert_eq!((devices, tokens), (vec![device(1)], vec![device_token(1)]));
        }
        let asked = store.question(&question(1).id).await.unwrap();
        let chain = store.verify_receipts(None).await.unwrap();
        assert!(chain.problems.is_empty());
        if version < 6 {
            assert_eq!((asked, chain.receipts), (None, 0));
        } else {
            assert_eq!((asked, chain.receipts), (Some(question(1)), 2));
        }
        let programs = store.program_runs(Some("main")).await.unwrap();
        let written = (version >= 8).then(|| program(1));
        assert_eq!(programs, Vec::from_iter(written));
        let candidates = store.candidates().await.unwrap();
        let proposed = (version >= 9).then(|| candidate(1));
        assert_eq!(candidates, Vec::from_iter(proposed));
        let envelopes = store.envelopes(None).await.unwrap();
        let signed = (version >= 9).then(|| envelope(1));
        assert_eq!(envelopes, Vec::from_iter(signed));
        let moves = store.verify_aliases(None).await.unwrap();
        assert_eq!(moves.problems, Vec::<String>::new());
        assert_eq!((moves.moves, moves.unhashed), (1, u64::from(version < 9)));
        let noted = store.alias_head().await.unwrap();
        assert_eq!(noted, moves.head);
        store.commit(vec![move_stable(2)]).await.unwrap();
        let moves = store.verify_aliases(noted).await.unwrap();
        assert_eq!((moves.moves, moves.problems), (2, Vec::new()));
        let letters = store.letters(None, None, 10).await.unwrap();
        let request = store.request(&run(1)).await.unwrap();
        let written = (version >= 10).then(|| (letter(1), "{}".to_owned()));
        assert_eq!(
            (letters.first().cloned().zip(request), letters.len() < 2),
            (written, true)
        );
        let rollouts = store.rollouts(10).await.unwrap();
        let units = store.units("rol_1", false, 10).await.unwrap();
        let written = (version >= 11).then(|| (rollout(1), unit(1)));
        assert_eq!(rollouts.into_iter().zip(units).next(), written);
        let notes = store.notes(NoteState::Open, None, 10).await.unwrap();
        assert_eq!(notes.into_iter().next(), (version >= 15).then(|| note(1)));
        let edits = store.note_edits().await.unwrap();
        assert_eq!(
            edits.into_iter().next(),
            (version >= 17).then(|| note_edit(1))
        );
        let met = store.contacts().await.unwrap();
        assert_eq!(met.into_iter().next(), (version >= 18).then(|| contact(1)));
        let faults = store.faults().await.unwrap();
        assert_eq!(faults.into_iter().next(), (version >= 12).then(|| fault(1)));
        let places = store.occasions().await.unwrap();
        assert_eq!(places.into_iter().next(), (version >= 12).then(occasions));
        let edits = store.fault_edits(10).await.unwrap();
        let edit_now = edits.into_iter().map(|row| row.edit).next();
        assert_eq!(edit_now, (version >= 12).then(edit));
        let runs = store.lab_runs(10).await.unwrap();
        assert_eq!(runs.len(), usize::from(version >= 12));
        let memory = store.lab_memory("m").await.unwrap();
        assert_eq!(memory.is_some(), version >= 12);
        let fixes = store.healing("trial").await.unwrap();
        assert_eq!(fixes.into_iter().next(), (version >= 13).then(healing));
        assert!(is_found(&store).await, "version {version}");
        store.close().await.unwrap();
        assert_eq!(user_version(&file), SCHEMA_VERSION);
    }
}

#[tokio::test]
async fn a_newer_store_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instar.sqlite");
    let newer = Connection::open(&file).unwrap();
    newer
        .pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .unwrap();
    newer
        .execute_batch("CREATE TABLE later (x); PRAGMA user_version = 4242")
        .unwrap();
    drop(newer);
    let before = std::fs::read(&file).unwrap();
    let refused = Store::open(folder.path(), Options::default()).unwrap_err();
    assert!(
        matches!(refused, OpenError::Newer { found: 4242, known, .. } if known == SCHEMA_VERSION),
        "{refused}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["instar.sqlite"]);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instar.sqlite");
    std::fs::write(
        &file,
        b"this is not a database, it is a text of some length",
    )
    .unwrap();
    let refused = Store::open(folder.path(), Options::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Open { .. }), "{refused}");
}

/// What is said now is taken into the index and found there.
async fn is_found(store: &Store) -> bool {
    let mut said = entry(1, 3, Some(2));
    said.body = EntryBody::User {
        parts: vec![Part::text("a needle")],
        principal: Principal::Owner { via: Via::Token },
        inbound: None,
        surface: "web".to_owned(),
    };
    store.commit(vec![Op::AppendEntry(said)]).await.unwrap();
    while store.index_step().await.unwrap() {}
    let wanted = TextSearch {
        text: "needle".to_owned(),
        limit: 1,
        ..TextSearch::default()
    };
    let found = store.search(wanted).await.unwrap();
    !found.is_indexing && found.entries.iter().any(|one| one.entry.id == entry_id(3))
}

fn user_version(file: &Path) -> u32 {
    let sql = Connection::open(file).unwrap();
    sql.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}
