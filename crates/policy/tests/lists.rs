//! Lists of tools: whom each is for, and that it keeps from him what it says.

use crate::facts::{Place, annotation, automation, call, contact, outcome, owner, set, stranger};
use instar_policy::{Authority, ListOf, Profile, Role, ToolList, offered, visible};
use instar_protocol::tool::Effect;
use instar_protocol::{AgentId, Principal};
use serde_json::json;

fn sender(pattern: &str) -> ListOf {
    ListOf::Sender(pattern.to_owned())
}

fn person(id: &str) -> Principal {
    Principal::Contact { id: id.to_owned() }
}

#[test]
fn a_list_is_for_those_whom_its_pattern_names() {
    let main = AgentId::main();
    let bob = person("telegram:bob");
    for (pattern, principal, fits) in [
        ("*", &owner(), true),
        ("*", &stranger(), true),
        ("owner", &owner(), true),
        ("contact", &owner(), false),
        ("contact", &contact(), true),
        ("stranger", &stranger(), true),
        ("stranger", &contact(), false),
        ("automation", &automation(), true),
        ("heartbeat", &automation(), true),
        ("c1", &contact(), true),
        ("c1", &stranger(), false),
        ("c2", &contact(), false),
        // Everybody on a channel, and nobody whose name only begins like it.
        ("telegram:*", &bob, true),
        ("telegram:bob", &bob, true),
        ("telegram*", &bob, false),
        ("tele*", &bob, false),
        ("signal:*", &bob, false),
        ("telegram:*", &person("telegram:"), false),
        ("telegram:", &bob, false),
        // The owner has no id that a list could name.
        ("", &owner(), false),
        ("", &person(""), false),
        (":*", &owner(), false),
    ] {
        let list = sender(pattern);
        assert_eq!(
            list.fits(&main, principal),
            fits,
            "{pattern:?} {principal:?}"
        );
    }
    let agent = |id: &str| ListOf::Agent(id.to_owned()).fits(&main, &owner());
    assert!(agent(main.as_str()));
    assert!(!agent("clerk") && !agent("*") && !agent("owner"));
}

/// Two reading tools for everybody, with these lists.
fn house(lists: Vec<ToolList>) -> Authority {
    let tools = ["look", "find"].map(|name| (name.to_owned(), annotation(Effect::Read)));
    let all = Profile { tools: set(&["*"]) };
    Authority {
        lists,
        profiles: [Role::Owner, Role::Contact]
            .map(|role| (role, all.clone()))
            .into(),
        ..Authority::over(tools.into())
    }
}

fn list(of: ListOf, allow: Option<&[&str]>, deny: &[&str]) -> ToolList {
    ToolList {
        of,
        allow: allow.map(set),
        deny: set(deny),
    }
}

#[test]
fn what_a_list_denies_or_leaves_out_is_neither_shown_nor_offered_nor_decided_for() {
    let main = AgentId::main();
    for (name, lists, look, find) in [
        ("none", vec![], true, true),
        (
            "denied by name",
            vec![list(sender("*"), None, &["look"])],
            false,
            true,
        ),
        (
            "denied in all",
            vec![list(sender("*"), None, &["*"])],
            false,
            false,
        ),
        (
            "the only one",
            vec![list(sender("*"), Some(&["look"]), &[])],
            true,
            false,
        ),
        (
            "all of them",
            vec![list(sender("*"), Some(&["*"]), &[])],
            true,
            true,
        ),
        (
            "listed and denied",
            vec![list(sender("*"), Some(&["look"]), &["look"])],
            false,
            false,
        ),
        (
            "of somebody else",
            vec![list(sender("stranger"), None, &["*"])],
            true,
            true,
        ),
        (
            "of another agent",
            vec![list(ListOf::Agent("clerk".to_owned()), None, &["*"])],
            true,
            true,
        ),
        // A tool has to be on every list that fits.
        (
            "two",
            vec![
                list(sender("*"), Some(&["look", "find"]), &[]),
                list(sender("contact"), Some(&["find"]), &[]),
            ],
            false,
            true,
        ),
    ] {
        let authority = house(lists);
        let shown = visible(&authority, &contact(), &main);
        for (tool, kept) in [("look", look), ("find", find)] {
            assert_eq!(shown.contains(tool), kept, "{name}: {tool}");
            let told = offered(&authority, &contact(), &main, tool);
            assert_eq!(told.is_ok(), kept, "{name}: {tool}");
            let decided = Place::new().decide(&call(tool, json!({})), &contact(), &authority);
            let rule = outcome(&decided);
            assert_eq!(rule.starts_with('+'), kept, "{name}: {tool} {rule}");
        }
    }
}

#[test]
fn a_narrowed_authority_has_what_was_asked_for_as_far_as_it_had_it() {
    let house = Authority {
        deny: set(&["find"]),
        ..house(vec![list(sender("stranger"), None, &["look"])])
    };
    let narrow = house.narrowed(&set(&["look", "gone"]));
    assert_eq!(narrow.allow, Some(set(&["look", "gone"])));
    assert_eq!((&narrow.deny, &narrow.lists), (&house.deny, &house.lists));
    assert_eq!(narrow.annotations, house.annotations);
    assert_eq!(house.narrowed(&set(&["*"])), house);
    let listed = Authority {
        allow: Some(set(&["look"])),
        ..house
    };
    assert_eq!(
        listed.narrowed(&set(&["look", "find"])).allow,
        Some(set(&["look"]))
    );
    assert_eq!(listed.narrowed(&set(&["*"])).allow, Some(set(&["look"])));
}
