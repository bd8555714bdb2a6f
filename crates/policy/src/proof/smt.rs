//! The question in the solver's language, and its answer read back.
//!
//! The symbolic compiler wants to speak with a solver while it works. Here it speaks with a sheet of
//! paper: first one that takes down what it says, later one that has the solver's answer on it. Nothing
//! waits, so that no runtime is needed.

use cedar_policy::Request;
use cedar_policy_symcc::solver::{Decision, DecisionWithModel, Solver, SolverError};
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicySet, ResetMode, SmtLibScript, implies_asserts,
};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{ANSWER_BYTES_MAX, Unprovable};

/// The longest script of one question.
const SCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One question: a script, or an answer that needed no solver.
#[derive(Debug)]
pub(super) struct Question(Asked);

#[derive(Debug)]
enum Asked {
    Script(String),
    Answered(bool),
}

impl Question {
    pub(super) fn script(&self) -> &str {
        match &self.0 {
            Asked::Script(script) => script,
            Asked::Answered(_) => "",
        }
    }

    /// Nothing that passes afterwards did not pass before.
    pub(super) fn is_answered_no(&self) -> bool {
        matches!(self.0, Asked::Answered(false))
    }

    pub(super) fn is_answered_yes(&self) -> bool {
        matches!(self.0, Asked::Answered(true))
    }
}

/// A solver on paper.
struct Paper {
    said: Vec<u8>,
    /// The model that it answers with.
    model: String,
}

type Answer<T> = Result<T, SolverError>;

impl Solver for Paper {
    fn smtlib_input(&mut self) -> &mut (dyn tokio::io::AsyncWrite + Unpin + Send) {
        &mut self.said
    }

    async fn enable_models(&mut self) -> Answer<()> {
        let set = self.said.set_option("produce-models", "true").await;
        set.map_err(SolverError::Io)
    }

    async fn check_sat(&mut self) -> Answer<Decision> {
        self.said.check_sat().await.map_err(SolverError::Io)?;
        Ok(Decision::Unsat)
    }

    async fn check_sat_with_model(&mut self) -> Answer<DecisionWithModel> {
        self.said.check_sat().await.map_err(SolverError::Io)?;
        self.said.get_model().await.map_err(SolverError::Io)?;
        if self.model.is_empty() {
            return Ok(DecisionWithModel::Unsat);
        }
        let model = std::mem::take(&mut self.model);
        Ok(DecisionWithModel::Sat { model })
    }
}

/// Is there a request that the first set allows and the second does not?
pub(super) fn ask(
    inner: &CompiledPolicySet,
    outer: &CompiledPolicySet,
) -> Result<Question, Unprovable> {
    let mut compiler = compiler(String::new(), ResetMode::Emit)?;
    let asserts = implies_asserts(inner, outer);
    let none = now(compiler.check_unsat(&asserts))?;
    let script = said(&mut compiler)?;
    Ok(Question(if script.is_empty() {
        Asked::Answered(!none)
    } else {
        Asked::Script(script)
    }))
}

/// The same with the request itself asked for.
pub(super) fn ask_for_model(
    inner: &CompiledPolicySet,
    outer: &CompiledPolicySet,
) -> Result<String, Unprovable> {
    let mut compiler = compiler(String::new(), ResetMode::Comment)?;
    let asserts = implies_asserts(inner, outer);
    let _on_paper = now(compiler.check_sat(&asserts))?;
    said(&mut compiler)
}

/// The request that the solver found.
pub(super) fn read_model(
    inner: &CompiledPolicySet,
    outer: &CompiledPolicySet,
    answer: &str,
) -> Result<Request, Unprovable> {
    let missing = || Unprovable("the solver gave no example".to_owned());
    let model = answer.trim_start().strip_prefix("sat");
    // Where no solver was needed, every request is one.
    let model = model.map_or(" ", str::trim_start);
    if model.len() > ANSWER_BYTES_MAX {
        return Err(Unprovable("the solver's example is too long".to_owned()));
    }
    let mut compiler = compiler(model.to_owned(), ResetMode::Comment)?;
    let asserts = implies_asserts(inner, outer);
    let found = now(compiler.check_sat(&asserts))?;
    found.map(|env| env.request).ok_or_else(missing)
}

fn compiler(model: String, reset: ResetMode) -> Result<CedarSymCompiler<Paper>, Unprovable> {
    let said = Vec::new();
    let compiler = CedarSymCompiler::new(Paper { said, model });
    let compiler = compiler.map_err(|error| Unprovable(error.to_string()))?;
    Ok(compiler.with_reset_mode(reset))
}

fn said(compiler: &mut CedarSymCompiler<Paper>) -> Result<String, Unprovable> {
    text(std::mem::take(&mut compiler.solver_mut().said))
}

fn text(said: Vec<u8>) -> Result<String, Unprovable> {
    if said.len() > SCRIPT_BYTES_MAX {
        return Err(Unprovable("the question is too long".to_owned()));
    }
    String::from_utf8(said).map_err(|error| Unprovable(error.to_string()))
}

/// Writing to memory never waits.
fn now<T, E: std::fmt::Display>(
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Unprovable> {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => done.map_err(|error| Unprovable(error.to_string())),
        Poll::Pending => Err(Unprovable("the question was not written".to_owned())),
    }
}

#[cfg(test)]
impl Question {
    pub(super) fn answered(is_yes: bool) -> Self {
        Self(Asked::Answered(is_yes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_at_most_so_long() {
        let longest = vec![b' '; 4_194_304];
        assert_eq!(text(longest.clone()).unwrap().len(), longest.len());
        let longer = [longest, vec![b' ']].concat();
        assert!(text(longer).unwrap_err().to_string().contains("too long"));
    }
}
