//! What a child may do is what its parent may, and less: never more, however often it is handed on.

use instar_policy::{Authority, Decision, Posture, Profile, Role, visible};
use instar_protocol::tool::Effect;
use instar_protocol::{AgentId, Label, Principal, Readers};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

use crate::facts::{Place, annotation, automation, call, contact, owner, stranger};

const TOOLS: [&str; 9] = [
    "none", "read", "fetch", "write", "send", "grant", "execute", "spend", "destroy",
];

fn names() -> impl Strategy<Value = BTreeSet<String>> {
    let one = (0..TOOLS.len() + 2).prop_map(|at| match TOOLS.get(at) {
        Some(name) => (*name).to_owned(),
        None if at == TOOLS.len() => "*".to_owned(),
        None => "ghost".to_owned(),
    });
    prop::collection::btree_set(one, 0..6)
}

fn parents() -> impl Strategy<Value = Authority> {
    let posture = prop_oneof![
        Just(Posture::Careful),
        Just(Posture::Balanced),
        Just(Posture::Open)
    ];
    (prop::option::of(names()), names(), names(), posture).prop_map(
        |(allow, deny, contacts, posture)| Authority {
            allow,
            deny,
            profiles: [(Role::Contact, Profile { tools: contacts })].into(),
            posture,
            ..Authority::over(
                TOOLS
                    .iter()
                    .zip(Effect::ALL)
                    .map(|(name, effect)| ((*name).to_owned(), annotation(effect)))
                    .collect(),
            )
        },
    )
}

fn strictness(decision: &Decision) -> u8 {
    match decision {
        Decision::Allow(_) => 0,
        Decision::Ask(_) => 1,
        Decision::Deny(_) => 2,
    }
}

fn everybody() -> [Principal; 4] {
    [owner(), contact(), stranger(), automation()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_child_never_exceeds_its_parent(parent in parents(), first in names(), second in names()) {
        let child = parent.narrowed(&first);
        let grandchild = child.narrowed(&second);
        for principal in everybody() {
            for context in [Label::owner(), Label::stranger(Readers::Private)] {
                let mut place = Place::new();
                place.context = context;
                for tool in TOOLS.iter().chain(&["ghost", "*"]) {
                    let call = call(tool, json!({}));
                    let [above, below, lowest] = [&parent, &child, &grandchild]
                        .map(|authority| strictness(&place.decide(&call, &principal, authority)));
                    prop_assert!(above <= below && below <= lowest, "{tool} of {principal:?}");
                    // What the child keeps, it keeps as it was.
                    prop_assert!(below == above || below == 2, "{tool} of {principal:?}");
                }
            }
            let seen = |authority: &Authority| visible(authority, &principal, &AgentId::main());
            prop_assert!(seen(&grandchild).is_subset(&seen(&child)));
            prop_assert!(seen(&child).is_subset(&seen(&parent)));
            let names_all = first.contains("*");
            prop_assert!(names_all || seen(&child).is_subset(&first));
        }
        // Order does not matter, and the second time changes nothing.
        let other = parent.narrowed(&second).narrowed(&first);
        let same = |one: &Authority, two: &Authority| {
            everybody().iter().all(|principal| {
                let of = |authority| visible(authority, principal, &AgentId::main());
                of(one) == of(two)
            })
        };
        prop_assert!(same(&grandchild, &other));
        prop_assert!(same(&child, &child.narrowed(&first)));
    }
}
