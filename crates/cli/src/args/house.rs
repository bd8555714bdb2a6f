//! The gateway itself: its process, configuration, keys, models and devices.

use clap::{Args, Subcommand};

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
    /// Print the token that was made on schedule, once
    Take,
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
