//! Events: one redacted fact each, append-only, carrying release and arm.

use serde::{Deserialize, Serialize};

use crate::amend::{EditState, NoteRef};
use crate::id::{EntryId, EventId, InboundId, ReleaseId, RunId, SessionId};
use crate::label::Label;
use crate::model::{Attempt, ModelRef, StopReason, Usage};
use crate::principal::Standing;
use crate::reads::SkillText;
use crate::time::Timestamp;
use crate::tool::ToolDecision;

/// The release arm that served an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    Stable,
    Canary,
    Shadow,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Who asked for the run; nothing where it belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asker: Option<Standing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    pub arm: Arm,
    pub label: Label,
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// An event of the house: in no session, of nobody's run, outside all releases.
    pub fn of_house(id: EventId, at: Timestamp, kind: EventKind) -> Self {
        Self {
            id,
            at,
            session: None,
            run: None,
            asker: None,
            release: None,
            arm: Arm::Stable,
            label: Label::system(),
            kind,
        }
    }
}

/// What happened. `content` fields follow `learning.content`: absent or redacted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EventKind {
    MessageIn {
        inbound: InboundId,
        surface: String,
        bytes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    MessageOut {
        surface: String,
        bytes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    Turn {
        outcome: TurnOutcome,
        millis: u64,
        model_calls: u32,
        tool_calls: u32,
        usage: Usage,
        cost_micros: u64,
    },
    ModelCall {
        model: ModelRef,
        stop: Option<StopReason>,
        millis: u64,
        usage: Usage,
        cost_micros: u64,
        attempts: Vec<Attempt>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ErrorClass>,
    },
    ToolCall {
        tool: String,
        decision: ToolDecision,
        millis: u64,
        is_error: bool,
        argument_names: Vec<String>,
        /// The skill that was read, never a word of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skill: Option<SkillText>,
        /// What a tool that failed said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    Error {
        class: ErrorClass,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    Feedback {
        /// Renamed: the event has a `run` of its own beside it.
        #[serde(rename = "about_run")]
        run: RunId,
        verdict: FeedbackVerdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    /// A fault could have shown itself here, and something is on trial against it. Told before anything
    /// is done about it.
    Exposure {
        fault: String,
        mitigation: String,
        /// Whose coin it was.
        experiment: String,
        /// What is counted once, however many exposures it has.
        unit: String,
        with_fix: bool,
        /// The share of the fix when the coin was thrown, in thousandths.
        share_permille: u16,
    },
    /// How the turn of an exposure ended for it: read at the end, by what the coin said.
    ExposureEnd {
        experiment: String,
        unit: String,
        /// None where nothing is known.
        bad: Option<bool>,
    },
    /// Something was changed because of a fault that no coin can be thrown about: the exposures before it,
    /// their number fixed beforehand, against which those after it are held.
    Window {
        fault: String,
        mitigation: String,
        /// The recipe.
        gene: String,
        experiment: String,
        exposures: u64,
        bad: u64,
    },
    /// What a turn of the owner's read of the notes; never their text.
    NotesRead {
        notes: Vec<NoteRef>,
    },
    /// A proposed correction of a note entered a state.
    NoteEdit {
        edit: String,
        note: NoteRef,
        state: EditState,
    },
    Compaction {
        tokens_before: u64,
        tokens_after: u64,
    },
    /// The conversation goes on from another entry; what came after it stays stored.
    Rewind {
        from: Option<EntryId>,
        to: Option<EntryId>,
    },
    /// The conversation goes on in another branch; `None` is the root of its transcript.
    Branch {
        why: BranchReason,
        from: Option<EntryId>,
        to: Option<EntryId>,
    },
    Release {
        alias: String,
        from: Option<ReleaseId>,
        to: ReleaseId,
        reason: String,
    },
    /// An episode was put on an arm, or is judged now.
    Episode {
        rollout: String,
        unit: String,
        /// The share of the candidate at its assignment.
        share: f64,
        /// How bad it was by metric, none where nothing is known; absent at its beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bad: Option<std::collections::BTreeMap<String, Option<f64>>>,
        /// Somebody said or did something that tells how it went; told with how bad it was.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_heard: bool,
    },
    /// A candidate answered a turn beside the stable release, and nobody saw it.
    Shadow {
        rollout: String,
        unit: String,
        /// Both arms came to an end that can be compared.
        is_judged: bool,
        canary_failed: bool,
        stable_failed: bool,
        /// What was wrong with the arm's turn, or could not be judged: the type of an assertion, never a word of an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        canary_why: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stable_why: Option<String>,
        /// The arm asked for something that leaves traces.
        canary_effect: bool,
        stable_effect: bool,
        millis: u64,
        cost_micros: u64,
    },
    /// A rollout entered a stage.
    Rollout {
        rollout: String,
        stage: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Config {
        outcome: ConfigOutcome,
        changed: Vec<String>,
    },
    Gateway {
        what: GatewayFact,
    },
}

impl EventKind {
    /// Every name, for whoever asks for one.
    pub const NAMES: [&str; 21] = [
        "message_in",
        "message_out",
        "turn",
        "model_call",
        "tool_call",
        "error",
        "feedback",
        "exposure",
        "exposure_end",
        "window",
        "notes_read",
        "note_edit",
        "compaction",
        "rewind",
        "branch",
        "release",
        "episode",
        "shadow",
        "rollout",
        "config",
        "gateway",
    ];

    /// The name as it is stored and filtered by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MessageIn { .. } => "message_in",
            Self::MessageOut { .. } => "message_out",
            Self::Turn { .. } => "turn",
            Self::ModelCall { .. } => "model_call",
            Self::ToolCall { .. } => "tool_call",
            Self::Error { .. } => "error",
            Self::Feedback { .. } => "feedback",
            Self::Exposure { .. } => "exposure",
            Self::ExposureEnd { .. } => "exposure_end",
            Self::Window { .. } => "window",
            Self::NotesRead { .. } => "notes_read",
            Self::NoteEdit { .. } => "note_edit",
            Self::Compaction { .. } => "compaction",
            Self::Rewind { .. } => "rewind",
            Self::Branch { .. } => "branch",
            Self::Release { .. } => "release",
            Self::Episode { .. } => "episode",
            Self::Shadow { .. } => "shadow",
            Self::Rollout { .. } => "rollout",
            Self::Config { .. } => "config",
            Self::Gateway { .. } => "gateway",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    Replied,
    /// Ended with calls to the API client's own tools.
    Handed,
    Aborted,
    Failed,
    Interrupted,
}

/// The typed class of an error; text comes second.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    Auth,
    Quota,
    Rate,
    ContextLength,
    Refusal,
    Network,
    Server,
    Malformed,
    Timeout,
    Budget,
    Cancelled,
    Config,
    Tool,
    Storage,
    Loop,
    Internal,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchReason {
    /// The owner went over to another branch.
    Switch,
    /// A message was written anew.
    Edit,
    /// A message is answered once more.
    Retry,
    /// A conversation of its own was made of a branch.
    Fork,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackVerdict {
    Good,
    Bad,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigOutcome {
    Applied,
    NeedsRestart,
    Refused,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum GatewayFact {
    Started {
        version: String,
        millis: u64,
    },
    Stopping,
    Recovered {
        resumed: u64,
        interrupted: u64,
        uncertain: u64,
    },
    BudgetWarning {
        scope: String,
    },
    StorageFull,
    StorageBack,
}
