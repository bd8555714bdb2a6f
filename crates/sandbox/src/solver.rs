//! Solvers for questions that have been written down: cvc5 as the system has it, and beside it the
//! newer one that Python's package index has. Each runs behind walls, sees the question alone, and its
//! answer is text that somebody else has to read.

use crate::native::{Ended, Native};
use crate::root::Root;
use crate::spec::{Access, Argv, Input, Job, Limits, Walls};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest question.
const QUESTION_BYTES_MAX: usize = 64 << 20;
/// For one of the questions in a script, in milliseconds.
const ONE_TIME: &str = "--tlimit-per=10000";
/// Where the system may have it. Never looked for along a search path.
const SYSTEM: [&str; 2] = ["/usr/bin/cvc5", "/usr/local/bin/cvc5"];
/// How often is looked whether nobody wants the answer any more.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const PYTHON: &str = "/usr/bin/python3";

/// Reads a script as the program does, from a folder that stands at `/work`.
const DRIVER: &str = "\
import sys
sys.path.insert(0, '/work')
import cvc5
solver = cvc5.Solver(cvc5.TermManager())
solver.setOption('tlimit-per', '10000')
parser = cvc5.InputParser(solver)
parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, sys.stdin.read(), 'question')
symbols = parser.getSymbolManager()
while True:
    command = parser.nextCommand()
    if command.isNull():
        break
    sys.stdout.write(command.invoke(solver, symbols))
    sys.stdout.flush()
";

/// A solver that this machine has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Solver {
    /// A program of the system's.
    Program(PathBuf),
    /// The Python package in this folder.
    Package(PathBuf),
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SolverError {
    #[error("the question is too long")]
    Long,
    #[error("it could not be started behind walls: {0}")]
    Start(String),
    #[error("it took longer than {0} seconds")]
    TimedOut(u64),
    #[error("it failed: {0}")]
    Failed(String),
}

impl Solver {
    /// All that there are: the system's, and the package in the folder that the owner names.
    #[must_use]
    pub fn found(package: Option<&Path>) -> Vec<Self> {
        let program = SYSTEM.iter().map(PathBuf::from).find(|path| path.is_file());
        let package =
            package.filter(|folder| folder.join("cvc5").is_dir() && Path::new(PYTHON).is_file());
        let package = package.map(|folder| Self::Package(folder.to_owned()));
        program
            .map(Self::Program)
            .into_iter()
            .chain(package)
            .collect()
    }

    /// For people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Program(_) => "the system's cvc5",
            Self::Package(_) => "the cvc5 of the Python package",
        }
    }

    /// Runs a script and hands back what was written. Blocks; takes a minute and a half at the most, and
    /// ends early when it is to stop.
    pub fn ask(
        &self,
        native: &Native,
        script: &str,
        stop: &dyn Fn() -> bool,
    ) -> Result<String, SolverError> {
        if script.len() > QUESTION_BYTES_MAX {
            return Err(SolverError::Long);
        }
        let mut job = self.job()?;
        job.input = Input::Bytes(script.as_bytes().to_vec());
        let seconds = job.walls.limits.wall_seconds;
        let start = |error: String| SolverError::Start(error);
        let mut running = native
            .start(job, None)
            .map_err(|error| start(error.to_string()))?;
        let outcome = loop {
            let waited = running.wait_for(LOOK_EVERY);
            match waited.map_err(|error| start(error.to_string()))? {
                Some(outcome) => break outcome,
                None if stop() => running.kill(),
                None => {}
            }
        };
        match outcome.ended {
            Ended::Exit(0) if !outcome.stdout.cut() => String::from_utf8(outcome.stdout.bytes)
                .map_err(|_| SolverError::Failed("no text".to_owned())),
            Ended::TimedOut => Err(SolverError::TimedOut(seconds)),
            ended => {
                let said = String::from_utf8_lossy(&outcome.stderr.bytes).into_owned();
                let said: String = said
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .chars()
                    .take(200)
                    .collect();
                Err(SolverError::Failed(format!("{ended:?} {said}")))
            }
        }
    }

    fn job(&self) -> Result<Job, SolverError> {
        let walls = Walls {
            workspace: match self {
                Self::Program(_) => Access::None,
                Self::Package(_) => Access::Read,
            },
            limits: Limits {
                cpu_seconds: 60,
                wall_seconds: 90,
                pids: 16,
                file_bytes: 0,
                ..Limits::default()
            },
            ..Walls::default()
        };
        let words: Vec<&str> = match self {
            Self::Program(path) => {
                vec![path.to_str().unwrap_or_default(), "--lang", "smt", ONE_TIME]
            }
            Self::Package(_) => vec![PYTHON, "-I", "-B", "-c", DRIVER],
        };
        let start = |why: String| SolverError::Start(why);
        let argv = Argv::new(words.into_iter().map(str::to_owned).collect());
        let mut job = Job::new(walls, argv.map_err(|error| start(error.to_string()))?);
        if let Self::Package(folder) = self {
            let root = Root::open(folder).map_err(|error| start(error.to_string()))?;
            job.workspace = Some(root);
        }
        Ok(job)
    }
}
