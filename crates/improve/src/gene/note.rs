//! Corrections of answers that rest on a note, and which note that is.

use instar_protocol::amend::{NoteRef, NoteUse};
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::Case;

use super::Unfit;

/// The notes that count for a fault: none, unless it is one of corrected answers.
#[must_use]
pub fn notes(case: &Case, fault: &Fault) -> Vec<NoteUse> {
    if fault.kind == SignalKind::Correction && fault.place == "turn" {
        return case.notes.clone();
    }
    Vec::new()
}

/// True if a note was read by turns that were corrected at least twice, and more often than not.
pub(super) fn is_shared(notes: &[NoteUse]) -> bool {
    notes.iter().any(NoteUse::is_in_the_way)
}

/// The note that most of the corrected turns share. Two that were always read together cannot be told apart.
pub(super) fn culprit(notes: &[NoteUse]) -> Result<NoteUse, Unfit> {
    let mut found: Vec<&NoteUse> = notes.iter().filter(|one| one.is_in_the_way()).collect();
    // Of two with as many corrections, the one that did less good.
    let weight = |one: &NoteUse| (one.corrected, std::cmp::Reverse(one.turns));
    found.sort_by_key(|one| std::cmp::Reverse(weight(one)));
    match found.as_slice() {
        [] => Err(Unfit::OtherFault),
        [first, second, ..] if weight(first) == weight(second) => Err(Unfit::NotTold),
        [first, ..] => Ok((*first).clone()),
    }
}

/// What would be done about it, in words.
pub(super) fn words(note: &NoteRef) -> String {
    let short: String = note.digest.chars().take(12).collect();
    format!("take note {short} of {} away", note.path)
}
