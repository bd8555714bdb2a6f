//! Scripts in, events out.

use instar_demo::{Answer, Ask, Player, Script, ScriptError, When};
use instar_protocol::model::{ModelEvent, StopReason};
use proptest::prelude::*;
use serde_json::json;

fn ask(text: &str) -> Ask {
    let mut ask = Ask {
        model: "m".to_owned(),
        ..Ask::default()
    };
    ask.add_user(text, 0);
    ask
}

pub(crate) fn text_of(events: &[(u64, ModelEvent)]) -> String {
    events
        .iter()
        .filter_map(|(_, event)| match event {
            ModelEvent::Text { delta } => Some(delta.as_str()),
            _ => None,
        })
        .collect()
}

fn said(player: &Player, ask: &Ask) -> String {
    text_of(&player.play(ask).events)
}

#[test]
fn the_first_rule_that_fits_answers() {
    let json = r#"{
        "rules": [
            {"when": {"call": 1}, "answer": {"say": [{"text": "first"}]}},
            {"when": {"equals": "Exactly"}, "answer": {"say": [{"text": "equal"}]}},
            {"when": {"contains": ["art"], "model": "m"}, "times": 1,
             "answer": {"say": [{"text": "once"}]}},
            {"when": {"says": ["art"]}, "answer": {"say": [{"text": "word"}]}},
            {"when": {"writing": "cyrillic"}, "answer": {"say": [{"text": "cyrillic"}]}},
            {"when": {"system_contains": "SECRET"}, "answer": {"say": [{"text": "system"}]}}
        ],
        "otherwise": {"say": [{"text": "call {{call}}: {{text}} at {{model}}"}]}
    }"#;
    let player = Player::new(Script::parse(json).unwrap()).unwrap();
    let answers = [
        "x",
        " exactly ",
        "party",
        "party",
        "the art!",
        "привет, art1",
    ]
    .map(|text| said(&player, &ask(text)));
    let expected = [
        "first",
        "equal",
        "once",
        "call 4: party at m",
        "word",
        "cyrillic",
    ];
    assert_eq!(answers, expected);
    let mut with_system = ask("x");
    with_system.add_system("a secret");
    assert_eq!(said(&player, &with_system), "system");
}

#[test]
fn tool_results_count_since_the_last_user_message() {
    let result = When {
        result_of: Some("t".to_owned()),
        result_contains: Some("7".to_owned()),
        result_failed: Some(false),
        ..When::default()
    };
    let offered = When {
        offers: Some("t".to_owned()),
        no_result: true,
        ..When::default()
    };
    let script = Script::saying("nothing")
        .rule(result, Answer::text("got {{result}}"))
        .rule(offered, Answer::call("t", json!({"q": ["{{text}}", 1]})));
    let player = Player::new(script).unwrap();
    let mut ask = ask("say \"{{model}}\"");
    ask.tools.push("t".to_owned());
    let events = player.play(&ask).events;
    let ModelEvent::ToolCall { call } = &events[0].1 else {
        panic!("no call: {events:?}");
    };
    // What is filled in is not filled again.
    assert_eq!(call.arguments, json!({"q": ["say \"{{model}}\"", 1]}));
    assert!(matches!(
        events[1].1,
        ModelEvent::Finish {
            stop: StopReason::ToolUse,
            ..
        }
    ));
    ask.add_result("t", "7 things", false);
    assert_eq!(said(&player, &ask), "got 7 things");
    ask.add_user("next", 0);
    ask.tools.clear();
    assert_eq!(said(&player, &ask), "nothing");
}

#[test]
fn wrong_scripts_are_refused_with_their_place() {
    let at = |json: &str| match Script::parse(json) {
        Err(ScriptError::Content { place, problem }) => format!("{place}: {problem}"),
        Err(other) => other.to_string(),
        Ok(_) => "accepted".to_owned(),
    };
    let text = |text: &str| format!(r#"{{"otherwise": {{"say": [{{"text": "{text}"}}]}}}}"#);
    assert_eq!(
        at(&text("{{nobody}}")),
        "otherwise.say[0]: there is no placeholder {{nobody}}"
    );
    assert_eq!(at(&text("{{text}} { {{")), "accepted");
    assert_eq!(at(r#"{"rule": []}"#), "reading the script");
    let huge = r#"{"otherwise": {"say": [{"repeat": {"text": "aaaa", "count": 99999999}}]}}"#;
    assert!(at(huge).contains("grows beyond"), "{}", at(huge));
    let status = r#"{"rules": [{"answer": {"fault": {"status": 200}}}]}"#;
    assert!(at(status).starts_with("rules[0].answer:"));
    let pause = r#"{"pace": {"pause_ms": 999999999}}"#;
    assert!(at(pause).starts_with("pace:"));
}

proptest! {
    #[test]
    fn any_request_is_answered_and_finished(text in "\\PC{0,80}", system in "\\PC{0,40}") {
        let mut ask = ask(&text);
        ask.add_system(&system);
        let player = Player::new(Script::saying("{{text}}|{{result}}|{{tools}}")).unwrap();
        let events = player.play(&ask).events;
        prop_assert_eq!(text_of(&events), format!("{}||", text.trim()));
        let finished = matches!(events.last(), Some((_, ModelEvent::Finish { .. })));
        prop_assert!(finished);
    }

    #[test]
    fn reading_a_script_never_panics(json in "\\PC{0,200}") {
        let _either = Script::parse(&json);
    }
}

#[test]
fn chance_is_drawn_from_the_seed_and_meets_its_share() {
    let of = |seed: u64| {
        let script = json!({
            "seed": seed,
            "rules": [{"when": {"chance": 0.3}, "answer": {"say": [{"text": "rare"}]}}],
            "otherwise": {"say": [{"text": "usual"}]},
        });
        let player = Player::new(Script::parse(&script.to_string()).unwrap()).unwrap();
        let all = (0..2_000).map(|_| said(&player, &ask("x")) == "rare");
        all.collect::<Vec<bool>>()
    };
    let one = of(1);
    assert_eq!(one, of(1), "equal seeds draw alike");
    assert_ne!(one, of(2));
    let rare = one.iter().filter(|rare| **rare).count();
    assert!((500..=700).contains(&rare), "{rare}");
    let wrong = json!({"rules": [{"when": {"chance": 1.5}}]});
    assert!(Script::parse(&wrong.to_string()).is_err());
}
