//! Candidates: made, shown, taken back, and served to nobody.

use serde_json::{Value, json};

use crate::support::{Instar, Setup};

fn rows(instar: &Instar) -> usize {
    let list = instar.run(["candidate", "list", "--json"]).json();
    list.as_array().unwrap().len()
}

#[test]
fn a_candidate_is_made_shown_and_taken_back_and_serves_nobody() {
    let mut instar = Instar::start(Setup::default());
    let before = instar.run(["release", "show", "--json"]).json();
    let made = instar
        .propose(&json!([
            {"set_prompt": {"agent": "main", "file": "SOUL.md", "text": "You answer in verse.\n"}},
            {"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 3}},
            {"widen_policy": {"posture": "open"}},
        ]))
        .json();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["class"], &made["state"]),
        (&json!("D"), &json!("open"))
    );
    assert_eq!(made["fit"]["is"], "current");
    assert!(!made["newly"].as_array().unwrap().is_empty(), "{made}");

    let list = instar.run(["candidate", "list"]).stdout;
    assert!(list.contains(&id[..12]) && list.contains("a try"), "{list}");
    let diff = instar.run(["candidate", "diff", &id[..8]]);
    let diff = diff.stdout + &diff.stderr;
    for line in [
        "+You answer in verse.",
        "agents.main.limits.tool_calls_max",
        "+ 3",
        "newly possible",
        "a candidate serves nobody until",
    ] {
        assert!(diff.contains(line), "{line}: {diff}");
    }

    // No turn has it, no alias moved.
    let _outcome = instar.ask("main", "hello");
    let sent = instar.model.requests().pop().unwrap().body.to_string();
    assert!(!sent.contains("You answer in verse."), "{sent}");
    let after = instar.run(["release", "show", "--json"]).json();
    assert_eq!(before["id"], after["id"]);

    // It is there after a restart, and without a gateway.
    instar.restart();
    assert_eq!(rows(&instar), 1);
    let gone = instar.run(["candidate", "withdraw", &id, "--json"]).json();
    assert_eq!(gone["state"], "withdrawn");
    let shown = instar.run(["candidate", "show", &id, "--json"]).json();
    assert_eq!(shown["state"], "withdrawn");
}

#[test]
fn what_is_wrong_with_a_candidate_is_told_with_its_place_and_nothing_is_stored() {
    let instar = Instar::start(Setup::default());
    let limit = |value: Value| json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": value}});
    for (deltas, told) in [
        (
            json!([limit(json!(3)), limit(json!("many"))]),
            "deltas[1].set_limit.value",
        ),
        (
            json!([limit(json!(3)), limit(json!(4))]),
            "deltas[1]: it touches agents.main.limits.tool_calls_max",
        ),
        (
            json!({"set_prompt": {"agent": "nobody", "file": "SOUL.md", "text": "x"}}),
            "there is no agent nobody",
        ),
        (
            json!({"tighten_policy": {"posture": "open"}}),
            "propose it as widen_policy",
        ),
        (
            json!({"set_prompt": {"agent": "main", "file": "PASSWD", "text": "x"}}),
            "unknown file",
        ),
        (json!([]), "deltas: there are 0"),
    ] {
        let output = instar.propose(&deltas);
        assert_ne!(output.code, 0, "{deltas}");
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(all.contains(told), "{told}: {all}");
    }
    assert_eq!(rows(&instar), 0);
}

#[test]
fn a_candidate_whose_bytes_were_changed_hides_none_of_the_others() {
    let instar = Instar::start(Setup::default());
    let limit = |value: u32| json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": value}});
    let (changed, sound) = (instar.candidate(&limit(3)), instar.candidate(&limit(4)));
    let (begin, end) = changed.split_at(2);
    let file = instar.state.join(format!("objects/{begin}/{end}"));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let listed = instar.run(["candidate", "list"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(listed.stdout.contains(&sound[..12]), "{listed:?}");
    assert!(
        listed.stdout.contains("do not have that hash"),
        "{listed:?}"
    );
    let page = instar.http.get("/releases");
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.body;
    assert!(page.contains(&sound[..12]) && page.contains("do not have that hash"));
    assert_ne!(instar.run(["candidate", "show", &changed]).code, 0);
}
