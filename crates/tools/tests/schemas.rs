//! The part of JSON Schema that tool specs are written in.

use instar_tools::{Schema, SchemaError};
use serde_json::{Value, json};

fn object(properties: &Value, required: &[&str]) -> Schema {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    Schema::read(&schema).unwrap()
}

#[test]
fn values_fit_or_the_field_is_named() {
    let schema = object(
        &json!({
            "text": {"type": "string", "minLength": 2, "maxLength": 4},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "share": {"type": "number", "minimum": 0, "maximum": 0.5},
            "deep": {"type": "boolean", "default": false},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "inner": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
        }),
        &["text"],
    );
    let fits = json!({
        "text": "äöüß", "mode": "slow", "count": 9, "share": 0.5, "deep": true,
        "tags": ["a", "b"], "inner": {"x": -1},
    });
    assert_eq!(schema.check(&fits), Ok(()));
    for (field, value, why) in [
        (
            "text",
            json!("a"),
            "arguments.text must have at least 2 characters",
        ),
        (
            "text",
            json!("abcde"),
            "arguments.text must have at most 4 characters",
        ),
        ("text", json!(null), "arguments.text must be text"),
        (
            "mode",
            json!("warp"),
            "arguments.mode must be one of fast, slow",
        ),
        ("count", json!(10), "arguments.count must be at most 9"),
        (
            "count",
            json!(1.5),
            "arguments.count must be a whole number",
        ),
        ("share", json!(-0.1), "arguments.share must be at least 0"),
        (
            "deep",
            json!("true"),
            "arguments.deep must be true or false",
        ),
        (
            "tags",
            json!(["a", "b", "c"]),
            "arguments.tags has more than 2 items",
        ),
        ("tags", json!(["a", 1]), "arguments.tags[1] must be text"),
        ("inner", json!({}), "arguments.inner.x is missing"),
        (
            "inner",
            json!({"x": 1, "y\n": 2}),
            "arguments.inner has no field \"y\\n\"; it has x",
        ),
    ] {
        let mut broken = fits.clone();
        broken[field] = value;
        assert_eq!(schema.check(&broken), Err(why.to_owned()));
    }
    assert_eq!(
        schema.check(&json!({})),
        Err("arguments.text is missing".to_owned())
    );
    assert!(schema.check(&json!([])).is_err());
}

#[test]
fn what_cannot_be_checked_is_not_read() {
    for (schema, at) in [
        (
            json!({"type": "object", "additionalProperties": true}),
            "arguments",
        ),
        (
            json!({"type": "object", "required": ["ghost"]}),
            "arguments",
        ),
        (json!({"type": "string"}), "arguments"),
        (json!(true), "arguments"),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            "arguments.a",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
            "arguments.a",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array"}}}),
            "arguments.a",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": "1"}}}),
            "arguments.a",
        ),
    ] {
        match Schema::read(&schema) {
            Err(SchemaError::Shape { at: place, .. }) => assert_eq!(place, at, "{schema}"),
            other => panic!("{schema}: {other:?}"),
        }
    }
    let pattern =
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}});
    assert!(
        matches!(Schema::read(&pattern), Err(SchemaError::Keyword { keyword, .. }) if keyword == "pattern")
    );
    let deep = (0..40).fold(
        json!({"type": "string"}),
        |inner, _| json!({"type": "object", "properties": {"a": inner}}),
    );
    assert!(Schema::read(&deep).is_err());
}
