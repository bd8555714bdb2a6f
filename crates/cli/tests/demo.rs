//! The stories of `instar demo`, told to their end.

use instar_protocol::api::RunFile;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Http, Instar, Setup, until};

/// A story with a scratch folder of its own.
fn story(instar: &Instar, words: &[&str]) -> Command {
    let scratch = scratch(instar);
    std::fs::create_dir(&scratch).unwrap();
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let mut command = instar.command(&[], &words);
    command.env("TMPDIR", scratch);
    command
}

fn scratch(instar: &Instar) -> std::path::PathBuf {
    instar.home().join("scratch")
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// Ends with the test, whatever becomes of it.
struct Story(Child);

impl Drop for Story {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn tells(told: &str, lines: &[&str]) {
    for line in lines {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn the_story_of_improvement_is_told_to_its_end_leaves_the_pages_open_and_nothing_behind() {
    let instar = Instar::prepare(Setup::default());
    let mut command = story(&instar, &["demo", "improve"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Story(command.spawn().unwrap());
    let mut told = String::new();
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        told.push_str(&line.unwrap());
        told.push('\n');
        if told.contains("look around: ") {
            break;
        }
    }
    let parts = [
        "promoted: it is the stable release now",
        "taken back: the evidence that it is worse reached its bound",
        "policy: fail",
        "may not go as far as stable",
        "do not have that hash",
        "release rollback: ",
    ];
    tells(&told, &parts);

    // The story is over, and its pages are there as it left them: for who has the link, and for nobody else.
    let (_, link) = told.split_once("look around: ").unwrap();
    let folders = std::fs::read_dir(scratch(&instar)).unwrap().flatten();
    let mut runs = folders.map(|folder| folder.path().join("gateway.run.json"));
    let run = std::fs::read(runs.find(|run| run.exists()).unwrap()).unwrap();
    let run: RunFile = serde_json::from_slice(&run).unwrap();
    let (_, port) = run.url.trim_end_matches('/').rsplit_once(':').unwrap();
    let http = Http::new(&run.local_secret);
    http.port(port.parse().unwrap());
    let way = link.trim().strip_prefix(&http.url()).unwrap();
    assert_eq!(http.get(way).status, 200);
    let mut enter = running.0.stdin.take().unwrap();
    enter.write_all(b"\n").unwrap();
    let another =
        lines.find_map(|line| Some(line.unwrap().strip_prefix("look around: ")?.to_owned()));
    let another = another.unwrap();
    let way = another.strip_prefix(&http.url()).unwrap();
    assert_eq!(http.get(way).status, 200);
    assert_eq!(http.with_token("nobody's").get("/rollouts").status, 401);
    let page = http.get("/rollouts");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(
        page.body.contains("promoted") && page.body.contains("taken back"),
        "{page:?}"
    );
    assert!(running.0.try_wait().unwrap().is_none(), "it waits");
    assert!(!is_empty(&scratch(&instar)));
    let pid = i32::try_from(running.0.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.unwrap(), Signal::INT).unwrap();
    let ended = until("it ends", || running.0.try_wait().unwrap());
    assert!(ended.success(), "{ended:?}");
    assert!(is_empty(&scratch(&instar)));
    assert!(http.try_get("/rollouts").is_err(), "nobody answers");
}

#[test]
fn a_story_that_is_ended_early_or_finds_its_port_taken_leaves_nothing_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let instar = Instar::prepare(Setup::default());
        let mut command = story(&instar, &["demo", "improve"]);
        let mut running = Story(command.stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with("1. ")));
        assert!(!is_empty(&scratch(&instar)));
        let pid = i32::try_from(running.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
        let ended = until("it ends", || running.0.try_wait().unwrap());
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        assert!(is_empty(&scratch(&instar)));
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let instar = Instar::prepare(Setup::default());
    let told = story(&instar, &["demo", "improve", "--port", &port]).output();
    let told = told.unwrap();
    let why = String::from_utf8_lossy(&told.stderr);
    assert!(
        !told.status.success() && why.contains("cannot listen"),
        "{why}"
    );
    assert!(is_empty(&scratch(&instar)));
}

#[test]
fn the_story_of_healing_tells_a_fix_that_works_from_one_that_harms_and_from_luck() {
    let instar = Instar::prepare(Setup::default());
    let told = story(&instar, &["demo", "heal", "--no-stay"]).output();
    let told = told.unwrap();
    assert!(told.status.success(), "{told:?}");
    assert!(is_empty(&scratch(&instar)));
    let told = String::from_utf8(told.stdout).unwrap();
    let lines = [
        "by lab: reshape-argument",
        "by lab: drop-unknown-argument",
        "read: proven. with the fix 0 bad of",
        "at 20 a fix is proven or does harm",
        "grep: taken back, ",
        "is without it, and 2 are in service",
        "glob: still on trial, nothing proven. with the fix 0 bad of",
        "three clean ones prove, says of it: proven",
    ];
    tells(&told, &lines);
}
