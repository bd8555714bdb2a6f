//! `instar acp`, talked to by the protocol's official client as an editor does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use instar_demo::{Answer, CallStep, Rule, Script, Step, When};
use serde_json::{Value, json};

use crate::support::{Instar, Setup, echo};

/// A picture of one pixel.
const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// Repeats what it hears, but for two messages: one wants a tool, one takes for ever.
fn script() -> Script {
    let rule = |when: When, answer: Answer| Rule {
        when,
        times: None,
        answer,
    };
    let says = |text: &str| When {
        contains: vec![text.to_owned()],
        ..When::default()
    };
    let call = CallStep {
        name: "session_status".to_owned(),
        arguments: json!({}),
        raw_arguments: None,
    };
    Script {
        rules: vec![
            rule(
                When {
                    no_result: true,
                    ..says("use a tool")
                },
                Answer::of([Step::Reasoning("a tool it is".to_owned()), Step::Call(call)]),
            ),
            rule(
                says("take long"),
                Answer::of([Step::Text("Once".to_owned()), Step::Pause(600_000)]),
            ),
        ],
        ..echo()
    }
}

#[test]
fn the_official_client_talks_cancels_and_loads_a_session_again() {
    let packages = ["@agentclientprotocol/sdk"];
    let Some(client) = crate::clients::Script::find("acp.mjs", &packages) else {
        return;
    };
    let instar = Instar::start(Setup::scripted(script()));
    let found = client.run(&instar, json!({ "image": IMAGE }));
    assert_eq!(found["greeting"]["protocolVersion"], 1);
    let id = found["opened"]["sessionId"].as_str().unwrap();
    assert!(id.starts_with("agent:main:acp:"), "{id}");
    assert!(
        found["commands"]
            .as_array()
            .unwrap()
            .contains(&json!("model"))
    );

    assert_eq!(found["prompt"]["stopReason"], "end_turn");
    let said = found["said"].as_str().unwrap();
    assert!(said.starts_with("You said: "), "{said}");
    assert!(said.contains("fn note() {}"), "{said}");
    assert_eq!(found["command"]["stopReason"], "end_turn");
    let status = found["commandSaid"].as_str().unwrap();
    assert!(status.contains(id), "{status}");

    let updates = found["toolUpdates"].as_array().unwrap();
    let of = |kind: &str| {
        updates
            .iter()
            .find(|update| update["sessionUpdate"] == kind)
    };
    assert_eq!(
        of("agent_thought_chunk").unwrap()["content"]["text"],
        "a tool it is"
    );
    assert_eq!(of("tool_call").unwrap()["title"], "session_status");
    let result = of("tool_call_update").unwrap();
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!(
        result["rawOutput"]["decision"]["decision"], "allowed",
        "{result}"
    );

    assert_eq!(found["cancelled"]["stopReason"], "cancelled");
    let option = &found["chosen"]["configOptions"][0];
    assert_eq!(option["currentValue"], "scripted/x", "{option}");
    let refused = found["wrongModel"]["message"].as_str().unwrap();
    assert!(refused.contains("instar models list"), "{refused}");
    assert_eq!(found["ended"], 0);

    let replayed = found["replayed"].as_array().unwrap();
    let kinds: Vec<&str> = replayed
        .iter()
        .filter_map(|update| update["sessionUpdate"].as_str())
        .collect();
    assert_eq!(kinds[0], "user_message_chunk", "{kinds:?}");
    for kind in ["agent_message_chunk", "tool_call", "tool_call_update"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    // Other conversations are not an editor's to load.
    assert_eq!(found["foreign"]["code"], -32002, "{}", found["foreign"]);
    assert_eq!(found["unknown"]["code"], -32002, "{}", found["unknown"]);
}

#[test]
fn garbage_is_answered_and_only_the_protocol_is_on_standard_output() {
    let mut instar = Instar::start(Setup::default());
    let long = "x".repeat(33 << 20);
    let begin = json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {"protocolVersion": 1}});
    let lines = format!("no json\n{long}\n{begin}\n");
    let output = instar.run_with(&["acp"], &lines);
    let answers: Vec<Value> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers[0]["error"]["code"], -32700, "{output:?}");
    assert_eq!(answers[1]["error"]["code"], -32700, "{output:?}");
    assert_eq!(answers[2]["result"]["protocolVersion"], 1, "{output:?}");
    assert_eq!(output.code, 0, "{output:?}");

    assert_eq!(instar.terminate().code, Some(0));
    let output = instar.run_with(&["acp"], "");
    assert_eq!(output.code, 4, "{output:?}");
    assert!(output.stderr.contains("instar up"), "{output:?}");
    assert_eq!(output.stdout, "");
}

#[test]
fn a_killed_gateway_is_a_clear_error_and_the_next_one_is_found() {
    let mut instar = Instar::start(Setup::default());
    let mut editor = Editor::start(&instar);
    let opened = editor.ask("session/new", &json!({"cwd": "/tmp", "mcpServers": []}));
    let id = opened["result"]["sessionId"].clone();
    let hello = json!({"sessionId": id, "prompt": [{"type": "text", "text": "hello"}]});
    let _killed = instar.kill9();
    let refused = editor.ask("session/prompt", &hello);
    let why = refused["error"]["message"].as_str().unwrap();
    assert!(why.contains("instar up"), "{why}");
    instar.launch();
    let answered = editor.ask("session/prompt", &hello);
    assert_eq!(answered["result"]["stopReason"], "end_turn", "{answered}");
    editor.end();
}

#[test]
fn keys_of_editors_are_for_the_command_line_alone() {
    let instar = Instar::start(Setup::default());
    let body = json!({"session": "agent:main:acp:mine", "text": "hello"});
    let refused = instar.http.post("/api/v1/messages", &body).expect(400);
    let why = refused["error"]["message"].as_str().unwrap();
    assert!(why.contains("reserved"), "{why}");
}

/// The pipes of `instar acp`, a line at a time.
struct Editor {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Editor {
    fn start(instar: &Instar) -> Self {
        let mut child = instar
            .command(&[], &["acp".to_owned()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut editor = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            asked: 0,
        };
        let hello = editor.ask("initialize", &json!({"protocolVersion": 1}));
        assert_eq!(hello["result"]["protocolVersion"], 1);
        editor
    }

    /// The answer to a request; notifications on the way are passed over.
    #[track_caller]
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let asked = json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params});
        writeln!(self.input, "{asked}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ended");
            let told: Value = serde_json::from_str(&line).unwrap();
            if told["id"] == self.asked {
                return told;
            }
        }
    }

    fn end(self) {
        let Self {
            mut child, input, ..
        } = self;
        drop(input);
        assert!(child.wait().unwrap().success());
    }
}
