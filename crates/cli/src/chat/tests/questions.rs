//! Questions are read to their end before they are answered, and each answer is meant for what was shown.

use crossterm::event::KeyCode;
use instar_protocol::Timestamp;
use instar_protocol::approvals::{OwnersWord, ShownQuestion};
use serde_json::json;

use super::super::state::{Effect, Message};
use super::{Client, HOSTILE};

fn question(number: u64, text: &str, always: Option<&str>) -> ShownQuestion {
    serde_json::from_value(json!({
        "id": format!("ask_{number}"), "digest": format!("{number:064x}"), "state": "open",
        "session": "agent:main:main", "agent": "main", "run": "run_1", "askedFor": "owner",
        "tool": "message", "effect": "send", "call": format!("{{ \"text\": \"{text}\" }}"),
        "arguments": [{ "path": "text", "text": text, "grade": "G0", "origin": "stranger" }],
        "touches": [], "why": ["send.stranger"], "context": "stranger", "always": always,
        "askedAt": 1, "expiresAt": 90_000_000,
    }))
    .unwrap()
}

fn open(client: &mut Client, questions: &[ShownQuestion]) {
    let told = client.tell(Message::Questions {
        open: questions.to_vec(),
        now: Timestamp::from_millis(2),
    });
    assert_eq!(told, []);
}

fn answer(question: &ShownQuestion, word: OwnersWord) -> Effect {
    let question = Box::new(question.clone());
    Effect::Answer { question, word }
}

#[test]
fn a_question_is_read_to_its_end_before_it_is_answered() {
    let mut client = Client::new(60, 12);
    client.tell(Message::Waiting(vec!["ask_1".to_owned()]));
    client.shows("a question waits: F3 shows it");
    assert_eq!(client.press(KeyCode::F(3)), [Effect::Questions]);
    client.shows("asking the gateway");
    let long = question(1, &format!("{HOSTILE} {}", "word ".repeat(200)), None);
    open(&mut client, std::slice::from_ref(&long));
    client.shows("May main run this?");
    client.shows("PgDn shows the rest, n no");
    assert_eq!(client.press(KeyCode::Char('y')), [], "not read yet");
    for _ in 0..60 {
        assert_eq!(client.press(KeyCode::PageDown), []);
        client.screen();
    }
    client.shows("digest ");
    client.shows("y yes, once, n no");
    assert_eq!(client.press(KeyCode::Char('a')), [], "nothing is offered");
    let yes = client.press(KeyCode::Char('y'));
    assert_eq!(yes, [answer(&long, OwnersWord::Once)]);
    let told = Message::Answered("yes, once: message may run".to_owned());
    assert_eq!(client.tell(told), [Effect::Questions]);
    client.shows("yes, once: message may run");
    for _ in 0..2 {
        open(&mut client, &[]);
        client.shows("That question is settled. Nothing else waits for you.");
    }
    // What is typed here is said to nobody.
    assert_eq!(client.press(KeyCode::Char('x')), []);
    assert_eq!(client.press(KeyCode::Esc), []);
    assert_eq!(client.state.input.text(), "");
    client.shows("Nothing was said here yet");
}

#[test]
fn an_answer_is_for_the_question_that_was_shown_and_for_no_other() {
    let mut client = Client::new(90, 40);
    client.press(KeyCode::F(3));
    let rule = "message to bob, each time";
    let two = [question(1, "one", None), question(2, "two", Some(rule))];
    open(&mut client, &two);
    client.shows("Question 1 of 2");
    // It is answered elsewhere while a finger is on its way.
    for _ in 0..2 {
        open(&mut client, &two[1..]);
        client.shows("That question is settled. Tab shows the next.");
    }
    assert_eq!(client.press(KeyCode::Char('y')), []);
    client.press(KeyCode::Tab);
    client.shows("Question 1 of 1");
    client.shows("y yes, once, a always, n no");
    assert_eq!(client.press(KeyCode::Char('a')), []);
    client.shows(rule);
    client.shows("y keeps this rule, any other key does not");
    assert_eq!(client.press(KeyCode::Char('n')), [], "this is no answer");
    client.shows("Question 1 of 1 · y yes, once");
    let no = client.press(KeyCode::Char('n'));
    assert_eq!(no, [answer(&two[1], OwnersWord::No)]);
    client.press(KeyCode::Char('a'));
    client.screen();
    let kept = client.press(KeyCode::Char('y'));
    assert_eq!(kept, [answer(&two[1], OwnersWord::Always)]);
}
