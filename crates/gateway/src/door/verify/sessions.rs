//! Browser sessions: begun by a code or a secret, remembered, ended.

use axum::http::HeaderMap;
use instar_protocol::Timestamp;
use instar_store::{Op, StoreError, WebSession};
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

use super::{Auth, AuthProblem, COOKIE_BYTES, SignedIn};
use crate::config::AuthMode;
use crate::door::codes::random_text;
use crate::door::cookie;
use crate::door::digest::Digest;
use crate::door::limiter::Class;
use crate::door::network::Peer;

/// How long a browser stays signed in.
const SESSION_DAYS: u64 = 30;
/// Browser sessions remembered in memory, so that not every request asks the store.
const SESSIONS_REMEMBERED: usize = 256;

impl Auth {
    /// Exchanges the single-use code of a link for a browser session.
    pub async fn sign_in_with_code(
        &self,
        code: &str,
        socket: SocketAddr,
    ) -> Result<SignedIn, AuthProblem> {
        let now = self.clock.now();
        let rules = self.settings().rules;
        let spent = self
            .limiter
            .verify(Peer::from(socket), Class::Code, now, rules, || {
                self.codes.spend(code, now).then_some(())
            })?;
        spent.ok_or(AuthProblem::Wrong)?;
        self.begin_session("code").await
    }

    /// Exchanges the token or password for a browser session.
    pub async fn sign_in_with_secret(
        &self,
        secret: &str,
        socket: SocketAddr,
    ) -> Result<SignedIn, AuthProblem> {
        let settings = self.settings();
        let peer = Peer::from(socket);
        match settings.mode {
            AuthMode::Token => {
                let now = self.clock.now();
                let fits = self
                    .limiter
                    .verify(peer, Class::Bearer, now, settings.rules, || {
                        settings
                            .token
                            .as_ref()
                            .filter(|token| token.matches(secret))
                            .map(|_| ())
                    })?;
                fits.ok_or(AuthProblem::Wrong)?;
            }
            AuthMode::Password => self.password(secret, peer, &settings).await?,
            AuthMode::TrustedProxy => return Err(AuthProblem::Wrong),
        }
        self.begin_session(settings.mode.as_str()).await
    }

    async fn begin_session(&self, via: &str) -> Result<SignedIn, AuthProblem> {
        let unavailable = |error: StoreError| AuthProblem::Unavailable(error.to_string());
        let cookie = random_text::<COOKIE_BYTES>()
            .map_err(|error| AuthProblem::Unavailable(error.to_string()))?;
        let now = self.clock.now();
        let length = Duration::from_secs(SESSION_DAYS * 86_400);
        let session = WebSession {
            digest: Digest::of(cookie.expose()).to_hex(),
            created_at: now,
            expires_at: now.plus(length),
            via: via.to_owned(),
        };
        self.store
            .commit(vec![Op::PutWebSession(session)])
            .await
            .map_err(unavailable)?;
        // The store may have let an older session go to make room.
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        Ok(SignedIn {
            cookie,
            seconds: length.as_secs(),
        })
    }

    /// What the browser session of a request is known by, good or not.
    #[must_use]
    pub fn session_digest(&self, headers: &HeaderMap) -> Option<String> {
        cookie::read(headers).map(|value| Digest::of(value).to_hex())
    }

    /// Ends the browser session of a request, if it has one.
    pub async fn sign_out(&self, headers: &HeaderMap) -> Result<(), StoreError> {
        let Some(digest) = self.session_digest(headers) else {
            return Ok(());
        };
        let _expires = self
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&digest);
        self.store.commit(vec![Op::DropWebSession { digest }]).await
    }

    pub(super) fn remember(&self, digest: String, expires: Timestamp) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_REMEMBERED && !sessions.contains_key(&digest) {
            sessions.clear();
        }
        let _old = sessions.insert(digest, expires);
    }
}
