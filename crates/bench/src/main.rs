//! The benches behind `cargo xtask bench NAME`. Each prints a table for people or, with `--json`,
//! one object whose keys `docs/benchmarks.md` explains. Timings are judged as ratios within a run.

mod agentdojo;
mod clustering;
mod evals;
mod faces;
mod gateway;
mod healing;
mod house;
mod rollout;
mod sandbox;

mod load;
mod machine;
mod paint;
mod policy;
mod process;
mod report;
mod socket;

use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(name = "cargo xtask bench", about = "Measures Instar")]
struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand, Debug)]
enum Bench {
    /// Start, memory, time and CPU per turn, growth, soak
    Gateway(gateway::Options),
    /// Pages, the WebSocket's fan-out, and its methods at many stored conversations
    Faces(faces::Options),
    /// What one decision costs, with fifty rules of an owner's
    Policy(policy::Options),
    /// Recorded attacks on recorded tasks, under the product's own decision
    Agentdojo(agentdojo::Options),
    /// Groups of messages against templates that people wrote down, beside Drain3
    Clustering(clustering::Options),
    /// A suite of a thousand cases through the built program, beside promptfoo where it is installed
    Evals(evals::Options),
    /// Simulated rollouts through the controller, beside what others decide with
    Rollout(rollout::Options),
    /// Planted faults and fixes of every kind through the trials, beside the popular rule
    Healing(healing::Options),
    /// What a start behind walls costs against a plain one
    Sandbox(sandbox::Options),
}

fn main() -> anyhow::Result<()> {
    // Where no other binary builds the walls that are measured.
    if let Some(code) = instar_sandbox::stage() {
        anyhow::ensure!(code == 0, "ended with {code}");
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match Args::parse().bench {
        Bench::Gateway(options) => runtime.block_on(Box::pin(gateway::run(&options))),
        Bench::Policy(options) => policy::run(&options),
        Bench::Agentdojo(options) => agentdojo::run(&options),
        Bench::Clustering(options) => clustering::run(&options),
        Bench::Evals(options) => evals::run(&options),
        Bench::Faces(options) => runtime.block_on(Box::pin(faces::run(&options))),
        Bench::Rollout(options) => runtime.block_on(Box::pin(rollout::run(&options))),
        Bench::Healing(options) => runtime.block_on(Box::pin(healing::run(&options))),
        Bench::Sandbox(options) => sandbox::run(&options),
    }
}
