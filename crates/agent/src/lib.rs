//! Sessions and turns: one owner task per session, a pure step, a driver that does the I/O.
//!
//! A message's way through this crate, which is also the order to read it in: [`Sessions::submit`]
//! stores it and hands it to the `owner` task of its session; the `queue` says when its turn is;
//! the `driver` runs the turn, asking the pure `step` what comes next; `calls` puts tool calls before
//! policy and journals those that leave traces; `closing` commits the end in one batch. `recover`
//! settles what a crash left.
//!
//! The crate knows no HTTP, no SQL and no wire format, and runs no tool without a permit.

mod sessions;
mod submit;

mod awake;
mod owner;
mod queue;

mod answers;
mod asking;
mod calls;
mod closing;
mod driver;
mod errander;
mod errands;
mod heartbeat;
mod inbox;
mod judging;
mod late;
mod letters;
mod looking;
mod meeting;
mod mending;
mod planner;
mod record;
mod rehearse;
mod retrace;
mod schedule;
mod seen;
mod shadow;
mod step;
mod unasked;

mod fence;
mod import;
mod mask;
mod place;

mod fork;
mod prompt;
mod tokens;
mod window;

mod commands;
mod compaction;
mod history;
mod obey;
mod ranking;
mod recall;
mod recover;
mod reset;

pub mod config;
pub mod port;
pub mod route;
pub mod skills;
pub mod workspace;

mod house;
mod kept;
mod live;
mod tally;

// The fixture of the integration tests serves the tests of the driver, too.
#[cfg(test)]
extern crate self as instar_agent;
#[cfg(test)]
#[path = "../tests/support.rs"]
#[expect(dead_code, reason = "not every helper is used here")]
mod support;

pub use answers::{Answers, AnswersPort, Unsent};
pub use asking::{AnswerError, Asking, OPEN_MAX, OPEN_PER_RUN_MAX, RULE_LIFE, Said};
pub use commands::{COMMANDS, CommandHelp};
pub use config::{
    AgentSettings, AgentsConfig, CommandsConfig, Config, CronConfig, LearningConfig,
    MessagesConfig, PolicyConfig, SessionConfig,
};
pub use errander::Errander;
pub use fork::Forked;
pub use heartbeat::WakeError;
pub use letters::{ANSWER_CHARS_MAX, LetterError, Letters};
pub use live::Seen;
pub use looking::Eyes;
pub use meeting::{forgotten, know};
pub use mending::{Thrown, ThrownTurn, TrialsPort};
pub use planner::PLANNER_PROMPT;
pub use rehearse::{Rehearsal, RehearseError};
pub use retrace::{retrace, standing};
pub use schedule::RunError;
pub use sessions::{Parts, RewindError, Sessions};
pub use submit::{SubmitError, Submitted};
pub use tally::Counts;
pub use unasked::ASIDE_CHARS_MAX as BEAT_ASIDE_CHARS_MAX;
