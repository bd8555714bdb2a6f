//! What waits for the owner, and what was decided.

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(crate) enum Approvals {
    /// List the questions that wait for you
    List {
        /// Also those that were answered or ran out
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show one question: the exact call, where each argument came from, and why it is asked
    Show {
        /// The question, or the beginning of its id
        question: String,
    },
    /// Say yes to one call; it holds for exactly that call, once
    Approve(Approve),
    /// Say no
    Deny {
        /// The question, or the beginning of its id
        question: String,
    },
    /// List the standing rules, or take one back
    Rules {
        #[command(subcommand)]
        command: Option<Rules>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Inbox {
    /// List what agents ask of you and tell you
    List {
        /// Also what was answered, read or ran out
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show one letter
    Show {
        /// The letter, or the beginning of its id
        letter: String,
    },
    /// Answer a question; what you write is your word in the conversation that asked
    Answer {
        /// The letter, or the beginning of its id
        letter: String,
        /// Your answer
        #[arg(required_unless_present = "option", conflicts_with = "option")]
        text: Option<String>,
        /// One of the answers that are offered, by its number
        #[arg(long, short, value_name = "N")]
        option: Option<u64>,
    },
    /// Put a letter aside: a message that you have read, a question that gets no answer
    Close {
        /// The letter, or the beginning of its id
        letter: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Heartbeat {
    /// Show when agents look after things by themselves, and how the last look ended
    Status,
    /// Have an agent look at once, or tell it something with its next look
    Wake {
        /// What it is told beside what it looks after anyway
        text: Option<String>,
        /// The agent; the default one otherwise
        #[arg(long)]
        agent: Option<String>,
        /// Wait for its next look
        #[arg(long)]
        later: bool,
    },
    /// Switch all heartbeats on again
    On,
    /// Switch all heartbeats off until `on`, or until the gateway starts again
    Off,
}

#[derive(Args, Debug)]
pub(crate) struct Approve {
    /// The question, or the beginning of its id
    pub(crate) question: String,
    /// Keep the rule that the question offers, for thirty days
    #[arg(long)]
    pub(crate) always: bool,
    /// Keep that rule without an end
    #[arg(long, requires = "always")]
    pub(crate) pin: bool,
    /// Keep the rule without showing it first
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Rules {
    /// List the rules that you keep, as does no command at all
    List,
    /// Take a rule back; calls that it covered are asked about again
    Revoke {
        /// The rule, or the beginning of its id
        rule: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Audit {
    /// Go through the whole chain of receipts and name whatever was changed or is missing
    Verify {
        /// An end of the chain that was noted earlier has to be part of it
        #[arg(long, value_name = "NUMBER:HASH")]
        noted: Option<String>,
    },
    /// Print receipts, the newest first
    Log {
        /// Only those of a conversation (key or id)
        #[arg(long, value_name = "SESSION")]
        session: Option<String>,
        /// Only those before this number
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Print the end of the chain; noted elsewhere, it shows later that nothing before it changed
    Head,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Security {
    /// Look at how this gateway is set up, as an attacker would; ends with 1 if something is wrong
    Audit {
        /// Also go through the chain of receipts, and try the walls around programs
        #[arg(long)]
        deep: bool,
        /// Mend what can be mended without a choice, and say what was done
        #[arg(long)]
        fix: bool,
    },
}
