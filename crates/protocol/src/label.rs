//! Labels: where a value came from and who may see it.
//!
//! Origins are a set, not a ladder: a rule asks whether every origin is in the set it allows.
//! Joining unites origins and narrows readers. Only code lowers a label, never a model.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::id::SessionId;

/// Contacts beyond this number in one label are no longer told apart: they count as a stranger.
pub const CONTACTS_MAX: usize = 4;

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Bytes that the owner's authenticated principal typed, and the owner's own files.
    Owner,
    /// Assigned by the gateway or a tool's own machine: ids, sizes, times.
    System,
    /// A known contact, by its stable id.
    Contact(String),
    /// Anybody else.
    Stranger,
}

/// The set of origins of a value. Never more than [`CONTACTS_MAX`] contacts.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origins(BTreeSet<Origin>);

impl Origins {
    #[must_use]
    pub fn of(origin: Origin) -> Self {
        Self(BTreeSet::from([origin]))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }

    #[must_use]
    pub fn contains(&self, origin: &Origin) -> bool {
        self.0.contains(origin)
    }

    #[must_use]
    pub fn is_subset(&self, allowed: &Self) -> bool {
        self.0.is_subset(&allowed.0)
    }

    /// True if text from somebody other than the owner or the system took part.
    #[must_use]
    pub fn is_tainted(&self) -> bool {
        self.0
            .iter()
            .any(|origin| matches!(origin, Origin::Contact(_) | Origin::Stranger))
    }

    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut all: BTreeSet<Origin> = self.0.union(&other.0).cloned().collect();
        let contacts = all
            .iter()
            .filter(|origin| matches!(origin, Origin::Contact(_)))
            .count();
        // A set that once held too many contacts must not shrink back by a later join.
        if contacts > CONTACTS_MAX {
            all.retain(|origin| !matches!(origin, Origin::Contact(_)));
            all.insert(Origin::Stranger);
        }
        if all.contains(&Origin::Stranger) {
            all.retain(|origin| !matches!(origin, Origin::Contact(_)));
        }
        Self(all)
    }

    /// The word shown to people: the worst member.
    #[must_use]
    pub fn worst(&self) -> &'static str {
        match self.0.last() {
            None | Some(Origin::System) => "system",
            Some(Origin::Owner) => "owner",
            Some(Origin::Contact(_)) => "contact",
            Some(Origin::Stranger) => "stranger",
        }
    }
}

/// Who may see a value.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    #[default]
    Public,
    /// Only the participants of this session.
    Session(SessionId),
    /// Only the owner.
    Private,
    /// Nobody: nothing is cleared for it.
    Secret,
}

impl Readers {
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Secret, _) | (_, Self::Secret) => Self::Secret,
            (Self::Private, _) | (_, Self::Private) => Self::Private,
            (Self::Public, rest) | (rest, Self::Public) => rest.clone(),
            (Self::Session(one), Self::Session(two)) if one == two => self.clone(),
            (Self::Session(_), Self::Session(_)) => Self::Private,
        }
    }

    /// True if a destination cleared for `clearance` may receive a value with these readers.
    #[must_use]
    pub fn may_flow_to(&self, clearance: &Self) -> bool {
        !matches!(self, Self::Secret) && self.join(clearance) == *clearance
    }
}

/// Origins and readers together; stored with the value and surviving every copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Label {
    pub origins: Origins,
    pub readers: Readers,
}

impl Label {
    /// The owner's words, for the owner's eyes.
    #[must_use]
    pub fn owner() -> Self {
        Self {
            origins: Origins::of(Origin::Owner),
            readers: Readers::Private,
        }
    }

    /// Assigned by the machine.
    #[must_use]
    pub fn system() -> Self {
        Self {
            origins: Origins::of(Origin::System),
            readers: Readers::Public,
        }
    }

    #[must_use]
    pub fn stranger(readers: Readers) -> Self {
        Self {
            origins: Origins::of(Origin::Stranger),
            readers,
        }
    }

    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            origins: self.origins.join(&other.origins),
            readers: self.readers.join(&other.readers),
        }
    }

    #[must_use]
    pub fn is_tainted(&self) -> bool {
        self.origins.is_tainted()
    }
}
