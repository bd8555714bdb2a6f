//! What may be done, and why.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Subcommand, Debug)]
pub(crate) enum Policy {
    /// Show the posture and what each tool may do in each posture
    Show {
        /// For this agent
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
        /// When somebody else asks for it
        #[arg(long = "as", value_enum, value_name = "WHO", default_value_t = Asker::Owner)]
        asker: Asker,
    },
    /// List the rules in words, built-in ones and yours, each with its file and line
    Rules,
    /// Say which rule and which facts decide a call: one that you think of, or one that was decided
    Explain(Explain),
    /// List the people whom you wrote to first, who are written to at your wish without a question
    Contacts {
        #[command(subcommand)]
        command: Option<KnownPeople>,
    },
    /// Check your rules and try the cases in policy/tests; ends with 1 if one fails
    Test,
    /// Show what other postures would have changed in the last days; changes nothing
    Posture {
        /// So many days back
        #[arg(long, value_name = "N", default_value_t = 7)]
        days: u32,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum KnownPeople {
    /// Forget somebody: what goes there asks again
    Forget {
        /// The address, number or account as it is listed
        #[arg(value_name = "WHO")]
        who: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The tool
    #[arg(required_unless_present_any = ["decision", "given"])]
    pub(crate) tool: Option<String>,
    /// Its arguments, as a JSON object
    #[arg(value_name = "ARGUMENTS", default_value = "{}")]
    pub(crate) arguments: String,
    /// A decision that was made: the number of a receipt, a question, or a call
    #[arg(long, value_name = "ID", conflicts_with_all = ["tool", "given"])]
    pub(crate) decision: Option<String>,
    /// A file with the call and its facts, as in a case of policy/tests; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "tool")]
    pub(crate) given: Option<std::path::PathBuf>,
    /// As the next call of this conversation (key or id)
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// The agent that calls
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Who asks for it
    #[arg(long = "as", value_enum, value_name = "WHO")]
    pub(crate) asker: Option<Asker>,
    /// In another posture: careful, balanced or open
    #[arg(long, value_name = "POSTURE")]
    pub(crate) posture: Option<String>,
    /// What the owner said; again for another message
    #[arg(long, value_name = "TEXT")]
    pub(crate) words: Vec<String>,
    /// The plan has this tool, once; again for another one
    #[arg(long, value_name = "TOOL")]
    pub(crate) plan: Vec<String>,
    /// A stranger's text was read
    #[arg(long)]
    pub(crate) tainted: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Owner,
    Contact,
    Stranger,
    /// A schedule, a heartbeat, a hook
    Automation,
}

impl Asker {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Contact => "contact",
            Self::Stranger => "stranger",
            Self::Automation => "automation",
        }
    }
}
