//! The tools over the agent's own conversations, the one that pages through long outputs, and the one
//! that reads skills.

mod errands;
mod output_page;
mod session_status;
mod sessions_history;
mod sessions_list;
mod sessions_search;
mod skill;

use instar_policy::Annotation;
use instar_protocol::{Label, Readers};
use std::sync::Arc;

use crate::tool::{SessionsPort, Tool};

pub use errands::{ErrandsPort, Sent, Task};
pub(crate) use errands::{send as sessions_send, spawn as sessions_spawn};
pub(crate) use output_page::tool as output_page;
pub(crate) use skill::tool as skill;
pub use skill::{SKILL, SkillsPort};

/// Reading the agent's own conversations. What is read brings its own labels; the frame around it is the
/// gateway's, for the owner.
fn reads_own() -> Annotation {
    Annotation::reads(Label {
        readers: Readers::Private,
        ..Label::system()
    })
}

pub(crate) fn all(sessions: Arc<dyn SessionsPort>) -> [Arc<dyn Tool>; 5] {
    [
        Arc::new(session_status::SessionStatus::new(sessions.clone())),
        Arc::new(sessions_list::SessionsList::new(sessions.clone())),
        Arc::new(sessions_history::SessionsHistory::new(sessions.clone())),
        Arc::new(sessions_search::SessionsSearch::new(sessions)),
        skill(),
    ]
}
