//! The file tools: reading, searching and changing the files of an agent's workspace.
//!
//! Every path is relative to the workspace; the port goes through a root descriptor, so that no name
//! leads outside. What shapes the agent itself (its identity files, skills, policy, configuration)
//! is read here and written nowhere.

mod change;
mod edit;
mod find;
mod glob;
mod list;
mod patch;
mod path;
mod read;
mod write;

use futures_util::future::BoxFuture;
use instar_protocol::Label;
use std::fmt;
use std::sync::Arc;

use crate::tool::{Caller, Tool, ToolError};

pub use glob::Glob;
pub use path::{guarded, relative};

/// The largest file that is read, searched or changed.
pub const FILE_BYTES_MAX: usize = 8 << 20;
/// Files and folders that one walk looks at.
pub const WALK_MAX: usize = 20_000;
/// Files that one call may change.
pub const CHANGES_MAX: usize = 50;

/// The files of an agent's workspace; supplied by the gateway.
pub trait FilesPort: Send + Sync + fmt::Debug {
    /// The whole file, or an error that says why not. At most [`FILE_BYTES_MAX`].
    fn read<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<FileRead, FileError>>;

    /// What is directly inside a folder, by name; at most [`WALK_MAX`] items.
    fn list<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Listed, FileError>>;

    /// Everything below a folder, in order, but for version control's own folders; links are not
    /// followed.
    fn walk<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Listed, FileError>>;

    /// Makes all the changes or none, each file atomically, and keeps what stood there before. A
    /// file that is not what `before` says any more refuses the whole.
    fn change<'a>(
        &'a self,
        caller: &'a Caller,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<(), FileError>>;
}

/// The content of a file and who wrote it.
#[derive(Clone, PartialEq, Debug)]
pub struct FileRead {
    pub bytes: Vec<u8>,
    pub label: Label,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    pub items: Vec<Item>,
    /// True if there is more than what is listed.
    pub cut: bool,
    /// Of the names.
    pub label: Label,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Relative to the workspace.
    pub path: String,
    pub kind: Kind,
    pub bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    File,
    Folder,
    /// A link, a socket, a device: shown, never opened.
    Other,
}

/// One file as it was seen and as it shall be.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    pub path: String,
    /// `None`: there must be no file.
    pub before: Option<Vec<u8>>,
    /// `None`: the file goes.
    pub after: Option<Vec<u8>>,
    /// Of the new content: who wrote it.
    pub label: Label,
}

/// Why a file could not be had, each with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("there is no {0} in the workspace; ls and glob show what there is")]
    Missing(String),
    #[error("{0} is a folder; use ls")]
    Folder(String),
    #[error("{0} is no folder")]
    NoFolder(String),
    #[error("{0} is a link or a device, which is never followed; name a plain file")]
    Special(String),
    #[error("{path} is {bytes} bytes long, more than the {FILE_BYTES_MAX} that fit")]
    TooLarge { path: String, bytes: u64 },
    #[error("{0} changed in the meantime; read it again")]
    Changed(String),
    #[error("{0} shapes this agent and is changed by the owner alone; propose the change in words")]
    Guarded(String),
    #[error("{0} is among your notes, which memory_note alone adds to; nothing was written")]
    Memory(String),
    #[error("{path:?} is no path inside the workspace: {why}")]
    Path { path: String, why: &'static str },
    #[error("{path} could not be {doing}: {why}")]
    Io {
        path: String,
        doing: &'static str,
        why: String,
    },
}

impl From<FileError> for ToolError {
    fn from(error: FileError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The file tools over the files of the caller's workspace.
#[must_use]
pub fn tools(files: &Arc<dyn FilesPort>) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(read::tool(Arc::clone(files))),
        Arc::new(list::tool(Arc::clone(files))),
        Arc::new(glob::tool(Arc::clone(files))),
        Arc::new(find::tool(Arc::clone(files))),
        Arc::new(write::tool(Arc::clone(files))),
        Arc::new(edit::tool(Arc::clone(files))),
        Arc::new(patch::tool(Arc::clone(files))),
    ]
}
