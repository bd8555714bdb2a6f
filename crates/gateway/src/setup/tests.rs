//! The conversation by itself: what follows what.

use super::offer::{KeyPlace, Listen, Offer, Service, VendorOffer};
use super::step::StepKind;
use super::wizard::{Now, Report, Task, Verdict, Wizard};
use super::words::Tongue;
use crate::config::Bind;
use instar_models::LocalServer;
use serde_json::{Value, json};

fn offer() -> Offer {
    let vendor = |id: &str, key| VendorOffer {
        id: id.to_owned(),
        name: id.to_uppercase(),
        key,
        models: vec![format!("{id}-large"), format!("{id}-small")],
    };
    Offer {
        risk_accepted: None,
        workspace: "/home/me/.instar/workspace".into(),
        home: Some("/home/me".into()),
        model: None,
        local: vec![LocalServer {
            provider: "ollama".to_owned(),
            name: "Ollama".to_owned(),
            models: vec!["qwen3".to_owned()],
        }],
        vendors: vec![
            vendor("groq", KeyPlace::Environment("GROQ_API_KEY".to_owned())),
            vendor("openai", KeyPlace::Missing),
            vendor("xai", KeyPlace::Missing),
        ],
        listen: Listen {
            port: 18_789,
            bind: Bind::Loopback,
            may_open: false,
            running: false,
        },
        service: Some(Service {
            manager: "systemd",
            installed: false,
        }),
    }
}

/// Answers the question that stands, which has to be this one.
#[track_caller]
fn answer(wizard: &mut Wizard, id: &str, value: impl Into<Value>) {
    let Now::Ask(step) = wizard.now() else {
        panic!("{:?} instead of {id}", wizard.now());
    };
    assert_eq!(step.id, id);
    let answer = step.answer(Some(value.into())).unwrap();
    wizard.answer(answer).unwrap();
}

/// Reports on the task that stands.
#[track_caller]
fn work(wizard: &mut Wizard, report: Report) -> Task {
    let Now::Work(task) = wizard.now() else {
        panic!("{:?} instead of work", wizard.now());
    };
    let task = task.clone();
    wizard.report(report);
    task
}

fn done() -> Report {
    Report::Done(Vec::new())
}

fn verdict(ok: bool) -> Report {
    Report::Probed(Verdict {
        ok,
        millis: 7,
        class: None,
        message: "says so".to_owned(),
    })
}

/// A wizard that asks for the model.
fn at_model(offer: Offer) -> Wizard {
    let mut wizard = Wizard::new(offer, Tongue::English);
    answer(&mut wizard, "risk", true);
    work(&mut wizard, done());
    answer(&mut wizard, "workspace", "~/agent");
    let Task::Workspace(folder) = work(&mut wizard, done()) else {
        panic!()
    };
    assert_eq!(folder.to_str(), Some("/home/me/agent"));
    wizard
}

#[track_caller]
fn asked(wizard: &Wizard) -> &'static str {
    match wizard.now() {
        Now::Ask(step) => step.id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_local_model_is_found_tried_and_taken() {
    let mut wizard = at_model(offer());
    answer(&mut wizard, "model", "local:ollama/qwen3");
    assert!(matches!(work(&mut wizard, verdict(true)), Task::Probe(_)));
    let taken = Report::Done(vec!["agents.defaults.model".to_owned()]);
    let Task::UseModel(candidate) = work(&mut wizard, taken) else {
        panic!()
    };
    assert_eq!(candidate.name(), "ollama/qwen3");
    answer(&mut wizard, "port", "18800");
    assert!(matches!(work(&mut wizard, done()), Task::Port(18_800)));
    answer(&mut wizard, "bind", "loopback");
    work(&mut wizard, done());
    answer(&mut wizard, "service", false);
    assert!(matches!(work(&mut wizard, done()), Task::Finish));
    let Now::Done(summary) = wizard.now() else {
        panic!()
    };
    assert_eq!(summary.model.as_deref(), Some("ollama/qwen3"));
    assert_eq!(summary.port, Some(18_800));
    assert_eq!(summary.changed, ["agents.defaults.model"]);
    assert!(!summary.service);
}

#[test]
fn nothing_happens_before_the_risks_are_accepted() {
    let mut wizard = Wizard::new(offer(), Tongue::English);
    assert_eq!(asked(&wizard), "risk");
    answer(&mut wizard, "risk", false);
    assert!(matches!(wizard.now(), Now::Declined));
    let accepted = Offer {
        risk_accepted: Some("2026-11-01T00:00:00Z".to_owned()),
        ..offer()
    };
    assert_eq!(asked(&Wizard::new(accepted, Tongue::English)), "workspace");
}

#[test]
fn a_vendor_without_a_key_is_asked_for_one_that_nothing_shows() {
    let mut wizard = at_model(offer());
    answer(&mut wizard, "model", "more");
    answer(&mut wizard, "vendor", "xai");
    let Now::Ask(step) = wizard.now() else {
        panic!()
    };
    assert!(step.sensitive && step.kind == StepKind::Text);
    let empty = step.answer(Some(json!(""))).unwrap();
    assert!(wizard.answer(empty).is_err());
    answer(&mut wizard, "key", "xai-very-secret");
    answer(&mut wizard, "vendor-model", "xai-small");
    let shown = format!("{wizard:?}{:?}", wizard.now());
    assert!(!shown.contains("very-secret"), "{shown}");
    let Task::Probe(candidate) = work(&mut wizard, verdict(true)) else {
        panic!()
    };
    assert_eq!(candidate.key().unwrap().expose(), "xai-very-secret");
    let present = instar_models::ModelsConfig::default();
    let edits = format!("{:?}", candidate.edits(&present, false));
    assert!(!edits.contains("very-secret"), "{edits}");
}

#[test]
fn a_key_of_the_environment_is_copied_only_if_that_is_wanted() {
    for wanted in [true, false] {
        let mut wizard = at_model(offer());
        answer(&mut wizard, "model", "vendor:groq");
        answer(&mut wizard, "store-key", wanted);
        answer(&mut wizard, "vendor-model", "groq-large");
        let Task::Probe(candidate) = work(&mut wizard, verdict(true)) else {
            panic!()
        };
        let resolved = candidate.resolved(|name| (name == "GROQ_API_KEY").then(|| "k".into()));
        assert_eq!(resolved.key().is_some(), wanted);
    }
}

#[test]
fn a_model_that_does_not_answer_leaves_the_choice_to_its_owner() {
    for (choice, next) in [("again", None), ("keep", None), ("change", Some("model"))] {
        let mut wizard = at_model(offer());
        answer(&mut wizard, "model", "local:ollama/qwen3");
        work(&mut wizard, verdict(false));
        let Now::Ask(step) = wizard.now() else {
            panic!()
        };
        assert_eq!(step.message.as_deref(), Some("says so"));
        answer(&mut wizard, "verdict", choice);
        match (choice, wizard.now()) {
            ("again", Now::Work(Task::Probe(_))) | ("keep", Now::Work(Task::UseModel(_))) => {}
            (_, Now::Ask(step)) => assert_eq!(Some(step.id), next),
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_server_of_ones_own_is_described_step_by_step() {
    let mut wizard = at_model(offer());
    answer(&mut wizard, "model", "custom");
    let Now::Ask(step) = wizard.now() else {
        panic!()
    };
    for wrong in ["not an address", "ftp://x/v1", "http://me:pw@x/v1", ""] {
        let wrong = step.answer(Some(json!(wrong))).unwrap();
        assert!(wizard.answer(wrong).is_err());
    }
    answer(&mut wizard, "base-url", "http://192.168.1.20:8000/v1/");
    answer(&mut wizard, "format", "anthropic");
    answer(&mut wizard, "server-key", "");
    answer(&mut wizard, "server-model", "qwen3-32b");
    let Now::Ask(step) = wizard.now() else {
        panic!()
    };
    assert_eq!(step.initial_value, Some(json!("custom-192-168-1-20-8000")));
    answer(&mut wizard, "provider-name", "mine");
    let Task::Probe(candidate) = work(&mut wizard, verdict(true)) else {
        panic!()
    };
    assert_eq!(candidate.name(), "mine/qwen3-32b");
    let edits = candidate.edits(&instar_models::ModelsConfig::default(), true);
    let edits: Vec<(String, Value)> = edits
        .into_iter()
        .map(|(path, value)| (path.to_string(), value))
        .collect();
    let entry = json!({
        "baseUrl": "http://192.168.1.20:8000/v1", "api": "anthropic-messages",
        "models": [{ "id": "qwen3-32b" }],
    });
    assert_eq!(
        edits,
        [
            ("models.providers.mine".to_owned(), entry),
            (
                "agents.defaults.model.primary".to_owned(),
                json!("mine/qwen3-32b")
            ),
        ]
    );
}

#[test]
fn what_fails_is_asked_again_with_the_reason() {
    let mut wizard = at_model(offer());
    answer(&mut wizard, "model", "later");
    answer(&mut wizard, "port", "80");
    work(&mut wizard, Report::Failed("port 80 is taken".to_owned()));
    let Now::Ask(step) = wizard.now() else {
        panic!()
    };
    assert_eq!(
        (step.id, step.problem.as_deref()),
        ("port", Some("port 80 is taken"))
    );
    answer(&mut wizard, "port", "8080");
    work(&mut wizard, done());
    let lan = super::step::Answer::Text("lan".to_owned());
    let refused = wizard.answer(lan).unwrap_err();
    assert!(refused.to_string().contains("TLS"), "{refused}");
    assert_eq!(asked(&wizard), "bind");
}

#[test]
fn one_can_go_back_but_not_before_the_notice() {
    let mut wizard = at_model(offer());
    answer(&mut wizard, "model", "more");
    answer(&mut wizard, "vendor", "xai");
    assert_eq!(asked(&wizard), "key");
    for expected in ["vendor", "model", "workspace"] {
        wizard.back().unwrap();
        assert_eq!(asked(&wizard), expected);
    }
    assert!(wizard.back().is_err());
    assert_eq!(asked(&wizard), "workspace");
}

#[test]
fn a_running_gateway_says_that_its_port_waits_for_the_next_start() {
    let browser = Offer {
        listen: Listen {
            running: true,
            ..offer().listen
        },
        service: None,
        ..offer()
    };
    let mut wizard = at_model(browser);
    answer(&mut wizard, "model", "later");
    let Now::Ask(step) = wizard.now() else {
        panic!()
    };
    assert!(step.message.unwrap().contains("started again"));
    answer(&mut wizard, "port", "18800");
    work(&mut wizard, done());
    answer(&mut wizard, "bind", "loopback");
    work(&mut wizard, done());
    assert!(matches!(wizard.now(), Now::Work(Task::Finish)));
}

#[test]
fn correcting_keeps_everything_that_was_typed() {
    let mut wizard = at_model(offer());
    let typed = [
        ("base-url", "http://127.0.0.1:1/v1"),
        ("format", "anthropic"),
        ("server-key", "sk-very-secret"),
        ("server-model", "qwen3"),
        ("provider-name", "mine"),
    ];
    answer(&mut wizard, "model", "custom");
    for (id, text) in typed {
        answer(&mut wizard, id, text);
    }
    work(&mut wizard, verdict(false));
    answer(&mut wizard, "verdict", "correct");
    for (id, text) in typed {
        let Now::Ask(step) = wizard.now() else {
            panic!()
        };
        assert!(!format!("{step:?}").contains("very-secret"));
        let suggested = step.initial_value.clone();
        let taken = if step.sensitive {
            ""
        } else {
            assert_eq!(suggested, Some(json!(text)), "{id}");
            text
        };
        answer(&mut wizard, id, taken);
    }
    let Task::Probe(candidate) = work(&mut wizard, verdict(false)) else {
        panic!()
    };
    assert_eq!(candidate.key().unwrap().expose(), "sk-very-secret");
    answer(&mut wizard, "verdict", "correct");
    wizard.back().unwrap();
    assert_eq!(asked(&wizard), "model");
    answer(&mut wizard, "model", "custom");
    answer(&mut wizard, "base-url", "http://127.0.0.1:2/v1");
    answer(&mut wizard, "format", "openai");
    answer(&mut wizard, "server-key", "-");
    answer(&mut wizard, "server-model", "qwen3");
    answer(&mut wizard, "provider-name", "mine");
    let Task::Probe(candidate) = work(&mut wizard, verdict(true)) else {
        panic!()
    };
    assert!(candidate.key().is_none());
}

#[test]
fn a_kept_key_that_is_refused_can_be_given_anew() {
    let mut kept = offer();
    kept.vendors[1].key = KeyPlace::Kept;
    let mut wizard = at_model(kept);
    answer(&mut wizard, "model", "vendor:openai");
    answer(&mut wizard, "vendor-model", "openai-large");
    work(&mut wizard, verdict(false));
    answer(&mut wizard, "verdict", "correct");
    assert_eq!(asked(&wizard), "key");
}

#[test]
fn the_questions_and_refusals_are_in_the_language_that_was_asked_for() {
    let mut wizard = Wizard::new(offer(), Tongue::Russian);
    let Now::Ask(step) = wizard.now() else {
        panic!()
    };
    assert!(step.title.contains("понимаю"), "{step:?}");
    let refused = wizard
        .answer(super::step::Answer::Text(String::new()))
        .unwrap_err();
    assert!(refused.told(Tongue::Russian).contains("да или нет"));
    assert!(refused.to_string().contains("yes or no"));
}
