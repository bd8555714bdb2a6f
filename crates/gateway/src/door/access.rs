//! Cloudflare Access: a signed statement that comes with every request through the tunnel.
//!
//! What the statement says is believed only if it was signed by a key of the configured team, for
//! the configured application, and is good now. The keys come from the team's own address through
//! `egress`; an unknown key is looked for again, but not more often than [`FETCH_PAUSE`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use instar_egress::{Egress, Fetch, Origin, Rights};
use instar_protocol::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

use crate::config::AccessConfig;

/// The header that carries the statement.
pub(super) const HEADER: &str = "cf-access-jwt-assertion";

const FETCH_PAUSE: Duration = Duration::from_secs(60);
/// Keys are fetched again after this long, so that one that was withdrawn goes.
const KEYS_FRESH: Duration = Duration::from_secs(3_600);
/// Keys that cannot be fetched again are good for no longer than this.
const KEYS_LAST: Duration = Duration::from_secs(24 * 3_600);
const KEYS_MAX: usize = 16;
const KEYS_BYTES_MAX: usize = 64 * 1024;
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const STATEMENT_BYTES_MAX: usize = 8 * 1024;
/// Clocks differ.
const LEEWAY_SECONDS: u64 = 30;

/// Why nobody is known by a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is not what it should be.
    Wrong,
    /// The keys cannot be had.
    NoKeys(String),
}

/// What one application of one team accepts.
#[derive(Debug)]
pub struct Access {
    issuer: String,
    certs: Url,
    audience: String,
    users: Vec<String>,
    egress: Egress,
    keys: tokio::sync::Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    known: BTreeMap<String, Key>,
    fetched: Option<Timestamp>,
    tried: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Key {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let (n, e) = (&self.modulus, &self.exponent);
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok()
    }
}

impl Access {
    /// `None` if the address of the team is none; the configuration refuses that before.
    #[must_use]
    pub fn new(config: &AccessConfig, egress: &Egress) -> Option<Self> {
        let team = Url::parse(&config.team_domain).ok()?;
        Some(Self {
            issuer: team.origin().ascii_serialization(),
            certs: team.join("/cdn-cgi/access/certs").ok()?,
            audience: config.audience.clone(),
            users: config
                .allow_users
                .iter()
                .map(|user| user.to_lowercase())
                .collect(),
            egress: egress.clone(),
            keys: tokio::sync::Mutex::default(),
        })
    }

    /// The statement of a request, if it has one and only one.
    pub(super) fn statement(headers: &HeaderMap) -> Option<&str> {
        let mut found = headers.get_all(HEADER).iter();
        let text = found.next()?.to_str().unwrap_or("");
        Some(if found.next().is_some() { "" } else { text })
    }

    /// Until when the statement lets its bearer in.
    pub(super) async fn verify(&self, text: &str, now: Timestamp) -> Result<Timestamp, Doubt> {
        let statement = Statement::read(text).ok_or(Doubt::Wrong)?;
        let key = self.key(&statement.key, now).await?.ok_or(Doubt::Wrong)?;
        if !key.verify(statement.signed, &statement.signature) {
            return Err(Doubt::Wrong);
        }
        self.judge(&statement.claims, now).ok_or(Doubt::Wrong)
    }

    fn judge(&self, claims: &Claims, now: Timestamp) -> Option<Timestamp> {
        let seconds = now.millis() / 1_000;
        let user = claims
            .email
            .as_ref()
            .filter(|user| !user.is_empty())?
            .to_lowercase();
        let fits = claims.iss == self.issuer
            && claims.aud.names(&self.audience)
            && claims.exp > seconds
            && claims
                .nbf
                .is_none_or(|from| from <= seconds + LEEWAY_SECONDS)
            && self.users.contains(&user);
        let ends = claims.exp.checked_mul(1_000)?;
        fits.then(|| Timestamp::from_millis(ends))
    }

    /// The key of this id; fetched if it is not known or grew old.
    async fn key(&self, id: &str, now: Timestamp) -> Result<Option<Key>, Doubt> {
        let mut keys = self.keys.lock().await;
        let age = keys.fetched.map(|at| now.since(at));
        let fresh = age.is_some_and(|age| age < KEYS_FRESH);
        let may_try = keys.tried.is_none_or(|at| now.since(at) >= FETCH_PAUSE);
        let mut failed = None;
        if (!fresh || !keys.known.contains_key(id)) && may_try {
            keys.tried = Some(now);
            match self.fetch().await {
                Ok(known) => {
                    keys.known = known;
                    keys.fetched = Some(now);
                }
                Err(why) => {
                    tracing::warn!(why, "the keys of Cloudflare Access cannot be fetched");
                    failed = Some(why);
                }
            }
        }
        match keys.fetched.map(|at| now.since(at)) {
            Some(age) if age < KEYS_LAST => Ok(keys.known.get(id).cloned()),
            _ => Err(Doubt::NoKeys(failed.unwrap_or_else(|| {
                "the keys of Cloudflare Access are not known; they are asked for once a minute"
                    .to_owned()
            }))),
        }
    }

    async fn fetch(&self) -> Result<BTreeMap<String, Key>, String> {
        let fetch = Fetch {
            // The owner names the team; in tests it is on this machine.
            configured: Origin::of(&self.certs),
            bytes_max: KEYS_BYTES_MAX,
            within: FETCH_TIMEOUT,
            ..Fetch::get(self.certs.clone(), Rights::nothing())
        };
        let answer = self.egress.fetch(fetch).await;
        let answer = answer.map_err(|error| crate::problem::chain(&error))?;
        if answer.status != 200 || answer.cut {
            return Err(format!("{} answers {}", self.issuer, answer.status));
        }
        let set: KeySet = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("{} answers with no set of keys", self.issuer))?;
        Ok(set
            .keys
            .into_iter()
            .take(KEYS_MAX)
            .filter_map(KeyRow::read)
            .collect())
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<KeyRow>,
}

#[derive(Deserialize)]
struct KeyRow {
    kid: String,
    kty: String,
    alg: Option<String>,
    n: String,
    e: String,
}

impl KeyRow {
    fn read(self) -> Option<(String, Key)> {
        let fits = self.kty == "RSA" && self.alg.is_none_or(|alg| alg == "RS256");
        let key = Key {
            modulus: URL_SAFE_NO_PAD.decode(&self.n).ok()?,
            exponent: URL_SAFE_NO_PAD.decode(&self.e).ok()?,
        };
        fits.then_some((self.kid, key))
    }
}

/// A statement taken apart; nothing of it is believed yet.
struct Statement<'a> {
    key: String,
    signed: &'a [u8],
    signature: Vec<u8>,
    claims: Claims,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    email: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

impl<'a> Statement<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if text.len() > STATEMENT_BYTES_MAX {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let head: Head = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        // The one algorithm: what a statement says of itself chooses nothing.
        if head.alg != "RS256" {
            return None;
        }
        Some(Self {
            key: head.kid,
            signed: signed.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            claims: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
