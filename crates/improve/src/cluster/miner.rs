//! The miner: from a stream of messages to groups, each with one template.
//!
//! A message that was seen before, values aside, costs one pass and one look-up. Another is compared
//! with those of its skeleton ([`super::bucket`]), and with those that have a value where it has a word.
//! However long it runs, it holds no more than [`GROUPS_MAX`] groups: those that were seen least and
//! longest ago go first, and come back as new ones.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, Joined, Row, Setting};
use super::key::{Hashed, Keys, as_scanned, hash, keys};
use super::scan::{Kind, Piece, Scan};

/// Groups that are held.
pub const GROUPS_MAX: usize = 4_096;
/// Forms of messages that are found without a comparison.
const FORMS_MAX: usize = 16_384;
/// Words that are remembered as values.
const KNOWN_MAX: usize = 8_192;
/// Joins that are kept for whoever asks.
const JOINS_MAX: usize = 4_096;
/// Keyed values of a group that are watched.
const KEYED_MAX: usize = 32;

/// A group of messages; never given twice by one miner.
pub type GroupId = u32;

/// One group went into another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Join {
    pub kept: GroupId,
    pub gone: GroupId,
}

#[derive(Default, Debug)]
pub struct Miner {
    scan: Scan,
    forms: HashMap<u64, GroupId, Hashed>,
    buckets: HashMap<u64, Bucket, Hashed>,
    groups: HashMap<u64, Group, Hashed>,
    known: HashSet<u64, Hashed>,
    joins: Vec<Join>,
    next: GroupId,
    clock: u64,
    setting: Setting,
}

#[derive(Debug)]
struct Group {
    line: Box<[u8]>,
    pieces: Box<[Piece]>,
    skeleton: u64,
    count: u64,
    last: u64,
    /// Values behind keys: their hash as long as it was always the same.
    keyed: Vec<Option<u64>>,
}

/// A group as it is written down: what a miner needs to go on where another stopped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    pub group: GroupId,
    /// One message of the group.
    pub text: String,
    /// Which of its words vary, by their number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub varies: Vec<u16>,
    pub count: u64,
    pub last: u64,
}

impl Miner {
    /// A miner that believes in values sooner or later than the usual one.
    #[must_use]
    pub fn with(setting: Setting) -> Self {
        Self {
            setting,
            ..Self::default()
        }
    }

    /// Puts a message into a group.
    pub fn add(&mut self, message: &str) -> GroupId {
        let line = message.as_bytes();
        self.scan.read(line);
        let keys = keys(line, &self.scan.pieces, as_scanned);
        self.clock += 1;
        let group = match self.forms.get(&keys.form) {
            Some(group) if self.groups.contains_key(&u64::from(*group)) => *group,
            _ => self.learn(line, keys),
        };
        self.seen(group, line);
        group
    }

    /// The joins since this was asked last; of very many only the latest.
    pub fn take_joins(&mut self) -> Vec<Join> {
        std::mem::take(&mut self.joins)
    }

    /// How many groups are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The template of a group, values as `<*>`.
    #[must_use]
    pub fn template(&self, group: GroupId) -> Option<String> {
        let held = self.groups.get(&u64::from(group))?;
        let row = self.buckets.get(&held.skeleton)?.row(group)?;
        Some(super::template::write(
            &held.line,
            &held.pieces,
            &row.words,
            &held.keyed,
        ))
    }

    /// Everything that another miner needs to go on, the latest group last.
    #[must_use]
    pub fn keep(&self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = self
            .groups
            .iter()
            .filter_map(|(id, held)| {
                let group = GroupId::try_from(*id).ok()?;
                let row = self.buckets.get(&held.skeleton)?.row(group)?;
                let varies = row.words.iter().zip(0_u16..);
                Some(Kept {
                    group,
                    text: String::from_utf8_lossy(&held.line).into_owned(),
                    varies: varies
                        .filter(|(word, _)| word.is_none())
                        .map(|(_, place)| place)
                        .collect(),
                    count: held.count,
                    last: held.last,
                })
            })
            .collect();
        kept.sort_unstable_by_key(|kept| kept.group);
        kept
    }

    /// A miner that goes on where another stopped.
    #[must_use]
    pub fn resume(kept: &[Kept]) -> Self {
        let mut miner = Self::default();
        for kept in kept.iter().take(GROUPS_MAX) {
            miner.put_back(kept);
        }
        miner
    }

    fn put_back(&mut self, kept: &Kept) {
        let line = kept.text.as_bytes();
        self.scan.read(line);
        let keys = keys(line, &self.scan.pieces, as_scanned);
        self.next = self.next.max(kept.group.saturating_add(1));
        self.clock = self.clock.max(kept.last);
        self.open(kept.group, line, keys);
        if let Some(held) = self.groups.get_mut(&u64::from(kept.group)) {
            held.count = kept.count;
            held.last = kept.last;
        }
        let words = self.words(line).into_iter().zip(0_u16..);
        let words = words
            .map(|(word, place)| (!kept.varies.contains(&place)).then(|| Box::from(word)))
            .collect();
        let bucket = bucket(&mut self.buckets, keys.skeleton, self.setting);
        bucket.rows.push(Row {
            words,
            group: kept.group,
        });
        self.note_general(kept.group);
    }

    /// Finds or makes the group of a message whose form is new.
    fn learn(&mut self, line: &[u8], keys: Keys) -> GroupId {
        self.remember_keyed(line);
        if let Some(group) = self.fitting(line, keys) {
            self.note_form(keys.form, group);
            return group;
        }
        if self.groups.len() >= GROUPS_MAX {
            self.forget();
        }
        let group = self.next;
        self.next = self.next.wrapping_add(1);
        self.open(group, line, keys);
        let words = owned(&self.words(line));
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let known = &self.known;
        let bucket = bucket(&mut self.buckets, keys.skeleton, self.setting);
        let joined = bucket.add(&words, group, &|word| known.contains(&hash(word)));
        let mut at = group;
        for joined in joined {
            at = self.joined(&joined);
        }
        at
    }

    fn open(&mut self, group: GroupId, line: &[u8], keys: Keys) {
        let keyed = self
            .scan
            .pieces
            .iter()
            .filter(|piece| piece.kind == Kind::Keyed);
        let keyed = keyed
            .take(KEYED_MAX)
            .map(|piece| Some(hash(piece.text(line))));
        let held = Group {
            line: Box::from(line.get(..super::scan::BYTES_MAX).unwrap_or(line)),
            keyed: keyed.collect(),
            pieces: Box::from(self.scan.pieces.as_slice()),
            skeleton: keys.skeleton,
            count: 0,
            last: self.clock,
        };
        self.groups.insert(u64::from(group), held);
        self.note_form(keys.form, group);
    }

    /// A group that a message fits although its form is new: one whose words vary, or one that has a
    /// value where this has a word, or the other way round.
    fn fitting(&mut self, line: &[u8], keys: Keys) -> Option<GroupId> {
        let words = owned(&self.words(line));
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let row = self
            .buckets
            .get(&keys.skeleton)
            .and_then(|bucket| bucket.find(&words));
        if let Some(row) = row {
            let group = row.group;
            for (mine, word) in row.words.iter().zip(&words) {
                if mine.is_none() && self.known.len() < KNOWN_MAX {
                    self.known.insert(hash(word));
                }
            }
            return Some(group);
        }
        if let Some(group) = self.as_value(line, &words) {
            return Some(group);
        }
        let (group, skeleton, number) = self.as_word(line)?;
        let bucket = self.buckets.get_mut(&skeleton)?;
        bucket.vary(group, number);
        Some(self.note_general(group))
    }

    /// One of the words counts as a value.
    fn as_value(&self, line: &[u8], words: &[&[u8]]) -> Option<GroupId> {
        if words.len() < 2 {
            return None;
        }
        let pieces = &self.scan.pieces;
        let places = pieces
            .iter()
            .enumerate()
            .filter(|(_, piece)| piece.kind == Kind::Word);
        places
            .map(|(place, _)| keys(line, pieces, turned(place, Kind::Value)).form)
            .find_map(|form| self.living(form))
    }

    /// One of the values counts as a word: the group, its skeleton, and the word's number.
    fn as_word(&self, line: &[u8]) -> Option<(GroupId, u64, usize)> {
        let pieces = &self.scan.pieces;
        let places = pieces
            .iter()
            .enumerate()
            .filter(|(_, piece)| piece.kind == Kind::Value);
        places.take(8).find_map(|(place, _)| {
            let keys = keys(line, pieces, turned(place, Kind::Word));
            let words: Vec<&[u8]> = pieces
                .iter()
                .enumerate()
                .filter(|(at, piece)| *at == place || piece.kind == Kind::Word)
                .map(|(_, piece)| piece.text(line))
                .collect();
            let number = pieces
                .iter()
                .take(place)
                .filter(|piece| piece.kind == Kind::Word)
                .count();
            let bucket = self.buckets.get(&keys.skeleton)?;
            let fits = |row: &&Row| {
                row.words.len() > 1
                    && row.words.len() == words.len()
                    && row
                        .words
                        .iter()
                        .zip(&words)
                        .enumerate()
                        .all(|(at, (mine, word))| {
                            at == number || mine.as_deref().is_none_or(|mine| mine == *word)
                        })
            };
            let row = bucket.rows.iter().find(fits)?;
            Some((row.group, keys.skeleton, number))
        })
    }

    fn living(&self, form: u64) -> Option<GroupId> {
        let group = *self.forms.get(&form)?;
        self.groups.contains_key(&u64::from(group)).then_some(group)
    }

    /// Rows of a bucket became one: their groups do.
    fn joined(&mut self, joined: &Joined) -> GroupId {
        for gone in &joined.gone {
            self.absorb(joined.kept, *gone);
        }
        self.note_general(joined.kept)
    }

    fn absorb(&mut self, kept: GroupId, gone: GroupId) {
        let Some(other) = self.groups.remove(&u64::from(gone)) else {
            return;
        };
        if let Some(held) = self.groups.get_mut(&u64::from(kept)) {
            held.count += other.count;
            held.last = held.last.max(other.last);
            merge_keyed(&mut held.keyed, &other.keyed);
        }
        if let Some(bucket) = self.buckets.get_mut(&other.skeleton) {
            bucket.remove(gone);
        }
        // Forms that still name the group that is gone are looked up anew when they come.
        if self.joins.len() >= JOINS_MAX {
            self.joins.remove(0);
        }
        self.joins.push(Join { kept, gone });
    }

    /// Notes the form that a group has with values in the place of the words that vary; whoever has
    /// that form already is the same group.
    fn note_general(&mut self, group: GroupId) -> GroupId {
        let Some(held) = self.groups.get(&u64::from(group)) else {
            return group;
        };
        let row = self
            .buckets
            .get(&held.skeleton)
            .and_then(|bucket| bucket.row(group));
        let Some(row) = row.filter(|row| row.words.iter().any(Option::is_none)) else {
            return group;
        };
        let mut varies = Vec::new();
        let mut words = row.words.iter();
        for (place, piece) in held.pieces.iter().enumerate() {
            if piece.kind == Kind::Word && words.next().is_some_and(Option::is_none) {
                varies.push(place);
            }
        }
        let view = |place: usize, kind| {
            if varies.contains(&place) {
                Kind::Value
            } else {
                kind
            }
        };
        let form = keys(&held.line, &held.pieces, view).form;
        for place in &varies {
            if self.known.len() < KNOWN_MAX {
                self.known
                    .insert(hash(held.pieces[*place].text(&held.line)));
            }
        }
        match self.living(form) {
            Some(other) if other != group => {
                self.absorb(group, other);
            }
            _ => {}
        }
        self.note_form(form, group);
        group
    }

    fn note_form(&mut self, form: u64, group: GroupId) {
        if self.forms.len() >= FORMS_MAX {
            self.forms.clear();
        }
        self.forms.insert(form, group);
    }

    fn seen(&mut self, group: GroupId, line: &[u8]) {
        let clock = self.clock;
        let Some(held) = self.groups.get_mut(&u64::from(group)) else {
            return;
        };
        held.count += 1;
        held.last = clock;
        if held.keyed.iter().any(Option::is_some) {
            let pieces = self.scan.pieces.iter();
            let mut values = pieces.filter(|piece| piece.kind == Kind::Keyed);
            for keyed in &mut held.keyed {
                let now = values.next().map(|piece| hash(piece.text(line)));
                if *keyed != now {
                    *keyed = None;
                }
            }
        }
    }

    /// Values behind keys are values elsewhere too.
    fn remember_keyed(&mut self, line: &[u8]) {
        for piece in &self.scan.pieces {
            if piece.kind == Kind::Keyed && piece.end > piece.start && self.known.len() < KNOWN_MAX
            {
                self.known.insert(hash(piece.text(line)));
            }
        }
    }

    fn words<'a>(&self, line: &'a [u8]) -> Vec<&'a [u8]> {
        let pieces = self.scan.pieces.iter();
        let words = pieces.filter(|piece| piece.kind == Kind::Word);
        words.map(|piece| piece.text(line)).collect()
    }

    /// Makes room: an eighth of the groups, those seen once and long ago first.
    fn forget(&mut self) {
        let mut oldest: Vec<(bool, u64, u64)> = self
            .groups
            .iter()
            .map(|(id, held)| (held.count > 1, held.last, *id))
            .collect();
        oldest.sort_unstable();
        for (_, _, id) in oldest.into_iter().take(GROUPS_MAX / 8) {
            let Some(held) = self.groups.remove(&id) else {
                continue;
            };
            if let (Some(bucket), Ok(group)) =
                (self.buckets.get_mut(&held.skeleton), GroupId::try_from(id))
            {
                bucket.remove(group);
                if bucket.rows.is_empty() {
                    self.buckets.remove(&held.skeleton);
                }
            }
        }
        let groups = &self.groups;
        self.forms
            .retain(|_, group| groups.contains_key(&u64::from(*group)));
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
    }
}

/// One piece counts as another kind.
fn turned(place: usize, into: Kind) -> impl Fn(usize, Kind) -> Kind {
    move |at, kind| if at == place { into } else { kind }
}

fn bucket(
    buckets: &mut HashMap<u64, Bucket, Hashed>,
    skeleton: u64,
    setting: Setting,
) -> &mut Bucket {
    buckets.entry(skeleton).or_insert_with(|| Bucket {
        rows: Vec::new(),
        setting,
    })
}

fn owned(words: &[&[u8]]) -> Vec<Box<[u8]>> {
    words.iter().map(|word| Box::from(*word)).collect()
}

fn merge_keyed(mine: &mut [Option<u64>], other: &[Option<u64>]) {
    for (index, keyed) in mine.iter_mut().enumerate() {
        if *keyed != other.get(index).copied().flatten() {
            *keyed = None;
        }
    }
}
