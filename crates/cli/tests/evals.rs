//! Suites of cases through the built binary.

use serde_json::{Value, json};
use std::path::Path;

use instar_demo::{Answer, Script, When};

use crate::support::{Instar, Setup, until};

fn put(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

const MIXED: &str = "
description: One of each
prompts: ['{{out}}']
tests:
  - {description: passes, vars: {out: yes it is}, assert: [{type: contains, value: 'yes'}]}
  - {description: fails, vars: {out: no}, assert: [{type: contains, value: 'yes', metric: said}]}
  - {description: cannot be decided, vars: {out: no}, assert: [{type: cost}]}
  - {description: is not done here, vars: {out: no}, threshold: 0, assert: [{type: not-is-sql}]}
";

#[test]
fn a_report_that_was_changed_or_cut_off_is_shown_as_such_and_not_as_a_report() {
    let instar = Instar::start(Setup::default());
    let suite = put(instar.home(), "mixed.yaml", MIXED);
    let report = instar
        .run_with(&["eval", "run", &suite, "--json"], "")
        .stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    let digest = report["digest"].as_str().unwrap();
    let digest = digest.trim_start_matches("sha256:");
    let path = format!("/reports/{digest}");
    let told = "changed after it was kept";
    let page = || instar.http.get(&path).body;
    let list = || instar.http.get("/reports").body;
    let suite = report["suite"].as_str().unwrap();
    assert!(
        page().contains(suite) && page().contains("yes it is"),
        "{}",
        page()
    );
    assert!(!page().contains(told));
    assert!(!list().contains(told));
    let file = instar.state.join(format!("evals/reports/{digest}.json"));
    let kept = std::fs::read_to_string(&file).unwrap();
    // One answer became another, and then the end is missing.
    for changed in [
        kept.replacen("yes it is", "yes it was", 1),
        kept[..100].to_owned(),
    ] {
        assert_ne!(changed, kept);
        std::fs::write(&file, changed).unwrap();
        assert!(
            page().contains(told) && !page().contains("yes it"),
            "{}",
            page()
        );
        assert!(list().contains(told), "{}", list());
    }
    std::fs::write(&file, kept).unwrap();
    assert!(!page().contains(told));
}

const SLOW: &str = "
description: An agent that takes its time
providers: [agent]
defaultTest: {assert: [{type: latency, threshold: 99}]}
tests:
  - agent: {model: {otherwise: {say: [{pause: 50}, {text: done}]}}, turns: [one, two]}
";

#[test]
fn an_agent_that_is_too_slow_fails_its_case_and_one_that_is_not_passes() {
    let instar = Instar::prepare(Setup::default());
    let suite = put(instar.home(), "slow.yaml", SLOW);
    let slow = instar.run(["eval", "run", &suite]);
    assert_eq!(slow.code, 100, "{slow:?}");
    assert!(slow.stdout.contains("is above 99ms"), "{slow:?}");
    let patient = SLOW.replace("99", "3600000");
    let suite = put(instar.home(), "patient.yaml", &patient);
    let in_time = instar.run(["eval", "run", &suite]);
    assert_eq!(in_time.code, 0, "{in_time:?}");
}

#[test]
fn a_suite_passes_fails_or_says_what_it_does_not_do_and_ends_with_the_code_for_it() {
    let instar = Instar::prepare(Setup::default());
    let suite = put(instar.home(), "mixed.yaml", MIXED);
    let file = |name: &str| instar.home().join(name).to_str().unwrap().to_owned();
    let (junit, markdown, shaped) = (file("a.xml"), file("a.md"), file("a.json"));
    let output = instar.run([
        "eval",
        "run",
        &suite,
        "--junit",
        &junit,
        "--markdown",
        &markdown,
        "--promptfoo",
        &shaped,
    ]);
    assert_eq!(output.code, 100, "{output:?}");
    assert!(
        output
            .stdout
            .contains("unsupported: assertions of the type \"is-sql\""),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("3 of 4 cases did not pass"),
        "{output:?}"
    );
    let read = |name: &str| std::fs::read_to_string(name).unwrap();
    assert!(read(&junit).contains("tests=\"4\" failures=\"1\" errors=\"2\""));
    assert!(read(&markdown).contains("1 passed, 1 failed, 1 errors, 1 unsupported"));
    let shaped: Value = serde_json::from_str(&read(&shaped)).unwrap();
    assert_eq!(shaped["results"]["stats"]["successes"], 1);
    assert_eq!(shaped["results"]["results"][3]["success"], false);

    let enough = instar.run(["eval", "run", &suite, "--pass-rate", "25"]);
    assert_eq!(enough.code, 0, "{enough:?}");
    let report = |args: &[&str]| -> Value {
        serde_json::from_str(&instar.run_with(args, "").stdout).unwrap()
    };
    let first = report(&["eval", "run", &suite, "--json"]);
    let again = report(&["eval", "run", &suite, "--json", "--jobs", "1"]);
    assert_eq!(first["digest"], again["digest"]);
    let digest = first["digest"].as_str().unwrap();
    let kept = instar.run(["eval", "show", digest, "--json"]).json();
    assert_eq!(kept["digest"], digest);
    let list = instar.run(["eval", "list"]);
    assert!(
        list.stdout.contains("builtin:golden") && list.stdout.contains(&digest[7..19]),
        "{list:?}"
    );

    let report = instar
        .state
        .join(format!("evals/reports/{}.json", &digest[7..]));
    let text = std::fs::read_to_string(&report).unwrap();
    std::fs::write(
        &report,
        text.replace("\"outcome\":\"failed\"", "\"outcome\":\"passed\""),
    )
    .unwrap();
    let changed = instar.run(["eval", "show", digest]);
    assert_eq!(
        changed.code, 5,
        "a report that was changed is told: {changed:?}"
    );

    let wrong = put(instar.home(), "wrong.yaml", "tests: 5");
    assert_eq!(instar.run(["eval", "run", &wrong]).code, 1);
    assert_eq!(instar.run(["eval", "run", "builtin:nothing"]).code, 1);
    let started = file("suite.yaml");
    assert_eq!(instar.run(["eval", "init", &started]).code, 0);
    assert_eq!(
        instar.run(["eval", "init", &started]).code,
        1,
        "nothing is written over"
    );
    assert_eq!(instar.run(["eval", "run", &started]).code, 0);
}

#[test]
fn the_built_in_suites_pass_for_what_is_served_and_name_what_a_candidate_breaks() {
    let mut instar = Instar::start(Setup::default());
    for name in ["builtin:golden", "builtin:red-team", "builtin:policy"] {
        let output = instar.run(["eval", "run", name]);
        assert_eq!(output.code, 0, "{name}: {output:?}");
    }
    let delta = json!([
        {"set_prompt": {"agent": "main", "file": "SOUL.md", "text": null}},
        {"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 1}},
    ]);
    let id = instar.candidate(&delta);
    let look = |instar: &Instar| {
        let compared = ["eval", "run", "builtin:golden", "--candidate", id.as_str()];
        let output = instar.run_with(&compared, "");
        assert_eq!(output.code, 100, "{output:?}");
        let named = "worse: answers, and is told who it is by its identity files";
        assert!(output.stdout.contains(named), "{output:?}");
        assert!(output.stdout.contains("by chance in"), "{output:?}");
        assert!(output.stderr.contains("cases got worse"), "{output:?}");
    };
    look(&instar);
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    look(&instar);
}

#[test]
fn a_conversation_becomes_a_case_and_the_gateway_answers_and_grades() {
    let script = Script::default()
        .rule(
            When {
                contains: vec!["<criterion>".to_owned()],
                ..When::default()
            },
            Answer::text("{\"pass\": true, \"score\": 1, \"reason\": \"it is polite\"}"),
        )
        .rule(
            When {
                contains: vec!["hello".to_owned()],
                ..When::default()
            },
            Answer::text("Good day to you."),
        );
    let instar = Instar::start(Setup::scripted(script));
    let _outcome = instar.ask("main", "hello, I am ann@example.org");
    let recorded = instar.run(["eval", "record", "agent:main:main", "--turn", "1"]);
    assert_eq!(recorded.code, 0, "{recorded:?}");
    assert!(
        recorded.stdout.contains("Good day") && !recorded.stdout.contains("ann@example.org"),
        "{recorded:?}"
    );
    let case = put(instar.home(), "case.yaml", &recorded.stdout);
    let played = instar.run(["eval", "run", &case]);
    assert_eq!(played.code, 0, "{played:?}");

    let suite = put(
        instar.home(),
        "asked.yaml",
        "prompts: ['Say hello to {{who}}']\nproviders: [gateway]\ntests:\n  - vars: {who: Ann}\n    assert: [{type: contains, value: Good day}, {type: llm-rubric, value: is polite}]\n",
    );
    let asked = instar.run(["eval", "run", &suite, "--json"]);
    assert_eq!(asked.code, 0, "{asked:?}");
    let before = instar.model.requests().len();
    // Who grades is no agent: one question, no tool, and nothing of who the agent is.
    let graded = instar.model.requests().into_iter().rev();
    let graded = graded.map(|request| request.body);
    let graded = graded
        .into_iter()
        .find(|body| body.to_string().contains("<criterion>"));
    let graded = graded.unwrap();
    assert_eq!(graded["tools"], Value::Null, "{graded:#}");
    let told = graded["messages"].as_array().unwrap();
    let of = |role: &str| told.iter().filter(|one| one["role"] == role).count();
    assert_eq!(of("user"), 1, "{graded:#}");
    assert_eq!(of("system") + 1, told.len(), "{graded:#}");
    let prompt = Value::from(told[..told.len() - 1].to_vec()).to_string();
    assert!(
        prompt.contains("You grade answers that others gave"),
        "{prompt}"
    );
    assert!(
        !prompt.contains("SOUL.md") && !prompt.contains("hello"),
        "{prompt}"
    );
    let kept = instar.run(["eval", "run", &suite, "--json"]).json();
    assert_eq!(kept["arms"][0]["rows"][0]["cached"], true, "{kept:#}");
    assert_eq!(
        instar.model.requests().len(),
        before + 1,
        "only the grader was asked again"
    );
    // The owner names another one, and pays for it.
    let named = instar.run(["config", "set", "improve.rollout.grader", "scripted/strict"]);
    assert_eq!(named.code, 0, "{named:?}");
    let other = until("the other one grades", || {
        let _report = instar.run(["eval", "run", &suite, "--json"]);
        let last = instar.model.requests().pop().unwrap().body;
        (last["model"] == "strict").then_some(last)
    });
    assert!(other.to_string().contains("<criterion>"), "{other:#}");
    let usage = instar.run(["usage", "--json"]).stdout;
    assert!(usage.contains("scripted/strict"), "{usage}");
}

/// Brief answers are those of one identity, and a question about the past needs a tool.
fn trying() -> Script {
    serde_json::from_value(json!({
        "rules": [
            {"when": {"contains": ["remember"], "no_result": true},
             "answer": {"say": [{"call": {"name": "sessions_search", "arguments": {"query": "it"}}}]}},
            {"when": {"system_contains": "You are brief."}, "answer": {"say": [{"text": "Good day."}]}},
        ],
        "otherwise": {"say": [{"text": "Good day to you, and many more of them."}]},
    }))
    .unwrap()
}

#[test]
fn a_candidate_answers_by_its_own_model_and_leaves_no_trace_but_the_bill() {
    let instar = Instar::start(Setup::scripted(trying()));
    let delta =
        json!({"set_prompt": {"agent": "main", "file": "SOUL.md", "text": "You are brief."}});
    let id = instar.candidate(&delta);
    let suite = put(
        instar.home(),
        "tried.yaml",
        "prompts: ['{{asked}}']\nproviders: [gateway]\ntests:\n\
         \x20 - {description: is short, vars: {asked: 'Say hello'}, assert: [{type: word-count, value: {max: 3}}]}\n\
         \x20 - {description: needs a tool, vars: {asked: 'Do you remember?'}, assert: [{type: contains, value: Good}]}\n",
    );
    let before = instar.run(["sessions", "list", "--json"]).stdout;
    let args = ["eval", "run", &suite, "--candidate", &id, "--json"];
    let compared = instar.run_with(&args, "");
    assert_eq!(compared.code, 100, "{compared:?}");
    let report: Value = serde_json::from_str(&compared.stdout).unwrap();
    let outcomes = |arm: usize| -> Vec<String> {
        let rows = report["arms"][arm]["rows"].as_array().unwrap().iter();
        rows.map(|row| row["outcome"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(outcomes(0), ["passed", "unsupported"], "{report:#}");
    assert_eq!(outcomes(1), ["failed", "unsupported"], "{report:#}");
    let told = report.to_string();
    assert!(told.contains("needs the tool sessions_search"), "{told}");
    // It was shown its own tools, and none of them ran; nobody has a conversation more.
    let asked = instar.model.requests();
    let of_candidate = asked
        .iter()
        .find(|request| request.body.to_string().contains("You are brief."))
        .unwrap();
    assert!(
        of_candidate.body["tools"]
            .to_string()
            .contains("sessions_search")
    );
    assert_eq!(instar.run(["sessions", "list", "--json"]).stdout, before);
    for kind in ["turn", "tool_call"] {
        let events = instar.run(["events", "tail", "--kind", kind, "-n", "50", "--json"]);
        assert_eq!(events.stdout, "", "{events:?}");
    }
    let usage = instar.run(["usage", "--json"]).stdout;
    assert!(usage.contains("scripted/x"), "{usage}");

    let shown = instar
        .http
        .post("/api/v1/rehearse", &json!({"of": "stable", "messages": []}));
    assert_eq!(shown.status, 400, "{}", shown.body);
}
