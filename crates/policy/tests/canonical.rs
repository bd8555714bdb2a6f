//! Canonical JSON against the vectors of RFC 8785 and against its own laws.

use instar_policy::canonical::{CanonicalError, DEPTH_MAX, of, write, write_within};
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

/// Appendix B of the RFC: the bits of a double, and how it is written.
const NUMBERS: [(u64, &str); 24] = [
    (0x0000_0000_0000_0000, "0"),
    (0x8000_0000_0000_0000, "0"),
    (0x0000_0000_0000_0001, "5e-324"),
    (0x8000_0000_0000_0001, "-5e-324"),
    (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
    (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
    (0x4340_0000_0000_0000, "9007199254740992"),
    (0xc340_0000_0000_0000, "-9007199254740992"),
    (0x4430_0000_0000_0000, "295147905179352830000"),
    (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
    (0x44b5_2d02_c7e1_4af6, "1e+23"),
    (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
    (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
    (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
    (0x444b_1ae4_d6e2_ef50, "1e+21"),
    (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
    (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
    (0x41b3_de43_5555_5553, "333333333.3333332"),
    (0x41b3_de43_5555_5554, "333333333.33333325"),
    (0x41b3_de43_5555_5555, "333333333.3333333"),
    (0x41b3_de43_5555_5556, "333333333.3333334"),
    (0x41b3_de43_5555_5557, "333333333.33333343"),
    (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
];

#[test]
fn numbers_are_written_as_the_rfc_shows() {
    for (bits, expected) in NUMBERS {
        let number = Number::from_f64(f64::from_bits(bits)).unwrap();
        assert_eq!(
            write(&Value::Number(number)).unwrap(),
            expected,
            "{bits:016x}"
        );
    }
}

/// Section 3.2.2 and 3.2.3 of the RFC: the worked example.
#[test]
fn the_worked_example_comes_out_byte_for_byte() {
    let input = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let value: Value = serde_json::from_str(input).unwrap();
    let expected = "{\"literals\":[null,true,false],\
        \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(write(&value).unwrap(), expected);
}

/// Section 3.2.3: keys are sorted by UTF-16 units, so an emoji comes before U+FB33.
#[test]
fn keys_are_sorted_by_utf_16_units() {
    let input = r#"{
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let canonical = write(&serde_json::from_str(input).unwrap()).unwrap();
    let order: Vec<usize> = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]
    .iter()
    .map(|value| canonical.find(value).unwrap())
    .collect();
    assert!(order.is_sorted(), "{canonical}");
}

#[test]
fn control_characters_have_their_one_form() {
    let text: String = (0..0x20u8)
        .map(char::from)
        .chain(['\u{7f}', '\u{2028}'])
        .collect();
    let expected = "\"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\
        \\u000e\\u000f\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\
        \\u001b\\u001c\\u001d\\u001e\\u001f\u{7f}\u{2028}\"";
    assert_eq!(write(&Value::String(text)).unwrap(), expected);
}

#[test]
fn what_is_not_exact_or_not_bounded_is_refused() {
    assert!(write(&json!(9_007_199_254_740_992_u64)).is_ok());
    for wide in [
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!(i64::MIN),
    ] {
        assert!(
            matches!(write(&wide), Err(CanonicalError::Number(_))),
            "{wide}"
        );
    }
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    assert!(write(&deep(DEPTH_MAX)).is_ok());
    assert!(matches!(
        write(&deep(DEPTH_MAX + 1)),
        Err(CanonicalError::Depth)
    ));
    assert_eq!(write_within(&json!("abc"), 5).unwrap(), "\"abc\"");
    assert!(matches!(
        write_within(&json!("abcd"), 5),
        Err(CanonicalError::Length(5))
    ));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-9_007_199_254_740_992..=9_007_199_254_740_992_i64).prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same value with the fields of every object the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(reversed).collect()),
        Value::Object(fields) => fields
            .iter()
            .rev()
            .map(|(key, field)| (key.clone(), reversed(field)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

proptest! {
    #[test]
    fn the_form_is_a_fixed_point_and_loses_nothing(value in value()) {
        let once = write(&value).unwrap();
        let read: Value = serde_json::from_str(&once).unwrap();
        prop_assert_eq!(write(&read).unwrap(), once);
    }

    #[test]
    fn the_order_of_fields_does_not_matter(value in value()) {
        prop_assert_eq!(write(&reversed(&value)).unwrap(), write(&value).unwrap());
        prop_assert_eq!(of(&value).unwrap(), write(&value).unwrap());
    }
}
