//! Repository chores: the test run, the feature table, benches and fuzzing.
//!
//! `cargo xtask test` is what CI runs and all that CI runs. Start reading at [`mod@test`].

mod test;

mod bench;
mod breaks;
mod dist;
mod features;
mod fuzz;
mod layering;
mod mutants;
mod peers;
mod run;
mod soak;
mod tools;

use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(name = "cargo xtask", about = "Repository chores")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand, Debug)]
enum Chore {
    /// Installs what the tests need, then runs every check and every test
    Test(test::Options),
    /// Shows the feature table; checks it, writes it into README.md, or breaks one feature on purpose
    Features(features::Options),
    /// Checks the crate edges against the table in ARCHITECTURE.md
    Layering,
    /// Builds what a bench needs with the `dist` profile and runs it
    Bench(bench::Options),
    /// Makes what is given away: binary, archive, Debian package, bill of materials, sums
    Dist(dist::Options),
    /// Runs every fuzz target for a while
    Fuzz(fuzz::Options),
    /// Changes the code that decides and asks the tests to notice each change
    Mutants(mutants::Options),
    /// Runs the races a million times
    Soak,
    /// Rewrites the generated documentation
    Docs,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::Test(options) => test::run(&options),
        Chore::Features(options) => features::run(&options),
        Chore::Layering => layering::check(),
        Chore::Bench(options) => bench::run(&options),
        Chore::Dist(options) => dist::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Mutants(options) => mutants::run(&options),
        Chore::Soak => soak::run(),
        Chore::Docs => {
            features::write_readme()?;
            test::write_generated_docs()
        }
    }
}
