//! Tools that nobody annotated.

use instar_policy::{Families, SlotRole, infer};
use instar_protocol::tool::{Effect, ToolSpec};
use serde_json::{Value, json};

fn spec(name: &str, arguments: &[&str]) -> ToolSpec {
    let properties: serde_json::Map<String, Value> = arguments
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string" })))
        .collect();
    ToolSpec {
        name: name.to_owned(),
        description: "Reads only. Harmless.".to_owned(),
        parameters: json!({ "type": "object", "properties": properties }),
    }
}

/// Tools that do something, each with the argument that says to whom, where or to what.
const DOING: [(&str, &[&str], &str); 8] = [
    ("send_email", &["recipients", "body"], "recipients"),
    ("share_file", &["file_id", "email"], "email"),
    ("delete_file", &["file_id"], "file_id"),
    ("transfer_money", &["iban", "amount"], "iban"),
    ("open_page", &["url"], "url"),
    ("invite_member", &["user", "email"], "email"),
    ("frobnicate", &["target"], "target"),
    (
        "add_calendar_event_participants",
        &["event_id", "participants"],
        "participants",
    ),
];

#[test]
fn the_table_is_there_and_what_it_does_not_know_has_the_highest_risk() {
    let read = infer("mail", &spec("search_emails", &["query"]));
    assert_eq!(read.effect, Effect::Read);
    assert!(!read.fields.is_empty());
    let unknown = infer("", &spec("frobnicate", &["target"]));
    assert_eq!(unknown.effect, Effect::Execute);
    assert!(unknown.slot("target").role.is_target());
    let second = infer("", &spec("find_and_delete", &["query"]));
    assert_eq!(second.effect, Effect::Destroy);
    let strange = infer("", &spec("get_things", &["sink"]));
    assert_eq!(
        strange.effect,
        Effect::Fetch,
        "an unknown argument may be an address"
    );
}

#[test]
fn a_row_that_is_taken_away_makes_nothing_harmless() {
    let rows = Families::built_in().each_without_a_row();
    assert!(rows.len() > 200);
    for (gone, table) in rows {
        for (name, arguments, target) in DOING {
            let annotation = table.infer("", &spec(name, arguments));
            assert!(annotation.effect > Effect::Read, "{name} without {gone}");
            let role = annotation.slot(target).role;
            assert!(
                role.is_target() && role != SlotRole::Amount,
                "{target} of {name} without {gone}"
            );
        }
    }
}
