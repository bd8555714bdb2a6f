//! What goes wrong when the script says so.

use instar_demo::script::Stall;
use instar_demo::{Answer, CallStep, Fault, Finish, Script, Step, When};
use instar_testkit::ScriptedServer;
use serde_json::{Value, json};

use crate::raw::{Raw, events, post, send};

fn chat() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "go"}]})
}

fn with(fault: Fault) -> Raw {
    let answer = Answer::text("one two three").with(fault);
    let script = Script {
        otherwise: answer,
        ..Script::default()
    };
    let server = ScriptedServer::start(script);
    post(&server.base_url, "/v1/chat/completions", &[], &chat())
}

#[test]
fn a_rate_limit_is_over_after_its_times() {
    let busy = Answer::fault(Fault {
        status: Some(429),
        headers: [("retry-after".to_owned(), "2".to_owned())].into(),
        ..Fault::default()
    });
    let script = Script::saying("now").rule_times(2, When::default(), busy);
    let server = ScriptedServer::start(script);
    let statuses = [(); 3].map(|()| {
        let raw = post(&server.base_url, "/v1/chat/completions", &[], &chat());
        assert_eq!(raw.head.contains("retry-after: 2"), raw.status == 429);
        raw.status
    });
    assert_eq!(statuses, [429, 429, 200]);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn overload_has_the_vendors_shape() {
    let server = ScriptedServer::start(Script {
        otherwise: Answer::fault(Fault {
            status: Some(529),
            ..Fault::default()
        }),
        ..Script::default()
    });
    let body =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    let headers = [("anthropic-version", "2023-06-01")];
    let raw = post(&server.base_url, "/v1/messages", &headers, &body);
    assert_eq!(raw.status, 529);
    assert_eq!(raw.json()["error"]["type"], "overloaded_error");
}

#[test]
fn a_cut_breaks_the_connection_where_it_says() {
    let whole = with(Fault::default());
    assert!(whole.complete);
    let bytes = with(Fault {
        cut_after_bytes: Some(40),
        ..Fault::default()
    });
    assert!(!bytes.complete);
    assert_eq!(bytes.body, whole.body[..40]);
    let frames = with(Fault {
        cut_after_frames: Some(1),
        ..Fault::default()
    });
    assert!(!frames.complete);
    assert_eq!(events(&frames), events(&whole)[..1]);
}

#[test]
fn the_finish_comes_twice_or_never() {
    let count = |raw: &Raw| raw.text().matches("\"finish_reason\":\"stop\"").count();
    let finish = |finish| {
        with(Fault {
            finish,
            ..Fault::default()
        })
    };
    assert_eq!(count(&finish(Finish::Once)), 1);
    assert_eq!(count(&finish(Finish::Twice)), 2);
    let missing = finish(Finish::Missing);
    assert_eq!((count(&missing), missing.complete), (0, true));
    assert!(!missing.text().contains("[DONE]"));
}

#[test]
fn garbage_and_long_lines_stand_between_sound_frames() {
    let garbage = with(Fault {
        garbage_after_frames: Some(1),
        ..Fault::default()
    });
    assert!(std::str::from_utf8(&garbage.body).is_err());
    assert!(garbage.text().contains("[DONE]"));
    let long = with(Fault {
        long_line_bytes: Some(300_000),
        ..Fault::default()
    });
    assert!(long.text().lines().any(|line| line.len() == 300_000));
}

#[test]
fn a_stall_and_an_error_come_in_the_middle() {
    let stalled = with(Fault {
        stall: Some(Stall {
            after_frames: 1,
            ms: 5,
        }),
        ..Fault::default()
    });
    assert!(stalled.complete && stalled.text().contains("[DONE]"));
    let failed = with(Fault {
        error_after_frames: Some(2),
        message: Some("sorry".to_owned()),
        ..Fault::default()
    });
    let last = events(&failed).pop().unwrap().1;
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["error"]["message"], "sorry");
}

#[test]
fn an_endless_stream_goes_on_while_it_is_read() {
    let script = Script {
        otherwise: Answer::text("again ").with(Fault {
            endless: true,
            ..Fault::default()
        }),
        ..Script::default()
    };
    let server = ScriptedServer::start(script);
    let body = chat().to_string();
    let raw = send(
        &server.base_url,
        "POST",
        "/v1/chat/completions",
        &[],
        &body,
        1 << 20,
    );
    assert!(!raw.complete);
    assert!(raw.text().matches("again ").count() > 1_000);
}

#[test]
fn arguments_need_not_be_json() {
    let call = CallStep {
        name: "t".to_owned(),
        raw_arguments: Some("{\"a\": ".to_owned()),
        ..CallStep::default()
    };
    let server = ScriptedServer::start(Script {
        otherwise: Answer::of([Step::Call(call)]),
        ..Script::default()
    });
    let mut body = chat();
    body["stream"] = false.into();
    let raw = post(&server.base_url, "/v1/chat/completions", &[], &body).json();
    let call = &raw["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], "{\"a\": ");
}

#[test]
fn the_content_type_can_be_wrong() {
    let raw = with(Fault {
        content_type: Some("text/html".to_owned()),
        ..Fault::default()
    });
    assert!(raw.head.contains("content-type: text/html"));
}
