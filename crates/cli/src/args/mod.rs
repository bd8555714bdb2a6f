//! What can be typed.

mod approvals;
mod demo;
mod eval;
mod heal;
mod house;
mod improve;
mod memory;
mod policy;
mod reports;
mod rollout;
mod schedule;
mod setup;
mod talk;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use approvals::{Approvals, Approve, Audit, Heartbeat, Inbox, Rules, Security};
pub(crate) use demo::{Demo, DemoOptions};
pub(crate) use eval::{Eval, EvalRun, SampleKind};
pub(crate) use heal::{Gene, Heal};
pub(crate) use house::{Config, Devices, Doctor, Gateway, Logs, Models, Secrets, Token};
pub(crate) use improve::{Divide, Fault, Lab, LabRun, Merges};
pub(crate) use memory::{Memory, NoteEdits, Quarantine};
pub(crate) use policy::{Asker, Explain, KnownPeople, Policy};
pub(crate) use reports::{Candidate, Events, Release, ReleaseKeys, ReleaseView, Usage};
pub(crate) use rollout::{PlanArgs, Rollout, Simulate, Start};
pub(crate) use schedule::Schedule;
pub(crate) use setup::{BindTo, Onboard};
pub(crate) use talk::{Acp, Agent, Agents, Chat, Mcp, Sessions, Skill, Tools};

/// A self-hosted gateway for a personal AI agent.
///
/// `instar up` starts it and prints a link. Everything is kept in ~/.instar; nothing leaves the
/// machine unless you connect a model that is elsewhere.
#[derive(Parser, Debug)]
#[command(
    name = "instar",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 the configuration has problems, \
4 no gateway answers, 5 the gateway refused, 6 no such thing, 7 another gateway owns the state folder, 100 cases of a suite did not pass.";

#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Use the state folder ~/.instar-NAME instead of ~/.instar
    #[arg(long, global = true, value_name = "NAME", env = "INSTAR_PROFILE")]
    pub(crate) profile: Option<String>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) color: Colour,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Start the gateway in this terminal, print the link and open it in the browser
    Up(Up),
    /// Open the running gateway's pages in the browser, with a fresh sign-in link
    Dashboard {
        /// Print the link and open nothing
        #[arg(long)]
        no_open: bool,
    },
    /// Set things up: workspace, model with a live probe, port, service
    Onboard(Box<Onboard>),
    /// Run or look at the gateway
    #[command(subcommand)]
    Gateway(Gateway),
    /// Show what runs, which model answers, and what is wrong
    Status,
    /// Ask whether the gateway lives and is ready (for scripts)
    Health,
    /// Check the installation and say what to do about each finding
    Doctor(Doctor),
    /// Show the gateway's log
    Logs(Logs),
    /// Read, change and check the configuration
    #[command(subcommand)]
    Config(Config),
    /// Keep keys and passwords in the encrypted store
    #[command(subcommand)]
    Secrets(Secrets),
    /// Make a new API token; the old one stops working
    #[command(subcommand)]
    Token(Token),
    /// List, choose and try models
    #[command(subcommand)]
    Models(Models),
    /// Look at conversations
    #[command(subcommand)]
    Sessions(Sessions),
    /// Let clients with a key of their own in, and take that back
    #[command(subcommand)]
    Devices(Devices),
    /// Answer the agent's questions, and look after the rules that were made of answers
    #[command(subcommand)]
    Approvals(Approvals),
    /// Read what agents left for you, and answer what they ask in words
    #[command(subcommand)]
    Inbox(Inbox),
    /// See when agents look after things by themselves, and wake one
    #[command(subcommand)]
    Heartbeat(Heartbeat),
    /// What agents do by themselves at times that were said beforehand
    #[command(subcommand)]
    Schedule(Schedule),
    /// Read the rules, explain a decision, test your own rules, and compare postures
    #[command(subcommand)]
    Policy(Policy),
    /// See which tools an agent is offered, and why not the others
    #[command(subcommand)]
    Tools(Tools),
    /// See the skills of agents, and look through a folder before it becomes one
    #[command(subcommand)]
    Skill(Skill),
    /// List what tools changed in files, or put a file back as it was before a change
    Undo {
        /// The change, as the list shows it
        change: Option<String>,
    },
    /// Look at what an agent keeps in mind, and at notes in quarantine
    #[command(subcommand)]
    Memory(Memory),
    /// Look at the receipts of what was decided and done, and check that none was changed
    #[command(subcommand)]
    Audit(Audit),
    /// Look at the safety of this installation
    #[command(subcommand)]
    Security(Security),
    /// Talk to the agent in this terminal, full screen; lines in and answers out when piped
    Chat(Chat),
    /// Send one message to the agent and print its answer
    Agent(Agent),
    /// Be the agent of an editor, over the Agent Client Protocol on standard input and output
    Acp(Acp),
    /// Offer conversations to other programs over the Model Context Protocol
    #[command(subcommand)]
    Mcp(Mcp),
    /// Look at the agents: which model answers for them, their identity files, their limits
    #[command(subcommand)]
    Agents(Agents),
    /// Show tokens and cost
    Usage(Usage),
    /// Look at behaviour releases
    #[command(subcommand)]
    Release(Release),
    /// Propose changes of the behaviour, and look at what is proposed
    #[command(subcommand)]
    Candidate(Candidate),
    /// Serve a candidate to a share of the traffic, watch it, promote it or take it back
    #[command(subcommand)]
    Rollout(Rollout),
    /// Look at what goes wrong, and keep its register: merge, split, name, mute
    #[command(subcommand)]
    Fault(Fault),
    /// Look for faults in what happened
    #[command(subcommand)]
    Lab(Lab),
    /// Run suites of cases over what is served or proposed, and look at their reports
    #[command(subcommand)]
    Eval(Eval),
    /// Watch a story on a scratch gateway, offline
    #[command(subcommand)]
    Demo(Demo),
    /// Look at the recipes against faults, bring your own, and ban any
    #[command(subcommand)]
    Gene(Gene),
    /// Look at the trials of fixes, ask why, and try one
    #[command(subcommand)]
    Heal(Heal),
    /// Look at the event log
    #[command(subcommand)]
    Events(Events),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a manual page for every command
    Man {
        /// The folder; it is made where there is none
        #[arg(long, value_name = "DIR")]
        dir: std::path::PathBuf,
    },
    /// Print the version
    Version,
    /// Print this manual as Markdown
    #[command(hide = true)]
    Manual,
}

#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Listen on this port
    #[arg(long, value_name = "N", env = "INSTAR_GATEWAY_PORT")]
    pub(crate) port: Option<u16>,
    /// Do not open the browser
    #[arg(long)]
    pub(crate) no_open: bool,
}

/// It may hold a key.
impl std::fmt::Debug for Onboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onboard").finish_non_exhaustive()
    }
}
