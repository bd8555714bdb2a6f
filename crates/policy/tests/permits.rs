//! A permit cannot be copied, made, or read from bytes: if it could, this file would not compile.
//!
//! Each check names an item that two implementations would both offer if the type had the trait,
//! which the compiler refuses to choose between.

use instar_policy::Permit;

macro_rules! lacks {
    ($what:ty: $($trait:tt)+) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn item() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Has;
            impl<T: ?Sized + $($trait)+> Ambiguous<Has> for T {}
            let _ = <$what as Ambiguous<_>>::item;
        };
    };
}

lacks!(Permit: Clone);
lacks!(Permit: Default);
lacks!(Permit: serde::de::DeserializeOwned);
lacks!(Permit: serde::Serialize);
lacks!(Permit: From<instar_protocol::tool::ToolCall>);

/// The whole public face of a permit takes it by reference: nothing here gives back another one.
#[test]
fn a_permit_only_shows() {
    fn faces(permit: &Permit) -> (&str, &str, &str) {
        (&permit.call().name, permit.digest(), permit.rule())
    }
    let place = crate::facts::Place::new();
    let call = crate::facts::call("look", serde_json::json!({}));
    let decision = place.decide(&call, &crate::facts::owner(), &crate::facts::look());
    let instar_policy::Decision::Allow(permit) = decision else {
        panic!("denied");
    };
    let (name, digest, rule) = faces(&permit);
    assert_eq!((name, digest.len(), rule), ("look", 64, "profile-reads"));
    assert_eq!(permit.effect(), instar_protocol::tool::Effect::Read);
}
