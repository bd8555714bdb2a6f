//! The client without a gateway and without a terminal: messages in, a screen and wishes out.

mod branches;
mod questions;

use crossterm::event::{
    Event as Input, KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind,
};
use instar_protocol::Timestamp;
use instar_protocol::api::{SessionDetail, SessionList};
use instar_protocol::live::LiveEvent;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::lines::Theme;
use super::state::{Effect, Link, Message, ModelRow, State};
use super::update::update;
use super::view::draw;

const KEY: &str = "agent:main:main";
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}evil";

struct Client {
    state: State,
    terminal: Terminal<TestBackend>,
    colour: bool,
}

impl Client {
    fn new(columns: u16, rows: u16) -> Self {
        let mut client = Self {
            state: State::new(KEY.to_owned(), 1),
            terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(),
            colour: false,
        };
        let wanted = client.tell(Message::Up {
            key: KEY.to_owned(),
        });
        assert_eq!(wanted, [Effect::Load(KEY.to_owned()), Effect::Ask]);
        client
    }

    fn tell(&mut self, message: Message) -> Vec<Effect> {
        update(&mut self.state, message)
    }

    fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.press_with(code, KeyModifiers::NONE)
    }

    fn press_with(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
        self.tell(Message::Input(Input::Key(KeyEvent::new(code, modifiers))))
    }

    fn control(&mut self, letter: char) -> Vec<Effect> {
        self.press_with(KeyCode::Char(letter), KeyModifiers::CONTROL)
    }

    fn type_in(&mut self, text: &str) {
        for c in text.chars() {
            assert_eq!(self.press(KeyCode::Char(c)), []);
        }
    }

    fn live(&mut self, event: Value) -> Vec<Effect> {
        let event: LiveEvent = serde_json::from_value(event).unwrap();
        self.tell(Message::Live {
            key: KEY.to_owned(),
            event: Box::new(event),
        })
    }

    fn load(&mut self, bodies: &[Value]) {
        let detail = detail(bodies);
        self.tell(Message::Loaded {
            key: KEY.to_owned(),
            detail: Some(Box::new(detail)),
        });
    }

    /// The screen's lines. Nothing on it may drive a terminal.
    fn screen(&mut self) -> String {
        let theme = Theme {
            colour: self.colour,
        };
        let state = &mut self.state;
        let drawn = self
            .terminal
            .draw(|frame| draw(frame, state, theme))
            .unwrap();
        let columns = usize::from(drawn.area.width);
        let cells: Vec<&str> = drawn
            .buffer
            .content
            .iter()
            .map(|cell| cell.symbol())
            .collect();
        let lines: Vec<String> = cells
            .chunks(columns)
            .map(|row| row.concat().trim_end().to_owned())
            .collect();
        let text = lines.join("\n");
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
        text
    }

    #[track_caller]
    fn shows(&mut self, words: &str) {
        let screen = self.screen();
        assert!(screen.contains(words), "no {words:?} in\n{screen}");
    }

    #[track_caller]
    fn hides(&mut self, words: &str) {
        let screen = self.screen();
        assert!(!screen.contains(words), "{words:?} in\n{screen}");
    }
}

fn detail(bodies: &[Value]) -> SessionDetail {
    let label = serde_json::to_value(instar_protocol::Label::owner()).unwrap();
    let entries: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| {
            json!({ "id": format!("ent_{at}"), "parent": null, "session": "ses_1", "at": 1,
                "label": label, "body": body })
        })
        .collect();
    serde_json::from_value(json!({
        "session": session(KEY, "A title"), "entries": entries, "truncated": false,
    }))
    .unwrap()
}

fn session(key: &str, title: &str) -> Value {
    json!({ "id": "ses_1", "key": key, "agent": "main", "title": title, "createdAt": 1,
        "updatedAt": 2, "model": null, "entries": 3, "inputTokens": 1, "outputTokens": 2,
        "costMicros": 0, "running": false, "deleted": false })
}

fn user(text: &str) -> Value {
    json!({ "type": "user", "parts": [{ "type": "text", "text": text }], "surface": "cli",
        "principal": serde_json::to_value(instar_protocol::Principal::Owner {
            via: instar_protocol::principal::Via::Local }).unwrap() })
}

fn agent(text: &str) -> Value {
    json!({ "type": "assistant", "text": text, "model": "scripted/x", "stop": "stop",
        "reasoning": { "text": "because of reasons" }, "cost_micros": 12_000,
        "tool_calls": [{ "id": "c1", "name": "session_status", "arguments": { "depth": 2 } }],
        "usage": { "input_tokens": 11, "output_tokens": 7, "cache_read_tokens": 0,
            "cache_write_tokens": 0, "reasoning_tokens": 0 } })
}

fn refused() -> Value {
    json!({ "type": "tool_result", "call_id": "c1", "tool": "session_status", "text": "the result",
        "is_error": true, "decision": { "decision": "denied", "rule": "r7", "reason": "not today" } })
}

#[test]
fn an_answer_streams_and_is_then_read_from_the_store() {
    let mut client = Client::new(80, 20);
    client.shows("Nothing was said here yet");
    client.type_in("hello");
    let wanted = client.press(KeyCode::Enter);
    let send = Effect::Send {
        key: KEY.to_owned(),
        text: "hello".to_owned(),
        number: 1,
    };
    assert_eq!(wanted, [send]);
    client.shows("› hello");
    let wanted = client.live(json!({ "type": "started", "run": "run_1", "inbound": ["inb_1"] }));
    assert_eq!(wanted, [Effect::Load(KEY.to_owned())]);
    client.live(json!({ "type": "text", "run": "run_1", "delta": "one " }));
    client.live(json!({ "type": "text", "run": "run_1", "delta": "two" }));
    client.shows("one two");
    client.shows("Esc stops");
    assert_eq!(client.press(KeyCode::Esc), [Effect::Stop(KEY.to_owned())]);
    client.tell(Message::Accepted {
        number: 1,
        inbound: instar_protocol::InboundId::from_stored("inb_1"),
    });
    client.state.turn.as_mut().unwrap().over = true;
    client.state.loads = 1;
    client.load(&[user("hello"), agent("one two three"), refused()]);
    client.shows("one two three");
    client.shows("scripted/x · 11 in, 7 out · $0.01");
    assert!(client.state.sent.is_empty() && client.state.turn.is_none());
}

#[test]
fn tools_and_reasoning_are_folded_with_their_decision() {
    let mut client = Client::new(90, 24);
    client.load(&[user("go"), agent("done"), refused()]);
    client.shows("▸ session_status  refused: not today (rule r7)");
    client.shows("▸ reasoning: because");
    client.hides("the result");
    client.control('t');
    client.shows("│ the result");
    client.shows("{\"depth\":2}");
}

#[test]
fn hostile_text_reaches_no_part_of_the_screen() {
    let mut client = Client::new(100, 40);
    client.load(&[user(HOSTILE), agent(HOSTILE), refused()]);
    client.live(json!({ "type": "started", "run": HOSTILE, "inbound": [] }));
    for (kind, field) in [("text", "delta"), ("reasoning", "delta")] {
        client.live(json!({ "type": kind, "run": HOSTILE, field: HOSTILE }));
    }
    client.live(json!({ "type": "tool_call", "run": "r",
        "call": { "id": "c9", "name": HOSTILE, "arguments": { "x": HOSTILE } } }));
    client.live(
        json!({ "type": "tool_result", "run": "r", "call_id": "c9", "is_error": false,
        "text": HOSTILE, "decision": { "decision": "allowed", "rule": HOSTILE } }),
    );
    client.live(json!({ "type": "notice", "kind": "error", "text": HOSTILE }));
    client.state.unfolded = true;
    client.shows("evil");
    client.tell(Message::Input(Input::Paste(HOSTILE.to_owned())));
    client.tell(Message::Failed(HOSTILE.to_owned()));
    client.shows("evil");
    client.control('o');
    let list: SessionList =
        serde_json::from_value(json!({ "sessions": [session(HOSTILE, HOSTILE)], "next": null }))
            .unwrap();
    client.tell(Message::Sessions {
        filter: String::new(),
        sessions: list.sessions,
        now: Timestamp::from_millis(1),
    });
    client.shows("evil");
    client.tell(Message::Lost {
        key: KEY.to_owned(),
        why: HOSTILE.to_owned(),
    });
    client.shows("trying again");
}

#[test]
fn commands_complete_and_run_from_the_list() {
    let mut client = Client::new(80, 20);
    client.type_in("/mo");
    client.shows("/model name");
    client.shows("/models");
    client.press(KeyCode::Down);
    assert_eq!(client.press(KeyCode::Enter), [Effect::Models]);
    client.tell(Message::Models(vec![ModelRow {
        id: "scripted/x".to_owned(),
        auth: "none".to_owned(),
        configured: true,
    }]));
    client.type_in("scri");
    client.shows("find: scri");
    let wanted = client.press(KeyCode::Enter);
    let [Effect::Send { text, .. }] = wanted.as_slice() else {
        panic!("{wanted:?}");
    };
    assert_eq!(text, "/model scripted/x");
    client.type_in("/st");
    client.press(KeyCode::Tab);
    assert_eq!(client.state.input.text(), "/stop");
}

#[test]
fn another_conversation_is_found_and_opened() {
    let mut client = Client::new(80, 20);
    client.load(&[user("first words")]);
    assert_eq!(client.control('o'), [Effect::Sessions(String::new())]);
    assert_eq!(
        client.press(KeyCode::Char('o')),
        [Effect::Sessions("o".to_owned())]
    );
    let list: SessionList = serde_json::from_value(
        json!({ "sessions": [session("agent:main:other", "Other")], "next": null }),
    )
    .unwrap();
    client.tell(Message::Sessions {
        filter: "o".to_owned(),
        sessions: list.sessions.clone(),
        now: Timestamp::from_millis(1),
    });
    client.shows("Other");
    // Enter before the answer to what was typed waits for it.
    client.press(KeyCode::Char('x'));
    assert_eq!(client.press(KeyCode::Enter), []);
    let followed = client.tell(Message::Sessions {
        filter: "ox".to_owned(),
        sessions: list.sessions,
        now: Timestamp::from_millis(1),
    });
    let other = "agent:main:other".to_owned();
    assert_eq!(followed, [Effect::Follow(other)]);
    client.hides("first words");
    // What still arrives of the conversation before is not shown.
    client.load(&[user("first words")]);
    client.hides("first words");
    let wanted = client.control('n');
    let [Effect::Follow(key)] = wanted.as_slice() else {
        panic!("{wanted:?}");
    };
    assert!(key.starts_with("agent:main:chat:"), "{key}");
}

#[test]
fn long_conversations_scroll_and_stay_where_they_are_read() {
    let mut client = Client::new(40, 12);
    let words: Vec<String> = (0..60).map(|n| format!("line {n}")).collect();
    client.load(&[user(&words.join("\n"))]);
    client.shows("line 59");
    client.press(KeyCode::PageUp);
    client.hides("line 59");
    let before = client.screen();
    client.live(json!({ "type": "text", "run": "run_1", "delta": "a\nb\nc" }));
    let after = client.screen();
    let body = |screen: &str| screen.lines().take(9).collect::<Vec<_>>().join("\n");
    assert_eq!(body(&before), body(&after));
    let wheel = |kind| {
        Message::Input(Input::Mouse(MouseEvent {
            kind,
            column: 1,
            row: 1,
            modifiers: KeyModifiers::NONE,
        }))
    };
    for _ in 0..100 {
        client.tell(wheel(MouseEventKind::ScrollUp));
    }
    client.shows("line 0");
    for _ in 0..100 {
        client.tell(wheel(MouseEventKind::ScrollDown));
    }
    client.shows("line 59");
}

#[test]
fn any_size_and_any_script_can_be_drawn() {
    let texts = [
        "日本語のテキスト",
        "שלום עולם",
        "👨‍👩‍👧‍👦🇩🇪",
        "e\u{301}\u{200b}x",
        "plain",
    ];
    for columns in [1, 2, 3, 7, 20, 81] {
        for rows in [1, 2, 4, 9, 30] {
            let mut client = Client::new(columns, rows);
            client.load(&texts.map(user));
            client.load(&[agent(&texts.concat()), refused()]);
            client.tell(Message::Input(Input::Paste(texts.join("\n"))));
            client.screen();
            client.control('o');
            client.screen();
            client.press(KeyCode::Esc);
            client.press(KeyCode::F(1));
            client.screen();
            client.press(KeyCode::Esc);
            client.control('c');
            client.type_in("/");
            client.screen();
        }
    }
}

#[test]
fn what_was_not_sent_is_given_back_and_the_gateway_is_waited_for() {
    let mut client = Client::new(80, 12);
    client.type_in("precious");
    client.press(KeyCode::Enter);
    client.tell(Message::NotSent {
        number: 1,
        why: "no gateway runs".to_owned(),
    });
    client.shows("not sent: no gateway runs");
    assert_eq!(client.state.input.text(), "precious");
    client.tell(Message::Lost {
        key: KEY.to_owned(),
        why: "closed".to_owned(),
    });
    assert_eq!(client.state.link, Link::Lost("closed".to_owned()));
    client.shows("the gateway is away, trying again: closed");
    client.tell(Message::Up {
        key: KEY.to_owned(),
    });
    client.hides("trying again");
}

#[test]
fn without_colour_no_cell_has_one() {
    for colour in [false, true] {
        let mut client = Client::new(80, 20);
        client.colour = colour;
        client.load(&[user("go"), agent("done"), refused()]);
        client.screen();
        let coloured = client
            .terminal
            .backend()
            .buffer()
            .content
            .iter()
            .any(|cell| {
                cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset
            });
        assert_eq!(coloured, colour);
    }
}

#[test]
fn control_c_ends_the_nearest_thing_first() {
    let mut client = Client::new(80, 20);
    client.control('o');
    client.type_in_nothing_and_leave();
    client.type_in("words");
    assert_eq!(client.control('c'), []);
    assert_eq!(client.state.input.text(), "");
    assert_eq!(client.control('c'), []);
    client.shows("Ctrl-C again to leave");
    assert_eq!(client.control('c'), [Effect::Quit]);
    assert_eq!(client.control('d'), [Effect::Quit]);
}

impl Client {
    fn type_in_nothing_and_leave(&mut self) {
        assert!(self.state.picker.is_some());
        assert_eq!(self.control('c'), []);
        assert!(self.state.picker.is_none());
    }
}
