//! Who is behind a run: computed once, at the door, from verified facts, and never changed after.

use serde::{Deserialize, Serialize};

use crate::label::Origin;

/// The verified author of an inbound message.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Principal {
    /// Proved an owner credential (gateway token, password session, trusted proxy identity).
    Owner { via: Via },
    /// A person the owner knows, by the channel's stable id.
    Contact { id: String },
    /// Anybody else who got through the door.
    Stranger { id: String },
    /// A run that nobody asked for right now: schedule, heartbeat, hook. Weaker than the owner.
    Automation { source: String },
}

/// The credential that made the principal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    Token,
    Session,
    TrustedProxy,
    /// The word of an identity provider that was verified here: Cloudflare Access, Tailscale.
    Identity,
    /// A device that the owner approved and that proved its key.
    Device,
    /// The command line acting on the owner's own state folder.
    Local,
}

/// What a principal is to the house, without saying who it is; the further away, the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody asked right now: a schedule, a heartbeat, the house itself.
    Nobody,
    Owner,
    Contact,
    Stranger,
}

impl Standing {
    /// True if somebody else than the house asked.
    #[must_use]
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Contact | Self::Stranger)
    }
}

impl Principal {
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self::Owner { .. } => Standing::Owner,
            Self::Contact { .. } => Standing::Contact,
            Self::Stranger { .. } => Standing::Stranger,
            Self::Automation { .. } => Standing::Nobody,
        }
    }

    /// The origin that words typed by this principal carry.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Owner { .. } => Origin::Owner,
            Self::Contact { id } => Origin::Contact(id.clone()),
            Self::Stranger { .. } => Origin::Stranger,
            Self::Automation { .. } => Origin::System,
        }
    }

    #[must_use]
    pub fn is_owner(&self) -> bool {
        matches!(self, Self::Owner { .. })
    }
}
