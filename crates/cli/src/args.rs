//! What can be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

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
4 no gateway answers, 5 the gateway refused, 6 no such thing, 7 another gateway owns the state folder.";

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

#[derive(Args)]
pub(crate) struct Onboard {
    /// Ask nothing; the model is tried before anything is written
    #[arg(long)]
    pub(crate) non_interactive: bool,
    /// You know what an agent that reads and acts for you can do wrong; `instar onboard` tells it
    #[arg(long)]
    pub(crate) accept_risk: bool,
    /// The folder with the files that tell the agent who it is
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<std::path::PathBuf>,
    /// Who answers: a vendor (openai, anthropic, ollama, …), `custom`, or `later`
    #[arg(long, value_name = "CHOICE")]
    pub(crate) auth_choice: Option<String>,
    /// The model: its vendor's name for it, or provider/model
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Address of a server of your own
    #[arg(long, value_name = "URL")]
    pub(crate) custom_base_url: Option<String>,
    /// The server's name for the model
    #[arg(long, value_name = "ID")]
    pub(crate) custom_model_id: Option<String>,
    /// Where the key is: `-` reads it from standard input, `@FILE` from a file. It is stored
    /// encrypted. A key written here itself is taken out of the process list at once
    #[arg(
        long,
        value_name = "KEY",
        env = "CUSTOM_API_KEY",
        hide_env_values = true
    )]
    pub(crate) custom_api_key: Option<String>,
    /// A name for the server
    #[arg(long, value_name = "NAME")]
    pub(crate) custom_provider_id: Option<String>,
    /// The format that it speaks: openai, openai-responses, anthropic or ollama
    #[arg(long, value_name = "FORMAT", default_value = "openai")]
    pub(crate) custom_compatibility: String,
    /// Do not try the model
    #[arg(long)]
    pub(crate) skip_probe: bool,
    /// The port to listen on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Who may reach the port; `lan` only behind a proxy that signs people in
    #[arg(long, value_enum, value_name = "WHO")]
    pub(crate) bind: Option<BindTo>,
    /// Install and start the service
    #[arg(long)]
    pub(crate) install_daemon: bool,
}

/// It may hold a key.
impl std::fmt::Debug for Onboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onboard").finish_non_exhaustive()
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindTo {
    /// This machine only
    Loopback,
    /// Every address of this machine
    Lan,
}

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
pub(crate) enum Gateway {
    /// Run the gateway in the foreground, for service managers
    Run {
        /// Listen on this port
        #[arg(long, value_name = "N", env = "INSTAR_GATEWAY_PORT")]
        port: Option<u16>,
    },
    /// Show the running gateway's process and address
    Status,
    /// Hand the gateway to systemd (launchd on macOS): it starts now and at every log-in
    Install {
        /// Print what would be written, and write nothing
        #[arg(long)]
        print: bool,
        /// Take the place of a service that was written by hand
        #[arg(long)]
        force: bool,
    },
    /// Stop the service and remove it; conversations and settings stay
    Uninstall,
    /// Start the service; where there is none, start in the background
    Start,
    /// Stop the running gateway, however it was started; turns under way finish first
    Stop,
    /// Stop the running gateway and start it again
    Restart,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Mend what can be mended: modes, left-over files, the service, a taken port, clock, linger
    #[arg(long)]
    pub(crate) fix: bool,
    /// Mend without asking
    #[arg(long, requires = "fix")]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Stay and print new lines as they come
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many lines to begin with
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Print one value, or the whole effective configuration
    Get {
        /// Dotted path, for example gateway.port
        path: Option<String>,
    },
    /// Set one value; comments and order are kept
    Set {
        /// Dotted path, for example gateway.port
        path: String,
        /// JSON5, or a plain word where a text is expected
        value: String,
    },
    /// Remove one value, so that its default holds
    Unset {
        /// Dotted path
        path: String,
    },
    /// Check the file and name everything that is wrong with it
    Validate,
    /// Print the JSON Schema of the configuration
    Schema {
        /// Print the reference page instead: every key with its meaning and default
        #[arg(long)]
        markdown: bool,
    },
    /// Print the path of the configuration file
    File,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Secrets {
    /// Store a secret, read from standard input or typed without echo
    Set {
        /// Its name, for example openai
        name: String,
    },
    /// List the names in the store
    List,
    /// Remove a secret
    Remove {
        /// Its name
        name: String,
    },
    /// Lock the store with a passphrase
    Protect,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Token {
    /// Make a new token, print it once, and forget the old one
    Rotate,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Models {
    /// List the models that can be called
    List,
    /// Show which model answers and whether its key is there
    Status,
    /// Choose the model that answers
    Set {
        /// provider/model, for example openai/gpt-5 or ollama/qwen3
        model: String,
        /// Tried in this order when the first fails
        #[arg(long = "fallback", value_name = "MODEL")]
        fallbacks: Vec<String>,
    },
    /// Make a tiny real call to see whether a model answers
    Probe {
        /// Only this model
        model: Option<String>,
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

#[derive(Subcommand, Debug)]
pub(crate) enum Devices {
    /// List the devices that wait and those that were let in
    List,
    /// Let a device in
    Approve {
        /// The request; may be left out if one waits
        request: Option<String>,
    },
    /// Leave a device outside
    Reject {
        /// The request
        request: String,
    },
    /// Give a device a name of your own
    Rename {
        /// The beginning of its id, or its name
        device: String,
        /// The new name
        name: String,
    },
    /// Take a device's token back and close its connections
    Revoke {
        /// The beginning of its id, or its name
        device: String,
    },
    /// Make a new token for a device; the old one stops working
    Rotate {
        /// The beginning of its id, or its name
        device: String,
    },
    /// Forget a device
    Remove {
        /// The beginning of its id, or its name
        device: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Agent {
    /// The message; `-` reads it from standard input
    #[arg(long, short)]
    pub(crate) message: String,
    /// The conversation to say it in
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
