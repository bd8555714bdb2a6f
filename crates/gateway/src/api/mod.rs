//! The gateway's own HTTP API, `/api/v1/...`; the table of its routes is `instar_protocol::api`.
//!
//! Handlers read strictly ([`input`]), ask the store or a subsystem, and answer with the shared
//! types. [`queries`] and [`doctor`] need no running gateway: the command line uses them too.

mod branches;
mod messages;
mod sessions;

mod approvals;
mod audit;
mod devices;
mod events;
pub(crate) mod gates;
mod grade;
mod heartbeat;
mod inbox;
mod input;
pub(crate) use input::{Asked, Strict};
mod logs;
pub(crate) mod memory;
mod models;
mod owner;
mod policy;
mod refusal;
mod rehearse;
mod reports;
pub mod rollouts;
pub(crate) mod schedules;
mod setup;
mod status;
mod tools;
mod undo;

pub mod candidates;
pub mod doctor;
pub mod export;
pub mod faults;
pub mod healing;
pub mod media;
pub mod queries;
pub mod records;
pub mod search;
pub mod sse;

pub(crate) use approvals::{asked, said};
pub(crate) use audit::report;
pub(crate) use branches::{again, entry_of, fork_session};
pub(crate) use events::event_id;
pub use gates::{RollBack, RolledBack};
pub(crate) use inbox::{letter, replied};
pub use logs::last_lines;
pub(crate) use messages::{Keys, inbound};
pub(crate) use models::models;
pub use models::{ModelRow, ProbeRow};
pub(crate) use policy::{in_force, replayed, shown as policy_report};
pub(crate) use sessions::{delete_session, mark_running};
pub(crate) use status::{doctor_findings, now as status};

use axum::routing::{delete, get, post};

use crate::http::Routes;

/// The routes of this API. Sign-in, limits and headers are the router's around them.
pub(crate) fn routes() -> Routes {
    let v1 = Routes::default()
        .route("/status", get(status::status))
        .route("/doctor", get(status::doctor))
        .route("/models", get(models::list))
        .route("/models/probe", post(models::probe))
        .route("/grade", post(grade::grade))
        .route("/place", post(grade::place))
        .route("/rehearse", post(rehearse::rehearse))
        .route("/search", get(sessions::search))
        .route("/sessions", get(sessions::list))
        .route(
            "/sessions/{name}",
            get(sessions::show)
                .patch(sessions::rename)
                .delete(sessions::delete),
        )
        .route("/sessions/{name}/export", get(sessions::export))
        .route("/sessions/{name}/restore", post(sessions::restore))
        .route("/sessions/{name}/stop", post(sessions::stop))
        .route("/sessions/{name}/rewind", post(sessions::rewind))
        .route("/sessions/{name}/branches", get(branches::list))
        .route("/sessions/{name}/switch", post(branches::switch))
        .route("/sessions/{name}/retry", post(branches::retry))
        .route("/sessions/{name}/fork", post(branches::fork))
        .route("/messages", post(messages::send))
        .route("/live", get(messages::live))
        .route("/events", get(events::list))
        .route("/usage", get(reports::usage))
        .route("/devices", get(devices::list))
        .route("/devices/requests/{id}/approve", post(devices::approve))
        .route("/devices/requests/{id}/reject", post(devices::reject))
        .route("/devices/{id}", delete(devices::remove))
        .route("/devices/{id}/rename", post(devices::rename))
        .route("/devices/{id}/rotate", post(devices::rotate))
        .route("/devices/{id}/revoke", post(devices::revoke))
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}", get(approvals::show))
        .route("/approvals/{id}/answer", post(approvals::answer))
        .route("/heartbeat", get(heartbeat::show).post(heartbeat::set))
        .route("/heartbeat/wake", post(heartbeat::wake))
        .route("/schedules", get(schedules::list))
        .route("/schedules/runs", get(schedules::runs))
        .route("/schedules/run", post(schedules::run))
        .route("/inbox", get(inbox::list))
        .route("/inbox/{id}", get(inbox::show))
        .route("/inbox/{id}/answer", post(inbox::answer))
        .route("/inbox/{id}/close", post(inbox::close))
        .route("/tools", get(tools::list))
        .route("/undo", get(undo::list))
        .route("/undo/{id}", post(undo::restore))
        .route("/memory", get(memory::list))
        .route("/memory/file", get(memory::show))
        .route("/memory/search", get(memory::search))
        .route("/memory/edits", get(memory::edits))
        .route("/memory/edits/{id}/accept", post(memory::accept))
        .route("/memory/edits/{id}/refuse", post(memory::refuse))
        .route("/memory/edits/{id}/undo", post(memory::undo))
        .route("/memory/quarantine", get(memory::quarantine))
        .route("/memory/quarantine/{id}/restore", post(memory::restore))
        .route("/memory/quarantine/{id}/drop", post(memory::forget))
        .route("/rules", get(approvals::rules))
        .route("/rules/{id}", delete(approvals::revoke))
        .route("/policy", get(policy::report))
        .route("/policy/explain", post(policy::explain))
        .route("/policy/decisions/{id}", get(policy::decision))
        .route("/policy/test", post(policy::test))
        .route("/policy/posture", get(policy::posture))
        .route("/policy/contacts", get(policy::contacts))
        .route("/policy/contacts/forget", post(policy::forget))
        .route("/security", get(audit::security))
        .route("/audit/receipts", get(audit::receipts))
        .route("/audit/chain", get(audit::chain))
        .route("/audit/head", get(audit::head))
        .route("/candidates", get(candidates::all).post(candidates::make))
        .route("/candidates/{name}", get(candidates::show))
        .route("/candidates/{name}/withdraw", post(candidates::take_back))
        .route("/healing", get(healing::trials))
        .route("/healing/case", get(healing::case))
        .route("/healing/genes", post(healing::gene))
        .route("/healing/try", post(healing::attempt))
        .route("/healing/rehearse", post(healing::rehearse))
        .route("/rollouts", get(rollouts::all).post(rollouts::make))
        .route("/rollouts/pause", post(rollouts::pause))
        .route("/rollouts/resume", post(rollouts::resume))
        .route("/rollouts/promote", post(rollouts::promote))
        .route("/rollouts/abort", post(rollouts::abort))
        .route("/rollouts/{name}", get(rollouts::show))
        .route("/rollouts/{name}/units", get(rollouts::units))
        .route("/candidates/{name}/gates", get(gates::table))
        .route("/candidates/{name}/check", post(gates::check))
        .route("/candidates/{name}/approve", post(gates::approve))
        .route("/candidates/{name}/rebase", post(gates::rebase))
        .route("/faults", get(faults::all))
        .route("/faults/edits", get(faults::edits).post(faults::edit))
        .route(
            "/faults/merges",
            get(faults::merges).post(faults::merge_word),
        )
        .route("/faults/{name}", get(faults::one))
        .route("/lab/run", post(faults::run))
        .route("/lab/log", get(faults::log))
        .route("/lab/ledger", get(faults::ledger))
        .route(
            "/lab/foreign",
            get(faults::foreign)
                .post(faults::take_over)
                .delete(faults::forget),
        )
        .route("/releases", get(reports::releases))
        .route("/releases/keys", get(crate::signing::keys))
        .route("/releases/verify", get(crate::signing::answer))
        .route("/releases/log", get(reports::release_log))
        .route("/releases/diff", get(reports::release_diff))
        .route("/releases/import", post(crate::signing::take_in))
        .route("/releases/rollback", post(gates::roll_back))
        .route("/releases/{name}/statement", get(crate::signing::spoken))
        .route("/releases/{name}/endorse", post(crate::signing::sign_off))
        .route("/releases/{name}/export", get(crate::signing::hand_out))
        .route(
            "/releases/{name}/provenance",
            get(crate::signing::provenance),
        )
        .route("/releases/{name}", get(reports::release))
        .route("/feedback", post(reports::feedback))
        .route("/setup", get(setup::standing).post(setup::start))
        .route("/setup/{id}", post(setup::next).delete(setup::cancel))
        .route("/logs", get(logs::list))
        .route("/sign-in-codes", post(reports::sign_in_code));
    Routes::nest("/api/v1", v1)
}
