//! What policy knows of a tool: what it does, what its arguments mean, where its output comes from.

use instar_protocol::Label;
use instar_protocol::tool::Effect;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::infer::words_of;
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
    /// A link in any of its arguments may be followed, whatever the argument is for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
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
    /// Fields that tell who made the thing: where one is there, it says whose it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
}

/// A text in the arguments of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The argument that it is of, and the part of it, as [`Annotation::slot`] names it.
    pub argument: String,
    pub name: String,
    pub path: String,
    pub slot: Slot,
    pub text: String,
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
            follows: false,
            connector: String::new(),
            slots: BTreeMap::new(),
            fields: Vec::new(),
            own: None,
            output,
        }
    }

    /// The slot of an argument, or of a part of one: `body.attendees.email`. An argument that is not
    /// declared carries content; a part that is not may say who and where.
    #[must_use]
    pub fn slot(&self, path: &str) -> Slot {
        let text = |role| Slot {
            role,
            kind: Kind::Text,
        };
        if let Some(slot) = self.slots.get(path) {
            return *slot;
        }
        let Some((outer, _)) = path.rsplit_once('.') else {
            return text(SlotRole::Payload);
        };
        let outer = self.slots.get(outer);
        outer
            .copied()
            .filter(|slot| slot.role.is_target())
            .unwrap_or(text(SlotRole::Who))
    }

    /// Every text in the arguments of a call, with its path, as `to[1]` or `body.attendees[0].email`, and what
    /// it is.
    #[must_use]
    pub fn leaves(&self, arguments: &Value) -> Vec<Leaf> {
        let mut found = Vec::new();
        if let Value::Object(fields) = arguments {
            for (name, value) in fields {
                self.walk(value, name.clone(), (name, name), &mut found);
            }
        }
        found
    }

    /// What this text is there: a link is a place, whatever the argument is for.
    fn slot_of(&self, name: &str, text: &str) -> Slot {
        let slot = self.slot(name);
        if self.follows && !slot.role.is_target() && is_link(text) {
            return Slot {
                role: SlotRole::Where,
                kind: Kind::Url,
            };
        }
        slot
    }

    fn walk(
        &self,
        value: &Value,
        path: String,
        (argument, name): (&str, &str),
        found: &mut Vec<Leaf>,
    ) {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, format!("{path}[{index}]"), (argument, name), found);
                }
            }
            Value::Object(fields) => {
                for (inner, value) in fields {
                    let name = format!("{name}.{inner}");
                    let path = format!("{path}.{inner}");
                    self.walk(value, path, (argument, &name), found);
                }
            }
            Value::String(_) | Value::Bool(_) | Value::Number(_) => {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                found.push(Leaf {
                    argument: argument.to_owned(),
                    name: name.to_owned(),
                    path,
                    slot: self.slot_of(name, &text),
                    text,
                });
            }
        }
    }
}

impl Leaf {
    /// True for a switch of who sees a thing that leaves it closed: `public: false`.
    pub(crate) fn keeps_closed(&self) -> bool {
        let is_switch = self.slot.role == SlotRole::Who && self.slot.kind == Kind::Enum;
        let keeps = words_of(&self.path)
            .iter()
            .any(|word| word.starts_with("priva"));
        is_switch
            && match self.text.to_lowercase().as_str() {
                "true" | "1" => keeps,
                "false" | "0" => !keeps,
                text => matches!(
                    text,
                    "private" | "none" | "restricted" | "unlisted" | "draft" | "me"
                ),
            }
    }
}

/// True for a text that is one link and nothing else.
fn is_link(text: &str) -> bool {
    let text = text.trim();
    let is_bare = text
        .get(..4)
        .is_some_and(|begin| begin.eq_ignore_ascii_case("www."));
    !text.contains(char::is_whitespace) && (text.contains("://") || is_bare)
}
