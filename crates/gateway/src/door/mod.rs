//! Who is calling: every credential is verified here and nowhere else.
//!
//! The principal is computed once, from facts that were proved: a secret whose digest matches, a
//! browser session, or the word of a proxy whose address is configured. No header or body field
//! changes it. Failures are counted inside the verification itself, so that no road leads past it.

mod verify;

mod access;
mod codes;
mod cookie;
mod digest;
mod form;
mod limiter;
mod network;
mod tailscale;
mod token;

pub use access::Access;
pub use codes::{CODE_SECONDS, Codes};
pub(crate) use codes::{device_token, local_secret};
pub use cookie::{COOKIE, session_cookie};
pub use digest::Digest;
pub(crate) use form::{FORM_FIELD, form_token, is_form, is_ours as is_our_form};
pub use limiter::{Class, Limiter, Locked};
pub use network::{Network, Peer};
pub use tailscale::{Tailscale, is_tailnet, own_address};
pub use token::{TokenError, rotate_token, token_if_first};
pub(crate) use token::{first_token, fresh_token, keep_token, stored_token, token_file};
pub use verify::{Auth, AuthProblem, Settings, SharedSecret, SignedIn};

use instar_protocol::Principal;

/// The verified caller of a request; put into its extensions by the guard.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// True if a browser sent its cookie by itself: changes then need more than the cookie.
    pub ambient: bool,
    /// How long it stands.
    pub proof: Proof,
}

/// What a caller was let in by, for whatever goes on after the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// As long as this process.
    Process,
    /// The gateway's token or password; it ends when that is changed for the n-th time.
    Secret(u64),
    /// A browser session, by its digest.
    Session(String),
    /// Somebody's word that is good until then.
    Until(instar_protocol::Timestamp),
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Caller {
    type Rejection = crate::problem::ApiProblem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _state: &S,
    ) -> Result<Self, Self::Rejection> {
        // The guard lets no request through to a handler that asks for a caller without one.
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(Self::Rejection::unauthorized)
    }
}
