//! Fixes that go on by themselves: several in one release, each on a coin of its own.

use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::rollouts::{serve, status};
use crate::support::{Instar, Setup};
use crate::tools::{calling, said, workspace};

/// What the lab proposed is left to a person for half a minute, so that this takes longer than most things.
const PATIENCE: Duration = Duration::from_secs(150);

fn candidates(instar: &Instar) -> Vec<Value> {
    let all = instar.run(["candidate", "list", "--json"]).json();
    all.as_array().unwrap().clone()
}

fn of_lab(instar: &Instar) -> Vec<Value> {
    let mut all = candidates(instar);
    all.retain(|one| {
        one["proposer"]
            .as_str()
            .is_some_and(|who| who.starts_with("lab: "))
    });
    all
}

/// A house whose model asks for a number as if it were a word, of two tools.
fn failing() -> Instar {
    let script = calling(&[
        ("look", "read", json!({"path": "note.md", "limit": "2"})),
        (
            "seek",
            "grep",
            json!({"pattern": "sea", "path": ".", "limit": "2"}),
        ),
    ]);
    let config = json!({"improve": {"rollout": {"turns": 1, "maturitySeconds": 0}}});
    let setup = Setup::scripted(script).config(config);
    let instar = Instar::start(setup.env("EVOLVE_STRATEGY", "repair-only"));
    std::fs::write(workspace(&instar).join("note.md"), "the sea is calm\n").unwrap();
    for word in ["look", "seek", "look", "seek"] {
        let answer = said(&instar, word);
        assert!(answer.contains("must be a whole number"), "{answer}");
    }
    instar
}

#[test]
fn fixes_that_go_on_by_themselves_are_in_one_release_with_a_coin_each() {
    let instar = failing();
    let cycle = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(cycle["proposed"], 2, "{cycle}");
    let single = of_lab(&instar);
    let count = |one: &Value| one["deltas"].as_array().unwrap().len();
    assert!(
        single.len() == 2 && single.iter().all(|one| count(one) == 1),
        "{single:#?}"
    );

    let begun = Instant::now();
    let rollout = loop {
        let shown = instar.run(["rollout", "history", "--json"]).json();
        if let Some(first) = shown.as_array().and_then(|all| all.first()) {
            break first.clone();
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "nothing went on: {:#?}",
            candidates(&instar)
        );
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(rollout["by"], "the gateway", "{rollout:#}");
    assert_eq!(
        rollout["stage"]["stage"], "shadow",
        "as far as the owner lets it: {rollout:#}"
    );
    let id = rollout["candidate"].as_str().unwrap();
    let shown = instar.run(["candidate", "show", id, "--json"]).json();
    assert_eq!(shown["proposer"], "lab: fixes together", "{shown:#}");
    assert_eq!(
        (count(&shown), &shown["class"]),
        (2, &json!("B")),
        "{shown:#}"
    );
    let left = crate::support::until("the single ones are withdrawn", || {
        let all = of_lab(&instar);
        let open = all.iter().filter(|one| one["state"] == "open").count();
        (open == 1).then_some(all)
    });
    for one in &single {
        let now = left.iter().find(|other| other["id"] == one["id"]).unwrap();
        assert_eq!(now["state"], "withdrawn", "{now:#}");
        let reason = shown["reason"].as_str().unwrap();
        let short: String = one["id"].as_str().unwrap().chars().take(12).collect();
        assert!(reason.contains(&short), "{reason}");
    }

    instar.run(["candidate", "approve", id, "--json"]).json();
    instar.run(["rollout", "promote", "--json"]).json();
    assert_eq!(status(&instar)["stage"]["stage"], "promoted");
    let turns = 16;
    let mut mended = [Vec::new(), Vec::new()];
    for _turn in 0..turns {
        for (word, mended) in ["look", "seek"].into_iter().zip(&mut mended) {
            mended.push(said(&instar, word).contains("the sea is calm"));
        }
    }
    let trials = instar.run(["heal", "status", "--json"]).json();
    let trials = trials.as_array().unwrap();
    assert_eq!(trials.len(), 2, "{trials:#?}");
    let faults = instar.run(["fault", "list", "--json"]).json();
    for (place, mended) in ["tool:read", "tool:grep"].into_iter().zip(&mended) {
        let mut all = faults.as_array().unwrap().iter();
        let fault = all.find(|fault| fault["place"] == place).unwrap();
        let trial = trials.iter().find(|one| one["fault"] == fault["id"]);
        let trial = trial.unwrap_or_else(|| panic!("{trials:#?}"));
        let units = |arm: &str| trial[arm][0].as_u64().unwrap();
        let with = mended.iter().filter(|one| **one).count();
        // Its units are those of its own tool, and its coin says who has it.
        assert_eq!(units("treated"), u64::try_from(with).unwrap(), "{trial:#}");
        assert_eq!(units("treated") + units("control"), turns, "{trial:#}");
        assert!(units("treated") > 0 && units("control") > 0, "{trial:#}");
    }
    assert_ne!(mended[0], mended[1], "one coin for both");
}

fn asked(instar: &Instar, agent: &str, text: &str) -> String {
    let outcome = instar.ask(&format!("agent:{agent}:main"), text);
    outcome["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn two_agents_have_faults_of_their_own_which_are_healed_apart() {
    let script = calling(&[
        ("look", "read", json!({"path": "note.md", "limit": "2"})),
        (
            "seek",
            "grep",
            json!({"pattern": "sea", "path": ".", "limit": "2"}),
        ),
    ]);
    let config = json!({
        "agents": {"entries": {"main": {}, "kim": {}}},
        "improve": {"autonomy": {"b": "nothing"}},
    });
    let setup = Setup::scripted(script).config(config);
    let instar = Instar::start(setup.env("EVOLVE_STRATEGY", "repair-only"));
    for folder in ["workspace", "workspace-main", "workspace-kim"] {
        let folder = instar.state.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("note.md"), "the sea is calm\n").unwrap();
    }
    let refused = |answer: &str| answer.contains("must be a whole number");
    for _turn in 0..2 {
        for (agent, word) in [("main", "look"), ("kim", "seek")] {
            let answer = asked(&instar, agent, word);
            assert!(refused(&answer), "{agent}: {answer}");
        }
    }
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    let faults = instar.run(["fault", "list", "--json"]).json();
    let whose = |place: &str| {
        let all = faults.as_array().unwrap();
        let found = all.iter().find(|fault| fault["place"] == place);
        found.unwrap_or_else(|| panic!("{faults:#}"))["agents"].clone()
    };
    assert_eq!(whose("tool:read"), json!({"main": 2}));
    assert_eq!(whose("tool:grep"), json!({"kim": 2}));
    let proposed = of_lab(&instar);
    let of = |agent: &str| {
        let is_of = |one: &&Value| one["deltas"][0]["set_mitigation"]["agent"] == agent;
        proposed
            .iter()
            .find(is_of)
            .unwrap_or_else(|| panic!("{proposed:#?}"))
    };
    assert_eq!(proposed.len(), 2, "{proposed:#?}");
    serve(&instar, of("main")["id"].as_str().unwrap());
    // The other one is put upon the release that is stable now.
    let other = of("kim")["id"].as_str().unwrap();
    let rebased = instar.run(["candidate", "rebase", other, "--json"]).json();
    serve(&instar, rebased["id"].as_str().unwrap());

    let turns = 12;
    let mut mended = [0, 0];
    for _turn in 0..turns {
        for ((agent, word), mended) in [("main", "look"), ("kim", "seek")]
            .into_iter()
            .zip(&mut mended)
        {
            let answer = asked(&instar, agent, word);
            *mended += u64::from(answer.contains("the sea is calm"));
        }
        // What one agent has the other has not.
        for (agent, word) in [("kim", "look"), ("main", "seek")] {
            let answer = asked(&instar, agent, word);
            assert!(refused(&answer), "{agent}: {answer}");
        }
    }
    let trials = instar.run(["heal", "status", "--json"]).json();
    for (agent, mended) in ["main", "kim"].into_iter().zip(mended) {
        let prefix = format!("fix/{agent}/");
        let is_of = |one: &&Value| one["experiment"].as_str().unwrap().starts_with(&prefix);
        let trial = trials.as_array().unwrap().iter().find(is_of);
        let trial = trial.unwrap_or_else(|| panic!("{trials:#}"));
        let units = |arm: &str| trial[arm][0].as_u64().unwrap();
        assert_eq!(units("treated"), mended, "{trial:#}");
        assert_eq!(units("treated") + units("control"), turns, "{trial:#}");
    }
}
