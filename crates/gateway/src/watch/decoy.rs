//! A decoy: a random word in a file of the state folder beside what is private there. Nobody is told of it, and no tool is
//! given that folder, so that who repeats the word has left his rooms.

use instar_config::write_atomically;
use instar_protocol::Secret;
use std::path::{Path, PathBuf};

use crate::door::fresh_token;

fn file(root: &Path) -> PathBuf {
    root.join("decoy")
}

/// Lays it out, where there is none.
pub(super) fn lay(root: &Path) {
    let file = file(root);
    if file.exists() {
        return;
    }
    let laid = fresh_token()
        .map_err(|error| error.to_string())
        .and_then(|word| {
            write_atomically(&file, format!("{}\n", word.expose()).as_bytes())
                .map_err(|error| error.to_string())
        });
    if let Err(error) = laid {
        tracing::warn!(error, "no decoy could be laid out");
    }
}

/// The word, as far as it can be read.
pub(super) fn word(root: &Path) -> Option<Secret> {
    let text = std::fs::read_to_string(file(root)).ok()?;
    Some(Secret::new(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_laid_out_once_long_and_for_nobody_else_to_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(word(root).is_none());
        lay(root);
        let first = word(root).unwrap();
        assert!(first.expose().len() >= super::super::CHARS_MIN);
        let mode = std::fs::metadata(file(root)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o077, 0);
        lay(root);
        assert_eq!(word(root).unwrap().expose(), first.expose());
    }
}
