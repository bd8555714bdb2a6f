//! The first minute with the guide.

use instar_demo::{GUIDE, guide, guide_with_pause, is_scripted_notice};
use instar_protocol::Label;
use instar_protocol::message::Part;
use instar_protocol::model::{
    ModelEvent, ModelMessage, ModelRequest, Sampling, StopReason, ToolChoice,
};
use instar_protocol::tool::{ToolCall, ToolSpec};
use serde_json::json;

use crate::script::text_of;

fn request(text: &str) -> ModelRequest {
    let tools = ["sessions_list", "session_status"].map(|name| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: json!({"type": "object"}),
    });
    ModelRequest {
        system: Vec::new(),
        messages: vec![ModelMessage::User {
            parts: vec![Part::text(text)],
        }],
        tools: tools.map(std::sync::Arc::new).into(),
        tool_choice: ToolChoice::Auto,
        sampling: Sampling::default(),
        label: Label::owner(),
    }
}

fn answer(request: &ModelRequest) -> (String, Option<ToolCall>) {
    let events = guide_with_pause(0).answer(GUIDE, request);
    assert!(events.iter().all(|(pause, _)| *pause == 0));
    let call = events.iter().find_map(|(_, event)| match event {
        ModelEvent::ToolCall { call } => Some(call.clone()),
        _ => None,
    });
    (text_of(&events), call)
}

fn told(text: &str, result: &str, is_error: bool) -> String {
    let mut request = request(text);
    let (said, call) = answer(&request);
    let call = call.unwrap();
    request.messages.push(ModelMessage::Assistant {
        text: said,
        tool_calls: vec![call.clone()],
        reasoning: None,
    });
    request.messages.push(ModelMessage::Tool {
        call_id: call.id,
        name: call.name,
        text: result.to_owned(),
        is_error,
        attached: Vec::new(),
    });
    let (text, call) = answer(&request);
    assert_eq!(call, None);
    text
}

#[test]
fn it_says_that_it_is_scripted() {
    for text in [
        "hello",
        "Hi!",
        "help",
        "who are you?",
        "what is the capital of France",
        "Привет!",
        "расскажи анекдот",
        "你好",
        "今天天气怎么样?",
        "what did you learn?",
        "",
    ] {
        let (said, call) = answer(&request(text));
        assert!(is_scripted_notice(&said), "{text}: {said}");
        assert_eq!(call, None);
    }
    assert!(answer(&request("今天天气怎么样?")).0.contains("语言模型"));
    assert!(
        answer(&request("расскажи анекдот"))
            .0
            .contains("языковая модель")
    );
}

#[test]
fn it_tells_how_to_connect_a_model() {
    for text in [
        "how do I connect a model?",
        "How do I connect OpenAI",
        "can I use Claude?",
        "something nobody prepared",
    ] {
        let (said, _) = answer(&request(text));
        assert!(
            said.contains("instar models set") && said.contains("instar secrets set"),
            "{text}"
        );
    }
    assert!(
        answer(&request("Ollama?"))
            .0
            .contains("instar models set ollama/")
    );
}

#[test]
fn it_uses_a_tool_and_tells_what_came_back() {
    let (_, call) = answer(&request("Which sessions do I have?"));
    assert_eq!(call.unwrap().name, "sessions_list");
    let rows = json!({"sessions": [{"key": "agent:main:main", "entries": 4, "title": "a`b"}]});
    let said = told("Which sessions do I have?", &rows.to_string(), false);
    assert!(
        said.contains("- key `agent:main:main`, entries 4, title `a b`"),
        "{said}"
    );
    let status = json!({"model": "demo/guide", "inputTokens": 12}).to_string();
    let said = told("status", &status, false);
    assert!(said.contains("- **model**: `demo/guide`"), "{said}");
}

#[test]
fn it_shows_a_refusal() {
    let (said, call) = answer(&request("please delete my files"));
    let call = call.unwrap();
    assert_eq!(call.name, "delete_everything");
    assert_eq!(call.arguments["command"], "please delete my files");
    assert!(!said.is_empty());
    let said = told("run a command", "denied: no rule allows exec", true);
    assert!(
        said.contains("Refused") && said.contains("> denied: no rule allows exec"),
        "{said}"
    );
}

#[test]
fn without_tools_it_asks_for_none() {
    let mut request = request("delete my files and list my sessions");
    request.tools.clear();
    let (said, call) = answer(&request);
    assert_eq!(call, None);
    assert!(is_scripted_notice(&said));
}

#[test]
fn answers_stream_in_words() {
    let events = guide().answer(GUIDE, &request("tell me a long story"));
    assert!(events.len() > 500);
    let pieces = &events[..events.len() - 1];
    assert!(pieces.iter().all(|(pause, _)| (1..100).contains(pause)));
    let finish = events.last().map(|(_, event)| event);
    assert!(matches!(
        finish,
        Some(ModelEvent::Finish {
            stop: StopReason::Stop,
            ..
        })
    ));
    assert_eq!(guide().models()[0].0, GUIDE);
}
