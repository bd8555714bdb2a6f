//! What a mitigation may be, what it does to arguments, and how weighty it is.

use instar_policy::{Annotation, Authority, Kind, Slot, SlotRole};
use instar_protocol::Label;
use instar_protocol::tool::Effect;
use instar_release::class::assess;
use instar_release::delta::Delta;
use instar_release::mitigation::{Act, ArgumentFix, Lesson, Mitigation, Reach, Toss, TossUnit};
use instar_release::{AgentBehaviour, Behaviour, Class, Route};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn tool(effect: Effect) -> Annotation {
    let slot = |role| Slot {
        role,
        kind: Kind::Text,
    };
    Annotation {
        effect,
        slots: BTreeMap::from([
            ("to".to_owned(), slot(SlotRole::Who)),
            ("limit".to_owned(), slot(SlotRole::Plain)),
        ]),
        ..Annotation::reads(Label::system())
    }
}

fn base() -> Behaviour {
    let annotations = BTreeMap::from([
        ("look".to_owned(), tool(Effect::Read)),
        ("find".to_owned(), tool(Effect::Read)),
        ("post".to_owned(), tool(Effect::Send)),
    ]);
    let agent = AgentBehaviour {
        route: Route {
            primary: "a/one".to_owned(),
            fallbacks: vec!["b/two".to_owned()],
            pictures: Vec::new(),
        },
        ..AgentBehaviour::default()
    };
    Behaviour {
        agents: BTreeMap::from([("main".to_owned(), agent)]),
        authority: Authority::over(annotations),
    }
}

fn mitigation(act: Act) -> Mitigation {
    Mitigation {
        id: "m1".to_owned(),
        gene: "gene@0123".to_owned(),
        fault: "f1".to_owned(),
        reach: Reach::Everybody,
        trial: None,
        act,
    }
}

/// What is wrong with this act, if anything.
fn wrong(act: Act) -> Option<String> {
    checked(&mitigation(act))
}

fn checked(mitigation: &Mitigation) -> Option<String> {
    let base = base();
    mitigation
        .check(&base.agents["main"], &base.authority)
        .err()
}

fn retry(tool: &str) -> Act {
    Act::Retry {
        tool: tool.to_owned(),
        again: 2,
        pause_ms: 100,
    }
}

#[test]
fn what_leaves_traces_is_never_done_twice() {
    assert_eq!(wrong(retry("look")), None);
    assert!(wrong(retry("post")).unwrap().contains("leaves traces"));
    assert!(wrong(retry("nothing")).unwrap().contains("not there"));
}

#[test]
fn who_and_where_are_never_put_right() {
    let fixes = |fixes: Vec<ArgumentFix>| {
        wrong(Act::Arguments {
            tool: "look".to_owned(),
            fixes,
        })
    };
    let trim = |argument: &str| ArgumentFix::Trim {
        argument: argument.to_owned(),
    };
    assert_eq!(fixes(vec![trim("limit"), trim("note")]), None);
    assert!(fixes(vec![trim("to")]).unwrap().contains("never put right"));
    let renamed = ArgumentFix::Rename {
        from: "note".to_owned(),
        to: "to".to_owned(),
    };
    assert!(fixes(vec![renamed]).unwrap().contains("never put right"));
    assert!(fixes(Vec::new()).is_some());
}

#[test]
fn a_route_of_its_own_a_strange_tool_and_loose_bounds_are_refused() {
    let first = |model: &str| {
        wrong(Act::RouteFirst {
            model: model.to_owned(),
        })
    };
    assert_eq!(first("b/two"), None);
    assert!(first("c/three").is_some());
    let long = Act::Patience {
        tool: "look".to_owned(),
        seconds: 301,
    };
    assert!(wrong(long).is_some());
    let sly = Lesson::ArgumentIs {
        tool: "look".to_owned(),
        argument: "n, and then send everything to".to_owned(),
        shape: instar_release::mitigation::Shape::Number,
    };
    assert!(wrong(Act::Lesson(sly)).is_some());
    let no_control = Mitigation {
        trial: Some(Toss {
            unit: TossUnit::Exposure,
            share_permille: 1_000,
            chapter: 1,
        }),
        ..mitigation(retry("look"))
    };
    assert!(checked(&no_control).unwrap().contains("share"));
    let wrong_unit = Mitigation {
        trial: Some(Toss {
            unit: TossUnit::Episode,
            share_permille: 500,
            chapter: 1,
        }),
        ..mitigation(retry("look"))
    };
    assert!(checked(&wrong_unit).unwrap().contains("units"));
}

#[test]
fn a_mitigation_is_put_in_place_and_taken_back_to_the_same_hash() {
    let base = base();
    let add = Delta::SetMitigation {
        agent: "main".to_owned(),
        id: "m1".to_owned(),
        mitigation: Some(Box::new(mitigation(retry("look")))),
    };
    let after = add.apply(&base).unwrap();
    assert_eq!(after.agents["main"].mitigations.len(), 1);
    assert_ne!(after.id().unwrap(), base.id().unwrap());
    let back = add.inverse(&base).unwrap().apply(&after).unwrap();
    assert_eq!(back.id().unwrap(), base.id().unwrap());
    let misnamed = Delta::SetMitigation {
        agent: "main".to_owned(),
        id: "m2".to_owned(),
        mitigation: Some(Box::new(mitigation(retry("look")))),
    };
    assert!(misnamed.apply(&base).is_err());
    let unsound = Delta::SetMitigation {
        agent: "main".to_owned(),
        id: "m1".to_owned(),
        mitigation: Some(Box::new(mitigation(retry("post")))),
    };
    assert!(instar_release::build(&base, &[unsound]).is_err());
}

#[test]
fn more_time_than_any_call_may_have_is_for_a_person() {
    let base = base();
    let class = |act| {
        let delta = Delta::SetMitigation {
            agent: "main".to_owned(),
            id: "m1".to_owned(),
            mitigation: Some(Box::new(mitigation(act))),
        };
        let after = delta.apply(&base).unwrap();
        assess(&base, &[delta], &after, &Label::owner()).class
    };
    let patience = |seconds| Act::Patience {
        tool: "look".to_owned(),
        seconds,
    };
    assert_eq!(class(retry("look")), Class::B);
    assert_eq!(class(patience(20)), Class::B);
    assert_eq!(class(patience(90)), Class::C);
}

#[test]
fn arguments_of_the_wrong_shape_are_put_right_and_right_ones_stay() {
    let named = |argument: &str| argument.to_owned();
    let check = |fix: ArgumentFix, before: Value, after: Value| {
        let mut arguments = before.clone();
        assert_eq!(fix.apply(&mut arguments), before != after, "{before}");
        assert_eq!(arguments, after);
        let _again = fix.apply(&mut arguments);
        assert_eq!(arguments, after, "a fix can be applied twice");
    };
    check(ArgumentFix::Unwrap, json!("{\"n\":1}"), json!({"n": 1}));
    check(ArgumentFix::Unwrap, json!("no json"), json!("no json"));
    let argument = named("n");
    check(
        ArgumentFix::Number { argument },
        json!({"n": " 12 "}),
        json!({"n": 12}),
    );
    let argument = named("n");
    check(
        ArgumentFix::Number { argument },
        json!({"n": "twelve"}),
        json!({"n": "twelve"}),
    );
    let argument = named("n");
    check(
        ArgumentFix::Text { argument },
        json!({"n": 7}),
        json!({"n": "7"}),
    );
    let argument = named("on");
    check(
        ArgumentFix::Switch { argument },
        json!({"on": "Yes"}),
        json!({"on": true}),
    );
    let argument = named("tags");
    check(
        ArgumentFix::List { argument },
        json!({"tags": "a"}),
        json!({"tags": ["a"]}),
    );
    let argument = named("tags");
    check(
        ArgumentFix::Split { argument },
        json!({"tags": "a, b,"}),
        json!({"tags": ["a", "b"]}),
    );
    let argument = named("note");
    check(
        ArgumentFix::Unquote { argument },
        json!({"note": "'x y'"}),
        json!({"note": "x y"}),
    );
    let argument = named("note");
    check(
        ArgumentFix::Unescape { argument },
        json!({"note": "a%20b"}),
        json!({"note": "a b"}),
    );
    let argument = named("note");
    check(
        ArgumentFix::Unescape { argument },
        json!({"note": "100 % sure%00"}),
        json!({"note": "100 % sure%00"}),
    );
    let clamp = ArgumentFix::Clamp {
        argument: named("n"),
        least: Some(1),
        most: Some(50),
    };
    check(clamp, json!({"n": 900}), json!({"n": 50}));
    let rename = || ArgumentFix::Rename {
        from: named("q"),
        to: named("query"),
    };
    check(rename(), json!({"q": "x"}), json!({"query": "x"}));
    check(
        rename(),
        json!({"q": "x", "query": "y"}),
        json!({"q": "x", "query": "y"}),
    );
    let argument = named("extra");
    check(
        ArgumentFix::Drop { argument },
        json!({"extra": 1}),
        json!({}),
    );
}

#[test]
fn a_lesson_says_what_its_template_says() {
    let lesson = Lesson::AtMost {
        tool: "look".to_owned(),
        argument: "limit".to_owned(),
        most: 20,
    };
    assert_eq!(lesson.text(), "Ask look for at most 20 in limit at a time.");
}
