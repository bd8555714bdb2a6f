//! Pictures on their way to a model, through the built binary: what tools show, and what `image` asks.

use instar_demo::{Answer, Script, Step, When};
use serde_json::{Value, json};

use crate::support::{Instar, Setup};
use crate::tools::{calling, said, workspace};
use crate::ways_out::{python_server, until_offered};

/// One red pixel.
const RED: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0,
    0, 0, 144, 119, 83, 222, 0, 0, 0, 12, 73, 68, 65, 84, 8, 215, 99, 248, 207, 192, 0, 0, 3, 1, 1,
    0, 24, 221, 141, 176, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];
const RED_BASE64: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4z8AAAAMBAQAY3Y2wAAAAAElFTkSuQmCC";

/// A house whose model x takes pictures, y takes none, and claude takes them on another wire.
fn config(instar_url: &str, model: &str, image_model: Option<&str>) -> Value {
    json!({
        "models": { "providers": {
            "scripted": { "models": [
                { "id": "x", "contextWindow": 32_000, "maxTokens": 1_000, "input": ["text", "image"] },
                { "id": "y", "contextWindow": 32_000, "maxTokens": 1_000, "input": ["text"] },
            ]},
            "other": { "baseUrl": instar_url, "api": "anthropic-messages", "models": [
                { "id": "claude", "contextWindow": 32_000, "maxTokens": 1_000,
                    "input": ["text", "image"] },
            ]},
        }},
        "agents": { "defaults": {
            "model": { "primary": model },
            "imageModel": image_model,
        }},
    })
}

/// What the model says: it looks when it is shown something, and tells how many pictures it saw.
fn script() -> Script {
    let looks = When {
        system_contains: Some("You are shown one picture".to_owned()),
        has_image: Some(true),
        ..When::default()
    };
    let sees = When {
        result_of: Some("read".to_owned()),
        has_image: Some(true),
        ..When::default()
    };
    let mut rules = calling(&[
        ("open the file", "read", json!({"path": "red.png"})),
        (
            "ask about it",
            "image",
            json!({"path": "red.png", "question": "Which colour?"}),
        ),
        ("the bomb", "image", json!({"path": "bomb.png"})),
        ("not a picture", "image", json!({"path": "note.txt"})),
        ("what came along", "image", json!({"attachment": "newest"})),
    ]);
    let mut script = Script::default()
        .rule(looks, Answer::of([Step::Text("It is red.".to_owned())]))
        .rule(
            sees,
            Answer::of([Step::Text("I see {{images}}.".to_owned())]),
        );
    script.rules.append(&mut rules.rules);
    script
}

/// Puts more into the configuration of a house that is not started yet.
fn configure(instar: &Instar, over: Value) {
    let path = instar.state.join("instar.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    crate::support::merge(&mut whole, over);
    crate::support::write_private(&path, &whole.to_string());
}

fn start(model: &str, image_model: Option<&str>) -> Instar {
    let mut instar = Instar::prepare(Setup::scripted(script()));
    configure(&instar, config(&instar.model.base_url, model, image_model));
    let folder = workspace(&instar);
    std::fs::write(folder.join("red.png"), RED).unwrap();
    std::fs::write(folder.join("note.txt"), "no picture").unwrap();
    let mut bomb = RED[..16].to_vec();
    bomb.extend([0, 1, 0, 0, 0, 1, 0, 0]);
    std::fs::write(folder.join("bomb.png"), bomb).unwrap();
    instar.launch();
    instar
}

/// The bodies of the requests that went to the model.
fn asked(instar: &Instar) -> Vec<Value> {
    let requests = instar.model.requests();
    requests.into_iter().map(|request| request.body).collect()
}

#[test]
fn a_picture_that_a_tool_found_is_shown_to_a_model_that_sees_and_named_to_one_that_does_not() {
    let instar = start("scripted/x", None);
    assert_eq!(said(&instar, "open the file"), "I see 1.");
    let shown = asked(&instar).pop().unwrap();
    let last = shown["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    let url = format!("data:image/png;base64,{RED_BASE64}");
    assert_eq!(last["content"][1]["image_url"]["url"], url, "{last}");
    // It is part of what is stored, and in view in the next turn.
    let entries = instar.entries("main");
    let result = entries
        .iter()
        .find(|entry| entry["body"]["type"] == "tool_result");
    let picture = &result.unwrap()["body"]["pictures"][0];
    assert_eq!(
        (&picture["name"], &picture["width"]),
        (&json!("red.png"), &json!(1))
    );
    assert_eq!(said(&instar, "open the file again"), "I see 2.");
    drop(instar);

    let instar = start("other/claude", None);
    assert_eq!(said(&instar, "open the file"), "I see 1.");
    let shown = asked(&instar).pop().unwrap();
    let messages = shown["messages"].as_array().unwrap();
    let block = &messages.last().unwrap()["content"][0];
    assert_eq!(block["type"], "tool_result");
    assert_eq!(block["content"][1]["source"]["data"], RED_BASE64, "{block}");
    drop(instar);

    let instar = start("scripted/y", None);
    let told = said(&instar, "open the file");
    assert!(
        told.starts_with("red.png is a PNG picture, 1 x 1"),
        "{told}"
    );
    assert!(told.contains("this model is given no pictures"), "{told}");
    assert!(
        !asked(&instar)
            .iter()
            .any(|body| body.to_string().contains(RED_BASE64))
    );
}

#[test]
fn a_model_that_sees_nothing_asks_one_that_does_and_is_told_where_there_is_none() {
    let instar = start("scripted/y", Some("other/claude"));
    assert_eq!(said(&instar, "ask about it"), "It is red.");
    let requests = asked(&instar);
    let looked = requests
        .iter()
        .find(|body| body["model"] == "claude")
        .unwrap();
    let content = &looked["messages"][0]["content"];
    assert_eq!(content[0]["text"], "Which colour?", "{looked}");
    assert_eq!(content[1]["source"]["data"], RED_BASE64, "{looked}");
    assert!(
        looked["tools"].is_null(),
        "who looks has no hands: {looked}"
    );
    // A header is enough to refuse what would be too much.
    let bomb = said(&instar, "the bomb");
    assert!(bomb.contains("it is 65536 x 65536; at most"), "{bomb}");
    let text = said(&instar, "not a picture");
    assert!(
        text.contains("it is no PNG, JPEG, GIF or WebP picture"),
        "{text}"
    );

    // A picture that came with a message is a stranger's text, and so is what is read in it.
    let body = json!({ "model": "instar", "user": "pictures", "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "what came along" },
        { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{RED_BASE64}") } },
    ]}]});
    let told = instar.http.post("/v1/chat/completions", &body).expect(200);
    assert_eq!(
        told["choices"][0]["message"]["content"], "It is red.",
        "{told}"
    );
    drop(instar);

    let blind = start("scripted/y", None);
    let told = said(&blind, "ask about it");
    assert!(told.contains("scripted/y takes no pictures"), "{told}");
    assert!(
        told.contains("instar config set agents.defaults.imageModel"),
        "{told}"
    );
}

/// The tool gives one picture and a word.
const CAMERA: &str = r#"
NAME = "get_view"

def content():
    return [{"type": "text", "text": "the hall"},
            {"type": "image", "data": "RED", "mimeType": "image/png"}]
"#;

#[test]
fn a_picture_in_the_result_of_a_server_is_shown_as_a_strangers() {
    let Some((_folder, server)) = python_server(&CAMERA.replace("RED", RED_BASE64)) else {
        return;
    };
    for (model, sees) in [("scripted/x", true), ("scripted/y", false)] {
        let tool = "mcp__desk__get_view";
        let shown = When {
            result_of: Some(tool.to_owned()),
            ..When::default()
        };
        let told = Answer::of([Step::Text("{{images}}: {{text}}".to_owned())]);
        let mut script = Script::default().rule(shown, told);
        let mut rules = calling(&[("look into the hall", tool, json!({}))]);
        script.rules.append(&mut rules.rules);
        let mut instar = Instar::prepare(Setup::scripted(script));
        let mut over = config(&instar.model.base_url, model, None);
        over["policy"] = json!({ "posture": "open" });
        over["mcp"] = json!({ "servers": { "desk": server } });
        configure(&instar, over);
        instar.launch();
        until_offered(&instar, tool);
        let answer = said(&instar, "look into the hall");
        let count = if sees { "1: " } else { "0: " };
        assert!(answer.starts_with(count), "{model}: {answer}");
        let entries = instar.entries("main");
        let result = entries
            .iter()
            .find(|entry| entry["body"]["type"] == "tool_result")
            .unwrap();
        let text = result["body"]["text"].as_str().unwrap();
        assert_eq!(text, "the hall\n[desk/get_view 1: a PNG picture, 1 x 1]");
        let origins = result["label"]["origins"].to_string();
        assert!(origins.contains("stranger"), "{result:#}");
        let last = asked(&instar).pop().unwrap().to_string();
        assert_eq!(last.contains(RED_BASE64), sees, "{model}: {last}");
    }
}
