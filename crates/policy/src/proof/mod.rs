//! Whether rules let through what other rules refused: a question for a solver, and what its answer
//! means.
//!
//! Nothing runs here. [`Proof::of`] writes the question as a script for an SMT solver, somebody runs it
//! ([`Proof::script`]) and hands the answer back ([`Proof::read`]). For each kind of caller and each
//! effect two things are asked, for all facts there can be: is anything let through that was not, and
//! is anything asked for that was denied. Whatever is not answered with a plain no counts as wider.
//!
//! `sets` brings the rules into the form of one decision, `smt` writes and reads, `words` says a
//! counterexample as a sentence.

mod sets;
mod smt;
mod words;

use cedar_policy::{RequestEnv, Schema};
use cedar_policy_symcc::CompiledPolicySet;

use crate::cedar::Rules;
use sets::Level;

/// The longest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why nothing can be asked. It counts as wider.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nothing can be proved of these rules: {0}")]
pub struct Unprovable(pub(crate) String);

/// What the solver's answer means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reading {
    /// No fact there can be makes a call pass that did not.
    Holds,
    /// There is such a call; ask for it with [`Proof::counter_script`].
    Fails(Counter),
    /// It gave no plain answer, and why.
    Unknown(String),
}

/// Which of the questions was answered with yes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter(usize);

/// The question.
#[derive(Debug)]
pub struct Proof {
    before: Rules,
    after: Rules,
    schema: Schema,
    asked: Vec<Asked>,
}

/// One kind of caller, one effect, one level.
#[derive(Debug)]
struct Asked {
    env: RequestEnv,
    level: Level,
    question: smt::Question,
}

impl Proof {
    /// What has to be asked to know that `after` lets through no more than `before`. Empty where both
    /// say the same.
    pub fn of(before: &Rules, after: &Rules) -> Result<Self, Unprovable> {
        let schema = Schema::from_cedarschema_str(Rules::schema_text())
            .map_err(|error| Unprovable(error.to_string()))?
            .0;
        let (was, is) = (sets::Parts::of(before)?, sets::Parts::of(after)?);
        let mut asked = Vec::new();
        for env in schema.request_envs() {
            for level in [Level::Allowed, Level::NotDenied] {
                let (outer, inner) = (was.set(&env, level, false)?, is.set(&env, level, false)?);
                if outer == inner {
                    continue;
                }
                let pair = compiled(&was, &is, &env, level, &schema)?;
                let question = smt::ask(&pair.0, &pair.1)?;
                if question.is_answered_no() {
                    continue;
                }
                asked.push(Asked {
                    env: env.clone(),
                    level,
                    question,
                });
            }
        }
        Ok(Self {
            before: before.clone(),
            after: after.clone(),
            schema,
            asked,
        })
    }

    /// True if there is nothing to ask: it is not wider.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.asked.is_empty()
    }

    /// The number of questions.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.asked.len()
    }

    /// All questions as one script; the solver answers each with a line.
    #[must_use]
    pub fn script(&self) -> String {
        self.asked.iter().map(|one| one.question.script()).collect()
    }

    /// What the answer to [`Proof::script`] means. One that is not as long as the question, or says
    /// anything but `unsat`, proves nothing.
    #[must_use]
    pub fn read(&self, answer: &str) -> Reading {
        if answer.len() > ANSWER_BYTES_MAX {
            return Reading::Unknown("the solver's answer is too long".to_owned());
        }
        let mut lines = answer
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let mut unknown = None;
        for (number, one) in self.asked.iter().enumerate() {
            if one.question.is_answered_yes() {
                return Reading::Fails(Counter(number));
            }
            match lines.next() {
                Some("unsat") => {}
                Some("sat") => return Reading::Fails(Counter(number)),
                Some(other) => unknown = unknown.or_else(|| Some(bounded(other))),
                None => {
                    let why = unknown.unwrap_or_else(|| "the solver ended early".to_owned());
                    return Reading::Unknown(why);
                }
            }
        }
        match (unknown, lines.next()) {
            (Some(why), _) => Reading::Unknown(format!("the solver says {why:?}")),
            (None, Some(more)) => {
                Reading::Unknown(format!("the solver also says {:?}", bounded(more)))
            }
            (None, None) => Reading::Holds,
        }
    }

    /// The script that asks for the call which newly passes.
    pub fn counter_script(&self, which: Counter) -> Result<String, Unprovable> {
        let (inner, outer) = self.pair(which)?;
        smt::ask_for_model(&inner, &outer)
    }

    /// That call in a sentence, from the answer to [`Proof::counter_script`]. It was put through the
    /// rules themselves again; one that does not bear it out is told as that.
    pub fn counterexample(&self, which: Counter, answer: &str) -> Result<String, Unprovable> {
        let (inner, outer) = self.pair(which)?;
        let request = smt::read_model(&inner, &outer, answer)?;
        Ok(words::sentence(&self.before, &self.after, &request))
    }

    fn pair(&self, which: Counter) -> Result<(CompiledPolicySet, CompiledPolicySet), Unprovable> {
        let asked = self.asked.get(which.0);
        let asked = asked.ok_or_else(|| Unprovable("there is no such question".to_owned()))?;
        let (was, is) = (
            sets::Parts::of(&self.before)?,
            sets::Parts::of(&self.after)?,
        );
        compiled(&was, &is, &asked.env, asked.level, &self.schema)
    }
}

/// What is let through afterwards, with facts as code computes them, and what was before.
fn compiled(
    was: &sets::Parts<'_>,
    is: &sets::Parts<'_>,
    env: &RequestEnv,
    level: Level,
    schema: &Schema,
) -> Result<(CompiledPolicySet, CompiledPolicySet), Unprovable> {
    let compile = |parts: &sets::Parts<'_>, guarded| {
        let set = sets::policy_set(parts.set(env, level, guarded)?)?;
        CompiledPolicySet::compile(&set, env, schema).map_err(|error| Unprovable(error.to_string()))
    };
    Ok((compile(is, true)?, compile(was, false)?))
}

fn bounded(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cedar::RuleFile;

    #[test]
    fn what_needed_no_solver_counts_as_it_came_out() {
        let file = RuleFile {
            name: "mine.cedar".to_owned(),
            text: "forbid (principal, action == Action::\"send\", resource);".to_owned(),
        };
        let before = Rules::read(vec![file]).unwrap();
        let mut proof = Proof::of(&before, &Rules::default()).unwrap();
        proof.asked.truncate(1);
        proof.asked[0].question = smt::Question::answered(true);
        assert_eq!(proof.script(), "");
        assert_eq!(proof.read(""), Reading::Fails(Counter(0)));
        proof.asked.clear();
        assert_eq!(proof.read(""), Reading::Holds);
    }
}
