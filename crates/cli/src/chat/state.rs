//! All that the client knows, and the words in which it is told and asks.

use crossterm::event::Event as Input;
use instar_protocol::api::{SessionDetail, SessionInfo, Status, UsageReport};
use instar_protocol::approvals::{OwnersWord, ShownQuestion};
use instar_protocol::live::LiveEvent;
use instar_protocol::{EntryId, InboundId, RunId, Timestamp};
use ratatui::text::Line;
use serde::Deserialize;

use super::editor::Editor;
use super::picker::Picker;
use super::questions::Questions;
use super::transcript::Block;

/// What reaches the client.
#[derive(Debug)]
pub(crate) enum Message {
    Input(Input),
    /// Time passes.
    Tick,
    /// The stream of this conversation stands.
    Up {
        key: String,
    },
    /// It broke; the next attempt comes by itself.
    Lost {
        key: String,
        why: String,
    },
    /// A stored conversation; nothing where it has no entries yet.
    Loaded {
        key: String,
        detail: Option<Box<SessionDetail>>,
    },
    NotLoaded {
        why: String,
    },
    Live {
        key: String,
        event: Box<LiveEvent>,
    },
    Status(Box<Status>),
    Usage(Box<UsageReport>),
    Sessions {
        filter: String,
        sessions: Vec<SessionInfo>,
        now: Timestamp,
    },
    Models(Vec<ModelRow>),
    /// The gateway stored what was sent.
    Accepted {
        number: u64,
        inbound: InboundId,
    },
    /// It did not; the text goes back to where it was typed.
    NotSent {
        number: u64,
        why: String,
    },
    Failed(String),
    /// The questions that wait for the owner, whichever conversation asked.
    Waiting(Vec<String>),
    /// The questions that are open.
    Questions {
        open: Vec<ShownQuestion>,
        now: Timestamp,
    },
    /// A question was answered; what to tell about it.
    Answered(String),
    /// Something to be told in passing.
    Told(String),
}

/// A model that can be chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelRow {
    pub(crate) id: String,
    pub(crate) auth: String,
    pub(crate) configured: bool,
}

/// What the client wants done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Follow this conversation instead of the one before.
    Follow(String),
    Load(String),
    Send {
        key: String,
        text: String,
        number: u64,
    },
    /// Sends a message beside one that was sent before.
    SendAgain {
        key: String,
        text: String,
        number: u64,
        instead_of: Asked,
    },
    /// Asks for another answer to a message.
    Retry {
        key: String,
        entry: EntryId,
    },
    /// Goes over to another branch.
    Switch {
        key: String,
        to: Neighbour,
    },
    Stop(String),
    /// Ask what runs and what was spent.
    Ask,
    Sessions(String),
    Models,
    /// Read the questions that are open.
    Questions,
    /// Answer one.
    Answer {
        question: Box<ShownQuestion>,
        word: OwnersWord,
    },
    Quit,
}

/// The last message of a conversation, as far as it matters for another form of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) entry: EntryId,
    pub(crate) parent: Option<EntryId>,
    pub(crate) text: String,
    pub(crate) has_files: bool,
}

/// A branch beside the one that is open, in the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    Older,
    Newer,
    /// Newer, and behind the newest the oldest.
    Next,
}

/// How the gateway can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Connecting,
    Up,
    Lost(String),
}

/// A message on its way into the transcript.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) text: String,
    pub(crate) inbound: Option<InboundId>,
}

/// A turn that runs or whose entries are not read yet.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) run: Option<RunId>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) over: bool,
}

/// Blocks as lines of a width.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) columns: usize,
    pub(crate) unfolded: bool,
    pub(crate) lines: Vec<Line<'static>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) key: String,
    pub(crate) title: String,
    /// The conversation's own model, where one was chosen.
    pub(crate) model: Option<String>,
    pub(crate) default_model: String,
    pub(crate) gateway: String,
    pub(crate) spent: String,
    /// What is wrong with spending, if something is.
    pub(crate) budget_problem: Option<String>,
    /// Questions that wait for the owner.
    pub(crate) waiting: Vec<String>,
    pub(crate) link: Link,
    pub(crate) blocks: Vec<Block>,
    /// The blocks as lines, until they or the width change.
    pub(crate) drawn: Option<Drawn>,
    /// Readings of the conversation that are under way.
    pub(crate) loads: usize,
    pub(crate) truncated: bool,
    pub(crate) turn: Option<Turn>,
    pub(crate) sent: Vec<Sent>,
    /// The last message that is stored.
    pub(crate) asked: Option<Asked>,
    /// The message that is being written in another form.
    pub(crate) editing: Option<Asked>,
    /// Where the conversation goes on while a turn is on its way to another branch.
    pub(crate) moved: Option<Option<EntryId>>,
    pub(crate) numbers: u64,
    pub(crate) input: Editor,
    pub(crate) completion: usize,
    pub(crate) picker: Option<Picker>,
    pub(crate) keys_shown: bool,
    /// The questions in front of the conversation, while they are read.
    pub(crate) questions: Option<Questions>,
    pub(crate) unfolded: bool,
    /// Lines that the view is scrolled up from the end.
    pub(crate) scroll: usize,
    /// Lines of a page, and the furthest that can be scrolled; the view tells.
    pub(crate) page: usize,
    pub(crate) scroll_max: usize,
    /// Lines of the whole conversation when it was drawn last.
    pub(crate) total: usize,
    /// A line for the eye, until the next key.
    pub(crate) flash: Option<String>,
    pub(crate) leaving: bool,
    pub(crate) ticks: usize,
    /// Makes keys of new conversations differ.
    pub(crate) seed: u64,
}

impl State {
    pub(crate) fn new(key: String, seed: u64) -> Self {
        Self {
            title: String::new(),
            model: None,
            default_model: String::new(),
            gateway: String::new(),
            spent: String::new(),
            budget_problem: None,
            waiting: Vec::new(),
            link: Link::Connecting,
            blocks: Vec::new(),
            drawn: None,
            loads: 0,
            truncated: false,
            turn: None,
            sent: Vec::new(),
            asked: None,
            editing: None,
            moved: None,
            numbers: 0,
            input: Editor::default(),
            completion: 0,
            picker: None,
            keys_shown: false,
            questions: None,
            unfolded: false,
            scroll: 0,
            page: 1,
            scroll_max: 0,
            total: 0,
            flash: None,
            leaving: false,
            ticks: 0,
            seed,
            key,
        }
    }

    pub(crate) fn running(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| !turn.over)
    }

    /// True while something on the screen moves by itself.
    pub(crate) fn moves(&self) -> bool {
        self.running() || self.link != Link::Up || !self.sent.is_empty()
    }
}
