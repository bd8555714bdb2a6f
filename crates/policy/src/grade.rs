//! How well a value is evidenced: four grades.

use instar_protocol::Origin;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::annotation::{FieldRole, Slot, SlotRole};
use crate::evidence::{Cell, Evidence, Row};
use crate::infer::words_of;
use crate::plan::Pick;
use crate::typed::{Kind, Typed, normal};

/// How a value that says who or where is traced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Grade {
    /// Only in free text, or nowhere.
    G0,
    /// Member of a list that the system gave; the model chose it.
    G1,
    /// From a system or party field of the one row that the owner's words select.
    G2,
    /// In the owner's words, or on a list of his.
    G3,
}

impl Grade {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::G0 => "G0",
            Self::G1 => "G1",
            Self::G2 => "G2",
            Self::G3 => "G3",
        }
    }
}

/// A value with its grade and where that comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Graded {
    pub path: String,
    pub text: String,
    pub role: SlotRole,
    pub kind: Kind,
    pub grade: Grade,
    pub origin: Origin,
    /// The row is the owner's own: entered or accepted by him.
    pub is_own_row: bool,
    /// Somebody whom the owner wrote to first or entered himself.
    pub is_known: bool,
    /// Somebody whom the owner does not know has a part in the thing: owns it, shares it, is invited to it.
    pub has_others: bool,
    /// It stands verbatim in what a contact wrote in a place that the owner named.
    pub is_from_named_source: bool,
    /// Where it was found, in words.
    pub source: Option<String>,
}

/// The connector of the agent's own files.
pub const WORKSPACE: &str = "files";

/// The connector of the owner's own inbox. No server of tools can have a name like it.
pub const OWNERS_INBOX: &str = "the owner's inbox";
/// The one recipient there.
pub const OWNER: &str = "owner";

/// Words that pick one row by a number or a time of it, with the fields that they speak of.
const SELECTORS: [(&[&str], &[&str], bool); 4] = [
    (
        &["largest", "biggest", "longest"],
        &["size", "bytes", "length"],
        true,
    ),
    (
        &["smallest", "shortest"],
        &["size", "bytes", "length"],
        false,
    ),
    (
        &["latest", "newest", "last", "most recent"],
        &["time", "date", "created", "modified", "timestamp"],
        true,
    ),
    (
        &["oldest", "earliest", "first"],
        &["time", "date", "created", "modified", "timestamp"],
        false,
    ),
];

impl Evidence {
    /// Grades one value of an argument of a call of this connector.
    #[must_use]
    pub fn grade(&self, connector: &str, path: &str, slot: Slot, text: &str) -> Graded {
        let mut graded = Graded {
            path: path.to_owned(),
            text: text.to_owned(),
            role: slot.role,
            kind: slot.kind,
            grade: Grade::G0,
            origin: Origin::Stranger,
            is_own_row: false,
            is_known: false,
            has_others: false,
            is_from_named_source: false,
            source: None,
        };
        if connector == OWNERS_INBOX && slot.role == SlotRole::Who && text == OWNER {
            graded.grade = Grade::G3;
            graded.origin = Origin::System;
            graded.source = Some("your own inbox".to_owned());
            return graded;
        }
        let Some(typed) = normal(slot.kind, text) else {
            // What has no normal form can still be the owner's word for word.
            let is_said = match slot.kind {
                Kind::Text => self.words.names(text),
                Kind::Enum if slot.role == SlotRole::Who => self.opens(path, text),
                _ => false,
            };
            if is_said {
                graded.is_said(true);
            }
            return graded;
        };
        graded.is_known = self.contacts.contains(&typed);
        let is_said = match (slot.role, typed.kind) {
            // Everyday words are names of somebody as well.
            (SlotRole::Who | SlotRole::Where, Kind::Name | Kind::Channel) => {
                self.words.names(&typed.form)
            }
            _ => self.words.has(&typed),
        };
        if is_said {
            graded.is_said(true);
            return graded;
        }
        if self.lists.contains(&typed) || self.own.contains(&typed) {
            graded.grade = Grade::G3;
            graded.origin = Origin::Owner;
            graded.source = Some("your list".to_owned());
            return graded;
        }
        // A path below the workspace is a member of it.
        if typed.kind == Kind::Path && connector == WORKSPACE && !typed.form.starts_with('/') {
            graded.grade = Grade::G1;
            graded.origin = Origin::System;
            graded.source = Some("the workspace".to_owned());
        }
        self.trace(connector, &typed, &mut graded);
        graded
    }

    /// True if the owner asks in words for what this switch does: to make a thing public.
    fn opens(&self, path: &str, text: &str) -> bool {
        match text {
            "true" | "1" => words_of(path).iter().any(|word| self.words.says(word)),
            text => self.words.says(text),
        }
    }

    fn trace(&self, connector: &str, typed: &Typed, graded: &mut Graded) {
        for row in self
            .rows
            .iter()
            .filter(|row| row.speaks_for(connector, typed.kind))
        {
            for cell in &row.cells {
                if !cell.holds(typed) {
                    continue;
                }
                let is_selected = self.selects(row);
                graded.has_others |= self.has_others(row);
                // Who answers a message writes to those who have a part in it.
                graded.is_known |= typed.kind == Kind::Id
                    && graded.role == SlotRole::Where
                    && is_selected
                    && self.knows_all(row);
                let grade = if is_selected || row.has_made(cell) {
                    Grade::G2
                } else {
                    Grade::G1
                };
                if grade > graded.grade || (grade == graded.grade && row.is_own) {
                    graded.grade = grade;
                    graded.origin = cell.origin.clone();
                    graded.is_own_row = row.is_own;
                    graded.source = Some(format!("{} of {}", cell.path, row.tool));
                }
            }
        }
        if matches!(typed.kind, Kind::Url | Kind::Host) {
            self.trace_link(typed, graded);
        }
    }

    /// A link that stands, whole, in what a contact wrote in a place that the owner named.
    fn trace_link(&self, typed: &Typed, graded: &mut Graded) {
        let written_by_stranger = self.carried.get(&typed.form) == Some(&Origin::Stranger);
        if written_by_stranger {
            return;
        }
        for row in self.rows.iter().filter(|row| !row.is_steered) {
            let is_named = row.is_named || row.names_party(self);
            for cell in row.cells.iter().filter(|cell| cell.role == FieldRole::Text) {
                if is_named
                    && matches!(cell.origin, Origin::Contact(_) | Origin::Owner)
                    && crate::links::carried(&cell.text).contains(&typed.form)
                {
                    graded.is_from_named_source = true;
                    graded.origin = cell.origin.clone();
                    graded.source = Some(format!("{} of {}", cell.path, row.tool));
                }
            }
        }
    }

    /// True for the owner himself, and for whom he wrote to first or entered.
    fn knows(&self, party: &Typed) -> bool {
        self.own.contains(party) || self.contacts.contains(party)
    }

    /// True if somebody has a part in the thing that the row tells of, and the owner knows them all.
    fn knows_all(&self, row: &Row) -> bool {
        let mut parties = row.parties().peekable();
        let is_known = |party: Option<&Typed>| party.is_some_and(|party| self.knows(party));
        parties.peek().is_some() && parties.all(is_known)
    }

    /// True if somebody whom the owner does not know has a part in the thing that the row tells of.
    fn has_others(&self, row: &Row) -> bool {
        let parties: BTreeSet<&Typed> = row.parties().flatten().collect();
        let others = parties.iter().filter(|party| !self.knows(party));
        // Where nobody said who the owner is, one alone is taken for him.
        others.count() > usize::from(self.own.is_empty())
    }

    /// True if this row, and no other thing, is the one that the owner's words speak of.
    fn selects(&self, row: &Row) -> bool {
        if row.is_steered {
            return false;
        }
        if self.is_picked(row) {
            return true;
        }
        let keys = self.keys_of(row);
        if keys.is_empty() {
            return false;
        }
        let name = row.identity();
        // Whoever has as many keys as this row is as good a reading of the words.
        !self.rows.iter().any(|other| {
            other.connector == row.connector
                && !other.is_made
                && other.identity() != name
                && self.keys_of(other).len() >= keys.len()
        })
    }

    /// The cells of a row that stand in the owner's words as keys: whole names, titles, addresses,
    /// dates.
    fn keys_of<'a>(&self, row: &'a Row) -> BTreeSet<&'a str> {
        row.cells
            .iter()
            .filter(|cell| self.is_key(cell))
            .map(|cell| cell.path.as_str())
            .collect()
    }

    fn is_key(&self, cell: &Cell) -> bool {
        let text = cell.text.as_str();
        match cell.kind {
            Kind::Name | Kind::Channel | Kind::Path => text.len() <= 200 && self.words.keys(text),
            Kind::Address | Kind::Phone | Kind::Url | Kind::Account | Kind::Id => cell
                .typed
                .as_ref()
                .is_some_and(|typed| self.words.has(typed)),
            Kind::Date => text
                .split([' ', 'T'])
                .next()
                .is_some_and(|day| day.len() >= 8 && self.words.says(day)),
            _ => false,
        }
    }

    /// True if the owner's words pick this row by a number or a time of it, out of all that there is:
    /// `the largest file` speaks of the files that a tool listed, and of nothing else.
    fn is_picked(&self, row: &Row) -> bool {
        if !row.is_whole {
            return false;
        }
        let nouns = row.nouns();
        SELECTORS.iter().any(|(words, fields, is_most)| {
            if !self.words.says_of(words, &nouns) {
                return false;
            }
            self.is_extreme(row, fields, *is_most)
        })
    }

    /// True if one of these fields puts the row before all others of its list, and no other beside it.
    fn is_extreme(&self, row: &Row, fields: &[&str], is_most: bool) -> bool {
        let rank = |row: &Row| row.rank(fields);
        let Some(own) = rank(row) else {
            return false;
        };
        let others = self
            .rows
            .iter()
            .filter(|other| other.result == row.result && other.identity() != row.identity());
        let mut others = others.map(rank);
        others.all(|other| match other {
            Some(other) if is_most => other < own,
            Some(other) => other > own,
            None => false,
        })
    }

    /// Raises a value that the plan has code pick, if this is the one: out of a list that nobody but the
    /// owner had a say in.
    pub(crate) fn pick(&self, connector: &str, pick: &Pick, graded: &mut Graded) {
        let Some(typed) = normal(graded.kind, &graded.text) else {
            return;
        };
        let rows = self.rows.iter();
        let mut picked = rows
            .filter(|row| !row.is_cut && row.speaks_for(connector, typed.kind))
            .filter(|row| self.is_extreme(row, &[&pick.field], pick.most))
            .filter_map(|row| Some((row, row.cells.iter().find(|cell| cell.holds(&typed))?)));
        if graded.grade < Grade::G2
            && let Some((row, cell)) = picked.next()
        {
            let end = if pick.most { "largest" } else { "smallest" };
            graded.grade = Grade::G2;
            graded.origin = cell.origin.clone();
            graded.is_own_row = row.is_own;
            graded.source = Some(format!("the {end} {} of {}", pick.field, row.tool));
        }
    }
}

/// How a row is ranked by a field: a number, or a time as it is written, with its form.
#[derive(Clone, PartialEq, Debug)]
enum Rank {
    Number(f64),
    Time(String, String),
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => one.partial_cmp(two),
            (Self::Time(one, form), Self::Time(two, other)) if form == other => {
                one.partial_cmp(two)
            }
            _ => None,
        }
    }
}

/// The form of a time that is later where it is larger as a text: the year comes first. Times of one form
/// are in one zone and equally exact.
fn form(time: &str) -> Option<String> {
    let zone = time.get(10..)?.find(['+', '-']).map(|at| at + 10);
    let (moment, zone) = time.split_at(zone.unwrap_or(time.len()));
    let form = moment.replace(|c: char| c.is_ascii_digit(), "0");
    form.starts_with("0000-00-00").then(|| form + zone)
}

impl Row {
    /// True if the value stands in it, where a value is that somebody vouches for.
    pub(crate) fn has(&self, typed: &Typed) -> bool {
        self.cells.iter().any(|cell| cell.holds(typed))
    }

    /// True if the call made this very value: its machine returned it, and nobody had given it to it.
    fn has_made(&self, cell: &Cell) -> bool {
        let is_of_it = !cell.path.contains("[]") && !self.given.contains(&cell.text);
        self.is_made && cell.role == FieldRole::System && is_of_it
    }

    /// An id of one connector says nothing about another; names, addresses and links are the same
    /// everywhere.
    fn speaks_for(&self, connector: &str, kind: Kind) -> bool {
        !matches!(kind, Kind::Id | Kind::Path | Kind::Channel) || self.connector == connector
    }

    /// What tells this thing from another one: its ids, else all that it says.
    fn identity(&self) -> BTreeMap<&str, &str> {
        let ids: BTreeMap<&str, &str> = self
            .cells
            .iter()
            .filter(|cell| cell.kind == Kind::Id && cell.role == FieldRole::System)
            .map(|cell| (cell.path.trim_start_matches("[]."), cell.text.as_str()))
            .collect();
        if !ids.is_empty() {
            return ids;
        }
        self.cells
            .iter()
            .map(|cell| (cell.path.trim_start_matches("[]."), cell.text.as_str()))
            .collect()
    }

    /// What one of these rows is called, by the name of the tool that listed them: `list_files` gives
    /// each `file`.
    fn nouns(&self) -> BTreeSet<String> {
        let name = self.tool.rsplit("__").next().unwrap_or(&self.tool);
        let words = words_of(name);
        let of = |word: &&String| !matches!(word.as_str(), "in" | "of" | "from" | "by" | "for");
        let singular = |word: &String| word.strip_suffix('s').unwrap_or(word).to_owned();
        words.iter().skip(1).take_while(of).map(singular).collect()
    }

    /// Who has a part in the thing; none for one whose field cannot be read.
    fn parties(&self) -> impl Iterator<Item = Option<&Typed>> {
        let cells = self.cells.iter();
        let parties = cells.filter(|cell| cell.role == FieldRole::Party);
        parties.map(|cell| cell.typed.as_ref())
    }

    fn names_party(&self, evidence: &Evidence) -> bool {
        self.parties()
            .flatten()
            .any(|party| evidence.words.has(party))
    }

    fn rank(&self, fields: &[&str]) -> Option<Rank> {
        let cell = self.cells.iter().find(|cell| {
            let name = cell.path.rsplit(['.', ']']).next().unwrap_or(&cell.path);
            cell.role == FieldRole::System && fields.iter().any(|field| name.contains(field))
        })?;
        match cell.kind {
            Kind::Number | Kind::Amount => cell.text.parse().ok().map(Rank::Number),
            Kind::Date => form(&cell.text).map(|form| Rank::Time(cell.text.clone(), form)),
            _ => None,
        }
    }
}

impl Graded {
    /// Settles whether the owner said this, whatever else was found.
    pub(crate) fn is_said(&mut self, is_said: bool) {
        (self.grade, self.origin) = match is_said {
            true => (Grade::G3, Origin::Owner),
            false => (Grade::G0, Origin::Stranger),
        };
        self.source = is_said.then(|| "your words".to_owned());
    }
}

impl Cell {
    /// True if this cell vouches for the value: assigned by the system or asserted by a party that
    /// it checked. Free text vouches for nothing.
    fn holds(&self, typed: &Typed) -> bool {
        if self.role == FieldRole::Text {
            return false;
        }
        match &self.typed {
            Some(own) if own == typed => true,
            // A person is found under his name where the workspace knows people by names.
            Some(own) => {
                matches!(
                    (own.kind, typed.kind),
                    (Kind::Name, Kind::Channel) | (Kind::Channel, Kind::Name)
                ) && own.form == typed.form
            }
            None => false,
        }
    }
}
