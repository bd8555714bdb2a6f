//! Genes: reusable recipes, each with the faults that it fits and the change that it writes.
//!
//! A gene is data. What it can write is one of the acts that a behaviour knows ([`Act`]), filled in from
//! the symptom by code: a gene brings no shell, no program and no sentence of its own. Those that come with
//! the house are in `genes.json`; owners add more and ban any.
//!
//! Start at [`Catalogue::propose`].

mod brought;
mod clock;
mod fit;
mod note;
mod said;
mod skill;
mod write;
mod wrong;

use instar_protocol::fault::SignalKind;
use instar_release::canonical;
use instar_release::mitigation::Act;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

use crate::choose::Intent;

pub use brought::{SKILL_GENES_MAX, brought};
pub use clock::Clock;
pub use fit::Symptom;
pub use note::notes;
pub use skill::{Pages, Restored};
pub use write::{Answer, Change, Proposal, Unfit};
pub use wrong::wrong_calls;

/// The most genes of a catalogue.
pub const GENES_MAX: usize = 256;
const ID_CHARS_MAX: usize = 48;
const TITLE_CHARS_MAX: usize = 200;
const WORDS_MAX: usize = 16;
/// Characters of a gene's hash that stand beside its name.
const HASH_CHARS: usize = 12;
const BUILT_IN: &str = include_str!("genes.json");

/// A recipe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gene {
    pub id: String,
    pub version: u32,
    /// What it does, for people.
    pub title: String,
    /// Faults of one family are mended alike; what is learned of one speaks for the others.
    pub family: Family,
    pub fits: Fits,
    pub writes: Recipe,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// It passes by itself.
    Transient,
    /// It takes too long.
    Slow,
    /// A limit of somebody else's.
    Limited,
    /// The call has the wrong shape.
    Shape,
    /// It keeps failing.
    Down,
    /// The model goes about it in the wrong way.
    Habit,
}

/// Which symptoms a gene is for. All of it has to hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fits {
    pub place: Place,
    pub kinds: BTreeSet<SignalKind>,
    /// The detail of the sign is one of these; with none, any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// One of these stands in the text, in small letters; with none, any text will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// None of these does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_words: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Tool,
    Model,
    /// Wherever it shows: heartbeats meet it, and only in certain hours.
    Heartbeat,
    /// Wherever it shows: in turns that had read one text of a skill.
    Skill,
    /// Answers that were corrected: most of them rest on one note.
    Note,
}

/// What a gene writes. What is left open is filled in from the symptom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Recipe {
    Retry {
        again: u8,
        pause_ms: u32,
    },
    Patience {
        seconds: u16,
    },
    Breaker {
        failures: u8,
        open_seconds: u16,
    },
    Pace {
        per_minute: u16,
    },
    /// The argument that the text names gets the shape that the text names.
    Reshape,
    /// It is kept within the bound that the text names.
    Clamp,
    /// The argument that the tool does not know is left out.
    DropUnknown,
    /// An argument that goes by another name here gets the name that the tool knows.
    Rename,
    /// A word that is one of a few loses what stands around it, and its capital letters.
    Tidy,
    /// `%20` and the like are read in what the tool takes as text.
    Unescape,
    /// Arguments that came as text are read.
    Unwrap,
    /// Another tool that takes the same arguments.
    OtherTool,
    /// Another model of the agent's route.
    OtherModel,
    ModelRetry {
        again: u8,
        pause_ms: u32,
    },
    ModelPatience {
        seconds: u16,
    },
    /// The heartbeat comes at times at which the fault does not show.
    MoveHeartbeat,
    /// The skill gets the text again with which the fault did not show.
    RestoreSkill,
    /// A note that the corrected answers share is taken away, if a person says so.
    AmendNote,
    /// A sentence: the argument that the text names is needed.
    SayNeeded,
    /// A sentence: not the same call twice.
    SayNotTwice,
    /// A sentence: the shape of the argument that the text names.
    SayShape,
    /// A sentence: the most that the text names.
    SayAtMost,
    /// A sentence: names are written as they are.
    SayPlainName,
    /// A sentence: another tool that does the same.
    SayOther,
    /// A sentence: first the tool that tells what there is.
    SayLookFirst,
}

/// The genes that may be used, with those that may not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalogue {
    genes: BTreeMap<String, Gene>,
    banned: BTreeSet<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum GeneError {
    #[error("the genes cannot be read: {0}")]
    Decode(#[source] serde_json::Error),
    #[error("the gene has no canonical form")]
    Canonical(#[source] instar_release::ReleaseError),
    #[error("gene {gene}: {why}")]
    Unsound { gene: String, why: &'static str },
    #[error("there are more than {GENES_MAX} genes")]
    Many,
    #[error("a skill brings 1 to {SKILL_GENES_MAX} genes, each once, in format 1")]
    Bundle,
    #[error("there is no gene {0}; `instar gene list` shows all")]
    Unknown(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    format: u32,
    genes: Vec<Gene>,
}

impl Gene {
    /// What it is for. Another way around what fails is something new; where only a limit of somebody else's is
    /// in the way, or a call was made in vain, less is to be spent; the others put right what fails.
    #[must_use]
    pub fn intent(&self) -> Intent {
        match self.writes {
            Recipe::OtherTool | Recipe::OtherModel | Recipe::SayOther => return Intent::Innovate,
            Recipe::MoveHeartbeat | Recipe::SayNotTwice => return Intent::Optimize,
            _ => {}
        }
        let is_waste =
            |kind: &SignalKind| matches!(kind, SignalKind::RepeatedCall | SignalKind::CostSpike);
        if self.family == Family::Limited || self.fits.kinds.iter().all(is_waste) {
            return Intent::Optimize;
        }
        Intent::Repair
    }

    /// Reads one gene that somebody brings.
    pub fn read(text: &str) -> Result<Self, GeneError> {
        let gene: Self = serde_json::from_str(text).map_err(GeneError::Decode)?;
        gene.check()?;
        Ok(gene)
    }

    /// The SHA-256 of its canonical form, in hex.
    pub fn hash(&self) -> Result<String, GeneError> {
        let value = serde_json::to_value(self).map_err(GeneError::Decode)?;
        let text = canonical(&value).map_err(GeneError::Canonical)?;
        Ok(hex::encode(Sha256::digest(text.as_bytes())))
    }

    /// Its name with the beginning of its hash, as it stands in what it wrote.
    pub fn reference(&self) -> Result<String, GeneError> {
        let hash = self.hash()?;
        let short: String = hash.chars().take(HASH_CHARS).collect();
        Ok(format!("{}@{short}", self.id))
    }

    fn check(&self) -> Result<(), GeneError> {
        let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let unsound = |why| {
            let gene = self.id.chars().filter(|c| is_id(*c)).take(ID_CHARS_MAX);
            Err(GeneError::Unsound {
                gene: gene.collect(),
                why,
            })
        };
        if !(1..=ID_CHARS_MAX).contains(&self.id.len()) || !self.id.chars().all(is_id) {
            return unsound("its id is 1 to 48 of a-z, 0-9 and -");
        }
        let title = self.title.chars().count();
        if !(1..=TITLE_CHARS_MAX).contains(&title) || self.title.chars().any(char::is_control) {
            return unsound("its title is 1 to 200 characters without control characters");
        }
        if self.fits.kinds.is_empty() {
            return unsound("it fits no kind of sign");
        }
        let lists = [&self.fits.words, &self.fits.not_words, &self.fits.details];
        let is_word = |word: &String| {
            (2..=60).contains(&word.chars().count()) && *word == word.to_lowercase()
        };
        if lists.iter().any(|list| list.len() > WORDS_MAX)
            || !lists.iter().all(|list| list.iter().all(is_word))
        {
            return unsound("its words are at most 16 of 2 to 60 small letters each");
        }
        if !self.writes.is_bounded() {
            return unsound("a number in what it writes is out of bounds");
        }
        Ok(())
    }
}

impl Recipe {
    /// The bounds of what it writes are those of the behaviour; these are only so that a gene which could
    /// never write anything is refused when it comes.
    fn is_bounded(&self) -> bool {
        match self {
            Self::Retry { again, pause_ms } | Self::ModelRetry { again, pause_ms } => {
                (1..=3).contains(again) && *pause_ms <= 10_000
            }
            Self::Patience { seconds } | Self::ModelPatience { seconds } => {
                (1..=300).contains(seconds)
            }
            Self::Breaker {
                failures,
                open_seconds,
            } => (2..=50).contains(failures) && (1..=3_600).contains(open_seconds),
            Self::Pace { per_minute } => (1..=600).contains(per_minute),
            Self::Reshape
            | Self::Clamp
            | Self::DropUnknown
            | Self::Rename
            | Self::Tidy
            | Self::Unescape
            | Self::Unwrap
            | Self::OtherTool
            | Self::OtherModel
            | Self::MoveHeartbeat
            | Self::RestoreSkill
            | Self::AmendNote
            | Self::SayNeeded
            | Self::SayNotTwice
            | Self::SayShape
            | Self::SayAtMost
            | Self::SayPlainName
            | Self::SayOther
            | Self::SayLookFirst => true,
        }
    }
}

impl Catalogue {
    /// The genes of the house.
    pub fn built_in() -> Result<Self, GeneError> {
        let bundle: Bundle = serde_json::from_str(BUILT_IN).map_err(GeneError::Decode)?;
        let mut catalogue = Self::default();
        for gene in bundle.genes {
            catalogue.add(gene)?;
        }
        Ok(catalogue)
    }

    /// Adds a gene, or puts it in the place of the one of that name.
    pub fn add(&mut self, gene: Gene) -> Result<(), GeneError> {
        gene.check()?;
        if self.genes.len() >= GENES_MAX && !self.genes.contains_key(&gene.id) {
            return Err(GeneError::Many);
        }
        self.genes.insert(gene.id.clone(), gene);
        Ok(())
    }

    /// Nothing is ever proposed from a banned gene, whatever it did before.
    pub fn ban(&mut self, id: &str) -> Result<(), GeneError> {
        let _gene = self.get(id)?;
        self.banned.insert(id.to_owned());
        Ok(())
    }

    pub fn allow(&mut self, id: &str) {
        self.banned.remove(id);
    }

    pub fn get(&self, id: &str) -> Result<&Gene, GeneError> {
        let unknown = || GeneError::Unknown(id.chars().take(ID_CHARS_MAX).collect());
        self.genes.get(id).ok_or_else(unknown)
    }

    #[must_use]
    pub fn is_banned(&self, id: &str) -> bool {
        self.banned.contains(id)
    }

    pub fn genes(&self) -> impl Iterator<Item = &Gene> {
        self.genes.values()
    }
}

/// What an act is of, for the words beside it.
#[must_use]
pub fn words_of(act: &Act) -> String {
    match act {
        Act::Retry { tool, again, .. } => {
            format!("make a call of {tool} that failed up to {again} times more")
        }
        Act::Patience { tool, seconds } => format!("let a call of {tool} take {seconds} s"),
        Act::Breaker {
            tool,
            failures,
            open_seconds,
        } => format!("leave {tool} alone for {open_seconds} s after {failures} failures"),
        Act::Pace { tool, per_minute } => {
            format!("call {tool} at most {per_minute} times a minute")
        }
        Act::Arguments { tool, .. } => format!("put the arguments of {tool} right"),
        Act::Prefer { tool, over } => format!("show {tool} and not {over}"),
        Act::RouteFirst { model } => format!("ask {model} first"),
        Act::ModelRetry { again, .. } => {
            format!("ask a model that failed up to {again} times more")
        }
        Act::ModelPatience { seconds } => {
            format!("give up a model that says nothing for {seconds} s")
        }
        Act::Lesson(lesson) => format!("say in the prompt: {}", lesson.text()),
    }
}
