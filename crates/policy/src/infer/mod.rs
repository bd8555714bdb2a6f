//! What can be said of a tool that nobody annotated: from the verb in its name, the names and types
//! of its arguments, and a small table of families.
//!
//! The table only ever loosens: a verb, a noun or an argument that it does not know has the highest
//! risk. So a row that is taken away can add questions and can let nothing through. Descriptions are
//! text of whoever wrote the tool and are not read.

mod schema;
mod verbs;

use instar_protocol::Label;
use instar_protocol::tool::{Effect, ToolSpec};
use instar_protocol::{Origin, Origins, Readers};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::annotation::{Annotation, Field, FieldRole, OwnRow, Reach, Slot, SlotRole};
use crate::typed::Kind;
use schema::{is_object, parameters, shape};
use verbs::{THINGS, effect_and_reach, lead, makes};

pub(crate) use schema::words_of;

/// The table as it is built in.
const TABLE: &str = include_str!("../../families.json");

/// Arguments beyond this number are not looked at: a tool with more has the highest risk.
const ARGUMENTS_MAX: usize = 100;

/// Arguments that say who sees a thing.
const SHOWING: [&str; 9] = [
    "visibility",
    "public",
    "publicly",
    "private",
    "privacy",
    "audience",
    "publish",
    "published",
    "discoverable",
];

/// What families of tools have in common.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Families {
    verbs: BTreeMap<Effect, Vec<String>>,
    families: Vec<Family>,
    arguments: Vec<ArgumentRow>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    name: String,
    /// Words in a tool's name, or in that of its server, that belong to it.
    words: Vec<String>,
    /// Where the owner says that a server is closed, its members are known to each other.
    #[serde(default)]
    members: bool,
    /// What it reads lies outside, and the question itself leaves the house.
    #[serde(default)]
    public: bool,
    /// A change cannot be taken back or opens doors: money, passwords, rights.
    #[serde(default)]
    guarded: bool,
    /// What people are known by.
    #[serde(default)]
    person: Option<Kind>,
    /// Verbs whose change the service keeps, so that it can be taken back.
    #[serde(default)]
    undoable: Vec<String>,
    #[serde(default)]
    fields: Vec<FieldRow>,
    /// Nouns of which a plain list is a list of names that the system gives.
    #[serde(default)]
    lists: Vec<(String, Kind, FieldRole)>,
    #[serde(default)]
    own: Option<OwnRow>,
}

/// Path, kind, who vouches for it, and the field that names the author.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum FieldRow {
    Written(String, Kind, FieldRole, String),
    Plain(String, Kind, FieldRole),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArgumentRow {
    words: Vec<String>,
    role: SlotRole,
    kind: ArgumentKind,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum ArgumentKind {
    /// Whatever people of the family are known by.
    Person(PersonWord),
    Is(Kind),
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PersonWord {
    Person,
}

static BUILT_IN: LazyLock<Families> =
    LazyLock::new(|| serde_json::from_str(TABLE).unwrap_or_default());

/// Where a tool comes from that nobody annotated, as its owner set it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Server<'a> {
    /// The name that he gave to it.
    pub name: &'a str,
    /// He says that whoever writes there is one of his own people: a name does not say that.
    pub is_closed: bool,
}

impl<'a> Server<'a> {
    /// One where anybody may write.
    #[must_use]
    pub fn open(name: &'a str) -> Self {
        let is_closed = false;
        Self { name, is_closed }
    }

    /// One closed workspace.
    #[must_use]
    pub fn closed(name: &'a str) -> Self {
        let is_closed = true;
        Self { name, is_closed }
    }
}

/// The annotation of a tool that nobody annotated.
#[must_use]
pub fn infer(server: Server<'_>, spec: &ToolSpec) -> Annotation {
    BUILT_IN.infer(server, spec)
}

impl Families {
    /// The built-in table.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The table without one of its rows, for each row: for whoever wants to see what a row does.
    #[must_use]
    pub fn each_without_a_row(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        for (effect, verbs) in &self.verbs {
            for at in 0..verbs.len() {
                let mut less = self.clone();
                let gone = less.verbs.get_mut(effect).map(|verbs| verbs.remove(at));
                all.push((format!("verb {}", gone.unwrap_or_default()), less));
            }
        }
        for (at, family) in self.families.iter().enumerate() {
            let mut less = self.clone();
            less.families.remove(at);
            all.push((format!("family {}", family.name), less));
            for word in 0..family.words.len() {
                let mut less = self.clone();
                let gone = less.families[at].words.remove(word);
                all.push((format!("word {gone} of {}", family.name), less));
            }
            for field in 0..family.fields.len() {
                let mut less = self.clone();
                less.families[at].fields.remove(field);
                all.push((format!("field {field} of {}", family.name), less));
            }
            for list in 0..family.lists.len() {
                let mut less = self.clone();
                less.families[at].lists.remove(list);
                all.push((format!("list {list} of {}", family.name), less));
            }
        }
        for (at, row) in self.arguments.iter().enumerate() {
            for word in 0..row.words.len() {
                let mut less = self.clone();
                let gone = less.arguments[at].words.remove(word);
                all.push((format!("argument {gone}"), less));
            }
        }
        all
    }

    /// The annotation that this table gives to a tool.
    #[must_use]
    pub fn infer(&self, server: Server<'_>, spec: &ToolSpec) -> Annotation {
        let name = words_of(&spec.name);
        let is_closed = server.is_closed;
        let server = server.name;
        let (verb, verb_effect) = self.verb(&name, server);
        let family = self.family(&name, server, is_closed);
        let arguments = parameters(&spec.parameters);
        if arguments.len() > ARGUMENTS_MAX {
            return highest();
        }
        let verb_effect = match verb_effect {
            Effect::Read if !self.only_looks(&name, family, &arguments) => Effect::Execute,
            effect => effect,
        };
        let is_reading = verb_effect == Effect::Read;
        let slots = arguments.iter().map(|(name, schema)| {
            let slot = self.slot(name, schema, &spec.parameters, family, is_reading);
            (name.clone(), slot)
        });
        let mut slots: BTreeMap<String, Slot> = slots.collect();
        if matches!(verb_effect, Effect::Send | Effect::Grant) {
            lead(&name, &mut slots);
        }
        let has = |role: SlotRole| slots.values().any(|slot| slot.role == role);
        let goes_out = slots.values().any(|slot| {
            slot.role == SlotRole::Where && matches!(slot.kind, Kind::Url | Kind::Host)
        }) || has_strange(&slots);
        let closed = is_closed && family.is_some_and(|family| family.members);
        let (effect, reach) = effect_and_reach(verb_effect, family, goes_out, closed, &slots);
        let reads_own = effect == Effect::Read;
        let undoable =
            effect == Effect::Write && family.is_some_and(|family| family.undoable.contains(&verb));
        Annotation {
            effect,
            people: (effect == Effect::Write && has(SlotRole::Who)).then_some(Effect::Send),
            reach,
            undoable,
            makes: makes(&name),
            follows: reads_own,
            connector: connector(server, family),
            fields: if reads_own || effect.leaves_traces() {
                family.map_or_else(Vec::new, |family| family.fields_of(&name))
            } else {
                Vec::new()
            },
            own: family.and_then(|family| family.own.clone()),
            slots,
            output: Label {
                origins: Origins::of(Origin::Stranger),
                readers: if reads_own {
                    Readers::Private
                } else {
                    Readers::Public
                },
            },
        }
    }

    /// What is known of an argument: `file_id` is an id, `start_time` a time, for the last word says what
    /// it is.
    fn row(&self, words: &[String]) -> Option<&ArgumentRow> {
        let known = |word: &String| self.arguments.iter().find(|row| row.words.contains(word));
        words.iter().rev().find_map(known)
    }

    /// The family of a tool: that of the most words in its name, else that of its server.
    fn family(&self, name: &[String], server: &str, is_closed: bool) -> Option<&Family> {
        let server = words_of(server);
        // Where several fit, the strictest.
        let fits = |words: &[String]| {
            self.families
                .iter()
                .filter(|family| words.iter().any(|word| family.words.contains(word)))
                .max_by_key(|family| (family.guarded, family.public, !family.members))
        };
        let by_server = fits(&server);
        let by_name = fits(name);
        match (by_name, by_server) {
            // In a closed workspace `user` is a member of it, and nothing of an account.
            (Some(own), Some(outer)) if is_closed && outer.members && own.name == "account" => {
                Some(outer)
            }
            (Some(own), _) => Some(own),
            (None, outer) => outer,
        }
    }

    fn slot(
        &self,
        name: &str,
        schema: &Value,
        root: &Value,
        family: Option<&Family>,
        is_reading: bool,
    ) -> Slot {
        let words = words_of(name);
        let shape = shape(schema, root);
        let is_switch = words.iter().any(|word| SHOWING.contains(&word.as_str()));
        if is_switch && !is_reading {
            return Slot {
                role: SlotRole::Who,
                kind: Kind::Enum,
            };
        }
        // An object that may hold anything may say who and where.
        let row = self.row(&words).filter(|_| !is_object(schema, root));
        let Some(row) = row else {
            return match shape {
                // The third row, the fifth seat: which one it is, where something is done to it.
                Some(Kind::Number) if !is_reading => Slot {
                    role: SlotRole::Which,
                    kind: Kind::Amount,
                },
                Some(kind) => plain(kind),
                // What is not known may say who and where.
                None => Slot {
                    role: SlotRole::Who,
                    kind: Kind::Text,
                },
            };
        };
        let kind = match row.kind {
            ArgumentKind::Is(kind) => kind,
            ArgumentKind::Person(_)
                if words.iter().any(|word| word == "email" || word == "mail") =>
            {
                Kind::Address
            }
            ArgumentKind::Person(_) => family
                .and_then(|family| family.person)
                .unwrap_or(Kind::Name),
        };
        let role = match row.role {
            // The id of somebody, or of a place, says who or where.
            SlotRole::Which if kind == Kind::Id && !is_reading => {
                let mut named = words.iter().filter(|word| !THINGS.contains(&word.as_str()));
                let of = named.find_map(|word| self.row(std::slice::from_ref(word)));
                match of.map(|row| row.role) {
                    Some(role @ (SlotRole::Who | SlotRole::Where)) => role,
                    _ => SlotRole::Which,
                }
            }
            role => role,
        };
        match (role, shape) {
            // A switch says nothing of who or where; a number can be an account or a sum.
            (_, Some(Kind::Bool)) => plain(Kind::Bool),
            (SlotRole::Payload | SlotRole::Plain, Some(kind)) => plain(kind),
            (_, Some(kind)) if is_reading => plain(kind),
            // In a store of the owner's own, a name in a question is a question.
            (SlotRole::Who | SlotRole::Which | SlotRole::Payload, None)
                if is_reading && !matches!(kind, Kind::Url | Kind::Host) =>
            {
                Slot {
                    role: SlotRole::Plain,
                    kind,
                }
            }
            // Text in a guarded place is what is set there.
            (SlotRole::Payload | SlotRole::Plain, None)
                if !is_reading
                    && family.is_some_and(|family| family.guarded)
                    && !kind.is_closed() =>
            {
                match words.last().map(String::as_str) {
                    Some("subject" | "description" | "note" | "title" | "comment") => Slot {
                        role: SlotRole::Payload,
                        kind: Kind::Text,
                    },
                    _ => Slot {
                        role: SlotRole::Which,
                        kind: Kind::Text,
                    },
                }
            }
            (role, _) => Slot { role, kind },
        }
    }
}

impl Family {
    /// The kind of thing that a noun speaks of, in a list of them.
    fn lists(&self, word: &str) -> Option<&(String, Kind, FieldRole)> {
        let is_it = |noun: &str| word == noun || word.strip_prefix(noun) == Some("s");
        self.lists.iter().find(|(noun, _, _)| is_it(noun))
    }

    /// The fields, for one row and for a list of them; and a plain list of names.
    fn fields_of(&self, name: &[String]) -> Vec<Field> {
        let mut fields = Vec::new();
        for row in &self.fields {
            let (path, kind, role, author) = match row {
                FieldRow::Plain(path, kind, role) => (path, *kind, *role, None),
                FieldRow::Written(path, kind, role, author) => (path, *kind, *role, Some(author)),
            };
            for prefix in ["", "[]."] {
                fields.push(Field {
                    path: format!("{prefix}{path}"),
                    kind,
                    role,
                    author: author.map(|author| format!("{prefix}{author}")),
                });
            }
        }
        // `get_users_in_channel` lists users: the first noun says of what.
        let list = name.iter().find_map(|word| self.lists(word));
        if let Some((_, kind, role)) = list {
            fields.push(Field {
                path: "[]".to_owned(),
                kind: *kind,
                role: *role,
                author: None,
            });
        }
        fields
    }
}

fn connector(server: &str, family: Option<&Family>) -> String {
    match (server, family) {
        (server, Some(family)) if !server.is_empty() => format!("{server}/{}", family.name),
        (server, _) => server.to_owned(),
    }
}

/// An argument that nothing is known of may be an address as well as anything else.
fn has_strange(slots: &BTreeMap<String, Slot>) -> bool {
    slots
        .values()
        .any(|slot| slot.role == SlotRole::Who && slot.kind == Kind::Text)
}

fn highest() -> Annotation {
    Annotation {
        effect: Effect::Execute,
        reach: Reach::Outside,
        ..Annotation::reads(Label::stranger(Readers::Private))
    }
}

fn plain(kind: Kind) -> Slot {
    Slot {
        role: SlotRole::Plain,
        kind,
    }
}
