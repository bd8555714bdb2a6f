//! Whether a gene fits a fault.

use instar_protocol::fault::{Fault, SignalKind};
use std::collections::BTreeSet;

use super::{Fits, Gene, Place};

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
}

impl Symptom {
    #[must_use]
    pub fn of(fault: &Fault) -> Self {
        let example = fault.examples.last().map(|example| example.text.as_str());
        let text = example.filter(|text| !text.is_empty());
        Self {
            fault: fault.id.clone(),
            kind: fault.kind,
            also: fault.also.clone(),
            place: fault.place.clone(),
            detail: fault.detail.clone(),
            text: text.unwrap_or(&fault.template).to_owned(),
            is_outside: fault.blast.is_outside(),
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
