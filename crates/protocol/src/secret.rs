//! A value that cannot be printed, logged, compared or serialised.

use std::fmt;
use zeroize::Zeroizing;

/// A secret text. It implements neither `Display`, `Serialize` nor `PartialEq`; `Debug` shows a
/// fixed mask. Secrets are compared through digests in one place, at the door.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Hands out the text. Call it where the bytes leave the process or enter a digest, and
    /// nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Where a secret is kept. Configuration holds these, never the secret itself.
#[derive(
    Clone, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// `env`: an environment variable; `file`: a file readable by its owner alone; `store`: the
    /// encrypted store (`instar secrets set NAME`).
    pub source: SecretOrigin,
    /// The variable's name, the file's path, or the name in the store.
    pub id: String,
}

#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Debug,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SecretOrigin {
    Env,
    File,
    Store,
}

/// Hands out secrets by reference. Implemented by the configuration's secret store, used by
/// whoever holds a [`SecretRef`].
pub trait SecretSource: Send + Sync + std::fmt::Debug {
    /// The secret, or what to do about its absence. A missing secret is never replaced by another.
    fn secret(&self, reference: &SecretRef) -> Result<Secret, String>;
}
