//! The tools over the agent's own conversations, and the one that pages through long outputs.

mod errands;
mod output_page;
mod session_status;
mod sessions_history;
mod sessions_list;
mod sessions_search;

use std::sync::Arc;

use crate::tool::{SessionsPort, Tool};

pub use errands::{ErrandsPort, Sent, Task};
pub(crate) use errands::{send as sessions_send, spawn as sessions_spawn};
pub(crate) use output_page::tool as output_page;

pub(crate) fn all(sessions: Arc<dyn SessionsPort>) -> [Arc<dyn Tool>; 4] {
    [
        Arc::new(session_status::SessionStatus::new(sessions.clone())),
        Arc::new(sessions_list::SessionsList::new(sessions.clone())),
        Arc::new(sessions_history::SessionsHistory::new(sessions.clone())),
        Arc::new(sessions_search::SessionsSearch::new(sessions)),
    ]
}
