//! Whom the owner wrote to first, through the built binary and a server of mails.

use instar_demo::{Answer as Said, Script, Step, When};
use serde_json::{Value, json};

use crate::browser::{Browser, link};
use crate::grounds::{MAILS, decided};
use crate::support::{Instar, Setup};
use crate::ways_out::{python_program, until_offered};

const LIST: &str = "mcp__desk__list_emails";
const SEND: &str = "mcp__desk__send_email";
const BOB: &str = "bob@work.example";
const EVE: &str = "eve@trap.example";
const ZOE: &str = "zoe@far.example";

/// The server of mails that sends as well, though not to everybody.
fn server() -> Option<(tempfile::TempDir, Value)> {
    let text = MAILS
        .replace("FRAME", "{\"result\": MAILS}")
        .replace(
            "\"delete_email\": {\"email_id\": {\"type\": \"string\"}}",
            "\"send_email\": {\"recipient\": {\"type\": \"string\"}, \"body\": {\"type\": \"string\"}}",
        )
        .replace(
            "{\"type\": \"text\", \"text\": \"gone: \" + asked[\"params\"][\"arguments\"][\"email_id\"]}]",
            "{\"type\": \"text\", \"text\": \"sent\"}], \
             \"isError\": \"nobody\" in asked[\"params\"][\"arguments\"][\"recipient\"]",
        );
    assert!(text.contains("isError"));
    python_program(&text)
}

/// A model that writes to these people: at once where the request says `Write`, and after it has listed
/// the mails where it says `Answer`.
fn writing() -> Script {
    let plans = When {
        system_contains: Some("You plan, you do not act".to_owned()),
        ..When::default()
    };
    let plan = json!({ "steps": [{ "tool": LIST }, { "tool": SEND }] }).to_string();
    let done = When {
        result_of: Some(SEND.to_owned()),
        ..When::default()
    };
    let mut script = Script::default()
        .rule(plans, Said::of([Step::Text(plan)]))
        .rule(done, Said::of([Step::Text("{{result}}".to_owned())]));
    for (word, to) in [
        ("June", BOB),
        ("Prices", EVE),
        (BOB, BOB),
        (EVE, EVE),
        (ZOE, ZOE),
        ("nobody@work.example", "nobody@work.example"),
    ] {
        let send = Said::call(SEND, json!({ "recipient": to, "body": "Thank you." }));
        let says = |word: &str| vec![word.to_owned()];
        let after = When {
            contains: says(word),
            result_of: Some(LIST.to_owned()),
            ..When::default()
        };
        let at_once = When {
            contains: says(&format!("Write to {word}")),
            no_result: true,
            ..When::default()
        };
        script = script.rule(after, send.clone()).rule(at_once, send);
    }
    let list = When {
        contains: vec!["Answer".to_owned(), "Look".to_owned()],
        no_result: true,
        ..When::default()
    };
    script.rule(list, Said::call(LIST, json!({})))
}

/// What is said in a conversation of its own, and how the sending was decided.
fn sending(instar: &Instar, number: u32, text: &str) -> String {
    let key = format!("agent:main:web:{number}");
    let _outcome = instar.ask(&key, text);
    decided(instar, &key).pop().unwrap()
}

fn known(instar: &Instar) -> Vec<String> {
    let listed = instar.run(["policy", "contacts", "--json"]).json();
    let contacts = listed["contacts"].as_array().unwrap().iter();
    let text = |one: &Value| one["text"].as_str().unwrap().to_owned();
    contacts.map(text).collect()
}

#[test]
fn whom_the_owner_wrote_to_first_is_answered_without_a_question_and_nobody_else_is() {
    let Some((_folder, server)) = server() else {
        return;
    };
    let config = json!({
        "policy": { "posture": "balanced", "askWaitSeconds": 0 },
        "mcp": { "servers": { "desk": server } },
    });
    let mut instar = Instar::start(Setup::scripted(writing()).config(config));
    until_offered(&instar, SEND);
    let june = "Answer the mail 'Minutes of June'";
    assert_eq!(sending(&instar, 1, june), "asked weak-evidence");
    assert!(known(&instar).is_empty(), "a question makes nobody known");

    let direct = format!("Write to {BOB} that I thank him");
    assert_eq!(sending(&instar, 2, &direct), "allowed evidence");
    // What could not be sent makes nobody known.
    let failed = "Write to nobody@work.example that I thank him";
    assert_eq!(sending(&instar, 3, failed), "allowed evidence");
    // She had written before the owner named her.
    let eve = format!("Look at my mails and tell {EVE} that I thank her");
    assert_eq!(sending(&instar, 4, &eve), "allowed evidence");
    assert_eq!(known(&instar), [BOB]);

    instar.kill9();
    instar.launch_again();
    until_offered(&instar, SEND);
    assert_eq!(sending(&instar, 5, june), "allowed evidence");
    let prices = "Answer the mail 'Prices'";
    assert_eq!(sending(&instar, 6, prices), "asked weak-evidence");
    // Known is not enough: the owner's words have to speak of the row.
    let another = "Answer the newest one of June or May";
    let decided = sending(&instar, 7, another);
    assert!(decided.starts_with("asked "), "{decided}");

    let shown = instar.run(["policy", "contacts"]);
    for told in [BOB, SEND, "policy contacts forget"] {
        assert!(
            shown.stdout.contains(told) || shown.stderr.contains(told),
            "{shown:?}"
        );
    }
    let wrong = instar.run(["policy", "contacts", "forget", "bob"]);
    assert_eq!(wrong.code, 6, "{wrong:?}");
    assert!(
        wrong.stderr.contains("nobody is known as `bob`"),
        "{wrong:?}"
    );
    let gone = instar.run(["policy", "contacts", "forget", BOB]);
    assert_eq!(gone.code, 0, "{gone:?}");
    assert!(known(&instar).is_empty());
    assert_eq!(sending(&instar, 8, june), "asked weak-evidence");
    // Both left a receipt.
    let receipts = instar.run(["audit", "log", "--json"]).json();
    let receipts = receipts["receipts"].as_array().unwrap().iter();
    let of_contacts = receipts.filter(|one| one["kind"] == "contact");
    assert_eq!(of_contacts.count(), 2);
    let verified = instar.run(["audit", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");

    let Some(browser) = Browser::find() else {
        return;
    };
    for (number, script) in [(9, true), (10, false)] {
        assert_eq!(sending(&instar, number, &direct), "allowed evidence");
        assert_eq!(known(&instar), [BOB]);
        let shots = std::env::var("INSTAR_TEST_SHOTS").ok();
        let more = json!({ "who": BOB, "script": script, "shots": shots });
        let found = browser.run("known.mjs", &instar.url(), &link(&instar), more);
        assert_eq!(found["faults"], json!([]));
        let row = found["row"].as_str().unwrap();
        assert!(row.contains(BOB) && row.contains(SEND), "{found:#}");
        assert!(!found["after"].as_str().unwrap().contains(BOB), "{found:#}");
        assert!(known(&instar).is_empty());
    }
}
