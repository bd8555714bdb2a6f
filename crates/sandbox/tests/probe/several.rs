//! Runs beside and after one another: each has walls of its own, whoever made them.

use crate::drive::{EXTRAS, job, native, own};
use instar_sandbox::cgroup::Groups;
use instar_sandbox::native::{Ended, Native, Running, StartError};
use instar_sandbox::root::{Inside, Root};
use instar_sandbox::spec::{Argv, Input, Job};
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The folder to start in changes places with a link to one of the system's: a run starts where it was
/// told to, or nowhere.
pub(crate) fn swapped(native: &Native, folder: &Path) -> ExitCode {
    use rustix::fs::{RenameFlags, renameat_with};
    let work = folder.join("work");
    std::fs::create_dir(work.join("start")).unwrap();
    std::fs::write(work.join("start/os-release"), "inside").unwrap();
    std::os::unix::fs::symlink("/usr/lib", work.join("other")).unwrap();
    let root = Root::open(&work).unwrap();
    let stop = AtomicBool::new(false);
    let (mut inside, mut refused, mut elsewhere) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (one, two) = ("start", "other");
                renameat_with(&root, one, &root, two, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for turn in 0..400 {
            let mut job = job("swapped", folder);
            job.folder = Inside::parse("start").unwrap();
            match native.run(job) {
                Ok(outcome) if outcome.stdout.bytes == b"inside" => inside += 1,
                Err(StartError::Refused(_)) => refused += 1,
                Ok(_) | Err(_) => elsewhere += 1,
            }
            if turn > 100 && inside > 2 && refused > 2 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{inside} inside, {refused} refused, {elsewhere} elsewhere");
    verdict(inside > 0 && refused > 0 && elsewhere == 0)
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

/// Walls were made ready by the first run, and waited too long for the second: it has younger ones.
pub(crate) fn aged(native: &Native, folder: &Path) -> ExitCode {
    const FRESH: Duration = Duration::from_secs(3);
    let native = native.clone().keeping_ready(&EXTRAS, FRESH);
    let run = || {
        let mut job = job("python", folder);
        job.argv = Argv::new(own(&["sh", "-c", "cat /proc/1/stat; echo end"])).unwrap();
        let mut running = native.start(job, None).unwrap();
        let stat = said(&running);
        let ready = running.stood_ready();
        running.wait().unwrap();
        (ready, begun(&stat))
    };
    let first = run();
    let waited = FRESH + Duration::from_millis(500);
    std::thread::sleep(waited);
    let second = run();
    println!("{first:?}, {second:?}");
    verdict(first.0 && second.0 && second.1.saturating_sub(first.1) >= FRESH)
}

/// When a process began, since the machine did.
fn begun(stat: &str) -> Duration {
    let fields = stat.rsplit_once(") ").unwrap().1;
    let ticks: u64 = fields.split(' ').nth(19).unwrap().parse().unwrap();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

/// A program has ended, and its number is somebody else's by then: nothing that the caller still holds
/// reaches that one. Numbers are given anew where this runs, in a process namespace of its own.
pub(crate) fn reuse(native: &Native, folder: &Path) -> ExitCode {
    let mut job = job("input", folder);
    job.input = Input::Open;
    let mut running = native.start(job, None).unwrap();
    let outer = child_named(b"instar-walls\0").unwrap().as_raw_nonzero();
    let killer = running.killer();
    running.close_input();
    assert_eq!(running.wait().unwrap().ended, Ended::Exit(0));
    let mut bystander = None;
    for _ in 0..1_000 {
        std::fs::write(
            "/proc/sys/kernel/ns_last_pid",
            (outer.get() - 1).to_string(),
        )
        .unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        if child.id() == outer.get().unsigned_abs() {
            bystander = Some(child);
            break;
        }
        child.kill().unwrap();
        let _status = child.wait().unwrap();
    }
    let Some(mut bystander) = bystander else {
        println!("the number {outer} was not given again");
        return ExitCode::FAILURE;
    };
    killer.kill();
    running.kill();
    drop(running);
    // Had it been sent, it would have ended before this is asked.
    std::thread::sleep(Duration::from_millis(50));
    let lives = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    let _status = bystander.wait().unwrap();
    println!("number {outer}, the bystander lives: {lives}");
    verdict(lives)
}

/// A child of ours by its name, that has not ended.
fn the_helper() -> Option<Pid> {
    child_named(b"instar-walls-ready\0")
}

fn child_named(name: &[u8]) -> Option<Pid> {
    let parent = format!("PPid:\t{}\n", getpid().as_raw_nonzero());
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let path = entry.ok()?.path();
        let number: i32 = path.file_name()?.to_str()?.parse().ok()?;
        let words = std::fs::read(path.join("cmdline")).ok()?;
        let ours = std::fs::read_to_string(path.join("status")).ok()?;
        (words.starts_with(name) && ours.contains(&parent)).then(|| Pid::from_raw(number))?
    })
}

/// Runs in control groups of their own, below the one that was handed over.
pub(crate) fn grouped(case: &str, maker: &str, folder: &Path, base: &Path) -> ExitCode {
    std::fs::create_dir_all(folder.join("work")).unwrap();
    let groups = Arc::new(Groups::at(base).unwrap());
    let native = native(maker).with_groups(Arc::clone(&groups));
    let mut job = job("twice", folder);
    let script = match case {
        // Each of the four stays below what one process may have.
        "group-memory" => {
            job.walls.limits.together_bytes = Some(160 << 20);
            "for i in 1 2 3 4; do python3 -c 'b = bytearray(100 << 20); import time; time.sleep(5)' & done; wait"
        }
        _ => "grep ^0: /proc/self/cgroup; echo end; cat; exit 0",
    };
    job.argv = Argv::new(own(&["sh", "-c", script])).unwrap();
    job.input = Input::Open;
    let mut run = native.start(job, None).unwrap();
    let fine = if case == "group" {
        let said = said(&run);
        // Outer, first, program, and what that has started.
        let inside = eventually(|| processes(base).contains(&4));
        run.close_input();
        let ended = run.wait().unwrap().ended;
        println!("{said}, inside: {inside}, {ended:?}");
        let ahead = usize::from(run.stood_ready()) * 2;
        let gone = eventually(|| groups.runs() == ahead);
        said == "0::/\nend\n" && inside && ended == Ended::Exit(0) && gone
    } else {
        let outcome = run.wait().unwrap();
        println!("{outcome:?}");
        outcome.ended != Ended::Exit(0)
    };
    drop((run, native));
    verdict(fine && eventually(|| groups.runs() == 0))
}

fn eventually(done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// How many processes each group of a run holds.
fn processes(base: &Path) -> Vec<usize> {
    let runs = std::fs::read_dir(base).unwrap().map(|entry| entry.unwrap());
    runs.filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("instar-run-")
    })
    .map(|entry| std::fs::read_to_string(entry.path().join("cgroup.procs")).unwrap())
    .map(|list| list.lines().count())
    .collect()
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
