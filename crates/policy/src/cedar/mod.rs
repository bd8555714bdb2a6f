//! Rules that owners read and write, in Cedar: the built-in ones and theirs, over facts that code
//! computed.
//!
//! Cedar knows permit and forbid; a rule's `@answer` says what its forbid means here (see
//! `base.cedar`). The owner's permits stand in a set of their own that is asked only where nothing but
//! a rule that yields speaks against the call: so they can never outvote a hard rule.

mod case;
mod compile;
mod error;
mod read;
mod scope;
mod split;

use cedar_policy::{Authorizer, EntityUid, EvalResult, Policy, Request};
use instar_protocol::tool::Effect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub use case::{Case, InPlan};
pub use error::RuleError;

use compile::Compiled;
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
        self.compiled().ordered()
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
        match case.request(&self.compiled().read) {
            Ok(request) => self.ruled(&request, case.effect, case.tool, case.approved),
            Err(err) => failed(&err),
        }
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
        self.ruled(request, effect, &tool, approved)
    }

    fn ruled(&self, request: &Request, effect: Effect, tool: &str, approved: bool) -> Ruling {
        if let Some(broken) = &self.compiled().broken {
            return failed(broken);
        }
        let mut found = match self.asked(&self.compiled().rules, request, effect, tool) {
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
        // Cedar names permits only where no forbid holds; an approved call has lost its forbids above.
        if approved {
            return Ruling::Allow(self.named(OWNER_APPROVED));
        }
        let permits = match self.asked(&self.compiled().owner_permits, request, effect, tool) {
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
        let Ok(request) = case.request(&self.compiled().read) else {
            return Vec::new();
        };
        let permits = &self.compiled().owner_permits;
        let asked = self.asked(permits, &request, case.effect, case.tool);
        asked.unwrap_or_default()
    }

    /// The rules that hold, in their order. One that cannot be judged is an error.
    fn asked(
        &self,
        scoped: &Scoped,
        request: &Request,
        effect: Effect,
        tool: &str,
    ) -> Result<Vec<Reference>, String> {
        let mut found = Vec::new();
        for set in scoped.of(effect, tool) {
            let response = Authorizer::new().is_authorized(request, set, &self.compiled().actions);
            let diagnostics = response.diagnostics();
            if let Some(error) = diagnostics.errors().next() {
                return Err(error.to_string());
            }
            let rules = diagnostics.reason();
            found.extend(rules.filter_map(|id| self.compiled().index.get(id).cloned()));
        }
        found.sort();
        Ok(found)
    }

    /// Every rule as it is asked, with what is known of it.
    pub(crate) fn policies(&self) -> Result<Vec<(Policy, Reference)>, String> {
        let compiled = self.compiled();
        if let Some(broken) = &compiled.broken {
            return Err(broken.clone());
        }
        let policies = compiled.rules.all().chain(compiled.owner_permits.all());
        let known = policies.filter_map(|policy| {
            let reference = compiled.index.get(policy.id())?;
            Some((reference.order, (policy.clone(), reference.clone())))
        });
        // One stands under each effect that it is about.
        let once: BTreeMap<usize, (Policy, Reference)> = known.collect();
        Ok(once.into_values().collect())
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
