//! Whether a gene fits a fault.

use instar_protocol::amend::NoteUse;
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::Seen;
use std::collections::BTreeSet;

use super::{Clock, Fits, Gene, Pages, Place, note};

/// What a gene sees of a fault: its kind, where it shows, and the words of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symptom {
    pub fault: String,
    pub kind: SignalKind,
    pub also: BTreeSet<SignalKind>,
    /// `tool:NAME`, `model:NAME`, `turn`.
    pub place: String,
    /// What tells faults of one kind and place apart: a code, a rule, a status.
    pub detail: String,
    /// The newest example, or the template where there is none.
    pub text: String,
    /// It was seen only where somebody else than the owner speaks.
    pub is_outside: bool,
    /// The class of the environment that it shows in: program, models, tool.
    pub environment: String,
    /// The heartbeats of the agent that met it, by the hour.
    pub clock: Clock,
    /// The turns of the agent by the skills that they read.
    pub pages: Pages,
    /// Notes that the corrected turns had read, where it is a fault of corrections.
    pub notes: Vec<NoteUse>,
}

impl Symptom {
    /// Of a fault that is told of now.
    #[must_use]
    pub fn of(fault: &Fault, environment: &str, clock: Clock, pages: Pages) -> Self {
        let seen = Seen::of(fault, environment);
        Self {
            is_outside: fault.blast.is_outside(),
            clock,
            pages,
            ..Self::seen(&fault.id, &seen)
        }
    }

    /// Of one that something was learned of.
    #[must_use]
    pub fn seen(fault: &str, seen: &Seen) -> Self {
        Self {
            fault: fault.to_owned(),
            kind: seen.kind,
            also: seen.also.clone(),
            place: seen.place.clone(),
            detail: seen.detail.clone(),
            text: seen.text.clone(),
            is_outside: false,
            environment: seen.environment.clone(),
            clock: Clock::default(),
            pages: Pages::default(),
            notes: Vec::new(),
        }
    }

    /// The tool that it shows at.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.place.strip_prefix("tool:")
    }

    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.place.strip_prefix("model:")
    }
}

impl Gene {
    /// True if the gene is for such a fault. Whether it can write anything is another question.
    #[must_use]
    pub fn fits(&self, symptom: &Symptom) -> bool {
        self.fits.takes(symptom)
    }
}

impl Fits {
    fn takes(&self, symptom: &Symptom) -> bool {
        let is_here = match self.place {
            Place::Tool => symptom.tool().is_some(),
            Place::Model => symptom.model().is_some(),
            Place::Heartbeat => symptom.clock.is_bound(),
            Place::Skill => symptom.pages.is_bound(),
            Place::Note => note::is_shared(&symptom.notes),
        };
        let kinds = std::iter::once(&symptom.kind).chain(&symptom.also);
        let is_kind = kinds.into_iter().any(|kind| self.kinds.contains(kind));
        let text = symptom.text.to_lowercase();
        let says = |word: &String| text.contains(word.as_str());
        is_here
            && is_kind
            && (self.details.is_empty() || self.details.contains(&symptom.detail))
            && (self.words.is_empty() || self.words.iter().any(says))
            && !self.not_words.iter().any(says)
    }
}
