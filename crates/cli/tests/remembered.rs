//! What an agent keeps in mind, through the built binary: its notes, who wrote them, and what a candidate
//! noted before there was a verdict.

use instar_demo::{Answer as Said, Script, Step, When};
use serde_json::{Value, json};
use std::path::PathBuf;

use crate::hands::open;
use crate::rollouts::{candidate, start, status};
use crate::support::socket::{Socket, hello};
use crate::support::{Instar, Setup, until};
use crate::tools::{calling, said, workspace};

const IDENTITY: &str = "You keep things in mind.";

/// The files of notes and what is in them.
fn files(instar: &Instar) -> Vec<(PathBuf, String)> {
    let folder = workspace(instar).join("memory");
    let Ok(found) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = found.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn text(instar: &Instar) -> String {
    files(instar).into_iter().map(|(_, text)| text).collect()
}

fn noting() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "keep this",
            "memory_note",
            json!({ "text": "The boat in the harbour is Ida." }),
        ),
        ("keep nothing", "memory_note", json!({ "text": " " })),
        (
            "remember",
            "memory_search",
            json!({ "query": "harbour boat" }),
        ),
        (
            "many",
            "memory_search",
            json!({ "query": "boat", "maxResults": 21 }),
        ),
        ("no word", "memory_search", json!({ "query": "?!" })),
        (
            "elsewhere",
            "memory_get",
            json!({ "path": "../instar.json" }),
        ),
        (
            "overwrite",
            "write",
            json!({ "path": "memory/2026-01-01.md", "content": "Trust everybody." }),
        ),
    ]
}

#[test]
fn a_note_is_found_in_another_conversation_after_a_restart_and_memory_has_one_door() {
    let mut instar = Instar::start(Setup::scripted(calling(&noting())).config(open("open")));
    let told = instar.ask("agent:main:one", "keep this")["text"].clone();
    assert!(told.as_str().unwrap().contains("memory/"), "{told}");
    assert!(text(&instar).contains("The boat in the harbour is Ida."));
    instar.restart();
    let found = said(&instar, "remember");
    assert!(
        found.contains("harbour is Ida") && found.contains("\"startLine\":1"),
        "{found}"
    );
    for (word, why) in [
        ("overwrite", "memory_note alone adds to"),
        ("keep nothing", "nothing to note"),
        ("many", "maxResults"),
        ("no word", "say a word"),
        ("elsewhere", "leads out of it"),
    ] {
        let told = said(&instar, word);
        assert!(told.contains(why), "{word}: {told}");
    }
    assert_eq!(files(&instar).len(), 1);

    let listed = instar.run(["memory", "list", "--json"]).json();
    let path = listed["files"][0]["path"].as_str().unwrap().to_owned();
    let shown = instar.run(["memory", "show", &path, "--json"]).json();
    assert_eq!(shown["entries"][0]["origin"], "owner", "{shown:#}");
    let found = instar.run(["memory", "search", "Ida", "--json"]).json();
    assert_eq!(found["results"][0]["path"], json!(path));
    let (mut client, hello) = Socket::connect(&instar, &hello(&["operator.read"]));
    hello.unwrap();
    let heard = client
        .ask("memory.search", &json!({ "query": "Ida" }))
        .unwrap();
    assert_eq!(heard, found);
    let none = client
        .ask("memory.search", &json!({ "query": "Eve" }))
        .unwrap();
    assert_eq!(
        none,
        json!({ "agentId": "main", "provider": "none", "searchMode": "fts-only", "results": [] })
    );
    let refused = instar.run(["memory", "show", "1999-01-01"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("instar memory list"),
        "{refused:?}"
    );
}

/// A model that notes what it was told, and keeps to itself what it was not.
fn keeping() -> Script {
    let repeat = |tool: &str| When {
        result_of: Some(tool.to_owned()),
        ..When::default()
    };
    let under = |word: &str| When {
        contains: vec![word.to_owned()],
        system_contains: Some(IDENTITY.to_owned()),
        no_result: true,
        ..When::default()
    };
    let asked = When {
        contains: vec!["hello".to_owned()],
        no_result: true,
        ..When::default()
    };
    let result = || Said::of([Step::Text("{{result}}".to_owned())]);
    Script::saying("Fine.")
        .rule(repeat("memory_note"), result())
        .rule(repeat("memory_search"), result())
        .rule(
            under("note it"),
            Said::call("memory_note", json!({ "text": "The boat is Ida." })),
        )
        .rule(
            asked,
            Said::call("memory_search", json!({ "query": "boat" })),
        )
}

/// A gateway that serves the candidate to a half, and a conversation of the candidate's that noted something.
fn noted() -> Instar {
    let mut config = open("open");
    config["improve"] = json!({ "autonomy": { "a": "nothing", "b": "nothing" } });
    let instar = Instar::start(Setup::scripted(keeping()).config(config));
    let made = candidate(&instar, IDENTITY);
    let _begun = start(&instar, &made, "0.4");
    for number in 0..40 {
        let told = instar.ask(&format!("agent:main:note{number}"), "note it");
        if told["text"].as_str().unwrap().contains("memory/") {
            return instar;
        }
    }
    panic!("no conversation was the candidate's: {:#}", status(&instar));
}

/// What is found in conversations under the candidate, and in those that are not.
fn heard(instar: &Instar, from: u32) -> (Vec<bool>, Vec<bool>) {
    let (mut its, mut others) = (Vec::new(), Vec::new());
    for number in from..from + 14 {
        let told = instar.ask(&format!("agent:main:hear{number}"), "hello");
        let is_found = told["text"].as_str().unwrap().contains("Ida");
        let sent = instar.model.requests().pop().unwrap().body.to_string();
        match sent.contains(IDENTITY) {
            true => its.push(is_found),
            false => others.push(is_found),
        }
    }
    (its, others)
}

#[test]
fn what_a_candidate_notes_is_read_by_its_arm_alone_and_merged_once_when_it_is_promoted() {
    let mut instar = noted();
    let (its, others) = heard(&instar, 0);
    assert!(!its.is_empty() && its.iter().all(|found| *found), "{its:?}");
    assert!(
        !others.is_empty() && others.iter().all(|found| !found),
        "{others:?}"
    );
    assert_eq!(files(&instar), [], "it lies in no file");
    // Nothing can be written where the notes of the day would stand.
    let folder = workspace(&instar).join("memory");
    std::fs::write(&folder, "in the way").unwrap();
    let ended = instar.run(["rollout", "promote", "--json"]).json();
    assert_eq!(ended["stage"]["stage"], "promoted", "{ended:#}");
    // Between the move and the files it is everybody's already.
    let (_, others) = heard(&instar, 100);
    assert!(others.iter().all(|found| *found), "{others:?}");
    let _stopped = instar.kill9();
    std::fs::remove_file(&folder).unwrap();
    instar.launch();
    let merged = text(&instar);
    assert_eq!(merged.matches("The boat is Ida.").count(), 1, "{merged}");
    let _stopped = instar.kill9();
    instar.launch();
    assert_eq!(text(&instar), merged, "the next start adds nothing");
    let held = instar
        .run(["memory", "quarantine", "list", "--json"])
        .json();
    assert_eq!(held["notes"], json!([]));
}

#[test]
fn what_a_candidate_noted_is_in_quarantine_when_it_is_taken_back_until_its_owner_lets_it_out() {
    let mut instar = noted();
    let ended = instar.run(["rollout", "abort", "--json"]).json();
    assert_eq!(ended["stage"]["stage"], "rolled_back", "{ended:#}");
    let _stopped = instar.kill9();
    instar.launch();
    assert_eq!(files(&instar), []);
    let (_, others) = heard(&instar, 0);
    assert!(
        !others.is_empty() && others.iter().all(|found| !found),
        "{others:?}"
    );
    let held = instar
        .run(["memory", "quarantine", "list", "--json"])
        .json();
    let note = held["notes"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(held["notes"][0]["text"], "The boat is Ida.", "{held:#}");
    let shown = instar
        .run(["memory", "quarantine", "show", &note, "--json"])
        .json();
    assert_eq!(shown["origin"], "owner", "{shown:#}");
    let unknown = instar.run(["memory", "quarantine", "drop", "nothing"]);
    assert!(
        unknown.stderr.contains("instar memory quarantine list"),
        "{unknown:?}"
    );
    let done = instar
        .run(["memory", "quarantine", "restore", &note, "--json"])
        .json();
    assert_eq!(done["changed"], json!(true), "{done:#}");
    let merged = until("it stands in a file", || {
        Some(text(&instar)).filter(|text| !text.is_empty())
    });
    assert_eq!(merged.matches("The boat is Ida.").count(), 1, "{merged}");
    let (_, others) = heard(&instar, 100);
    assert!(others.iter().all(|found| *found), "{others:?}");
}
