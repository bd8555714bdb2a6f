//! Programs: `exec` runs one behind walls, `process` sees those that run in the background, `process_write` writes
//! to one.
//!
//! A command is a list of words that the program gets as they are. `shell` is a text that a shell reads:
//! arbitrary code, and judged as that. What would run is worked out by the house before the decision, and
//! once more before the start.

mod process;
mod run;

use futures_util::future::BoxFuture;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::tool::{Caller, Output, Tool, ToolError};
use instar_protocol::{Label, SessionKey};

/// The longest that one run may be given, in seconds. The walls' own limit may be lower.
pub const SECONDS_MAX: u64 = 3_600;
/// Most bytes of input that go along with a call.
pub const INPUT_BYTES_MAX: usize = 60_000;

/// A program as the model asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The program and its arguments; for a text of a shell the shell with it.
    pub words: Vec<String>,
    pub is_shell: bool,
    /// Relative to the workspace; empty for the workspace itself.
    pub folder: String,
    pub environment: BTreeMap<String, String>,
    pub seconds: Option<u64>,
    pub input: Option<String>,
    pub background: bool,
}

/// What came of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Ran {
    /// The handle of a program that goes on.
    pub job: Option<String>,
    pub end: Option<End>,
    pub text: String,
    /// Bytes of the output that were not kept.
    pub lost: u64,
    /// Names in the environment that are not handed on.
    pub left_out: Vec<String>,
    /// What was put aside or cannot be told apart, in words.
    pub notes: Vec<String>,
    pub label: Label,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct End {
    pub how: How,
    pub seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    Exit(u8),
    Signal(u8),
    TimedOut,
    Flooded,
    Killed,
}

/// One background program.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    pub id: String,
    pub command: String,
    pub end: Option<How>,
    pub seconds: f64,
    pub bytes: u64,
    /// Of what it writes.
    pub label: Label,
}

/// Runs programs; supplied by the gateway.
pub trait ProgramsPort: Send + Sync + fmt::Debug {
    /// What a run would be made of: executable, scripts, walls. With `cannot` where it cannot be.
    fn bind<'a>(&'a self, caller: &'a Caller, order: &'a Order) -> BoxFuture<'a, Value>;
    fn run<'a>(&'a self, caller: &'a Caller, order: Order)
    -> BoxFuture<'a, Result<Ran, ToolError>>;
    /// The programs of the caller's conversation.
    fn jobs<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, Vec<Job>>;
    /// One of them, with what it wrote since the last look and how much of that was not kept.
    fn news<'a>(
        &'a self,
        caller: &'a Caller,
        job: &'a str,
    ) -> BoxFuture<'a, Result<(Job, String, u64), ToolError>>;
    fn write<'a>(
        &'a self,
        caller: &'a Caller,
        job: &'a str,
        input: String,
        close: bool,
    ) -> BoxFuture<'a, Result<(), ToolError>>;
    /// Ends one; false if it had ended by itself.
    fn kill<'a>(
        &'a self,
        caller: &'a Caller,
        job: &'a str,
    ) -> BoxFuture<'a, Result<bool, ToolError>>;
    /// A conversation was stopped or started over: what it runs ends.
    fn over(&self, session: &SessionKey);
}

/// The tools that run programs.
#[must_use]
pub fn tools(programs: &Arc<dyn ProgramsPort>) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(run::Exec::new(Arc::clone(programs))),
        Arc::new(process::look(Arc::clone(programs))),
        Arc::new(process::Write::new(Arc::clone(programs))),
    ]
}

impl How {
    fn words(self, seconds: f64) -> String {
        match self {
            Self::Exit(code) => format!("exit code {code} after {seconds:.1} s"),
            Self::Signal(number) => format!("ended by signal {number} after {seconds:.1} s"),
            Self::TimedOut => format!("stopped: its time was up after {seconds:.1} s"),
            Self::Flooded => format!("stopped: it wrote without end, {seconds:.1} s"),
            Self::Killed => format!("was ended from outside after {seconds:.1} s"),
        }
    }

    pub(crate) fn as_value(self) -> Value {
        match self {
            Self::Exit(code) => serde_json::json!({ "exit": code }),
            Self::Signal(number) => serde_json::json!({ "signal": number }),
            Self::TimedOut => serde_json::json!("timed out"),
            Self::Flooded => serde_json::json!("flooded"),
            Self::Killed => serde_json::json!("killed"),
        }
    }
}

/// One line on what came of it, then what it wrote.
fn told(ran: Ran) -> Output {
    let mut line = match (&ran.end, &ran.job) {
        (Some(end), _) => end.how.words(end.seconds),
        (None, Some(job)) => {
            format!(
                "runs in the background as {job}; process with action poll shows what it writes"
            )
        }
        (None, None) => "did not run".to_owned(),
    };
    if ran.lost > 0 {
        line.push_str(&format!("; {} bytes in the middle were not kept", ran.lost));
    }
    if !ran.left_out.is_empty() {
        line.push_str(&format!(
            "; not handed on from env: {}",
            ran.left_out.join(", ")
        ));
    }
    for note in &ran.notes {
        line.push_str("; ");
        line.push_str(note);
    }
    let text = if ran.text.is_empty() {
        format!("[{line}]")
    } else {
        format!("[{line}]\n{}", ran.text)
    };
    Output::words(text, ran.label)
}
