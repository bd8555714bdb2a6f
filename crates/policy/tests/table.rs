//! The whole of a small world, written out: every entry point with its principal, against every
//! kind of tool. No entry point gets a tool set but the one its principal's row has.

use crate::facts::{Place, annotation, automation, call, contact, outcome, owner, set, stranger};
use instar_policy::{Annotation, Authority, Known, Posture, Profile, Reach, Role, visible};
use instar_protocol::principal::Via;
use instar_protocol::tool::Effect;
use instar_protocol::{AgentId, Principal};
use serde_json::json;

/// Tools: one for each effect, one that reaches out, one denied; `ghost` has no annotation.
fn world() -> Authority {
    let mut annotations: std::collections::BTreeMap<String, Annotation> = [
        ("none", Effect::None),
        ("read", Effect::Read),
        ("off", Effect::Read),
        ("write", Effect::Write),
        ("send", Effect::Send),
        ("execute", Effect::Execute),
        ("spend", Effect::Spend),
        ("destroy", Effect::Destroy),
    ]
    .map(|(name, effect)| (name.to_owned(), annotation(effect)))
    .into();
    annotations.insert(
        "fetch".to_owned(),
        Annotation {
            reach: Reach::Public,
            ..annotation(Effect::Read)
        },
    );
    let row = |tools: &[&str]| Profile { tools: set(tools) };
    Authority {
        annotations,
        allow: None,
        deny: set(&["off"]),
        profiles: [
            (Role::Contact, row(&["none", "write", "off", "ghost"])),
            (Role::Automation, row(&["read", "execute"])),
        ]
        .into(),
        posture: Posture::Careful,
        known: Known::default(),
        ..Authority::default()
    }
}

/// Tool, then what owner, contact, stranger and automation get.
#[rustfmt::skip]
const TABLE: [(&str, [&str; 4]); 10] = [
    ("none",    ["+profile-reads",  "+profile-reads",  "-not-in-profile", "-not-in-profile"]),
    ("read",    ["+profile-reads",  "-not-in-profile", "-not-in-profile", "+profile-reads"]),
    ("fetch",   ["?posture-careful",  "-not-in-profile", "-not-in-profile", "-not-in-profile"]),
    ("write",   ["?posture-careful", "?posture-careful", "-not-in-profile", "-not-in-profile"]),
    ("send",    ["?posture-careful", "-not-in-profile", "-not-in-profile", "-not-in-profile"]),
    ("execute", ["?posture-careful", "-not-in-profile", "-not-in-profile", "?posture-careful"]),
    ("spend",   ["?posture-careful", "-not-in-profile", "-not-in-profile", "-not-in-profile"]),
    ("destroy", ["?posture-careful", "-not-in-profile", "-not-in-profile", "-not-in-profile"]),
    ("off",     ["-denied-by-name", "-denied-by-name", "-denied-by-name", "-denied-by-name"]),
    ("ghost",   ["-not-annotated",  "-not-annotated",  "-not-annotated",  "-not-annotated"]),
];

#[test]
fn every_cell_is_as_written() {
    let world = world();
    for (tool, row) in TABLE {
        let principals = [owner(), contact(), stranger(), automation()];
        let got = principals.map(|principal| {
            outcome(&Place::new().decide(&call(tool, json!({})), &principal, &world))
        });
        assert_eq!(got.each_ref().map(String::as_str), row, "{tool}");
    }
    let tools: Vec<&str> = TABLE.iter().map(|(tool, _)| *tool).collect();
    assert!(
        world
            .annotations
            .keys()
            .all(|name| tools.contains(&name.as_str()))
    );
}

/// Where a run can begin, and whom the door makes of it there.
fn entries() -> Vec<(&'static str, Principal, usize)> {
    let by = |via| Principal::Owner { via };
    let source = |source: &str| Principal::Automation {
        source: source.to_owned(),
    };
    vec![
        ("web page with a session", by(Via::Session), 0),
        ("HTTP API with the gateway token", by(Via::Token), 0),
        ("trusted proxy identity", by(Via::TrustedProxy), 0),
        ("command line on the state folder", by(Via::Local), 0),
        ("known contact on a channel", contact(), 1),
        ("unknown sender on a channel", stranger(), 2),
        (
            "contact who calls himself owner",
            Principal::Contact {
                id: "owner".to_owned(),
            },
            1,
        ),
        ("heartbeat", source("heartbeat"), 3),
        ("schedule", source("cron"), 3),
        ("hook", source("hook"), 3),
        ("automation that calls itself owner", source("owner"), 3),
    ]
}

/// For each entry point the tool set is the one its column says, whatever was read before.
#[test]
fn every_entry_point_gets_its_principals_set_and_no_other() {
    let world = world();
    for (entry, principal, column) in entries() {
        let expected: std::collections::BTreeSet<String> = TABLE
            .iter()
            .filter(|(_, row)| !row[column].starts_with('-'))
            .map(|(tool, _)| (*tool).to_owned())
            .collect();
        assert_eq!(
            visible(&world, &principal, &AgentId::main()),
            expected,
            "{entry}"
        );
        assert_eq!(principal.is_owner(), column == 0, "{entry}");
        for context in [
            instar_protocol::Label::owner(),
            instar_protocol::Label::stranger(instar_protocol::Readers::Private),
        ] {
            let mut place = Place::new();
            place.context = context;
            for (tool, row) in TABLE {
                let decision = place.decide(&call(tool, json!({})), &principal, &world);
                assert_eq!(outcome(&decision), row[column], "{entry} {tool}");
            }
        }
    }
}
