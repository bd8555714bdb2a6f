//! `instar demo`.

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(crate) enum Demo {
    /// Planted faults: one gets a fix that is proven, one a fix that does harm, one heals by itself
    Heal(DemoOptions),
    /// A change on its whole way: promoted, taken back, refused at the gate, refused for a changed byte
    Improve(DemoOptions),
}

#[derive(Args, Debug)]
pub(crate) struct DemoOptions {
    /// End when the story is told, instead of leaving the pages open
    #[arg(long)]
    pub(crate) no_stay: bool,
    /// The port of the gateway of the story; any free one without it
    #[arg(long)]
    pub(crate) port: Option<u16>,
}
