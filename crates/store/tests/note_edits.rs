use instar_protocol::amend::{EditState, NoteEdit};
use instar_store::Op;

use crate::given::{note_edit, store};

#[tokio::test]
async fn a_proposal_about_a_note_waits_once_and_moves_only_from_where_it_is() {
    let (_folder, store) = store();
    let put = |number| vec![Op::PutNoteEdit(Box::new(note_edit(number)))];
    store.commit(put(1)).await.unwrap();
    assert!(store.commit(put(2)).await.is_err(), "one waits already");
    let moved = |from, state| {
        let edit = NoteEdit {
            state,
            who: Some("command line".to_owned()),
            ..note_edit(1)
        };
        let edit = Box::new(edit);
        vec![Op::SettleNoteEdit { edit, from }]
    };
    let wrong = moved(EditState::Accepted, EditState::Returning);
    assert!(store.commit(wrong).await.is_err());
    let right = moved(EditState::Proposed, EditState::Taking);
    store.commit(right.clone()).await.unwrap();
    assert!(store.commit(right).await.is_err(), "it moves once");
    let under_way = store.note_edits_under_way().await.unwrap();
    assert_eq!(under_way.len(), 1);
    assert_eq!(under_way[0].state, EditState::Taking);
    store.commit(put(2)).await.unwrap();
    assert_eq!(store.note_edits().await.unwrap()[0], note_edit(2));
}
