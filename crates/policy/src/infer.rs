//! What can be said of a tool that nobody annotated: from the verb in its name, the names and types
//! of its arguments, and a small table of families.
//!
//! The table only ever loosens: a verb, a noun or an argument that it does not know has the highest
//! risk. So a row that is taken away can add questions and can let nothing through. Descriptions are
//! text of whoever wrote the tool and are not read.

use instar_protocol::Label;
use instar_protocol::tool::{Effect, ToolSpec};
use instar_protocol::{Origin, Origins, Readers};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::annotation::{Annotation, Field, FieldRole, OwnRow, Reach, Slot, SlotRole};
use crate::typed::Kind;

/// The table as it is built in.
const TABLE: &str = include_str!("../families.json");

/// Arguments beyond this number are not looked at: a tool with more has the highest risk.
const ARGUMENTS_MAX: usize = 100;

/// The deepest part of an argument that is looked at by itself.
const PARTS_DEPTH_MAX: usize = 4;

/// Verbs that make a new thing.
const MAKING: [&str; 14] = [
    "create", "draft", "upload", "copy", "insert", "send", "reply", "forward", "post", "publish",
    "book", "reserve", "schedule", "order",
];
/// Verbs that speak to whoever wrote the thing that is named.
const ANSWERING: [&str; 6] = ["reply", "respond", "answer", "comment", "react", "post"];
/// What can be sent along or shared, by the noun in front of its id.
const THINGS: [&str; 22] = [
    "file",
    "document",
    "doc",
    "folder",
    "note",
    "page",
    "sheet",
    "spreadsheet",
    "attachment",
    "email",
    "mail",
    "message",
    "photo",
    "image",
    "picture",
    "video",
    "event",
    "calendar",
    "album",
    "report",
    "draft",
    "item",
];
/// Words of reading that are as often the beginning of something else.
const DOUBTFUL: [&str; 3] = ["open", "load", "check"];
/// Words behind a verb that make another one of it: `check_out`.
const PARTICLES: [&str; 8] = ["out", "in", "up", "off", "down", "over", "away", "into"];
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
            self.lead(&name, &mut slots);
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

    /// True if a tool that begins with a word of reading does nothing else: `check_out` and `open_ticket`
    /// do.
    fn only_looks(
        &self,
        name: &[String],
        family: Option<&Family>,
        arguments: &[(String, Value)],
    ) -> bool {
        let rest = name.get(1..).unwrap_or_default();
        let destroys = self.verbs.get(&Effect::Destroy);
        let is_other = |word: &String| {
            let word = word.as_str();
            let destroys = destroys.is_some_and(|all| all.iter().any(|verb| verb == word));
            word == "replace" || PARTICLES.contains(&word) || destroys
        };
        if rest.first().is_some_and(is_other) {
            return false;
        }
        let first = name.first().map_or("", String::as_str);
        if !DOUBTFUL.contains(&first) {
            return true;
        }
        let is_noun = |word: &String| {
            let mut families = self.families.iter();
            families.any(|family| family.words.contains(word) || family.lists(word).is_some())
        };
        let sets = |(path, _): &(String, Value)| {
            let row = self.row(&words_of(path));
            row.is_some_and(|row| matches!(row.role, SlotRole::Payload | SlotRole::Amount))
        };
        let is_guarded = family.is_some_and(|family| family.guarded);
        rest.iter().any(is_noun) && !is_guarded && !arguments.iter().any(sets)
    }

    /// What a thing is sent to is a place, whatever it is called: the thread of an answer, a room by its id.
    /// Only what is known to be sent along is none.
    fn lead(&self, name: &[String], slots: &mut BTreeMap<String, Slot>) {
        let answers = name
            .first()
            .is_some_and(|verb| ANSWERING.contains(&verb.as_str()));
        let leads = |slot: &Slot| matches!(slot.role, SlotRole::Who | SlotRole::Where);
        let nouns: Vec<String> = name.to_vec();
        for (path, slot) in slots.iter_mut() {
            if slot.role != SlotRole::Which || slot.kind == Kind::Amount {
                continue;
            }
            let words = words_of(path);
            let of = if words.len() > 1 { &words } else { &nouns };
            let is_thing = of
                .iter()
                .any(|word| THINGS.contains(&word.trim_end_matches('s')));
            if answers || !is_thing {
                slot.role = SlotRole::Where;
            }
        }
        if !slots.values().any(leads) {
            let things = slots
                .values_mut()
                .filter(|slot| slot.role == SlotRole::Which);
            things.for_each(|slot| slot.role = SlotRole::Where);
        }
    }

    /// What is known of an argument: `file_id` is an id, `start_time` a time, for the last word says what
    /// it is.
    fn row(&self, words: &[String]) -> Option<&ArgumentRow> {
        let known = |word: &String| self.arguments.iter().find(|row| row.words.contains(word));
        words.iter().rev().find_map(known)
    }

    /// The verb of a name with its effect. A name that begins with what it is about, its server or a word
    /// of a family, has the worst verb of those that it holds; one that begins with anything else
    /// executes, for nouns are verbs too: what does `purge_email` do to a mail?
    fn verb(&self, name: &[String], server: &str) -> (String, Effect) {
        let effect_of = |word: &String| {
            self.verbs
                .iter()
                .find(|(_, verbs)| verbs.contains(word))
                .map(|(effect, _)| *effect)
        };
        let none = || (String::new(), Effect::Execute);
        let Some(first) = name.first() else {
            return none();
        };
        // `find_and_delete` does the second thing too.
        let joined = name
            .windows(2)
            .filter(|pair| matches!(pair[0].as_str(), "and" | "or" | "then"))
            .map(|pair| {
                (
                    pair[1].clone(),
                    effect_of(&pair[1]).unwrap_or(Effect::Execute),
                )
            });
        let is_about = |word: &String| {
            let families = || self.families.iter();
            words_of(server).contains(word) || families().any(|family| family.words.contains(word))
        };
        let own = match effect_of(first) {
            Some(effect) => vec![(first.clone(), effect)],
            None if !is_about(first) => vec![(first.clone(), Effect::Execute)],
            None => name
                .iter()
                .filter_map(|word| Some((word.clone(), effect_of(word)?)))
                // A noun such as `search` or `mail` in the middle is no reason to think it harmless.
                .map(|(word, effect)| (word, effect.max(Effect::Send)))
                .collect(),
        };
        own.into_iter()
            .chain(joined)
            .max_by_key(|(_, effect)| *effect)
            .unwrap_or_else(none)
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

/// What the tool does, and to whom.
fn effect_and_reach(
    verb: Effect,
    family: Option<&Family>,
    goes_out: bool,
    closed: bool,
    slots: &BTreeMap<String, Slot>,
) -> (Effect, Reach) {
    let has = |role: SlotRole| slots.values().any(|slot| slot.role == role);
    let guarded = family.is_some_and(|family| family.guarded);
    let public = family.is_some_and(|family| family.public);
    let members = family.is_some_and(|family| family.members);
    let effect = match verb {
        // Nobody knows where a question goes that an unknown service is asked.
        Effect::Read if goes_out || public || (family.is_none() && asks_freely(slots)) => {
            Effect::Fetch
        }
        // Sums are moved, whatever the verb.
        Effect::Write | Effect::Send | Effect::Grant if has(SlotRole::Amount) || guarded => {
            Effect::Spend
        }
        // Adding to an own list is a note; adding somebody is an invitation.
        Effect::Grant if !has(SlotRole::Who) => Effect::Write,
        // A calendar does not call in its own name.
        Effect::Spend if !has(SlotRole::Amount) && is_noted(family) => Effect::Write,
        // What is written on the web, or into a room, is said to whoever reads there.
        Effect::Write if goes_out || public || (members && has(SlotRole::Payload)) => Effect::Send,
        other => other,
    };
    let effect = match (verb, family) {
        (Effect::Grant, Some(family)) if family.name == "calendar" => Effect::Write,
        _ => effect,
    };
    let names_outsider = slots.values().any(|slot| slot.kind == Kind::Address);
    let reach = match effect {
        Effect::None | Effect::Read if closed => Reach::Closed,
        Effect::None | Effect::Read => Reach::Own,
        Effect::Fetch => Reach::Public,
        _ if goes_out && public => Reach::Public,
        // What an unknown service does with what is written there, nobody knows.
        Effect::Write if !goes_out && family.is_some() => Reach::Own,
        Effect::Send | Effect::Grant if closed && !names_outsider && !goes_out => Reach::Closed,
        _ => Reach::Outside,
    };
    (effect, reach)
}

/// True if an argument can say anything.
fn asks_freely(slots: &BTreeMap<String, Slot>) -> bool {
    slots.values().any(|slot| !slot.kind.is_closed())
}

fn is_noted(family: Option<&Family>) -> bool {
    family.is_some_and(|family| family.name == "calendar")
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
        people: None,
        reach: Reach::Outside,
        undoable: false,
        makes: false,
        follows: false,
        connector: String::new(),
        slots: BTreeMap::new(),
        fields: Vec::new(),
        own: None,
        output: Label::stranger(Readers::Private),
    }
}

fn plain(kind: Kind) -> Slot {
    Slot {
        role: SlotRole::Plain,
        kind,
    }
}

/// True if a name begins with a verb that makes a new thing and says no more: what such a tool returns is
/// the record of it.
fn makes(name: &[String]) -> bool {
    let begins = name
        .first()
        .is_some_and(|first| MAKING.contains(&first.as_str()));
    let joined = |word: &String| matches!(word.as_str(), "and" | "or" | "then");
    begins && !name.iter().any(joined)
}

/// The arguments by their paths, down to those that hold no declared parts: `body.attendees.email`.
fn parameters(root: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let properties = root.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        parts(name.clone(), schema, root, 0, &mut found);
    }
    found
}

fn parts(
    path: String,
    schema: &Value,
    root: &Value,
    depth: usize,
    found: &mut Vec<(String, Value)>,
) {
    let schema = resolved(schema, root);
    let inner = match schema.get("items") {
        Some(items) => resolved(items, root),
        None => schema,
    };
    let properties = inner.get("properties").and_then(Value::as_object);
    match properties.filter(|properties| !properties.is_empty() && depth < PARTS_DEPTH_MAX) {
        Some(properties) if found.len() <= ARGUMENTS_MAX => {
            for (name, schema) in properties {
                parts(format!("{path}.{name}"), schema, root, depth + 1, found);
            }
        }
        _ => found.push((path, schema.clone())),
    }
}

fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let found = reference.and_then(|reference| root.pointer(reference.strip_prefix('#')?));
    found.unwrap_or(schema)
}

/// True if an argument may be an object, or a list of them.
fn is_object(schema: &Value, root: &Value) -> bool {
    let schema = resolved(schema, root);
    let is_named = |name: &Value| name.as_str() == Some("object");
    let is_typed = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(is_named),
        Some(name) => is_named(name),
        None => schema.get("properties").is_some(),
    };
    let inner = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|key| schema.get(*key)?.as_array());
    let mut ways = inner.flatten().chain(schema.get("items"));
    is_typed || ways.any(|way| way != schema && is_object_within(way, root))
}

/// The same one step further in; deeper than that nobody writes a type.
fn is_object_within(schema: &Value, root: &Value) -> bool {
    let schema = resolved(schema, root);
    schema.get("properties").is_some()
        || schema.get("type").and_then(Value::as_str) == Some("object")
}

/// The closed kind of an argument by its type: a switch, a number, a fixed set of words.
fn shape(schema: &Value, root: &Value) -> Option<Kind> {
    let schema = resolved(schema, root);
    if schema.get("enum").is_some() || schema.get("const").is_some() {
        return Some(Kind::Enum);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(ways)) = schema.get(key) {
            let mut kinds = ways
                .iter()
                .filter(|way| way.get("type").and_then(Value::as_str) != Some("null"))
                .map(|way| shape(way, root));
            let first = kinds.next()??;
            return kinds.all(|kind| kind == Some(first)).then_some(first);
        }
    }
    match schema.get("type").and_then(Value::as_str)? {
        "boolean" => Some(Kind::Bool),
        "integer" | "number" => Some(Kind::Number),
        "array" => shape(schema.get("items")?, root),
        _ => None,
    }
}

/// The words of a name: `send_direct_message`, `sendDirectMessage`, `send-direct-message`.
pub(crate) fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_lower = false;
    let mut is_open = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            is_open = false;
            is_lower = false;
            continue;
        }
        if !is_open || (is_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        is_open = true;
        is_lower = c.is_lowercase() || c.is_numeric();
    }
    words
}
