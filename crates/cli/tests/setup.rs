//! Setting up: in a terminal, without one, and over HTTP.

use std::process::Stdio;

use instar_demo::{Answer as Said, Script, Step};
use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{Instar, Setup, is_echo, until};

/// A key that must be found nowhere but in the request to the model.
pub(crate) const KEY: &str = "sk-setup-5f2d9c7e1b4a8036";

/// A gateway whose owner named no model; the scripted one listens nearby.
pub(crate) fn without_model() -> Setup {
    Setup {
        config_text: Some("// mine\n{ gateway: { shutdownGraceSeconds: 5 } }\n".to_owned()),
        ..Setup::default()
    }
}

/// Fails if the key lies in a file of the state folder, the configuration included.
#[track_caller]
pub(crate) fn assert_key_is_hidden(instar: &Instar) {
    for path in crate::state::walk(&instar.state) {
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let found = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!found, "{} holds the key", path.display());
    }
    assert!(!instar.printed().contains(KEY));
}

/// The key that the model was last called with.
pub(crate) fn key_seen(instar: &Instar) -> Option<String> {
    let last = instar.model.requests().pop()?;
    last.headers.get("authorization").cloned()
}

#[test]
fn over_http_one_answer_at_a_time_and_the_key_is_never_given_back() {
    let instar = Instar::start(without_model());
    let standing = instar.http.get("/api/v1/setup").expect(200);
    assert_eq!(standing["finished"], json!(false), "{standing}");
    assert_eq!(standing["modelChosen"], json!(false), "{standing}");
    let first = instar.http.post("/api/v1/setup", &json!({})).expect(201);
    let path = format!("/api/v1/setup/{}", first["sessionId"].as_str().unwrap());
    assert_eq!(first["step"]["id"], json!("risk"), "{first}");
    let workspace = instar.home().join("agent").display().to_string();
    let answers = [
        ("risk", json!(true)),
        ("workspace", json!(workspace)),
        ("model", json!("custom")),
        ("base-url", json!(instar.model.openai_url())),
        ("format", json!("openai")),
        ("server-key", json!(KEY)),
        ("server-model", json!("x")),
        ("provider-name", json!("mine")),
        ("port", json!(crate::support::free_port().to_string())),
        ("bind", json!("loopback")),
    ];
    // What is not asked is not taken.
    let body = json!({ "answer": { "stepId": "port", "value": "1" } });
    assert_eq!(instar.http.post(&path, &body).status, 409);
    let mut last = Value::Null;
    for (id, value) in answers {
        let body = json!({ "answer": { "stepId": id, "value": value } });
        last = instar.http.post(&path, &body).expect(200);
    }
    assert_eq!(last["status"], json!("done"), "{last}");
    assert_eq!(last["summary"]["model"], json!("mine/x"), "{last}");
    assert_eq!(last["summary"]["verdict"]["ok"], json!(true), "{last}");
    assert_eq!(instar.http.post(&path, &json!({})).status, 404);
    until("the running gateway has the model", || {
        let outcome = instar.ask("main", "hello");
        is_echo(&outcome["text"], "hello").then_some(())
    });
    assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
    assert!(!instar.http.heard.lock().unwrap().contains(KEY));
    assert_key_is_hidden(&instar);
    let text = std::fs::read_to_string(instar.state.join("instar.json")).unwrap();
    assert!(text.starts_with("// mine\n"), "{text}");
    assert!(instar.home().join("agent/SOUL.md").exists());
    let standing = instar.http.get("/api/v1/setup").expect(200);
    assert_eq!(standing["finished"], json!(true), "{standing}");
}

/// `instar onboard` in a terminal of its own.
fn onboard(instar: &Instar) -> Terminal {
    Terminal::start(&instar.command(&[], &["onboard".to_owned()]))
}

/// A port that nobody listens on.
pub(crate) fn nobody() -> String {
    format!("http://127.0.0.1:{}/v1", crate::support::free_port())
}

#[test]
fn in_a_terminal_question_by_question_with_a_live_probe() {
    let mut instar = Instar::prepare(without_model());
    let port = crate::support::free_port().to_string();
    let mut terminal = onboard(&instar);
    terminal.answer("I understand this", "y");
    terminal.answer("Workspace folder", "~/agent");
    terminal.answer("Which model is to answer?", "no such model");
    terminal.expect("type a number from 1 to");
    terminal.line("A server of my own");
    terminal.answer("Address of the server", &nobody());
    terminal.answer("Which format", "1");
    terminal.expect("Key for the server");
    terminal.expect("> ");
    until("what is typed is not shown", || {
        (!terminal.echoes()).then_some(())
    });
    terminal.line(KEY);
    terminal.answer("Name of the model", "x");
    terminal.answer("A short name", "mine");
    // Nobody listens there: a verdict, and another try.
    terminal.expect("The model did not answer");
    assert!(terminal.echoes());
    terminal.answer("Use it all the same", "3");
    terminal.answer("Which model is to answer?", "A server of my own");
    terminal.answer("Address of the server", &instar.model.openai_url());
    terminal.answer("Which format", "");
    terminal.answer("Key for the server", KEY);
    terminal.answer("Name of the model", "x");
    terminal.answer("A short name", "mine");
    terminal.expect("mine/x: ");
    terminal.expect("it answers");
    terminal.answer("Port", &port);
    terminal.answer("Who may reach the port?", "2");
    terminal.expect("speaks no TLS");
    terminal.line("1");
    terminal.expect("Everything is set up");
    let (screen, status) = terminal.end();
    assert!(status.success(), "{screen}");
    assert!(!screen.contains(KEY), "{screen}");
    assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
    let text = std::fs::read_to_string(instar.state.join("instar.json")).unwrap();
    assert!(text.starts_with("// mine\n"), "{text}");
    let journal = std::fs::read_to_string(instar.state.join("config-journal.jsonl")).unwrap();
    assert!(journal.contains("\"instar onboard\""), "{journal}");
    assert_key_is_hidden(&instar);
    let set = instar.run(["config", "get", "gateway.port"]).stdout;
    assert_eq!(set.trim(), port);
    instar.launch();
    instar.chat("hello");
    keeps_what_is_there(&instar);
}

/// Setting up again asks for no risk, suggests what is set, and changes nothing that is confirmed.
#[track_caller]
fn keeps_what_is_there(instar: &Instar) {
    let file = instar.state.join("instar.json");
    let before = std::fs::read_to_string(&file).unwrap();
    let mut terminal = onboard(instar);
    terminal.answer("Workspace folder", "");
    terminal.answer("Keep mine/x", "");
    terminal.expect("it answers");
    terminal.expect("Port");
    terminal.expect("> ");
    // The running gateway was told another port on its command line.
    terminal.line("");
    terminal.answer("Who may reach the port?", "");
    terminal.expect("Everything is set up");
    terminal.expect("/sign-in?code=");
    let (screen, status) = terminal.end();
    assert!(
        status.success() && !screen.contains("I understand"),
        "{screen}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn broken_off_at_any_question_it_keeps_what_was_answered() {
    let answers = [
        ("I understand this", "y"),
        ("Workspace folder", ""),
        ("Which model is to answer?", "A server of my own"),
        ("Address of the server", "http://127.0.0.1:1/v1"),
        ("Which format", "1"),
        ("Key for the server", KEY),
        ("Name of the model", "x"),
    ];
    for count in 0..answers.len() {
        let instar = Instar::prepare(without_model());
        let mut terminal = onboard(&instar);
        for (question, text) in &answers[..count] {
            terminal.answer(question, text);
        }
        terminal.expect(answers[count].0);
        terminal.expect("> ");
        terminal.ctrl_c();
        terminal.expect("what was answered is kept");
        assert!(terminal.echoes(), "after {count} answers");
        let (screen, status) = terminal.end();
        assert_eq!(status.code(), Some(1), "{screen}");
        assert!(!screen.contains(KEY), "{screen}");
        assert_key_is_hidden(&instar);
        let sound = instar.run(["config", "validate"]);
        assert_eq!(sound.code, 0, "after {count} answers: {sound:?}");
        let mut again = onboard(&instar);
        again.expect(if count == 0 {
            "I understand"
        } else {
            "Workspace folder"
        });
    }
}

/// What a script says, without the key.
const QUIET: [&str; 8] = [
    "onboard",
    "--non-interactive",
    "--accept-risk",
    "--custom-model-id",
    "x",
    "--custom-provider-id",
    "mine",
    "--json",
];

fn quiet<'a>(more: &[&'a str]) -> Vec<&'a str> {
    QUIET.iter().chain(more).copied().collect()
}

#[test]
fn without_questions_the_model_is_tried_before_anything_is_written() {
    let mut instar = Instar::prepare(without_model());
    let before = std::fs::read_to_string(instar.state.join("instar.json")).unwrap();
    let unread = instar.run(["onboard", "--non-interactive", "--json"]);
    assert_eq!(unread.code, 2, "{unread:?}");
    assert!(unread.stderr.contains("--accept-risk"), "{unread:?}");
    let dead = nobody();
    let failed = instar.run_with(
        &quiet(&["--custom-base-url", &dead, "--custom-api-key", "-"]),
        KEY,
    );
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stdout.contains("\"ok\": false"), "{failed:?}");
    let text = std::fs::read_to_string(instar.state.join("instar.json")).unwrap();
    assert_eq!(text, before);
    assert_eq!(instar.run(["secrets", "list", "--json"]).json(), json!([]));

    let url = instar.model.openai_url();
    let port = crate::support::free_port().to_string();
    let args = quiet(&[
        "--custom-base-url",
        &url,
        "--custom-api-key",
        "-",
        "--port",
        &port,
    ]);
    let done = instar.run_with(&args, &format!("{KEY}\n"));
    assert_eq!(done.json()["model"], json!("mine/x"), "{done:?}");
    assert_eq!(done.json()["verdict"]["ok"], json!(true), "{done:?}");
    assert!(!format!("{done:?}").contains(KEY));
    assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
    let again = instar.run_with(&args, &format!("{KEY}\n"));
    assert_eq!(again.json()["changed"], json!([]), "{again:?}");
    instar.launch();
    instar.chat("hello");
    assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
    assert_key_is_hidden(&instar);
}

#[test]
fn without_questions_it_speaks_the_language_of_the_terminal() {
    let instar = Instar::prepare(without_model().env("LANG", "ru_RU.UTF-8"));
    let unread = instar.run(["onboard", "--non-interactive"]);
    assert!(unread.stderr.contains("риски не приняты"), "{unread:?}");
    let dead = nobody();
    let plain = |url| {
        let args = quiet(&["--custom-base-url", url, "--custom-api-key", "-"]);
        args.into_iter().filter(|arg| *arg != "--json").collect()
    };
    let args: Vec<&str> = plain(&dead);
    let failed = instar.run_with(&args, KEY);
    for words in [
        "mine/x не отвечает",
        "Соединение не удалось",
        "ничего не изменено",
    ] {
        assert!(failed.stderr.contains(words), "{words}: {failed:?}");
    }
    let url = instar.model.openai_url();
    let args: Vec<&str> = plain(&url);
    let done = instar.run_with(&args, KEY);
    assert!(done.stdout.contains("mine/x отвечает, за"), "{done:?}");
    assert!(done.stderr.contains("дальше: `instar up`"), "{done:?}");
}

#[test]
fn a_key_in_a_variable_or_a_file_is_stored_encrypted() {
    for (name, variable) in [("CUSTOM_API_KEY", true), ("file", false)] {
        let mut setup = without_model();
        if variable {
            setup = setup.env(name, KEY);
        }
        let instar = Instar::prepare(setup);
        let file = instar.home().join("key");
        crate::support::write_private(&file, &format!("{KEY}\n"));
        let (url, from) = (instar.model.openai_url(), format!("@{}", file.display()));
        let mut args = quiet(&[
            "--custom-base-url",
            &url,
            "--custom-compatibility",
            "openai",
        ]);
        if !variable {
            args.extend(["--custom-api-key", &from]);
        }
        let done = instar.run_with(&args, "");
        assert_eq!(done.json()["verdict"]["ok"], json!(true), "{done:?}");
        assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
        assert_eq!(
            instar.run(["secrets", "list", "--json"]).json(),
            json!(["mine"])
        );
        assert_key_is_hidden(&instar);
    }
}

#[test]
fn a_key_on_the_command_line_is_taken_out_of_the_process_list() {
    let slow = Said::of([Step::Pause(1_500), Step::Text("ready".to_owned())]);
    let instar = Instar::prepare(Setup {
        script: Some(Script {
            otherwise: slow,
            ..Script::default()
        }),
        ..without_model()
    });
    let url = instar.model.openai_url();
    let args = quiet(&["--custom-base-url", &url, "--custom-api-key", KEY]);
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let mut child = instar
        .command(&[], &args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the model is asked", || {
        (!instar.model.requests().is_empty()).then_some(())
    });
    let shown = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(shown.contains("--custom-api-key\0***"), "{shown}");
    assert!(!shown.contains(KEY), "{shown}");
    assert!(
        child.try_wait().unwrap().is_none(),
        "it was looked at too late"
    );
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("history"),
        "{said}"
    );
    assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
    assert_key_is_hidden(&instar);
}

#[test]
fn a_vendor_s_key_of_the_environment_is_kept_for_the_service() {
    let instar = Instar::prepare(without_model().env("XAI_API_KEY", KEY));
    let args = [
        "onboard",
        "--non-interactive",
        "--accept-risk",
        "--skip-probe",
        "--json",
    ];
    let mut chosen = args.to_vec();
    chosen.extend(["--auth-choice", "xai-api-key"]);
    let done = instar.run_with(&chosen, "").json();
    assert_eq!(done["model"], json!("xai/grok-4"), "{done}");
    assert_eq!(
        instar.run(["secrets", "list", "--json"]).json(),
        json!(["xai"])
    );
    let entry = instar
        .run(["config", "get", "models.providers.xai.apiKey", "--json"])
        .json();
    assert_eq!(entry, json!({ "source": "store", "id": "xai" }));
    assert_key_is_hidden(&instar);
    let wrong = instar.run_with(&[&args[..], &["--auth-choice", "opnai"]].concat(), "");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("openai"), "{wrong:?}");
}
