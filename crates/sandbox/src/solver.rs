//! Solvers for questions that have been written down: cvc5 as the system has it, and beside it the
//! newer one that Python's package index has. Each runs behind walls, sees the question alone, and its
//! answer is text that somebody else has to read.

use crate::asked;
use crate::native::Native;
use crate::root::Root;
use crate::spec::{Access, Argv, Input, Job, Limits, Walls};
use std::path::{Path, PathBuf};

pub use crate::asked::AskError as SolverError;

/// The longest question.
const QUESTION_BYTES_MAX: usize = 64 << 20;
/// For one of the questions in a script, in milliseconds.
const ONE_TIME: &str = "--tlimit-per=10000";
/// Where the system may have it. Never looked for along a search path.
const SYSTEM: [&str; 2] = ["/usr/bin/cvc5", "/usr/local/bin/cvc5"];
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
        asked::ask(native, job, stop)
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
        let argv = Argv::new(words.into_iter().map(str::to_owned).collect());
        let mut job = Job::new(walls, argv.map_err(SolverError::start)?);
        if let Self::Package(folder) = self {
            job.workspace = Some(Root::open(folder).map_err(SolverError::start)?);
        }
        Ok(job)
    }
}
