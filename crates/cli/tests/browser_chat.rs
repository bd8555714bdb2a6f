//! The chat page in a real browser: writing, attachments, reading, and coming back after a crash.

use serde_json::{Value, json};

use crate::browser::{Browser, INJECTIONS, gateway, link, texts};
use crate::support::until;

#[test]
fn commands_complete_themselves_drafts_stay_and_files_go_along() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let more = json!({ "hostile": format!("{}.txt", INJECTIONS[1].replace('/', "")), "model": "demo/guide" });
    let found = browser.run("composer.mjs", &instar.url(), &link(&instar), more);

    let all = texts(&found["all"]);
    assert!(all.contains(&"/new") && all.contains(&"/help"), "{all:?}");
    assert_eq!(texts(&found["some"]), ["/stop", "/status"]);
    assert_eq!(found["first"], "/stop");
    assert_eq!(found["second"], "command-status");
    assert_eq!(found["completed"], json!(["/status", false]));
    let status = found["status"].as_str().unwrap();
    assert!(status.contains("demo/guide"), "{status}");
    assert_eq!(found["escaped"], json!(["/he", false]));
    assert_eq!(found["within"], false, "a slash within words is no command");
    assert_eq!(found["draft"], "half a thou");
    assert_eq!(found["left"], 0, "a draft is left after signing out");

    let shelf = texts(&found["shelf"]);
    assert_eq!(shelf.len(), 2, "the large one stays behind: {shelf:?}");
    let trouble = found["trouble"].as_str().unwrap();
    assert!(
        trouble.contains("big.txt") && trouble.contains("5.0 MB"),
        "{trouble}"
    );
    assert_eq!(found["without"], 2);
    assert_eq!(texts(&found["added"]), ["pasted.txt", "dropped.txt"]);
    assert_eq!(found["shelfAfter"], 0);
    assert_eq!(found["pwned"], "undefined");
    let fetched = found["fetched"].as_array().unwrap();
    assert_eq!(fetched.len(), 4, "{fetched:#?}");
    for one in fetched {
        assert_eq!(one["status"], 200, "{one}");
        assert_eq!(one["sniff"], "nosniff", "{one}");
        let place = one["place"].as_str().unwrap();
        let is_image = one["kind"] == "image/png";
        assert_eq!(place == "inline", is_image, "{one}");
        assert!(
            is_image || place.starts_with("attachment; filename*=UTF-8''"),
            "{one}"
        );
        assert!(
            is_image || one["kind"] == "text/plain; charset=utf-8",
            "{one}"
        );
    }
    assert_eq!(found["elsewhere"], json!([404, 404, 404]));

    assert!(texts(&found["models"]).contains(&"demo/guide"));
    assert!(
        found["chosen"].as_str().unwrap().contains("model"),
        "{found}"
    );
}

#[test]
fn answers_are_copied_and_judged_and_what_a_crash_cut_comes_back() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let mut instar = gateway();
    let folder = tempfile::tempdir().unwrap();
    let (ready, back) = (folder.path().join("ready"), folder.path().join("back"));
    let (url, link) = (instar.url(), link(&instar));
    let more = json!({ "ready": ready, "back": back });
    let watching = std::thread::spawn(move || browser.run("reading.mjs", &url, &link, more));
    until("an answer streams", || {
        (ready.exists() || watching.is_finished()).then_some(())
    });
    let _stopped = instar.kill9();
    instar.launch_again();
    until("the answer that was cut is given again", || {
        let shown = instar.run(["sessions", "show", "main", "--json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).ok()?;
        let last = shown["entries"].as_array()?.last()?;
        let is_over = shown["session"]["running"] == false;
        (is_over && last["body"]["type"] == "assistant").then_some(())
    });
    std::fs::write(&back, "").unwrap();
    let found = watching.join().unwrap();

    assert!(
        found["code"].as_str().unwrap().starts_with("fn main()"),
        "{found}"
    );
    assert_eq!(found["pressed"], "Copied");
    assert!(
        found["answer"]
            .as_str()
            .unwrap()
            .contains("What Markdown looks like")
    );
    assert_eq!(found["time"][0], "this minute");
    assert!(
        found["time"][1].as_str().unwrap().starts_with("20"),
        "{found}"
    );
    assert_eq!(
        found["judged"],
        json!(["true", "false"]),
        "the last word counts"
    );
    let verdicts = instar.run(["events", "tail", "--kind", "feedback", "--json"]);
    assert_eq!(verdicts.stdout.lines().count(), 2, "{verdicts:?}");

    assert_eq!(found["latestAtEnd"], false);
    assert_eq!(found["latest"], "To the latest (1)");
    assert_eq!(found["stayed"], 0, "the reader is not moved");
    assert_eq!(found["atEnd"], true);
    assert_eq!(found["busy"], "true");
    assert_eq!(found["idle"], "false");
    assert!(found["lost"].as_str().unwrap().contains("trying again"));
    // The message was on disk, so the next start answered it; it is shown once.
    let asked: Vec<&str> = texts(&found["asked"]);
    assert_eq!(asked, ["show me markdown", "hello", "tell me a long story"]);
    assert!(
        !found["last"].as_str().unwrap().is_empty() && found["last"] != Value::Null,
        "{found}"
    );
}
