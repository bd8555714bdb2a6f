//! `instar rollout`.

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(crate) enum Rollout {
    /// Serve a candidate to a share of the new episodes, and judge it whenever one settles
    Start(Start),
    /// Show the rollout that is under way, or the newest one
    Status {
        /// Another one, by its id
        rollout: Option<String>,
    },
    /// Give new episodes to the stable release alone for a while; those that have an arm keep it
    Pause,
    /// Go on after a pause
    Resume,
    /// Make the candidate stable now, on your own judgement
    Promote,
    /// Take the candidate back now; the next turn of every conversation is the stable release's
    Abort,
    /// List rollouts, the newest first
    History,
    /// Play a rollout through with made-up episodes: how often it ends how, and after how many
    Simulate(Simulate),
}

#[derive(Args, Debug)]
pub(crate) struct Start {
    /// Its id or the beginning of it
    pub(crate) candidate: String,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Silence that ends an episode, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) idle: Option<u64>,
    /// Turns that end an episode
    #[arg(long, value_name = "N")]
    pub(crate) turns: Option<u32>,
    /// How long after its end an episode is judged, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) maturity: Option<u64>,
    /// Judged pairs at the most before anybody is sent a word of the candidate's: both answer, and only stable's
    /// answer is sent. It costs the candidate's calls
    #[arg(long, value_name = "PAIRS")]
    pub(crate) shadow: Option<u64>,
    /// Episodes of the watch after a promotion, some of which stay with the release before; 0 for none
    #[arg(long, value_name = "EPISODES")]
    pub(crate) watch: Option<u64>,
    /// The share of new episodes that stays with the release before meanwhile
    #[arg(long, value_name = "SHARE")]
    pub(crate) held_out: Option<f64>,
    /// How long after the end of an episode cost, latency and questions are judged, in seconds; they need nobody's
    /// word, and share the level with the rest then
    #[arg(long, value_name = "SECONDS")]
    pub(crate) fast_maturity: Option<u64>,
    /// Two good answers beside each other: the evidence is shown, and nobody wins by itself
    #[arg(long)]
    pub(crate) ab: bool,
    /// Only show the plan, and how long it would take
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// Shares of new episodes, one step each: `0.05,0.2,0.5`; without it, those that can decide
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) shares: Option<Vec<f64>>,
    /// Judged episodes of a step before the next one; they hold back no rollback
    #[arg(long, value_name = "N")]
    pub(crate) units_min: Option<u64>,
    /// The chance of being wrong, either way
    #[arg(long, value_name = "CHANCE")]
    pub(crate) level: Option<f64>,
    /// How much worse a promoted candidate may be
    #[arg(long, value_name = "RATE")]
    pub(crate) margin: Option<f64>,
    /// Episodes after which it ends undecided
    #[arg(long, value_name = "N")]
    pub(crate) horizon: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// The rate of bad episodes under the stable release
    #[arg(long, value_name = "RATE", default_value_t = 0.05)]
    pub(crate) base: f64,
    /// How many times as high it is under the candidate
    #[arg(long, value_name = "TIMES", default_value_t = 2.0)]
    pub(crate) effect: f64,
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) runs: u32,
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Judged pairs of a shadow before the steps, at the most
    #[arg(long, value_name = "PAIRS")]
    pub(crate) shadow: Option<u64>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
}
