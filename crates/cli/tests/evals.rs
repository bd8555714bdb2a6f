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
    for share in ["101", "-1", "most"] {
        let args = [
            "eval",
            "run",
            "builtin:golden",
            &format!("--pass-rate={share}"),
        ];
        let refused = instar.run(args);
        assert!(
            refused.code == 2 && refused.stderr.contains("a share is 0 to 100"),
            "{refused:?}"
        );
    }
    let mistyped = "prompts: [x]\nproviders: [echo]\ntests: [{description: greets, asserts: []}]";
    let mistyped = put(instar.home(), "mistyped.yaml", mistyped);
    let told = instar.run(["eval", "run", &mistyped]);
    assert!(
        told.code == 0 && told.stderr.contains("greets has no `assert` and passes"),
        "{told:?}"
    );
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
    let beyond = instar.run(["eval", "record", "agent:main:main", "--turn", "9"]);
    assert!(
        beyond.code == 6 && beyond.stderr.contains("there is no number 9"),
        "{beyond:?}"
    );
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

/// The first who tosses sees heads, all others tails.
fn tossing() -> Script {
    serde_json::from_value(json!({
        "rules": [{"when": {"contains": ["toss"]}, "times": 1, "answer": {"say": [{"text": "heads"}]}}],
        "otherwise": {"say": [{"text": "tails"}]},
    }))
    .unwrap()
}

const TOSSED: &str = "
prompts: ['{{asked}}']
providers: [gateway]
tests:
  - {description: now and then, vars: {asked: toss it}, assert: [{type: equals, value: heads}]}
  - {description: always, vars: {asked: speak}, assert: [{type: equals, value: tails}]}
";

#[test]
fn repetitions_find_a_case_that_is_flaky_and_another_seed_asks_anew() {
    let instar = Instar::start(Setup::scripted(tossing()));
    let suite = put(instar.home(), "tossed.yaml", TOSSED);
    let asked = |more: &[&str]| {
        let mut args = vec!["eval", "run", &suite, "--jobs", "1"];
        args.extend(more);
        instar.run_with(&args, "")
    };
    let first = asked(&["--repeat", "3", "--json"]);
    // What is flaky counts for nothing, and the other case passes.
    assert_eq!(first.code, 0, "{first:?}");
    let report: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(
        (&report["repeat"], &report["seed"]),
        (&json!(3), &json!(0)),
        "{report:#}"
    );
    let rows = report["arms"][0]["rows"].as_array().unwrap().iter();
    let asked_for: Vec<_> = rows
        .map(|row| {
            (
                row["name"].as_str().unwrap(),
                row["repeat"].as_u64().unwrap(),
            )
        })
        .collect();
    let each = ["now and then", "always"].map(|name| [0, 1, 2].map(|repeat| (name, repeat)));
    assert_eq!(asked_for, each.concat());
    assert_eq!(
        report["flaky"],
        json!([{"arm": "stable", "case": 0, "column": 0, "name": "now and then", "passed": 1, "of": 3}])
    );

    let calls = instar.model.requests().len();
    let shown = asked(&["--repeat", "3"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let named = "flaky now and then: 1 of 3 passed in stable";
    assert!(shown.stdout.contains(named), "{shown:?}");
    assert_eq!(
        instar.model.requests().len(),
        calls,
        "equal seeds are equal calls, and their answers are kept"
    );
    let other = asked(&["--seed", "7", "--json"]);
    assert_eq!(
        instar.model.requests().len(),
        calls + 2,
        "another seed asks again, each case once"
    );
    assert_eq!(other.code, 100, "the coin shows tails now: {other:?}");
    let other: Value = serde_json::from_str(&other.stdout).unwrap();
    assert_eq!(other["seed"], 7);
    assert_eq!(other["flaky"], json!([]));
    assert_ne!(other["digest"], report["digest"]);
    let again = asked(&["--seed", "7", "--json"]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again["digest"], other["digest"], "equal seeds, equal runs");
    assert_eq!(asked(&["--repeat", "0"]).code, 2);
    assert_eq!(asked(&["--repeat", "101"]).code, 2);
}

#[test]
fn a_candidate_is_compared_with_the_release_that_is_named() {
    let instar = Instar::start(Setup::default());
    let delta = json!([
        {"set_prompt": {"agent": "main", "file": "SOUL.md", "text": null}},
        {"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 1}},
    ]);
    let poor = instar.candidate(&delta);
    let asked = |more: &[&str]| {
        let mut args = vec!["eval", "run", "builtin:golden"];
        args.extend(more);
        instar.run_with(&args, "")
    };
    let told = "answers, and is told who it is by its identity files";
    let worse = asked(&["--candidate", &poor, "--baseline", "stable"]);
    assert_eq!(worse.code, 100, "{worse:?}");
    assert!(
        worse.stdout.contains(&format!("worse: {told}")),
        "{worse:?}"
    );

    let better = asked(&["--candidate", "stable", "--baseline", &poor]);
    assert_eq!(better.code, 0, "{better:?}");
    assert!(
        better.stdout.contains(&format!("better: {told}")) && !better.stdout.contains("worse:"),
        "{better:?}"
    );
    // Both are as poor: nothing got worse, and that is not enough where all have to pass.
    let same = asked(&["--candidate", &poor, "--baseline", &poor, "--json"]);
    assert_eq!(same.code, 100, "{same:?}");
    assert!(same.stderr.contains("did not pass"), "{same:?}");
    let same: Value = serde_json::from_str(&same.stdout).unwrap();
    let found = &same["comparison"];
    assert_eq!(found["baseline"], poor.as_str(), "{found:#}");
    assert_eq!(found["verdict"], "no_regression", "{found:#}");
    assert_eq!(found["regressions"], json!([]), "{found:#}");
    assert!(found["both_failed"].as_u64().unwrap() > 0, "{found:#}");
    let lenient = asked(&[
        "--candidate",
        &poor,
        "--baseline",
        &poor,
        "--pass-rate",
        "1",
    ]);
    assert_eq!(lenient.code, 0, "{lenient:?}");

    // Where there is no candidate, it is the one that answers.
    let alone = asked(&["--baseline", &poor, "--json"]);
    assert_eq!(alone.code, 100, "{alone:?}");
    let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
    let arms = alone["arms"].as_array().unwrap();
    assert_eq!((arms.len(), &arms[0]["name"]), (1, &json!(poor)));
    let nobody = asked(&["--candidate", &poor, "--baseline", "nobody"]);
    assert!(![0, 100].contains(&nobody.code), "{nobody:?}");
    assert_eq!(nobody.stdout, "", "{nobody:?}");
}

/// What is asked holds one of these words, and the answer is the one beside it.
fn answering(answers: &[(&str, &str)]) -> Script {
    let rules: Vec<Value> = answers
        .iter()
        .map(|(asked, text)| json!({"when": {"contains": [asked]}, "answer": {"say": [{"text": text}]}}))
        .collect();
    serde_json::from_value(
        json!({"rules": rules, "otherwise": {"say": [{"text": "I do not know."}]}}),
    )
    .unwrap()
}

#[test]
fn samples_of_every_kind_become_a_suite_that_the_gateway_answers() {
    let instar = Instar::start(Setup::scripted(answering(&[
        ("France", "Paris, of course."),
        ("Italy", "It is Rome."),
        ("Spain", "madrid"),
        ("a list", "{\"b\": [2], \"a\": 1}"),
        ("a colour", "B) blue"),
        ("a planet", "Surely that big one."),
    ])));
    let chat = |text: &str| json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]);
    let sample = |text: &str, ideal: Value| json!({"input": chat(text), "ideal": ideal});
    let choice = |asked: &str, target: &str| json!({"id": asked, "input": format!("Name {asked}."), "choices": ["red", "blue"], "target": target});
    let kinds = [
        (
            "openai-match",
            vec![
                sample("France?", json!("Paris")),
                sample("Italy?", json!("Rome")),
                sample("Spain?", json!(["Madrid", "madrid"])),
            ],
            "pfp",
        ),
        (
            "openai-includes",
            vec![
                sample("Italy?", json!(["Roma", "Rome"])),
                sample("Spain?", json!("Madrid")),
            ],
            "pf",
        ),
        (
            "openai-fuzzy",
            vec![
                sample("Spain?", json!("Madrid")),
                sample("Spain?", json!(["Toledo", "The City of Madrid"])),
                sample("Italy?", json!("Milan")),
            ],
            "ppf",
        ),
        (
            "openai-json",
            vec![
                sample("a list", json!("{\"a\": 1, \"b\": [2]}")),
                sample("a list", json!("{\"a\": 1, \"b\": [3]}")),
            ],
            "pf",
        ),
        (
            "inspect",
            vec![
                json!({"input": "France?", "target": "paris"}),
                choice("a colour", "B"),
                choice("a planet", "B"),
                choice("a planet", "A"),
            ],
            "ppff",
        ),
    ];
    for (kind, samples, wanted) in kinds {
        let lines: Vec<String> = samples.iter().map(Value::to_string).collect();
        let file = put(instar.home(), &format!("{kind}.jsonl"), &lines.join("\n"));
        let made = instar.run(["eval", "import", &file, "--kind", kind]);
        assert_eq!(made.code, 0, "{kind}: {made:?}");
        let suite = put(instar.home(), &format!("{kind}.yaml"), &made.stdout);
        let report = instar.run(["eval", "run", &suite, "--json"]);
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        let rows = report["arms"][0]["rows"].as_array().unwrap().iter();
        let outcomes: String = rows
            .map(|row| match row["outcome"].as_str().unwrap() {
                "passed" => 'p',
                "failed" => 'f',
                other => panic!("{kind}: {other}: {row:#}"),
            })
            .collect();
        assert_eq!(outcomes, wanted, "{kind}: {report:#}");
    }
    // The conversation of a sample is asked as one.
    let asked = instar
        .model
        .requests()
        .into_iter()
        .map(|request| request.body);
    let of_spain = asked.filter(|body| body.to_string().contains("Spain?"));
    assert!(of_spain.count() > 0);
}

#[test]
fn samples_that_cannot_be_read_are_named_and_nothing_is_written() {
    let instar = Instar::prepare(Setup::default());
    let good = "{\"input\": \"Which?\", \"ideal\": \"this\"}";
    for (text, told) in [
        (format!("{good}\nno json\n"), "line 2"),
        (
            format!("{good}\n{{\"ideal\": \"this\"}}\n"),
            "sample 2: has no `input`",
        ),
        (
            "{\"input\": \"Which?\"}".to_owned(),
            "sample 1: has no `ideal`",
        ),
        (String::new(), "samples"),
    ] {
        let file = put(instar.home(), "samples.jsonl", &text);
        let made = instar.run(["eval", "import", &file]);
        assert_eq!(made.code, 1, "{made:?}");
        assert_eq!(made.stdout, "", "{made:?}");
        assert!(made.stderr.contains(told), "{told}: {made:?}");
    }
    let gone = instar.run(["eval", "import", "/nothing/here.jsonl"]);
    assert_eq!((gone.code, gone.stdout.as_str()), (1, ""), "{gone:?}");
    let kind = instar.run(["eval", "import", "samples.jsonl", "--kind", "others"]);
    assert_eq!(kind.code, 2, "{kind:?}");
}
