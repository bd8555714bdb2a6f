//! The branches of a conversation on the chat page, in a real browser.

use instar_demo::{Answer, Script, Step, When};
use serde_json::json;

use crate::browser::{Browser, INJECTIONS, link, texts};
use crate::support::{Instar, Setup};

#[test]
fn answers_and_messages_have_versions_and_the_reader_goes_from_one_to_the_other() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let script = Script {
        otherwise: Answer::text("answer {{call}}"),
        ..Script::default()
    };
    // Until it is stopped.
    let slowly = Answer::of([Step::Text("slow ".to_owned()), Step::Pause(600_000)]);
    let asked = When {
        equals: Some("slowly".to_owned()),
        ..When::default()
    };
    let script = script.rule(asked, slowly);
    let instar = Instar::start(Setup::scripted(script));
    let hostile = INJECTIONS.join(" ");
    let pictures = std::env::var("INSTAR_TEST_PICTURES").ok();
    let more = json!({ "hostile": hostile, "pictures": pictures });
    let found = browser.run("branches.mjs", &instar.url(), &link(&instar), more);

    assert_eq!(texts(&found["retried"]), ["Version 2 of 2"]);
    assert_eq!(texts(&found["before"]), ["Version 1 of 2"]);
    assert_eq!(found["opened"], "second");
    assert_eq!(found["left"], json!([0, true]));
    let edited = texts(&found["edited"]);
    assert_eq!(edited[..2], ["first", "answer 1"]);
    assert!(
        edited[2].starts_with("better ") && edited[3] == "answer 4",
        "{edited:?}"
    );
    assert_eq!(texts(&found["editedVersions"]), ["Version 2 of 2"]);
    assert_eq!(found["pwned"], "undefined");
    assert_eq!(texts(&found["back"]), ["first", "answer 1"]);
    assert_eq!(found["file"], 1, "the attachment stays with the message");
    for told in ["waits", "waiting"] {
        let text = found[told].as_str().unwrap();
        assert!(text.contains("under way"), "{text}");
    }
    assert_eq!(texts(&found["forked"]), ["first", "answer 1"]);
    assert_eq!(found["untouched"], true);
    assert_eq!(found["plainForked"], 2);
    assert_eq!(found["complaints"], json!([]), "{found:#}");
    assert_eq!(found["plainSwitch"], "with a file");
    assert_eq!(found["plainRetry"], json!([0, "Version 2 of 2"]));
    assert_eq!(found["plainEdit"], json!(["plainly", 1]));
    assert_eq!(found["seen"]["complaints"], json!([]), "{found:#}");
    assert_eq!(found["seen"]["dialogs"], json!([]));
}
