//! A full disk and a read-only one: what was accepted stays, what cannot be is refused with the
//! reason, and work goes on by itself when there is space again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Instar, Setup, is_echo, private_folder, skipped, until};

/// A file system of a few megabytes, gone with this value.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "instar-test"])
            .arg(folder.path())
            .output();
        let why = match done {
            Ok(output) if output.status.success() => return Some(Self { folder }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        skipped(&format!("no small file system can be mounted: {why}"));
        None
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Takes all the space there is.
    fn fill(&self) {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.ballast())
            .unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn remount(&self, mode: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{mode}")])
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}

fn setup(disk: &SmallDisk) -> Setup {
    private_folder(&disk.state());
    Setup {
        state: Some(disk.state()),
        ..Setup::default().config(json!({ "messages": { "queue": { "mode": "followup" } } }))
    }
}

#[test]
fn a_full_disk_refuses_clearly_and_loses_nothing_and_recovers_by_itself() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mut instar = Instar::start(setup(&disk));
    instar.chat("before");
    disk.fill();

    let (mut accepted, refused) = send_until_refused(&instar, &disk);
    assert!(matches!(refused.0, 503 | 507), "{refused:?}");
    let error = &refused.1["error"];
    assert!(
        error["message"].as_str().unwrap().contains("full"),
        "{refused:?}"
    );
    assert!(
        error["nextStep"].as_str().unwrap().contains("space"),
        "{refused:?}"
    );
    assert_ne!(error["type"], "internal", "{refused:?}");

    // Everybody who looks is told, and reading works.
    assert_eq!(instar.http.get("/ready").status, 503);
    assert_eq!(instar.http.get("/health").status, 200);
    let status = instar.run(["status", "--json"]).json();
    assert_eq!(status["store"]["ok"], false, "{status:#}");
    assert!(
        status["store"]["problem"]
            .as_str()
            .unwrap()
            .contains("full"),
        "{status:#}"
    );
    assert!(status["store"]["nextStep"].is_string(), "{status:#}");
    assert_ne!(instar.run(["doctor"]).code, 0);
    assert_ne!(instar.run(["health"]).code, 0);
    assert!(is_echo(
        &instar.entries("main")[1]["body"]["text"],
        "before"
    ));
    let openai = json!({ "model": "instar", "messages": [{ "role": "user", "content": "hi" }] });
    let openai = instar.http.post("/v1/chat/completions", &openai);
    assert!(matches!(openai.status, 503 | 507), "{openai:?}");

    // Nobody has to do anything but make room.
    disk.free();
    until("the gateway is ready again", || {
        (instar.http.get("/ready").status == 200).then_some(())
    });
    let status = instar.run(["status", "--json"]).json();
    assert_eq!(status["store"]["ok"], true, "{status:#}");
    instar
        .http
        .post("/api/v1/messages", &message("after"))
        .expect(202);
    accepted.push("after".to_owned());
    check_accepted(&instar, &accepted);
    instar.restart();
    check_accepted(&instar, &accepted);
    let doctor = instar.http.get("/api/v1/doctor").expect(200);
    let store = doctor
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["check"] == "store");
    assert!(store.clone().count() > 0, "{doctor:#}");
    for finding in store {
        assert_eq!(finding["severity"], "fine", "{finding:#}");
    }
}

fn message(text: &str) -> Value {
    json!({ "session": "agent:main:full", "text": text })
}

/// Sends messages until one is refused; what was accepted, and the refusal.
fn send_until_refused(instar: &Instar, disk: &SmallDisk) -> (Vec<String>, (u16, Value)) {
    let mut accepted = Vec::new();
    for number in 0..2_000 {
        let text = format!("message {number} {}", "x".repeat(2_000));
        let answer = instar.http.post("/api/v1/messages", &message(&text));
        if answer.status != 202 {
            return (accepted, (answer.status, answer.json()));
        }
        accepted.push(text);
        // Freed meanwhile by a log that was used again from its start.
        disk.fill();
    }
    panic!("the disk never filled");
}

/// Each accepted message is there once, and answered once.
fn check_accepted(instar: &Instar, accepted: &[String]) {
    let entries = until("everything accepted is answered", || {
        let entries = instar.entries("agent:main:full");
        let done = accepted.iter().all(|text| {
            entries
                .iter()
                .any(|entry| is_echo(&entry["body"]["text"], text))
        });
        done.then_some(entries)
    });
    for text in accepted {
        let user = entries
            .iter()
            .filter(|entry| entry["body"]["parts"][0]["text"] == **text);
        assert_eq!(user.count(), 1, "{text}");
        let answers = entries
            .iter()
            .filter(|entry| is_echo(&entry["body"]["text"], text));
        assert_eq!(answers.count(), 1, "{text}");
    }
}

#[test]
fn a_gateway_starts_on_a_full_disk_or_says_why_not() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mut instar = Instar::start(setup(&disk));
    instar.chat("before");
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    disk.fill();
    let started = instar.launch_until("/health");
    if let Err(stopped) = &started {
        assert_eq!(stopped.code, Some(1), "{stopped:?}");
        assert!(says_full(&stopped.stderr), "{stopped:?}");
    }
    disk.free();
    match started {
        Ok(()) => until("the gateway is ready", || {
            (instar.http.get("/ready").status == 200).then_some(())
        }),
        Err(_) => instar.launch(),
    }
    instar.chat("after");
    assert_eq!(instar.entries("main").len(), 4);
}

fn says_full(text: &str) -> bool {
    ["full", "No space left", "space"]
        .iter()
        .any(|word| text.contains(word))
}

#[test]
fn a_read_only_state_folder_is_named_and_left_alone() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mut instar = Instar::start(setup(&disk));
    instar.chat("before");
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let names = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = names(&disk.state());
    disk.remount("ro");
    let stopped = instar.try_launch().unwrap_err();
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    let state = disk.state().display().to_string();
    assert!(stopped.stderr.contains(&state), "{stopped:?}");
    let said = stopped.stderr.to_lowercase();
    assert!(said.contains("read-only"), "{stopped:?}");
    assert_eq!(names(&disk.state()), before);
    disk.remount("rw");
    instar.launch();
    instar.chat("after");
    assert_eq!(instar.entries("main").len(), 4);
}
