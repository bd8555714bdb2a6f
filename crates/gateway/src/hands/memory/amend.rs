//! Notes that are taken away because a person said so, and put back if he says that.
//!
//! What puts a note back is stored before the file is changed, in one batch with the word itself. A process
//! that is cut off between leaves the file as it was or as it shall be, and the next start goes on from
//! what is stored.

use instar_policy::canonical;
use instar_protocol::amend::{EditState, NoteEdit, NoteInverse, NoteRef};
use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::{AgentId, EventId, Label, Standing};
use instar_store::{FileLabel, Op, StoreError};
use instar_tools::Caller;
use instar_tools::files::FileError;
use instar_tools::memory::entries::{Entry, MEMORY_BYTES_MAX, entries};

use super::shown::origin;
use super::{Memory, Page, Piece, joined};
use crate::problem::chain;

/// Why a word about a proposal came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AmendError {
    #[error("there is no proposal {0} about a note")]
    Missing(String),
    #[error("the proposal is {0}, so that cannot be done with it")]
    State(&'static str),
    #[error(
        "the note was changed or taken away since this was proposed; nothing was changed, and the proposal is stale"
    )]
    Stale,
    #[error("there is no room for it in {0} any more; nothing was changed")]
    Full(String),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An entry as it is named.
fn named(path: &str, entry: &Entry) -> NoteRef {
    NoteRef {
        path: path.to_owned(),
        digest: canonical::sha256(entry.text.as_bytes()),
    }
}

/// The note that a piece of a page is; none for one that is in no file yet.
pub(super) fn of_piece(page: &Page, piece: &Piece) -> Option<NoteRef> {
    let is_there = piece.waits.is_none();
    is_there.then(|| named(&page.path, &piece.entry))
}

impl Memory {
    /// Tells which notes a turn of the owner's read. A turn under a candidate is not told: what it answers is
    /// the candidate's, too.
    pub(super) async fn tell(&self, caller: &Caller, notes: Vec<NoteRef>) {
        if notes.is_empty() || caller.overlay.is_some() || !caller.principal.is_owner() {
            return;
        }
        let at = self.files.clock.now();
        let event = Event {
            id: EventId::new(at, crate::random::ten()),
            at,
            session: Some(caller.session.clone()),
            run: Some(caller.run.clone()),
            asker: Some(Standing::Owner),
            release: None,
            arm: Arm::Stable,
            label: Label::system(),
            kind: EventKind::NotesRead { notes },
        };
        let told = self.files.store.commit(vec![Op::AppendEvent(event)]).await;
        if let Err(error) = told {
            tracing::warn!(error = chain(&error), "which notes were read is not told");
        }
    }

    /// The text of a note and who wrote it, if it stands in its file as it is named.
    pub(crate) async fn noted(
        &self,
        agent: &AgentId,
        note: &NoteRef,
    ) -> Result<Option<(String, String)>, FileError> {
        for page in self.pages(agent, None).await? {
            for piece in page.pieces.iter().filter(|_| page.path == note.path) {
                if of_piece(&page, piece).as_ref() == Some(note) {
                    let label = self.label(agent, &page, piece).await;
                    return Ok(Some((piece.entry.text.clone(), origin(&label))));
                }
            }
        }
        Ok(None)
    }

    /// Keeps a proposal; false if something waits about the note already.
    pub(crate) async fn suggest(&self, edit: NoteEdit) -> Result<bool, StoreError> {
        let told = self.event(&edit);
        let ops = vec![Op::PutNoteEdit(Box::new(edit)), told];
        match self.files.store.commit(ops).await {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn event(&self, edit: &NoteEdit) -> Op {
        let at = self.files.clock.now();
        let kind = EventKind::NoteEdit {
            edit: edit.id.clone(),
            note: edit.note.clone(),
            state: edit.state,
        };
        let id = EventId::new(at, crate::random::ten());
        Op::AppendEvent(Event::of_house(id, at, kind))
    }

    async fn edit(&self, id: &str) -> Result<NoteEdit, AmendError> {
        let all = self.files.store.note_edits().await?;
        let found = all.into_iter().find(|edit| edit.id == id);
        found.ok_or_else(|| AmendError::Missing(id.chars().take(60).collect()))
    }

    /// Takes the note out of its file.
    pub(crate) async fn accept(&self, id: &str, who: &str) -> Result<NoteEdit, AmendError> {
        let _one_at_a_time = self.files.changing.lock().await;
        let mut edit = self.decided(id, EditState::Proposed, who).await?;
        let (bytes, changed) = self.bytes(&edit).await?;
        let Some(inverse) = self.inverse(&edit, &bytes, changed).await else {
            let stale = self.moved(&edit, EditState::Proposed, EditState::Stale);
            self.files.store.commit(stale.1).await?;
            return Err(AmendError::Stale);
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let rest = without(&text, &edit.note, &inverse);
        let mut ops = self
            .labels(&edit, (bytes.as_slice(), changed), &rest, who)
            .await;
        edit.inverse = Some(inverse);
        let (edit, moved) = self.moved(&edit, EditState::Proposed, EditState::Taking);
        ops.extend(moved);
        self.files.store.commit(ops).await?;
        self.finish(edit).await
    }

    /// Leaves the note where it is.
    pub(crate) async fn refuse(&self, id: &str, who: &str) -> Result<NoteEdit, AmendError> {
        let edit = self.decided(id, EditState::Proposed, who).await?;
        let (edit, ops) = self.moved(&edit, EditState::Proposed, EditState::Refused);
        self.files.store.commit(ops).await?;
        Ok(edit)
    }

    /// Puts a note back that was taken away.
    pub(crate) async fn undo(&self, id: &str, who: &str) -> Result<NoteEdit, AmendError> {
        let _one_at_a_time = self.files.changing.lock().await;
        let edit = self.decided(id, EditState::Accepted, who).await?;
        let Some(inverse) = edit.inverse.clone() else {
            return Err(AmendError::State("without its inverse"));
        };
        let (bytes, changed) = self.bytes(&edit).await?;
        let Ok(text) = String::from_utf8(bytes.clone()) else {
            return Err(AmendError::Stale);
        };
        let whole = with(&text, &edit.note, &inverse);
        if whole.len() > MEMORY_BYTES_MAX {
            return Err(AmendError::Full(edit.note.path.clone()));
        }
        let mut ops = self
            .labels(&edit, (bytes.as_slice(), changed), &whole, who)
            .await;
        ops.push(self.label_row(&edit, &edit.note.digest, inverse.label, who));
        let (edit, moved) = self.moved(&edit, EditState::Accepted, EditState::Returning);
        ops.extend(moved);
        self.files.store.commit(ops).await?;
        self.finish(edit).await
    }

    /// Goes on with what was cut off; gives how much could not be done.
    pub(super) async fn settle_edits(&self) -> Result<usize, StoreError> {
        let mut left = 0;
        for edit in self.files.store.note_edits_under_way().await? {
            let _one_at_a_time = self.files.changing.lock().await;
            match self.finish(edit).await {
                Ok(edit) => tracing::info!(edit = edit.id, "a word about a note was carried out"),
                // Somebody else was quicker.
                Err(AmendError::Store(StoreError::Missing { .. })) => {}
                Err(AmendError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "a word about a note waits");
                    left += 1;
                }
            }
        }
        Ok(left)
    }

    /// Writes the file as it shall be, unless it is so, and says that it is done.
    async fn finish(&self, edit: NoteEdit) -> Result<NoteEdit, AmendError> {
        let Some(inverse) = edit.inverse.clone() else {
            return Err(AmendError::State("without its inverse"));
        };
        let (bytes, _) = self.bytes(&edit).await?;
        let text = String::from_utf8(bytes).map_err(|_| AmendError::Stale)?;
        let there = copies(&text, &edit.note);
        let (wanted, done) = match edit.state {
            EditState::Taking => {
                let wanted =
                    (there >= inverse.copies).then(|| without(&text, &edit.note, &inverse));
                (wanted, EditState::Accepted)
            }
            EditState::Returning => {
                let wanted = (there < inverse.copies).then(|| with(&text, &edit.note, &inverse));
                (wanted, EditState::Undone)
            }
            state => return Err(AmendError::State(word(state))),
        };
        if let Some(wanted) = wanted {
            let path = edit.note.path.clone();
            let written =
                move |space: &super::files::Workspace| space.put(&path, Some(wanted.as_bytes()));
            self.files.with(&edit.agent, written).await?;
        }
        let (edit, ops) = self.moved(&edit, edit.state, done);
        self.files.store.commit(ops).await?;
        Ok(edit)
    }

    /// The proposal, if it is in that state, with who decides about it now.
    async fn decided(&self, id: &str, state: EditState, who: &str) -> Result<NoteEdit, AmendError> {
        let mut edit = self.edit(id).await?;
        if edit.state != state {
            return Err(AmendError::State(word(edit.state)));
        }
        edit.who = Some(who.to_owned());
        edit.decided_at = Some(self.files.clock.now());
        Ok(edit)
    }

    fn moved(&self, edit: &NoteEdit, from: EditState, to: EditState) -> (NoteEdit, Vec<Op>) {
        let mut edit = edit.clone();
        edit.state = to;
        let settle = Op::SettleNoteEdit {
            edit: Box::new(edit.clone()),
            from,
        };
        let told = self.event(&edit);
        (edit, vec![settle, told])
    }

    async fn bytes(&self, edit: &NoteEdit) -> Result<(Vec<u8>, u64), FileError> {
        let path = edit.note.path.clone();
        let read = self
            .files
            .with(&edit.agent, move |space| space.read_dated(&path));
        match read.await {
            // A file that was taken away as a whole has no entries.
            Err(FileError::Missing(_)) => Ok((Vec::new(), 0)),
            read => read,
        }
    }

    /// What puts the note back; none if the file does not hold it any more.
    async fn inverse(&self, edit: &NoteEdit, bytes: &[u8], changed: u64) -> Option<NoteInverse> {
        let text = std::str::from_utf8(bytes).ok()?;
        let all = entries(text);
        let path = edit.note.path.as_str();
        let at = all
            .iter()
            .position(|entry| named(path, entry) == edit.note)?;
        let (offset, end) = place(text, &all[at]);
        let whole = (bytes, changed);
        let label = self
            .files
            .label_of_entry(&edit.agent, path, whole, &all[at])
            .await;
        Some(NoteInverse {
            bytes: text.get(offset..end)?.to_owned(),
            offset,
            before: at.checked_sub(1).map(|before| named(path, &all[before])),
            rest: canonical::sha256([&bytes[..offset], &bytes[end..]].concat().as_slice()),
            copies: copies(text, &edit.note),
            label,
        })
    }

    /// Who wrote the entries of a file that changes: each has a label of its own afterwards.
    async fn labels(
        &self,
        edit: &NoteEdit,
        (bytes, changed): (&[u8], u64),
        after: &str,
        who: &str,
    ) -> Vec<Op> {
        let (mut ops, mut all) = (Vec::new(), Vec::new());
        for entry in entries(&String::from_utf8_lossy(bytes)) {
            let whole = (bytes, changed);
            let path = edit.note.path.as_str();
            let label = self.files.label_of_entry(&edit.agent, path, whole, &entry);
            let label = label.await;
            let digest = canonical::sha256(entry.text.as_bytes());
            ops.push(self.label_row(edit, &digest, label.clone(), who));
            all.push(label);
        }
        all.extend(edit.inverse.as_ref().map(|inverse| inverse.label.clone()));
        let whole = canonical::sha256(after.as_bytes());
        ops.push(self.label_row(edit, &whole, joined(&all), who));
        ops
    }

    fn label_row(&self, edit: &NoteEdit, digest: &str, label: Label, who: &str) -> Op {
        Op::PutFileLabel(FileLabel {
            path: format!("{}/{}", edit.agent, edit.note.path),
            digest: digest.to_owned(),
            label,
            writer: who.to_owned(),
            at: self.files.clock.now(),
        })
    }
}

/// How many entries of a text are this note.
fn copies(text: &str, note: &NoteRef) -> usize {
    let all = entries(text);
    all.iter()
        .filter(|entry| named(&note.path, entry) == *note)
        .count()
}

/// Where an entry begins and where the next one does.
fn place(text: &str, entry: &Entry) -> (usize, usize) {
    let start: usize = text
        .split_inclusive('\n')
        .take(entry.lines.start.saturating_sub(1))
        .map(str::len)
        .sum();
    let after = text.get(start..).unwrap_or_default();
    let next = after
        .match_indices("\n## ")
        .next()
        .map(|(at, _)| start + at + 1);
    (start, next.unwrap_or(text.len()))
}

/// The text without the note: at the very bytes where they are, else wherever it moved.
fn without(text: &str, note: &NoteRef, inverse: &NoteInverse) -> String {
    let end = inverse.offset + inverse.bytes.len();
    let is_there = text.get(inverse.offset..end) == Some(inverse.bytes.as_str());
    let (from, until) = if is_there {
        (inverse.offset, end)
    } else {
        let all = entries(text);
        let found = all.iter().find(|entry| named(&note.path, entry) == *note);
        found.map_or((text.len(), text.len()), |entry| place(text, entry))
    };
    format!("{}{}", &text[..from], &text[until..])
}

/// The text with the note at its place: at the very byte if nothing else changed, else behind the entry that
/// was before it, else at the end.
fn with(text: &str, note: &NoteRef, inverse: &NoteInverse) -> String {
    let piece = &inverse.bytes;
    let is_same = canonical::sha256(text.as_bytes()) == inverse.rest;
    if is_same && text.is_char_boundary(inverse.offset) {
        let (before, after) = text.split_at(inverse.offset);
        return format!("{before}{piece}{after}");
    }
    let all = entries(text);
    let at = match &inverse.before {
        None => 0,
        Some(before) => {
            let found = all.iter().find(|entry| named(&note.path, entry) == *before);
            found.map_or(text.len(), |entry| place(text, entry).1)
        }
    };
    let (before, after) = text.split_at(at);
    let gap = |text: &str| match text.is_empty() || text.ends_with('\n') {
        true => "",
        false => "\n",
    };
    let (first, second) = (gap(before), if after.is_empty() { "" } else { gap(piece) });
    format!("{before}{first}{piece}{second}{after}")
}

fn word(state: EditState) -> &'static str {
    match state {
        EditState::Proposed => "proposed",
        EditState::Taking => "on its way out of the file",
        EditState::Accepted => "accepted",
        EditState::Refused => "refused",
        EditState::Returning => "on its way back into the file",
        EditState::Undone => "undone",
        EditState::Stale => "stale",
    }
}
