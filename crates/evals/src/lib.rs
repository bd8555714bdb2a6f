//! Suites of cases, and what becomes of them: the judge's side of improvement.
//!
//! [`Suite::open`] reads a suite (the part of promptfoo's YAML that most suites use, and agent cases),
//! [`run()`] asks one arm or a candidate and its baseline, and the [`Report`] names every regression. What a
//! suite asks for that is not done here is `unsupported` and never passes.
//!
//! ```text
//! let suite = Suite::open(path)?;                                   // or builtin::suite("golden")
//! let report = run(&suite, &[candidate, baseline], &Options::default())?;
//! report.comparison                                                 // regressions, interval, verdict
//! ```
//!
//! Nothing here reaches the network, starts a program or reads a clock for a decision: who answers, who
//! grades and who runs scripts come in as [`Providers`], [`Grader`] and [`Scripts`]. It knows nothing of
//! who proposes changes: author and judge share no code.

pub mod bounds;
mod error;
mod suite;

mod provider;
mod run;

mod compare;
mod report;

mod agent;
mod arithmetic;
mod assertion;
pub mod builtin;
mod cache;
mod csv;
mod data;
mod exec;
mod files;
pub mod import;
pub mod output;
mod record;
mod score;
mod scripted;
mod template;

pub use agent::{AgentProviders, default_behaviour};
pub use cache::{Cache, Folder};
pub use compare::{Change, Comparison, Finding, LEVEL};
pub use data::to_yaml;
pub use error::{SuiteError, Trouble};
pub use exec::{EXEC, exec};
pub use files::Files;
pub use provider::{
    Answer, BuiltIn, Call, Echo, Grader, Language, Provider, Providers, Scripts, Step, Tokens,
};
pub use record::record;
pub use report::{ArmReport, Column, Counts, Flaky, Outcome, REPORT_VERSION, Report, Row};
pub use run::{Arm, Options, run};
pub use score::Checked;
pub use suite::{Assertion, Case, Check, Dataset, Derived, Program, Prompt, ProviderSpec, Suite};
