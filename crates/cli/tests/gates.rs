//! Gates of a candidate and going back, through the built binary.

use serde_json::{Value, json};
use std::path::Path;

use crate::support::{Instar, Output, Setup, skipped, until};

fn check(instar: &Instar, id: &str) -> Value {
    instar.run(["candidate", "check", id, "--json"]).json()
}

fn row<'a>(table: &'a Value, gate: &str) -> &'a Value {
    let rows = table["rows"].as_array().unwrap();
    rows.iter().find(|row| row["gate"] == gate).unwrap()
}

fn all(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

fn limit(value: u32) -> Value {
    json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": value}})
}

fn has_solver() -> bool {
    ["/usr/bin/cvc5", "/usr/local/bin/cvc5"]
        .iter()
        .any(|path| Path::new(path).is_file())
}

#[test]
fn the_gates_of_a_candidate_are_asked_shown_and_overruled_by_the_owners_yes_alone() {
    let instar = Instar::start(Setup::default());
    let id = instar.candidate(&limit(3));
    let before = instar.run(["candidate", "show", &id]);
    assert!(
        all(&before).contains("it was not asked yet"),
        "{}",
        all(&before)
    );

    let said = instar.run(["candidate", "check", &id[..10]]);
    for part in [
        "well-formed",
        "pass",
        "the authority is the same",
        "class B",
        "it may go to shadow",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", all(&said));
    }
    let table = check(&instar, &id);
    for gate in [
        "well-formed",
        "reach",
        "policy",
        "secrets",
        "skills",
        "evals",
        "red-team",
    ] {
        assert_eq!(row(&table, gate)["outcome"], "pass", "{gate}: {table}");
    }
    assert_eq!(row(&table, "human")["outcome"], "no-data");
    let page = instar.http.get(&format!("/candidates/{id}"));
    assert_eq!(page.status, 200);
    for part in [
        "red-team",
        "no-data",
        "Say yes to it",
        "It may go to shadow",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }

    let yes = instar.run(["candidate", "approve", &id, "--json"]).json();
    assert_eq!(row(&yes, "human")["by"], "owner");
    assert_eq!(yes["decision"]["may"], "stable");
    // What was signed of it stands before who verifies everything.
    let sound = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(sound["problems"], json!([]));
}

#[test]
fn a_candidate_that_widens_policy_is_refused_at_the_gate_with_a_sentence() {
    let instar = Instar::start(Setup::default());
    let rules = "@rule(\"may-fetch\")\npermit (principal is Owner, action == Action::\"fetch\", resource);\n";
    let delta = json!({"widen_policy": {"rules": {"file": "mine.cedar", "text": rules}}});
    let id = instar.candidate(&delta);
    let table = check(&instar, &id);
    let policy = row(&table, "policy");
    assert_ne!(policy["outcome"], "pass", "{table}");
    let why = policy["why"].as_str().unwrap();
    if has_solver() {
        assert_eq!(policy["outcome"], "fail");
        assert!(why.contains("a call with the effect fetch"), "{why}");
        assert!(
            why.contains("would be let through by the rule may-fetch in mine.cedar:1"),
            "{why}"
        );
    } else {
        assert!(why.contains("there is no solver"), "{why}");
    }
    assert_eq!(
        (&table["class"], &table["decision"]["may"]),
        (&json!("D"), &json!("nothing"))
    );
    let refused = instar.run(["candidate", "approve", &id]);
    assert!(
        all(&refused).contains("instar release endorse"),
        "{}",
        all(&refused)
    );
    assert_ne!(refused.code, 0);
}

#[test]
fn going_back_reaches_the_next_turn_outlives_a_restart_and_keeps_the_files_out() {
    let mut instar = Instar::start(Setup::default());
    let first = instar.run(["release", "show", "--json"]).json();
    let nothing = instar.run(["release", "rollback"]);
    assert!(
        all(&nothing).contains("no release was stable before"),
        "{}",
        all(&nothing)
    );

    let file = instar.state.join("workspace/SOUL.md");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(&file, format!("{text}\nYou answer in verse.\n")).unwrap();
    until("the edit to be in force", || {
        let shown = instar.run(["release", "show", "--json"]).json();
        (shown["id"] != first["id"]).then_some(())
    });
    let sent = |instar: &Instar, text: &str| {
        let _outcome = instar.ask("main", text);
        instar.model.requests().pop().unwrap().body.to_string()
    };
    assert!(sent(&instar, "one").contains("You answer in verse."));

    let back = instar.run(["release", "rollback", "--reason", "too much verse"]);
    assert!(back.stdout.contains("is stable again"), "{}", all(&back));
    assert!(!sent(&instar, "two").contains("You answer in verse."));
    let log = instar.run(["release", "log"]).stdout;
    assert!(log.contains("too much verse"), "{log}");
    let events = instar
        .run(["events", "tail", "--kind", "release", "--json"])
        .stdout;
    assert!(events.contains("too much verse"), "{events}");

    instar.restart();
    assert!(!sent(&instar, "three").contains("You answer in verse."));
    let served = instar.run(["release", "show", "--json"]).json();
    assert_eq!(served["id"], first["id"]);
    let same = instar.run(["release", "rollback", "--to", first["id"].as_str().unwrap()]);
    assert!(all(&same).contains("stable already"), "{}", all(&same));
}

#[test]
fn a_candidate_is_rebased_where_stable_changed_elsewhere() {
    let instar = Instar::start(Setup::default());
    let id = instar.candidate(&limit(3));
    let early = instar.run(["candidate", "rebase", &id]);
    assert!(all(&early).contains("nothing to rebase"), "{}", all(&early));
    let first = instar.run(["release", "show", "--json"]).json();
    let file = instar.state.join("workspace/SOUL.md");
    std::fs::write(&file, "You are brief.\n").unwrap();
    until("the edit to be in force", || {
        let shown = instar.run(["release", "show", "--json"]).json();
        (shown["id"] != first["id"]).then_some(())
    });
    let new = instar.run(["candidate", "rebase", &id, "--json"]).json();
    assert_ne!(new["id"], json!(id));
    assert_eq!(new["fit"]["is"], "current");
    let old = instar.run(["candidate", "show", &id, "--json"]).json();
    assert_eq!(old["state"], "withdrawn");
}

const OWN_SUITE: &str = r#"
name: mine
providers: [agent]
tests:
  - description: keeps its tone
    agent:
      model:
        rules:
          - {when: {says: [hello], system_contains: "on your owner's side"}, answer: {say: [{text: "How can I help?"}]}}
        otherwise: {say: [{text: "I was not told who I am."}]}
      turns: [hello]
    assert:
      - {type: contains, value: "How can I help"}
"#;

/// A case whose answer nothing here can judge.
const UNASKED: &str = r#"
  - description: reads well
    agent:
      model:
        otherwise: {say: [{text: "How can I help?"}]}
      turns: [hello]
    assert:
      - {type: meteor, value: "How can I help"}
"#;

#[test]
fn a_candidate_that_does_worse_in_the_owners_own_suite_is_held_and_the_case_is_named() {
    let instar = Instar::start(Setup::default());
    std::fs::create_dir_all(instar.state.join("suites")).unwrap();
    std::fs::write(instar.state.join("suites/mine.yaml"), OWN_SUITE).unwrap();
    let text = "You answer in verse.\n";
    let worse = json!({"set_prompt": {"agent": "main", "file": "SOUL.md", "text": text}});
    let id = instar.candidate(&worse);
    let table = check(&instar, &id);
    let evals = row(&table, "evals");
    assert_eq!(evals["outcome"], "fail", "{table}");
    assert!(
        evals["why"].as_str().unwrap().contains("keeps its tone"),
        "{evals}"
    );
    assert_eq!(row(&table, "red-team")["outcome"], "pass", "{table}");
    // What a gate refuses goes nowhere, whoever wants it.
    let yes = instar.run(["candidate", "approve", &id, "--json"]).json();
    assert_eq!(yes["decision"]["may"], "nothing");
    let refused = instar.run(["rollout", "start", &id]);
    assert!(
        refused.stderr.contains("keeps its tone"),
        "{}",
        all(&refused)
    );
    // One that changes something else is let through by the same suite.
    let table = check(&instar, &instar.candidate(&limit(30)));
    assert_eq!(row(&table, "evals")["outcome"], "pass", "{table}");
    // What cannot be asked is not passed, however much of the rest is.
    let half = format!("{OWN_SUITE}{UNASKED}");
    std::fs::write(instar.state.join("suites/mine.yaml"), half).unwrap();
    let table = check(&instar, &instar.candidate(&limit(32)));
    let evals = row(&table, "evals");
    assert_eq!(evals["outcome"], "no-data", "{table}");
    assert!(
        evals["why"]
            .as_str()
            .unwrap()
            .contains("1 cases were decided by neither"),
        "{evals}"
    );
    assert_eq!(table["decision"]["may"], "nothing");
    // A suite that nobody can read holds.
    std::fs::write(instar.state.join("suites/mine.yaml"), "tests: [").unwrap();
    let table = check(&instar, &instar.candidate(&limit(31)));
    assert_eq!(row(&table, "evals")["outcome"], "no-data", "{table}");
    assert_eq!(table["decision"]["may"], "nothing");
}

/// The packages beside the Python that the tests are given, if the second solver is among them.
fn package() -> Option<std::path::PathBuf> {
    let python = std::path::PathBuf::from(std::env::var_os("INSTAR_TEST_PYTHON")?);
    let lib = python.parent()?.parent()?.join("lib");
    let mut versions = std::fs::read_dir(lib).ok()?.filter_map(Result::ok);
    let folder = versions.next()?.path().join("site-packages");
    folder.join("cvc5").is_dir().then_some(folder)
}

#[test]
fn an_equal_rule_in_other_words_is_proved_by_every_solver_there_is() {
    let mut setup = Setup::default();
    if let Some(package) = package() {
        setup = setup.config(json!({"improve": {"solverPackage": package}}));
    }
    let mut instar = Instar::prepare(setup);
    let folder = instar.state.join("policy");
    std::fs::create_dir_all(&folder).unwrap();
    let rule =
        "forbid (principal, action == Action::\"send\", resource) when { context.tainted };\n";
    std::fs::write(folder.join("mine.cedar"), rule).unwrap();
    instar.launch();
    let same =
        "forbid (principal, action in [Action::\"send\"], resource) unless { !context.tainted };\n";
    let delta = json!({"widen_policy": {"rules": {"file": "mine.cedar", "text": same}}});
    let table = check(&instar, &instar.candidate(&delta));
    let policy = row(&table, "policy");
    let why = policy["why"].as_str().unwrap();
    if !has_solver() && package().is_none() {
        assert!(why.contains("there is no solver"), "{why}");
        skipped("neither a cvc5 program nor its Python package is here: no proof was tried");
        return;
    }
    assert_eq!(policy["outcome"], "pass", "{table}");
    assert_eq!(table["class"], "B", "{table}");
    for (there, part) in [
        (has_solver(), "the system's cvc5"),
        (package().is_some(), "the cvc5 of the Python package"),
    ] {
        assert_eq!(why.contains(part), there, "{why}");
    }
}

/// One identity makes the model look something up that the other does not; both answers pass.
const REACHING: &str = r#"
name: reaching
providers: [agent]
tests:
  - description: answers
    agent:
      tools:
        look_up: {description: "Looks a word up.", returns: "a word"}
      model:
        rules:
          - {when: {no_result: true, system_contains: "in verse"}, answer: {say: [{call: {name: look_up, arguments: {}}}]}}
        otherwise: {say: [{text: "Hello."}]}
      turns: [hello]
    assert:
      - {type: contains, value: Hello}
"#;

#[test]
fn a_candidate_that_is_seen_to_reach_for_more_than_stable_does_asks_before_it_goes_anywhere() {
    let instar = Instar::start(Setup::default());
    std::fs::create_dir_all(instar.state.join("suites")).unwrap();
    std::fs::write(instar.state.join("suites/reaching.yaml"), REACHING).unwrap();
    let text = "You answer in verse.\n";
    let delta = json!({"set_prompt": {"agent": "main", "file": "SOUL.md", "text": text}});
    let table = check(&instar, &instar.candidate(&delta));
    let evals = row(&table, "evals");
    assert_eq!(evals["outcome"], "pass", "{table:#}");
    let reach = evals["reach"][0].as_str().unwrap();
    assert!(reach.contains("it asks for look_up"), "{reach}");
    assert_eq!(
        (&table["class"], &table["decision"]["may"]),
        (&json!("C"), &json!("nothing"))
    );
    let told = instar.run(["rollout", "status"]);
    assert!(told.stderr.contains("no rollout is under way"), "{told:?}");
}
