//! `instar demo`: stories told by a gateway of its own, on a scratch state, offline.

mod improve;
mod stage;

use crate::args::Demo;
use crate::context::Context;

pub(crate) async fn run(command: &Demo, run: &Context) -> anyhow::Result<()> {
    match command {
        Demo::Improve(options) => improve::run(options, run).await,
    }
}
