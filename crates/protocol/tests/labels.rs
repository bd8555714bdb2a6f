//! The laws of the label lattice, over few enough contacts and sessions that they often meet.

use instar_protocol::label::CONTACTS_MAX;
use instar_protocol::{Label, Origin, Origins, Readers, SessionId};
use proptest::prelude::*;

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        Just(Origin::Owner),
        Just(Origin::System),
        (0..7u8).prop_map(|n| Origin::Contact(format!("c{n}"))),
        Just(Origin::Stranger),
    ]
}

/// Sets are made by joining, as everywhere in the product.
fn origins() -> impl Strategy<Value = Origins> {
    prop::collection::vec(origin(), 0..6).prop_map(|all| {
        all.into_iter()
            .fold(Origins::default(), |set, one| set.join(&Origins::of(one)))
    })
}

fn readers() -> impl Strategy<Value = Readers> {
    prop_oneof![
        Just(Readers::Public),
        (0..3u8).prop_map(|n| Readers::Session(SessionId::from_stored(format!("s{n}")))),
        Just(Readers::Private),
        Just(Readers::Secret),
    ]
}

fn label() -> impl Strategy<Value = Label> {
    (origins(), readers()).prop_map(|(origins, readers)| Label { origins, readers })
}

fn contacts(origins: &Origins) -> usize {
    origins
        .iter()
        .filter(|origin| matches!(origin, Origin::Contact(_)))
        .count()
}

proptest! {
    #[test]
    fn joining_is_commutative_associative_and_idempotent(
        a in label(), b in label(), c in label(),
    ) {
        prop_assert_eq!(a.join(&b), b.join(&a));
        prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
        prop_assert_eq!(a.join(&a), a.clone());
        prop_assert_eq!(a.join(&Label::default()), a);
    }

    #[test]
    fn a_join_is_above_both_sides(a in label(), b in label()) {
        let joined = a.join(&b);
        prop_assert_eq!(joined.join(&a), joined.clone());
        prop_assert_eq!(joined.join(&b), joined.clone());
        prop_assert!(!a.is_tainted() || joined.is_tainted());
        prop_assert!(contacts(&joined.origins) <= CONTACTS_MAX);
    }

    #[test]
    fn joining_keeps_the_order(a in label(), b in label(), c in label()) {
        let above = a.join(&b);
        prop_assert_eq!(a.join(&c).join(&above.join(&c)), above.join(&c));
    }

    #[test]
    fn nobody_more_may_see_a_join(a in readers(), b in readers(), to in readers()) {
        if a.join(&b).may_flow_to(&to) {
            prop_assert!(a.may_flow_to(&to) && b.may_flow_to(&to));
        }
        prop_assert!(!Readers::Secret.may_flow_to(&to));
    }

    #[test]
    fn flow_only_ever_narrows(a in readers(), b in readers(), c in readers()) {
        if a.may_flow_to(&b) && b.may_flow_to(&c) {
            prop_assert!(a.may_flow_to(&c));
        }
    }

    /// In whatever order five contacts come together, they become a stranger and stay one.
    #[test]
    fn too_many_contacts_are_a_stranger_in_every_order(
        order in Just((0..7u8).collect::<Vec<_>>()).prop_shuffle(),
        cut in 0..7usize,
    ) {
        let one = |n: &u8| Origins::of(Origin::Contact(format!("c{n}")));
        let fold = |part: &[u8]| part.iter().fold(Origins::default(), |set, n| set.join(&one(n)));
        let (left, right) = order.split_at(cut);
        prop_assert_eq!(fold(left).join(&fold(right)), Origins::of(Origin::Stranger));
    }

    #[test]
    fn labels_survive_storage(a in label()) {
        let stored = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Label>(&stored).unwrap(), a);
    }
}

#[test]
fn two_sessions_meet_in_private_and_never_in_each_other() {
    let of = |name: &str| Readers::Session(SessionId::from_stored(name));
    assert_eq!(of("a").join(&of("b")), Readers::Private);
    assert!(!of("a").may_flow_to(&of("b")));
    assert!(of("a").may_flow_to(&of("a")));
    assert!(!Readers::Private.may_flow_to(&of("a")));
}

#[test]
fn the_worst_origin_is_named() {
    let join = |one: &Origins, two: Origin| one.join(&Origins::of(two));
    let system = Origins::of(Origin::System);
    let owner = join(&system, Origin::Owner);
    let contact = join(&owner, Origin::Contact("c".to_owned()));
    let stranger = join(&contact, Origin::Stranger);
    let words = [&Origins::default(), &system, &owner, &contact, &stranger].map(Origins::worst);
    assert_eq!(words, ["system", "system", "system", "contact", "stranger"]);
}
