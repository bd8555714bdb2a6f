//! Notes that are taken away and put back.

use super::*;
use instar_protocol::amend::{EditState, NoteEdit, NoteRef};
use instar_store::EventFilter;

const STRANGERS: &str = "Ring the boatman.";

/// Three notes, the middle one a stranger's, and a proposal to take that one away.
async fn proposed() -> (Room, NoteEdit) {
    let room = Room::new();
    room.note(&room.caller, "The boat is Ida.").await;
    let stranger = room.by(Label::stranger(Readers::Private));
    room.note(&stranger, STRANGERS).await;
    room.note(&room.caller, "Tea is at five.").await;
    let edit = propose(&room, 1).await;
    (room, edit)
}

async fn propose(room: &Room, number: u64) -> NoteEdit {
    let text = entries(&room.file())[1].text.clone();
    let edit = NoteEdit {
        id: format!("edt_{number}"),
        agent: room.caller.agent.clone(),
        fault: "flt_1".to_owned(),
        gene: "amend-note".to_owned(),
        why: "2 of 2".to_owned(),
        note: NoteRef {
            path: DAY.to_owned(),
            digest: canonical::sha256(text.as_bytes()),
        },
        turns: 2,
        corrected: 2,
        text,
        origin: "stranger".to_owned(),
        state: EditState::Proposed,
        at: Timestamp::from_millis(number),
        who: None,
        decided_at: None,
        inverse: None,
    };
    assert!(room.memory.suggest(edit.clone()).await.unwrap());
    edit
}

async fn state(room: &Room) -> EditState {
    room.store.note_edits().await.unwrap()[0].state
}

#[tokio::test]
async fn a_note_that_is_taken_away_and_put_back_is_the_same_and_still_a_strangers() {
    let (room, edit) = proposed().await;
    let before = room.file();
    let (text, origin) = room
        .memory
        .noted(&edit.agent, &edit.note)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (text.as_str(), origin.as_str()),
        (edit.text.as_str(), "stranger")
    );
    assert!(
        !room.memory.suggest(edit.clone()).await.unwrap(),
        "one waits already"
    );
    let done = room.memory.accept("edt_1", "command line").await.unwrap();
    assert_eq!(
        (done.state, done.who.as_deref()),
        (EditState::Accepted, Some("command line"))
    );
    assert!(!room.file().contains("boatman") && room.file().contains("Tea"));
    assert_eq!(
        room.found(&room.caller, "boatman").await.0,
        [] as [String; 0]
    );
    let own = (vec!["Tea is at five.".to_owned()], "owner".to_owned());
    assert_eq!(room.found(&room.caller, "tea").await, own);
    assert!(room.memory.accept("edt_1", "x").await.is_err(), "once");
    let done = room.memory.undo("edt_1", "browser").await.unwrap();
    assert_eq!(done.state, EditState::Undone);
    assert_eq!(room.file(), before);
    assert_eq!(room.found(&room.caller, "boatman").await.1, "stranger");
    let told = EventFilter {
        kind: Some("note_edit".to_owned()),
        limit: 20,
        ..EventFilter::default()
    };
    assert_eq!(
        room.store.events(told).await.unwrap().len(),
        5,
        "an event for each state"
    );
}

#[tokio::test]
async fn a_note_is_put_back_behind_its_neighbour_where_the_file_went_on() {
    let (room, _) = proposed().await;
    room.memory.accept("edt_1", "owner").await.unwrap();
    room.note(&room.caller, "Milk.").await;
    room.memory.undo("edt_1", "owner").await.unwrap();
    let all = entries(&room.file());
    let last: Vec<&str> = all
        .iter()
        .filter_map(|one| one.text.lines().last())
        .collect();
    assert_eq!(
        last,
        ["The boat is Ida.", STRANGERS, "Tea is at five.", "Milk."]
    );
    assert_eq!(room.found(&room.caller, "boatman").await.1, "stranger");
}

#[tokio::test]
async fn a_word_about_a_note_that_was_cut_off_is_carried_out_by_the_next_start() {
    let (room, _) = proposed().await;
    let before = room.file();
    let path = room.workspace.join(DAY);
    let taken = room.memory.accept("edt_1", "owner").await.unwrap();
    let after = room.file();
    // The batch stands, and the file was not written, or was written, when the process ended.
    for (file, from, to, done, wanted) in [
        (
            &before,
            EditState::Accepted,
            EditState::Taking,
            EditState::Accepted,
            &after,
        ),
        (
            &after,
            EditState::Accepted,
            EditState::Taking,
            EditState::Accepted,
            &after,
        ),
        (
            &after,
            EditState::Accepted,
            EditState::Returning,
            EditState::Undone,
            &before,
        ),
    ] {
        let cut = Op::SettleNoteEdit {
            edit: Box::new(NoteEdit {
                state: to,
                ..taken.clone()
            }),
            from,
        };
        room.store.commit(vec![cut]).await.unwrap();
        std::fs::write(&path, file).unwrap();
        assert_eq!(room.memory.settle().await.unwrap(), 0);
        assert_eq!((&room.file(), state(&room).await), (wanted, done));
        assert_eq!(room.memory.settle().await.unwrap(), 0);
        assert_eq!(&room.file(), wanted, "once");
    }
}

#[tokio::test]
async fn a_note_that_was_changed_meanwhile_stays_and_the_proposal_is_stale() {
    let (room, _) = proposed().await;
    let changed = room.file().replace("boatman", "harbour");
    std::fs::write(room.workspace.join(DAY), &changed).unwrap();
    let why = room.memory.accept("edt_1", "owner").await.unwrap_err();
    assert!(matches!(why, AmendError::Stale), "{why}");
    assert_eq!(
        (room.file(), state(&room).await),
        (changed, EditState::Stale)
    );
}

#[tokio::test]
async fn what_a_turn_of_the_owners_reads_is_told_without_its_text_and_nobody_elses() {
    let (room, edit) = proposed().await;
    let read = async || {
        let told = EventFilter {
            kind: Some("notes_read".to_owned()),
            limit: 20,
            ..EventFilter::default()
        };
        room.store.events(told).await.unwrap()
    };
    room.found(&room.candidate(), "boatman").await;
    let contact = Caller {
        principal: Principal::Contact { id: "c".to_owned() },
        ..room.caller.clone()
    };
    room.found(&contact, "boatman").await;
    assert_eq!(read().await.len(), 0);
    room.found(&room.caller, "boatman").await;
    let told = read().await;
    let body = serde_json::to_string(&told).unwrap();
    assert!(
        body.contains(&edit.note.digest) && !body.contains("boatman"),
        "{body}"
    );
    assert_eq!(told[0].run.as_ref(), Some(&room.caller.run));
    room.memory.lines(&room.caller, DAY, 1, 2).await.unwrap();
    assert_eq!(read().await.len(), 2);
}
