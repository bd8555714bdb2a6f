//! What the tools that write have in common.

use super::{CHANGES_MAX, Change, FILE_BYTES_MAX, FileError, FileRead, FilesPort};
use crate::tool::{Caller, ToolError};

/// The file, or `None` if there is none.
pub(super) async fn present(
    files: &dyn FilesPort,
    caller: &Caller,
    path: &str,
) -> Result<Option<FileRead>, ToolError> {
    match files.read(caller, path).await {
        Ok(read) => Ok(Some(read)),
        Err(FileError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn apply(
    files: &dyn FilesPort,
    caller: &Caller,
    changes: Vec<Change>,
) -> Result<(), ToolError> {
    if changes.len() > CHANGES_MAX {
        return Err(ToolError::Arguments(format!(
            "one call changes at most {CHANGES_MAX} files; split it"
        )));
    }
    let longest = changes.iter().filter_map(|change| change.after.as_ref());
    if longest.clone().any(|after| after.len() > FILE_BYTES_MAX) {
        return Err(ToolError::Arguments(format!(
            "a file may have at most {FILE_BYTES_MAX} bytes"
        )));
    }
    files.change(caller, changes).await.map_err(ToolError::from)
}
