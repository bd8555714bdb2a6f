//! JSON bodies of the gateway's own HTTP API (`/api/v1/...`), shared by the gateway and its clients.
//!
//! | method and path | body or query | answer |
//! | --- | --- | --- |
//! | GET `/status` | | [`Status`] |
//! | GET `/doctor` | | list of [`Finding`] |
//! | GET `/models` | | list of model rows |
//! | POST `/models/probe` | [`ProbeRequest`] | list of probe rows |
//! | POST `/grade` | [`Grade`] | [`GradeGiven`] |
//! | POST `/place` | [`Place`] | [`Placed`] |
//! | POST `/rehearse` | [`Rehearse`] | [`Rehearsed`] |
//! | GET `/sessions` | `agent search deleted limit before` | [`SessionList`] |
//! | GET `/search` | `text agent limit` | [`SearchReport`] |
//! | GET `/sessions/{key or id}` | `limit` | [`SessionDetail`] |
//! | DELETE `/sessions/{key or id}`, POST `…/restore`, POST `…/stop` | | [`Done`] |
//! | PATCH `/sessions/{key or id}` | [`RenameSession`] | [`Done`] |
//! | POST `/sessions/{key or id}/rewind` | [`Rewind`] | [`Done`] |
//! | GET `/sessions/{key or id}/branches` | `limit` | [`BranchList`] |
//! | POST `/sessions/{key or id}/switch` | [`Switch`] | [`Done`] |
//! | POST `/sessions/{key or id}/retry` | [`Retry`] | as `/messages` |
//! | POST `/sessions/{key or id}/fork` | [`ForkSession`] | [`ForkedSession`] |
//! | POST `/messages` | [`SendMessage`] | 202 [`MessageAccepted`]; with `Accept: text/event-stream` the live events up to the answer |
//! | GET `/live?session=KEY` | | event stream of [`crate::live::LiveEvent`] |
//! | GET `/events` | `after kind session limit` | list of [`crate::event::Event`]; event stream when asked for |
//! | GET `/usage` | `from to` | [`UsageReport`] |
//! | GET `/releases`, `/releases/log`, `/releases/diff?from=&to=`, `/releases/{name}` | | rows |
//! | POST `/feedback` | [`SendFeedback`] | [`Done`] |
//! | GET `/approvals` | `state limit` | [`crate::approvals::QuestionList`]; event stream when asked for |
//! | GET `/approvals/{id}` | | [`crate::approvals::ShownQuestion`] |
//! | POST `/approvals/{id}/answer` | [`crate::approvals::AnswerQuestion`] | [`crate::approvals::ShownQuestion`] |
//! | GET `/inbox` | `state limit` | [`crate::letter::LetterList`] |
//! | GET `/inbox/{id}` | | [`crate::letter::ShownLetter`] |
//! | POST `/inbox/{id}/answer` | [`crate::letter::AnswerLetter`] | [`crate::letter::ShownLetter`] |
//! | POST `/inbox/{id}/close` | | [`crate::letter::ShownLetter`] |
//! | GET `/tools` | `agent session` | [`ToolReport`] |
//! | GET `/undo`, POST `/undo/{id}` | | [`ChangeList`], [`Done`] |
//! | GET `/memory`, `/memory/file` | `agent`; `path agent` | [`crate::memory::MemoryFiles`], [`crate::memory::MemoryText`] |
//! | GET `/memory/search` | `query agent limit` | [`crate::memory::MemoryFound`] |
//! | GET `/memory/edits`, POST `…/{id}/accept`, `…/{id}/refuse`, `…/{id}/undo` | | [`crate::amend::NoteEdits`], [`crate::amend::NoteEdit`] |
//! | GET `/memory/quarantine`, POST `…/{id}/restore`, `…/{id}/drop` | | [`crate::memory::Quarantine`], [`Done`] |
//! | GET `/rules`, DELETE `/rules/{id}` | | [`crate::approvals::RuleList`], [`Done`] |
//! | GET `/audit/receipts` | `session before limit` | [`crate::approvals::ReceiptPage`] |
//! | GET `/audit/chain` | `noted` | [`crate::receipt::ChainReport`] |
//! | GET `/audit/head` | | [`crate::receipt::ChainHead`] or `null` |
//! | GET `/policy` | `agent as` | [`crate::policy::PolicyReport`] |
//! | POST `/policy/explain` | a supposed call | [`crate::policy::Explained`] |
//! | GET `/policy/decisions/{receipt, question or call}` | | [`crate::policy::Explained`] |
//! | POST `/policy/test` | | [`crate::policy::PolicyTests`] |
//! | GET `/policy/posture` | `days` | [`crate::policy::PostureReport`] |
//! | GET `/policy/contacts`, POST `/policy/contacts/forget` | [`crate::contact::ForgetContact`] | [`crate::contact::Contacts`], [`Done`] |
//! | GET `/security` | `deep` | [`crate::security::SecurityReport`] |
//! | GET `/logs` | `lines` | list of log lines; event stream when asked for |
//! | POST `/sign-in-codes` | | [`SignInCode`] |

mod suites;

pub use suites::{Grade, GradeGiven, Place, Placed, Rehearse, Rehearsed, Turn};

use serde::{Deserialize, Serialize};

use crate::event::FeedbackVerdict;
use crate::id::{EntryId, InboundId, ReleaseId, RunId, SessionId, UndoId};
use crate::message::Entry;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub version: String,
    /// Whole days since the release of this version.
    #[serde(default)]
    pub version_age_days: u64,
    pub pid: u32,
    pub url: String,
    pub started_at: Timestamp,
    pub uptime_ms: u64,
    pub start_ms: u64,
    pub state_dir: String,
    pub config_file: String,
    /// The agent that gets what is addressed to none.
    #[serde(default)]
    pub agent: String,
    /// The model that a plain message is answered by.
    pub model: String,
    pub release: Option<ReleaseId>,
    pub sessions: u64,
    pub running_turns: u64,
    pub auth_mode: String,
    /// Of the certificate, where the gateway speaks TLS itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    pub store: Health,
    pub config: Health,
    /// Keys that were changed on disk and wait for a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for_restart: Vec<String>,
    pub models: Health,
    /// Whether spending stays clear of its limits.
    #[serde(default = "Health::sound")]
    pub budget: Health,
    /// Replies whose delivery is not known.
    pub uncertain: u64,
    pub memory_bytes: u64,
}

/// Sound, or what is wrong and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

impl Health {
    #[must_use]
    pub fn sound() -> Self {
        Self {
            ok: true,
            problem: None,
            next_step: None,
        }
    }

    pub fn broken(problem: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            ok: false,
            problem: Some(problem.into()),
            next_step: Some(next_step.into()),
        }
    }
}

/// One line of `instar doctor`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub check: String,
    pub severity: Severity,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    Fine,
    Notice,
    Warning,
    Error,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProbeRequest {
    /// All configured models when absent.
    pub model: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionList {
    pub sessions: Vec<SessionInfo>,
    /// Pass as `before` for the next page.
    pub next: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    pub id: SessionId,
    pub key: String,
    pub agent: String,
    pub title: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub model: Option<String>,
    pub entries: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micros: u64,
    pub running: bool,
    pub deleted: bool,
    /// The conversation that this one works for, if it is a sub-agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// Words found in conversations.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchReport {
    /// The latest first.
    pub found: Vec<SearchHit>,
    /// True if there may be more than these.
    pub cut: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchHit {
    /// The conversation's key.
    pub session: String,
    pub entry: EntryId,
    pub at: Timestamp,
    /// True if the agent said it.
    pub by_agent: bool,
    /// True if it is part of the conversation as it stands; else it was left behind on another
    /// branch.
    pub current: bool,
    /// Some of what was said around the words, on one line.
    pub excerpt: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDetail {
    pub session: SessionInfo,
    /// The current branch, oldest first.
    pub entries: Vec<Entry>,
    pub truncated: bool,
    /// Where the conversation went on in more than one way, along the entries that are here.
    #[serde(default)]
    pub forks: Vec<ForkInfo>,
}

/// What hangs under one entry of a conversation, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkInfo {
    /// `null` for the root.
    pub parent: Option<EntryId>,
    pub children: Vec<EntryId>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchList {
    /// The one that was written last first.
    pub branches: Vec<BranchInfo>,
    /// True if there are more than these.
    pub cut: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchInfo {
    /// Its last entry.
    pub leaf: EntryId,
    /// The last thing that a person said on it, on one line.
    pub headline: String,
    pub messages: u64,
    pub updated_at: Timestamp,
    /// True if the next message goes here.
    pub active: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendMessage {
    /// `main` when absent.
    #[serde(default)]
    pub session: Option<String>,
    pub text: String,
    #[serde(default)]
    pub idempotency_key: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// A message of the conversation whose attachments go along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments_of: Option<EntryId>,
    /// The entry that the message follows, `null` for the root; the conversation's end when absent.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub parent: Option<Option<EntryId>>,
}

/// Reads a field that is there, `null` or not.
fn present<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    T::deserialize(from).map(Some)
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    pub name: String,
    pub mime: String,
    /// Base 64.
    pub data: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAccepted {
    pub inbound: InboundId,
    pub session: SessionId,
    /// True if the idempotency key had been seen: nothing runs again.
    pub duplicate: bool,
}

/// Gives a conversation another title.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenameSession {
    /// 1 to 80 characters on one line.
    pub title: String,
}

/// Goes back to an entry of a conversation. What came after it stays stored on a branch of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rewind {
    /// The entry that is the last one then; `null` for before the first.
    #[serde(deserialize_with = "Option::deserialize")]
    pub entry: Option<EntryId>,
}

/// Goes over to the newest branch through an entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Switch {
    pub entry: EntryId,
}

/// Asks for another answer. The one that was given stays stored on a branch of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// A message, or an entry of its answer.
    pub entry: EntryId,
    #[serde(default)]
    pub idempotency_key: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
}

/// Makes a conversation of its own of a branch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForkSession {
    /// An answer that is the last one then, or a message that is cut off.
    pub entry: EntryId,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkedSession {
    pub id: SessionId,
    pub key: String,
    /// The words of the message that was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendFeedback {
    pub run: RunId,
    pub verdict: FeedbackVerdict,
    #[serde(default)]
    pub comment: Option<String>,
}

/// The tools that there are, and which of them an agent is offered when its owner writes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolReport {
    pub agent: String,
    pub tools: Vec<ShownTool>,
}

/// One tool.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownTool {
    pub name: String,
    pub group: String,
    /// What a call of it does.
    pub effect: String,
    pub offered: bool,
    /// Why it is not, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The rule that keeps it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// What tools changed in files, the newest first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeList {
    pub changes: Vec<ShownChange>,
}

/// A change of a file by a tool.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownChange {
    pub id: UndoId,
    pub at: Timestamp,
    pub session: SessionId,
    /// The agent, and the path in its workspace.
    pub path: String,
    /// There was no file before.
    pub made: bool,
    /// There was none after.
    pub removed: bool,
    pub undone: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    pub ok: bool,
    /// False if there was nothing to do.
    pub changed: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    pub from: String,
    pub to: String,
    pub rows: Vec<UsageRow>,
    pub cost_micros: u64,
    /// Micro-dollars; `None` where no limit is set.
    pub day_budget_micros: Option<u64>,
    pub month_budget_micros: Option<u64>,
    pub spent_today_micros: u64,
    pub spent_month_micros: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    pub day: String,
    pub agent: String,
    pub model: String,
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micros: u64,
}

/// Single use, sixty seconds, no authority beyond one browser session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignInCode {
    pub url: String,
    pub expires_at: Timestamp,
}

/// The body of every refusal of this API.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    pub error: ApiErrorBody,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiErrorBody {
    /// Stable, for programs: `unauthorized`, `not_found`, `invalid_request`, `rate_limited`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

/// What a running gateway leaves in its state folder (0600) for commands of the same user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFile {
    pub pid: u32,
    pub url: String,
    pub version: String,
    /// Good for this process of the gateway only.
    pub local_secret: String,
    /// Of the gateway's certificate, if it speaks TLS: no other is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}
