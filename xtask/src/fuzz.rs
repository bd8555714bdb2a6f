//! Runs the fuzz targets. Without a nightly compiler they run without sanitizers.

use clap::Args;
use std::process::Command;

use crate::run::{must, root, say, target};
use crate::tools::Tools;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let tools = Tools::install()?;
    each(&tools, options.seconds, options.target.as_deref())
}

/// Runs every target (or the one named) for so many seconds on its corpus.
pub(crate) fn each(tools: &Tools, seconds: u32, only: Option<&str>) -> anyhow::Result<()> {
    let mut targets: Vec<String> = std::fs::read_dir(root().join("fuzz/fuzz_targets"))?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            Some(name.strip_suffix(".rs")?.to_owned())
        })
        .filter(|name| only.is_none_or(|only| only == name))
        .collect();
    targets.sort();
    for name in &targets {
        let mut command = Command::new(tools.program("cargo-fuzz"));
        command
            .current_dir(root())
            .args(["run", "--sanitizer=none", "--target-dir"])
            .arg(target().join("fuzz"))
            .arg(name)
            // New inputs go to the scratch folder, so that the committed corpus stays as it is.
            .arg(target().join("fuzz-corpus").join(name))
            .arg(root().join("fuzz/corpus").join(name))
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .args([
                "-max_len=65536",
                "-timeout=10",
                "-rss_limit_mb=1024",
                "-verbosity=0",
            ]);
        std::fs::create_dir_all(target().join("fuzz-corpus").join(name))?;
        must(&mut command)?;
    }
    say(&format!(
        "fuzz: {} targets ran {seconds} s each and found nothing",
        targets.len()
    ));
    Ok(())
}
