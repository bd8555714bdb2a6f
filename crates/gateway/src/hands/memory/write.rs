//! How notes get into the files: each once, with who wrote it, whatever was cut before.

use instar_policy::canonical;
use instar_protocol::memory::NoteState;
use instar_protocol::{AgentId, Label, RunId, SessionId, UndoId};
use instar_store::{FileLabel, NOTES_MAX, NoteRow, Op, StoreError, UndoRow};
use instar_tools::files::FileError;
use instar_tools::memory::entries::{MEMORY_BYTES_MAX, entries, path_of, with_entry, written};
use std::collections::BTreeMap;

use super::{Memory, joined, unreadable};
use crate::ledger::zone_named;
use crate::problem::chain;

/// Files that a day may have.
pub(super) const FILES_OF_A_DAY: usize = 9;
/// Notes that are written in one go.
const AT_ONCE: usize = 20;

/// A note on its way into a file.
pub(super) struct New {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) label: Label,
    pub(super) session: SessionId,
    pub(super) run: RunId,
}

impl Memory {
    pub(super) fn today(&self) -> (String, String) {
        let zone = {
            let config = self.files.config.current();
            zone_named(config.value.agents.defaults.user_timezone.as_deref())
        };
        let millis = i64::try_from(self.files.clock.now().millis()).unwrap_or(i64::MAX);
        let now = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        let now = now.to_zoned(zone);
        (now.date().to_string(), now.strftime("%H:%M").to_string())
    }

    /// Adds entries to the file of a day, each once whatever was done before; gives the file. Every entry
    /// that stands there has a label of its own afterwards, so that one that nobody recorded is not taken
    /// for the owner's later.
    pub(super) async fn append(
        &self,
        agent: &AgentId,
        day: &str,
        notes: &[(String, New)],
    ) -> Result<String, FileError> {
        let files = &self.files;
        let _one_at_a_time = files.changing.lock().await;
        let (path, bytes, changed, known) = self.with_room(agent, day, notes).await?;
        let before = String::from_utf8(bytes.clone()).map_err(|_| FileError::Io {
            path: path.clone(),
            doing: "added to",
            why: "it is no text".to_owned(),
        })?;
        let fresh = notes.iter().filter(|(_, note)| !known.contains(&note.id));
        let fresh: Vec<&(String, New)> = fresh.collect();
        let Some((_, first)) = fresh.first() else {
            return Ok(path);
        };
        let mut labels = Vec::new();
        for entry in entries(&before) {
            let whole = (bytes.as_slice(), changed);
            let label = files.label_of_entry(agent, &path, whole, &entry).await;
            labels.push((entry.text, label));
        }
        let mut after = before;
        for (time, note) in &fresh {
            let entry = written(time, &note.id, &note.text);
            after = with_entry(&after, &entry);
            labels.push((entry.trim_end().to_owned(), note.label.clone()));
        }
        let each: Vec<Label> = labels.iter().map(|(_, label)| label.clone()).collect();
        labels.push((after.clone(), joined(&each)));
        let at = files.clock.now();
        let row = |(text, label): (String, Label)| {
            Op::PutFileLabel(FileLabel {
                path: format!("{agent}/{path}"),
                digest: canonical::sha256(text.as_bytes()),
                label,
                writer: first.run.to_string(),
                at,
            })
        };
        let mut ops: Vec<Op> = labels.into_iter().map(row).collect();
        let kept = async {
            let store = &files.store;
            let is_new = bytes.is_empty();
            let before = if is_new {
                None
            } else {
                Some(store.put_object(bytes.clone()).await?)
            };
            ops.push(Op::PutUndo(UndoRow {
                id: UndoId::new(at, crate::random::ten()),
                at,
                session: first.session.clone(),
                run: first.run.clone(),
                path: format!("{agent}/{path}"),
                before,
                after: Some(store.put_object(after.clone().into_bytes()).await?),
                undone_at: None,
            }));
            // First who wrote it, then the file.
            store.commit(ops).await.map(drop)
        };
        kept.await.map_err(|error| unreadable(&error))?;
        let name = path.clone();
        files
            .with(agent, move |space| space.put(&name, Some(after.as_bytes())))
            .await?;
        Ok(path)
    }

    /// The first file of a day that has room for these, what is in it, and the ids in all of them.
    async fn with_room(
        &self,
        agent: &AgentId,
        day: &str,
        notes: &[(String, New)],
    ) -> Result<(String, Vec<u8>, u64, Vec<String>), FileError> {
        let paths: Vec<String> = (1..=FILES_OF_A_DAY)
            .map(|number| match number {
                1 => path_of(day),
                number => path_of(&format!("{day}-{number}")),
            })
            .collect();
        // A heading is short.
        let needed: usize = notes.iter().map(|(_, note)| note.text.len() + 40).sum();
        let day = day.to_owned();
        self.files
            .with(agent, move |space| {
                let (mut known, mut room) = (Vec::new(), None);
                for path in paths {
                    let (bytes, changed) = match space.read_dated(&path) {
                        Ok(found) => found,
                        Err(FileError::Missing(_)) => (Vec::new(), 0),
                        Err(error) => return Err(error),
                    };
                    let is_last = bytes.is_empty();
                    known.extend(
                        entries(&String::from_utf8_lossy(&bytes))
                            .into_iter()
                            .filter_map(|entry| entry.id),
                    );
                    if room.is_none() && bytes.len() + needed <= MEMORY_BYTES_MAX {
                        room = Some((path, bytes, changed));
                    }
                    if is_last {
                        break;
                    }
                }
                let (path, bytes, changed) = room.ok_or_else(|| FileError::Io {
                    path: path_of(&day),
                    doing: "added to",
                    why: "the notes of that day are full".to_owned(),
                })?;
                Ok((path, bytes, changed, known))
            })
            .await
    }

    /// Writes what became everybody's into the files, goes on with words about notes that were cut off, and
    /// gives how much could not be written. Done again it
    /// adds nothing; what waits is read from where it is.
    pub(crate) async fn settle(&self) -> Result<usize, StoreError> {
        let store = &self.files.store;
        let (mut left, mut days) = (0, BTreeMap::<(String, String), Vec<NoteRow>>::new());
        for note in store.notes(NoteState::Merging, None, NOTES_MAX).await? {
            let day = (note.agent.to_string(), note.day.clone());
            days.entry(day).or_default().push(note);
        }
        for ((_, day), notes) in days {
            let Some(agent) = notes.first().map(|note| note.agent.clone()) else {
                continue;
            };
            for some in notes.chunks(AT_ONCE) {
                let new = |note: &NoteRow| {
                    let new = New {
                        id: note.id.clone(),
                        text: note.text.clone(),
                        label: note.label.clone(),
                        session: note.session.clone(),
                        run: note.run.clone(),
                    };
                    (note.time.clone(), new)
                };
                let fresh: Vec<(String, New)> = some.iter().map(new).collect();
                if let Err(error) = self.append(&agent, &day, &fresh).await {
                    tracing::warn!(%agent, day, error = chain(&error), "notes wait to be written");
                    left += some.len();
                    continue;
                }
                let settled = some.iter().map(|note| Op::SettleNote {
                    id: note.id.clone(),
                    from: NoteState::Merging,
                    to: NoteState::Merged,
                });
                store.commit(settled.collect()).await?;
            }
        }
        Ok(left + self.settle_edits().await?)
    }
}
