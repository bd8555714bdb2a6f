//! `instar schedule`.

use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub(crate) enum Schedule {
    /// List all schedules: when each comes next, and how it went last
    List,
    /// Show one schedule with what the agent is to do
    Show {
        /// Its name
        name: String,
        /// The agent; the default one otherwise
        #[arg(long)]
        agent: Option<String>,
    },
    /// Have a schedule run at once, whenever it is due
    Run {
        /// Its name
        name: String,
        /// The agent; the default one otherwise
        #[arg(long)]
        agent: Option<String>,
    },
    /// Show how runs went, the newest first
    Runs {
        /// Only those of the schedules of this name
        name: Option<String>,
        /// Only those of this agent
        #[arg(long)]
        agent: Option<String>,
        /// The most of them
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}
