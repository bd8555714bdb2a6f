//! What a fault tells of itself, and whom a whole cycle of the lab tells: nobody.

use serde_json::{Value, json};

use crate::support::trace::{self, Moment, Traced};
use crate::support::{Instar, Setup, skipped};
use crate::tools::{calling, said, workspace};

/// It has the shape of a key and opens nothing.
const KEY: &str = "ghp_Zq3kV8sTn1LwYb6RmXc0Jd5H";

fn cycle(instar: &Instar) -> Value {
    let done = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(done["outcome"], "done", "{done}");
    done
}

fn of_read(instar: &Instar) -> Value {
    let list = instar.run(["fault", "list", "--json"]).json();
    let mut all = list.as_array().unwrap().iter();
    let found = all.find(|fault| fault["place"] == "tool:read");
    found.unwrap_or_else(|| panic!("{list:#}")).clone()
}

/// When calls of tools were made, the newest first.
fn calls(instar: &Instar) -> Vec<Value> {
    let path = "/api/v1/events?kind=tool_call&limit=10";
    let events = instar.http.get(path).expect(200);
    let all = events.as_array().unwrap().iter();
    all.map(|event| event["at"].clone()).collect()
}

#[test]
fn a_fault_tells_when_it_was_seen_first_and_last_in_words_without_keys() {
    let gone = json!({ "path": format!("notes/{KEY}.md") });
    let instar = Instar::start(Setup::scripted(calling(&[("gone", "read", gone)])));
    workspace(&instar);
    said(&instar, "gone");
    said(&instar, "gone");
    cycle(&instar);
    let fault = of_read(&instar);
    let at = calls(&instar);
    let [last, first] = at.as_slice() else {
        panic!("{at:?}");
    };
    assert_eq!(
        (&fault["first_seen"], &fault["last_seen"]),
        (first, last),
        "{fault:#}"
    );
    said(&instar, "gone");
    cycle(&instar);
    let later = of_read(&instar);
    assert_eq!(&later["first_seen"], first, "{later:#}");
    assert_eq!(later["last_seen"], calls(&instar)[0], "{later:#}");
    assert_ne!(later["last_seen"], fault["last_seen"]);

    // Each example says what was said, without the key, wherever the fault is shown.
    let examples = later["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 3, "{later:#}");
    for example in examples {
        let text = example["text"].as_str().unwrap();
        assert!(text.contains("notes/") && text.contains('['), "{text}");
    }
    let id = later["id"].as_str().unwrap();
    let shown = instar.run(["fault", "show", id]).stdout;
    let page = instar.http.get(&format!("/faults/{id}")).body;
    for told in [later.to_string(), shown, page] {
        assert!(told.contains("notes/") && !told.contains(KEY), "{told}");
    }
}

/// Whom a call names that names somebody on a network.
fn is_of_network(call: &&Traced) -> bool {
    call.moment == Moment::Entered && call.arguments.contains("sa_family=AF_INET")
}

#[test]
fn a_whole_cycle_of_the_lab_speaks_to_nobody() {
    if let Some(why) = trace::cannot_trace() {
        skipped(&why);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let wrong = json!({"path": "note.md", "limit": "2"});
    let mut setup = Setup::scripted(calling(&[("look", "read", wrong)]));
    setup.under = trace::record("connect,sendto,sendmsg,sendmmsg", &log);
    let mut instar = Instar::start(setup);
    workspace(&instar);
    said(&instar, "look");
    said(&instar, "look");
    let asked = instar.model.requests().len();
    assert_eq!(cycle(&instar)["proposed"], 1);
    assert_eq!(cycle(&instar)["proposed"], 0);
    assert_eq!(instar.model.requests().len(), asked, "no model is asked");
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");

    // The turns show that the record has whom was spoken to; all of it was the model that is named.
    let url = instar.model.openai_url();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let model = format!("htons({port})");
    let calls = trace::read(&std::fs::read_to_string(&log).unwrap());
    let named: Vec<&Traced> = calls.iter().filter(is_of_network).collect();
    assert!(!named.is_empty(), "{} calls", calls.len());
    let others: Vec<&&Traced> = named
        .iter()
        .filter(|call| !call.arguments.contains(&model))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}
