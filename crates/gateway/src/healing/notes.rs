//! Notes that could be taken away: what may be proposed about them, and what the lab proposed.
//!
//! The lab's word is a row that is believed nothing: which turns read a note and were corrected is the
//! gateway's own count, and the note has to stand in its file as it is named.

use instar_protocol::AgentId;
use instar_protocol::amend::{EditState, NoteEdit, NoteRef, NoteUse};
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::{Proposed, TAKE_NOTE};
use instar_store::{Store, StoreError};

use crate::app::AppState;
use crate::lab::Readings;

const WHY_CHARS_MAX: usize = 400;
const GENE_CHARS_MAX: usize = 80;
const ID_DIGITS: usize = 10;

/// Notes of an agent that something may be proposed about: nothing waits about them, and where a person
/// decided, answers were corrected since.
pub(super) async fn open(store: &Store, agent: &str) -> Result<Vec<NoteUse>, StoreError> {
    let mut notes = Readings::resume(store).await?.corrected(agent);
    let edits = store.note_edits().await?;
    notes.retain(|one| {
        let mut about = edits
            .iter()
            .filter(|edit| edit.agent.as_str() == agent && edit.note == one.note);
        about.all(|edit| match edit.state {
            EditState::Proposed | EditState::Taking | EditState::Returning => false,
            EditState::Accepted | EditState::Refused | EditState::Undone | EditState::Stale => {
                one.corrected > edit.corrected
            }
        })
    });
    Ok(notes)
}

/// What waits for its owner about a fault.
pub(crate) async fn waiting(store: &Store, fault: &str) -> Result<Vec<NoteEdit>, StoreError> {
    let mut edits = store.note_edits().await?;
    edits.retain(|edit| edit.fault == fault && edit.state == EditState::Proposed);
    Ok(edits)
}

/// The note that a proposal is about; none where it is about the behaviour.
pub(super) fn of_proposal(one: &Proposed) -> Option<NoteRef> {
    serde_json::from_value(one.delta.get(TAKE_NOTE)?.clone()).ok()
}

/// Keeps what the lab proposes about a note, if it is so; true if it waits for its owner now.
pub(super) async fn keep(
    app: &AppState,
    agent: &str,
    fault: &Fault,
    one: &Proposed,
    note: NoteRef,
) -> Result<bool, StoreError> {
    let counted = open(&app.store, agent).await?;
    let counted = counted.into_iter().find(|counted| counted.note == note);
    let Some(counted) = counted.filter(|counted| is_sound(fault, one, counted)) else {
        return Ok(false);
    };
    let Ok(agent) = AgentId::parse(agent) else {
        return Ok(false);
    };
    let (text, origin) = match app.memory.noted(&agent, &note).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(false),
        Err(error) => {
            tracing::warn!(%error, "a note that is proposed to be taken away cannot be read");
            return Ok(false);
        }
    };
    let edit = NoteEdit {
        id: format!("edt_{}", &hex::encode(app.random())[..ID_DIGITS]),
        agent,
        fault: fault.id.clone(),
        gene: one.gene.chars().take(GENE_CHARS_MAX).collect(),
        why: why(&counted),
        note,
        turns: counted.turns,
        corrected: counted.corrected,
        text,
        origin,
        state: EditState::Proposed,
        at: app.clock.now(),
        who: None,
        decided_at: None,
        inverse: None,
    };
    app.memory.suggest(edit).await
}

/// Whether the gateway's own counts bear it out.
fn is_sound(fault: &Fault, one: &Proposed, counted: &NoteUse) -> bool {
    let is_alone = one.delta.as_object().is_some_and(|delta| delta.len() == 1);
    is_alone && fault.kind == SignalKind::Correction && counted.is_in_the_way()
}

/// Written by the gateway, from what it counted itself.
fn why(counted: &NoteUse) -> String {
    let (corrected, turns) = (counted.corrected, counted.turns);
    let why = format!("{corrected} of {turns} answers that rest on this note were corrected");
    why.chars().take(WHY_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::Timestamp;
    use serde_json::json;

    #[test]
    fn what_the_lab_says_of_a_note_is_held_against_what_was_counted() {
        let note = NoteRef {
            path: "memory/2026-11-21.md".to_owned(),
            digest: "a".repeat(64),
        };
        let fault = |kind| {
            let at = Timestamp::from_millis(1);
            Fault::new("flt_1".to_owned(), kind, "turn".to_owned(), at)
        };
        let one = |delta| Proposed {
            fault: "flt_1".to_owned(),
            gene: "amend-note".to_owned(),
            delta,
            because: Vec::new(),
        };
        let counted = |turns, corrected| NoteUse {
            note: note.clone(),
            turns,
            corrected,
        };
        let delta = json!({ TAKE_NOTE: note });
        let corrected = fault(SignalKind::Correction);
        assert_eq!(of_proposal(&one(delta.clone())), Some(note.clone()));
        assert!(is_sound(&corrected, &one(delta.clone()), &counted(3, 2)));
        assert!(!is_sound(&corrected, &one(delta.clone()), &counted(4, 2)));
        assert!(!is_sound(&corrected, &one(delta.clone()), &counted(1, 1)));
        let other = fault(SignalKind::CostSpike);
        assert!(!is_sound(&other, &one(delta.clone()), &counted(3, 2)));
        let mut more = delta;
        more["text"] = json!("Pay the boatman.");
        assert!(!is_sound(&corrected, &one(more), &counted(3, 2)));
    }
}
