//! People whom the owner wrote to before anything of theirs was read.

use serde::{Deserialize, Serialize};

use crate::{RunId, SessionId, Timestamp};

/// Somebody whom the owner named in his own words, and to whom a message then went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// What the text is: `address`, `phone`, `account`.
    pub kind: String,
    /// In its normal form.
    pub text: String,
    /// The tool that the first message went by.
    pub tool: String,
    pub session: SessionId,
    pub run: RunId,
    pub at: Timestamp,
}

/// All of them, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contacts {
    pub contacts: Vec<Contact>,
    /// Those that the configuration names.
    pub entered: Vec<String>,
}

/// Whom to forget.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetContact {
    pub text: String,
}
