//! What is made of the types that a tool which nobody annotated declares for its arguments.

use instar_policy::{Kind, SlotRole, infer};
use serde_json::{Value, json};

use crate::inferred::{server, spec};

#[test]
fn the_parts_of_an_argument_are_looked_at_one_by_one_and_not_too_deep() {
    let person = json!({ "type": "object", "properties": { "email": { "type": "string" } } });
    let deep = |inner: Value| {
        ["e", "d", "c", "b"].into_iter().fold(
            inner,
            |inner, name| json!({ "type": "object", "properties": { name: inner } }),
        )
    };
    let below = json!({ "type": "object", "properties": { "f": { "type": "string" } } });
    for (schema, paths, why) in [
        (person.clone(), &["body.email"][..], "the part of an object"),
        (
            json!({ "type": "array", "items": person }),
            &["body.email"],
            "of each in a list",
        ),
        (
            json!({ "$ref": "#/$defs/person" }),
            &["body.email"],
            "of what is told elsewhere",
        ),
        (
            json!({ "type": "array", "items": { "$ref": "#/$defs/person" } }),
            &["body.email"],
            "of each that is told elsewhere",
        ),
        (
            json!({ "$ref": "#/$defs/nobody" }),
            &["body"],
            "what is told nowhere has none",
        ),
        (
            json!({ "type": "object", "properties": {} }),
            &["body"],
            "one without declared parts",
        ),
        (
            deep(below),
            &["body.b.c.d.e"],
            "deeper than that it is one part",
        ),
    ] {
        let mut spec = spec("create_file", &json!({ "body": schema }));
        spec.parameters["$defs"]["person"] = person.clone();
        let annotation = infer(server("drive"), &spec);
        let found: Vec<&str> = annotation.slots.keys().map(String::as_str).collect();
        assert_eq!(found, paths, "{why}");
    }
}

#[test]
fn a_type_is_closed_only_where_every_way_to_write_it_is() {
    let object = json!({ "type": "object" });
    for (schema, kind, why) in [
        (
            json!({ "enum": ["a", "b"] }),
            Some(Kind::Enum),
            "a fixed set of words",
        ),
        (json!({ "const": "a" }), Some(Kind::Enum), "one word"),
        (json!({ "type": "integer" }), Some(Kind::Number), "a number"),
        (json!({ "type": "number" }), Some(Kind::Number), "a number"),
        (json!({ "type": "boolean" }), Some(Kind::Bool), "a switch"),
        (
            json!({ "type": "array", "items": { "type": "integer" } }),
            Some(Kind::Number),
            "numbers",
        ),
        (
            json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] }),
            Some(Kind::Number),
            "or nothing",
        ),
        (
            json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }] }),
            Some(Kind::Number),
            "either",
        ),
        (
            json!({ "oneOf": [{ "type": "integer" }, { "type": "boolean" }] }),
            None,
            "two kinds",
        ),
        (
            json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
            None,
            "or a text",
        ),
        (
            json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }),
            None,
            "a text, or",
        ),
        (
            json!({ "type": "array", "items": { "type": "string" } }),
            None,
            "texts",
        ),
        (json!({ "type": "array" }), None, "a list of anything"),
        (json!({}), None, "anything"),
    ] {
        let annotation = infer(
            server("drive"),
            &spec("list_files", &json!({ "text": schema })),
        );
        let slot = annotation.slots["text"];
        assert_eq!(
            (slot.role, slot.kind),
            (SlotRole::Plain, kind.unwrap_or(Kind::Text)),
            "{why}"
        );
    }
    // An object may hold anything, whatever it is called and however it is written.
    for (schema, is_object, why) in [
        (object.clone(), true, "an object"),
        (json!({ "type": ["object", "null"] }), true, "or nothing"),
        (
            json!({ "type": ["string", "null"] }),
            false,
            "a text or nothing",
        ),
        (
            json!({ "properties": {} }),
            true,
            "one that is not called so",
        ),
        (
            json!({ "type": "string", "properties": {} }),
            false,
            "a text is none",
        ),
        (
            json!({ "anyOf": [{ "type": "string" }, object] }),
            true,
            "or a text",
        ),
        (
            json!({ "oneOf": [{ "type": "string" }, { "properties": {} }] }),
            true,
            "or a text",
        ),
        (
            json!({ "allOf": [{ "$ref": "#/$defs/thing" }] }),
            true,
            "as it is told elsewhere",
        ),
        (
            json!({ "type": "array", "items": object }),
            true,
            "a list of them",
        ),
        (
            json!({ "type": "array", "items": { "type": "string" } }),
            false,
            "a list of texts",
        ),
        (
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            false,
            "a text or nothing",
        ),
        (json!({ "type": "string" }), false, "a text"),
    ] {
        let mut spec = spec("create_file", &json!({ "text": schema }));
        spec.parameters["$defs"]["thing"] = object.clone();
        let role = infer(server("drive"), &spec).slots["text"].role;
        let expected = if is_object {
            SlotRole::Who
        } else {
            SlotRole::Payload
        };
        assert_eq!(role, expected, "{why}: {schema}");
    }
}
