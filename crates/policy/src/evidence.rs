//! What a run has seen, taken apart into typed fields: the only thing that can show whose wish a
//! value is.
//!
//! Nothing in here is instructions. A field is known by the tool that returned it, its path, its kind
//! and who vouches for it; text that somebody wrote is kept only to find out where a link came from.

use instar_protocol::tool::Effect;
use instar_protocol::{Origin, Readers};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use crate::annotation::{Annotation, Field, FieldRole, OwnRow, Reach, SlotRole};
use crate::authority::{Known, Role};
use crate::grade::{Graded, OWNERS_INBOX};
use crate::links::carried;
use crate::recorded::Recorded;
use crate::typed::{Kind, Typed, normal};
use crate::words::{Words, is_pasted};

/// Rows beyond this number are not remembered: their values have no evidence.
const ROWS_MAX: usize = 4_096;
/// Cells of one row.
const CELLS_MAX: usize = 256;
/// The deepest nesting that is looked into.
const DEPTH_MAX: usize = 12;
/// Characters of one text that are searched for links and codes.
const TEXT_CHARS_MAX: usize = 200_000;

/// What a value on a list of the owner's may be. A text that is several of these counts as each.
const KINDS_OF_PEOPLE: [Kind; 6] = [
    Kind::Address,
    Kind::Phone,
    Kind::Url,
    Kind::Account,
    Kind::Name,
    Kind::Channel,
];

/// What a run has seen.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub(crate) words: Words,
    /// The owner's own addresses and accounts.
    pub(crate) own: BTreeSet<Typed>,
    /// What the owner put on a list of his.
    pub(crate) lists: BTreeSet<Typed>,
    /// People the owner wrote to first or entered himself.
    pub(crate) contacts: BTreeSet<Typed>,
    pub(crate) rows: Vec<Row>,
    /// Who wrote each link and code that was read: a stranger, if one of its writers is one.
    pub(crate) carried: BTreeMap<String, Origin>,
    /// Where things were read that not everybody may see: connectors, with the tools that read there.
    private: BTreeMap<String, BTreeSet<String>>,
    results: usize,
}

/// One row of a result.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The result that it came in.
    pub(crate) result: usize,
    pub(crate) tool: String,
    pub(crate) connector: String,
    /// Somebody other than the owner had a say in which rows were asked for.
    pub(crate) is_steered: bool,
    /// The owner named where it was to be read.
    pub(crate) is_named: bool,
    /// All that the tool has was asked for.
    pub(crate) is_whole: bool,
    /// Entered or accepted by the owner.
    pub(crate) is_own: bool,
    /// Somebody other than the owner had a say in which rows came back, be it by a number.
    pub(crate) is_cut: bool,
    /// It came from a call that made something.
    pub(crate) is_made: bool,
    /// What that call was given.
    pub(crate) given: BTreeSet<String>,
    pub(crate) cells: Vec<Cell>,
}

/// One field of a row.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) role: FieldRole,
    pub(crate) text: String,
    pub(crate) typed: Option<Typed>,
    pub(crate) origin: Origin,
}

/// Where something was brought by the owner himself.
pub(crate) const OWNERS_MESSAGES: &str = "your messages";

impl Evidence {
    /// Nothing but what the owner said.
    #[must_use]
    pub fn of_words(text: &str) -> Self {
        let mut evidence = Self::default();
        evidence.owner_words(text);
        evidence
    }

    /// Adds a message of the owner's.
    pub fn owner_words(&mut self, text: &str) {
        self.words.add(text);
        if is_pasted(text) {
            self.brought();
        }
    }

    /// Adds whom and what the owner vouches for.
    pub fn known(&mut self, known: &Known) {
        for (texts, set) in [
            (&known.own, &mut self.own),
            (&known.contacts, &mut self.contacts),
            (&known.destinations, &mut self.lists),
        ] {
            for text in texts {
                set.extend(
                    KINDS_OF_PEOPLE
                        .iter()
                        .filter_map(|kind| normal(*kind, text)),
                );
            }
        }
    }

    #[must_use]
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// The owner's own address or account.
    pub fn own(&mut self, kind: Kind, text: &str) {
        self.own.extend(normal(kind, text));
    }

    /// A value on one of the owner's lists.
    pub fn list(&mut self, kind: Kind, text: &str) {
        self.lists.extend(normal(kind, text));
    }

    /// Somebody whom the owner wrote to first or entered himself.
    pub fn contact(&mut self, kind: Kind, text: &str) {
        self.contacts.extend(normal(kind, text));
    }

    /// People to whom a call of the owner's goes at his own word, and who stand in nothing that was
    /// read so far: whom he writes to first. Names are not among them, for many people have the same.
    #[must_use]
    pub fn written_to_first(&self, facts: &Recorded) -> Vec<Typed> {
        let is_full = self.rows.len() >= ROWS_MAX;
        if facts.effect != Effect::Send || facts.role != Role::Owner || is_full {
            return Vec::new();
        }
        let is_person = |kind| matches!(kind, Kind::Address | Kind::Phone | Kind::Account);
        let was_read = |typed: &Typed| {
            self.carried.contains_key(&typed.form) || self.rows.iter().any(|row| row.has(typed))
        };
        let targets = facts.values.iter();
        targets
            .filter(|(role, typed)| *role == SlotRole::Who && is_person(typed.kind))
            .map(|(_, typed)| typed)
            .filter(|typed| self.words.has(typed) && !was_read(typed) && !self.own.contains(typed))
            .cloned()
            .collect()
    }

    /// True if text of somebody else was read.
    #[must_use]
    pub fn has_results(&self) -> bool {
        self.results > 0
    }

    /// Takes a result of a tool apart.
    pub fn result(
        &mut self,
        tool: &str,
        annotation: &Annotation,
        arguments: &Value,
        value: &Value,
        readers: &Readers,
    ) {
        self.source(&annotation.connector, tool, readers);
        let result = self.results;
        self.results += 1;
        let asked = self.asked(annotation, arguments);
        let mut walk = Walk {
            fields: annotation
                .fields
                .iter()
                .map(|field| (field.path.as_str(), field))
                .collect(),
            rows: Vec::new(),
        };
        walk.begin(value);
        let made = annotation.makes && annotation.effect.leaves_traces() && walk.rows.len() == 1;
        let given: BTreeSet<String> = match made {
            true => texts(arguments).into_iter().collect(),
            false => BTreeSet::new(),
        };
        for found in walk.rows {
            if self.rows.len() >= ROWS_MAX {
                return;
            }
            let row = Row {
                result,
                tool: tool.to_owned(),
                connector: annotation.connector.clone(),
                is_steered: asked.is_steered,
                is_named: asked.is_named,
                is_whole: asked.is_whole,
                is_own: false,
                is_cut: asked.is_cut,
                is_made: made,
                given: given.clone(),
                cells: Vec::new(),
            };
            self.add_row(annotation, row, &found);
        }
    }

    /// A result without structure: free text, from nobody in particular.
    pub fn text(
        &mut self,
        (connector, tool): (&str, &str),
        text: &str,
        origin: &Origin,
        readers: &Readers,
    ) {
        self.results += 1;
        self.source(connector, tool, readers);
        self.carry(text, origin);
    }

    /// Something that the owner pasted or attached: private, and meant for where his words lead.
    pub fn brought(&mut self) {
        let tools = self.private.entry(OWNERS_MESSAGES.to_owned()).or_default();
        tools.insert(OWNERS_MESSAGES.to_owned());
    }

    fn source(&mut self, connector: &str, tool: &str, readers: &Readers) {
        // What the owner answers is his own word, and no place where something was read.
        if *readers != Readers::Public && connector != OWNERS_INBOX {
            let tools = self.private.entry(connector.to_owned()).or_default();
            tools.insert(tool.to_owned());
        }
    }

    /// Where private things were read, but for this connector and for tools whose results may go along.
    pub(crate) fn private_sources(
        &self,
        but: Option<&str>,
        may_go: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let others = self.private.iter();
        let others = others.filter(|(connector, _)| Some(connector.as_str()) != but);
        let kept = others.filter(|(_, tools)| !tools.iter().all(|tool| may_go(tool)));
        kept.map(|(connector, _)| connector.clone()).collect()
    }

    /// True for the owner's own address or account.
    pub(crate) fn is_own_value(&self, value: &Graded) -> bool {
        normal(value.kind, &value.text).is_some_and(|typed| self.own.contains(&typed))
    }

    fn add_row(&mut self, annotation: &Annotation, mut row: Row, found: &[Found<'_>]) {
        let party = |path: &str| {
            let cell = found.iter().find(|cell| cell.path == path)?;
            let kind = cell.field.map_or(Kind::Name, |field| field.kind);
            normal(kind, &cell.text)
        };
        for cell in found {
            let (kind, role) = cell.field.map_or((Kind::Text, FieldRole::Text), |field| {
                (field.kind, field.role)
            });
            let typed = normal(kind, &cell.text);
            let origin = match role {
                FieldRole::System => Origin::System,
                FieldRole::Party => self.party(annotation.reach, typed.as_ref()),
                FieldRole::Text if row.is_made => Origin::System,
                FieldRole::Text => {
                    let author = cell.field.and_then(|field| field.author.as_deref());
                    author.map_or(Origin::Stranger, |path| {
                        self.party(annotation.reach, party(path).as_ref())
                    })
                }
            };
            if role == FieldRole::Text && !row.is_made {
                self.carry(&cell.text, &origin);
            }
            row.cells.push(Cell {
                path: cell.path.clone(),
                kind,
                role,
                text: cell.text.clone(),
                typed,
                origin,
            });
        }
        row.is_own = annotation
            .own
            .as_ref()
            .is_some_and(|own| self.is_own_row(own, &row));
        self.rows.push(row);
    }

    /// True if the owner entered the thing himself or accepted it.
    fn is_own_row(&self, own: &OwnRow, row: &Row) -> bool {
        let at = |path: &str| {
            let mut cells = row.cells.iter();
            cells.find(|cell| cell.path.trim_start_matches("[].") == path)
        };
        let is_mine = |cell: &Cell| {
            cell.typed
                .as_ref()
                .is_some_and(|typed| self.own.contains(typed))
        };
        // Who made it settles it, where that is told.
        if let Some(cell) = own.by.iter().find_map(|path| at(path)) {
            return is_mine(cell);
        }
        at(&own.path).is_some_and(|cell| match own.equals.as_slice() {
            [] => is_mine(cell),
            words => words
                .iter()
                .any(|word| word.eq_ignore_ascii_case(&cell.text)),
        })
    }

    /// Who a party is: the owner, somebody he knows, or a stranger. The members of a closed workspace
    /// are known there.
    fn party(&self, reach: Reach, typed: Option<&Typed>) -> Origin {
        match typed {
            Some(typed) if self.own.contains(typed) => Origin::Owner,
            Some(typed) if reach == Reach::Closed || self.contacts.contains(typed) => {
                Origin::Contact(typed.form.clone())
            }
            _ => Origin::Stranger,
        }
    }

    /// Remembers the links and codes of a text with their writer.
    fn carry(&mut self, text: &str, origin: &Origin) {
        let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
        for piece in carried(&text) {
            let writer = self.carried.entry(piece).or_insert_with(|| origin.clone());
            // One who is not known makes it his: nobody can tell who had it first.
            if *origin == Origin::Stranger {
                *writer = Origin::Stranger;
            }
        }
    }

    /// Who chose what was asked for.
    fn asked(&self, annotation: &Annotation, arguments: &Value) -> Asked {
        let mut asked = Asked {
            is_steered: false,
            is_named: false,
            is_whole: true,
            is_cut: false,
        };
        for leaf in annotation.leaves(arguments) {
            if leaf.text.is_empty() {
                continue;
            }
            asked.is_whole = false;
            let slot = leaf.slot;
            let typed = normal(slot.kind, &leaf.text);
            let is_said =
                typed.is_some_and(|typed| self.words.has(&typed)) || self.words.says(&leaf.text);
            asked.is_cut |= !is_said;
            if slot.kind.is_closed() {
                continue;
            }
            if is_said {
                asked.is_named |= slot.role != SlotRole::Payload || slot.kind == Kind::Text;
            } else {
                asked.is_steered = true;
            }
        }
        asked
    }
}

struct Asked {
    is_steered: bool,
    is_named: bool,
    is_whole: bool,
    is_cut: bool,
}

/// The texts in an argument: itself, or its items.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
    }
}

/// A field as it was found.
struct Found<'a> {
    path: String,
    field: Option<&'a Field>,
    text: String,
}

/// Goes through a result. Objects in the outermost list are rows; so is a result that is no list,
/// and so is each plain item of a list.
struct Walk<'a> {
    fields: BTreeMap<&'a str, &'a Field>,
    rows: Vec<Vec<Found<'a>>>,
}

impl<'a> Walk<'a> {
    fn begin(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                for item in items {
                    let mut row = Vec::new();
                    self.cells(item, "[]", 1, &mut row);
                    self.rows.push(row);
                }
            }
            Value::Object(fields) => {
                if let Some((path, items)) = self.framed(fields) {
                    for item in items {
                        let mut row = Vec::new();
                        self.cells(item, &path, 1, &mut row);
                        self.rows.push(row);
                    }
                } else {
                    let mut row = Vec::new();
                    self.cells(value, "", 0, &mut row);
                    self.rows.push(row);
                }
            }
            _ => {
                let mut row = Vec::new();
                self.cells(value, "", 0, &mut row);
                self.rows.push(row);
            }
        }
    }

    /// The one list in an object that says nothing itself, as many servers answer, and the path of its
    /// items: their own, where that is declared, else that of a list without a frame.
    fn framed<'b>(&self, fields: &'b Map<String, Value>) -> Option<(String, &'b Vec<Value>)> {
        let mut lists = fields
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_array()?)))
            .filter(|(_, items)| items.iter().any(Value::is_object));
        let (name, items) = lists.next()?;
        let is_alone = lists.next().is_none() && !fields.values().any(Value::is_object);
        let says_something = fields
            .keys()
            .any(|name| self.fields.contains_key(name.as_str()));
        if !is_alone || says_something {
            return None;
        }
        let own = format!("{name}[]");
        let is_declared = self.fields.keys().any(|path| path.starts_with(&own));
        Some((if is_declared { own } else { "[]".to_owned() }, items))
    }

    fn cells(&self, value: &Value, path: &str, depth: usize, row: &mut Vec<Found<'a>>) {
        if depth > DEPTH_MAX || row.len() >= CELLS_MAX {
            return;
        }
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for item in items {
                    self.cells(item, &format!("{path}[]"), depth + 1, row);
                }
            }
            Value::Object(fields) => {
                let keys = format!("{path}{{}}");
                let are_keys_declared = self.fields.contains_key(keys.as_str());
                for (name, value) in fields {
                    if are_keys_declared {
                        row.push(self.found(&keys, name.clone()));
                    }
                    let inner = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    self.cells(value, &inner, depth + 1, row);
                }
            }
            Value::String(text) => row.push(self.found(path, text.clone())),
            Value::Bool(_) | Value::Number(_) => row.push(self.found(path, value.to_string())),
        }
    }

    fn found(&self, path: &str, text: String) -> Found<'a> {
        Found {
            path: path.to_owned(),
            field: self.fields.get(path).copied(),
            text,
        }
    }
}
