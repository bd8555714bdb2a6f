//! Candidates: made, shown, taken back, and served to nobody.

use serde_json::{Value, json};

use crate::support::{Instar, Setup, until};

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
fn a_section_a_route_and_a_rule_that_forbids_are_shown_in_words_and_served() {
    let instar = Instar::start(Setup::default());
    let rule = "forbid (principal, action == Action::\"send\", resource);\n";
    let deltas = json!([
        {"set_prompt_section": {"agent": "main", "file": "SOUL.md", "section": "## Tone", "text": "## Tone\nDry as dust.\n"}},
        {"set_route": {"agent": "main", "primary": "scripted/other"}},
        {"tighten_policy": {"rules": {"file": "mine.cedar", "text": rule}}},
    ]);
    let soul = instar.state.join("workspace/SOUL.md");
    std::fs::write(&soul, "# Soul\nA helper.\n\n## Tone\nWarm.\n").unwrap();
    until("the file is served", || {
        let shown = instar.run(["release", "show", "--json"]).stdout;
        shown.contains("Warm.").then_some(())
    });
    let made = instar.propose(&deltas).json();
    assert!(
        made["newly"].as_array().is_none_or(Vec::is_empty),
        "{made:#}"
    );
    let id = made["id"].as_str().unwrap();
    let diff = instar.run(["candidate", "diff", id]);
    let diff = diff.stdout + &diff.stderr;
    for line in [
        "-Warm.",
        "+Dry as dust.",
        "scripted/other",
        "rules that come",
        "mine.cedar",
    ] {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    assert!(!diff.contains("newly possible"), "{diff}");
    assert!(!diff.contains("rules that go"), "{diff}");
    let page = instar.http.get(&format!("/candidates/{id}")).body;
    assert!(page.contains("Rules that come"), "{page}");

    crate::rollouts::serve(&instar, id);
    let _outcome = instar.ask("agent:main:fresh", "hello");
    let sent = instar.model.requests().pop().unwrap().body;
    assert_eq!(sent["model"], "other", "{sent:#}");
    let sent = sent.to_string();
    assert!(
        sent.contains("Dry as dust.") && sent.contains("A helper."),
        "{sent}"
    );
    assert!(!sent.contains("Warm."), "{sent}");
    // What came with it goes with it.
    let back =
        instar.propose(&json!({"widen_policy": {"rules": {"file": "mine.cedar", "text": ""}}}));
    let back = back.json();
    let diff = instar.run(["candidate", "diff", back["id"].as_str().unwrap()]);
    assert!(diff.stdout.contains("rules that go"), "{diff:?}");
}

#[test]
fn a_candidate_whose_bytes_were_changed_hides_none_of_the_others() {
    let instar = Instar::start(Setup::default());
    let limit = |value: u32| json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": value}});
    let (changed, sound) = (instar.candidate(&limit(3)), instar.candidate(&limit(4)));
    let change = |object: &str| {
        let (begin, end) = object.split_at(2);
        let file = instar.state.join(format!("objects/{begin}/{end}"));
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
    };
    let verified = || instar.run(["release", "verify", "--all"]);
    assert_eq!(verified().code, 0);
    change(&changed);
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

    // So does a byte of what a candidate would be.
    let shown = instar.run(["candidate", "show", &sound, "--json"]).json();
    change(shown["release"].as_str().unwrap());
    let found = verified();
    assert_ne!(found.code, 0, "{found:?}");
    for (candidate, what) in [(&changed, "hash"), (&sound, "the bytes of its behaviour")] {
        let told = format!("{}{}", found.stdout, found.stderr);
        let told = told.lines().find(|line| line.contains(&candidate[..12]));
        assert!(told.is_some_and(|line| line.contains(what)), "{found:?}");
    }
}
