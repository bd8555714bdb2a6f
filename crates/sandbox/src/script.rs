//! Short scripts in languages that this machine has an interpreter for. Each runs behind walls with no
//! network, no folder but its own empty ones and little time; it is told one text and writes another, which somebody
//! else has to judge.

use crate::asked::{self, AskError};
use crate::native::Native;
use crate::spec::{Argv, Input, Job, Limits, Walls};
use std::path::{Path, PathBuf};

/// How long a script may take.
const SECONDS: u64 = 30;
/// The longest text that a script is told, and the longest that it may write.
const TOLD_BYTES_MAX: usize = 16 << 20;
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Languages of scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    JavaScript,
    Python,
}

impl Language {
    /// Where the system may have it. Never looked for along a search path.
    fn system(self) -> [&'static str; 2] {
        match self {
            Self::JavaScript => ["/usr/bin/node", "/usr/local/bin/node"],
            Self::Python => ["/usr/bin/python3", "/usr/local/bin/python3"],
        }
    }

    /// The words that make the interpreter take a program from its command line and see nothing of its
    /// user's.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::JavaScript => &["--no-warnings", "-e"],
            Self::Python => &["-I", "-B", "-c"],
        }
    }
}

/// An interpreter that this machine has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interpreter {
    language: Language,
    program: PathBuf,
    seconds: u64,
}

impl Interpreter {
    #[must_use]
    pub fn find(language: Language) -> Option<Self> {
        let mut known = language.system().into_iter().map(Path::new);
        let program = known.find(|path| path.is_file())?.to_owned();
        Some(Self {
            language,
            program,
            seconds: SECONDS,
        })
    }

    /// With this time for each run.
    #[must_use]
    pub fn within(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// Runs a program that reads `told` from its standard input, and hands back what it wrote. Blocks
    /// until it has ended, or its time is up.
    pub fn run(&self, native: &Native, program: &str, told: &str) -> Result<String, AskError> {
        if told.len() > TOLD_BYTES_MAX {
            return Err(AskError::Long);
        }
        let mut words = vec![self.program.display().to_string()];
        words.extend(self.language.words().iter().map(|word| (*word).to_owned()));
        words.push(program.to_owned());
        let argv = Argv::new(words).map_err(AskError::start)?;
        let mut job = Job::new(walls(self.seconds), argv);
        job.input = Input::Bytes(told.as_bytes().to_vec());
        asked::ask(native, job, &|| false)
    }
}

/// Nothing of the machine but its programs, and as little time and memory as an interpreter lives with.
fn walls(seconds: u64) -> Walls {
    Walls {
        limits: Limits {
            cpu_seconds: seconds,
            wall_seconds: seconds,
            pids: 64,
            files: 256,
            file_bytes: 16 << 20,
            output_bytes: ANSWER_BYTES_MAX,
            ..Limits::default()
        },
        ..Walls::default()
    }
}
