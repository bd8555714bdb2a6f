//! What it costs to start a program behind walls, against starting it plainly.
//!
//! Each round starts the same small program each way, one after the other, so that whatever else
//! the machine does meets all of them alike. The ratio of medians is judged, not a time. Walls that
//! stand ready are made anew after a run: a pause before each start lets that be done, as it is between the
//! calls of a model. What they cost without a pause is measured by itself, back to back.
//!
//! A component needs a binary with the engine for components, a container an engine on this machine; where
//! there is none, the row says so and is left out.

use crate::report::{progress, row, say};
use anyhow::{Context, ensure};
use clap::Args;
use instar_sandbox::docker::{self, Docker};
use instar_sandbox::native::{Ended, Maker, Native};
use instar_sandbox::root::Root;
use instar_sandbox::spec::{Access, Argv, Component, Job, Limits, Walls};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What our own set-up may cost, in plain starts.
const OWN_MAX: f64 = 3.0;
/// The way that is judged.
const JUDGED: &str = "native, standing ready";
const PAUSE: Duration = Duration::from_millis(10);
const PROGRAM: &str = "/usr/bin/true";
/// The same as a component: it begins and ends.
const COMPONENT: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
const COMPONENT_FILE: &str = "true.wasm";
const FUEL: u64 = 1 << 40;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Rounds of each way to start
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// Measure a binary that has the engine for components
    #[arg(long)]
    components: bool,
    /// The image that a container is made of, where an engine answers
    #[arg(long, default_value = "debian:bookworm-slim")]
    image: String,
    #[arg(long)]
    json: bool,
}

/// One way to start the program.
enum Start {
    Plain,
    Walled(Native),
    Component(Native),
}

#[derive(Serialize)]
struct Report {
    rounds: usize,
    ways: Vec<Way>,
}

#[derive(Serialize)]
struct Way {
    name: String,
    median_us: u128,
    p95_us: u128,
    /// Median against the plain start's.
    ratio: f64,
    /// The mean of starts back to back.
    back_to_back_us: u128,
    #[serde(skip)]
    times: Vec<u128>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let own = native()?.with_maker(Maker::Own);
    let ready = own.clone().keeping_ready(&[], Duration::from_secs(600));
    let mut makers = vec![
        ("plain".to_owned(), Start::Plain),
        (JUDGED.to_owned(), Start::Walled(ready.clone())),
        (
            "native, built when asked for".to_owned(),
            Start::Walled(own),
        ),
    ];
    let bubblewrap = PathBuf::from("/usr/bin/bwrap");
    if bubblewrap.is_file() {
        let native = native()?.with_maker(Maker::Bubblewrap(bubblewrap));
        makers.push(("native, bubblewrap".to_owned(), Start::Walled(native)));
    }
    let component = instar_testkit::component::component(COMPONENT)?;
    std::fs::write(folder.path().join(COMPONENT_FILE), component)?;
    for (name, start) in [
        ("wasm, walls standing ready", Start::Component(ready)),
        ("docker", Start::Walled(container(&options.image)?)),
    ] {
        match start.once(folder.path()) {
            Ok(()) => makers.push((name.to_owned(), start)),
            Err(why) => progress(&format!("no row for {name}: {why:#}")),
        }
    }
    let mut ways: Vec<Way> = makers.iter().map(|(name, _)| Way::new(name)).collect();
    for round in 0..options.rounds.max(20) + 10 {
        for ((_, start), way) in makers.iter().zip(&mut ways) {
            std::thread::sleep(PAUSE);
            let began = Instant::now();
            start.once(folder.path())?;
            // The first ones warm caches.
            if round >= 10 {
                way.times.push(began.elapsed().as_micros());
            }
        }
    }
    for ((_, start), way) in makers.iter().zip(&mut ways) {
        let began = Instant::now();
        for _ in 0..options.rounds.max(20) {
            start.once(folder.path())?;
        }
        way.back_to_back_us = began.elapsed().as_micros() / options.rounds.max(20) as u128;
    }
    let plain = ways
        .first_mut()
        .context("nothing was measured")?
        .settle(None);
    for way in ways.iter_mut().skip(1) {
        way.settle(Some(plain));
    }
    print(options, ways)
}

/// By the binary that is shipped, where the bench is told where that is.
fn native() -> anyhow::Result<Native> {
    let native = Native::of_this_binary();
    let Some(folder) = std::env::var_os("INSTAR_BENCH_BIN_DIR") else {
        return Ok(native);
    };
    let binary = PathBuf::from(folder).join("instar");
    ensure!(binary.is_file(), "{} is not built", binary.display());
    Ok(native.with_binary(binary))
}

impl Start {
    fn once(&self, workspace: &Path) -> anyhow::Result<()> {
        match self {
            Self::Plain => plain(),
            Self::Walled(native) => walled(native, workspace, PROGRAM, None),
            Self::Component(native) => {
                let program = format!("./{COMPONENT_FILE}");
                walled(native, workspace, &program, Some(Component { fuel: FUEL }))
            }
        }
    }
}

/// A container of the engine on this machine.
fn container(image: &str) -> anyhow::Result<Native> {
    let docker = Docker {
        socket: docker::SOCKET.into(),
        image: image.to_owned(),
        user: docker::own_user(),
        cpu_thousandths: None,
        pids: None,
        memory_bytes: None,
        cap_drop: Vec::new(),
        tmpfs: Vec::new(),
    };
    Ok(native()?.with_maker(Maker::Docker(docker)))
}

fn plain() -> anyhow::Result<()> {
    let ran = Command::new(PROGRAM)
        .env_clear()
        .stdin(Stdio::piped())
        .output()?;
    ensure!(ran.status.success(), "{PROGRAM} failed");
    Ok(())
}

fn walled(
    native: &Native,
    workspace: &Path,
    program: &str,
    component: Option<Component>,
) -> anyhow::Result<()> {
    let walls = Walls {
        workspace: Access::Write,
        limits: Limits {
            wall_seconds: 60,
            ..Limits::default()
        },
        ..Walls::default()
    };
    let mut job = Job::new(walls, Argv::new(vec![program.to_owned()])?);
    job.component = component;
    job.workspace = Some(Root::open(workspace)?);
    let outcome = native.run(job)?;
    ensure!(
        outcome.ended == Ended::Exit(0),
        "{program} ended with {:?}: {}",
        outcome.ended,
        String::from_utf8_lossy(&outcome.stderr.bytes).trim()
    );
    Ok(())
}

impl Way {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            median_us: 0,
            p95_us: 0,
            ratio: 1.0,
            back_to_back_us: 0,
            times: Vec::new(),
        }
    }

    fn settle(&mut self, plain: Option<u128>) -> u128 {
        self.times.sort_unstable();
        let at = |share: usize| self.times.get(self.times.len() * share / 100).copied();
        self.median_us = at(50).unwrap_or_default();
        self.p95_us = at(95).unwrap_or_default();
        if let Some(plain) = plain {
            #[expect(clippy::cast_precision_loss, reason = "microseconds of one start")]
            let ratio = self.median_us as f64 / plain.max(1) as f64;
            self.ratio = ratio;
        }
        self.median_us
    }
}

fn print(options: &Options, ways: Vec<Way>) -> anyhow::Result<()> {
    let rounds = options.rounds;
    let report = Report { rounds, ways };
    if options.json {
        say(&serde_json::to_string(&report)?);
        return met(&report.ways);
    }
    for way in &report.ways {
        let figure = format!(
            "{} / {} us, {:.2} times, {} us back to back",
            way.median_us, way.p95_us, way.ratio, way.back_to_back_us
        );
        let judged = way.name == JUDGED;
        let bar = if judged {
            format!("< {OWN_MAX} times")
        } else {
            String::new()
        };
        row(
            &way.name,
            &figure,
            &bar,
            judged.then_some(way.ratio < OWN_MAX),
        );
    }
    met(&report.ways)
}

fn met(ways: &[Way]) -> anyhow::Result<()> {
    for way in ways.iter().filter(|way| way.name == JUDGED) {
        ensure!(
            way.ratio < OWN_MAX,
            "a bar is not met: {} took {:.2} times",
            way.name,
            way.ratio
        );
    }
    Ok(())
}
