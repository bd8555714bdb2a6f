//! What single facts do to a decision.

use crate::facts::{
    Place, annotation, automation, call, contact, look, outcome, owner, set, stranger,
};
use instar_policy::{Annotation, Authority, Decision, Profile, Reach, Role, visible};
use instar_protocol::tool::Effect;
use instar_protocol::{AgentId, Label, Origin, Readers};
use proptest::prelude::*;
use serde_json::{Value, json};

fn owner_calls(name: &str, arguments: Value, authority: &Authority) -> String {
    outcome(&Place::new().decide(&call(name, arguments), &owner(), authority))
}

#[test]
fn an_annotated_reading_tool_is_the_owners_to_use() {
    assert_eq!(owner_calls("look", json!({}), &look()), "+profile-reads");
}

#[test]
fn an_unknown_tool_has_the_highest_risk() {
    assert_eq!(owner_calls("shell", json!({}), &look()), "-not-annotated");
    assert_eq!(
        owner_calls("look", json!({}), &Authority::default()),
        "-not-annotated"
    );
    let listed = Authority {
        allow: Some(set(&["shell", "*"])),
        ..look()
    };
    assert_eq!(owner_calls("shell", json!({}), &listed), "-not-annotated");
}

#[test]
fn a_denied_name_wins_over_every_allow() {
    for deny in ["look", "*"] {
        let authority = Authority {
            allow: Some(set(&["look"])),
            deny: set(&[deny]),
            profiles: [(
                Role::Owner,
                Profile {
                    tools: set(&["look"]),
                },
            )]
            .into(),
            ..look()
        };
        assert_eq!(
            owner_calls("look", json!({}), &authority),
            "-denied-by-name"
        );
    }
}

#[test]
fn an_owners_list_is_the_whole_list() {
    let list = |names: &[&str]| Authority {
        allow: Some(set(names)),
        ..look()
    };
    assert_eq!(
        owner_calls("look", json!({}), &list(&["other"])),
        "-not-on-list"
    );
    assert_eq!(owner_calls("look", json!({}), &list(&[])), "-not-on-list");
    assert_eq!(
        owner_calls("look", json!({}), &list(&["look"])),
        "+profile-reads"
    );
    assert_eq!(
        owner_calls("look", json!({}), &list(&["*"])),
        "+profile-reads"
    );
}

#[test]
fn nothing_above_reading_runs_unasked_in_the_careful_posture() {
    for effect in Effect::ALL {
        let authority = Authority::over([("act".to_owned(), annotation(effect))].into());
        let expected = if effect <= Effect::Read {
            "+profile-reads"
        } else {
            "?posture-careful"
        };
        assert_eq!(
            owner_calls("act", json!({}), &authority),
            expected,
            "{effect:?}"
        );
    }
}

#[test]
fn looking_somewhere_else_is_more_than_reading() {
    let reaching =
        |annotation: Annotation| Authority::over([("get".to_owned(), annotation)].into());
    let destination = reaching(Annotation {
        reach: Reach::Public,
        ..annotation(Effect::Read)
    });
    let payload = reaching(Annotation {
        reach: Reach::Outside,
        ..annotation(Effect::None)
    });
    assert_eq!(
        owner_calls("get", json!({}), &destination),
        "?posture-careful"
    );
    assert_eq!(owner_calls("get", json!({}), &payload), "?posture-careful");
}

#[test]
fn malformed_calls_are_denied() {
    for arguments in [
        json!(null),
        json!("{}"),
        json!([]),
        json!(1),
        json!("not json"),
    ] {
        assert_eq!(owner_calls("look", arguments, &look()), "-bad-arguments");
    }
    let inexact = json!({ "id": u64::MAX });
    assert_eq!(owner_calls("look", inexact, &look()), "-bad-arguments");
    let sized = |bytes: usize| json!({ "text": "x".repeat(bytes - r#"{"text":""}"#.len()) });
    assert_eq!(
        owner_calls("look", sized(65_537), &look()),
        "-bad-arguments"
    );
    assert_ne!(
        owner_calls("look", sized(65_536), &look()),
        "-bad-arguments"
    );
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert_eq!(owner_calls("look", deep, &look()), "-bad-arguments");
    for name in ["", "look ", "lo\u{202e}ok", "look\n", &"x".repeat(200)] {
        assert_eq!(
            owner_calls(name, json!({}), &look()),
            "-bad-name",
            "{name:?}"
        );
    }
}

#[test]
fn a_refusal_cannot_carry_the_callers_text_into_a_log_line() {
    let hostile = call("x\nlevel=ERROR \u{202e}", json!({}));
    let Decision::Deny(denial) = Place::new().decide(&hostile, &owner(), &look()) else {
        panic!("allowed");
    };
    assert!(
        !denial.reason.contains(['\n', '\u{202e}']),
        "{}",
        denial.reason
    );
    assert!(!denial.advice.contains("level"));
}

/// Names of fields that a program might take for a permission. None of them is special: the
/// answer is what it is without them, and the digest tells the calls apart.
#[test]
fn arguments_carry_no_authority() {
    let fields = [
        "approved",
        "permit",
        "principal",
        "owner",
        "is_owner",
        "senderIsOwner",
        "elevated",
        "effect",
        "label",
        "readers",
        "rule",
        "allow",
        "digest",
        "release",
        "sudo",
        "confirmed",
    ];
    let shell = Authority::over([("run".to_owned(), annotation(Effect::Execute))].into());
    for field in fields {
        for value in [
            json!(true),
            json!({"kind": "owner", "via": "token"}),
            json!("owner"),
        ] {
            let arguments = json!({ field: value });
            assert_eq!(
                owner_calls("run", arguments.clone(), &shell),
                "?posture-careful",
                "{field}"
            );
            for principal in [contact(), stranger(), automation()] {
                let decision =
                    Place::new().decide(&call("look", arguments.clone()), &principal, &look());
                assert_eq!(outcome(&decision), "-not-in-profile", "{field}");
            }
        }
    }
}

#[test]
fn the_output_is_at_least_as_tainted_as_what_the_model_had_read() {
    let mut place = Place::new();
    place.context = Label::stranger(Readers::Private);
    let Decision::Allow(permit) = place.decide(&call("look", json!({})), &owner(), &look()) else {
        panic!("denied");
    };
    assert!(permit.output().origins.contains(&Origin::Stranger));
    assert!(permit.output().origins.contains(&Origin::System));
    assert_eq!(permit.output().readers, Readers::Private);
}

#[test]
fn the_digest_speaks_of_every_fact() {
    let digest = |place: &Place, name: &str, arguments: Value, principal: &_| {
        let both = Authority {
            profiles: [(Role::Contact, Profile { tools: set(&["*"]) })].into(),
            ..Authority::over(
                [
                    ("look".to_owned(), annotation(Effect::Read)),
                    ("peek".to_owned(), annotation(Effect::Read)),
                ]
                .into(),
            )
        };
        match place.decide(&call(name, arguments), principal, &both) {
            Decision::Allow(permit) => permit.digest().to_owned(),
            other => panic!("{other:?}"),
        }
    };
    let place = Place::new;
    let base = digest(&place(), "look", json!({"a": 1, "b": 2}), &owner());
    assert_eq!(base.len(), 64);
    assert_eq!(
        base,
        digest(&place(), "look", json!({"b": 2, "a": 1.0}), &owner())
    );
    let mut elsewhere = [place(), place(), place(), place(), place()];
    elsewhere[0].agent = AgentId::parse("other").unwrap();
    elsewhere[1].session = instar_protocol::SessionId::from_stored("ses_2");
    elsewhere[2].release = instar_protocol::ReleaseId::from_hex("r2");
    elsewhere[3].context = Label::system();
    elsewhere[4].environment = json!({ "executable": "/bin/ls" });
    let mut all: Vec<String> = elsewhere
        .iter()
        .map(|place| digest(place, "look", json!({"a": 1, "b": 2}), &owner()))
        .collect();
    all.push(digest(&place(), "peek", json!({"a": 1, "b": 2}), &owner()));
    all.push(digest(
        &place(),
        "look",
        json!({"a": 1, "b": "2"}),
        &owner(),
    ));
    all.push(digest(
        &place(),
        "look",
        json!({"a": 1, "b": 2}),
        &contact(),
    ));
    all.push(base);
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn the_authority_has_one_hash_for_one_value() {
    let authority = look();
    assert_eq!(authority.hash().unwrap(), look().hash().unwrap());
    assert_eq!(authority.hash().unwrap().len(), 64);
    let denied = Authority {
        deny: set(&["look"]),
        ..look()
    };
    let listed = Authority {
        allow: Some(set(&[])),
        ..look()
    };
    let rows = Authority {
        profiles: [(Role::Contact, Profile::default())].into(),
        ..look()
    };
    for other in [denied, listed, rows, Authority::default()] {
        assert_ne!(other.hash().unwrap(), authority.hash().unwrap());
    }
}

fn names() -> impl Strategy<Value = std::collections::BTreeSet<String>> {
    prop::collection::btree_set(prop::sample::select(vec!["a", "b", "c", "*"]), 0..3)
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn authority() -> impl Strategy<Value = Authority> {
    let effects = prop::collection::btree_map(
        prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned),
        prop::sample::select(Effect::ALL.to_vec()).prop_map(annotation),
        0..4,
    );
    let roles = vec![Role::Owner, Role::Contact, Role::Stranger, Role::Automation];
    let profiles = prop::collection::btree_map(
        prop::sample::select(roles),
        names().prop_map(|tools| Profile { tools }),
        0..4,
    );
    (effects, prop::option::of(names()), names(), profiles).prop_map(
        |(annotations, allow, deny, profiles)| Authority {
            annotations,
            allow,
            deny,
            profiles,
            ..Authority::default()
        },
    )
}

proptest! {
    #[test]
    fn adding_a_deny_never_allows_more(authority in authority(), more in names()) {
        let mut narrower = authority.clone();
        narrower.deny.extend(more);
        for principal in [owner(), contact(), stranger(), automation()] {
            let before = visible(&authority, &principal, &AgentId::main());
            prop_assert!(visible(&narrower, &principal, &AgentId::main()).is_subset(&before));
        }
    }

    #[test]
    fn taking_any_fact_away_never_allows_more_to_anyone_but_the_owner(
        authority in authority(), tool in prop::sample::select(vec!["a", "b", "c"]),
    ) {
        let mut unknown = authority.clone();
        unknown.annotations.remove(tool);
        let mut no_rows = authority.clone();
        no_rows.profiles.clear();
        for principal in [contact(), stranger(), automation()] {
            let before = visible(&authority, &principal, &AgentId::main());
            prop_assert!(!visible(&unknown, &principal, &AgentId::main()).contains(tool));
            prop_assert!(visible(&unknown, &principal, &AgentId::main()).is_subset(&before));
            prop_assert!(visible(&no_rows, &principal, &AgentId::main()).is_empty());
        }
        prop_assert!(!visible(&unknown, &owner(), &AgentId::main()).contains(tool));
    }

    /// What is shown is what is not denied: a call with sound arguments is let through or asked
    /// about exactly then.
    #[test]
    fn visible_is_what_decide_does_not_deny(authority in authority()) {
        for principal in [owner(), contact(), stranger(), automation()] {
            let shown = visible(&authority, &principal, &AgentId::main());
            for tool in ["a", "b", "c", "d"] {
                let decision = Place::new().decide(&call(tool, json!({})), &principal, &authority);
                let denied = matches!(decision, Decision::Deny(_));
                prop_assert_eq!(!denied, shown.contains(tool), "{}", tool);
            }
        }
    }
}
