use super::*;
use crate::cedar::RuleFile;
use serde_json::{Value, json};

/// The facts of a plain call, with some of them otherwise.
fn context(change: &Value) -> Context {
    let mut facts = json!({
        "agent": "main", "connector": "mail", "reach": "outside", "undoable": false, "posture": "balanced",
        "tainted": false, "origins": [], "readers": "public", "grade": 3, "needed": 3, "evidenced": true,
        "foreign": false, "cleared": true, "plan": "inside", "verb": true, "standing": false,
        "approved": false, "done": 0, "refused": 0, "who": [], "where": [], "which": [], "domains": [],
        "inDomains": [], "folders": [], "inFolders": [], "currencies": [],
    });
    for (name, value) in change.as_object().unwrap() {
        facts[name] = value.clone();
    }
    Context::from_json_value(facts, None).unwrap()
}

fn request(principal: &str, tool: &str, change: &Value) -> Request {
    let [principal, action, resource] =
        [principal, "Action::\"send\"", &format!("Tool::\"{tool}\"")]
            .map(|text| text.parse().unwrap());
    Request::new(principal, action, resource, context(change), None).unwrap()
}

fn rules(text: &str) -> Rules {
    let file = RuleFile {
        name: "mine.cedar".to_owned(),
        text: text.to_owned(),
    };
    Rules::read(vec![file]).unwrap()
}

#[test]
fn a_call_that_newly_passes_is_told_with_both_rules() {
    let base = Rules::default();
    let never =
        rules("@rule(\"no-mail\") forbid (principal, action == Action::\"send\", resource);");
    let asks = rules(
        "@rule(\"ask-mail\") @answer(\"ask\") @words(\"Mail asks.\")\n\
         forbid (principal, action == Action::\"send\", resource);",
    );
    let plain = request("Owner::\"owner\"", "mail_send", &json!({}));
    let call = "a call with the effect send by the tool mail_send for the owner, when the posture is balanced";
    let own =
        "the built-in rule own-words (Nobody but the owner has spoken, and the plan has the call)";
    let asked = "the rule ask-mail in mine.cedar:1 (Mail asks)";
    for (before, after, expected) in [
        (
            &never,
            &base,
            format!(
                "{call} would be let through by {own}; until now it is denied by the rule no-mail in mine.cedar:1"
            ),
        ),
        (
            &asks,
            &base,
            format!("{call} would be let through by {own}; until now it is asked for by {asked}"),
        ),
        (
            &never,
            &asks,
            format!(
                "{call} would be asked for by {asked}; until now it is denied by the rule no-mail in mine.cedar:1"
            ),
        ),
    ] {
        assert_eq!(sentence(before, after, &plain), expected);
        // The other way round, or nothing changed, it is none.
        for (before, after) in [(after, before), (before, before), (after, after)] {
            let told = sentence(before, after, &plain);
            assert!(told.ends_with("and it cannot be retraced"), "{told}");
        }
    }
}

#[test]
fn names_that_were_made_up_are_not_told() {
    for (principal, tool, told) in [
        (
            "Owner::\"owner\"",
            "mail_send",
            "by the tool mail_send for the owner,",
        ),
        (
            "Contact::\"alice\"",
            "mail_send",
            "by the tool mail_send for the contact alice,",
        ),
        ("Contact::\"!0!\"", "!1!", "by any tool for the contact,"),
        ("Stranger::\"a\"", "b", "by any tool for the stranger,"),
    ] {
        let call = call(&request(principal, tool, &json!({})));
        assert!(call.contains(told), "{call}");
    }
    let (longest, longer) = ("x".repeat(80), "x".repeat(81));
    for (text, is) in [
        ("", false),
        ("x", false),
        ("xy", true),
        (longest.as_str(), true),
        (longer.as_str(), false),
        ("bob.smith@example.com", true),
        ("tag:server_1-a", true),
        ("two words", false),
        ("naïve", false),
    ] {
        assert_eq!(is_name(text), is, "{text}");
    }
}

#[test]
fn what_is_not_plain_about_a_call_is_told() {
    for (change, told) in [
        (json!({}), ""),
        (
            json!({ "approved": true }),
            "the owner has said yes to it, ",
        ),
        (json!({ "tainted": true }), "text of others was read, "),
        (
            json!({ "tainted": true, "evidenced": false }),
            "text of others was read, nothing else evidences who and where, ",
        ),
        (json!({ "evidenced": false }), ""),
        (
            json!({ "foreign": true }),
            "a link or address of others goes along, ",
        ),
        (
            json!({ "cleared": false }),
            "what was read is not for there, ",
        ),
        (
            json!({ "readers": "secret" }),
            "something secret was read, ",
        ),
        (
            json!({ "readers": "private" }),
            "something private was read, ",
        ),
        (json!({ "readers": "session" }), ""),
        (json!({ "plan": "outside" }), "the plan does not have it, "),
        (
            json!({ "plan": "nobody" }),
            "no message of the owner's began the run, ",
        ),
        (json!({ "plan": "unknown" }), ""),
        (
            json!({ "who": ["ann", "bob", "cem", "dan"], "where": ["!0!"], "which": ["7 8"] }),
            "it goes to ann, bob, cem, ",
        ),
        (
            json!({ "where": ["example.com"], "domains": ["example.com", "!1!"] }),
            "it goes at example.com, it goes in the domain example.com, ",
        ),
        (json!({ "which": ["f-7"] }), "it goes about f-7, "),
    ] {
        let expected = format!(", when {told}the posture is balanced");
        assert_eq!(circumstances(&context(&change)), expected, "{change}");
    }
}
