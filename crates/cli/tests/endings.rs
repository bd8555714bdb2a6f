//! How commands end: the exit code for each way, and what is said.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::commands::{lived_in, words, written};
use crate::support::{Instar, Output, Setup, write_private};

/// A failed command says nothing on standard output, and on standard error what and what next.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, code: i32) {
    assert_eq!(output.code, code, "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    assert!(output.stderr.contains("error: "), "{output:?}");
    assert!(output.stderr.contains("\n next: "), "{output:?}");
}

#[test]
fn wrong_arguments_end_with_2_and_what_was_meant() {
    let instar = written();
    for (line, hint) in [
        ("statsu", "did you mean `status`?"),
        ("sessionz list", "did you mean `sessions`?"),
        ("agent --messages hello", "did you mean `--message`?"),
        ("completions bsh", "did you mean `bash`?"),
        ("agent", "instar agent --message <MESSAGE>"),
        ("models set gpt-5", "openai/gpt-5"),
    ] {
        let output = instar.run_with(&words(line), "");
        assert_refused(&output, 2);
        assert!(output.stderr.contains(hint), "{line}: {output:?}");
    }
}

#[test]
fn a_wrong_configuration_ends_with_3_and_every_place() {
    let text = "{\n  gateway: {\n    prot: 1,\n    port: \"high\",\n  },\n}\n";
    let instar = Instar::prepare(Setup {
        config_text: Some(text.to_owned()),
        ..Setup::default()
    });
    let output = instar.run(["config", "validate"]);
    assert_refused(&output, 3);
    for words in [
        "instar.json:3:5",
        "instar.json:4:",
        "gateway.prot",
        "gateway.port",
        "2 problems",
    ] {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
    let report = instar.run(["config", "validate", "--json"]);
    assert_eq!(report.code, 3);
    let problems: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(problems["ok"], false);
    assert_eq!(problems["problems"][0]["line"], 3, "{problems}");
    assert_eq!(instar.run(["gateway", "run", "--port", "0"]).code, 3);
    assert_eq!(
        std::fs::read_to_string(instar.state.join("instar.json")).unwrap(),
        text
    );
}

#[test]
fn without_a_gateway_commands_that_need_one_end_with_4_and_say_how_to_start_it() {
    let instar = written();
    for line in [
        "status",
        "health",
        "models list",
        "agent --message hello",
        "events tail",
        "gateway status",
    ] {
        let output = instar.run_with(&words(line), "");
        assert_refused(&output, 4);
        assert!(output.stderr.contains("instar up"), "{output:?}");
    }
}

#[test]
fn what_the_gateway_refuses_ends_with_5() {
    let instar = Instar::start(Setup::default());
    let file = std::fs::read_dir(&instar.state)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("localSecret")))
        .unwrap();
    let mut run: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    run["localSecret"] = json!("somebody-elses");
    write_private(&file, &run.to_string());
    let output = instar.run(["status"]);
    assert_refused(&output, 5);
}

#[test]
fn guessing_tokens_does_not_lock_out_the_command_line() {
    let instar = Instar::start(Setup::default());
    let guess = instar.http.with_token("not-the-token-of-this-gateway");
    let statuses: Vec<u16> = (0..12)
        .map(|_| guess.get("/api/v1/status").status)
        .collect();
    assert_eq!((statuses[0], statuses[11]), (401, 429), "{statuses:?}");
    assert_eq!(instar.http.get("/api/v1/status").status, 429);
    assert_eq!(instar.run(["status"]).code, 0);
}

#[test]
fn what_is_not_there_ends_with_6() {
    let instar = lived_in();
    for line in [
        "sessions show agent:main:nobody",
        "sessions export agent:main:nobody",
        "sessions delete agent:main:nobody",
        "sessions rewind agent:main:nobody ent_1",
        "sessions rewind main ent_nothing",
        "sessions branches agent:main:nobody",
        "sessions switch main ent_nothing",
        "sessions retry main ent_nothing",
        "sessions fork main ent_nothing",
        "sessions restore ses_nobody",
        "release show ffffffffffff",
        "config get gateway.prot",
        "config set gateway.prot 1",
        "secrets remove nothing",
    ] {
        assert_refused(&instar.run_with(&words(line), ""), 6);
    }
}

#[test]
fn a_second_up_ends_with_7_and_gives_a_link_to_the_first() {
    let instar = Instar::start(Setup::default());
    let output = instar.run(["up", "--no-open", "--port", "0"]);
    assert_refused(&output, 7);
    assert!(
        output.stderr.contains(&format!("pid {}", instar.pid())),
        "{output:?}"
    );
    assert!(
        output
            .stderr
            .contains(&format!("{}/sign-in?code=", instar.url())),
        "{output:?}"
    );
    assert_refused(&instar.run(["gateway", "run", "--port", "0"]), 7);
}

#[test]
fn up_as_json_is_one_line_with_the_link() {
    let instar = Instar::prepare(Setup::default());
    let args = ["up", "--no-open", "--port", "0", "--json"].map(str::to_owned);
    let mut child = instar
        .command(&[], &args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = first_line(&mut child);
    let up: Value = serde_json::from_str(&line).unwrap();
    let (url, link) = (up["url"].as_str().unwrap(), up["link"].as_str().unwrap());
    assert!(link.starts_with(&format!("{url}/sign-in?code=")), "{up}");
    assert_eq!(up["model"], "scripted/x");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn first_line(child: &mut std::process::Child) -> String {
    use std::io::{BufRead as _, BufReader};
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    line
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let instar = lived_in();
    let mut child = instar.begin(["config", "schema"]);
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_gateway_that_is_asked_too_often_is_not_taken_for_one_that_is_gone() {
    let limits = json!({ "gateway": { "limits": { "requestsPerMinute": 10 } } });
    let instar = Instar::start(Setup::default().config(limits));
    for _ in 0..15 {
        let listed = instar.run(["release", "list", "--json"]);
        assert_eq!(listed.code, 0, "{listed:?}");
    }
}
