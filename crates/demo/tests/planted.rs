//! Planted faults show as often as they were planted, and equal seeds plant alike.

use instar_demo::{Ask, Cause, Given, Planted, Player, Weather};
use instar_protocol::model::ModelEvent;
use serde_json::{Value, json};

fn planted(rate: f64, weather: Weather, causes: Vec<Cause>) -> Planted {
    Planted {
        seed: 7,
        tool: "read".to_owned(),
        good: json!({"path": "note.md"}),
        rate,
        weather,
        causes,
    }
}

fn cause(calls: &[Value]) -> Cause {
    Cause {
        calls: calls.to_vec(),
    }
}

fn one() -> Vec<Cause> {
    vec![cause(&[json!({"path": "note.md", "limit": "2"})])]
}

/// The arguments that the model asks for, turn by turn.
fn turns(planted: &Planted, count: usize) -> Vec<Value> {
    let player = Player::new(planted.script()).unwrap();
    let turn = |_| {
        let mut ask = Ask::default();
        ask.add_user("look", 0);
        let mut called = player.play(&ask).events.into_iter();
        let arguments = called.find_map(|(_, event)| match event {
            ModelEvent::ToolCall { call } => Some(call.arguments),
            _ => None,
        });
        ask.results.push(Given {
            tool: planted.tool.clone(),
            text: "calm".to_owned(),
            failed: false,
        });
        let said = player.play(&ask).events.into_iter();
        let text: String = said
            .filter_map(|(_, event)| match event {
                ModelEvent::Text { delta } => Some(delta),
                _ => None,
            })
            .collect();
        assert_eq!(text, "calm");
        arguments.unwrap()
    };
    (0..count).map(turn).collect()
}

fn wrong(planted: &Planted, turns: &[Value]) -> usize {
    turns.iter().filter(|one| **one != planted.good).count()
}

#[test]
fn a_fault_shows_at_its_rate_and_again_with_the_same_seed() {
    for (rate, least, most) in [(0.01, 1, 25), (0.2, 160, 240), (0.7, 650, 750)] {
        let fault = planted(rate, Weather::Steady, one());
        let seen = turns(&fault, 1_000);
        let count = wrong(&fault, &seen);
        assert!((least..=most).contains(&count), "{rate}: {count}");
        assert_eq!(seen, turns(&fault, 1_000));
        let other = Planted { seed: 8, ..fault };
        assert_ne!(seen, turns(&other, 1_000));
    }
}

#[test]
fn causes_have_equal_parts_and_a_cause_with_many_texts_shares_its_own() {
    let two = vec![
        cause(&[json!({"path": "note.md", "limit": "2"})]),
        cause(&[json!({"limit": 2}), json!({"path": 3})]),
    ];
    let fault = planted(0.6, Weather::Steady, two);
    let seen = turns(&fault, 2_000);
    let of = |call: Value| seen.iter().filter(|one| **one == call).count();
    let first = of(json!({"path": "note.md", "limit": "2"}));
    let (third, fourth) = (of(json!({"limit": 2})), of(json!({"path": 3})));
    assert!((500..700).contains(&first), "{first}");
    assert!((230..370).contains(&third), "{third}");
    assert!((230..370).contains(&fourth), "{fourth}");
}

#[test]
fn the_weather_takes_its_course() {
    let share = |weather, rate, from: usize, until: usize| {
        let fault = planted(rate, weather, one());
        wrong(&fault, &turns(&fault, until)[from..])
    };
    let heals = Weather::Heals { after: 100 };
    assert!(share(heals, 0.5, 0, 100) > 30);
    assert_eq!(share(heals, 0.5, 100, 400), 0);
    let drift = Weather::Drift {
        to: 0.0,
        turns: 1_000,
    };
    assert!(share(drift, 0.5, 0, 200) > 60);
    assert!(share(drift, 0.5, 900, 1_500) < 5);
    // Of each fifty turns five are as bad as can be.
    let fault = planted(0.2, Weather::Bursts, one());
    let seen = turns(&fault, 1_000);
    let is_burst = |(turn, call): &(usize, &Value)| turn % 50 < 5 && **call != fault.good;
    let burst = seen.iter().enumerate().filter(is_burst).count();
    let other = wrong(&fault, &seen) - burst;
    assert!((70..=95).contains(&burst), "{burst} of 100");
    assert!((130..=230).contains(&other), "{other} of 900");
}
