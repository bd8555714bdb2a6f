//! What the agent does with other conversations and with its owner, through the built binary.

use instar_demo::{Answer, Step};
use serde_json::{Value, json};

use crate::support::{Instar, Setup, until};
use crate::tools::{calling, said, workspace};

fn sessions(instar: &Instar) -> Vec<Value> {
    let listed = instar.run(["sessions", "list", "--json"]).json();
    listed["sessions"].as_array().unwrap().clone()
}

fn open(posture: &str) -> Value {
    json!({ "policy": { "posture": posture, "askWaitSeconds": 0 } })
}

#[test]
fn a_sub_agent_works_in_a_conversation_of_its_own_with_the_tools_it_was_given() {
    let rows = [
        (
            "delegate",
            "sessions_spawn",
            json!({"task": "compose the note", "title": "A note", "waitSeconds": 30}),
        ),
        (
            "restrict",
            "sessions_spawn",
            json!({"task": "compose once more", "tools": ["group:web", "read"], "waitSeconds": 30}),
        ),
        (
            "compose",
            "write",
            json!({"path": "note.md", "content": "written by a helper\n"}),
        ),
    ];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(open("open")));
    let told = said(&instar, "delegate");
    assert!(told.contains("note.md is new"), "{told}");
    let note = workspace(&instar).join("note.md");
    assert_eq!(
        std::fs::read_to_string(&note).unwrap(),
        "written by a helper\n"
    );
    let rows = sessions(&instar);
    let child = rows.iter().find(|row| row["title"] == "A note").unwrap();
    assert_eq!(child["parent"], "agent:main:main", "{child}");

    std::fs::remove_file(&note).unwrap();
    let told = said(&instar, "restrict");
    assert!(
        told.contains("has not allowed this tool") && !note.exists(),
        "{told}"
    );

    let key = child["key"].as_str().unwrap();
    let shown = instar.run(["sessions", "show", key]);
    assert!(
        shown.stdout.contains("task compose the note"),
        "{}",
        shown.stdout
    );
}

#[test]
fn one_conversation_speaks_to_another_and_hears_the_answer() {
    let rows = [(
        "pass",
        "sessions_send",
        json!({"session": "main", "text": "what is new", "waitSeconds": 30}),
    )];
    let mut script = calling(&rows);
    script.otherwise = Answer::of([Step::Text("You said: {{text}}".to_owned())]);
    let instar = Instar::start(Setup::scripted(script).config(open("open")));
    let _opened = instar.ask("main", "hello");
    let outcome = instar.ask("agent:main:web:other", "pass it on");
    let told = outcome["text"].as_str().unwrap();
    assert!(told.contains("You said: "), "{told}");
    assert!(told.contains("what is new"), "{told}");
    let entries = instar.entries("main");
    let asked = entries
        .iter()
        .rev()
        .find(|entry| entry["body"]["type"] == "user");
    assert_eq!(
        asked.unwrap()["body"]["principal"],
        json!({"kind": "automation", "source": "conversation"})
    );
}

#[test]
fn an_effect_in_a_careful_house_waits_for_the_command_line_s_yes() {
    let rows = [(
        "compose",
        "write",
        json!({"path": "note.md", "content": "approved\n"}),
    )];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(open("careful")));
    let note = workspace(&instar).join("note.md");
    let told = said(&instar, "compose");
    assert!(
        told.contains("has not answered yet") && !note.exists(),
        "{told}"
    );
    let waiting = instar.run(["approvals", "list", "--json"]).json();
    let question = &waiting["questions"][0];
    assert_eq!(question["tool"], "write", "{waiting}");
    let id = question["id"].as_str().unwrap();
    let approved = instar.run(["approvals", "approve", id]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    until("the file", || {
        let text = std::fs::read_to_string(&note).ok()?;
        (text == "approved\n").then_some(())
    });
    let again = instar.run(["approvals", "approve", id]);
    assert_ne!(again.code, 0, "an answer is given once");
}
