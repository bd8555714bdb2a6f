//! Which facts the rules read. One that none of them names is not put into Cedar's form, which is a good part of what
//! a decision costs.

use std::collections::BTreeSet;

/// Every word that stands in a rule, whatever it is there.
#[derive(Debug, Default)]
pub(super) struct Read {
    words: BTreeSet<String>,
    all: bool,
}

impl Read {
    /// Takes in a rule. A name can be written with escapes, and then any could be meant.
    pub(super) fn note(&mut self, rule: &str) {
        self.all |= rule.contains('\\');
        let words = rule.split(|c: char| !c.is_ascii_alphanumeric());
        self.words.extend(words.map(str::to_owned));
    }

    pub(super) fn names(&self, fact: &str) -> bool {
        self.all || self.words.contains(fact)
    }
}
