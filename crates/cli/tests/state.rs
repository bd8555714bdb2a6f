//! The state folder and the configuration as the process treats them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use instar_demo::{Answer as Said, Script, Step};
use serde_json::json;

use crate::support::{Instar, Setup, private_folder, until, write_private};

#[test]
fn everything_in_the_state_folder_is_private_whatever_the_mask_says() {
    let under = ["sh", "-c", r#"umask 000; exec "$@""#, "sh"];
    let mut instar = Instar::start(Setup::default().under(under));
    use_everything(&instar);
    instar.restart();
    let stopped = instar.kill9();
    assert_eq!(stopped.signal, Some(9));
    // A start that finds a run file and a log of the store.
    instar.launch();
    assert_private(&instar.state);
    let _stopped = instar.terminate();
    assert_private(&instar.state);
}

/// One of everything that leaves files.
fn use_everything(instar: &Instar) {
    let _outcome = instar.ask("main", "hello");
    let picture = json!({
        "text": "look", "attachments": [{ "name": "a.txt", "mime": "text/plain", "data": "aGVsbG8=" }],
    });
    instar.http.post("/api/v1/messages", &picture).expect(202);
    let secret = instar.run_with(&["secrets", "set", "openai"], "sk-value\n");
    assert_eq!(secret.code, 0, "{secret:?}");
    for size in ["20", "21"] {
        let set = instar.run(["config", "set", "messages.queue.cap", size]);
        assert_eq!(set.code, 0, "{set:?}");
    }
    let link = instar.http.post("/api/v1/sign-in-codes", &json!({}));
    assert_eq!(link.status, 200, "{link:?}");
    let rotated = instar.run(["token", "rotate"]);
    assert_eq!(rotated.code, 0, "{rotated:?}");
    until("the attached file is stored", || {
        (instar.entries("main").len() == 4).then_some(())
    });
}

#[track_caller]
fn assert_private(folder: &Path) {
    let files = walk(folder);
    assert!(files.len() > 8, "{files:?}");
    for path in files {
        let meta = path.symlink_metadata().unwrap();
        let mode = meta.permissions().mode() & 0o7777;
        let expected = if meta.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{} is {mode:o}", path.display());
    }
}

/// Every file and folder, the top one included.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    let mut at = 0;
    while let Some(path) = all.get(at).cloned() {
        at += 1;
        if path.is_dir() {
            all.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    all
}

#[test]
fn a_second_gateway_on_the_same_state_is_refused_with_the_pid_of_the_first() {
    let instar = Instar::start(Setup::default());
    let second = instar.run(["gateway", "run", "--port", "1"]);
    assert_eq!(second.code, 7, "{second:?}");
    assert!(
        second.stderr.contains(&format!("pid {}", instar.pid())),
        "{second:?}"
    );
    assert_eq!(second.stdout, "", "{second:?}");
    // The first does not notice.
    instar.chat("hello");
}

/// A port that somebody else listens on, for as long as the listener lives.
fn taken_port() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

#[test]
fn a_taken_port_leaves_no_token_behind_that_nobody_saw() {
    let mut instar = Instar::prepare(Setup::default().env("INSTAR_GATEWAY_TOKEN", ""));
    let (_taken, port) = taken_port();
    let refused = instar.run(["gateway", "run", "--port", &port]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("--port"), "{refused:?}");
    assert!(!instar.state.join("token.sha256").exists());
    instar.launch();
    let token = until("the token is shown", || {
        let printed = instar.printed();
        let (_, rest) = printed.split_once("API token, shown this once: ")?;
        let (token, _) = rest.split_once('\n')?;
        Some(token.trim().to_owned())
    });
    let as_owner = instar.http.with_token(&token);
    as_owner.get("/api/v1/status").expect(200);
}

#[test]
fn a_taken_port_takes_up_nothing_of_the_last_run() {
    let slow = Said::of([Step::Pause(60_000), Step::Text("late".to_owned())]);
    let mut instar = Instar::start(Setup::scripted(Script {
        otherwise: slow,
        ..Script::default()
    }));
    let body = json!({ "session": "main", "text": "hello" });
    instar.http.post("/api/v1/messages", &body).expect(202);
    until("the turn is under way", || {
        (instar.model.requests().len() == 1).then_some(())
    });
    let _stopped = instar.kill9();
    let (_taken, port) = taken_port();
    let refused = instar.run(["gateway", "run", "--port", &port]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(instar.model.requests().len(), 1);
}

#[test]
fn a_state_folder_of_a_newer_version_is_left_as_it_is() {
    let mut instar = Instar::start(Setup::default());
    let _outcome = instar.ask("main", "hello");
    let _stopped = instar.terminate();
    write_private(&instar.state.join("format"), "999\n");
    let before = contents(&instar.state);
    let stopped = instar.try_launch().unwrap_err();
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.stderr.contains("newer"), "{stopped:?}");
    assert!(stopped.stderr.contains("999"), "{stopped:?}");
    assert_eq!(contents(&instar.state), before);
}

/// Names, modes, times and bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (u32, std::time::SystemTime, Vec<u8>)> {
    walk(folder)
        .into_iter()
        .map(|path| {
            let meta = path.symlink_metadata().unwrap();
            let bytes = if meta.is_file() {
                std::fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            (
                path,
                (meta.permissions().mode(), meta.modified().unwrap(), bytes),
            )
        })
        .collect()
}

#[test]
fn a_start_with_a_wrong_configuration_names_every_problem_and_its_place() {
    let text = "// mine\n{\n  gateway: { prot: 18789 },\n  messages: {\n    queue: { cap: \"many\" },\n  },\n}\n";
    let mut instar = Instar::prepare(Setup {
        config_text: Some(text.to_owned()),
        ..Setup::default()
    });
    let stopped = instar.try_launch().unwrap_err();
    assert_eq!(stopped.code, Some(3), "{stopped:?}");
    assert_eq!(stopped.stdout, "");
    let file = instar.state.join("instar.json");
    for (place, words) in [
        ("3:14", ["prot", "port"]),
        ("5:19", ["messages.queue.cap", "many"]),
    ] {
        let place = format!("{}:{place}", file.display());
        assert!(
            stopped.stderr.contains(&place),
            "{place} in {}",
            stopped.stderr
        );
        for word in words {
            assert!(
                stopped.stderr.contains(word),
                "{word} in {}",
                stopped.stderr
            );
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn what_types_cannot_refuse_has_a_place_too() {
    let text = "{\n  gateway: {\n    bind: \"lan\",\n  },\n}\n";
    let mut instar = Instar::prepare(Setup {
        config_text: Some(text.to_owned()),
        ..Setup::default()
    });
    let stopped = instar.try_launch().unwrap_err();
    assert_eq!(stopped.code, Some(3), "{stopped:?}");
    let place = format!("{}:3:", instar.state.join("instar.json").display());
    assert!(
        stopped.stderr.contains(&place),
        "{place} in {}",
        stopped.stderr
    );
    let checked = instar.run(["config", "validate"]);
    assert_eq!(checked.code, 3, "{checked:?}");
    assert!(checked.stderr.contains(&place), "{checked:?}");
    assert!(
        stopped.stderr.contains("gateway.bind"),
        "{}",
        stopped.stderr
    );
}

#[test]
fn listening_beyond_this_machine_is_not_even_written_down() {
    let instar = Instar::start(Setup::default());
    let file = instar.state.join("instar.json");
    let before = std::fs::read_to_string(&file).unwrap();
    for bind in ["lan", "custom"] {
        let refused = instar.run(["config", "set", "gateway.bind", bind]);
        assert_eq!(refused.code, 3, "{refused:?}");
        for word in ["gateway.bind", "TLS", "trusted-proxy"] {
            assert!(refused.stderr.contains(word), "{word}: {refused:?}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    }
    // An edit by hand is as little in force: the socket stays where it is.
    let open = before.replacen('{', "{ \"gateway\": { \"bind\": \"lan\" },", 1);
    write_private(&file, &open);
    until("the edit is refused", || {
        let config = instar.run(["status", "--json"]).json()["config"].clone();
        let problem = config["problem"].as_str()?;
        problem.contains("gateway.bind").then_some(())
    });
    instar.chat("still there?");
}

#[test]
fn a_bad_edit_while_running_keeps_the_last_good_configuration_and_says_so() {
    let instar = Instar::start(Setup::default());
    let file = instar.state.join("instar.json");
    let good = std::fs::read_to_string(&file).unwrap();
    write_private(&file, &good.replacen('{', "{ \"gatewya\": {},", 1));
    let health = || instar.run(["status", "--json"]).json()["config"].clone();
    let problem = until("the bad edit is noticed", || {
        let health = health();
        (health["ok"] == false).then_some(health)
    });
    assert!(
        problem["problem"].as_str().unwrap().contains("gatewya"),
        "{problem:#}"
    );
    assert!(problem["nextStep"].is_string(), "{problem:#}");
    instar.chat("still there?");
    let log = std::fs::read_to_string(instar.state.join("logs/instar.log")).unwrap();
    assert!(log.contains("gatewya"), "{log}");

    write_private(&file, &good);
    until("the mended file is taken", || {
        (health()["ok"] == true).then_some(())
    });
    instar.chat("and now?");
}

#[test]
fn a_good_edit_while_running_is_taken_with_the_next_turn() {
    let instar = Instar::start(Setup::default());
    assert_eq!(instar.ask("main", "hello")["model"], "scripted/x");
    let file = instar.state.join("instar.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let other = good
        .replace("scripted/x", "scripted/y")
        .replace("\"id\": \"x\"", "\"id\": \"y\"");
    assert_ne!(good, other);
    write_private(&file, &other);
    until("the edit is in force", || {
        let status = instar.run(["status", "--json"]).json();
        (status["model"] == "scripted/y").then_some(())
    });
    assert_eq!(instar.ask("main", "hello")["model"], "scripted/y");
}

#[test]
fn a_turn_under_way_is_finished_before_the_gateway_stops() {
    let slow = Said::of([
        Step::Text("slowly ".to_owned()),
        Step::Pause(1_500),
        Step::Text("done".to_owned()),
    ]);
    let mut instar = Instar::start(Setup::scripted(Script {
        otherwise: slow,
        ..Script::default()
    }));
    let run_file = instar.state.join("gateway.run.json");
    assert!(run_file.exists());
    let body = json!({ "session": "main", "text": "hello" });
    instar.http.post("/api/v1/messages", &body).expect(202);
    until("the turn is under way", || {
        (!instar.model.requests().is_empty()).then_some(())
    });
    instar.ask_to_stop();
    let stopped = instar.wait();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(!run_file.exists());
    assert_eq!(instar.run(["status"]).code, 4);
    instar.launch();
    let entries = instar.entries("main");
    assert_eq!(entries.len(), 2, "{entries:#?}");
    assert_eq!(entries[1]["body"]["text"], "slowly done");
    assert_eq!(instar.model.requests().len(), 1);
}

#[test]
fn a_turn_that_outlasts_the_grace_period_is_cut_and_answered_after_the_next_start() {
    let slow = Said::of([Step::Pause(60_000), Step::Text("too late".to_owned())]);
    let script = Script::saying("in time").rule_times(1, instar_demo::When::default(), slow);
    let config = json!({ "gateway": { "shutdownGraceSeconds": 1 } });
    let mut instar = Instar::start(Setup::scripted(script).config(config));
    let body = json!({ "session": "main", "text": "hello" });
    instar.http.post("/api/v1/messages", &body).expect(202);
    until("the turn is under way", || {
        (!instar.model.requests().is_empty()).then_some(())
    });
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    instar.launch();
    until("the message is answered", || {
        let entries = instar.entries("main");
        (entries.last()?["body"]["text"] == "in time").then_some(())
    });
    assert_eq!(instar.entries("main").len(), 2);
    let spent = &instar.run(["usage", "--json"]).json()["rows"][0];
    assert_eq!(
        spent["calls"], 2,
        "the call that was cut is paid, too: {spent}"
    );
}

#[test]
fn a_state_folder_that_is_missing_is_made() {
    let mut instar = Instar::prepare(Setup::default());
    std::fs::remove_dir_all(&instar.state).unwrap();
    instar.launch();
    let status = instar.run(["status", "--json"]).json();
    assert_eq!(status["model"], "demo/guide");
    assert_private(&instar.state);
}

#[test]
fn a_state_folder_that_was_open_to_others_is_closed() {
    let mut instar = Instar::prepare(Setup::default());
    private_folder(&instar.state);
    let open = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&instar.state, open(0o755)).unwrap();
    std::fs::set_permissions(instar.state.join("instar.json"), open(0o644)).unwrap();
    instar.launch();
    assert_private(&instar.state);
}
