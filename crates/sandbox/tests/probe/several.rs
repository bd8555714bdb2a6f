//! Runs beside and after one another: each has walls of its own, whoever made them.

use crate::drive::{job, own};
use instar_sandbox::native::{Ended, Native, Running};
use instar_sandbox::spec::{Argv, Input, Job};
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The namespaces that a run has for itself.
const SPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
const RUNS: usize = 4;

fn verdict(fine: bool) -> ExitCode {
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs that last until they are told to end: no namespace again, nothing left in `/tmp`.
pub(crate) fn twice(native: &Native, folder: &Path) -> ExitCode {
    let script = "ls /tmp; echo x > /tmp/left; readlink /proc/self/ns/*; echo end; read word";
    let mut runs: Vec<Running> = (0..RUNS)
        .map(|_| {
            let mut job = job("twice", folder);
            job.argv = Argv::new(own(&["sh", "-c", script])).unwrap();
            job.input = Input::Open;
            native.start(job, None).unwrap()
        })
        .collect();
    let mut seen: BTreeSet<String> = SPACES
        .iter()
        .map(|name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    for run in &mut runs {
        let said = said(run);
        assert!(!said.contains("left"), "{said}");
        let is_own = |line: &&str| {
            let mut spaces = SPACES.iter();
            spaces.any(|name| line.starts_with(&format!("{name}:[")))
        };
        seen.extend(said.lines().filter(is_own).map(str::to_owned));
    }
    for run in &mut runs {
        run.close_input();
        let _outcome = run.wait().unwrap();
    }
    println!("{seen:?}");
    verdict(seen.len() == (RUNS + 1) * SPACES.len())
}

fn said(run: &Running) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let said = String::from_utf8_lossy(&run.output().0.bytes).into_owned();
        if said.ends_with("end\n") || Instant::now() > deadline {
            return said;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The helper is killed again and again: every run finds walls that stand, and there is a new one.
pub(crate) fn helper(native: &Native, folder: &Path) -> ExitCode {
    let mut fine = true;
    let mut helpers = BTreeSet::new();
    for _ in 0..6 {
        let mut running = native.start(job("python", folder), None).unwrap();
        fine &= running.stood_ready();
        fine &= running.wait().unwrap().ended == Ended::Exit(0);
        if let Some(one) = the_helper() {
            helpers.insert(one.as_raw_nonzero());
            kill_process(one, Signal::KILL).unwrap();
        }
    }
    println!("fine {fine}, helpers {helpers:?}");
    verdict(fine && helpers.len() >= 2)
}

/// A child of ours by its name, that has not ended.
fn the_helper() -> Option<Pid> {
    let parent = format!("PPid:\t{}\n", getpid().as_raw_nonzero());
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let path = entry.ok()?.path();
        let number: i32 = path.file_name()?.to_str()?.parse().ok()?;
        let words = std::fs::read(path.join("cmdline")).ok()?;
        let ours = std::fs::read_to_string(path.join("status")).ok()?;
        (words.starts_with(b"instar-walls-ready\0") && ours.contains(&parent))
            .then(|| Pid::from_raw(number))?
    })
}

/// Many threads start programs at once, each with words and input of its own.
pub(crate) fn many(native: &Native, folder: &Path) -> ExitCode {
    let one = |number: usize| {
        let mut job: Job = job("input", folder);
        job.input = Input::Bytes(number.to_string().into_bytes());
        let outcome = native.run(job).unwrap();
        outcome.ended == Ended::Exit(0) && outcome.stdout.bytes == number.to_string().into_bytes()
    };
    let fine = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| scope.spawn(move || (0..5).all(|turn| one(thread * 10 + turn))))
            .collect();
        threads.into_iter().all(|thread| thread.join().unwrap())
    });
    verdict(fine)
}
