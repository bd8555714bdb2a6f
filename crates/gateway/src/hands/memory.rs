//! The notes of an agent: files of its workspace with who wrote each entry, and what turns of a candidate
//! noted, which lies in the store until the verdict over it.

mod amend;
mod shown;
mod write;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_policy::canonical;
use instar_protocol::amend::NoteRef;
use instar_protocol::memory::{MemoryHit, NoteState};
use instar_protocol::{AgentId, Label, Principal, Readers};
use instar_store::{NOTES_MAX, NoteRow, Op, StoreError};
use instar_tools::files::{FileError, Kind, relative};
use instar_tools::memory::MemoryPort;
use instar_tools::memory::entries::{
    Entry, FILES_MAX, FOLDER, MEMORY_BYTES_MAX, cleaned, entries, is_file, path_of, with_entry,
    written,
};
use instar_tools::memory::find::{ranked, snippet};
use instar_tools::{Caller, ToolError};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::files::{self, WorkspaceFiles};
use crate::problem::chain;
pub(crate) use amend::AmendError;
use write::New;

/// Characters of a passage that is found.
const SNIPPET_CHARS: usize = 700;

/// The notes of every agent. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    files: WorkspaceFiles,
}

/// One file, with what waits to be written into it.
struct Page {
    path: String,
    /// As it would be with everything that the reader has.
    text: String,
    /// What lies on the disk, and when it changed.
    bytes: Vec<u8>,
    changed: u64,
    pieces: Vec<Piece>,
}

struct Piece {
    entry: Entry,
    /// Of a note that is in no file yet.
    waits: Option<Label>,
}

impl WorkspaceFiles {
    /// Who wrote an entry of a file: as it was recorded for its exact bytes, else as for a file that nobody
    /// recorded.
    async fn label_of_entry(
        &self,
        agent: &AgentId,
        path: &str,
        (whole, changed): (&[u8], u64),
        entry: &Entry,
    ) -> Label {
        let digest = canonical::sha256(entry.text.as_bytes());
        if let Some(label) = self.label(agent, path, &digest).await {
            return label;
        }
        if let Some(label) = self.label(agent, path, &canonical::sha256(whole)).await {
            return label;
        }
        self.unrecorded(agent, entry.text.as_bytes(), &digest, changed)
            .await
    }

    /// The label of a file of notes: of all its entries together.
    pub(super) async fn label_of_notes(
        &self,
        agent: &AgentId,
        path: &str,
        bytes: &[u8],
        changed: u64,
    ) -> Label {
        let mut all = Vec::new();
        for entry in entries(&String::from_utf8_lossy(bytes)) {
            let label = self.label_of_entry(agent, path, (bytes, changed), &entry);
            all.push(label.await);
        }
        joined(&all)
    }
}

impl Memory {
    pub(super) fn new(files: WorkspaceFiles) -> Self {
        Self { files }
    }

    /// The files of an agent, the newest names first, with what everybody or this rollout's turns read
    /// beside them.
    async fn pages(&self, agent: &AgentId, rollout: Option<&str>) -> Result<Vec<Page>, FileError> {
        let read = self.files.with(agent, |space| {
            let listed = match files::list(space, FOLDER) {
                Ok((items, _)) => items,
                Err(FileError::Missing(_)) => Vec::new(),
                Err(error) => return Err(error),
            };
            let fits = |item: &instar_tools::files::Item| {
                let is_small = item.bytes <= MEMORY_BYTES_MAX as u64;
                item.kind == Kind::File && is_small && is_file(&item.path)
            };
            let mut paths: Vec<String> = listed
                .into_iter()
                .filter(fits)
                .map(|item| item.path)
                .collect();
            paths.sort_by(|one, two| two.cmp(one));
            paths.truncate(FILES_MAX);
            let mut read = BTreeMap::new();
            for path in paths {
                match space.read_dated(&path) {
                    Ok(found) => drop(read.insert(path, found)),
                    Err(error) => tracing::debug!(%error, "a file of notes is passed over"),
                }
            }
            Ok(read)
        });
        let mut waiting = BTreeMap::<String, Vec<NoteRow>>::new();
        for note in self
            .waiting(agent, rollout)
            .await
            .map_err(|error| unreadable(&error))?
        {
            waiting.entry(path_of(&note.day)).or_default().push(note);
        }
        let mut read = read.await?;
        for path in waiting.keys() {
            read.entry(path.clone()).or_default();
        }
        let pages = read.into_iter().rev().map(|(path, (bytes, changed))| {
            let notes = waiting.remove(&path).unwrap_or_default();
            Page::of(path, bytes, changed, notes)
        });
        Ok(pages.collect())
    }

    /// Notes that are in no file yet and that a turn reads all the same.
    async fn waiting(
        &self,
        agent: &AgentId,
        rollout: Option<&str>,
    ) -> Result<Vec<NoteRow>, StoreError> {
        let store = &self.files.store;
        let mut notes = store.notes(NoteState::Merging, None, NOTES_MAX).await?;
        if let Some(rollout) = rollout {
            let open = store.notes(NoteState::Open, Some(rollout), NOTES_MAX);
            notes.extend(open.await?);
        }
        notes.retain(|note| note.agent == *agent);
        Ok(notes)
    }

    async fn label(&self, agent: &AgentId, page: &Page, piece: &Piece) -> Label {
        match &piece.waits {
            Some(label) => label.clone(),
            None => {
                let whole = (page.bytes.as_slice(), page.changed);
                self.files
                    .label_of_entry(agent, &page.path, whole, &piece.entry)
                    .await
            }
        }
    }

    /// What has some of the words and may be read there, the best fit first, with the labels joined, and
    /// which notes of files that is.
    pub(crate) async fn find(
        &self,
        agent: &AgentId,
        rollout: Option<&str>,
        clearance: &Readers,
        (query, limit): (&str, usize),
    ) -> Result<(Vec<MemoryHit>, Label, Vec<NoteRef>), FileError> {
        let pages = self.pages(agent, rollout).await?;
        // Of two that fit alike, the newer one.
        let all: Vec<(&Page, &Piece)> = pages
            .iter()
            .flat_map(|page| page.pieces.iter().rev().map(move |piece| (page, piece)))
            .collect();
        let texts: Vec<&str> = all
            .iter()
            .map(|(_, piece)| piece.entry.text.as_str())
            .collect();
        let (mut hits, mut labels, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for (place, score) in ranked(query, &texts) {
            let Some((page, piece)) = all.get(place).filter(|_| hits.len() < limit) else {
                break;
            };
            let label = self.label(agent, page, piece).await;
            if !label.readers.may_flow_to(clearance) {
                continue;
            }
            labels.push(label);
            notes.extend(amend::of_piece(page, piece));
            hits.push(MemoryHit {
                path: page.path.clone(),
                start_line: piece.entry.lines.start,
                end_line: piece.entry.lines.end.saturating_sub(1),
                score: (score * 1_000.0).round() / 1_000.0,
                snippet: snippet(&piece.entry.text, query, SNIPPET_CHARS),
                source: "memory".to_owned(),
            });
        }
        Ok((hits, joined(&labels), notes))
    }

    async fn part(
        &self,
        caller: &Caller,
        path: &str,
        from: usize,
        count: usize,
    ) -> Result<(String, Label), ToolError> {
        let path = relative(path)?;
        let missing = || {
            ToolError::Failed(format!(
                "there is no {path} among your notes; memory_search names those that there are"
            ))
        };
        let pages = self.pages(&caller.agent, rollout(caller)).await?;
        let page = pages
            .iter()
            .find(|page| page.path == path)
            .ok_or_else(missing)?;
        let lines: Vec<&str> = page.text.lines().collect();
        let last = from
            .saturating_add(count)
            .saturating_sub(1)
            .min(lines.len());
        let Some(shown) = lines.get(from - 1..last).filter(|shown| !shown.is_empty()) else {
            return Err(ToolError::Arguments(format!(
                "{path} has {} lines",
                lines.len()
            )));
        };
        let (mut labels, mut notes) = (Vec::new(), Vec::new());
        for piece in &page.pieces {
            if piece.entry.lines.start <= last && from < piece.entry.lines.end {
                let label = self.label(&caller.agent, page, piece).await;
                if !label.readers.may_flow_to(&clearance(caller)) {
                    return Err(missing());
                }
                labels.push(label);
                notes.extend(amend::of_piece(page, piece));
            }
        }
        self.tell(caller, notes).await;
        let end = match last == lines.len() {
            true => ", the end".to_owned(),
            false => format!(" of {}; go on from {}", lines.len(), last + 1),
        };
        let text = format!("{}\n[lines {from} to {last}{end}]", shown.join("\n"));
        Ok((text, joined(&labels)))
    }

    async fn keep(&self, caller: &Caller, text: &str) -> Result<Value, ToolError> {
        let text = cleaned(text).map_err(|error| ToolError::Arguments(error.to_string()))?;
        let (day, time) = self.today();
        let new = New {
            id: hex::encode(&crate::random::ten()[5..]),
            text,
            label: caller.context.clone(),
            session: caller.session.clone(),
            run: caller.run.clone(),
        };
        let told = json!({ "path": path_of(&day), "id": new.id });
        let Some((rollout, release)) = &caller.overlay else {
            let path = self.append(&caller.agent, &day, &[(time, new)]).await?;
            return Ok(json!({ "path": path, "id": told["id"] }));
        };
        let note = NoteRow {
            id: new.id,
            rollout: rollout.clone(),
            release: release.clone(),
            agent: caller.agent.clone(),
            session: new.session,
            run: new.run,
            day,
            time,
            text: new.text,
            label: new.label,
            state: NoteState::Open,
            at: self.files.clock.now(),
        };
        let stored = self
            .files
            .store
            .commit(vec![Op::PutNote(Box::new(note))])
            .await;
        stored.map_err(|error| match error {
            StoreError::Missing { .. } => ToolError::Failed(
                "there are too many notes that wait; nothing was noted".to_owned(),
            ),
            error => ToolError::from(unreadable(&error)),
        })?;
        Ok(told)
    }
}

impl Page {
    fn of(path: String, bytes: Vec<u8>, changed: u64, notes: Vec<NoteRow>) -> Self {
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let mut waits = BTreeMap::new();
        let there = entries(&text);
        for note in notes {
            let is_written = there
                .iter()
                .any(|entry| entry.id.as_ref() == Some(&note.id));
            if !is_written {
                text = with_entry(&text, &written(&note.time, &note.id, &note.text));
                waits.insert(note.id, note.label);
            }
        }
        let pieces = entries(&text).into_iter().map(|entry| Piece {
            waits: entry.id.as_ref().and_then(|id| waits.get(id)).cloned(),
            entry,
        });
        Self {
            pieces: pieces.collect(),
            path,
            text,
            bytes,
            changed,
        }
    }
}

impl MemoryPort for Memory {
    fn note<'a>(
        &'a self,
        caller: &'a Caller,
        text: &'a str,
    ) -> BoxFuture<'a, Result<Value, ToolError>> {
        self.keep(caller, text).boxed()
    }

    fn search<'a>(
        &'a self,
        caller: &'a Caller,
        query: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<(Value, Label), ToolError>> {
        async move {
            let clearance = clearance(caller);
            let found = self.find(&caller.agent, rollout(caller), &clearance, (query, limit));
            let (hits, label, notes) = found.await?;
            self.tell(caller, notes).await;
            Ok((json!(hits), label))
        }
        .boxed()
    }

    fn lines<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
        from: usize,
        lines: usize,
    ) -> BoxFuture<'a, Result<(String, Label), ToolError>> {
        self.part(caller, path, from, lines).boxed()
    }
}

fn rollout(caller: &Caller) -> Option<&str> {
    caller.overlay.as_ref().map(|(rollout, _)| rollout.as_str())
}

/// What a run may read: the owner's own everything but secrets, somebody else's what everybody or its own
/// conversation may see.
fn clearance(caller: &Caller) -> Readers {
    match &caller.principal {
        Principal::Owner { .. } | Principal::Automation { .. } => Readers::Private,
        Principal::Contact { .. } | Principal::Stranger { .. } => {
            Readers::Session(caller.session.clone())
        }
    }
}

/// All of them together; of nothing, the machine's.
fn joined(labels: &[Label]) -> Label {
    let all = labels.iter().cloned().reduce(|all, label| all.join(&label));
    all.unwrap_or_else(Label::system)
}

fn unreadable(error: &StoreError) -> FileError {
    tracing::error!(
        error = chain(error),
        "notes could not be had from the store"
    );
    FileError::Io {
        path: "the notes".to_owned(),
        doing: "reached",
        why: "the house has a problem; tell the owner".to_owned(),
    }
}

#[cfg(test)]
mod tests;
