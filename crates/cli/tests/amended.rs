//! A note that answers rest on which their owner corrects, through the built binary: what is proposed, who
//! decides, and what comes back.

use instar_demo::{Answer as Said, Script, Step, When};
use serde_json::{Value, json};

use crate::hands::open;
use crate::support::{Instar, Setup};
use crate::tools::workspace;

fn noting() -> Script {
    let after = |tool: &str| When {
        result_of: Some(tool.to_owned()),
        ..When::default()
    };
    let on = |word: &str| When {
        contains: vec![word.to_owned()],
        no_result: true,
        ..When::default()
    };
    let result = || Said::of([Step::Text("{{result}}".to_owned())]);
    let note = |text: &str| Said::call("memory_note", json!({ "text": text }));
    Script::saying("Fine.")
        .rule(after("memory_note"), result())
        .rule(after("memory_search"), result())
        .rule(on("keep the boat"), note("The boat is Ida."))
        .rule(on("keep the tea"), note("Tea is at five."))
        .rule(
            on("which boat"),
            Said::call("memory_search", json!({ "query": "boat" })),
        )
}

fn file(instar: &Instar) -> std::path::PathBuf {
    let folder = std::fs::read_dir(workspace(instar).join("memory")).unwrap();
    let mut files = folder.map(|entry| entry.unwrap().path());
    files.find(|path| path.is_file()).unwrap()
}

fn text(instar: &Instar) -> String {
    std::fs::read_to_string(file(instar)).unwrap()
}

/// Two answers that rest on the note about the boat, each corrected, and a cycle of the lab.
fn corrected(instar: &Instar, sessions: [&str; 2]) -> Vec<Value> {
    for session in sessions {
        let told = instar.ask(&format!("agent:main:{session}"), "which boat");
        assert!(
            told["text"].as_str().unwrap().contains("boat is Ida"),
            "{told:#}"
        );
        let _sorry = instar.ask(&format!("agent:main:{session}"), "No, that is wrong.");
    }
    found(instar)
}

fn found(instar: &Instar) -> Vec<Value> {
    let cycle = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(cycle["outcome"], "done", "{cycle:#}");
    edits(instar)
}

fn edits(instar: &Instar) -> Vec<Value> {
    let all = instar.run(["memory", "edit", "list", "--json"]).json();
    all["edits"].as_array().unwrap().clone()
}

fn kept() -> Instar {
    let instar = Instar::start(Setup::scripted(noting()).config(open("open")));
    for word in ["keep the boat", "keep the tea"] {
        let _told = instar.ask("agent:main:one", word);
    }
    instar
}

#[test]
fn a_note_that_corrected_answers_rest_on_goes_on_its_owners_word_and_comes_back_with_its_label() {
    let mut instar = kept();
    let before = text(&instar);
    let all = corrected(&instar, ["a", "b"]);
    assert_eq!(all.len(), 1, "{all:#?}");
    let id = all[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(all[0]["state"], "proposed");
    assert!(all[0]["why"].as_str().unwrap().contains("2 of 2 answers"));
    let shown = instar.run(["memory", "edit", "show", &id]).stdout;
    assert!(
        shown.contains("The boat is Ida.") && shown.contains("amend-note"),
        "{shown}"
    );
    let fault = all[0]["fault"].as_str().unwrap().to_owned();
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(told.contains("waits for you: take a note"), "{told}");
    // What holds the token alone, as a conversation may, decides nothing.
    let path = format!("/api/v1/memory/edits/{id}/accept");
    instar.http.post(&path, &json!({})).expect(403);
    assert_eq!(text(&instar), before);

    let done = instar
        .run(["memory", "edit", "accept", &id, "--json"])
        .json();
    assert_eq!(done["state"], "accepted", "{done:#}");
    assert!(!text(&instar).contains("Ida") && text(&instar).contains("Tea is at five."));
    let _stopped = instar.kill9();
    instar.launch();
    let none = instar.run(["memory", "search", "boat", "--json"]).json();
    assert_eq!(none["results"], json!([]));
    assert_eq!(found(&instar).len(), 1, "nothing more is proposed");

    let done = instar.run(["memory", "edit", "undo", &id, "--json"]).json();
    assert_eq!(done["state"], "undone", "{done:#}");
    assert_eq!(text(&instar), before, "byte by byte");
    let name = file(&instar)
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let name = format!("memory/{name}");
    let shown = instar.run(["memory", "show", &name, "--json"]).json();
    assert_eq!(shown["entries"][0]["origin"], "owner", "{shown:#}");
    let again = instar.run(["memory", "edit", "undo", &id]);
    assert!(
        again.code != 0 && again.stderr.contains("undone"),
        "{again:?}"
    );
}

#[test]
fn what_was_refused_waits_for_something_new_and_what_was_changed_meanwhile_stays() {
    let instar = kept();
    let all = corrected(&instar, ["a", "b"]);
    let first = all[0]["id"].as_str().unwrap().to_owned();
    let done = instar
        .run(["memory", "edit", "refuse", &first, "--json"])
        .json();
    assert_eq!(done["state"], "refused", "{done:#}");
    assert_eq!(found(&instar).len(), 1, "nothing new is known");
    let all = corrected(&instar, ["c", "d"]);
    assert_eq!(all.len(), 2, "{all:#?}");
    let second = all[0]["id"].as_str().unwrap().to_owned();
    let changed = text(&instar).replace("Ida", "Eve");
    std::fs::write(file(&instar), &changed).unwrap();
    let refused = instar.run(["memory", "edit", "accept", &second]);
    assert!(
        refused.code != 0 && refused.stderr.contains("stale"),
        "{refused:?}"
    );
    assert_eq!(text(&instar), changed, "nothing is lost");
    assert_eq!(edits(&instar)[0]["state"], "stale");
}
