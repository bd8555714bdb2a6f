//! `instar demo`: stories told by a gateway of its own, on a scratch state, offline.

mod heal;
mod improve;
mod stage;

use crate::args::Demo;
use crate::context::Context;

pub(crate) async fn run(command: &Demo, run: &Context) -> anyhow::Result<()> {
    match command {
        Demo::Heal(options) => heal::run(options, run).await,
        Demo::Improve(options) => improve::run(options, run).await,
    }
}
