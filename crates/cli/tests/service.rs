//! The gateway as a service and as a process: installed, started, stopped, mended.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use instar_demo::{Answer as Said, Script, Step};
use serde_json::json;

use crate::support::systemd::beside_systemd;
use crate::support::{Instar, Setup, until, write_private};

/// Puts a program of this name first on the path of an installation.
fn with_program(name: &str, script: &str) -> (tempfile::TempDir, Setup) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let inherited = std::env::var("PATH").unwrap();
    let all = format!("{}:{inherited}", folder.path().display());
    let setup = Setup::default().env("PATH", &all);
    (folder, setup)
}

fn unit_file(instar: &Instar) -> PathBuf {
    instar.home().join(".config/systemd/user/instar.service")
}

#[test]
fn without_a_service_manager_the_unit_is_printed_with_what_to_do() {
    let (_programs, setup) = with_program(
        "systemctl",
        "echo 'Failed to connect to bus: No medium found' >&2; exit 1",
    );
    let instar = Instar::prepare(setup);
    let refused = instar.run(["gateway", "install"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("No medium found"), "{refused:?}");
    assert!(refused.stderr.contains("enable-linger"), "{refused:?}");
    assert!(refused.stdout.contains("\nExecStart="), "{refused:?}");
    assert!(!unit_file(&instar).exists());
}

#[test]
fn a_service_is_written_enabled_started_and_removed() {
    let (programs, setup) = with_program("systemctl", r#"echo "$*" >> "$0.log"; exit 0"#);
    let demo = json!({ "agents": { "defaults": { "model": { "primary": "groq/any" } } } });
    let setup = setup
        .config(demo)
        .env("GROQ_API_KEY", "gsk-only-in-this-terminal");
    let instar = Instar::prepare(setup);
    let installed = instar.run(["gateway", "install"]);
    assert_eq!(installed.code, 0, "{installed:?}");
    let hint = "GROQ_API_KEY is set in this terminal and the service does not see it";
    assert!(installed.stderr.contains(hint), "{installed:?}");
    let asked = std::fs::read_to_string(programs.path().join("systemctl.log")).unwrap();
    let verbs = [
        "daemon-reload",
        "enable --quiet instar.service",
        "restart instar.service",
    ];
    let places: Vec<usize> = verbs
        .iter()
        .map(|verb| {
            asked
                .find(verb)
                .unwrap_or_else(|| panic!("{verb}: {asked}"))
        })
        .collect();
    assert!(places.is_sorted(), "{asked}");
    let unit = std::fs::read_to_string(unit_file(&instar)).unwrap();
    let state = format!(
        "Environment=\"INSTAR_STATE_DIR={}\"",
        instar.state.display()
    );
    assert!(unit.contains(&state), "{unit}");
    for wanted in ["NoNewPrivileges=yes", "UMask=0077", "Restart=on-failure"] {
        assert!(unit.contains(wanted), "{unit}");
    }
    // The walls around tools are made of these.
    for forbidden in [
        "RestrictNamespaces=",
        "MemoryDenyWriteExecute=",
        "@mount",
        "Protect",
        "Private",
    ] {
        assert!(!unit.contains(forbidden), "{forbidden}: {unit}");
    }
    assert!(!unit.contains("gsk-only"), "{unit}");
    verify(&unit_file(&instar));
    // What its owner wrote is not overwritten.
    write_private(&unit_file(&instar), "[Service]\nExecStart=/mine\n");
    let refused = instar.run(["gateway", "install"]);
    assert!(
        refused.code == 1 && refused.stderr.contains("--force"),
        "{refused:?}"
    );
    let forced = instar.run(["gateway", "install", "--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    let removed = instar.run(["gateway", "uninstall"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert!(!unit_file(&instar).exists());
    assert!(instar.state.join("instar.json").exists());
}

/// Has systemd's own checker read the unit, where there is one.
#[track_caller]
fn verify(unit: &Path) {
    let runtime = tempfile::tempdir().unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--user", "--man=no"])
        .arg(unit)
        .env("XDG_RUNTIME_DIR", runtime.path())
        .output();
    let Ok(output) = output else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn profiles_have_services_of_their_own() {
    let instar = Instar::prepare(Setup::default().env("INSTAR_STATE_DIR", ""));
    let printed = instar.run([
        "--profile",
        "work",
        "gateway",
        "install",
        "--print",
        "--json",
    ]);
    let plan = printed.json();
    let (file, text) = (
        plan["file"].as_str().unwrap(),
        plan["text"].as_str().unwrap(),
    );
    let name = if cfg!(target_os = "macos") {
        ".plist"
    } else {
        "/instar-work.service"
    };
    assert!(file.ends_with(name), "{plan}");
    assert!(
        text.contains("\"--profile\" \"work\" \"gateway\" \"run\""),
        "{text}"
    );
}

#[test]
fn under_a_real_systemd_it_starts_restarts_and_stops() {
    const SCRIPT: &str = r#"
property() { systemctl --user show instar -p "$1" --value; }
"$INSTAR" gateway install
echo "first $(property MainPID) $(property ActiveState)"
"$INSTAR" health
"$INSTAR" gateway restart
echo "second $(property MainPID) $(property ActiveState)"
"$INSTAR" gateway stop
echo "stopped $(property MainPID) $(property ActiveState) $(property Result)"
"$INSTAR" gateway start
"$INSTAR" gateway uninstall
"$INSTAR" onboard --non-interactive --accept-risk --install-daemon
echo "set-up $(property MainPID) $(property ActiveState)"
"$INSTAR" gateway uninstall
"$INSTAR" gateway status || echo "status $?"
"#;
    let port = json!({ "gateway": { "port": crate::support::free_port() } });
    let instar = Instar::prepare(Setup::default().config(port));
    let Some((said, errors)) = beside_systemd(&instar, SCRIPT) else {
        return;
    };
    let pid = |word: &str| {
        let line = said.lines().find(|line| line.starts_with(word));
        let line = line.unwrap_or_else(|| panic!("{word}: {said}{errors}"));
        let words: Vec<&str> = line.split(' ').collect();
        (words[1].parse::<u32>().unwrap(), words[2..].join(" "))
    };
    let (first, second, stopped) = (pid("first"), pid("second"), pid("stopped"));
    assert!(first.0 > 0 && second.0 > 0 && first.0 != second.0, "{said}");
    assert_eq!((first.1.as_str(), second.1.as_str()), ("active", "active"));
    assert_eq!(stopped, (0, "inactive success".to_owned()));
    assert!(said.contains("live and ready"), "{said}");
    assert_eq!(pid("set-up").1, "active", "{said}");
    assert!(said.contains("status 4"), "{said}{errors}");
    assert!(!unit_file(&instar).exists());
}

#[test]
fn stop_waits_for_the_turn_under_way_and_restart_brings_it_back() {
    let slow = Said::of([Step::Pause(700), Step::Text("done at last".to_owned())]);
    let mut instar = Instar::start(Setup::scripted(Script {
        otherwise: slow,
        ..Script::default()
    }));
    let sent = json!({ "session": "main", "text": "take your time" });
    instar.http.post("/api/v1/messages", &sent).expect(202);
    let (first, port) = (instar.pid(), instar.url());
    let restarted = instar.run(["gateway", "restart", "--json"]).json();
    let stopped = instar.wait();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert_ne!(restarted["pid"], json!(first), "{restarted}");
    assert_eq!(restarted["url"], json!(port));
    let transcript = instar.run(["sessions", "show", "main"]);
    assert!(transcript.stdout.contains("done at last"), "{transcript:?}");
    let stopped = instar.run(["gateway", "stop", "--json"]).json();
    assert_eq!(stopped["stopped"], restarted["pid"]);
    assert_eq!(instar.run(["gateway", "status"]).code, 4);
    // Stopping what does not run is done already.
    assert_eq!(instar.run(["gateway", "stop"]).code, 0);
}

#[test]
fn the_doctor_mends_what_it_finds_once_that_is_agreed_to() {
    let (_programs, setup) = with_program("systemctl", "exit 0");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = json!({ "gateway": { "port": port } });
    let mut instar = Instar::start(setup.config(config));
    let _stopped = instar.kill9();
    let open = instar.state.join("instar.json");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let left = instar.state.join(".instar.json.0123456789abcdef.tmp");
    write_private(&left, "half");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    std::fs::File::options()
        .write(true)
        .open(&left)
        .and_then(|file| file.set_modified(old))
        .unwrap();
    std::fs::create_dir_all(unit_file(&instar).parent().unwrap()).unwrap();
    let installed = instar
        .run(["gateway", "install", "--print", "--json"])
        .json();
    let unit = installed["text"]
        .as_str()
        .unwrap()
        .replace("Restart=on-failure", "Restart=no");
    write_private(&unit_file(&instar), &unit);

    // Nobody is there to agree: nothing changes.
    let asked = instar.run(["doctor", "--fix"]);
    assert_eq!(asked.code, 1, "{asked:?}");
    let holder = format!("{port} is taken by ");
    assert!(asked.stdout.contains(&holder), "{asked:?}");
    assert!(
        asked
            .stdout
            .contains(&format!("(pid {})", std::process::id())),
        "{asked:?}"
    );
    assert_eq!(open.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert!(left.exists() && instar.state.join("gateway.run.json").exists());

    let mended = instar.run(["doctor", "--fix", "--yes", "--json"]).json();
    let done = |check: &str| {
        let rows = mended.as_array().unwrap();
        let fix = rows
            .iter()
            .find(|row| row["check"] == check && row["fix"].is_object());
        let fix = fix.unwrap_or_else(|| panic!("{check}: {mended:#}"));
        assert_eq!(fix["fix"]["done"], json!(true), "{fix}");
    };
    for check in ["modes", "run-file", "left-overs", "port", "service"] {
        done(check);
    }
    assert_eq!(open.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!left.exists() && !instar.state.join("gateway.run.json").exists());
    let unit = std::fs::read_to_string(unit_file(&instar)).unwrap();
    assert!(unit.contains("Restart=on-failure"), "{unit}");
    let now = instar
        .run(["config", "get", "gateway.port", "--json"])
        .json();
    assert_ne!(now, json!(port));
    until("the mended installation starts", || {
        instar.try_launch().is_ok().then_some(())
    });
}
