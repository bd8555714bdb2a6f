//! What a [`Secret`] must not be able to do, shown by which method the compiler picks.

use std::fmt::Display;
use std::marker::PhantomData;

use instar_protocol::{Secret, SecretRef};
use serde::Serialize;

struct Probe<T>(PhantomData<T>);

/// Found on `Probe` itself when the bound holds, else only through one more reference.
macro_rules! probe {
    ($name:ident, $fallback:ident, $method:ident, $($bound:tt)+) => {
        trait $name {
            fn $method(&self) -> bool {
                true
            }
        }
        impl<T: $($bound)+> $name for Probe<T> {}
        trait $fallback {
            fn $method(&self) -> bool {
                false
            }
        }
        impl<T> $fallback for &Probe<T> {}
    };
}

probe!(Displays, DisplaysNot, displays, Display);
probe!(Serializes, SerializesNot, serializes, Serialize);
probe!(Compares, ComparesNot, compares, PartialEq);
probe!(Derefs, DerefsNot, derefs, std::ops::Deref);
probe!(AsText, AsTextNot, as_text, AsRef<str>);
probe!(IntoText, IntoTextNot, gives_text, Into<String>);

#[test]
fn a_secret_cannot_be_shown_serialised_or_compared() {
    let secret = &Probe::<Secret>(PhantomData);
    assert!(!secret.displays());
    assert!(!secret.serializes());
    assert!(!secret.compares());
    assert!(!secret.derefs());
    assert!(!secret.as_text());
    assert!(!secret.gives_text());
    assert_eq!(format!("{:?}", Secret::new("canary")), "Secret(***)");
    // The probe itself tells yes from no.
    let text = &Probe::<String>(PhantomData);
    assert!(text.displays() && text.serializes() && text.compares());
    assert!(text.derefs() && text.as_text() && text.gives_text());
    let reference = &Probe::<SecretRef>(PhantomData);
    assert!(reference.serializes() && reference.compares() && !reference.displays());
}
