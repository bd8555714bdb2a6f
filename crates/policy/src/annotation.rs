//! What policy knows of a tool: what it does, what its arguments mean, where its output comes from.

use instar_protocol::Label;
use instar_protocol::tool::Effect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::typed::Kind;

/// What policy knows of a tool. A tool without one has the highest risk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotation {
    pub effect: Effect,
    /// The effect of a call that names somebody in a [`SlotRole::Who`] argument, where that is more than
    /// the plain one: an event without guests is a note, with guests it is an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<Effect>,
    pub reach: Reach,
    /// The tool keeps what it changes, so that the change can be taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undoable: bool,
    /// Its result is the record of what it made, by its machine: the values in it are the run's own. Only
    /// a tool that is known to make something says so; what an unknown one returns is anybody's text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub makes: bool,
    /// Whose ids these are. An id of one connector is no evidence for another.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub connector: String,
    /// The arguments by name; one that is not named here carries content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, Slot>,
    /// The fields of the output by path; one that is not named here is free text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// How a row shows that it is the owner's own: entered or accepted by him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnRow>,
    /// The label of everything in the output that no field says more of.
    pub output: Label,
}

/// Who an effect can reach.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// The owner's own space and nobody else.
    Own,
    /// The members of one closed workspace.
    Closed,
    /// Anybody.
    #[default]
    Outside,
    /// Everybody.
    Public,
}

/// What an argument means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotRole {
    /// A person, an account, an address.
    Who,
    /// A place: a URL, a channel, a path.
    Where,
    /// The existing thing that is acted on.
    Which,
    /// How much.
    Amount,
    /// Content that goes along.
    Payload,
    /// A closed shape that says neither who nor where: a number, a date, a switch, a query over own
    /// stores.
    Plain,
}

impl SlotRole {
    /// True if the value needs evidence.
    #[must_use]
    pub fn is_target(self) -> bool {
        matches!(self, Self::Who | Self::Where | Self::Which | Self::Amount)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    pub role: SlotRole,
    pub kind: Kind,
}

/// One field of the output: `[].sender`, `items[].id`, `name`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub path: String,
    pub kind: Kind,
    pub role: FieldRole,
    /// The field of the same row that names the author, where the channel proves him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// Who a field comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldRole {
    /// Assigned by the tool's own machine: ids, sizes, times.
    System,
    /// Asserted by a party and checked by the machine: sender, participants, owner.
    Party,
    /// Free text, titles and names included.
    Text,
}

/// A field whose value shows that a row is the owner's own.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnRow {
    pub path: String,
    /// These words; with none, one of the owner's own addresses.
    #[serde(default)]
    pub equals: Vec<String>,
}

impl Annotation {
    /// A tool that reads what the gateway itself holds.
    #[must_use]
    pub fn reads(output: Label) -> Self {
        Self {
            effect: Effect::Read,
            people: None,
            reach: Reach::Own,
            undoable: false,
            makes: false,
            connector: String::new(),
            slots: BTreeMap::new(),
            fields: Vec::new(),
            own: None,
            output,
        }
    }

    /// The slot of an argument; one that is not declared carries content.
    #[must_use]
    pub fn slot(&self, argument: &str) -> Slot {
        self.slots.get(argument).copied().unwrap_or(Slot {
            role: SlotRole::Payload,
            kind: Kind::Text,
        })
    }
}
