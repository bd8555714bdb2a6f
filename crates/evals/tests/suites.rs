//! What a suite may ask for, and what is made of it.

use instar_evals::import::{Samples, import};
use instar_evals::output::{junit, markdown, promptfoo};
use instar_evals::{
    Answer, Arm, BuiltIn, Call, Check, Files, Finding, Folder, Grader, Options, Outcome, Provider,
    ProviderSpec, Providers, Report, Step, Suite, Trouble, run,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write the value where they hand it over"
)]
pub(crate) fn suite(value: Value) -> Suite {
    Suite::of("test", &value, &Files::embedded(&[])).unwrap()
}

fn echoed(value: Value) -> Report {
    with(&suite(value), &BuiltIn, &Options::default())
}

fn with(suite: &Suite, providers: &dyn Providers, options: &Options<'_>) -> Report {
    let arm = Arm {
        name: "only".to_owned(),
        release: None,
        providers,
    };
    run(suite, &[arm], options).unwrap()
}

/// One answer against one assertion.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write the value where they hand it over"
)]
fn outcome(output: &str, assertion: Value) -> Outcome {
    let report = echoed(json!({
        "prompts": ["{{out}}"], "tests": [{"vars": {"out": output}, "assert": [assertion]}],
    }));
    report.arms[0].rows[0].outcome
}

/// Answers from a list, one after the other, whoever asks.
#[derive(Debug)]
struct Listed {
    answers: Vec<&'static str>,
    keeps: bool,
    calls: AtomicU32,
}

impl Listed {
    fn of(answers: &[&'static str]) -> Self {
        Self {
            answers: answers.to_vec(),
            keeps: false,
            calls: AtomicU32::new(0),
        }
    }
}

impl Providers for &'static Listed {
    fn provider(&self, _spec: &ProviderSpec) -> Result<Box<dyn Provider>, Trouble> {
        Ok(Box::new(*self))
    }
}

impl Provider for &'static Listed {
    fn answer(&self, _call: &Call<'_>) -> Result<Answer, Trouble> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) as usize;
        Ok(Answer::text(self.answers[call % self.answers.len()]))
    }

    fn keeps(&self) -> bool {
        self.keeps
    }
}

fn leaked(listed: Listed) -> &'static Listed {
    Box::leak(Box::new(listed))
}

#[test]
fn what_is_not_done_is_unsupported_and_never_passes() {
    for kind in [
        "is-sql",
        "contains-sql",
        "meteor",
        "webhook",
        "ruby",
        "javascript",
        "python",
        "llm-rubric",
        "similar",
        "classifier",
        "moderation",
        "pi",
        "select-best",
        "max-score",
        "answer-relevance",
        "context-recall",
        "context-relevance",
        "context-faithfulness",
        "conversation-relevance",
        "agent-rubric",
        "search-rubric",
        "human",
        "trace-span-count",
        "made-up",
    ] {
        for kind in [kind.to_owned(), format!("not-{kind}")] {
            let assertion = json!({"type": kind, "value": "1 == 1"});
            assert_eq!(
                outcome("1", assertion.clone()),
                Outcome::Unsupported,
                "{kind}"
            );
            // Neither a threshold nor no weight makes a pass of it.
            let report = echoed(json!({
                "prompts": ["x"],
                "tests": [{"threshold": 0, "assert": [{"type": kind, "value": "true", "weight": 0}]}],
            }));
            assert_eq!(
                report.arms[0].rows[0].outcome,
                Outcome::Unsupported,
                "{kind}"
            );
            assert!(report.arms[0].rows[0].score == 0.0);
            let set = json!({"type": "assert-set", "threshold": 0, "assert": [assertion]});
            assert_eq!(outcome("1", set), Outcome::Unsupported, "{kind}");
        }
    }
    for pattern in ["a(?=b)", "(?<!a)b", r"(a)\1", r"\cA"] {
        let assertion = json!({"type": "regex", "value": pattern});
        assert_eq!(outcome("ab", assertion), Outcome::Unsupported, "{pattern}");
    }
    for transform in [
        "output.replace(/a/, 'b')",
        "output?.length",
        "output.split('').map(c => c)",
        "typeof output",
        "Math.max(1, 2)",
        "output | trim",
        "output // as it is",
        "`${output}`",
        "[...output]",
        "{...context}",
    ] {
        let assertion = json!({"type": "is-json", "transform": transform});
        assert_eq!(outcome("1", assertion), Outcome::Unsupported, "{transform}");
    }
    let spoken = json!({"prompts": ["{% macro m() %}{% endmacro %}"], "tests": [{}]});
    assert_eq!(echoed(spoken).arms[0].rows[0].outcome, Outcome::Unsupported);
    let scored =
        json!({"prompts": ["x"], "tests": [{"vars": {}, "assertScoringFunction": "file://s.js"}]});
    assert_eq!(echoed(scored).arms[0].rows[0].outcome, Outcome::Unsupported);
    for provider in [
        "openai:gpt-5",
        "https://example.org/answer",
        "http://127.0.0.1:1",
    ] {
        let other = json!({"prompts": ["x"], "providers": [provider], "tests": [{}]});
        assert_eq!(echoed(other).arms[0].rows[0].outcome, Outcome::Unsupported);
    }
}

#[test]
fn a_suite_that_asks_for_something_unknown_is_refused_by_name() {
    let refused = |value: Value| {
        Suite::of("test", &value, &Files::embedded(&[]))
            .unwrap_err()
            .to_string()
    };
    assert!(refused(json!({"extensions": ["file://hook.js"]})).contains("extensions"));
    assert!(refused(json!({"nunjucksFilters": {}})).contains("nunjucksFilters"));
    assert!(refused(json!({"tests": [{"assert": [{"value": 1}]}]})).contains("type"));
    assert!(refused(json!([1])).contains("mapping"));
    assert!(refused(json!({"tests": "file://gone.yaml"})).contains("gone.yaml"));
    let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let product = json!({"tests": [{"vars": {"a": many, "b": many, "c": many}}]});
    assert!(refused(product).contains("more than"));
}

#[test]
fn no_name_leads_out_of_the_folder_of_a_suite() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("suite");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(outer.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(outer.path().join("secret.txt"), folder.join("link.txt")).unwrap();
    for name in ["../secret.txt", "link.txt", "/etc/hostname"] {
        let text = format!("prompts: ['file://{name}']\ntests: [{{}}]\n");
        std::fs::write(folder.join("suite.yaml"), text).unwrap();
        let error = Suite::open(&folder.join("suite.yaml"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("outside the folder"), "{name}: {error}");
    }
}

#[test]
fn the_environment_is_out_of_the_reach_of_templates() {
    let asked = |prompt: &str| {
        let suite = json!({"prompts": [prompt], "env": {"OWN": "mine"}, "tests": [{}]});
        echoed(suite).arms[0].rows[0].clone()
    };
    assert_eq!(asked("|{{ env.OWN }}|").prompt, "|mine|");
    for prompt in [
        "{{ env.PATH }}",
        "{{ env['HOME'] }}",
        "{{ env.PATH | default('none') }}",
        "{% if env.PATH %}yes{% endif %}",
    ] {
        let row = asked(prompt);
        assert_eq!(row.outcome, Outcome::Unsupported, "{prompt}: {row:?}");
        assert!(row.reason.contains("env."), "{row:?}");
    }
    let unset = echoed(json!({"prompts": ["{{ env.PATH }}"], "tests": [{}]}));
    let row = &unset.arms[0].rows[0];
    assert_eq!(row.outcome, Outcome::Unsupported);
    assert!(row.reason.contains("env.PATH"), "{row:?}");
}

#[test]
fn a_row_of_a_table_may_name_a_script_or_any_type() {
    let files = Files::embedded(&[
        (
            "rows.csv",
            "out,__expected\na,file://check.js\nb,file://check.py:right\nc,trajectory:tool-used: search\n\
             d,agent-rubric: good\ne,similar:cosine: e\nf,containsf: f",
        ),
        ("check.js", "module.exports = () => true"),
        ("check.py", "def right(output, context):\n    return True"),
    ]);
    let value = json!({"prompts": ["{{out}}"], "tests": ["file://rows.csv"]});
    let suite = Suite::of("test", &value, &files).unwrap();
    let kinds: Vec<_> = suite
        .cases
        .iter()
        .map(|case| match &case.checks[0] {
            Check::One(one) => (one.kind.as_str(), one.value.clone()),
            Check::Set { .. } => unreachable!("a row has no sets"),
        })
        .collect();
    assert_eq!((kinds[0].0, kinds[1].0), ("javascript", "python"));
    assert_eq!(kinds[0].1["source"], "module.exports = () => true");
    assert_eq!(kinds[1].1["function"], "right");
    let plain = |at: usize| (kinds[at].0, kinds[at].1.as_str().unwrap_or_default());
    assert_eq!(plain(2), ("trajectory:tool-used", "search"));
    assert_eq!(plain(3), ("agent-rubric", "good"));
    assert_eq!(plain(4), ("similar", "cosine: e"));
    assert_eq!(plain(5), ("equals", "containsf: f"));
    let report = with(&suite, &BuiltIn, &Options::default());
    assert_eq!(report.arms[0].rows[0].outcome, Outcome::Unsupported);
    assert_eq!(report.arms[0].rows[1].outcome, Outcome::Unsupported);
}

#[test]
fn a_case_that_is_asked_in_several_ways_is_named_with_each() {
    let named = |prompts: Value, providers: Value| -> Vec<String> {
        let value = json!({"prompts": prompts, "providers": providers, "tests": [{"description": "greets"}]});
        let rows = echoed(value).arms.remove(0).rows;
        rows.into_iter().map(|row| row.name).collect()
    };
    assert_eq!(named(json!(["hello"]), json!(["echo"])), ["greets"]);
    let two =
        json!([{"raw": "hello", "label": "short"}, {"raw": "good day\nto you", "label": "long"}]);
    assert_eq!(
        named(two, json!(["echo"])),
        ["greets [short]", "greets [long]"]
    );
    let by = json!(["echo", {"id": "echo", "label": "again"}]);
    assert_eq!(
        named(json!(["hello"]), by),
        ["greets [echo]", "greets [again]"]
    );
}

#[test]
fn cases_whose_repetitions_differ_are_quarantined_in_the_open() {
    let value = json!({"prompts": ["x"], "providers": ["listed"], "tests": [
        {"description": "now and then", "assert": [{"type": "equals", "value": "yes"}]},
    ]});
    let providers = leaked(Listed::of(&["yes", "no", "yes"]));
    let report = with(
        &suite(value),
        &providers,
        &Options {
            repeat: 3,
            ..Options::default()
        },
    );
    let flaky = &report.flaky[0];
    assert_eq!(
        (flaky.name.as_str(), flaky.passed, flaky.of),
        ("now and then", 2, 3)
    );
    let counts = report.counts(0);
    assert_eq!((counts.passed, counts.failed, counts.flaky), (0, 0, 1));
    assert!(markdown(&report).contains("flaky in only: now and then, 2 of 3 passed"));
    assert!(junit(&report).contains("<skipped message=\"flaky"));
}

#[test]
fn a_kept_answer_is_not_asked_for_again_and_a_repetition_is_a_call_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Folder::at(folder.path());
    let value =
        json!({"prompts": ["x"], "providers": ["listed"], "tests": [{}, {"vars": {"a": 1}}]});
    let listed = leaked(Listed {
        keeps: true,
        ..Listed::of(&["a", "b", "c", "d"])
    });
    let options = Options {
        repeat: 2,
        cache: Some(&cache),
        ..Options::default()
    };
    let first = with(&suite(value.clone()), &listed, &options);
    assert_eq!(listed.calls.load(Ordering::Relaxed), 4);
    let second = with(&suite(value.clone()), &listed, &options);
    assert_eq!(listed.calls.load(Ordering::Relaxed), 4);
    assert!(second.arms[0].rows.iter().all(|row| row.cached));
    assert_eq!(first.digest(), second.digest());
    with(&suite(value), &listed, &Options { seed: 1, ..options });
    assert_eq!(
        listed.calls.load(Ordering::Relaxed),
        8,
        "another seed is another call"
    );
}

#[test]
fn a_comparison_tells_chance_from_harm() {
    let cases = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|n| json!({"vars": {"n": n.to_string()}, "assert": [{"type": "equals", "value": "yes"}]}))
            .collect()
    };
    let compared = |count, candidate: &'static Listed, baseline: &'static Listed| {
        let suite = suite(json!({"prompts": ["{{n}}"], "providers": ["x"], "tests": cases(count)}));
        let arms =
            [("candidate", &candidate), ("stable", &baseline)].map(|(name, providers)| Arm {
                name: name.to_owned(),
                release: None,
                providers: providers as &dyn Providers,
            });
        run(&suite, &arms, &Options::default())
            .unwrap()
            .comparison
            .unwrap()
    };
    let yes = || leaked(Listed::of(&["yes"]));
    let no = || leaked(Listed::of(&["no"]));
    let four = compared(4, no(), yes());
    assert_eq!(
        (four.regressions.len(), four.verdict),
        (4, Finding::Regressed)
    );
    assert!((four.p_worse - 0.0625).abs() < 1e-12);
    let five = compared(5, no(), yes());
    assert_eq!(five.verdict, Finding::Worse);
    assert!((five.p_worse - 0.03125).abs() < 1e-12);
    let told = five.lines().join(" ");
    assert!(
        told.contains("in 3.1 % of cases; 5.0 % or less decides") && five.e_worse < 20.0,
        "the finding goes by what is told beside it: {told}"
    );
    assert!(five.high < 0.05 && five.low == -1.0, "{five:?}");
    let better = compared(5, yes(), no());
    assert_eq!(
        (better.verdict, better.improvements.len()),
        (Finding::Better, 5)
    );
    let same = compared(60, yes(), yes());
    assert_eq!(same.verdict, Finding::NoRegression);
    assert!(
        same.low < -0.05 && same.low > -0.07,
        "sixty cases do not show more than this: {same:?}"
    );
    let none = compared(0, yes(), yes());
    assert_ne!(none.verdict, Finding::Worse);
}

#[test]
fn the_outputs_say_the_same_as_the_report() {
    let suite = suite(json!({"prompts": ["{{out}}"], "tests": [
        {"vars": {"out": "a"}, "description": "<b> & \"c\" | d", "assert": [{"type": "equals", "value": "b\u{1}<&"}]},
        {"vars": {"out": "b"}, "assert": [{"type": "equals", "value": "b"}]},
        {"vars": {"out": "c"}, "assert": [{"type": "cost"}]},
    ]}));
    let report = with(&suite, &BuiltIn, &Options::default());
    let shaped = promptfoo(&suite, &report, 0, "2026-01-01T00:00:00Z");
    assert_eq!(shaped["results"]["version"], 3);
    let stats = &shaped["results"]["stats"];
    assert_eq!(
        (&stats["successes"], &stats["failures"], &stats["errors"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let reasons: Vec<_> = shaped["results"]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["failureReason"].clone())
        .collect();
    assert_eq!(reasons, [json!(1), json!(0), json!(2)]);
    let xml = junit(&report);
    assert_eq!(
        outcome(
            &xml,
            json!({"type": "is-xml", "value": "testsuites.testsuite.testcase.0.failure"})
        ),
        Outcome::Passed,
        "{xml}"
    );
    assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\""));
    let text = markdown(&report);
    assert!(
        text.contains("1 passed, 1 failed, 1 errors") && text.contains(r"\<b\> & "),
        "{text}"
    );
    let own: Report = serde_json::from_value(report.to_value()).unwrap();
    assert_eq!(own.digest(), report.digest());
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().collect();
    keys.sort();
    keys.into_iter().map(String::as_str).collect()
}

#[test]
fn what_is_written_for_promptfoo_has_its_keys() {
    let suite = suite(json!({
        "prompts": ["{{out}}"],
        "providers": [{"id": "scripted", "config": {"otherwise": {"say": [{"text": "yes"}]}}}],
        "derivedMetrics": [{"name": "twice", "value": "tone * 2"}],
        "tests": [
            {"vars": {"out": "a"}, "assert": [
                {"type": "contains", "value": "y", "metric": "{{out}}ccuracy"},
                {"type": "assert-set", "threshold": 0.5, "assert": [
                    {"type": "not-equals", "value": "no", "metric": "tone"},
                    {"type": "starts-with", "value": "n", "metric": "tone", "weight": 2},
                ]},
                {"type": "equals", "value": "yes", "metric": "tone"},
            ]},
            {"vars": {"out": "b"}, "assert": [{"type": "equals", "value": "yes", "metric": "tone"}]},
        ],
    }));
    let report = with(&suite, &BuiltIn, &Options::default());
    let shaped = promptfoo(&suite, &report, 0, "2026-01-01T00:00:00Z");
    let metrics = &shaped["results"]["prompts"][0]["metrics"];
    assert_eq!(
        keys(metrics),
        [
            "assertFailCount",
            "assertPassCount",
            "cost",
            "namedScoreWeights",
            "namedScores",
            "namedScoresCount",
            "score",
            "testErrorCount",
            "testFailCount",
            "testPassCount",
            "tokenUsage",
            "totalLatencyMs",
        ]
    );
    // Three assertions of the first case and one of the second; what is derived comes from none.
    assert_eq!(
        metrics["namedScoresCount"],
        json!({"accuracy": 1, "tone": 4})
    );
    let row = &shaped["results"]["results"][0];
    assert_eq!(
        keys(row),
        [
            "cost",
            "error",
            "failureReason",
            "gradingResult",
            "id",
            "latencyMs",
            "metadata",
            "namedScores",
            "prompt",
            "promptId",
            "promptIdx",
            "provider",
            "response",
            "score",
            "success",
            "testCase",
            "testIdx",
            "tokenUsage",
            "vars",
        ]
    );
    let usage = &row["tokenUsage"];
    assert_eq!(keys(usage), ["cached", "completion", "prompt", "total"]);
    assert!(usage["completion"].as_u64().unwrap() > 0, "{usage}");
    assert_eq!(*usage, row["response"]["tokenUsage"]);
    let grading = &row["gradingResult"];
    assert_eq!(
        keys(grading),
        ["componentResults", "namedScores", "pass", "reason", "score"]
    );
    let components = grading["componentResults"].as_array().unwrap();
    let assertions: Vec<_> = components.iter().map(|one| &one["assertion"]).collect();
    assert_eq!(
        *assertions[0],
        json!({"type": "contains", "value": "y", "metric": "accuracy"})
    );
    assert_eq!(assertions[1]["type"], "assert-set");
    assert_eq!(
        assertions[2..],
        [
            &json!({"type": "not-equals", "value": "no", "metric": "tone"}),
            &json!({"type": "starts-with", "value": "n", "metric": "tone", "weight": 2}),
            &json!({"type": "equals", "value": "yes", "metric": "tone"}),
        ]
    );
    let passes: Vec<_> = components.iter().map(|one| one["pass"].clone()).collect();
    assert_eq!(passes[2..], [json!(true), json!(false), json!(true)]);
}

#[test]
fn samples_of_others_become_suites() {
    let lines = "{\"input\": [{\"role\": \"user\", \"content\": \"2+2? {{x}}\"}], \"ideal\": [\"4\", \"four\"]}\n";
    let value = import(lines, Samples::OpenAiMatch).unwrap();
    let mut value = value;
    value["providers"] = json!(["listed"]);
    let read = suite(value);
    let asked = with(&read, &BuiltIn, &Options::default());
    assert_eq!(
        asked.arms[0].rows[0].outcome,
        Outcome::Unsupported,
        "nobody is called so"
    );
    let answered =
        |text: &'static str| with(&read, &leaked(Listed::of(&[text])), &Options::default());
    assert_eq!(
        answered("4, of course").arms[0].rows[0].outcome,
        Outcome::Passed
    );
    assert_eq!(answered("four").arms[0].rows[0].outcome, Outcome::Passed);
    assert_eq!(answered("five").arms[0].rows[0].outcome, Outcome::Failed);
    assert!(
        answered("4").arms[0].rows[0].prompt.contains("{{x}}"),
        "text of others is no template"
    );

    let inspect = r#"[{"id": "q1", "input": "Which?", "choices": ["red", "blue"], "target": "B"}]"#;
    let value = import(inspect, Samples::Inspect).unwrap();
    assert_eq!(
        value["tests"][0]["vars"]["input"],
        "Which?\nA) red\nB) blue\nAnswer with the letter of the right choice alone; of several, with all of them."
    );
    let mut value = value;
    value["providers"] = json!(["listed"]);
    let chosen = |text: &'static str| {
        let providers = leaked(Listed::of(&[text]));
        with(&suite(value.clone()), &providers, &Options::default()).arms[0].rows[0].outcome
    };
    for right in [
        "B",
        "B.",
        "**B**",
        " B) blue",
        "ANSWER: B",
        "Answer: B, blue",
    ] {
        assert_eq!(chosen(right), Outcome::Passed, "{right}");
    }
    for wrong in [
        "A",
        "b is in many words",
        "A) red, but not B",
        "Blue",
        "ANSWER: A",
        "",
    ] {
        assert_eq!(chosen(wrong), Outcome::Failed, "{wrong}");
    }
    let fuzzy = r#"{"input": "Where?", "ideal": ["Toledo", "The City of {{Madrid}}"]}"#;
    let mut value = import(fuzzy, Samples::OpenAiFuzzy).unwrap();
    value["providers"] = json!(["listed"]);
    let near = |text: &'static str| {
        let providers = leaked(Listed::of(&[text]));
        with(&suite(value.clone()), &providers, &Options::default()).arms[0].rows[0].outcome
    };
    for right in ["in TOLEDO", "madrid", " the city of {{madrid}} "] {
        assert_eq!(near(right), Outcome::Passed, "{right}");
    }
    for wrong in ["Milan", "", "  "] {
        assert_eq!(near(wrong), Outcome::Failed, "{wrong}");
    }
    let talked = r#"{"input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}],
        "choices": ["red", "blue"], "target": "A"}"#
        .replace('\n', " ");
    let value = import(&talked, Samples::Inspect).unwrap();
    let input = value["tests"][0]["vars"]["input"].as_str().unwrap();
    let messages: Value = serde_json::from_str(input).unwrap();
    let question = messages[1]["content"].as_str().unwrap();
    assert!(
        question.starts_with("Which?\nA) red\nB) blue\n"),
        "{messages}"
    );
    assert_eq!(messages[0]["content"], "Be brief.");
    let objects = r#"{"input": "Who?", "ideal": {"name": "Ann"}}"#;
    let value = import(objects, Samples::OpenAiJson).unwrap();
    assert_eq!(
        value["tests"][0]["assert"][0]["value"],
        json!({"name": "Ann"})
    );
    assert!(import(objects, Samples::OpenAiMatch).is_err());
    for around in ["files", "setup", "sandbox"] {
        let sample = json!({"input": "x", "target": "y", around: {"a.txt": "text"}}).to_string();
        let error = import(&sample, Samples::Inspect).unwrap_err().to_string();
        assert!(error.contains(around), "{error}");
    }
    assert!(import("no json", Samples::Inspect).is_err());
    assert!(import("{}", Samples::OpenAiIncludes).is_err());
}

#[test]
fn a_script_answers_the_same_whoever_asked_before() {
    let suite = suite(json!({
        "prompts": ["{{q}}"],
        "providers": [{"id": "scripted", "config": {"rules": [
            {"when": {"contains": ["weather"]}, "times": 1, "answer": {"say": [{"text": "Sunny, call {{call}}."}]}},
            {"when": {"contains": ["send"]}, "answer": {"say": [{"call": {"name": "send", "arguments": {"to": "a"}}}]}},
        ], "otherwise": {"say": [{"text": "Pardon?"}]}}}],
        "tests": [
            {"vars": {"q": ["the weather?", "weather again"]}, "assert": [
                {"type": "equals", "value": "Sunny, call 1."}, {"type": "finish-reason", "value": "stop"},
            ]},
            {"vars": {"q": "send it"}, "assert": [
                {"type": "trajectory:tool-args-match", "value": {"name": "send", "args": {"to": "a"}}},
                {"type": "finish-reason", "value": "tool_calls"},
            ]},
            {"vars": {"q": "what"}, "assert": [{"type": "equals", "value": "Pardon?"}]},
        ],
    }));
    let report = with(
        &suite,
        &BuiltIn,
        &Options {
            jobs: 4,
            ..Options::default()
        },
    );
    assert_eq!(report.counts(0).passed, 4, "{:#?}", report.arms[0].rows);
}

/// Grades by what the answer holds.
#[derive(Debug)]
struct Easy;

impl Grader for Easy {
    fn ask(&self, _system: &str, user: &str) -> Result<String, Trouble> {
        Ok(match user {
            _ if user.contains("confused") => "I cannot say.".to_owned(),
            _ if user.contains("good") => {
                r#"{"pass": true, "score": 0.9, "reason": "fine", "category": "C"}"#.to_owned()
            }
            _ => r#"{"pass": false, "score": 0.1, "reason": "bad", "category": "D"}"#.to_owned(),
        })
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f64>>, Trouble> {
        Ok(texts
            .iter()
            .map(|text| vec![1.0, if text.contains("good") { 1.0 } else { 0.0 }])
            .collect())
    }
}

#[test]
fn a_model_grades_where_there_is_one_and_one_that_says_nothing_is_an_error() {
    let graded = |output: &str, assertion: Value| {
        let suite = suite(json!({
            "prompts": ["{{out}}"], "tests": [{"vars": {"out": output}, "assert": [assertion]}],
        }));
        let options = Options {
            grader: Some(&Easy),
            ..Options::default()
        };
        with(&suite, &BuiltIn, &options).arms[0].rows[0].outcome
    };
    for kind in [
        "llm-rubric",
        "g-eval",
        "model-graded-closedqa",
        "factuality",
        "model-graded-factuality",
        "trajectory:goal-success",
    ] {
        let asked = json!({"type": kind, "value": "is well"});
        assert_eq!(
            graded("a good one", asked.clone()),
            Outcome::Passed,
            "{kind}"
        );
        assert_eq!(
            graded("a poor one", asked.clone()),
            Outcome::Failed,
            "{kind}"
        );
        assert_eq!(graded("confused", asked), Outcome::Error, "{kind}");
        let turned = json!({"type": format!("not-{kind}"), "value": "is well"});
        assert_eq!(graded("confused", turned.clone()), Outcome::Error, "{kind}");
        assert_eq!(graded("a poor one", turned), Outcome::Passed, "{kind}");
    }
    let strict = json!({"type": "llm-rubric", "value": "is well", "threshold": 0.95});
    assert_eq!(graded("a good one", strict), Outcome::Failed);
    let near = json!({"type": "similar", "value": "good too", "threshold": 0.9});
    assert_eq!(graded("good", near.clone()), Outcome::Passed);
    assert_eq!(graded("other", near), Outcome::Failed);
}

/// Gives one answer, with all that is known of it.
#[derive(Debug, Clone)]
struct Known(Answer);

impl Providers for Known {
    fn provider(&self, _spec: &ProviderSpec) -> Result<Box<dyn Provider>, Trouble> {
        Ok(Box::new(self.clone()))
    }
}

impl Provider for Known {
    fn answer(&self, _call: &Call<'_>) -> Result<Answer, Trouble> {
        Ok(self.0.clone())
    }
}

/// The outcome and the score of an answer that is known, by a provider with this configuration.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write the value where they hand it over"
)]
fn judged(answer: &Answer, config: Value, assertion: Value) -> (Outcome, f64) {
    let suite = suite(json!({
        "prompts": ["x"], "providers": [{"id": "known", "config": config}], "tests": [{"assert": [assertion]}],
    }));
    let report = with(&suite, &Known(answer.clone()), &Options::default());
    let row = &report.arms[0].rows[0];
    (row.outcome, row.score)
}

#[test]
fn how_sure_a_model_was_is_a_score_between_nought_and_one() {
    let sure_by = |log_probs: &[f64], assertion: Value| {
        let answer = Answer {
            log_probs: log_probs.to_vec(),
            ..Answer::text("x")
        };
        judged(&answer, Value::Null, assertion)
    };
    // The mean of -2 is a perplexity of e squared, 7.389, and a score of 1 / 8.389.
    let score = 0.119_202_922_022_117_55;
    for (kind, threshold, outcome, expected) in [
        ("perplexity-score", 0.11, Outcome::Passed, score),
        ("perplexity-score", 0.12, Outcome::Failed, score),
        ("not-perplexity-score", 0.12, Outcome::Passed, 1.0 - score),
        ("not-perplexity-score", 0.11, Outcome::Failed, 1.0 - score),
        ("perplexity", 7.4, Outcome::Passed, 1.0),
        ("perplexity", 7.3, Outcome::Failed, 0.0),
    ] {
        let asked = json!({"type": kind, "threshold": threshold});
        let (found, scored) = sure_by(&[-1.0, -3.0], asked);
        assert_eq!(found, outcome, "{kind} {threshold}");
        assert!((scored - expected).abs() < 1e-12, "{kind}: {scored}");
    }
    let open = json!({"type": "perplexity-score"});
    assert_eq!(sure_by(&[0.0], open.clone()), (Outcome::Passed, 0.5));
    assert_eq!(sure_by(&[], open).0, Outcome::Error);
}

#[test]
fn calls_in_the_way_of_a_vendor_are_checked_by_what_the_provider_may_call() {
    let weather = json!({
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
            "additionalProperties": false,
        },
    });
    let call = |name: &str, arguments: &str| json!({"name": name, "arguments": arguments});
    let fits = call("weather", r#"{"city": "Oslo", "days": 3}"#);
    let cases = [
        (fits.clone(), Outcome::Passed),
        (call("weather", r#"{"days": 3}"#), Outcome::Failed),
        (call("weather", r#"{"city": 5}"#), Outcome::Failed),
        (
            call("weather", r#"{"city": "Oslo", "why": 1}"#),
            Outcome::Failed,
        ),
        (call("weather", "Oslo"), Outcome::Failed),
        (call("tides", r#"{"city": "Oslo"}"#), Outcome::Failed),
        (
            json!({"name": "weather", "arguments": {"city": "Oslo"}}),
            Outcome::Failed,
        ),
    ];
    let of = |output: &Value| Answer {
        output: output.clone(),
        ..Answer::default()
    };
    let functions = json!({"functions": [weather.clone()]});
    let tools = json!({"tools": [{"type": "function", "function": weather}]});
    for (call, outcome) in &cases {
        for kind in ["is-valid-function-call", "is-valid-openai-function-call"] {
            let asked = json!({"type": kind});
            for output in [call.clone(), json!({"function_call": call})] {
                let (found, _) = judged(&of(&output), functions.clone(), asked.clone());
                assert_eq!(found, *outcome, "{kind} {output}");
            }
        }
        let asked = json!({"type": "is-valid-openai-tools-call"});
        let one = json!({"type": "function", "function": call});
        let well = json!({"type": "function", "function": fits});
        for output in [
            json!([one]),
            json!({"tool_calls": [one]}),
            json!([well, one]),
        ] {
            let (found, _) = judged(&of(&output), tools.clone(), asked.clone());
            assert_eq!(found, *outcome, "{output}");
        }
    }
    let nothing = json!({"type": "is-valid-openai-tools-call"});
    let one = json!([{"type": "function", "function": fits}]);
    assert_eq!(
        judged(&of(&one), json!({}), nothing.clone()).0,
        Outcome::Failed
    );
    assert_eq!(judged(&of(&json!([])), tools, nothing).0, Outcome::Failed);
}

/// An answer on the way to which three tools ran, and one was refused.
fn travelled() -> Answer {
    let mut refused = Step::tool("pay", json!({"amount": 5}));
    "denied".clone_into(&mut refused.kind);
    Answer {
        steps: Some(vec![
            Step::tool("search_orders", json!({"order": "123", "history": false})),
            Step::tool("search_stock", json!({"item": {"id": 7, "size": "s"}})),
            refused,
            Step::tool("reply", json!({"tone": "friendly", "sources": ["a", "b"]})),
        ]),
        ..Answer::text("done")
    }
}

/// Each value passes or fails, and the other way round with `not-`.
fn decided_both_ways(kind: &str, cases: &[(Value, bool)]) {
    for (value, holds) in cases {
        for (name, passes) in [(kind.to_owned(), *holds), (format!("not-{kind}"), !holds)] {
            let asked = json!({"type": name, "value": value});
            let expected = match passes {
                true => (Outcome::Passed, 1.0),
                false => (Outcome::Failed, 0.0),
            };
            let found = judged(&travelled(), Value::Null, asked);
            assert_eq!(found, expected, "{name} {value}");
        }
    }
}

/// What cannot be decided is no pass, with `not-` before it neither; nor where nobody tells of steps.
fn never_decided(kind: &str, wrong: &[Value], right: &Value) {
    for name in [kind.to_owned(), format!("not-{kind}")] {
        for value in wrong {
            let asked = json!({"type": name, "value": value});
            let (found, _) = judged(&travelled(), Value::Null, asked);
            assert_eq!(found, Outcome::Error, "{name} {value}");
        }
        let asked = json!({"type": name, "value": right});
        let (found, _) = judged(&Answer::text("done"), Value::Null, asked);
        assert_eq!(found, Outcome::Error, "{name} without steps");
    }
}

#[test]
fn tools_are_called_in_an_order() {
    let kind = "trajectory:tool-sequence";
    let all = json!(["search_orders", "search_stock", "reply"]);
    let cases = [
        (all.clone(), true),
        // Others may run between them.
        (json!(["search_orders", "reply"]), true),
        (json!({"steps": ["search_*", {"pattern": "rep*"}]}), true),
        (json!(["reply", "search_orders"]), false),
        (json!(["search_orders", "search_orders"]), false),
        // What was refused did not run.
        (json!(["search_stock", "pay", "reply"]), false),
        (json!({"mode": "exact", "steps": all}), true),
        (
            json!({"mode": "exact", "steps": ["search_orders", "reply"]}),
            false,
        ),
        (
            json!({"mode": "exact", "steps": ["search_stock", "search_orders", "reply"]}),
            false,
        ),
        (
            json!({"mode": "in_order", "steps": ["search_orders", "reply"]}),
            true,
        ),
    ];
    decided_both_ways(kind, &cases);
    let wrong = [
        json!("reply"),
        json!({"steps": []}),
        json!([{"type": "tool"}, "reply"]),
    ];
    never_decided(kind, &wrong, &all);
}

#[test]
fn a_tool_is_called_with_arguments() {
    let kind = "trajectory:tool-args-match";
    let right = json!({"name": "search_orders", "args": {"order": "123"}});
    let cases = [
        (right.clone(), true),
        (
            json!({"name": "search_orders", "args": {"order": "999"}}),
            false,
        ),
        (
            json!({"name": "search_orders", "args": {"shop": "x"}}),
            false,
        ),
        (json!({"name": "missing", "args": {}}), false),
        (json!({"name": "pay", "args": {"amount": 5}}), false),
        (
            json!({"name": "search_stock", "args": {"item": {"id": 7}}}),
            true,
        ),
        (
            json!({"name": "reply", "args": {"sources": ["a", "b"]}}),
            true,
        ),
        (
            json!({"name": "search_orders", "mode": "exact", "args": {"order": "123"}}),
            false,
        ),
        (
            json!({"pattern": "search_o*", "mode": "exact", "arguments": {"order": "123", "history": false}}),
            true,
        ),
        (
            json!({"name": "search_orders", "mode": "exact", "args": {"order": "123"}, "ignore": ["hist*"]}),
            true,
        ),
        (
            json!({
                "name": "search_orders", "mode": "exact", "args": {"order": "123"},
                "defaults": {"history": false},
            }),
            true,
        ),
    ];
    decided_both_ways(kind, &cases);
    let wrong = [
        json!({"name": "search_orders"}),
        json!({"args": {"order": "123"}}),
        json!({"name": "search_orders", "mode": "exactly", "args": {"order": "123"}}),
    ];
    never_decided(kind, &wrong, &right);
}

#[test]
fn steps_are_counted_by_kind_and_name() {
    let kind = "trajectory:step-count";
    let right = json!({"type": "tool", "max": 3});
    let cases = [
        (right.clone(), true),
        (json!({"type": "tool", "max": 2}), false),
        (json!({"type": "tool", "min": 4}), false),
        (json!({"min": 4, "max": 4}), true),
        (
            json!({"type": ["denied", "asked"], "min": 1, "max": 1}),
            true,
        ),
        (json!({"pattern": "search_*", "min": 2, "max": 2}), true),
        (json!({"pattern": "search_*", "max": 1}), false),
        (json!({"pattern": "missing", "max": 0}), true),
    ];
    decided_both_ways(kind, &cases);
    let wrong = [json!(3), json!({"type": "tool"})];
    never_decided(kind, &wrong, &right);
}

/// Takes down what it is asked and says yes.
#[derive(Debug, Default)]
struct Noted(Mutex<Vec<(String, String)>>);

impl Grader for Noted {
    fn ask(&self, system: &str, user: &str) -> Result<String, Trouble> {
        let mut asked = self.0.lock().unwrap();
        asked.push((system.to_owned(), user.to_owned()));
        Ok(r#"{"pass": true, "reason": "fine", "category": "B"}"#.to_owned())
    }
}

#[test]
fn who_grades_a_goal_is_told_the_steps_and_who_grades_facts_is_told_the_expert() {
    let told = |assertion: Value| {
        let suite = suite(json!({
            "prompts": ["Where is my order?"], "providers": ["known"], "tests": [{"assert": [assertion]}],
        }));
        let noted = Noted::default();
        let options = Options {
            grader: Some(&noted),
            ..Options::default()
        };
        let report = with(&suite, &Known(travelled()), &options);
        assert_eq!(report.arms[0].rows[0].outcome, Outcome::Passed);
        let mut asked = noted.0.into_inner().unwrap();
        assert_eq!(asked.len(), 1);
        asked.remove(0).1
    };
    for value in [
        json!("the order is found"),
        json!({"goal": "the order is found"}),
    ] {
        let asked = told(json!({"type": "trajectory:goal-success", "value": value}));
        assert!(
            asked.contains("the goal was reached: the order is found\n"),
            "{asked}"
        );
        assert!(
            asked.contains("search_orders, search_stock, pay, reply"),
            "{asked}"
        );
        assert!(asked.contains("<answer>\ndone\n</answer>"), "{asked}");
    }
    for kind in ["factuality", "model-graded-factuality"] {
        let asked = told(json!({"type": kind, "value": "It is in Oslo."}));
        for part in [
            "Where is my order?",
            "<expert>\nIt is in Oslo.\n",
            "<answer>\ndone\n",
        ] {
            assert!(asked.contains(part), "{kind}: {asked}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_is_fed_brings_it_down(text in ".{0,60}", value in ".{0,30}") {
        for kind in [
            "regex", "contains-json", "is-json", "is-xml", "contains-xml", "is-html", "contains-html", "rouge-n",
            "bleu", "gleu", "levenshtein", "is-refusal", "tool-call-f1", "contains-any", "word-count",
        ] {
            let report = echoed(json!({
                "prompts": ["{% raw %}{{out}}{% endraw %}"],
                "tests": [{"vars": {"out": text.clone()}, "assert": [{"type": kind, "value": value.clone()}]}],
            }));
            prop_assert_eq!(report.arms[0].rows.len(), 1);
            let direct = json!({"prompts": [text.clone()], "tests": [{
                "assert": [{"type": kind, "value": "a", "transform": value.clone()}],
            }]});
            prop_assert_eq!(echoed(direct).arms[0].rows.len(), 1);
        }
    }

    #[test]
    fn not_is_the_opposite_wherever_something_is_decided(text in "[a-c ]{1,20}", value in "[a-c ]{1,6}") {
        for kind in ["equals", "contains", "icontains", "starts-with", "contains-all", "regex", "levenshtein", "word-count", "is-xml"] {
            let plain = outcome(&text, json!({"type": kind, "value": value.clone()}));
            let turned = outcome(&text, json!({"type": format!("not-{kind}"), "value": value.clone()}));
            match plain {
                Outcome::Passed => prop_assert_eq!(turned, Outcome::Failed, "{}", kind),
                Outcome::Failed => prop_assert_eq!(turned, Outcome::Passed, "{}", kind),
                other => prop_assert_eq!(turned, other, "{}", kind),
            }
        }
    }

    #[test]
    fn a_suite_of_any_shape_is_read_or_refused(text in "(\\PC|\n){0,200}") {
        let files: &'static str = Box::leak(text.into_boxed_str());
        let read = Suite::read("a.yaml", &Files::embedded(&[("a.yaml", files)]));
        if let Ok(suite) = read {
            let report = with(&suite, &BuiltIn, &Options::default());
            prop_assert!(report.arms[0].rows.len() <= suite.cases.len() * suite.prompts.len() * suite.providers.len());
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_to_others(text in "[ab1_ -]{0,12}") {
        // What the pattern says, said in Rust.
        let digit = outcome(&text, json!({"type": "regex", "value": r"\d"})) == Outcome::Passed;
        prop_assert_eq!(digit, !text.is_empty() && text.contains('1'));
        let word = outcome(&text, json!({"type": "regex", "value": r"^[\w-]+$"})) == Outcome::Passed;
        prop_assert_eq!(word, !text.is_empty() && text.chars().all(|c| c != ' '));
    }
}
