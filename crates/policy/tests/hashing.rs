//! The hash of the authority: it is another one as soon as anything is otherwise that a decision reads.

use instar_policy::cedar::{RuleFile, Rules};
use instar_policy::{
    Authority, Field, FieldRole, Kind, OwnRow, Posture, Profile, Reach, Role, Slot, SlotRole,
};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use serde_json::Value;
use std::collections::BTreeSet;

use crate::facts::{annotation, set};

fn whole() -> Authority {
    let mut one = annotation(Effect::Write);
    one.people = Some(Effect::Send);
    one.undoable = true;
    one.makes = true;
    one.connector = "mail".to_owned();
    one.reach = Reach::Closed;
    one.slots.insert(
        "to".to_owned(),
        Slot {
            role: SlotRole::Who,
            kind: Kind::Address,
        },
    );
    one.fields.push(Field {
        path: "[].from".to_owned(),
        kind: Kind::Address,
        role: FieldRole::Party,
        author: Some("[].name".to_owned()),
    });
    one.own = Some(OwnRow {
        by: Vec::new(),
        path: "status".to_owned(),
        equals: vec!["accepted".to_owned()],
    });
    one.output = Label::stranger(Readers::Private);
    let rules = Rules::read(vec![RuleFile {
        name: "mine.cedar".to_owned(),
        text: "permit (principal is Owner, action, resource);".to_owned(),
    }]);
    let tools = set(&["act"]);
    let mut authority = Authority {
        allow: Some(set(&["act"])),
        deny: set(&["off"]),
        profiles: [(Role::Contact, Profile { tools })].into(),
        posture: Posture::Balanced,
        rules: rules.unwrap(),
        ..Authority::over([("act".to_owned(), one)].into())
    };
    authority.known.own = set(&["me@example.org"]);
    authority.known.contacts = set(&["you@example.org"]);
    authority.known.destinations = set(&["#general"]);
    authority
}

/// Every value that stands in a document, each changed alone.
fn changed(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let put = |inner: Option<Value>| {
                    let mut other = fields.clone();
                    match inner {
                        Some(inner) => drop(other.insert(name.clone(), inner)),
                        None => drop(other.remove(name)),
                    }
                    Value::Object(other)
                };
                all.push(put(None));
                all.extend(changed(inner).into_iter().map(|inner| put(Some(inner))));
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                let mut less = items.clone();
                less.remove(at);
                all.push(Value::Array(less));
                all.extend(changed(inner).into_iter().map(|inner| {
                    let mut other = items.clone();
                    other[at] = inner;
                    Value::Array(other)
                }));
            }
        }
        Value::String(text) => {
            // Another word that may stand in its place, of whatever is to be had.
            for other in [
                "read", "own", "owner", "careful", "name", "system", "public", "secret",
            ] {
                if other != text {
                    all.push(Value::from(other));
                }
            }
            all.push(Value::from(format!("{text} ")));
        }
        Value::Bool(holds) => all.push(Value::Bool(!holds)),
        Value::Number(_) | Value::Null => {}
    }
    all
}

#[test]
fn whatever_a_decision_reads_is_part_of_the_hash() {
    let authority = whole();
    let before = authority.hash().unwrap();
    let stored = serde_json::to_value(&authority).unwrap();
    let again: Authority = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(again.hash().unwrap(), before);
    let read: Vec<Authority> = changed(&stored)
        .into_iter()
        .filter_map(|other| serde_json::from_value(other).ok())
        .filter(|other| *other != authority)
        .collect();
    assert!(read.len() > 60, "{}", read.len());
    let hashes: BTreeSet<String> = read.iter().map(|other| other.hash().unwrap()).collect();
    assert!(!hashes.contains(&before));
    let kinds: BTreeSet<String> = read
        .iter()
        .map(|other| serde_json::to_string(other).unwrap())
        .collect();
    assert_eq!(hashes.len(), kinds.len(), "as many hashes as authorities");
}

/// The built-in rules are read by every decision: a version with others makes another authority.
#[test]
fn the_built_in_rules_are_part_of_the_hash() {
    let authority = whole();
    assert_eq!(authority.base, Rules::base_digest());
    let older = Authority {
        base: "0".repeat(64),
        ..authority.clone()
    };
    assert_ne!(older.hash().unwrap(), authority.hash().unwrap());
    // What was stored before they were part of it reads as it was.
    let mut stored = serde_json::to_value(&authority).unwrap();
    stored.as_object_mut().unwrap().remove("base");
    let older: Authority = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&older).unwrap(), stored);
}
