//! Suites: running, listing, beginning and recording them.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub(crate) enum Eval {
    /// Run a suite; with --candidate over both releases, case by case
    Run(Box<EvalRun>),
    /// List the suites that came with the program, and the reports that are kept
    List,
    /// Show a report that is kept
    Show {
        /// Its content address or the beginning of it
        report: String,
    },
    /// Write a small suite to begin with
    Init {
        /// The new file
        #[arg(default_value = "suite.yaml")]
        file: PathBuf,
    },
    /// Make a case from a conversation, with secrets and identities redacted
    Record {
        /// Key or id, as `instar sessions list` shows them
        session: String,
        /// Which of the messages, counted from 1
        #[arg(long, value_name = "N", default_value_t = 1)]
        turn: usize,
    },
    /// Make a suite from samples of OpenAI evals or Inspect
    Import {
        /// The file of samples, JSON lines or a list
        file: PathBuf,
        /// Whose samples these are, and how they are judged
        #[arg(long, value_enum, default_value_t = SampleKind::OpenaiIncludes)]
        kind: SampleKind,
    },
}

#[derive(Args, Debug)]
pub(crate) struct EvalRun {
    /// A file of YAML or JSON, or `builtin:NAME`
    pub(crate) suite: String,
    /// The candidate or release to compare
    #[arg(long, value_name = "RELEASE")]
    pub(crate) candidate: Option<String>,
    /// What it is compared with, or the release that answers where there is no candidate
    #[arg(long, value_name = "RELEASE", default_value = "stable")]
    pub(crate) baseline: String,
    /// Ask each case so often; cases whose outcomes differ are flaky and count for nothing
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeat: u32,
    /// Equal seeds give equal runs
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Cases at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
    /// Run the scripts of the suite (`javascript`, `python`), behind walls: no network, no files of yours
    #[arg(long)]
    pub(crate) scripts: bool,
    /// Ask again also where an answer is kept
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Fail below this share of passed cases, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percent)]
    pub(crate) pass_rate: f64,
    /// Write the results as promptfoo does
    #[arg(long, value_name = "FILE")]
    pub(crate) promptfoo: Option<PathBuf>,
    /// Write the results for a build server
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the results for people
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleKind {
    /// The answer begins with what is ideal
    OpenaiMatch,
    /// The answer holds it
    OpenaiIncludes,
    /// One holds the other, whatever the case of letters
    OpenaiFuzzy,
    /// The same JSON
    OpenaiJson,
    /// The target of a sample of Inspect
    Inspect,
}

fn percent(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.trim_end_matches('%').trim_end().parse().ok();
    share
        .filter(|share| (0.0..=100.0).contains(share))
        .ok_or_else(|| "a share is 0 to 100".to_owned())
}
