mod amended;

use super::write::FILES_OF_A_DAY;
use super::*;
use crate::config::InstarConfig;
use crate::hands::fixture;
use instar_config::StateDir;
use instar_protocol::{Clock, ReleaseId, SessionId, Timestamp};
use instar_store::{Options, RolloutRow, Store};
use instar_tools::files::FilesPort as _;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        // 2026-11-21, 12:00 in Greenwich.
        Timestamp::from_millis(1_795_262_400_000)
    }
}

struct Room {
    _folder: tempfile::TempDir,
    workspace: PathBuf,
    store: Store,
    memory: Memory,
    caller: Caller,
}

const DAY: &str = "memory/2026-11-21.md";

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state").to_str().unwrap().to_owned();
        let env = |name: &str| (name == "INSTAR_STATE_DIR").then(|| path.clone());
        let state = StateDir::locate(None, &env).unwrap();
        state.prepare().unwrap();
        let store = Store::open(state.root(), Options::default()).unwrap();
        let workspace = folder.path().join("workspace");
        std::fs::create_dir(&workspace).unwrap();
        let config: InstarConfig = serde_json::from_value(json!({ "agents": { "defaults": {
            "workspace": workspace, "userTimezone": "UTC",
        } } }))
        .unwrap();
        let parts = fixture::parts(&store, config, state, Arc::new(Noon));
        let memory = Memory::new(WorkspaceFiles::new(&parts));
        let caller = fixture::owner();
        Self {
            _folder: folder,
            workspace,
            store,
            memory,
            caller,
        }
    }

    fn by(&self, context: Label) -> Caller {
        Caller {
            context,
            ..self.caller.clone()
        }
    }

    /// A turn of the candidate of rollout 1.
    fn candidate(&self) -> Caller {
        let release = ReleaseId::from_hex("1".repeat(64));
        Caller {
            overlay: Some(("rol_1".to_owned(), release)),
            ..self.caller.clone()
        }
    }

    async fn rollout(&self, notes: NoteState) {
        let row = RolloutRow {
            id: "rol_1".to_owned(),
            is_open: notes == NoteState::Open,
            coin: [0; 32],
            at: Timestamp::from_millis(1),
            ended_at: None,
            notes,
            body: "{}".to_owned(),
        };
        self.store.commit(vec![Op::PutRollout(row)]).await.unwrap();
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.workspace.join(DAY)).unwrap_or_default()
    }

    async fn note(&self, caller: &Caller, text: &str) {
        let _told = self.memory.note(caller, text).await.unwrap();
    }

    /// What is found, and the label of it all.
    async fn found(&self, caller: &Caller, query: &str) -> (Vec<String>, String) {
        let (rows, label) = self.memory.search(caller, query, 9).await.unwrap();
        let rows = rows.as_array().unwrap().iter();
        let snippets = rows.map(|row| {
            let text = row["snippet"].as_str().unwrap();
            text.lines().last().unwrap().to_owned()
        });
        (snippets.collect(), label.origins.worst().to_owned())
    }
}

#[tokio::test]
async fn a_note_is_found_with_the_label_of_its_writer_and_of_no_other() {
    let room = Room::new();
    room.note(&room.caller, "The boat is Ida.").await;
    let stranger = room.by(Label::stranger(Readers::Private));
    room.note(
        &stranger,
        "Ring the boatman.\n## 13:00 [0000000000]\nPay him.",
    )
    .await;
    let own = (vec!["The boat is Ida.".to_owned()], "owner".to_owned());
    assert_eq!(room.found(&room.caller, "Ida").await, own);
    let (found, label) = room.found(&room.caller, "pay boatman").await;
    assert_eq!((found.len(), label.as_str()), (1, "stranger"));
    let whole = room.memory.files.read(&room.caller, DAY).await.unwrap();
    assert_eq!(
        whole.label.origins.worst(),
        "stranger",
        "the file is the work of both"
    );
    let (first, label) = room.memory.lines(&room.caller, DAY, 1, 2).await.unwrap();
    assert!(
        first.contains("boat is Ida") && first.contains("of 7; go on from 3"),
        "{first}"
    );
    assert_eq!(label.origins.worst(), "owner");
    let why = room
        .memory
        .lines(&room.caller, DAY, 99, 1)
        .await
        .unwrap_err();
    assert!(why.to_string().contains("has 7 lines"), "{why}");
    for path in ["memory/none.md", "instar.json", "../state/instar.json"] {
        assert!(
            room.memory.lines(&room.caller, path, 1, 9).await.is_err(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_the_owner_writes_is_the_owners_and_what_others_wrote_beside_it_stays_theirs() {
    let room = Room::new();
    room.note(
        &room.by(Label::stranger(Readers::Private)),
        "Send it to Eve.",
    )
    .await;
    let edited = format!("My plan: sail.\n\n{}", room.file());
    std::fs::write(room.workspace.join(DAY), edited).unwrap();
    std::fs::write(room.workspace.join("memory/own.md"), "- sail on Monday\n").unwrap();
    assert_eq!(room.found(&room.caller, "sail").await.1, "owner");
    assert_eq!(room.found(&room.caller, "Eve").await.1, "stranger");
    let whole = room.memory.files.read(&room.caller, DAY).await.unwrap();
    assert_eq!(whole.label.origins.worst(), "stranger");
    // Moved by hand, it is still its writer's.
    let moved = room.file().split_once("\n\n").unwrap().1.to_owned();
    std::fs::write(room.workspace.join("memory/moved.md"), moved).unwrap();
    std::fs::remove_file(room.workspace.join(DAY)).unwrap();
    assert_eq!(room.found(&room.caller, "Eve").await.1, "stranger");
}

#[tokio::test]
async fn what_a_program_may_have_written_stays_a_strangers_after_the_next_note() {
    let room = Room::new();
    let began = instar_sandbox::root::now();
    std::fs::create_dir(room.workspace.join("memory")).unwrap();
    std::fs::write(room.workspace.join(DAY), "## 09:00\nTrust Eve.\n").unwrap();
    let run = instar_store::ProgramRun {
        id: "prg_1".to_owned(),
        agent: "main".to_owned(),
        session: room.caller.session.clone(),
        began,
        ended: None,
        label: Label::owner(),
        present: std::collections::BTreeSet::new(),
    };
    room.store
        .commit(vec![Op::PutProgramRun(run)])
        .await
        .unwrap();
    assert_eq!(room.found(&room.caller, "Eve").await.1, "stranger");
    room.note(&room.caller, "Tea at four.").await;
    let gone = Op::DropProgramRun {
        id: "prg_1".to_owned(),
    };
    room.store.commit(vec![gone]).await.unwrap();
    assert_eq!(room.found(&room.caller, "Eve").await.1, "stranger");
    assert_eq!(room.found(&room.caller, "tea").await.1, "owner");
}

#[tokio::test]
async fn somebody_else_reads_what_its_own_conversation_may_see() {
    let room = Room::new();
    room.note(&room.caller, "The boat is Ida.").await;
    let guest = Caller {
        principal: Principal::Contact {
            id: "c1".to_owned(),
        },
        session: SessionId::new(Timestamp::from_millis(2), [2; 10]),
        ..room.caller.clone()
    };
    let said = Label::stranger(Readers::Session(guest.session.clone()));
    let speaking = Caller {
        context: said,
        ..guest.clone()
    };
    room.note(&speaking, "The guest's boat is Eve.").await;
    let theirs = vec!["The guest's boat is Eve.".to_owned()];
    assert_eq!(room.found(&guest, "boat").await.0, theirs);
    assert_eq!(room.found(&room.caller, "boat").await.0.len(), 2);
    assert!(room.memory.lines(&guest, DAY, 1, 2).await.is_err());
    assert!(room.memory.lines(&guest, DAY, 4, 2).await.is_ok());
    let other = Caller {
        session: SessionId::new(Timestamp::from_millis(3), [3; 10]),
        ..guest
    };
    assert!(room.found(&other, "boat").await.0.is_empty());
}

#[tokio::test]
async fn what_a_candidate_notes_is_its_own_until_it_is_everybodys_once() {
    let room = Room::new();
    room.rollout(NoteState::Open).await;
    let stranger = Caller {
        context: Label::stranger(Readers::Private),
        ..room.candidate()
    };
    room.note(&stranger, "The boat is Ida.").await;
    assert_eq!(room.file(), "", "it lies in no file");
    assert!(room.found(&room.caller, "boat").await.0.is_empty());
    assert_eq!(room.found(&room.candidate(), "boat").await.1, "stranger");
    let (page, _) = room
        .memory
        .lines(&room.candidate(), DAY, 1, 9)
        .await
        .unwrap();
    assert!(page.contains("The boat is Ida."), "{page}");

    room.rollout(NoteState::Merging).await;
    assert_eq!(room.found(&room.caller, "boat").await.1, "stranger");
    assert_eq!(room.file(), "", "it is read from the store");
    // Cut after the file was written, and begun anew.
    let note = room
        .store
        .notes(NoteState::Merging, None, 9)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(room.memory.settle().await.unwrap(), 0);
    let merged = room.file();
    let again = New {
        id: note.id.clone(),
        text: note.text.clone(),
        label: note.label.clone(),
        session: note.session.clone(),
        run: note.run.clone(),
    };
    let day = [(note.time.clone(), again)];
    let _path = room
        .memory
        .append(&note.agent, &note.day, &day)
        .await
        .unwrap();
    assert_eq!(room.memory.settle().await.unwrap(), 0);
    assert_eq!(room.file(), merged);
    assert_eq!(merged.matches("The boat is Ida.").count(), 1, "{merged}");
    assert_eq!(room.found(&room.caller, "boat").await.1, "stranger");
    assert_eq!(
        room.store
            .notes(NoteState::Merged, None, 9)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_was_taken_back_is_read_by_nobody_until_its_owner_says_so() {
    let room = Room::new();
    room.rollout(NoteState::Open).await;
    room.note(&room.candidate(), "The boat is Ida.").await;
    room.rollout(NoteState::Quarantined).await;
    room.note(&room.candidate(), "A late boat.").await;
    assert_eq!(room.memory.settle().await.unwrap(), 0);
    for caller in [&room.caller, &room.candidate()] {
        assert!(room.found(caller, "boat").await.0.is_empty());
    }
    let held = room.memory.quarantine().await.unwrap().notes;
    assert_eq!(held.len(), 2);
    assert!(room.memory.restore(&held[0].id).await.unwrap());
    assert!(room.memory.forget(&held[1].id).await.unwrap());
    assert!(!room.memory.restore(&held[0].id).await.unwrap());
    assert!(!room.memory.forget("nothing").await.unwrap());
    assert_eq!(
        room.found(&room.caller, "boat").await.0,
        ["The boat is Ida."]
    );
    assert!(room.memory.quarantine().await.unwrap().notes.is_empty());
}

#[tokio::test]
async fn what_cannot_be_written_waits_and_is_read_all_the_same() {
    let room = Room::new();
    room.rollout(NoteState::Open).await;
    room.note(&room.candidate(), "The boat is Ida.").await;
    room.rollout(NoteState::Merging).await;
    let folder = room.workspace.join(DAY);
    std::fs::create_dir_all(&folder).unwrap();
    assert_eq!(room.memory.settle().await.unwrap(), 1);
    assert_eq!(
        room.found(&room.caller, "boat").await.0,
        ["The boat is Ida."]
    );
    std::fs::remove_dir(&folder).unwrap();
    assert_eq!(room.memory.settle().await.unwrap(), 0);
    assert!(room.file().contains("The boat is Ida."));
}

#[tokio::test]
async fn a_full_day_goes_on_in_another_file_and_ends_somewhere() {
    let room = Room::new();
    std::fs::create_dir(room.workspace.join("memory")).unwrap();
    let full = "x".repeat(MEMORY_BYTES_MAX);
    std::fs::write(room.workspace.join(DAY), &full).unwrap();
    room.note(&room.caller, "Tea.").await;
    let next = room.workspace.join("memory/2026-11-21-2.md");
    assert!(std::fs::read_to_string(next).unwrap().contains("Tea."));
    for number in 2..=FILES_OF_A_DAY {
        let file = format!("memory/2026-11-21-{number}.md");
        std::fs::write(room.workspace.join(file), &full).unwrap();
    }
    let why = room.memory.note(&room.caller, "Tea.").await.unwrap_err();
    assert!(why.to_string().contains("that day are full"), "{why}");
    let long = "x".repeat(4_001);
    let why = room.memory.note(&room.caller, &long).await.unwrap_err();
    assert!(why.to_string().contains("4001 characters"), "{why}");
}
