//! What happened: usage, releases, events.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct Usage {
    /// First day, 2026-11-01
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<String>,
    /// Last day
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Release {
    /// List releases, the newest first
    List,
    /// Show one release
    Show {
        /// Id, its beginning, `stable` or `stable~1`
        #[arg(default_value = "stable")]
        release: String,
    },
    /// Show what changed between two releases
    Diff {
        /// The older
        #[arg(default_value = "stable~1")]
        from: String,
        /// The newer
        #[arg(default_value = "stable")]
        to: String,
    },
    /// Show when which release became stable, and why
    Log,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Events {
    /// Print the newest events
    Tail {
        /// Stay and print new events as they come
        #[arg(long, short)]
        follow: bool,
        /// Only this kind, for example turn or error
        #[arg(long)]
        kind: Option<String>,
        /// How many to begin with
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        lines: usize,
    },
}
