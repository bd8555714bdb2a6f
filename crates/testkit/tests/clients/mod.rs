//! The vendors' own clients against the server. They run where they are installed:
//! `INSTAR_TEST_PYTHON` names the interpreter (else `python3`), `INSTAR_TEST_NODE_MODULES` the
//! folder of packages (else `~/.cache/instar/node/node_modules`). Where one is missing the test
//! says `SKIPPED` and why.

use instar_demo::{Answer, CallStep, Fault, Script, Step, When};
use instar_testkit::ScriptedServer;
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

fn script() -> Script {
    let says = |phrase: &str| When {
        says: vec![phrase.to_owned()],
        no_result: true,
        ..When::default()
    };
    let image = When {
        has_image: Some(true),
        ..When::default()
    };
    let thinking = Answer::of([
        Step::Reasoning("Let me ".to_owned()),
        Step::Reasoning("think.".to_owned()),
        Step::Signature("c2lnbmF0dXJl".to_owned()),
        Step::Text("I will look.".to_owned()),
        Step::Call(CallStep {
            name: "weather".to_owned(),
            arguments: json!({"city": "Paris", "days": 3}),
            raw_arguments: None,
        }),
    ]);
    let status = |status, code: Option<&str>| {
        Answer::fault(Fault {
            status: Some(status),
            code: code.map(str::to_owned),
            ..Fault::default()
        })
    };
    let after = When {
        result_of: Some("weather".to_owned()),
        ..When::default()
    };
    Script {
        key: Some("right".to_owned()),
        otherwise: Answer::of(["Hello ", "from ", "the script."].map(|t| Step::Text(t.to_owned()))),
        ..Script::default()
    }
    .rule(after, Answer::text("It is {{result}}."))
    .rule(says("weather"), thinking)
    .rule(says("busy"), status(429, None))
    .rule(says("broke"), status(429, Some("insufficient_quota")))
    .rule(says("overloaded"), status(529, None))
    .rule(image, Answer::text("{{images}} image"))
}

fn skipped(why: &str) {
    #[expect(clippy::print_stdout, reason = "the test run counts these lines")]
    {
        println!("SKIPPED: {why}");
    }
}

/// Runs a Python program that needs a module; its assertions are the test.
fn python(module: &str, program: &str) {
    let interpreter = std::env::var("INSTAR_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&interpreter)
        .args(["-c", &format!("import {module}")])
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        return skipped(&format!("{interpreter} has no module {module}"));
    }
    let server = ScriptedServer::start(script());
    let mut command = Command::new(interpreter);
    run(command.args(["-c", program]), &server);
}

fn node(package: &str, program: &str) {
    let modules = std::env::var_os("INSTAR_TEST_NODE_MODULES")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(PathBuf::from(home).join(".cache/instar/node/node_modules"))
        });
    let Some(modules) = modules.filter(|modules| modules.join(package).is_dir()) else {
        return skipped(&format!("the npm package {package} is not installed"));
    };
    let server = ScriptedServer::start(script());
    // CommonJS finds packages through NODE_PATH; ES modules would not.
    let mut command = Command::new("node");
    run(
        command.env("NODE_PATH", modules).args(["-e", program]),
        &server,
    );
}

fn run(command: &mut Command, server: &ScriptedServer) {
    let output = command
        .env("BASE", &server.base_url)
        .env("NO_PROXY", "*")
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\nlast request: {:#?}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        server.requests().last(),
    );
}

#[test]
fn python_openai_chat() {
    python("openai", include_str!("openai_chat.py"));
}

#[test]
fn python_openai_responses() {
    python("openai", include_str!("openai_responses.py"));
}

#[test]
fn python_anthropic() {
    python("anthropic", include_str!("anthropic_messages.py"));
}

#[test]
fn python_ollama() {
    python("ollama", include_str!("ollama_chat.py"));
}

#[test]
fn javascript_openai() {
    node("openai", include_str!("openai.js"));
}
