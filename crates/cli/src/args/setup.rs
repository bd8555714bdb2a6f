//! Setting up.

use clap::{Args, ValueEnum};

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

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindTo {
    /// This machine only
    Loopback,
    /// Every address of this machine
    Lan,
}
