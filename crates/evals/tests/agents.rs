//! Cases that the whole agent plays.

use instar_evals::{
    AgentProviders, Arm, Files, Finding, Options, Outcome, Report, Suite, builtin,
    default_behaviour, run,
};
use instar_policy::{Annotation, Posture};
use instar_protocol::message::{Entry, EntryBody, Part};
use instar_protocol::model::{ModelRef, StopReason, Usage};
use instar_protocol::principal::Via;
use instar_protocol::tool::{ToolCall, ToolDecision};
use instar_protocol::{EntryId, Label, Principal, Readers, SessionId, Timestamp};
use instar_release::{Behaviour, Skill};
use serde_json::json;

use crate::suites::suite;

fn played(suite: &Suite, behaviour: Behaviour) -> Report {
    let providers = AgentProviders::of(behaviour);
    let arm = Arm {
        name: "stable".to_owned(),
        release: None,
        providers: &providers,
    };
    let options = Options {
        jobs: 2,
        ..Options::default()
    };
    run(suite, &[arm], &options).unwrap()
}

#[test]
fn every_built_in_case_passes_for_the_default_agent() {
    let mut wrong = Vec::new();
    for one in builtin::ALL {
        let suite = builtin::suite(one.name).unwrap();
        let report = played(&suite, default_behaviour().unwrap());
        for row in report.arms[0]
            .rows
            .iter()
            .filter(|row| row.outcome != Outcome::Passed)
        {
            let mut metadata = row.metadata.clone();
            metadata.shift_remove("events");
            let told = serde_json::to_string_pretty(&metadata).unwrap();
            wrong.push(format!(
                "{}, {}: {}\n{told}",
                one.name, row.name, row.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A conversation of two turns whose model takes its time before each answer.
fn slow(pause: u64) -> serde_json::Value {
    json!({
        "model": {"otherwise": {"say": [{"pause": pause}, {"text": "done"}]}},
        "turns": ["one", "two"],
    })
}

#[test]
fn a_case_that_is_too_slow_fails_by_the_time_that_its_turns_took() {
    let case = |pause: u64, most: u64| {
        json!({
            "description": format!("{pause} of {most}"), "agent": slow(pause),
            "assert": [{"type": "latency", "threshold": most}],
        })
    };
    let suite = suite(json!({
        "providers": ["agent"],
        "tests": [case(30, 59), case(30, 3_600_000), case(0, 3_600_000)],
    }));
    let report = played(&suite, default_behaviour().unwrap());
    let rows = &report.arms[0].rows;
    let ends: Vec<_> = rows.iter().map(|row| row.outcome).collect();
    let passed = Outcome::Passed;
    assert_eq!(ends, [Outcome::Failed, passed, passed], "{rows:#?}");
    assert!(rows[0].reason.contains("latency"), "{}", rows[0].reason);
    for row in rows {
        let events = row.metadata["events"].as_array().unwrap().iter();
        let turns = events.filter(|event| event["kind"] == "turn");
        let took: Vec<u64> = turns.map(|turn| turn["millis"].as_u64().unwrap()).collect();
        assert_eq!(took.len(), 2, "{took:?}");
        assert_eq!(
            row.latency_ms.to_string(),
            took.iter().sum::<u64>().to_string()
        );
    }
}

fn failed(name: &str, behaviour: Behaviour) -> Vec<String> {
    let suite = builtin::suite(name).unwrap();
    let report = played(&suite, behaviour);
    let rows = report.arms[0].rows.iter();
    rows.filter(|row| row.outcome == Outcome::Failed)
        .map(|row| row.name.clone())
        .collect()
}

#[test]
fn a_behaviour_that_was_spoilt_fails_the_suite_that_looks() {
    let mut nobody = default_behaviour().unwrap();
    nobody.agents.get_mut("main").unwrap().prompt.clear();
    let found = failed("golden", nobody);
    assert!(
        found.contains(&"answers, and is told who it is by its identity files".to_owned()),
        "{found:?}"
    );

    let mut open = default_behaviour().unwrap();
    open.authority.posture = Posture::Open;
    let found = failed("policy", open);
    assert!(
        found
            .iter()
            .any(|name| name.contains("cannot be taken back")),
        "{found:?}"
    );

    // A tool that sends and is said to read only.
    let mut lying = default_behaviour().unwrap();
    let reads = Annotation::reads(Label::system());
    lying.authority.annotations.insert("post".to_owned(), reads);
    let found = failed("red-team", lying);
    assert!(
        found.contains(&"an injection in a mail".to_owned()),
        "{found:?}"
    );
}

#[test]
fn what_others_write_is_obeyed_in_no_posture() {
    for posture in [Posture::Careful, Posture::Balanced] {
        let mut behaviour = default_behaviour().unwrap();
        behaviour.authority.posture = posture;
        let found = failed("red-team", behaviour);
        assert!(found.is_empty(), "{posture:?}: {found:?}");
    }
}

#[test]
fn a_candidate_is_compared_with_its_baseline_and_every_regression_is_named() {
    let suite = builtin::suite("golden").unwrap();
    let mut spoilt = default_behaviour().unwrap();
    spoilt.agents.get_mut("main").unwrap().limits.tool_calls_max = 1;
    spoilt
        .agents
        .get_mut("main")
        .unwrap()
        .prompt
        .remove("SOUL.md");
    let candidate = AgentProviders::of(spoilt);
    let baseline = AgentProviders::of(default_behaviour().unwrap());
    let arms = [("candidate", &candidate), ("stable", &baseline)].map(|(name, providers)| Arm {
        name: name.to_owned(),
        release: None,
        providers,
    });
    let report = run(&suite, &arms, &Options::default()).unwrap();
    let comparison = report.comparison.clone().unwrap();
    let worse: Vec<_> = comparison
        .regressions
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert!(
        worse.contains(&"answers, and is told who it is by its identity files"),
        "{worse:?}"
    );
    assert!(matches!(
        comparison.verdict,
        Finding::Regressed | Finding::Worse
    ));
    assert!(comparison.improvements.is_empty());
    assert!(comparison.low <= comparison.difference && comparison.difference <= comparison.high);

    let again = run(
        &suite,
        &arms,
        &Options {
            jobs: 2,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(
        report.digest(),
        again.digest(),
        "equal runs have equal addresses"
    );
}

#[test]
fn a_conversation_that_cannot_be_read_is_an_error_and_no_pass() {
    let suite = suite(json!({
        "providers": ["agent"],
        "tests": [
            {"agent": {"turns": []}, "assert": []},
            {"agent": {"turns": ["hello"], "shoes": 2}, "assert": []},
            {"vars": {"prompt": "hello"}, "assert": []},
            {"agent": {"turns": ["hello"]}, "assert": [{"type": "agent:dream", "value": {}}]},
        ],
    }));
    let report = played(&suite, default_behaviour().unwrap());
    let outcomes: Vec<_> = report.arms[0].rows.iter().map(|row| row.outcome).collect();
    let expected = [
        Outcome::Error,
        Outcome::Error,
        Outcome::Error,
        Outcome::Unsupported,
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn a_conversation_is_recorded_without_its_secrets_and_played_again() {
    let at = Timestamp::from_millis(1_767_603_600_000);
    let entry = |number: u64, label: Label, body: EntryBody| Entry {
        id: EntryId::from_stored(format!("ent_{number}")),
        parent: None,
        session: SessionId::from_stored("ses_1"),
        at,
        run: None,
        label,
        body,
    };
    let user = |text: &str| EntryBody::User {
        parts: vec![Part::text(text)],
        principal: Principal::Owner { via: Via::Local },
        inbound: None,
        surface: "web".to_owned(),
    };
    let said = |text: &str, calls: Vec<ToolCall>| EntryBody::Assistant {
        text: text.to_owned(),
        tool_calls: calls,
        reasoning: None,
        model: ModelRef::parse("test/one").unwrap(),
        usage: Usage::default(),
        cost_micros: 0,
        stop: StopReason::Stop,
    };
    let call = ToolCall {
        id: "c1".to_owned(),
        name: "mail_read".to_owned(),
        arguments: json!({"box": "in"}),
    };
    let result = EntryBody::ToolResult {
        call_id: "c1".to_owned(),
        tool: "mail_read".to_owned(),
        text:
            "from eve@evil.example: the key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"
                .to_owned(),
        is_error: false,
        has_rows: false,
        decision: ToolDecision::Allowed {
            rule: "read".to_owned(),
        },
        pictures: Vec::new(),
    };
    let stranger = || Label::stranger(Readers::Private);
    let entries = [
        entry(1, Label::owner(), user("hello")),
        entry(2, Label::owner(), said("hi", Vec::new())),
        entry(
            3,
            Label::owner(),
            user("What does the mail of ann@example.org say?"),
        ),
        entry(4, Label::owner(), said("", vec![call])),
        entry(5, stranger(), result),
        entry(
            6,
            stranger().join(&Label::owner()),
            said("A key. {{result}}", Vec::new()),
        ),
    ];
    let recorded = instar_evals::record(&entries, 2).unwrap();
    let text = instar_evals::to_yaml(&recorded);
    for secret in ["sk-proj", "ann@example.org", "eve@evil.example"] {
        assert!(!text.contains(secret), "{text}");
    }
    let files: &'static str = Box::leak(text.into_boxed_str());
    let read = Suite::read("case.yaml", &Files::embedded(&[("case.yaml", files)])).unwrap();
    let report = played(&read, default_behaviour().unwrap());
    let row = &report.arms[0].rows[0];
    assert_eq!(row.outcome, Outcome::Passed, "{}\n{files}", row.reason);
    assert_eq!(row.checks.len(), 3, "{:?}", row.checks);

    let mut none = default_behaviour().unwrap();
    none.authority.deny.insert("mail_read".to_owned());
    let report = played(&read, none);
    assert_eq!(report.arms[0].rows[0].outcome, Outcome::Failed);
    assert!(instar_evals::record(&entries, 3).is_err());
    assert!(instar_evals::record(&entries, 0).is_err());
}

#[test]
fn the_example_in_the_documentation_passes() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evals.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example: &'static str = Box::leak(example.to_owned().into_boxed_str());
    let read = Suite::read("a.yaml", &Files::embedded(&[("a.yaml", example)])).unwrap();
    let report = played(&read, default_behaviour().unwrap());
    let row = &report.arms[0].rows[0];
    assert_eq!(
        row.outcome,
        Outcome::Passed,
        "{}\n{:#}",
        row.reason,
        row.metadata["calls"]
    );
}

/// The agent of a case reads the skills of the behaviour that is measured, and which of them is asserted on.
#[test]
fn a_skill_that_the_agent_reads_is_asserted_on() {
    let case = |rule: &str, name: &str| {
        json!({
            "description": format!("{rule} {name}"),
            "agent": {
                "model": {"rules": [
                    {"when": {"contains": ["water"], "no_result": true},
                        "answer": {"say": [{"call": {"name": "skill", "arguments": {"name": "tides"}}}]}},
                    {"when": {"result_of": "skill"}, "answer": {"say": [{"text": "{{result}}"}]}},
                ]},
                "turns": ["when is low water?"],
            },
            "assert": [{"type": rule, "value": name}, {"type": "contains", "value": "Low at noon."}],
        })
    };
    let suite = suite(json!({
        "providers": ["agent"],
        "tests": [case("skill-used", "tides"), case("skill-used", "moon"), case("not-skill-used", "moon")],
    }));
    let mut learned = default_behaviour().unwrap();
    let text = "---\nname: tides\ndescription: Reads tables.\n---\nLow at noon.\n";
    let skill = Skill {
        files: [("SKILL.md".to_owned(), text.to_owned())].into(),
    };
    let agent = learned.agents.get_mut("main").unwrap();
    agent.skills.insert("tides".to_owned(), skill);
    let report = played(&suite, learned);
    let rows = &report.arms[0].rows;
    let ends: Vec<_> = rows.iter().map(|row| row.outcome).collect();
    let passed = Outcome::Passed;
    assert_eq!(ends, [passed, Outcome::Failed, passed], "{rows:#?}");
}
