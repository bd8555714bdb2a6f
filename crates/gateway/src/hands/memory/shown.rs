//! Notes as their owner sees them: the files, who wrote what, and what is in quarantine.

use instar_protocol::memory::{
    HeldNote, MemoryEntry, MemoryFile, MemoryFiles, MemoryText, NoteState, Quarantine,
};
use instar_protocol::{AgentId, Label, Origin};
use instar_store::{NoteRow, Op, ROWS_MAX, StoreError};
use instar_tools::files::FileError;
use instar_tools::memory::entries::path_of;

use super::Memory;

impl Memory {
    pub(crate) async fn listed(&self, agent: &AgentId) -> Result<MemoryFiles, FileError> {
        let pages = self.pages(agent, None).await?;
        let files = pages.iter().map(|page| MemoryFile {
            path: page.path.clone(),
            bytes: page.text.len() as u64,
            entries: page.pieces.len(),
        });
        Ok(MemoryFiles {
            agent: agent.clone(),
            files: files.collect(),
        })
    }

    pub(crate) async fn shown(&self, agent: &AgentId, path: &str) -> Result<MemoryText, FileError> {
        let pages = self.pages(agent, None).await?;
        let found = pages.iter().find(|page| page.path == path);
        let page = found.ok_or_else(|| FileError::Missing(path.to_owned()))?;
        let mut entries = Vec::new();
        for piece in &page.pieces {
            let label = self.label(agent, page, piece).await;
            entries.push(MemoryEntry {
                start_line: piece.entry.lines.start,
                end_line: piece.entry.lines.end.saturating_sub(1),
                text: piece.entry.text.clone(),
                origin: origin(&label),
            });
        }
        Ok(MemoryText {
            agent: agent.clone(),
            path: page.path.clone(),
            entries,
        })
    }

    /// Notes in quarantine, the oldest first.
    pub(crate) async fn quarantine(&self) -> Result<Quarantine, StoreError> {
        let rows = self
            .files
            .store
            .notes(NoteState::Quarantined, None, ROWS_MAX)
            .await?;
        Ok(Quarantine {
            notes: rows.into_iter().map(held).collect(),
        })
    }

    /// Lets a note out of quarantine into the files, with the label that it had; false if it is in none.
    pub(crate) async fn restore(&self, id: &str) -> Result<bool, StoreError> {
        let out = Op::SettleNote {
            id: id.to_owned(),
            from: NoteState::Quarantined,
            to: NoteState::Merging,
        };
        let is_out = self.one(out).await?;
        if is_out {
            self.settle().await?;
        }
        Ok(is_out)
    }

    /// Forgets a note in quarantine; false if it is in none.
    pub(crate) async fn forget(&self, id: &str) -> Result<bool, StoreError> {
        self.one(Op::DropNote { id: id.to_owned() }).await
    }

    async fn one(&self, op: Op) -> Result<bool, StoreError> {
        match self.files.store.commit(vec![op]).await {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn held(row: NoteRow) -> HeldNote {
    HeldNote {
        id: row.id,
        agent: row.agent,
        release: row.release,
        rollout: row.rollout,
        session: row.session,
        at: row.at,
        path: path_of(&row.day),
        text: row.text,
        origin: origin(&row.label),
        state: row.state,
    }
}

/// Who took part, in one word: whoever is furthest away, and the owner before the machine.
pub(super) fn origin(label: &Label) -> String {
    let owners = label.origins.contains(&Origin::Owner) && !label.is_tainted();
    let word = if owners {
        "owner"
    } else {
        label.origins.worst()
    };
    word.to_owned()
}
