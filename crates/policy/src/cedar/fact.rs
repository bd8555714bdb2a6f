//! The facts of a call by their names, as the schema has them. Each is worked out when it is first asked for.

use instar_protocol::{Origin, Readers};
use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::case::{Case, InPlan};
use crate::annotation::{Reach, SlotRole};
use crate::authority::Posture;
use crate::typed::{Kind, Typed};

macro_rules! facts {
    ($($fact:ident $name:literal)*) => {
        /// A fact that a rule can read.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Fact { $($fact),* }

        impl Fact {
            pub(super) const ALL: [Self; [$($name),*].len()] = [$(Self::$fact),*];

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$fact => $name),* }
            }
        }
    };
}

facts! {
    Agent "agent"
    Connector "connector"
    Reach "reach"
    Undoable "undoable"
    Posture "posture"
    Tainted "tainted"
    Origins "origins"
    Readers "readers"
    Grade "grade"
    Needed "needed"
    Evidenced "evidenced"
    Foreign "foreign"
    Cleared "cleared"
    Plan "plan"
    Verb "verb"
    Standing "standing"
    Approved "approved"
    Done "done"
    Refused "refused"
    Who "who"
    Where "where"
    Which "which"
    Domains "domains"
    InDomains "inDomains"
    Folders "folders"
    InFolders "inFolders"
    Amount "amount"
    Currencies "currencies"
}

impl Fact {
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| fact.name() == name)
    }
}

/// Some of the facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct FactSet(u32);

impl FactSet {
    /// All of them.
    pub(super) const EVERY: Self = Self(u32::MAX);

    /// The facts that the text of a rule can mean. A name can be written with escapes, and then any could be meant.
    pub(super) fn of_rule(text: &str) -> Self {
        if text.contains('\\') {
            return Self::EVERY;
        }
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let facts = words.filter_map(Fact::named);
        facts.fold(Self::default(), |set, fact| Self(set.0 | set.bit(fact)))
    }

    pub(super) fn has(self, fact: Fact) -> bool {
        self.0 & self.bit(fact) != 0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn bit(self, fact: Fact) -> u32 {
        1 << (fact as u32)
    }
}

/// What a fact is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    Flag(bool),
    Number(i64),
    Word(&'a str),
    Words(BTreeSet<String>),
}

/// The facts of one call.
pub(super) struct Facts<'a> {
    pub(super) case: &'a Case<'a>,
    known: [OnceCell<Option<Value<'a>>>; Fact::ALL.len()],
}

impl<'a> Facts<'a> {
    pub(super) fn of(case: &'a Case<'a>) -> Self {
        let known = [const { OnceCell::new() }; Fact::ALL.len()];
        Self { case, known }
    }

    /// `None` for a fact that this call does not have.
    pub(super) fn get(&self, fact: Fact) -> Option<&Value<'a>> {
        let known = self.known.get(fact as usize)?;
        known.get_or_init(|| self.case.fact(fact)).as_ref()
    }
}

impl<'a> Case<'a> {
    fn fact(&'a self, fact: Fact) -> Option<Value<'a>> {
        use Value::{Flag, Number, Word, Words};
        Some(match fact {
            Fact::Agent => Word(self.agent),
            Fact::Connector => Word(self.connector),
            Fact::Reach => Word(reach_word(self.reach)),
            Fact::Undoable => Flag(self.undoable),
            Fact::Posture => Word(posture_word(self.posture)),
            Fact::Tainted => Flag(self.context.is_tainted()),
            Fact::Origins => {
                let origins = self.context.origins.iter().map(origin_word);
                Words(origins.map(str::to_owned).collect())
            }
            Fact::Readers => Word(readers_word(&self.context.readers)),
            Fact::Grade => Number(self.grade.into()),
            Fact::Needed => Number(self.needed.into()),
            Fact::Evidenced => Flag(self.evidenced),
            Fact::Foreign => Flag(self.foreign),
            Fact::Cleared => Flag(self.cleared),
            Fact::Plan => Word(plan_word(self.plan)),
            Fact::Verb => Flag(self.verb),
            Fact::Standing => Flag(self.standing),
            Fact::Approved => Flag(self.approved),
            Fact::Done => Number(self.done.into()),
            Fact::Refused => Number(self.refused.into()),
            Fact::Who => Words(self.forms(SlotRole::Who)),
            Fact::Where => Words(self.forms(SlotRole::Where)),
            Fact::Which => Words(self.forms(SlotRole::Which)),
            Fact::Domains => Words(self.domains().0),
            Fact::InDomains => Words(self.domains().1),
            Fact::Folders => Words(self.folders().0),
            Fact::InFolders => Words(self.folders().1),
            Fact::Amount => Number(self.amounts().0?),
            Fact::Currencies => Words(self.amounts().1),
        })
    }

    /// The domains above any of those reached, and above all of them. A recipient without a domain is in
    /// none, and so are all of them together.
    fn domains(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let reached = self.values.iter().filter(|(role, value)| {
            matches!(role, SlotRole::Who | SlotRole::Where) || domains_of(value).is_some()
        });
        above(reached.map(|(_, value)| domains_of(value).unwrap_or_default()))
    }

    /// The folders above any of the places, and above all of them.
    fn folders(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let places = self
            .values
            .iter()
            .filter(|(role, value)| matches!(role, SlotRole::Where) || value.kind == Kind::Path);
        above(places.map(|(_, value)| folders_of(value)))
    }

    fn forms(&self, role: SlotRole) -> BTreeSet<String> {
        let of_it = self.values.iter().filter(|(own, _)| *own == role);
        of_it.map(|(_, value)| value.form.clone()).collect()
    }

    /// The largest amount in hundredths, and the currencies.
    fn amounts(&self) -> (Option<i64>, BTreeSet<String>) {
        let mut largest: Option<i64> = None;
        let mut currencies = BTreeSet::new();
        for (role, value) in &self.values {
            if *role != SlotRole::Amount && value.kind != Kind::Amount {
                continue;
            }
            let cut = value.form.find(|c: char| c.is_ascii_alphabetic());
            let (number, currency) = value.form.split_at(cut.unwrap_or(value.form.len()));
            // The normal form has two digits behind its point. What has another form counts as more
            // than any limit, and taking back counts as much as giving.
            let hundredths = match (value.kind, number.replace('.', "").parse::<i64>()) {
                (Kind::Amount, Ok(hundredths)) => hundredths.saturating_abs(),
                _ => i64::MAX,
            };
            largest = Some(largest.map_or(hundredths, |known| known.max(hundredths)));
            if !currency.is_empty() {
                currencies.insert(currency.to_owned());
            }
        }
        (largest, currencies)
    }
}

/// What stands above any of these values, and what stands above all of them.
fn above(sets: impl Iterator<Item = BTreeSet<String>>) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut any = BTreeSet::new();
    let mut all: Option<BTreeSet<String>> = None;
    for set in sets {
        all = Some(match all {
            None => set.clone(),
            Some(known) => known.intersection(&set).cloned().collect(),
        });
        any.extend(set);
    }
    (any, all.unwrap_or_default())
}

/// The domain of an address, a URL or a host with every one above it. `None` for what has none.
fn domains_of(value: &Typed) -> Option<BTreeSet<String>> {
    let host = match value.kind {
        Kind::Address => value.form.rsplit_once('@').map(|(_, domain)| domain)?,
        Kind::Url => value.form.split(['/', ':']).next()?,
        Kind::Host => value.form.as_str(),
        _ => return None,
    };
    Some(suffixes(host))
}

fn suffixes(host: &str) -> BTreeSet<String> {
    let mut rest = Some(host);
    let mut found = BTreeSet::new();
    while let Some(domain) = rest {
        found.insert(domain.to_owned());
        rest = domain.split_once('.').map(|(_, above)| above);
    }
    found
}

fn folders_of(value: &Typed) -> BTreeSet<String> {
    if value.kind != Kind::Path {
        return BTreeSet::new();
    }
    let path = value.form.as_str();
    path.match_indices('/')
        .map(|(at, _)| &path[..at])
        .map(|folder| if folder.is_empty() { "/" } else { folder })
        .map(str::to_owned)
        .collect()
}

fn reach_word(reach: Reach) -> &'static str {
    match reach {
        Reach::Own => "own",
        Reach::Closed => "closed",
        Reach::Outside => "outside",
        Reach::Public => "public",
    }
}

fn posture_word(posture: Posture) -> &'static str {
    match posture {
        Posture::Careful => "careful",
        Posture::Balanced => "balanced",
        Posture::Open => "open",
    }
}

fn readers_word(readers: &Readers) -> &'static str {
    match readers {
        Readers::Public => "public",
        Readers::Session(_) => "session",
        Readers::Private => "private",
        Readers::Secret => "secret",
    }
}

fn origin_word(origin: &Origin) -> &'static str {
    match origin {
        Origin::Owner => "owner",
        Origin::System => "system",
        Origin::Contact(_) => "contact",
        Origin::Stranger => "stranger",
    }
}

fn plan_word(plan: InPlan) -> &'static str {
    match plan {
        InPlan::Inside => "inside",
        InPlan::Outside => "outside",
        InPlan::Unknown => "unknown",
        InPlan::Nobody => "nobody",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_those_of_the_schema() {
        let facts = super::super::Rules::schema_text()
            .split_once("type Facts = {")
            .and_then(|(_, rest)| rest.split_once("};"))
            .map(|(facts, _)| facts);
        let declared: Vec<&str> = facts
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//"))
            .filter_map(|line| line.split_once(": "))
            .map(|(name, _)| name.trim_end_matches('?'))
            .collect();
        let known: Vec<&str> = Fact::ALL.map(Fact::name).to_vec();
        assert_eq!(known, declared);
    }

    #[test]
    fn a_rule_reads_what_it_names_and_with_an_escape_it_may_be_any() {
        let reads = FactSet::of_rule("when { context.grade > 2 && context[\"tainted\"] }");
        for fact in Fact::ALL {
            let is_named = matches!(fact, Fact::Grade | Fact::Tainted);
            assert_eq!(reads.has(fact), is_named, "{fact:?}");
            assert!(FactSet::of_rule("context[\"gra\\u{64}e\"]").has(fact));
        }
    }
}
