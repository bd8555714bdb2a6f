//! `cargo xtask bench evals`: a suite of a thousand cases through the built program, and beside it promptfoo
//! on the same file, where it is installed.

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::binary;
use crate::report::{row, say};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Cases of the suite
    #[arg(long, default_value_t = 1_000)]
    cases: u32,
    /// promptfoo's entry point, for a row beside ours
    #[arg(long, value_name = "FILE", env = "INSTAR_TEST_PROMPTFOO")]
    promptfoo: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// What a thousand cases may cost: seconds of processor time, megabytes of memory.
const CPU_BAR: f64 = 0.5;
const MEMORY_BAR: f64 = 50.0;
/// A program that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu_s: f64,
    peak_mb: f64,
    wall_s: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let suite = folder.path().join("suite.yaml");
    std::fs::write(&suite, written(options.cases))?;
    let mut instar = Command::new(binary("instar")?);
    instar
        .args(["eval", "run", "--jobs", "1", "--json"])
        .arg(&suite)
        .env("INSTAR_STATE_DIR", folder.path().join("state"))
        .env("HOME", folder.path());
    let ours = measured(&mut instar).context("instar on the suite")?;
    let theirs = match &options.promptfoo {
        Some(program) => Some(measured(&mut promptfoo(program, &suite, folder.path()))?),
        None => None,
    };
    if options.json {
        let of = |cost: Cost| json!({"cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb, "wall_s": cost.wall_s});
        let figures = json!({
            "cases": options.cases, "instar": of(ours), "promptfoo": theirs.map(of),
            "bars": {"cpu_s": CPU_BAR, "peak_mb": MEMORY_BAR},
        });
        say(&figures.to_string());
        return Ok(());
    }
    let judged = options.cases <= 1_000;
    let figure = format!("{:.2} s", ours.cpu_s);
    row(
        "processor time",
        &figure,
        "< 0.5 s",
        judged.then_some(ours.cpu_s < CPU_BAR),
    );
    let figure = format!("{:.0} MB", ours.peak_mb);
    row(
        "memory at its peak",
        &figure,
        "< 50 MB",
        judged.then_some(ours.peak_mb < MEMORY_BAR),
    );
    row(
        "from start to end",
        &format!("{:.2} s", ours.wall_s),
        "",
        None,
    );
    if let Some(theirs) = theirs {
        let figure = format!(
            "{:.2} s, {:.0} MB, {:.2} s",
            theirs.cpu_s, theirs.peak_mb, theirs.wall_s
        );
        row("promptfoo: the same three", &figure, "", None);
    }
    Ok(())
}

/// Cases of six kinds, a tenth of which fail.
fn written(cases: u32) -> String {
    let mut out = String::from(
        "prompts: ['{{greeting}} {{name}}, number {{n}}: {\"n\": {{n}}}']\nproviders: [echo]\ntests:\n",
    );
    for n in 0..cases {
        let wanted = if n % 10 == 9 { "nobody" } else { "Ann" };
        let last = match n % 6 {
            0 => "{type: regex, value: 'number \\d+'}",
            1 => "{type: contains-json, value: {type: object, required: [n]}}",
            2 => "{type: word-count, value: {min: 3, max: 30}}",
            3 => "{type: icontains-any, value: [hello, good]}",
            4 => "{type: levenshtein, value: 'Hello Ann, number 4', threshold: 40}",
            _ => "{type: rouge-n, value: 'hello ann , number', threshold: 0.1}",
        };
        // Writing into a string does not fail.
        let _done = writeln!(
            out,
            "  - vars: {{greeting: Hello, name: Ann, n: {n}}}\n    assert: [{{type: contains, value: {wanted}}}, {last}]"
        );
    }
    out
}

fn promptfoo(program: &Path, suite: &Path, scratch: &Path) -> Command {
    let mut command = Command::new("node");
    command
        .arg(program)
        .args([
            "eval",
            "--no-cache",
            "--no-table",
            "--no-progress-bar",
            "--no-write",
            "-c",
        ])
        .arg(suite)
        .arg("-o")
        .arg(scratch.join("out.json"))
        .env("PROMPTFOO_CONFIG_DIR", scratch)
        .env("PROMPTFOO_DISABLE_TELEMETRY", "1")
        .env("PROMPTFOO_DISABLE_UPDATE", "1");
    command
}

/// Runs a program to its end. What it used is read while it lasts, and once more before it is reaped.
fn measured(command: &mut Command) -> anyhow::Result<Cost> {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let mut peak_kb = 0.0_f64;
    let cpu_s = loop {
        let status = std::fs::read_to_string(proc.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
        peak_kb = peak_kb.max(kb.unwrap_or_default());
        let stat = std::fs::read_to_string(proc.join("stat"))?;
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .collect();
        if fields.first() == Some(&"Z") {
            let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
            // utime and stime, in the hundredths of a second that Linux tells programs.
            break (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0;
        }
        if began.elapsed() > PATIENCE {
            drop(child.kill());
            anyhow::bail!("did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let wall_s = began.elapsed().as_secs_f64();
    let ended = child.wait()?;
    anyhow::ensure!(
        ended.code() == Some(100),
        "ended with {ended}, not with cases that did not pass"
    );
    Ok(Cost {
        cpu_s,
        peak_mb: peak_kb * 1024.0 / 1e6,
        wall_s,
    })
}
