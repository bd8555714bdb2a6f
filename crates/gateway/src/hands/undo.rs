//! Taking back what a tool changed: the file as it stood before, if nobody changed it since.

use instar_policy::canonical;
use instar_protocol::{AgentId, ObjectHash, UndoId};
use instar_store::{Op, StoreError, UndoRow};
use instar_tools::files::FileError;

use super::files::WorkspaceFiles;

/// Why a change was not taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UndoError {
    #[error("there is no change {0}")]
    Unknown(UndoId),
    #[error("{path} changed since then; nothing was undone")]
    Changed { path: String },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("what stood there cannot be read from the store")]
    Store(#[from] StoreError),
}

impl WorkspaceFiles {
    /// Changes, the newest first.
    pub(crate) async fn changes(&self, limit: usize) -> Result<Vec<UndoRow>, StoreError> {
        self.store.undo_rows(None, limit).await
    }

    /// Puts back what stood there before a change; false if that was done already.
    pub(crate) async fn restore(&self, id: &UndoId) -> Result<bool, UndoError> {
        let _one_at_a_time = self.changing.lock().await;
        let unknown = || UndoError::Unknown(id.clone());
        let row = self.store.undo(id).await?.ok_or_else(unknown)?;
        if row.undone_at.is_some() {
            return Ok(false);
        }
        let (agent, path) = row.path.split_once('/').ok_or_else(unknown)?;
        let agent = AgentId::parse(agent).map_err(|_| unknown())?;
        let before = match &row.before {
            Some(hash) => Some(self.store.object(hash).await?),
            None => None,
        };
        let (name, after) = (path.to_owned(), row.after.clone());
        let restored = self.with(&agent, move |space| {
            let now = space.present(&name)?;
            let now = now.map(|bytes| ObjectHash::from_hex(canonical::sha256(&bytes)));
            if now != after {
                return Ok(false);
            }
            space.put(&name, before.as_deref()).map(|()| true)
        });
        if !restored.await? {
            let path = path.to_owned();
            return Err(UndoError::Changed { path });
        }
        let undone = UndoRow {
            undone_at: Some(self.clock.now()),
            ..row
        };
        self.store.commit(vec![Op::PutUndo(undone)]).await?;
        Ok(true)
    }
}
