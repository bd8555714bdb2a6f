//! The password, compared in the slow way that makes guessing dear, off the async threads.

use instar_protocol::Secret;

use super::AuthProblem;
use crate::door::digest::Digest;

/// Argon2id of the password under a salt of this process.
#[derive(Clone)]
pub(super) struct SlowHash {
    salt: [u8; 16],
    hash: Digest,
}

impl std::fmt::Debug for SlowHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SlowHash(…)")
    }
}

impl SlowHash {
    pub(super) async fn of(password: Secret) -> Result<Self, AuthProblem> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| AuthProblem::Unavailable(error.to_string()))?;
        let hash = Digest::of(&slow(password, salt).await?);
        Ok(Self { salt, hash })
    }

    pub(super) async fn matches(&self, candidate: Secret) -> Result<bool, AuthProblem> {
        Ok(self.hash.matches(&slow(candidate, self.salt).await?))
    }
}

async fn slow(password: Secret, salt: [u8; 16]) -> Result<String, AuthProblem> {
    let hashing = tokio::task::spawn_blocking(move || {
        let mut out = [0; 32];
        argon2::Argon2::default()
            .hash_password_into(password.expose().as_bytes(), &salt, &mut out)
            .map(|()| hex::encode(out))
    });
    match hashing.await {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(error)) => Err(AuthProblem::Unavailable(error.to_string())),
        Err(error) => Err(AuthProblem::Unavailable(error.to_string())),
    }
}
