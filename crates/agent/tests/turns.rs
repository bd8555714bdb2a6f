//! Turns: what is stored, what is told, and how they end.

use crate::support::{Reply, call, config, home, home_with, inbound, main_key, outcome};
use instar_agent::port::StoredSessions;
use instar_protocol::event::{ErrorClass, EventKind, FeedbackVerdict, TurnOutcome};
use instar_protocol::live::{LiveEvent, OutcomeStatus};
use instar_protocol::message::{InboxState, OnRestart, OutboxState};
use instar_protocol::model::StopReason;
use instar_protocol::tool::ToolSpec;
use instar_protocol::{AgentId, SessionId, SessionKey};
use instar_store::EventFilter;
use instar_tools::SessionsPort as _;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_turn_is_two_commits_and_everything_is_durable_before_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.script.says("hello");
    let before = home.store.stats().commits;
    let submitted = home.submit("hi").await;
    let (id, session) = (submitted.inbound.clone(), submitted.session.clone());
    let answer = outcome(submitted).await;
    assert_eq!(home.store.stats().commits - before, 2);
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (OutcomeStatus::Ok, "hello")
    );
    assert_eq!(home.transcript().await, ["user: hi", "agent: hello"]);
    let row = home.row().await;
    assert_eq!(
        (row.id, row.entries, row.title.as_deref()),
        (session, 2, Some("hi"))
    );
    assert_eq!(
        row.leaf.as_ref(),
        answer.entries.last().map(|entry| &entry.id)
    );
    let stored = home.store.inbound(&id).await.unwrap().unwrap();
    assert_eq!(stored.state, InboxState::Done);
    let outbox = home
        .store
        .outbox_of_run(&stored.run.unwrap())
        .await
        .unwrap();
    assert_eq!(outbox.len(), 1);
    assert_eq!(
        (outbox[0].state, &outbox[0].text[..]),
        (OutboxState::Sent, "hello")
    );
    assert_eq!(Some(&outbox[0].id), answer.outbox.as_ref());
}

#[tokio::test]
async fn every_step_leaves_an_event_with_its_release() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.script
        .then(Reply::Calls(vec![call("a", "look", 1)]))
        .says("done");
    home.say("look at my mail, ann@example.org").await;
    let filter = EventFilter {
        session: Some(home.row().await.id),
        limit: 100,
        ..EventFilter::default()
    };
    let mut events = home.store.events(filter).await.unwrap();
    events.reverse();
    let names: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(
        names,
        [
            "message_in",
            "model_call",
            "tool_call",
            "model_call",
            "message_out",
            "turn"
        ]
    );
    assert!(
        events[1..].iter().all(|event| event.run.is_some())
            && events.iter().all(|event| event.release.is_some())
    );
    let EventKind::MessageIn { content, .. } = &events[0].kind else {
        panic!()
    };
    assert!(!content.as_ref().unwrap().contains("ann@example.org"));
    let EventKind::Turn {
        outcome,
        model_calls,
        tool_calls,
        ..
    } = &events[5].kind
    else {
        panic!()
    };
    assert_eq!(
        (*outcome, *model_calls, *tool_calls),
        (TurnOutcome::Replied, 2, 1)
    );
}

#[tokio::test]
async fn tools_run_side_by_side_and_refused_calls_are_told_to_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let calls = vec![
        call("a", "look", 1),
        call("b", "rm", 1),
        call("c", "look", 2),
    ];
    home.script.then(Reply::Calls(calls)).says("done");
    // None is let before both have begun.
    home.gate.forget_permits(1_000);
    let submitted = home.submit("go").await;
    home.has_begun(2).await;
    home.gate.add_permits(1_000);
    assert_eq!(outcome(submitted).await.text, "done");
    let lines = home.transcript().await;
    assert_eq!(lines[1], "agent calls look, rm, look");
    assert_eq!(lines[2], r#"result: saw {"n":1}"#);
    assert!(lines[3].starts_with("refused: "), "{}", lines[3]);
    assert_eq!(lines[4], r#"result: saw {"n":2}"#);
    let requests = home.script.requests();
    assert_eq!(requests[1].messages.len(), 5);
    assert_eq!(
        requests[0].tools.len(),
        8,
        "only what policy could allow is shown"
    );
}

#[tokio::test]
async fn a_loop_is_broken_and_ends_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    for _ in 0..3 {
        home.script.then(Reply::Calls(vec![call("a", "look", 1)]));
    }
    home.script.says("I am stuck");
    assert_eq!(home.say("go").await.text, "I am stuck");
    let last = home.script.requests().pop().unwrap();
    assert_eq!(last.tool_choice, instar_protocol::model::ToolChoice::None);
}

#[tokio::test]
async fn who_goes_on_in_circles_is_stopped_with_a_class_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    for _ in 0..4 {
        home.script.then(Reply::Calls(vec![call("a", "look", 1)]));
    }
    let answer = home.say("go").await;
    assert_eq!(answer.status, OutcomeStatus::Failed);
    assert_eq!(answer.error.as_ref().unwrap().class, ErrorClass::Loop);
    assert_eq!(home.begun.available_permits(), 3, "the fourth is not made");
    let filter = EventFilter {
        session: Some(home.row().await.id),
        limit: 100,
        ..EventFilter::default()
    };
    let events = home.store.events(filter).await.unwrap();
    let is_told = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::Error {
                class: ErrorClass::Loop,
                ..
            }
        )
    };
    assert!(
        events.iter().any(|event| is_told(&event.kind)),
        "{events:?}"
    );
}

#[tokio::test]
async fn calls_of_the_caller_s_tools_are_handed_over_and_their_results_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let spec = ToolSpec {
        name: "theirs".to_owned(),
        description: String::new(),
        parameters: json!({"type": "object"}),
    };
    home.script
        .then(Reply::Calls(vec![call("x", "theirs", 1)]))
        .says("thanks");
    let mut ask = home.message("use your tool");
    ask.surface = "openai".to_owned();
    ask.on_restart = OnRestart::Interrupt;
    ask.overrides.client_tools = vec![spec];
    let answer = outcome(home.sessions.submit(ask).await.unwrap()).await;
    assert_eq!(answer.client_calls, [call("x", "theirs", 1)]);
    assert_eq!(answer.stop, StopReason::ToolUse);
    let outbox = answer.outbox.clone().unwrap();
    let stored = home
        .store
        .outbox_of_run(answer.entries[0].run.as_ref().unwrap())
        .await
        .unwrap();
    assert_eq!(stored[0].state, OutboxState::Sending);
    home.sessions.delivered(&outbox, true).unwrap();

    let mut back = home.message("");
    back.parts = Vec::new();
    back.overrides.preamble = vec![
        instar_protocol::message::Preamble::User { parts: vec![] },
        instar_protocol::message::Preamble::Tool {
            call_id: "x".to_owned(),
            text: "42".to_owned(),
        },
    ];
    let answer = outcome(home.sessions.submit(back).await.unwrap()).await;
    assert_eq!(answer.text, "thanks");
    let request = home.script.requests().pop().unwrap();
    assert_eq!(request.messages.len(), 3, "{:?}", request.messages);
    let stored = home
        .store
        .outbox_of_run(home.entries().await[0].run.as_ref().unwrap())
        .await
        .unwrap();
    assert_eq!(stored[0].state, OutboxState::Sent);
}

#[tokio::test]
async fn no_reply_is_stored_and_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.script.says(" no_reply\n");
    let answer = home.say("psst").await;
    assert_eq!((answer.text.as_str(), answer.outbox.as_ref()), ("", None));
    assert_eq!(home.transcript().await.len(), 2);
}

#[tokio::test]
async fn a_failed_model_call_is_shown_and_the_message_kept() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    for _ in 0..8 {
        home.script.then(Reply::Broken);
    }
    let answer = home.say("hi").await;
    assert_eq!(answer.status, OutcomeStatus::Failed);
    assert_eq!(answer.error.as_ref().unwrap().class, ErrorClass::Malformed);
    let lines = home.transcript().await;
    assert_eq!(lines[..2], ["user: hi", "agent, cut: half"]);
    assert!(lines[2].starts_with("Error: "));
    home.script.replies.lock().unwrap().clear();
    assert_eq!(home.say("again").await.text, "echo again");
    let counts = home.sessions.counts();
    for outcome in [TurnOutcome::Failed, TurnOutcome::Replied] {
        assert!(counts.turns.contains(&(outcome, 1)), "{counts:?}");
    }
    for class in [None, Some(ErrorClass::Malformed)] {
        assert!(counts.model_calls.contains(&(class, 1)), "{counts:?}");
    }
    assert_eq!(home.sessions.waiting(), 0);
}

#[tokio::test]
async fn a_stopped_turn_keeps_what_had_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    assert!(!home.sessions.stop(&main_key()).await);
    let stalled = home.stall("go", "I was say").await;
    assert_eq!(home.sessions.running(), 1);
    assert!(home.sessions.is_running(&main_key()));
    assert!(home.sessions.stop(&main_key()).await);
    let answer = outcome(stalled).await;
    assert_eq!(
        (answer.status, &answer.text[..]),
        (OutcomeStatus::Aborted, "I was say")
    );
    assert_eq!(
        home.transcript().await,
        [
            "user: go",
            "agent, cut: I was say",
            "Aborted: The answer was stopped."
        ]
    );
    assert_eq!(home.sessions.running(), 0);
}

#[tokio::test]
async fn a_turn_ends_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(json!({"agents": {"defaults": {"timeoutSeconds": 1}}}));
    let home = home_with(folder.path(), config).await;
    let stalled = home.stall("go", "slow").await;
    let answer = outcome(stalled).await;
    assert_eq!(answer.error.as_ref().unwrap().class, ErrorClass::Timeout);
}

#[tokio::test]
async fn a_panic_is_an_error_and_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.script.then(Reply::Panic);
    let answer = home.say("boom").await;
    assert_eq!(answer.error.as_ref().unwrap().class, ErrorClass::Internal);
    assert_eq!(home.say("still there?").await.text, "echo still there?");
    assert!(home.transcript().await[1].starts_with("Error: "));
    assert_eq!(home.sessions.running(), 0);
}

#[tokio::test]
async fn the_same_key_runs_once_and_has_one_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.script
        .then(Reply::Stall("slow".to_owned()))
        .says("never");
    let keyed = || {
        let mut message = home.message("once");
        message.idempotency_key = Some("k".to_owned());
        message
    };
    let first = home.sessions.submit(keyed()).await.unwrap();
    let second = home.sessions.submit(keyed()).await.unwrap();
    assert!(second.is_duplicate && second.inbound == first.inbound);
    home.script.called.notified().await;
    home.sessions.stop(&main_key()).await;
    let (first, second) = (outcome(first).await, outcome(second).await);
    assert_eq!(first.text, second.text);
    let third = home.sessions.submit(keyed()).await.unwrap();
    assert!(third.duplicate.is_some());
    let third = outcome(third).await;
    assert_eq!(
        (third.status, &third.text),
        (OutcomeStatus::Aborted, &first.text)
    );
    assert_eq!(home.script.calls(), 1);
}

#[tokio::test]
async fn watchers_see_the_turn_as_it_happens() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let mut live = home.sessions.watch(&main_key()).await.unwrap();
    home.script.says("hello");
    home.say("hi").await;
    let mut seen = Vec::new();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), live.recv())
            .await
            .unwrap()
            .unwrap();
        seen.push(match &*event {
            LiveEvent::Accepted { .. } => "accepted",
            LiveEvent::Started { .. } => "started",
            LiveEvent::Text { .. } => "text",
            LiveEvent::Stored { .. } => "stored",
            LiveEvent::Done { .. } => break,
            _ => "other",
        });
    }
    assert_eq!(seen, ["accepted", "started", "text", "stored", "stored"]);
}

#[tokio::test]
async fn feedback_is_an_event_of_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let run = home.say("hi").await.entries[0].run.clone().unwrap();
    assert!(
        home.sessions
            .feedback(&run, FeedbackVerdict::Good, Some("nice"))
            .await
            .unwrap()
    );
    let unknown = instar_protocol::RunId::from_stored("run_x");
    assert!(
        !home
            .sessions
            .feedback(&unknown, FeedbackVerdict::Bad, None)
            .await
            .unwrap()
    );
    let filter = EventFilter {
        kind: Some("feedback".to_owned()),
        limit: 5,
        ..EventFilter::default()
    };
    let events = home.store.events(filter).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(events[0].release.is_some(), "of the release that answered");
}

#[tokio::test]
async fn a_sender_that_goes_away_while_the_store_writes_leaves_no_message_behind() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.say("first").await;
    home.script.called.notified().await;
    let mut submit = Box::pin(home.sessions.submit(home.message("second")));
    assert!(futures_util::poll!(submit.as_mut()).is_pending());
    drop(submit);
    home.script.called.notified().await;
    assert_eq!(home.script.calls(), 2);
}

#[tokio::test]
async fn a_conversation_has_a_status_from_its_first_turn_on() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let port = StoredSessions::new(
        home.store.clone(),
        home.releases.clone(),
        Arc::new(home.clock.clone()),
    );
    let first = port.status(&SessionId::from_stored("ses_new")).await;
    assert_eq!(first.unwrap()["entries"], 0);
    home.say("hi").await;
    let row = home.row().await;
    assert_eq!(port.status(&row.id).await.unwrap()["entries"], 2);
}

#[tokio::test]
async fn unknown_agents_have_no_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let mut message = home.message("hi");
    message.session_key = instar_protocol::SessionKey::parse("agent:other:main").unwrap();
    let refused = home.sessions.submit(message).await;
    assert!(matches!(
        refused,
        Err(instar_agent::SubmitError::UnknownAgent(_))
    ));
}

/// Everything of a store that may hold words, one after the other.
fn bytes_on_disk(folder: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(bytes_on_disk(&entry.path()));
        } else {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

#[tokio::test]
async fn keys_reach_neither_the_disk_nor_the_model_unless_the_owner_keeps_everything() {
    let key = format!("sk-{}", "Zk3nQ8vT1xR7mP4wL9yB2cD6");
    for (content, kept) in [("none", false), ("redacted", false), ("full", true)] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(json!({"learning": {"content": content}}));
        let home = home_with(folder.path(), config).await;
        let mut look = call("a", "look", 1);
        look.arguments = json!({});
        home.script.then(Reply::Calls(vec![look])).says("done");
        let mut ask = home.message(&format!("use {key} and ann@example.org"));
        ask.overrides.instructions = Some(format!("the key is {key}"));
        ask.overrides.preamble = vec![instar_protocol::message::Preamble::Tool {
            call_id: "x".to_owned(),
            text: key.clone(),
        }];
        outcome(home.sessions.submit(ask).await.unwrap()).await;
        assert_eq!(home.say("and now?").await.text, "echo and now?");
        let lines = home.transcript().await;
        assert_eq!(lines[0].contains(&key), kept, "{content}: {}", lines[0]);
        assert!(lines[0].contains("ann@example.org"));
        let requests = home.script.requests();
        let said: Vec<String> = requests.iter().map(|asked| format!("{asked:?}")).collect();
        assert!(
            said.iter().all(|said| said.contains(&key) == kept),
            "{content}"
        );
        let first = requests[0].messages.as_slice();
        assert_eq!(
            first,
            &requests[2].messages[..first.len()],
            "the prefix is stable"
        );
        home.store.close().await.unwrap();
        let disk = bytes_on_disk(folder.path());
        let found = disk
            .windows(key.len())
            .any(|window| window == key.as_bytes());
        assert_eq!(found, kept, "{content}");
    }
}

#[tokio::test]
async fn a_key_in_a_tool_s_result_is_masked_before_the_model_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let key = format!("ghp_{}", "Zk3nQ8vT1xR7mP4wL9yB2cD6");
    let mut look = call("a", "look", 1);
    look.arguments = json!({ key: 1 });
    home.script.then(Reply::Calls(vec![look])).says("done");
    home.say("look").await;
    let lines = home.transcript().await;
    assert!(lines[2].contains(r#"no field "[secret]""#), "{}", lines[2]);
    let last = home.script.requests().pop().unwrap();
    assert!(format!("{:?}", last.messages.last()).contains("[secret]"));
}

#[tokio::test]
async fn the_first_message_of_a_conversation_of_its_own_is_answered_and_stored_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let key = SessionKey::under(&AgentId::main(), &["openai", "one"]).unwrap();
    let first = inbound(&home.clock, &key, "hello");
    let id = first.id.clone();
    let submitted = home.sessions.submit_first(first).await.unwrap();
    let stored = home.store.inbound(&id).await.unwrap();
    assert!(stored.is_some(), "durable when the sender hears of it");
    assert_eq!(outcome(submitted).await.text, "echo hello");
    let row = home.store.session_by_key(&key).await.unwrap().unwrap();
    assert_eq!(row.entries, 2);
    let again = inbound(&home.clock, &key, "more");
    let more = home.sessions.submit(again).await.unwrap();
    assert_eq!(outcome(more).await.text, "echo more");
    let row = home.store.session_by_key(&key).await.unwrap().unwrap();
    assert_eq!(row.entries, 4, "the conversation goes on");
}

#[tokio::test]
async fn a_turn_that_began_early_runs_no_tool_when_the_store_refuses_its_message() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let key = SessionKey::under(&AgentId::main(), &["openai", "one"]).unwrap();
    home.script.then(Reply::Calls(vec![call("a", "look", 1)]));
    home.store.close().await.unwrap();
    let first = inbound(&home.clock, &key, "look");
    assert!(home.sessions.submit_first(first).await.is_err());
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while home.sessions.running() > 0 || home.script.calls() == 0 {
        assert!(tokio::time::Instant::now() < end, "the turn ends");
        tokio::task::yield_now().await;
    }
    assert_eq!(home.script.calls(), 1, "the model was asked meanwhile");
    assert_eq!(home.begun.available_permits(), 0, "the tool did not run");
}
