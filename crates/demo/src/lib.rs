//! The script engine for models, and the built-in demo model that is written in it.
//!
//! A [`Script`] is data: ordered rules that look at a request and an answer for each. A [`Player`]
//! plays it, in this process as a [`LocalModel`](instar_protocol::model::LocalModel) or behind the
//! test kit's HTTP servers. Equal requests in equal order give equal answers: there is no clock, no
//! randomness and no I/O here. Start reading at [`script`], which documents the format; then
//! [`play`]; [`guide()`] is the model a fresh install talks through.

pub mod script;

mod ask;
mod fill;
mod guide;
mod planted;
mod play;

pub use ask::{Ask, Given, Writing};
pub use guide::{GUIDE, guide, guide_with_pause, is_scripted_notice};
pub use planted::{Cause, Planted, Weather};
pub use play::{Played, Player, estimate_tokens};
pub use script::{
    Answer, CallStep, Calls, Fault, Finish, ModelRow, Pace, Rule, Script, ScriptError, Split, Step,
    When,
};
