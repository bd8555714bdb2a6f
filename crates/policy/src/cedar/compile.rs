//! Reads rules, checks each against the schema, and puts them into the sets that are asked.

use cedar_policy::{
    Effect, Entities, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::RuleError;
use super::fact::FactSet;
use super::guard::Guard;
use super::scope::Scoped;
use super::split::split;
use super::{Answer, OWNER_RULES_MAX, RULE_FILE_BYTES_MAX, Reference, RuleFile};

pub(super) const BASE_TEXT: &str = include_str!("base.cedar");
pub(super) const SCHEMA_TEXT: &str = include_str!("schema.cedarschema");
const BASE_NAME: &str = "base.cedar";

/// One rule as it is asked.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) policy: Policy,
    /// The rule alone, as Cedar is asked for it.
    pub(super) alone: PolicySet,
    pub(super) guard: Guard,
    /// The facts that it may read.
    pub(super) reads: FactSet,
    pub(super) reference: Reference,
}

/// Rules as they are asked.
#[derive(Debug)]
pub(super) struct Compiled {
    /// The built-in rules and what the owner forbids.
    pub(super) rules: Scoped,
    /// What the owner permits: asked only where rules that yield are all that speaks against.
    pub(super) owner_permits: Scoped,
    /// Every rule in its order.
    pub(super) all: Vec<Arc<Rule>>,
    /// The effects with their groups.
    pub(super) actions: Entities,
    /// Why nothing can be judged: the built-in rules are broken, and everything is denied.
    pub(super) broken: Option<String>,
}

impl Compiled {
    pub(super) fn base() -> Self {
        Self::with(&[]).unwrap_or_else(|errors| {
            let why: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let mut empty = Self::empty();
            empty.broken = Some(why.join("; "));
            empty
        })
    }

    fn empty() -> Self {
        Self {
            rules: Scoped::default(),
            owner_permits: Scoped::default(),
            all: Vec::new(),
            actions: Entities::empty(),
            broken: None,
        }
    }

    pub(super) fn with(files: &[RuleFile]) -> Result<Self, Vec<RuleError>> {
        let fault = |problem: String| vec![RuleError::new("schema.cedarschema", 1, problem)];
        let (schema, _warnings) =
            Schema::from_cedarschema_str(SCHEMA_TEXT).map_err(|err| fault(err.to_string()))?;
        let actions = schema
            .action_entities()
            .map_err(|err| fault(err.to_string()))?;
        let mut reader = Reader {
            compiled: Self {
                actions,
                ..Self::empty()
            },
            validator: Validator::new(schema),
            errors: Vec::new(),
            names: BTreeSet::new(),
        };
        reader.file(BASE_NAME, BASE_TEXT, false);
        let mut seen = BTreeSet::new();
        for file in files {
            if !seen.insert(file.name.as_str()) {
                let twice = RuleError::new(&file.name, 1, "a file of this name was read already");
                reader.errors.push(twice);
            } else if file.text.len() > RULE_FILE_BYTES_MAX {
                let problem = format!("the file is longer than {RULE_FILE_BYTES_MAX} bytes");
                reader.errors.push(RuleError::new(&file.name, 1, problem));
            } else {
                reader.file(&file.name, &file.text, true);
            }
        }
        if reader.errors.is_empty() {
            Ok(reader.compiled)
        } else {
            Err(reader.errors)
        }
    }
}

struct Reader {
    compiled: Compiled,
    validator: Validator,
    errors: Vec<RuleError>,
    names: BTreeSet<String>,
}

impl Reader {
    fn file(&mut self, name: &str, text: &str, is_owners: bool) {
        for piece in split(text) {
            let read = self.rule(name, piece.line, piece.text, is_owners);
            if let Err(error) = read {
                self.errors.push(error);
            }
        }
    }

    fn rule(
        &mut self,
        file: &str,
        line: usize,
        text: &str,
        is_owners: bool,
    ) -> Result<(), RuleError> {
        let order = self.compiled.all.len();
        if is_owners && order >= OWNER_RULES_MAX {
            let problem = format!("there are more than {OWNER_RULES_MAX} rules");
            return Err(RuleError::new(file, line, problem));
        }
        let id = PolicyId::new(format!("{file}:{line}#{order}"));
        let policy = Policy::parse(Some(id), text)
            .map_err(|err| RuleError::found(file, line, text, &err))?;
        let reference = self.reference(&policy, file, line, is_owners, order)?;
        let twice = |err: cedar_policy::PolicySetError| RuleError::new(file, line, err.to_string());
        let mut alone = PolicySet::new();
        alone.add(policy.clone()).map_err(twice)?;
        let checked = self.validator.validate(&alone, ValidationMode::Strict);
        if let Some(finding) = checked.validation_errors().next() {
            return Err(RuleError::found(file, line, text, finding));
        }
        // A rule that can never hold was meant otherwise.
        if let Some(finding) = checked.validation_warnings().next() {
            return Err(RuleError::found(file, line, text, finding));
        }
        let scoped = if is_owners && reference.answer == Answer::Permit {
            &mut self.compiled.owner_permits
        } else {
            &mut self.compiled.rules
        };
        let rule = Arc::new(Rule {
            guard: Guard::of(&policy),
            reads: FactSet::of_rule(text),
            policy,
            alone,
            reference,
        });
        scoped.add(&rule, &self.compiled.actions);
        self.compiled.all.push(rule);
        Ok(())
    }

    fn reference(
        &mut self,
        policy: &Policy,
        file: &str,
        line: usize,
        is_owners: bool,
        order: usize,
    ) -> Result<Reference, RuleError> {
        let wrong = |problem: String| RuleError::new(file, line, problem);
        for (key, _) in policy.annotations() {
            if !matches!(key, "rule" | "answer" | "words") {
                return Err(wrong(format!(
                    "@{key} is no annotation here; there are @rule, @answer and @words"
                )));
            }
        }
        let answer = match (policy.effect(), policy.annotation("answer")) {
            (Effect::Permit, None) => Answer::Permit,
            (Effect::Permit, Some(_)) => {
                return Err(wrong("@answer belongs to a forbid".to_owned()));
            }
            (Effect::Forbid, None | Some("never")) => Answer::Never,
            (Effect::Forbid, Some("ask")) => Answer::Ask,
            (Effect::Forbid, Some("yield")) => Answer::Yield,
            (Effect::Forbid, Some(other)) => {
                return Err(wrong(format!(
                    "@answer({other:?}) is none of \"never\", \"ask\" and \"yield\""
                )));
            }
        };
        let rule = match policy.annotation("rule") {
            Some(name) if is_rule_name(name) => name.to_owned(),
            Some(_) => {
                return Err(wrong(
                    "@rule takes small letters, digits and hyphens, 64 at most".to_owned(),
                ));
            }
            None => format!("{file}:{line}"),
        };
        if !self.names.insert(rule.clone()) {
            return Err(wrong(format!("there is a rule named {rule} already")));
        }
        Ok(Reference {
            order,
            rule,
            place: format!("{file}:{line}"),
            words: policy.annotation("words").unwrap_or_default().to_owned(),
            is_owners,
            answer,
        })
    }
}

fn is_rule_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
