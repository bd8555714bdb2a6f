//! The transcript as a tree, through the built binary: another answer, a message written anew, the
//! other branches, a conversation of its own; over the HTTP API, the command line, the socket, and
//! a `kill -9` between the message and its answer.

use instar_demo::{Answer, Rule, Script, Step, When};
use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{Instar, Setup, is_echo, until};

/// A model that counts its answers.
fn counting() -> Script {
    Script {
        otherwise: Answer::text("answer {{call}}"),
        ..Script::default()
    }
}

/// What was said on the branch that is open, oldest first.
fn shown(instar: &Instar) -> Vec<String> {
    instar.entries("main").iter().map(text_of).collect()
}

fn text_of(entry: &Value) -> String {
    let body = &entry["body"];
    let text = match body["type"].as_str() {
        Some("user") => &body["parts"][0]["text"],
        _ => &body["text"],
    };
    text.as_str().unwrap_or_default().to_owned()
}

/// Sends a request that is answered as a stream, and waits for its end.
#[track_caller]
fn done(instar: &Instar, path: &str, body: &Value) -> Value {
    let mut stream = instar.http.stream("POST", path, Some(body)).unwrap();
    while let Some(event) = stream.next() {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        if data["type"] == "done" {
            return data["outcome"].clone();
        }
    }
    panic!("{path} {body} ended without an outcome");
}

const RETRY: &str = "/api/v1/sessions/main/retry";
const SWITCH: &str = "/api/v1/sessions/main/switch";

#[test]
fn a_message_is_answered_once_more_or_written_anew_and_every_branch_can_be_gone_back_to() {
    let instar = Instar::start(Setup::scripted(counting()));
    for text in ["first", "second"] {
        let _outcome = instar.ask("main", text);
    }
    let before = instar.entries("main");
    let outcome = done(&instar, RETRY, &json!({ "entry": before[3]["id"] }));
    assert_eq!(outcome["text"], "answer 3");
    assert_eq!(shown(&instar), ["first", "answer 1", "second", "answer 3"]);
    let edit = json!({ "text": "second, better", "parent": before[1]["id"] });
    assert_eq!(done(&instar, "/api/v1/messages", &edit)["text"], "answer 4");
    let root = json!({ "text": "another beginning", "parent": null });
    assert_eq!(done(&instar, "/api/v1/messages", &root)["text"], "answer 5");
    assert_eq!(shown(&instar), ["another beginning", "answer 5"]);

    let list = instar
        .http
        .get("/api/v1/sessions/main/branches")
        .expect(200);
    let branches = list["branches"].as_array().unwrap();
    let told: Vec<(&str, u64, bool)> = branches
        .iter()
        .map(|branch| {
            let headline = branch["headline"].as_str().unwrap();
            let messages = branch["messages"].as_u64().unwrap();
            (headline, messages, branch["active"].as_bool().unwrap())
        })
        .collect();
    let expected = [
        ("another beginning", 2, true),
        ("second, better", 4, false),
        ("second", 4, false),
        ("second", 4, false),
    ];
    assert_eq!(told, expected);
    for (leaf, last) in [(3, "answer 2"), (2, "answer 3"), (1, "answer 4")] {
        let to = json!({ "entry": branches[leaf]["leaf"] });
        let done = instar.http.post(SWITCH, &to).expect(200);
        assert_eq!(done, json!({ "ok": true, "changed": true }));
        assert_eq!(shown(&instar).last().unwrap(), last);
    }
    // The window tells where the open branch could go another way.
    let detail = instar.http.get("/api/v1/sessions/main").expect(200);
    let forks = detail["forks"].as_array().unwrap();
    let counts: Vec<usize> = forks
        .iter()
        .map(|fork| fork["children"].as_array().unwrap().len())
        .collect();
    assert_eq!((counts, &forks[0]["parent"]), (vec![2, 2], &Value::Null));
    let filter = "/api/v1/events?kind=branch&limit=10";
    assert_eq!(
        instar
            .http
            .get(filter)
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        6
    );
}

#[test]
fn a_place_that_is_not_in_the_conversation_is_refused_and_nothing_is_stored() {
    let instar = Instar::start(Setup::default());
    let _outcome = instar.ask("main", "hello");
    let _outcome = instar.ask("agent:main:other", "hello");
    let foreign = instar.entries("agent:main:other")[1]["id"].clone();
    let own = instar.entries("main")[1]["id"].clone();
    let send = "/api/v1/messages";
    let fork = "/api/v1/sessions/main/fork";
    let missing = "/api/v1/sessions/agent:main:nobody/retry";
    for (path, body, status) in [
        (send, json!({ "text": "x", "parent": foreign }), 404),
        (send, json!({ "text": "x", "parent": "ent_none" }), 404),
        (send, json!({ "text": "x", "parent": 7 }), 400),
        (send, json!({ "text": "/new", "parent": own }), 400),
        (
            send,
            json!({ "text": "x", "place": { "at": "under" } }),
            400,
        ),
        (send, json!({ "text": "x", "attachmentsOf": foreign }), 404),
        (send, json!({ "text": "x", "attachmentsOf": own }), 400),
        (RETRY, json!({ "entry": foreign }), 404),
        (RETRY, json!({ "entry": null }), 400),
        (RETRY, json!({ "entry": own, "principal": "owner" }), 400),
        (RETRY, json!({ "entry": own, "model": "no/model" }), 400),
        (missing, json!({ "entry": own }), 404),
        (SWITCH, json!({ "entry": foreign }), 404),
        (SWITCH, json!({}), 400),
        (fork, json!({ "entry": foreign }), 404),
        (fork, json!({ "entry": own, "key": "main" }), 400),
    ] {
        let answer = instar.http.post(path, &body);
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
    }
    let path = "/api/v1/sessions/main/branches?limit=0";
    assert_eq!(instar.http.get(path).status, 400);
    assert_eq!(instar.entries("main").len(), 2);
    assert_eq!(instar.entries("agent:main:other").len(), 2);
}

#[test]
fn killed_between_a_message_written_anew_and_its_answer_it_is_answered_in_its_place() {
    let slow = Rule {
        when: When {
            contains: vec!["better".to_owned()],
            ..When::default()
        },
        times: Some(1),
        answer: Answer {
            say: vec![Step::Text("begins ".to_owned()), Step::Pause(600_000)],
            ..Answer::default()
        },
    };
    let script = Script {
        rules: vec![slow],
        ..crate::support::echo()
    };
    let mut instar = Instar::start(Setup::scripted(script));
    for text in ["first", "second"] {
        instar.chat(text);
    }
    let before = instar.entries("main");
    let edit = json!({ "text": "second, better", "parent": before[1]["id"] });
    let mut stream = instar
        .http
        .stream("POST", "/api/v1/messages", Some(&edit))
        .unwrap();
    while !stream.next().unwrap().data.contains("begins") {}
    let _stopped = instar.kill9();
    instar.launch();
    let after = until("the answer after the restart", || {
        let entries = instar.entries("main");
        (entries[..2] == before[..2] && entries != before && entries.len() == 4).then_some(entries)
    });
    assert_eq!(text_of(&after[2]), "second, better");
    assert!(
        is_echo(&json!(text_of(&after[3])), "second, better"),
        "{after:?}"
    );
    let list = instar
        .http
        .get("/api/v1/sessions/main/branches")
        .expect(200);
    assert_eq!(list["branches"].as_array().unwrap().len(), 2, "{list}");
    let to = json!({ "entry": before[3]["id"] });
    let _done = instar.http.post(SWITCH, &to).expect(200);
    assert_eq!(
        instar.entries("main"),
        before,
        "what was said before is all there"
    );
}

#[test]
fn branches_are_listed_gone_over_to_and_made_conversations_on_the_command_line() {
    let mut instar = Instar::start(Setup::scripted(counting()));
    for text in ["first", "second"] {
        let _outcome = instar.ask("main", text);
    }
    let again = instar.run(["sessions", "retry", "main"]);
    assert_eq!(
        (again.code, again.stdout.trim()),
        (0, "answer 3"),
        "{again:?}"
    );
    let list = instar.run(["sessions", "branches", "main"]);
    let active: Vec<&str> = list
        .stdout
        .lines()
        .filter(|line| line.contains('*'))
        .collect();
    assert_eq!(active.len(), 1, "{list:?}");
    let found = instar
        .run(["sessions", "branches", "main", "--json"])
        .json();
    let other = found["branches"][1]["leaf"].as_str().unwrap();
    let over = instar.run(["sessions", "switch", "main", other]);
    assert_eq!(over.code, 0, "{over:?}");
    assert_eq!(shown(&instar), ["first", "answer 1", "second", "answer 2"]);
    let fork = instar
        .run(["sessions", "fork", "main", other, "--json"])
        .json();
    let key = fork["key"].as_str().unwrap();
    let copy: Vec<String> = instar.entries(key).iter().map(text_of).collect();
    assert_eq!(copy, shown(&instar));
    let _outcome = instar.ask(key, "only here");
    assert_eq!((instar.entries(key).len(), shown(&instar).len()), (6, 4));
    let begin = instar.run(["sessions", "rewind", "main", "root"]);
    assert_eq!(begin.code, 0, "{begin:?}");
    assert!(shown(&instar).is_empty());
    // Reading needs no gateway.
    let _stopped = instar.terminate();
    let list = instar
        .run(["sessions", "branches", "main", "--json"])
        .json();
    assert_eq!(list["branches"].as_array().unwrap().len(), 2, "{list}");
}

#[test]
fn clients_of_the_control_plane_list_switch_rewind_and_fork() {
    let instar = Instar::start(Setup::scripted(counting()));
    for text in ["first", "second"] {
        let _outcome = instar.ask("main", text);
    }
    let before = instar.entries("main");
    let first = json!({ "sessionKey": "main", "entryId": before[0]["id"] });
    let second = json!({ "sessionKey": "main", "entryId": before[2]["id"] });
    let answer = json!({ "sessionKey": "main", "entryId": before[3]["id"] });
    let unknown = json!({ "sessionKey": "main", "leafEntryId": "ent_none" });
    let end = json!({ "sessionKey": "main", "leafEntryId": "$1.branches.0.leafEntryId" });
    let main = json!({ "sessionKey": "main" });
    let calls = json!([
        ["sessions.rewind", first],
        ["sessions.branches.list", main],
        ["sessions.branches.switch", end],
        ["sessions.branches.switch", unknown],
        ["sessions.fork", second],
        ["sessions.fork", answer],
        ["sessions.branches.list", { "sessionKey": "nobody" }],
        ["sessions.rewind", answer],
    ]);
    let Some((answers, _)) = crate::peers::call_all(&instar, &calls) else {
        return;
    };
    assert_eq!(answers[0], json!({ "editorText": "first" }));
    let branch = &answers[1]["branches"][0];
    let told = (
        &branch["headline"],
        &branch["messageCount"],
        &branch["active"],
    );
    assert_eq!(told, (&json!("second"), &json!(4), &json!(false)));
    assert_eq!(answers[2], json!({}));
    assert!(answers[3]["refused"].is_object(), "{:#}", answers[3]);
    assert_eq!(instar.entries("main"), before);
    assert_eq!(answers[4]["editorText"], "second");
    assert_eq!(answers[5].get("editorText"), None);
    let copied = |answer: &Value| -> Vec<String> {
        let key = answer["sessionKey"].as_str().unwrap();
        instar.entries(key).iter().map(text_of).collect()
    };
    assert_eq!(copied(&answers[4]), ["first", "answer 1"]);
    assert_eq!(copied(&answers[5]), shown(&instar));
    assert_eq!(answers[6], json!({ "branches": [] }));
    assert!(answers[7]["refused"].is_object(), "{:#}", answers[7]);
}

#[test]
fn the_terminal_asks_for_another_answer_writes_the_last_message_anew_and_goes_between() {
    let instar = Instar::start(Setup::scripted(counting()));
    let _outcome = instar.ask("main", "hello");
    let args = ["chat".to_owned()];
    let mut terminal = Terminal::start(&instar.command(&[], &args));
    terminal.shows("answer 1");
    // Ctrl-R and Ctrl-G.
    terminal.keys("\u{12}");
    terminal.shows("answer 2");
    terminal.keys("\u{7}");
    terminal.shows("Esc leaves it as it is");
    terminal.keys(", better\r");
    terminal.shows("answer 3");
    until("both ways are stored", || {
        (shown(&instar) == ["hello, better", "answer 3"]).then_some(())
    });
    let list = instar
        .http
        .get("/api/v1/sessions/main/branches")
        .expect(200);
    assert_eq!(list["branches"].as_array().unwrap().len(), 3, "{list}");
    // The branch before, and this one again: Alt-Up and Alt-Down.
    terminal.keys("\u{1b}[1;3A");
    until("the first form stands again", || {
        (shown(&instar) == ["hello", "answer 2"]).then_some(())
    });
    terminal.shows("branch 2 of 3");
    terminal.shows("answer 2");
    terminal.keys("\u{1b}[1;3B");
    until("and the second", || {
        (shown(&instar) == ["hello, better", "answer 3"]).then_some(())
    });
    terminal.keys("\u{4}");
    let (_, ended) = terminal.end();
    assert!(ended.success(), "{ended:?}");
}
