//! Rules that owners read and write, in Cedar: the built-in ones and theirs, over facts that code
//! computed.
//!
//! Cedar knows permit and forbid; a rule's `@answer` says what its forbid means here (see
//! `base.cedar`). The owner's permits stand in a set of their own that is asked only where nothing but
//! a rule that yields speaks against the call: so they can never outvote a hard rule.

mod case;
mod compile;
mod error;
mod fact;
mod guard;
mod request;
mod scope;
mod split;

use cedar_policy::{Authorizer, EntityUid, EvalResult, Policy, Request};
use instar_protocol::tool::Effect;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

pub use case::{Case, InPlan};
pub use error::RuleError;

use compile::{Compiled, Rule};
use fact::{FactSet, Facts};
use scope::Scoped;

/// The most bytes of one file of rules.
pub const RULE_FILE_BYTES_MAX: usize = 64 * 1024;
/// The most rules that an owner can have.
pub const OWNER_RULES_MAX: usize = 500;

/// A file of the owner's rules: its name, for people, and its text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    pub name: String,
    pub text: String,
}

/// The built-in rules and the owner's, read once.
///
/// Only the owner's texts are stored and hashed; reading them back checks them again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<RuleFile>", into = "Vec<RuleFile>")]
pub struct Rules {
    files: Vec<RuleFile>,
    /// None where the owner has none of his own: the built-in ones need no check, so that they are
    /// read when something is first judged. A gateway in which nothing acts never does.
    compiled: Option<Arc<Compiled>>,
}

static BASE: LazyLock<Compiled> = LazyLock::new(Compiled::base);

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for Rules {}

impl TryFrom<Vec<RuleFile>> for Rules {
    type Error = RuleError;

    fn try_from(files: Vec<RuleFile>) -> Result<Self, RuleError> {
        Self::read(files).map_err(|mut errors| errors.swap_remove(0))
    }
}

impl From<Rules> for Vec<RuleFile> {
    fn from(rules: Rules) -> Self {
        rules.files
    }
}

/// What the rules say of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// The rules that let it through; the first one is named in the permit.
    Allow(Vec<Reference>),
    /// The rules that ask, the weightiest first.
    Ask(Vec<Reference>),
    /// The rules that deny, the weightiest first.
    Never(Vec<Reference>),
}

impl Ruling {
    /// `allow`, `ask` or `deny`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Ask(_) => "ask",
            Self::Never(_) => "deny",
        }
    }

    #[must_use]
    pub fn rules(&self) -> &[Reference] {
        match self {
            Self::Allow(rules) | Self::Ask(rules) | Self::Never(rules) => rules,
        }
    }

    /// The rule that a decision is named after: whether a call was asked for is told before who and
    /// where.
    #[must_use]
    pub fn first(&self) -> &str {
        let rules = self.rules();
        let soft = rules.iter().find(|rule| rule.answer == Answer::Yield);
        let first = match self {
            Self::Ask(_) => soft.or(rules.first()),
            Self::Allow(_) | Self::Never(_) => rules.first(),
        };
        first.map_or("", |rule| rule.rule.as_str())
    }
}

/// A rule by its name, and where it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Reference {
    /// Its place: built-in rules first, then the owner's in the order of their files.
    #[serde(skip)]
    order: usize,
    pub rule: String,
    /// The file and the line that it begins in.
    pub place: String,
    /// What it says, for people.
    pub words: String,
    /// One of the owner's own.
    pub is_owners: bool,
    /// What it does where it holds.
    pub answer: Answer,
}

/// What a rule does where it holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Lets it through.
    Permit,
    /// Denies.
    Never,
    /// Puts a question to the owner.
    Ask,
    /// Puts a question to the owner, unless a rule of his permits.
    Yield,
}

/// The rule that stands for rules which could not be judged: an error denies.
pub const RULE_ERROR: &str = "rule-error";
/// The rule that stands for a call which no rule permits.
pub const NO_RULE: &str = "no-rule";

impl Rules {
    /// Reads and checks the owner's files. Everything that is wrong with them is told at once.
    pub fn read(files: Vec<RuleFile>) -> Result<Self, Vec<RuleError>> {
        let compiled = if files.is_empty() {
            None
        } else {
            Some(Arc::new(Compiled::with(&files)?))
        };
        Ok(Self { files, compiled })
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.as_deref().unwrap_or_else(|| &BASE)
    }

    /// True if the owner has no rules of his own.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.files.is_empty()
    }

    /// The owner's files as they were read.
    #[must_use]
    pub fn files(&self) -> &[RuleFile] {
        &self.files
    }

    /// Every rule, built-in ones first: what a page of rules in words shows.
    pub fn all(&self) -> impl Iterator<Item = &Reference> {
        self.compiled().all.iter().map(|rule| &rule.reference)
    }

    /// The text of the built-in rules.
    #[must_use]
    pub fn base_text() -> &'static str {
        compile::BASE_TEXT
    }

    /// The digest of the built-in rules with their schema.
    #[must_use]
    pub fn base_digest() -> String {
        let whole = [compile::BASE_TEXT, compile::SCHEMA_TEXT].concat();
        crate::canonical::sha256(whole.as_bytes())
    }

    /// The schema that rules are checked against.
    #[must_use]
    pub fn schema_text() -> &'static str {
        compile::SCHEMA_TEXT
    }

    /// What the rules say of a case. Whatever cannot be judged is denied.
    #[must_use]
    pub fn judge(&self, case: &Case<'_>) -> Ruling {
        let facts = Facts::of(case);
        self.ruled(&Asked::Call(&facts), case.effect, case.tool, case.approved)
    }

    /// The same of a request as Cedar takes it, with its facts in it.
    pub(crate) fn judge_request(&self, request: &Request) -> Ruling {
        let id = |of: Option<&EntityUid>| of.map(|one| one.id().unescaped().to_owned());
        let action = id(request.action()).unwrap_or_default();
        let effect = Effect::ALL.into_iter().find(|one| one.name() == action);
        let Some(effect) = effect else {
            return failed("it has no effect that is known");
        };
        let approved = request.context().and_then(|facts| facts.get("approved"));
        let approved = matches!(approved, Some(EvalResult::Bool(true)));
        let tool = id(request.resource()).unwrap_or_default();
        self.ruled(&Asked::Request(request), effect, &tool, approved)
    }

    fn ruled(&self, asked: &Asked<'_>, effect: Effect, tool: &str, approved: bool) -> Ruling {
        if let Some(broken) = &self.compiled().broken {
            return failed(broken);
        }
        let mut found = match self.holding(&self.compiled().rules, asked, effect, tool) {
            Ok(found) => found,
            Err(why) => return failed(&why),
        };
        // Permits count only where nothing speaks against the call.
        if found.iter().any(|rule| rule.answer != Answer::Permit) {
            found.retain(|rule| rule.answer != Answer::Permit);
        }
        // A yes of the owner's is the answer to whatever asked.
        found.retain(|rule| match rule.answer {
            Answer::Ask | Answer::Yield => !approved,
            Answer::Permit | Answer::Never => true,
        });
        let of = |answer: Answer| -> Vec<Reference> {
            let of_it = found.iter().filter(|rule| rule.answer == answer);
            of_it.cloned().collect()
        };
        let (never, hard, soft) = (of(Answer::Never), of(Answer::Ask), of(Answer::Yield));
        if !never.is_empty() {
            return Ruling::Never(never);
        }
        if !hard.is_empty() {
            return Ruling::Ask(hard.into_iter().chain(soft).collect());
        }
        let permits = of(Answer::Permit);
        if soft.is_empty() && !permits.is_empty() {
            return Ruling::Allow(permits);
        }
        // The permits were left out above, where a forbid held that the owner's yes has answered.
        if approved {
            return Ruling::Allow(self.named(OWNER_APPROVED));
        }
        let permits = match self.holding(&self.compiled().owner_permits, asked, effect, tool) {
            Ok(permits) => permits,
            Err(why) => return failed(&why),
        };
        if !permits.is_empty() {
            return Ruling::Allow(permits);
        }
        if soft.is_empty() {
            return Ruling::Ask(vec![unruled()]);
        }
        Ruling::Ask(soft)
    }

    /// The permits of the owner's that hold for a case, whatever else speaks against it: what each of
    /// them would lift.
    #[must_use]
    pub fn permits(&self, case: &Case<'_>) -> Vec<Reference> {
        let facts = Facts::of(case);
        let permits = &self.compiled().owner_permits;
        let holding = self.holding(permits, &Asked::Call(&facts), case.effect, case.tool);
        holding.unwrap_or_default()
    }

    /// The rules that hold, in their order. One that cannot be judged is an error.
    fn holding(
        &self,
        scoped: &Scoped,
        asked: &Asked<'_>,
        effect: Effect,
        tool: &str,
    ) -> Result<Vec<Reference>, String> {
        let open: Vec<&Rule> = scoped
            .of(effect, tool)
            .filter(|rule| asked.may_meet(rule))
            .collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let request = asked.request(&open)?;
        let mut found = Vec::new();
        for rule in open {
            let actions = &self.compiled().actions;
            let response = Authorizer::new().is_authorized(&request, &rule.alone, actions);
            let diagnostics = response.diagnostics();
            if let Some(error) = diagnostics.errors().next() {
                return Err(error.to_string());
            }
            if diagnostics.reason().next().is_some() {
                found.push(rule.reference.clone());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Every rule as it is asked, with what is known of it.
    pub(crate) fn policies(&self) -> Result<impl Iterator<Item = (&Policy, &Reference)>, String> {
        let compiled = self.compiled();
        match &compiled.broken {
            Some(broken) => Err(broken.clone()),
            None => Ok(compiled
                .all
                .iter()
                .map(|rule| (&rule.policy, &rule.reference))),
        }
    }

    /// True if the head of a rule speaks of calls with this effect.
    pub(crate) fn is_about(&self, policy: &Policy, effect: Effect) -> bool {
        scope::is_about(
            &policy.action_constraint(),
            effect,
            &self.compiled().actions,
        )
    }

    fn named(&self, rule: &str) -> Vec<Reference> {
        self.all()
            .filter(|known| known.rule == rule)
            .cloned()
            .collect()
    }
}

/// What the rules are asked about.
enum Asked<'a> {
    /// A call, by its facts.
    Call(&'a Facts<'a>),
    /// A call as Cedar takes it, with all of its facts in it.
    Request(&'a Request),
}

impl Asked<'_> {
    /// False if a rule can neither hold nor fail.
    fn may_meet(&self, rule: &Rule) -> bool {
        match self {
            Self::Call(facts) => rule.guard.may_hold(facts),
            Self::Request(_) => true,
        }
    }

    fn request(&self, rules: &[&Rule]) -> Result<Cow<'_, Request>, String> {
        match self {
            Self::Call(facts) => {
                let reads = rules.iter().map(|rule| rule.reads);
                let reads = reads.fold(FactSet::default(), FactSet::with);
                facts.request(reads).map(Cow::Owned)
            }
            Self::Request(request) => Ok(Cow::Borrowed(request)),
        }
    }
}

const OWNER_APPROVED: &str = "owner-approved";

fn failed(why: &str) -> Ruling {
    Ruling::Never(vec![Reference {
        order: 0,
        rule: RULE_ERROR.to_owned(),
        place: "built in".to_owned(),
        words: format!("A rule could not be judged: {why}"),
        is_owners: false,
        answer: Answer::Never,
    }])
}

fn unruled() -> Reference {
    Reference {
        order: 0,
        rule: NO_RULE.to_owned(),
        place: "built in".to_owned(),
        words: "No rule lets this through.".to_owned(),
        is_owners: false,
        answer: Answer::Ask,
    }
}
