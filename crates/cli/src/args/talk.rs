//! Talking, and what was said.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Acp {
    /// The agent that new sessions talk to; the default agent when absent
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Mcp {
    /// Serve on standard input and output, for the program that starts this
    Serve,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Tools {
    /// List every tool with what it does, and why it is not offered where it is not
    List {
        /// For this agent
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// For the agent of this conversation
        #[arg(long, value_name = "KEY")]
        session: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Skill {
    /// List the skills of the release in service
    List {
        /// Of this agent alone
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
    },
    /// Show the text of a skill as the release in service has it
    Show {
        /// As the list has it
        name: String,
        /// One of its files
        #[arg(long, default_value = "SKILL.md")]
        file: String,
        /// Of this agent
        #[arg(long, value_name = "ID", default_value = "main")]
        agent: String,
    },
    /// Look through a folder before it is put among the skills; fails if it would be left out
    Scan {
        /// The folder with its SKILL.md
        folder: PathBuf,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Sessions {
    /// List conversations, the latest first
    List {
        /// Only titles and keys that contain this
        #[arg(long)]
        search: Option<String>,
        /// Show deleted ones instead
        #[arg(long)]
        deleted: bool,
        /// How many
        #[arg(long, default_value_t = 30)]
        limit: usize,
    },
    /// Find words in what was said, the latest first; deleted conversations are left out
    Search {
        /// The words, as they stand there; case does not count
        text: String,
        /// Only conversations of this agent
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Print a conversation
    Show {
        /// Session key or id; `main` is the main one
        session: String,
        /// Print the id of each entry, as `rewind` takes it
        #[arg(long)]
        ids: bool,
    },
    /// Go back to an entry; what came after it stays stored
    Rewind {
        /// Session key or id
        session: String,
        /// The entry that is the last one then, as `show --ids` tells it; `root` for before the first
        entry: String,
    },
    /// List the branches of a conversation, the latest first
    Branches {
        /// Session key or id
        session: String,
        /// How many
        #[arg(long, default_value_t = 30)]
        limit: usize,
    },
    /// Go over to the newest branch through an entry
    Switch {
        /// Session key or id
        session: String,
        /// The end of a branch, as `branches` tells it, or any entry
        entry: String,
    },
    /// Have a message answered once more; the first answer stays stored
    Retry {
        /// Session key or id
        session: String,
        /// The message or its answer, as `show --ids` tells it; the last one when left out
        entry: Option<String>,
    },
    /// Make a conversation of its own of a branch; the other one stays as it is
    Fork {
        /// Session key or id
        session: String,
        /// The answer that is the last entry then, or the message that is cut off
        entry: String,
    },
    /// Write a conversation as JSON lines to standard output
    Export {
        /// Session key or id
        session: String,
    },
    /// Delete a conversation; `restore` takes it back
    Delete {
        /// Session key or id
        session: String,
    },
    /// Take back a deletion
    Restore {
        /// Session id
        session: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Agent {
    /// The message; `-` reads it from standard input
    #[arg(long, short)]
    pub(crate) message: String,
    /// The conversation to say it in: its key, the end of its key, or its id
    #[arg(long, value_name = "KEY", default_value = "main")]
    pub(crate) session: String,
    /// Answer this message with another model
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Agents {
    /// List the agents
    List,
    /// Show one agent
    Show {
        /// Its id
        #[arg(default_value = "main")]
        agent: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Chat {
    /// The conversation to open
    #[arg(long, value_name = "KEY", default_value = "main")]
    pub(crate) session: String,
    /// The model that answers in it
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Lines in and answers out, on a terminal too
    #[arg(long)]
    pub(crate) plain: bool,
    /// Leave the mouse to the terminal, to mark text with it; the wheel does not scroll then
    #[arg(long)]
    pub(crate) no_mouse: bool,
}
