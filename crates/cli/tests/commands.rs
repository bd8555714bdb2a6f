//! Commands through the built binary: what they print, where, and what they change.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use instar_demo::{Answer, Rule, Script, Step, When};
use serde_json::{Value, json};

use crate::endings::assert_refused;
use crate::support::{Instar, Output, Setup, until};

/// A configuration that a person wrote.
const WRITTEN: &str = r#"// My gateway.
{
  // How I am reached.
  gateway: {
    port: 18801, // not the usual one
  },
  /* who answers */
  agents: { defaults: { model: { primary: "demo/guide" } } },
}
"#;

pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

pub(crate) fn written() -> Instar {
    Instar::prepare(Setup {
        config_text: Some(WRITTEN.to_owned()),
        ..Setup::default()
    })
}

/// A conversation, a release after an edit, and something in the log.
pub(crate) fn lived_in() -> Instar {
    let instar = Instar::start(Setup::default());
    let _outcome = instar.ask("main", "hello");
    edit_soul(&instar);
    instar
}

/// An owner's edit of how the agent is; waits until it is a release.
fn edit_soul(instar: &Instar) {
    let soul = instar.state.join("workspace/SOUL.md");
    append(&soul, "\nYou like short sentences.\n");
    until("the edit is a release", || {
        let log = instar.run(["release", "log", "--json"]).json();
        (log.as_array().unwrap().len() >= 2).then_some(())
    });
}

fn append(file: &Path, text: &str) {
    let mut whole = std::fs::read_to_string(file).unwrap();
    whole.push_str(text);
    std::fs::write(file, whole).unwrap();
}

#[test]
fn config_set_and_unset_keep_comments_and_leave_backup_and_journal() {
    let instar = written();
    let file = instar.state.join("instar.json");
    let set = instar.run(["config", "set", "gateway.port", "18802"]);
    assert_eq!(set.code, 0, "{set:?}");
    assert!(set.stdout.contains("gateway.port changed"), "{set:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, WRITTEN.replace("18801", "18802"));
    assert_eq!(
        instar.run(["config", "get", "gateway.port"]).stdout,
        "18802\n"
    );

    let added = instar.run(["config", "set", "messages.queue.mode", "collect"]);
    assert_eq!(added.code, 0, "{added:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    for comment in [
        "// My gateway.",
        "// How I am reached.",
        "// not the usual one",
        "/* who answers */",
    ] {
        assert!(text.contains(comment), "{comment} is gone: {text}");
    }
    let unset = instar
        .run(["config", "unset", "gateway.port", "--json"])
        .json();
    assert_eq!(unset["changed"], json!(["gateway.port"]));
    assert_eq!(unset["needsRestart"], json!(["gateway.port"]));
    assert_eq!(
        instar.run(["config", "get", "gateway.port"]).stdout,
        "18789\n"
    );
    assert_eq!(
        instar.run(["config", "get", "messages.queue.mode"]).stdout,
        "collect\n"
    );

    let refused = instar.run(["config", "set", "gateway.port", "70000"]);
    assert_refused(&refused, 3);
    assert!(refused.stderr.contains("65535"), "{refused:?}");

    let first = std::fs::read_to_string(instar.state.join("instar.json.bak.3")).unwrap();
    assert_eq!(
        first, WRITTEN,
        "the oldest backup is what was there at first"
    );
    let journal = std::fs::read_to_string(instar.state.join("config-journal.jsonl")).unwrap();
    let changes: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["changed"].clone())
        .collect();
    for change in [json!(["gateway.port"]), json!(["messages.queue.mode"])] {
        assert!(changes.contains(&change), "{journal}");
    }
    assert!(!journal.contains("18802"), "values never enter the journal");
}

#[test]
fn config_file_and_schema_tell_where_and_what() {
    let instar = written();
    let file = instar.run(["config", "file"]).stdout;
    assert_eq!(
        file.trim(),
        instar.state.join("instar.json").to_str().unwrap()
    );
    let valid = instar.run(["config", "validate"]);
    assert_eq!(valid.code, 0, "{valid:?}");
    let schema = instar.run(["config", "schema"]).json();
    assert!(schema["properties"]["gateway"].is_object(), "{schema}");

    let args = ["config", "file", "--profile", "work"].map(str::to_owned);
    let mut command = instar.command(&[], &args);
    let output = command.env_remove("INSTAR_STATE_DIR").output().unwrap();
    let file = String::from_utf8(output.stdout).unwrap();
    assert!(file.trim().ends_with(".instar-work/instar.json"), "{file}");
}

#[test]
fn agent_prints_the_answer_while_it_comes_and_can_be_stopped() {
    let script = Script {
        rules: vec![Rule {
            when: When {
                contains: vec!["begin".to_owned()],
                ..When::default()
            },
            times: None,
            answer: Answer::of([
                Step::Text("The beginning.".to_owned()),
                Step::Pause(600_000),
                Step::Text("The end.".to_owned()),
            ]),
        }],
        otherwise: Answer::text("Something else."),
        ..Script::default()
    };
    let instar = Instar::start(Setup::scripted(script));
    let mut child = instar.begin(["agent", "--message", "begin"]);
    let mut beginning = [0; 14];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut beginning)
        .unwrap();
    assert_eq!(&beginning, b"The beginning.");

    // The answer has a pause of ten minutes before its end: only the stop can end the command.
    let stopped = instar.run(["agent", "--message", "/stop"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("stopped"), "{complaint}");

    let next = instar.run_with(&["agent", "--message", "-"], "from standard input");
    assert_eq!(
        (next.code, next.stdout.as_str()),
        (0, "Something else.\n"),
        "{next:?}"
    );
}

#[test]
fn agent_says_what_went_wrong_and_what_to_do() {
    let script = Script {
        key: Some("sk-right".to_owned()),
        ..Script::default()
    };
    let instar = Instar::start(Setup::scripted(script));
    let output = instar.run(["agent", "--message", "hello"]);
    assert_refused(&output, 1);
    assert!(output.stderr.to_lowercase().contains("key"), "{output:?}");
    let unknown = instar.run(["agent", "--message", "hello", "--model", "nobody/x"]);
    assert_refused(&unknown, 2);
    assert!(unknown.stderr.contains("instar models list"), "{unknown:?}");
}

#[test]
fn sessions_are_listed_shown_exported_deleted_and_restored() {
    let instar = Instar::start(Setup::default());
    for (session, text) in [
        ("main", "about the garden"),
        ("agent:main:trip", "train to Lisbon"),
    ] {
        let _outcome = instar.ask(session, text);
    }
    let list = instar.run(["sessions", "list"]).stdout;
    assert!(
        list.contains("about the garden") && list.contains("agent:main:trip"),
        "{list}"
    );
    let found = instar
        .run(["sessions", "list", "--search", "lisbon", "--json"])
        .json();
    let [row] = found["sessions"].as_array().unwrap().as_slice() else {
        panic!("one session was expected: {found}");
    };
    let id = row["id"].as_str().unwrap().to_owned();

    let shown = instar.run(["sessions", "show", "agent:main:trip"]).stdout;
    assert!(shown.contains("you train to Lisbon"), "{shown}");
    assert!(shown.contains("agent You said: "), "{shown}");
    let export = instar.run(["sessions", "export", &id]).stdout;
    let lines: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["type"], "session");
    assert_eq!(lines[0]["key"], "agent:main:trip");
    assert_eq!(lines.len(), 3, "{export}");

    let deleted = instar.run(["sessions", "delete", "agent:main:trip"]);
    assert_eq!(deleted.code, 0, "{deleted:?}");
    assert!(!instar.run(["sessions", "list"]).stdout.contains("Lisbon"));
    assert!(
        instar
            .run(["sessions", "list", "--deleted"])
            .stdout
            .contains("Lisbon")
    );
    let restored = instar.run(["sessions", "restore", &id, "--json"]).json();
    assert_eq!(restored["changed"], true);
    assert!(instar.run(["sessions", "list"]).stdout.contains("Lisbon"));
    assert_eq!(instar.entries("agent:main:trip").len(), 2);
}

#[test]
fn a_conversation_goes_back_to_an_entry_that_was_shown() {
    let instar = Instar::start(Setup::default());
    for text in ["first", "second"] {
        let _outcome = instar.ask("main", text);
    }
    let plain = instar.run(["sessions", "show", "main"]).stdout;
    assert!(!plain.contains("ent_"), "{plain}");
    let shown = instar.run(["sessions", "show", "main", "--ids"]).stdout;
    let ids: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("ent_"))
        .collect();
    assert_eq!(ids.len(), 4, "{shown}");
    let back = instar.run(["sessions", "rewind", "main", ids[1]]);
    assert_eq!(back.code, 0, "{back:?}");
    let shown = instar.run(["sessions", "show", "main"]).stdout;
    assert!(
        shown.contains("you first") && !shown.contains("you second"),
        "{shown}"
    );
    let again = instar
        .run(["sessions", "rewind", "main", ids[1], "--json"])
        .json();
    assert_eq!(again, json!({ "ok": true, "changed": false }));
    let forward = instar
        .run(["sessions", "rewind", "main", ids[3], "--json"])
        .json();
    assert_eq!(forward["changed"], true);
    assert_eq!(instar.entries("main").len(), 4);
}

/// Whoever listens on the port of a gateway that was killed is sent nothing, not even a greeting.
#[test]
fn a_run_file_that_was_left_behind_sends_its_secret_to_nobody() {
    let mut instar = lived_in();
    let _stopped = instar.kill9();
    assert!(instar.state.join("gateway.run.json").exists());
    let address = instar.url().replace("http://", "");
    let stranger = std::net::TcpListener::bind(address.as_str()).unwrap();
    stranger.set_nonblocking(true).unwrap();
    for line in [
        "status",
        "health",
        "gateway status",
        "gateway status --json",
        "doctor",
        "models list",
        "sessions list",
        "sessions delete main",
        "logs -n 5",
        "logs --follow",
        "usage",
        "release log",
        "events tail",
        "agent --message hello",
    ] {
        let output = instar.run_with(&words(line), "");
        let met = stranger.accept();
        let met = met.map_err(|error| error.kind());
        assert_eq!(
            met.map(|_| ()),
            Err(std::io::ErrorKind::WouldBlock),
            "{line}: {output:?}"
        );
    }
    assert_refused(&instar.run(["status"]), 4);
    let gone = instar.run(["gateway", "status"]);
    assert!(gone.stderr.contains("is gone"), "{gone:?}");
    assert_eq!(
        instar.run(["gateway", "status", "--json"]).json()["running"],
        false
    );
    drop(stranger);
    instar.launch();
    assert_eq!(instar.run(["status"]).code, 0);
}

#[test]
fn stored_conversations_are_readable_without_a_gateway() {
    let mut instar = lived_in();
    assert_eq!(instar.terminate().code, Some(0));
    let shown = instar.run(["sessions", "show", "main"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("you hello"), "{shown:?}");
    let list = instar.run(["sessions", "list", "--json"]).json();
    assert_eq!(list["sessions"][0]["title"], "hello");
    assert_eq!(
        instar.run(["usage", "--json"]).json()["rows"][0]["calls"],
        1
    );
    assert_eq!(
        instar
            .run(["release", "log", "--json"])
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(!instar.run(["logs", "-n", "5"]).stdout.is_empty());
    assert_refused(&instar.run(["sessions", "export", "main"]), 4);
}

#[test]
fn an_edit_of_soul_md_is_a_release_that_can_be_listed_shown_and_compared() {
    let instar = lived_in();
    let list = instar.run(["release", "list", "--json"]).json();
    let rows = list.as_array().unwrap();
    assert_eq!(rows.len(), 2, "{list}");
    let stable: Vec<&Value> = rows.iter().filter(|row| row["stable"] == true).collect();
    let [stable] = stable.as_slice() else {
        panic!("one release is stable: {list}");
    };
    let shown = instar.run(["release", "show", "--json"]).json();
    assert!(
        shown.to_string().contains(stable["id"].as_str().unwrap()),
        "{shown}"
    );
    assert!(
        shown.to_string().contains("You like short sentences."),
        "{shown}"
    );

    let diff = instar.run(["release", "diff"]).stdout;
    assert!(diff.contains("SOUL.md"), "{diff}");
    assert!(
        diff.lines()
            .any(|line| line == "+You like short sentences."),
        "{diff}"
    );
    let log = instar.run(["release", "log"]).stdout;
    assert_eq!(log.lines().count(), 3, "a head and two moves: {log}");
    assert!(log.contains("stable"), "{log}");

    // The next turn is served by it.
    let _outcome = instar.ask("main", "and now?");
    let sent = instar.model.requests().pop().unwrap().body.to_string();
    assert!(sent.contains("You like short sentences."), "{sent}");
}

#[test]
fn usage_counts_calls_and_tokens_by_day_and_model() {
    let instar = Instar::start(Setup::default());
    for text in ["one", "two"] {
        let _outcome = instar.ask("main", text);
    }
    let report = instar.run(["usage", "--json"]).json();
    let row = &report["rows"][0];
    assert_eq!(
        (&row["model"], &row["calls"]),
        (&json!("scripted/x"), &json!(2)),
        "{report}"
    );
    assert!(row["inputTokens"].as_u64().unwrap() > 0, "{report}");
    let table = instar.run(["usage"]).stdout;
    assert!(
        table.contains("scripted/x") && table.contains("together"),
        "{table}"
    );
    let wrong = instar.run(["usage", "--from", "yesterday"]);
    assert_refused(&wrong, 2);
}

#[test]
fn events_tail_shows_what_was_recorded_and_can_pick_a_kind() {
    let instar = Instar::start(Setup::default());
    let _outcome = instar.ask("main", "hello");
    let all = instar.run(["events", "tail", "-n", "100", "--json"]).stdout;
    let kinds: Vec<Value> = all
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
        .collect();
    for kind in ["gateway", "message_in", "model_call", "turn", "message_out"] {
        assert!(
            kinds.contains(&json!(kind)),
            "{kind} is missing in {kinds:?}"
        );
    }
    let turns = instar
        .run(["events", "tail", "--kind", "turn", "--json"])
        .stdout;
    assert_eq!(turns.lines().count(), 1, "{turns}");
    let turn: Value = serde_json::from_str(turns.trim()).unwrap();
    assert_eq!(turn["arm"], "stable");
    assert!(turn["release"].is_string(), "{turn}");
}

#[test]
fn following_prints_new_events_and_log_lines_as_they_come() {
    let instar = Instar::start(Setup::default());
    let soul = instar.state.join("workspace/SOUL.md");
    for (line, awaited) in [
        (
            "events tail --follow -n 0 --kind turn --json",
            "\"kind\":\"turn\"",
        ),
        ("logs --follow -n 0 --json", "the behaviour changed"),
    ] {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut child = instar
            .command(&[], &args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (printed, lines) = std::sync::mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            use std::io::{BufRead as _, BufReader};
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if printed.send(line).is_err() {
                    return;
                }
            }
        });
        // The watcher may not listen yet when the first ones happen.
        let found = until("the new line is printed", || {
            let _outcome = instar.ask("main", "hello");
            append(&soul, "Be brief.\n");
            lines.try_iter().find(|line| line.contains(awaited))
        });
        assert!(serde_json::from_str::<Value>(&found).is_ok(), "{found}");
        child.kill().unwrap();
        child.wait().unwrap();
        drop(lines);
        reader.join().unwrap();
    }
}

#[test]
fn logs_come_from_the_file_that_the_configuration_names_with_and_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("elsewhere.log");
    let config = json!({ "logging": { "file": file } });
    let mut instar = Instar::start(Setup::default().config(config));
    let shown = instar.run(["logs", "-n", "50"]);
    assert!(shown.stdout.contains("the gateway is ready"), "{shown:?}");
    assert_eq!(instar.terminate().code, Some(0));
    let shown = instar.run(["logs", "-n", "50"]);
    assert!(shown.stdout.contains("the gateway is ready"), "{shown:?}");
}

#[test]
fn models_are_listed_probed_and_chosen() {
    let instar = Instar::start(Setup::default());
    let list = instar.run(["models", "list", "--json"]).json();
    let ours = list
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == "scripted/x");
    assert_eq!(ours.unwrap()["configured"], true, "{list}");
    assert_eq!(
        instar.run(["models", "status"]).stdout,
        "scripted/x answers\n"
    );
    let probed = instar
        .run(["models", "probe", "scripted/x", "--json"])
        .json();
    assert_eq!(probed[0]["ok"], true, "{probed}");

    let set = instar.run(["models", "set", "demo/guide", "--fallback", "scripted/x"]);
    assert_eq!(set.code, 0, "{set:?}");
    until("the other model answers", || {
        (instar.run(["models", "status"]).stdout == "demo/guide answers\n").then_some(())
    });
    let said = instar.run(["agent", "--message", "hello"]).stdout;
    assert!(said.contains("not a language model"), "{said}");
}

#[test]
fn secrets_are_stored_listed_by_name_and_removed() {
    let instar = written();
    let value = "sk-do-not-show-0123456789";
    let set = instar.run_with(&["secrets", "set", "mine"], &format!("{value}\n"));
    assert_eq!(set.code, 0, "{set:?}");
    assert_eq!(instar.run(["secrets", "list"]).stdout, "mine\n");
    for file in std::fs::read_dir(&instar.state).unwrap().flatten() {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        let found = bytes
            .windows(value.len())
            .any(|window| window == value.as_bytes());
        assert!(
            !found,
            "{} holds the secret in the open",
            file.path().display()
        );
    }
    assert_refused(&instar.run_with(&["secrets", "set", "mine"], ""), 2);
    assert_eq!(instar.run(["secrets", "remove", "mine"]).code, 0);
    assert_eq!(instar.run(["secrets", "list"]).stdout, "");
}

#[test]
fn a_rotated_token_takes_the_place_of_the_old_one() {
    let instar = Instar::start(Setup {
        env: vec![("INSTAR_GATEWAY_TOKEN".to_owned(), String::new())],
        ..Setup::default()
    });
    let ask = |token: &str| {
        let header = format!("Bearer {token}");
        let headers = [("authorization", header.as_str())];
        instar
            .http
            .send("GET", "/v1/models", &headers, None)
            .unwrap()
            .status
    };
    // Trying until it works would lock the door: the gateway says when it has seen the change.
    let seen = |count| {
        until("the new token is known", || {
            let changes = instar
                .printed()
                .matches("the API token was changed")
                .count();
            (changes == count).then_some(())
        });
    };
    let first = instar.run(["token", "rotate"]).stdout.trim().to_owned();
    seen(1);
    assert_eq!(ask(&first), 200);
    let second = instar.run(["token", "rotate", "--json"]).json();
    let second = second["token"].as_str().unwrap();
    seen(2);
    assert_eq!(ask(second), 200);
    assert_eq!(ask(&first), 401);
}

#[test]
fn health_tells_ready_by_its_exit_code_and_doctor_names_each_check() {
    let instar = Instar::start(Setup::default());
    let health = instar.run(["health"]);
    assert_eq!(
        (health.code, health.stdout.as_str()),
        (0, "live and ready\n"),
        "{health:?}"
    );
    let findings = instar.run(["doctor", "--json"]).json();
    let checks: Vec<&str> = findings
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    for check in ["config", "store", "modes", "disk"] {
        assert!(checks.contains(&check), "{check} is missing in {checks:?}");
    }
}

#[test]
fn completions_know_the_commands_of_every_common_shell() {
    let instar = written();
    for shell in ["bash", "zsh", "fish"] {
        let script = instar.run(["completions", shell]);
        assert_eq!(script.code, 0, "{script:?}");
        for word in ["sessions", "restore", "completions", "no-open"] {
            assert!(script.stdout.contains(word), "{shell} does not know {word}");
        }
    }
    let script = instar.home().join("instar.bash");
    std::fs::write(&script, instar.run(["completions", "bash"]).stdout).unwrap();
    let checked = Command::new("bash")
        .arg("-n")
        .arg(&script)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn version_and_help_are_printed_where_they_were_asked_for() {
    let instar = written();
    let version = instar.run(["version"]).stdout;
    assert_eq!(version, instar.run(["--version"]).stdout);
    assert_eq!(version, format!("instar {}\n", env!("CARGO_PKG_VERSION")));
    let help = instar.run(["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{help:?}");
    for line in [
        "Exit codes: 0 done",
        "4 no gateway answers",
        "7 another gateway",
    ] {
        assert!(
            help.stdout.replace("\n", " ").contains(line),
            "{line} is missing"
        );
    }
}

/// The documentation holds what the binary prints.
#[track_caller]
fn assert_page(file: &str, printed: &Output) {
    assert_eq!(printed.code, 0, "{printed:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(file);
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == printed.stdout,
        "docs/{file} is out of date: run `cargo xtask docs`"
    );
}

#[test]
fn the_page_of_commands_is_what_the_binary_prints() {
    assert_page("commands.md", &written().run(["manual"]));
}

#[test]
fn the_page_of_configuration_keys_is_what_the_binary_prints() {
    assert_page(
        "configuration.md",
        &written().run(["config", "schema", "--markdown"]),
    );
}
