//! One program behind walls that is asked one thing: it reads what it is told, writes its answer and ends.

use crate::native::{Ended, Native};
use crate::spec::Job;
use std::time::Duration;

/// How often is looked whether nobody wants the answer any more.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Characters of a complaint that are told on.
const COMPLAINT_CHARS_MAX: usize = 200;

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    #[error("the question is too long")]
    Long,
    #[error("it could not be started behind walls: {0}")]
    Start(String),
    #[error("it took longer than {0} seconds")]
    TimedOut(u64),
    #[error("it failed: {0}")]
    Failed(String),
}

impl AskError {
    pub(crate) fn start(why: impl std::fmt::Display) -> Self {
        Self::Start(why.to_string())
    }
}

/// Runs a job to its end and hands back what it wrote. Blocks, and ends early when it is to stop.
pub(crate) fn ask(native: &Native, job: Job, stop: &dyn Fn() -> bool) -> Result<String, AskError> {
    let seconds = job.walls.limits.wall_seconds;
    let mut running = native.start(job, None).map_err(AskError::start)?;
    let outcome = loop {
        match running.wait_for(LOOK_EVERY).map_err(AskError::start)? {
            Some(outcome) => break outcome,
            None if stop() => running.kill(),
            None => {}
        }
    };
    match outcome.ended {
        Ended::Exit(0) if !outcome.stdout.cut() => String::from_utf8(outcome.stdout.bytes)
            .map_err(|_| AskError::Failed("no text".to_owned())),
        Ended::TimedOut => Err(AskError::TimedOut(seconds)),
        ended => {
            let said = String::from_utf8_lossy(&outcome.stderr.bytes).into_owned();
            let last = said.lines().last().unwrap_or_default();
            let said: String = last.chars().take(COMPLAINT_CHARS_MAX).collect();
            Err(AskError::Failed(format!("{ended:?} {said}")))
        }
    }
}
