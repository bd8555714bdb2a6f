//! What is acknowledged has been flushed: seen in the system calls of the real binary.
//!
//! Killing a process does not show this, because what it wrote outlives it in the page cache.

use serde_json::json;

use crate::support::trace::{self, Moment, Traced};
use crate::support::{Instar, Setup, skipped, until};
use instar_demo::Script;

const WATCHED: &str = "fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg";
const QUESTION: &str = "question-7f3a91";
const REPLY: &str = "reply-c20d58";
/// Asked by a client whose turn begins while the store still writes the message.
const STREAMED: &str = "question-91bd04";

#[test]
fn what_is_acknowledged_was_flushed_before() {
    let Some(calls) = watch(&[]) else { return };
    let accepted = flushed_before(&calls, QUESTION, "HTTP/1.1 202");
    assert!(accepted.is_ok(), "{accepted:?}");
    // The answer to an API client is the acknowledgement of its turn.
    let answered = flushed_before(&calls, REPLY, "HTTP/1.1 200");
    assert!(answered.is_ok(), "{answered:?}");
    // The head of a stream tells its reader that the message was taken.
    let streamed = flushed_before(&calls, STREAMED, "HTTP/1.1 200");
    assert!(streamed.is_ok(), "{streamed:?}");
}

#[test]
fn without_flushing_the_same_look_finds_it_missing() {
    let Some(calls) = watch(&[("INSTAR_STORE_SYNCHRONOUS", "off")]) else {
        return;
    };
    let accepted = flushed_before(&calls, QUESTION, "HTTP/1.1 202");
    assert_eq!(accepted.unwrap_err(), Missing::Flush);
    let answered = flushed_before(&calls, REPLY, "HTTP/1.1 200");
    assert_eq!(answered.unwrap_err(), Missing::Flush);
}

#[test]
fn a_store_that_does_not_flush_says_so() {
    let instar = Instar::start(Setup::default().env("INSTAR_STORE_SYNCHRONOUS", "off"));
    let doctor = instar.run(["doctor", "--json"]);
    let findings: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
    let found = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["check"] == "store" && one["severity"] == "warning")
        .unwrap_or_else(|| panic!("{findings:#}"));
    assert!(
        found["message"].as_str().unwrap().contains("power"),
        "{found}"
    );
    let printed = instar.printed();
    assert!(printed.contains("INSTAR_STORE_SYNCHRONOUS"), "{printed}");
}

/// What a look at the system calls did not find.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    /// The text never reached the log of the store.
    Write,
    Flush,
    /// The answer never left.
    Answer,
}

/// Records the calls of a gateway that accepts one message and answers one request.
fn watch(env: &[(&str, &str)]) -> Option<Vec<Traced>> {
    if let Some(why) = trace::cannot_trace() {
        skipped(&why);
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let mut setup = Setup::scripted(Script::saying(REPLY));
    setup.under = trace::record(WATCHED, &log);
    for (name, value) in env {
        setup = setup.env(name, value);
    }
    let mut instar = Instar::start(setup);
    let body = json!({ "session": "main", "text": QUESTION });
    instar.http.post("/api/v1/messages", &body).expect(202);
    until("the message is answered", || {
        (instar.entries("main").len() == 2).then_some(())
    });
    let body = json!({ "model": "instar", "messages": [{ "role": "user", "content": "hello" }] });
    let answer = instar.http.post("/v1/chat/completions", &body).expect(200);
    assert_eq!(answer["choices"][0]["message"]["content"], REPLY);
    let body = json!({
        "model": "instar", "stream": true,
        "messages": [{ "role": "user", "content": STREAMED }],
    });
    let opened = instar
        .http
        .stream("POST", "/v1/chat/completions", Some(&body));
    let mut stream = opened.unwrap();
    while stream.next().is_some() {}
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    Some(trace::read(&std::fs::read_to_string(&log).unwrap()))
}

/// Finds the answer that acknowledges `text`, and before it a flush of the store's log that began
/// after the text was written there and that returned.
fn flushed_before(calls: &[Traced], text: &str, answer: &str) -> Result<(), Missing> {
    let is_answer = |call: &Traced| {
        call.is_write() && call.target().contains("TCP") && call.arguments.contains(answer)
    };
    // Polls have the same status: the one that counts is the first after the text was written.
    let written = calls
        .iter()
        .position(|call| {
            call.is_log() && call.arguments.contains(text) && call.moment == Moment::Entered
        })
        .ok_or(Missing::Write)?;
    let left = calls[written..]
        .iter()
        .position(|call| is_answer(call) && call.moment == Moment::Entered)
        .map(|at| written + at)
        .ok_or(Missing::Answer)?;
    let between = &calls[written..left];
    let began = between
        .iter()
        .position(|call| call.is_flush() && call.is_log() && call.moment == Moment::Entered)
        .ok_or(Missing::Flush)?;
    let thread = between[began].thread;
    let returned = between[began..]
        .iter()
        .find(|call| call.thread == thread && call.is_flush() && call.moment != Moment::Entered);
    match returned {
        Some(Traced {
            moment: Moment::Returned(0),
            ..
        }) => Ok(()),
        _ => Err(Missing::Flush),
    }
}

#[test]
fn a_record_is_read_as_it_is_written() {
    let record = r#"
71 pwrite64(9</s/instar.sqlite-wal>, "one", 3, 0) = 3
71 fsync(9</s/instar.sqlite-wal> <unfinished ...>
72 sendto(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 202 Accepted", 21, MSG_NOSIGNAL, NULL, 0) = 21
71 <... fsync resumed>)              = 0
"#;
    let calls = trace::read(record);
    let last = calls.last().unwrap();
    assert_eq!((last.thread, last.call.as_str()), (71, "fsync"));
    assert_eq!(last.moment, Moment::Returned(0));
    // The flush had begun, but had not returned when the answer left.
    assert_eq!(
        flushed_before(&calls, "one", "HTTP/1.1 202"),
        Err(Missing::Flush)
    );
    let swapped: String = {
        let mut lines: Vec<&str> = record.lines().collect();
        lines.swap(3, 4);
        lines.join("\n")
    };
    assert_eq!(
        flushed_before(&trace::read(&swapped), "one", "HTTP/1.1 202"),
        Ok(())
    );
    assert_eq!(
        flushed_before(&calls, "two", "HTTP/1.1 202"),
        Err(Missing::Write)
    );
}
