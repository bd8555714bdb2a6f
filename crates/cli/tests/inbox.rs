//! The owner's inbox through the built binary: questions in words and messages, on every face.

use instar_demo::{Answer, Script, Step, When};
use serde_json::{Value, json};

use crate::browser::{Browser, link};
use crate::support::socket::{Key, Socket, hello};
use crate::support::{Instar, Setup, until};
use crate::tools::{calling, said};

const QUESTION: &str = "Which day <b>suits</b> you?";

fn rows() -> [(&'static str, &'static str, Value); 3] {
    [
        (
            "plan the trip",
            "ask_owner",
            json!({ "question": QUESTION, "options": ["Monday", "Friday"] }),
        ),
        (
            "remind me",
            "message",
            json!({ "to": "owner", "text": "The tea is ready." }),
        ),
        (
            "write to bob",
            "message",
            json!({ "to": "bob", "text": "The tea is ready." }),
        ),
    ]
}

fn script() -> Script {
    let goes_on = When {
        contains: vec!["on Sunday".to_owned(), "the owner picked".to_owned()],
        ..When::default()
    };
    let heard = Answer::of([Step::Text("I heard: {{text}}".to_owned())]);
    let mut script = Script::default().rule(goes_on, heard);
    script.rules.append(&mut calling(&rows()).rules);
    script
}

fn start(wait: u32) -> Instar {
    let policy = json!({ "posture": "open", "askWaitSeconds": wait });
    Instar::start(Setup::scripted(script()).config(json!({ "policy": policy })))
}

fn open(instar: &Instar) -> Vec<Value> {
    let listed = instar.run(["inbox", "list", "--json"]).json();
    listed["letters"].as_array().unwrap().clone()
}

fn letter(instar: &Instar) -> String {
    let one = until("a letter", || open(instar).pop());
    one["id"].as_str().unwrap().to_owned()
}

/// The entry of a message of the conversation that says this.
fn entry(instar: &Instar, session: &str, text: &str) -> Value {
    until(text, || {
        let mut entries = instar.entries(session).into_iter();
        entries.find(|entry| {
            entry["body"]["type"] == "user" && entry["body"]["parts"].to_string().contains(text)
        })
    })
}

/// The last words of the agent, once they hold this.
fn answered(instar: &Instar, session: &str, text: &str) {
    until(text, || {
        let entries = instar.entries(session);
        let found = entries.iter().any(|entry| {
            entry["body"]["type"] == "assistant" && entry["body"]["text"].to_string().contains(text)
        });
        found.then_some(())
    });
}

#[test]
fn a_question_waits_through_a_restart_and_what_the_owner_types_is_his_message() {
    let mut instar = start(0);
    let told = said(&instar, "plan the trip");
    assert!(told.contains("has not answered yet"), "{told}");
    let id = letter(&instar);
    let again = said(&instar, "plan the trip once more");
    assert!(
        again.contains("has not answered yet"),
        "the same question: {again}"
    );
    assert_eq!(open(&instar).len(), 1);

    instar.restart();
    let shown = instar.run(["inbox", "show", &id]);
    for part in ["in its own words", QUESTION, "option 2", "Friday"] {
        assert!(shown.stdout.contains(part), "{part}: {shown:?}");
    }
    // The API token is what other clients hold: it is not the owner's word.
    let path = format!("/api/v1/inbox/{id}/answer");
    let refused = instar.http.post(&path, &json!({ "text": "on Sunday" }));
    assert_eq!(refused.status, 403);
    let no_approval = instar.run(["approvals", "approve", &id]);
    assert_ne!(no_approval.code, 0, "{no_approval:?}");
    let wrong = instar.run(["inbox", "answer", &id, "--option", "3"]);
    assert!(wrong.stderr.contains("1 to 2"), "{wrong:?}");
    let yes = instar.run(["inbox", "answer", &id, "on Sunday"]);
    assert_eq!(yes.code, 0, "{yes:?}");
    let twice = instar.run(["inbox", "answer", &id, "on Monday"]);
    assert_eq!(twice.code, 5, "an answer is given once: {twice:?}");

    let entry = entry(&instar, "main", "on Sunday");
    let owner = json!({ "kind": "owner", "via": "local" });
    assert_eq!(entry["body"]["principal"], owner, "{entry:#}");
    assert_eq!(entry["label"]["origins"], json!(["owner"]), "{entry:#}");
    answered(&instar, "main", "I heard: on Sunday");
    let listed = instar.run(["inbox", "list", "--all"]);
    assert!(listed.stdout.contains("answered"), "{listed:?}");
}

#[test]
fn a_turn_that_waits_goes_on_with_the_answer_that_was_picked_which_is_no_word_of_the_owner_s() {
    let instar = start(120);
    std::thread::scope(|threads| {
        let turn = threads.spawn(|| said(&instar, "plan the trip"));
        let id = letter(&instar);
        let picked = instar.run(["inbox", "answer", &id, "--option", "2"]);
        assert_eq!(picked.code, 0, "{picked:?}");
        let told = turn.join().unwrap();
        assert!(told.starts_with("I heard: [From the gateway]"), "{told}");
    });
    let entry = entry(&instar, "main", "Friday");
    let answer = json!({ "kind": "automation", "source": "answer" });
    assert_eq!(entry["body"]["principal"], answer, "{entry:#}");
    let entries = instar.entries("main");
    let turns = entries
        .iter()
        .filter(|entry| entry["body"]["type"] == "user");
    assert_eq!(
        turns.count(),
        2,
        "one turn, with the answer in it: {entries:#?}"
    );
}

#[test]
fn a_message_is_left_in_the_owner_s_inbox_and_nobody_else_is_reached() {
    let instar = start(0);
    let told = said(&instar, "remind me");
    assert!(
        told.starts_with("it is in the owner's inbox as let_"),
        "{told}"
    );
    let listed = instar.run(["inbox", "list"]);
    assert!(listed.stdout.contains("main tells"), "{listed:?}");
    assert!(listed.stdout.contains("The tea is ready."), "{listed:?}");
    let mut terminal =
        crate::support::terminal::Terminal::start(&instar.command(&[], &["chat".to_owned()]));
    terminal.shows("a letter waits: `instar inbox show let_");
    drop(terminal);
    let id = letter(&instar);
    assert_ne!(instar.run(["inbox", "answer", &id, "thanks"]).code, 0);
    assert_eq!(instar.run(["inbox", "close", &id]).code, 0);
    assert!(open(&instar).is_empty());
    let told = said(&instar, "write to bob");
    assert!(told.contains("nobody can be reached as \"bob\""), "{told}");
    assert!(told.contains("no channel is configured"), "{told}");
}

/// What a client hears of questions until its next answer comes: everything told before is read first.
fn heard(socket: &mut Socket) -> Vec<(String, Value)> {
    let last = json!({ "type": "req", "id": "last", "method": "health", "params": {} });
    socket.send(last.to_string().as_bytes());
    let mut heard = Vec::new();
    loop {
        let frame = socket.read().unwrap();
        if frame["id"] == "last" {
            return heard;
        }
        let name = frame["event"].as_str().unwrap_or_default();
        if name.starts_with("question.") {
            heard.push((name.to_owned(), frame["payload"].clone()));
        }
    }
}

/// The next event of this name.
fn event(socket: &mut Socket, name: &str) -> Value {
    loop {
        let frame = socket.read().unwrap();
        if frame["event"] == name {
            return frame["payload"].clone();
        }
    }
}

#[test]
fn questions_are_told_to_clients_that_may_see_them_and_to_nobody_else() {
    let instar = start(0);
    let let_in = |seed: u8, scopes: &[&str]| {
        let key = Key::new(seed);
        assert!(key.connect(&instar, hello(scopes)).1.is_err());
        assert_eq!(instar.run(["devices", "approve"]).code, 0);
        let (socket, answered) = key.connect(&instar, hello(scopes));
        answered.unwrap();
        socket
    };
    let mut clerk = let_in(1, &["operator.questions"]);
    let mut writer = let_in(2, &["operator.read", "operator.write"]);
    let mut approver = let_in(3, &["operator.approvals"]);
    let (mut token, answered) = Socket::connect(&instar, &hello(&["operator.questions"]));
    answered.unwrap();

    let _asked = instar.ask("main", "plan the trip");
    let id = letter(&instar);
    let asked = event(&mut clerk, "question.requested");
    assert_eq!(asked["id"], id.as_str(), "{asked:#}");
    assert_eq!(asked["status"], "pending", "{asked:#}");
    let shown = &asked["questions"][0];
    assert_eq!(shown["question"], QUESTION, "{asked:#}");
    assert_eq!(shown["options"][1]["label"], "Friday", "{asked:#}");
    // A message asks nothing: the next event is of the question again.
    let _left = instar.ask("main", "remind me");
    let picked = instar.run(["inbox", "answer", &id, "--option", "2"]);
    assert_eq!(picked.code, 0, "{picked:?}");
    let settled = event(&mut clerk, "question.resolved");
    assert_eq!(settled["id"], id.as_str(), "{settled:#}");
    assert_eq!(settled["status"], "answered", "{settled:#}");
    assert_eq!(settled["answers"]["answers"]["q1"], json!(["Friday"]));
    assert_eq!(heard(&mut clerk), []);
    // The clerk has heard both, so they were told before this.
    for socket in [&mut writer, &mut approver, &mut token] {
        assert_eq!(heard(socket), []);
        let refused = socket.ask("question.list", &json!({})).unwrap_err();
        assert_eq!(refused["message"], "missing scope: operator.questions");
    }
}

/// Every answer is checked against the published schema on its way.
#[test]
fn questions_in_words_have_the_shapes_of_the_published_protocol() {
    let instar = start(0);
    let mut ids = Vec::new();
    for session in ["main", "agent:main:web:two", "agent:main:web:three"] {
        let _asked = instar.ask(session, "plan the trip");
        let known: Vec<String> = ids.clone();
        let new = open(&instar).into_iter().find_map(|one| {
            let id = one["id"].as_str().unwrap().to_owned();
            (!known.contains(&id)).then_some(id)
        });
        ids.push(new.unwrap());
    }
    let _left = instar.ask("main", "remind me");
    let calls = json!([
        ["question.list", {}],
        ["question.get", { "id": ids[0] }],
        ["question.resolve", { "id": ids[0], "answers": { "answers": { "q1": ["Friday"] } } }],
        ["question.resolve", { "id": ids[1], "answers": { "answers": { "q1": ["on Sunday"] } } }],
        ["question.resolve", { "id": ids[2], "cancel": true }],
        ["question.waitAnswer", { "id": ids[1], "timeoutMs": 1_000 }],
        ["question.get", { "id": ids[2] }],
        ["question.list", {}],
        ["question.resolve", { "id": ids[0], "cancel": true }],
    ]);
    let Some((answers, all)) = crate::peers::call_all(&instar, &calls) else {
        return;
    };
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(answer.get("refused").is_some(), at == 8, "{at}: {answer:#}");
    }
    let count = |at: usize| answers[at]["questions"].as_array().unwrap().len();
    assert_eq!((count(0), count(7)), (3, 0), "{:#}", answers[0]);
    assert_eq!(answers[5]["answers"]["answers"]["q1"], json!(["on Sunday"]));
    assert_eq!(answers[6]["question"]["status"], "cancelled");
    let named = all["found"]["hello"]["features"].to_string();
    assert!(named.contains("question.requested"), "{named}");
    // The words of an option pick it; others are the owner's.
    let picked = entry(&instar, "main", "Friday");
    assert_eq!(
        picked["body"]["principal"]["kind"], "automation",
        "{picked:#}"
    );
    let typed = entry(&instar, "agent:main:web:two", "on Sunday");
    assert_eq!(typed["body"]["principal"]["kind"], "owner", "{typed:#}");
}

#[test]
fn letters_are_seen_counted_and_answered_in_the_browser() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = start(0);
    let _asked = instar.ask("main", "plan the trip");
    let _asked = instar.ask("agent:main:web:two", "plan the trip");
    let _left = instar.ask("main", "remind me");
    let shots = std::env::var("INSTAR_TEST_SHOTS").ok();
    let more = json!({ "shots": shots });
    let found = browser.run("letters.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["before"], json!([3, "3"]), "{found}");
    assert!(
        found["card"].as_str().unwrap().contains(QUESTION),
        "{found}"
    );
    assert_eq!(
        found["markup"], 0,
        "text of a model became an element: {found}"
    );
    assert_eq!(found["faults"], json!([]), "{found:#}");
    assert_eq!(found["wide"], json!([]), "{found:#}");
    assert_eq!(found["typed"], json!([2, "2"]), "{found}");
    assert_eq!(found["plain"], json!([1, "1"]), "without a script: {found}");
    assert_eq!(found["read"], 0, "{found}");
    let typed = instar
        .entries("main")
        .into_iter()
        .chain(instar.entries("agent:main:web:two"));
    let kinds: Vec<String> = typed
        .filter(|entry| entry["body"]["surface"] == "inbox")
        .map(|entry| entry["body"]["principal"]["kind"].to_string())
        .collect();
    assert!(kinds.contains(&"\"owner\"".to_owned()), "{kinds:?}");
    assert!(kinds.contains(&"\"automation\"".to_owned()), "{kinds:?}");
}
