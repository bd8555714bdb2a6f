//! The API token: made at the first start, kept only as a digest.

use instar_config::{StateDir, write_atomically};
use instar_protocol::Secret;
use std::path::PathBuf;

use super::codes::random_text;
use super::digest::Digest;

/// Why the token cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    #[error("{doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} is not a token digest: run `instar token rotate`")]
    Damaged(PathBuf),
}

pub(crate) fn token_file(state: &StateDir) -> PathBuf {
    state.root().join("token.sha256")
}

/// Makes a new token and forgets the old one; the text is returned this once.
pub fn rotate_token(state: &StateDir) -> Result<Secret, TokenError> {
    let token = fresh_token()?;
    keep_token(state, &token)?;
    Ok(token)
}

/// A token that is nobody's yet.
pub(crate) fn fresh_token() -> Result<Secret, TokenError> {
    random_text::<32>().map_err(TokenError::Random)
}

/// Puts a token in force.
pub(crate) fn keep_token(state: &StateDir, token: &Secret) -> Result<(), TokenError> {
    let path = token_file(state);
    write_atomically(
        &path,
        format!("{}\n", Digest::of(token.expose()).to_hex()).as_bytes(),
    )
    .map_err(|source| TokenError::Io {
        doing: "cannot write",
        path,
        source,
    })
}

/// The stored digest; `None` before the first start.
pub(crate) fn stored_token(state: &StateDir) -> Result<Option<Digest>, TokenError> {
    let path = token_file(state);
    match std::fs::read_to_string(&path) {
        Ok(text) => Digest::from_hex(&text)
            .map(Some)
            .ok_or(TokenError::Damaged(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenError::Io {
            doing: "cannot read",
            path,
            source,
        }),
    }
}

/// Makes the token if there is none yet, for whoever has somebody to show it to before the first
/// start.
pub fn token_if_first(state: &StateDir) -> Result<Option<Secret>, TokenError> {
    first_token(state).map(|(_, made)| made)
}

/// The digest, and the token itself if it was made just now.
pub(crate) fn first_token(state: &StateDir) -> Result<(Digest, Option<Secret>), TokenError> {
    if let Some(digest) = stored_token(state)? {
        return Ok((digest, None));
    }
    let token = rotate_token(state)?;
    Ok((Digest::of(token.expose()), Some(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(folder: &tempfile::TempDir) -> StateDir {
        let root = folder.path().display().to_string();
        let env = move |name: &str| (name == "INSTAR_STATE_DIR").then(|| root.clone());
        StateDir::locate(None, &env).unwrap()
    }

    #[test]
    fn the_first_token_is_shown_once_and_is_the_one_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        assert!(stored_token(&state).unwrap().is_none());
        let token = token_if_first(&state).unwrap().unwrap();
        let digest = stored_token(&state).unwrap().unwrap();
        assert!(digest.matches(token.expose()));
        assert!(token_if_first(&state).unwrap().is_none());
        let (digest, made) = first_token(&state).unwrap();
        assert!(digest.matches(token.expose()) && made.is_none());
        let next = rotate_token(&state).unwrap();
        let digest = stored_token(&state).unwrap().unwrap();
        assert!(digest.matches(next.expose()) && !digest.matches(token.expose()));
    }

    #[test]
    fn a_digest_that_cannot_be_read_makes_no_new_token() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        let path = token_file(&state);
        std::fs::create_dir(&path).unwrap();
        let read = "cannot read";
        let refused = token_if_first(&state).unwrap_err();
        assert!(matches!(refused, TokenError::Io { doing, .. } if doing == read));
        assert!(path.is_dir());
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "no digest").unwrap();
        assert!(matches!(
            token_if_first(&state),
            Err(TokenError::Damaged(_))
        ));
    }
}
