//! Permits that hold for whatever is called, and postures that trust whoever can write.

use instar_policy::{Posture, Wide, Writer, refused, wide};
use instar_protocol::tool::Effect;

use crate::cedar::rules;

fn found(text: &str) -> Vec<Wide> {
    wide(&rules(text))
}

#[test]
fn a_permit_that_names_nothing_is_wide_in_what_it_lets_through() {
    let all: Vec<Effect> = Effect::ALL[2..].to_vec();
    for (text, effects, anybody) in [
        ("permit (principal, action, resource);", all.clone(), true),
        ("permit (principal is Owner, action, resource);", all, false),
        (
            "permit (principal, action == Action::\"send\", resource);",
            vec![Effect::Send],
            true,
        ),
        (
            "permit (principal is Owner, action in Action::\"outward\", resource)\n\
             when { context.posture == \"balanced\" };",
            vec![Effect::Send, Effect::Grant],
            false,
        ),
    ] {
        let found = found(&format!("@rule(\"mine\")\n{text}"));
        assert_eq!(found.len(), 1, "{text}");
        let told: Vec<Effect> = found[0].effects.iter().copied().collect();
        assert_eq!((told, found[0].anybody), (effects, anybody), "{text}");
        assert_eq!(found[0].rule, "mine");
    }
}

#[test]
fn a_permit_that_names_a_tool_or_a_value_is_not_wide() {
    for text in [
        "permit (principal, action, resource == Tool::\"act\");",
        "permit (principal, action, resource) when { context.who.contains(\"ann\") };",
        "permit (principal, action in Action::\"reading\", resource);",
        "@answer(\"ask\") forbid (principal, action, resource);",
    ] {
        assert_eq!(found(&format!("@rule(\"mine\")\n{text}")), [], "{text}");
    }
}

#[test]
fn each_wide_permit_is_told_once_with_its_own_effects() {
    let found = found(
        "@rule(\"one\")\npermit (principal is Owner, action == Action::\"send\", resource);\n\
         @rule(\"two\")\npermit (principal, action in [Action::\"send\", Action::\"spend\"], resource);\n",
    );
    let told: Vec<_> = found
        .iter()
        .map(|wide| {
            let effects: Vec<&str> = wide.effects.iter().map(|one| one.name()).collect();
            (wide.rule.as_str(), effects.join(" "), wide.anybody)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("one", "send".to_owned(), false),
            ("two", "send spend".to_owned(), true),
        ]
    );
}

#[test]
fn the_open_posture_is_refused_where_others_can_write() {
    let writer = |by: &str, who: &str| Writer {
        by: by.to_owned(),
        who: who.to_owned(),
    };
    let writers = [
        writer("channels.desk", "2 people"),
        writer("hooks", "a hook"),
    ];
    for posture in [Posture::Careful, Posture::Balanced] {
        assert_eq!(refused(posture, &writers), None);
    }
    assert_eq!(refused(Posture::Open, &[]), None);
    let why = refused(Posture::Open, &writers).unwrap();
    assert!(
        why.contains("2 people (channels.desk), a hook (hooks);"),
        "{why}"
    );
}
