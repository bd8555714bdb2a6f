//! Confined jobs from outside: what they try fails, what they say is bounded, and they end.

use instar_sandbox::confined::{Bounds, Confined, JobError, Starter};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SECRET: &str = "the-bait-that-nobody-may-see";
const STATE: &str = "what the caller has stored";

fn starter() -> Starter {
    Starter::of(PathBuf::from(env!("CARGO_BIN_EXE_instar-walls-probe")))
}

/// A job with its bait told.
fn begun(role: &str, bounds: Bounds) -> (Confined, tempfile::TempDir) {
    begun_by(&starter(), role, bounds)
}

fn begun_by(starter: &Starter, role: &str, bounds: Bounds) -> (Confined, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("secret"), SECRET).unwrap();
    std::fs::write(home.path().join("state"), STATE).unwrap();
    let mut job = starter.start(role, bounds).unwrap();
    let bait = serde_json::json!({
        "secret": home.path().join("secret"),
        "state": home.path().join("state"),
        "caller": std::process::id(),
        "port": 9,
    });
    job.tell(&bait).unwrap();
    (job, home)
}

#[test]
fn a_job_reaches_no_file_no_network_no_program_and_no_other_process() {
    // What a careless part of the caller leaves open across a start.
    let mut bait = tempfile::tempfile().unwrap();
    let _left_open: Vec<_> = (0..10).map(|_| rustix::io::dup(&bait).unwrap()).collect();
    let (mut job, home) = begun("attempts", Bounds::default());
    let came: Vec<(String, String)> = job.hear().unwrap();
    assert_eq!(came.len(), 16, "{came:?}");
    for (what, how) in &came {
        assert_ne!(how, "ESCAPED", "{what}: {came:?}");
    }
    let state = std::fs::read_to_string(home.path().join("state")).unwrap();
    assert_eq!(state, STATE);
    let mut text = String::new();
    bait.read_to_string(&mut text).unwrap();
    assert!(text.is_empty());
}

#[test]
fn a_job_with_a_folder_of_its_own_has_that_and_nothing_else() {
    let (mut job, home) = begun_by(&starter().with_scratch(), "scratch", Bounds::default());
    let (mine, folder, came): (String, PathBuf, Vec<(String, String)>) = job.hear().unwrap();
    assert_eq!(mine, "mine");
    assert!(folder.join("notes").exists());
    for (what, how) in &came {
        // Two sockets that lead to each other lead nowhere; names can be asked for, and nothing behind them.
        let harmless = ["pair of sockets", "its name", "inherited descriptor"];
        assert!(
            how != "ESCAPED" || harmless.contains(&what.as_str()),
            "{what}: {came:?}"
        );
    }
    let state = std::fs::read_to_string(home.path().join("state")).unwrap();
    assert_eq!(state, STATE);
    drop(job);
    assert!(!folder.exists());
}

#[test]
fn what_it_is_told_and_what_it_answers_goes_over_its_one_line() {
    let (mut job, _home) = begun("echo", Bounds::default());
    let words = "word ".repeat(100_000);
    job.tell(&words).unwrap();
    assert_eq!(job.hear::<String>().unwrap(), words);
    let (mut job, _home) = begun("threads", Bounds::default());
    assert_eq!(job.hear::<Vec<u64>>().unwrap(), [0, 5_050, 10_100]);
}

#[test]
fn an_answer_that_is_too_long_too_much_or_of_another_form_is_not_used() {
    let bounds = Bounds {
        message_bytes: 1_000,
        told_bytes: 10_000,
        ..Bounds::default()
    };
    let (mut job, _home) = begun("long", bounds);
    let refused = job.hear::<String>().unwrap_err();
    assert!(matches!(refused, JobError::Untrusted(_)), "{refused}");
    let (mut job, _home) = begun("chatter", bounds);
    let refused = loop {
        match job.hear::<String>() {
            Ok(words) => assert_eq!(words.len(), 900),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, JobError::Untrusted(_)), "{refused}");
    let (mut job, _home) = begun("forgery", bounds);
    let refused = job
        .hear::<std::collections::BTreeMap<String, f64>>()
        .unwrap_err();
    assert!(matches!(refused, JobError::Untrusted(_)), "{refused}");
}

#[test]
fn a_job_that_takes_too_much_or_fails_ends_and_says_nothing() {
    let bounds = Bounds {
        memory_bytes: 64 << 20,
        cpu_seconds: 1,
        ..Bounds::default()
    };
    for role in ["memory", "spin", "panic"] {
        let (mut job, _home) = begun(role, bounds);
        let ended = job.hear::<u64>().unwrap_err();
        assert!(matches!(ended, JobError::Ended(_)), "{role}: {ended}");
    }
}

#[test]
fn a_job_that_is_silent_ends_with_its_time_and_one_that_is_dropped_at_once() {
    let bounds = Bounds {
        wall_seconds: 1,
        ..Bounds::default()
    };
    let (mut job, _home) = begun("wait", bounds);
    assert!(matches!(
        job.hear::<u64>().unwrap_err(),
        JobError::TimedOut(1)
    ));
    let (job, _home) = begun("wait", Bounds::default());
    let id = job.id();
    assert!(runs(id));
    drop(job);
    assert!(!runs(id));
    let (mut job, _home) = begun("wait", Bounds::default());
    let ender = job.ender();
    let elsewhere = std::thread::spawn(move || ender.end());
    let ended = job.hear::<u64>().unwrap_err();
    assert!(matches!(ended, JobError::Ended(_)), "{ended}");
    elsewhere.join().unwrap();
}

#[test]
fn a_job_does_not_outlive_its_caller() {
    let mut caller = std::process::Command::new(env!("CARGO_BIN_EXE_instar-walls-probe"))
        .arg("leave-a-job")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut from = caller.stdout.take().unwrap();
    while !said.ends_with('\n') {
        let mut byte = [0];
        from.read_exact(&mut byte).unwrap();
        said.push(char::from(byte[0]));
    }
    let id: u32 = said.trim().parse().unwrap();
    assert!(runs(id));
    caller.kill().unwrap();
    caller.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while runs(id) {
        assert!(Instant::now() < deadline, "it outlives its caller");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process is there, other than one that has ended and waits to be collected.
fn runs(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with('Z')
}
