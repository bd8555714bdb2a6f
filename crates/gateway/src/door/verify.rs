//! The verification itself.

mod password;
mod sessions;

use axum::http::{HeaderMap, header};
use instar_egress::Egress;
use instar_protocol::principal::Via;
use instar_protocol::{Clock, Principal, Secret, Timestamp};
use instar_store::{DeviceToken, Store};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::access::{Access, Doubt};
use super::codes::{Codes, is_local, is_random};
use super::cookie;
use super::digest::Digest;
use super::limiter::{Class, Limiter, Locked};
use super::network::{Network, Peer};
use super::tailscale::{Tailscale, is_tailnet};
use super::{Caller, Proof};
use crate::config::{AuthConfig, AuthMode, RateLimitConfig};
use password::SlowHash;

/// Random bytes in a browser's cookie.
const COOKIE_BYTES: usize = 32;

/// Why a request has no caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthProblem {
    /// Nothing was presented.
    Missing,
    /// What was presented is not right.
    Wrong,
    Locked(Duration),
    /// Authentication could not be carried out; nobody gets in.
    Unavailable(String),
}

impl From<Locked> for AuthProblem {
    fn from(locked: Locked) -> Self {
        Self::Locked(locked.retry_after)
    }
}

/// What the configuration says, made ready for checking.
#[derive(Debug)]
pub struct Settings {
    pub mode: AuthMode,
    pub rules: RateLimitConfig,
    /// In mode `token`: the digest of the API token.
    pub token: Option<Digest>,
    /// In mode `password`: the password, or why it cannot be had.
    pub password: Option<Result<Secret, String>>,
    pub proxies: Vec<Network>,
    pub user_header: Option<String>,
    pub required_headers: Vec<String>,
    pub allow_users: Vec<String>,
    pub access: Option<Access>,
    pub tailscale: Option<Tailscale>,
}

impl Settings {
    /// Takes what the configuration says; the two secrets were looked up by the caller.
    #[must_use]
    pub fn new(
        config: &AuthConfig,
        trusted_proxies: &[String],
        egress: &Egress,
        token: Option<Digest>,
        password: Option<Result<Secret, String>>,
    ) -> Self {
        Self {
            mode: config.mode,
            rules: config.rate_limit,
            token,
            password,
            proxies: trusted_proxies
                .iter()
                .filter_map(|text| Network::parse(text))
                .collect(),
            user_header: config.trusted_proxy.user_header.clone(),
            required_headers: config.trusted_proxy.required_headers.clone(),
            allow_users: config.trusted_proxy.allow_users.clone(),
            access: config
                .cloudflare_access
                .as_ref()
                .and_then(|access| Access::new(access, egress)),
            tailscale: config
                .allow_tailscale
                .then(|| Tailscale::new(&config.tailscale)),
        }
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(address))
    }
}

/// A sign-in that worked: the cookie's value and how long it is good.
#[derive(Debug)]
pub struct SignedIn {
    pub cookie: Secret,
    pub seconds: u64,
}

/// An owner's credential that was verified: by which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedSecret {
    pub via: Via,
}

impl From<&Caller> for SharedSecret {
    fn from(caller: &Caller) -> Self {
        let via = match caller.principal {
            Principal::Owner { via } => via,
            // Nobody else is let through the door; if that changes, they get the least.
            Principal::Contact { .. }
            | Principal::Stranger { .. }
            | Principal::Automation { .. } => Via::Token,
        };
        Self { via }
    }
}

/// Verifies every credential.
#[derive(Debug)]
pub struct Auth {
    settings: RwLock<Arc<Settings>>,
    /// The secret of the run file, for commands of the same user.
    local: Digest,
    pub codes: Codes,
    pub limiter: Limiter,
    sessions: Mutex<HashMap<String, Timestamp>>,
    /// A password that was verified, so that API clients do not pay the slow hash on every request.
    verified: Mutex<Option<Digest>>,
    /// The password's slow hash, made when it is first needed; one hash is computed at a time.
    hashing: tokio::sync::Mutex<Option<SlowHash>>,
    store: Store,
    clock: Arc<dyn Clock>,
    /// How often the token or password was changed.
    changes: AtomicU64,
}

impl Auth {
    #[must_use]
    pub fn new(settings: Settings, local: Digest, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings: RwLock::new(Arc::new(settings)),
            local,
            codes: Codes::default(),
            limiter: Limiter::default(),
            sessions: Mutex::default(),
            verified: Mutex::default(),
            hashing: tokio::sync::Mutex::default(),
            store,
            clock,
            changes: AtomicU64::new(0),
        }
    }

    /// Ends what was opened with the token or password that was just replaced.
    pub fn end_holders(&self) {
        let _before = self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// True as long as what let a caller in is still good.
    pub async fn stands(&self, proof: &Proof) -> bool {
        match proof {
            Proof::Process => true,
            Proof::Secret(changes) => self.changes.load(Ordering::SeqCst) == *changes,
            // Whom nobody can be asked about may have been signed out.
            Proof::Session(digest) => self.is_signed_in(digest).await.unwrap_or(false),
            Proof::Until(end) => self.clock.now() < *end,
        }
    }

    fn by_secret(&self, via: Via) -> Caller {
        owner(
            via,
            false,
            Proof::Secret(self.changes.load(Ordering::SeqCst)),
        )
    }

    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts new settings in force. Everything verified with old secrets must be verified again.
    pub async fn reload(&self, settings: Settings) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.hashing.lock().await = None;
    }

    /// The caller of a request, from what it presents. More than one kind of credential is judged
    /// by the strongest kind alone: a wrong bearer is not saved by a good cookie.
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        socket: SocketAddr,
    ) -> Result<Caller, AuthProblem> {
        let settings = self.settings();
        let peer = Peer::from(socket);
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let secret = value
                .to_str()
                .ok()
                .and_then(|text| text.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, secret)| secret.trim());
            return self
                .bearer(secret.unwrap_or_default(), peer, &settings)
                .await;
        }
        if let Some(access) = &settings.access
            && let Some(statement) = Access::statement(headers)
        {
            return self.stated(access, statement, peer, &settings).await;
        }
        if settings.mode == AuthMode::TrustedProxy && settings.is_proxy(socket.ip()) {
            return self.proxy(headers, peer, &settings);
        }
        match cookie::read(headers) {
            Some(value) => self.cookie(value, peer, &settings).await,
            None => tailnet(&settings, socket).await,
        }
    }

    /// Verifies a statement of Cloudflare Access.
    async fn stated(
        &self,
        access: &Access,
        statement: &str,
        peer: Peer,
        settings: &Settings,
    ) -> Result<Caller, AuthProblem> {
        let now = self.clock.now();
        match access.verify(statement, now).await {
            // As with cookies: one tunnel carries many people, and a signature is not guessed.
            Ok(ends) => Ok(owner(Via::Identity, true, Proof::Until(ends))),
            Err(Doubt::NoKeys(why)) => Err(AuthProblem::Unavailable(why)),
            Err(Doubt::Wrong) => {
                let unknown = || None::<()>;
                self.limiter
                    .verify(peer, Class::Access, now, settings.rules, unknown)?;
                Err(AuthProblem::Wrong)
            }
        }
    }

    async fn bearer(
        &self,
        secret: &str,
        peer: Peer,
        settings: &Settings,
    ) -> Result<Caller, AuthProblem> {
        let now = self.clock.now();
        if is_local(secret) {
            let fits = || self.local.matches(secret).then_some(Via::Local);
            let via = self
                .limiter
                .verify(peer, Class::Local, now, settings.rules, fits)?;
            return via
                .map(|via| owner(via, false, Proof::Process))
                .ok_or(AuthProblem::Wrong);
        }
        let compare = || {
            let token = settings
                .token
                .as_ref()
                .filter(|_| settings.mode == AuthMode::Token);
            if token.is_some_and(|token| token.matches(secret)) {
                return Some(Via::Token);
            }
            let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            verified
                .filter(|digest| digest.matches(secret))
                .map(|_| Via::Token)
        };
        if settings.mode != AuthMode::Password {
            let via = self
                .limiter
                .verify(peer, Class::Bearer, now, settings.rules, compare)?;
            return via.map(|via| self.by_secret(via)).ok_or(AuthProblem::Wrong);
        }
        self.limiter.check(peer, Class::Bearer, now)?;
        if let Some(via) = compare() {
            return Ok(self.by_secret(via));
        }
        self.password(secret, peer, settings).await?;
        Ok(self.by_secret(Via::Token))
    }

    /// Verifies the gateway's token or password as the handshake of the control plane shows it. No
    /// other field of that handshake comes near this: what is shown beside it changes nothing.
    pub async fn shared(
        &self,
        secret: &Secret,
        socket: SocketAddr,
    ) -> Result<SharedSecret, AuthProblem> {
        let settings = self.settings();
        let caller = self
            .bearer(secret.expose(), Peer::from(socket), &settings)
            .await?;
        Ok(SharedSecret::from(&caller))
    }

    /// Verifies the token of a device; it is good for the device that it was made for only.
    pub async fn device(
        &self,
        secret: &Secret,
        device: &str,
        socket: SocketAddr,
    ) -> Result<DeviceToken, AuthProblem> {
        let (peer, now) = (Peer::from(socket), self.clock.now());
        let rules = self.settings().rules;
        self.limiter.check(peer, Class::Device, now)?;
        let digest = Digest::of(secret.expose()).to_hex();
        let found = self.store.device_token(&digest).await;
        let found = found.map_err(|error| AuthProblem::Unavailable(error.to_string()))?;
        self.limiter
            .verify(peer, Class::Device, now, rules, || {
                found.filter(|token| token.device == device)
            })?
            .ok_or(AuthProblem::Wrong)
    }

    /// Verifies the password: the limiter first, then one slow hash at a time.
    async fn password(
        &self,
        secret: &str,
        peer: Peer,
        settings: &Settings,
    ) -> Result<(), AuthProblem> {
        let now = self.clock.now();
        self.limiter.check(peer, Class::Password, now)?;
        let mut hash = self.hashing.lock().await;
        // Who waited behind many wrong guesses is judged by the counts as they are now.
        self.limiter
            .check(peer, Class::Password, self.clock.now())?;
        let reference = match &*hash {
            Some(made) => made.clone(),
            None => {
                let password = match &settings.password {
                    Some(Ok(password)) => password.clone(),
                    Some(Err(why)) => return Err(AuthProblem::Unavailable(why.clone())),
                    None => {
                        return Err(AuthProblem::Unavailable(
                            "no password is configured".to_owned(),
                        ));
                    }
                };
                let made = SlowHash::of(password).await?;
                hash.insert(made).clone()
            }
        };
        if !reference.matches(Secret::new(secret)).await? {
            self.limiter
                .failed(peer, Class::Password, now, settings.rules);
            return Err(AuthProblem::Wrong);
        }
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some(Digest::of(secret));
        Ok(())
    }

    async fn cookie(
        &self,
        value: &str,
        peer: Peer,
        settings: &Settings,
    ) -> Result<Caller, AuthProblem> {
        let now = self.clock.now();
        let digest = Digest::of(value).to_hex();
        // A cookie that is over is sent again with every reload, and many browsers may share an
        // address: a good one is found before the counts are asked. Its 256 random bits are not
        // found by trying, limit or not.
        if let Some(expires) = self.session(value, &digest).await?
            && expires > now
        {
            self.remember(digest.clone(), expires);
            return Ok(owner(Via::Session, true, Proof::Session(digest)));
        }
        let unknown = || None::<()>;
        self.limiter
            .verify(peer, Class::Cookie, now, settings.rules, unknown)?;
        Err(AuthProblem::Wrong)
    }

    /// When the browser session of a cookie ends, if there is one.
    async fn session(&self, value: &str, digest: &str) -> Result<Option<Timestamp>, AuthProblem> {
        if !is_random::<COOKIE_BYTES>(value) {
            return Ok(None);
        }
        self.session_known_by(digest).await
    }

    /// True as long as the browser session with this digest lasts.
    pub async fn is_signed_in(&self, digest: &str) -> Result<bool, AuthProblem> {
        let ends = self.session_known_by(digest).await?;
        let ends = ends.filter(|ends| *ends > self.clock.now());
        if let Some(ends) = ends {
            self.remember(digest.to_owned(), ends);
        }
        Ok(ends.is_some())
    }

    async fn session_known_by(&self, digest: &str) -> Result<Option<Timestamp>, AuthProblem> {
        let known = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.get(digest).copied()
        };
        if known.is_some() {
            return Ok(known);
        }
        let stored = self.store.web_session(digest).await;
        let stored = stored.map_err(|error| AuthProblem::Unavailable(error.to_string()))?;
        Ok(stored.map(|session| session.expires_at))
    }

    fn proxy(
        &self,
        headers: &HeaderMap,
        peer: Peer,
        settings: &Settings,
    ) -> Result<Caller, AuthProblem> {
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let value = values.next()?.to_str().ok()?;
            // A header that stands twice may have been sent by the client past the proxy.
            (values.next().is_none() && !value.is_empty()).then(|| value.to_owned())
        };
        let user = settings
            .user_header
            .as_deref()
            .and_then(one)
            .ok_or(AuthProblem::Missing)?;
        let complete = settings
            .required_headers
            .iter()
            .all(|name| one(name).is_some());
        let now = self.clock.now();
        let allowed = self
            .limiter
            .verify(peer, Class::Proxy, now, settings.rules, || {
                (complete && settings.allow_users.contains(&user)).then_some(())
            })?;
        // The proxy's own sign-in rides on a browser's cookie, so changes need more than it.
        allowed
            .map(|()| owner(Via::TrustedProxy, true, Proof::Process))
            .ok_or(AuthProblem::Wrong)
    }

    /// True if the configuration names this address as a proxy: it stands for many callers.
    #[must_use]
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.settings().is_proxy(address)
    }
}

/// Asks Tailscale who stands behind the socket's own peer, where that is an address of a tailnet.
async fn tailnet(settings: &Settings, socket: SocketAddr) -> Result<Caller, AuthProblem> {
    // Whoever comes through a proxy has the proxy's address: the daemon would vouch for its machine.
    let is_proxy = settings.is_proxy(socket.ip());
    let Some(tailscale) = settings
        .tailscale
        .as_ref()
        .filter(|_| is_tailnet(socket.ip()) && !is_proxy)
    else {
        return Err(AuthProblem::Missing);
    };
    match tailscale.admits(socket).await {
        // The network itself cuts off a machine that was removed from it.
        Ok(true) => Ok(owner(Via::Identity, true, Proof::Process)),
        Ok(false) => Err(AuthProblem::Missing),
        Err(why) => {
            tracing::warn!(why, "nobody is let in by Tailscale");
            Err(AuthProblem::Missing)
        }
    }
}

fn owner(via: Via, ambient: bool, proof: Proof) -> Caller {
    Caller {
        principal: Principal::Owner { via },
        ambient,
        proof,
    }
}

#[cfg(test)]
mod tests;
