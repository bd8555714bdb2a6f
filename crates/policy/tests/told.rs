//! What rules are told of a call: each fact under the word that the schema names, read through a rule.

use instar_policy::cedar::{Case, Ruling};
use instar_policy::{Kind, Posture, Reach, SlotRole, normal};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Origin, Origins, Readers};

use crate::cedar::{case, rules};

/// True if a rule with this condition holds.
fn holds(condition: &str, case: &Case<'_>) -> bool {
    let text =
        format!("@rule(\"it\")\nforbid (principal, action, resource) when {{ {condition} }};");
    matches!(rules(&text).judge(case), Ruling::Never(found) if found.iter().any(|one| one.rule == "it"))
}

/// The same with the condition where it is read before Cedar is asked, and where Cedar alone can read it.
fn both(condition: &str, case: &Case<'_>) -> bool {
    let plain = holds(condition, case);
    let asked = holds(&format!("[true].contains({condition})"), case);
    assert_eq!(plain, asked, "{condition}");
    plain
}

fn with(values: &[(SlotRole, Kind, &str)]) -> Case<'static> {
    let value = |(role, kind, text): &(SlotRole, Kind, &str)| (*role, normal(*kind, text).unwrap());
    Case {
        values: values.iter().map(value).collect(),
        ..case(Effect::Spend)
    }
}

#[test]
fn words_are_those_of_the_schema() {
    let reaches = [
        (Reach::Own, "own"),
        (Reach::Closed, "closed"),
        (Reach::Outside, "outside"),
        (Reach::Public, "public"),
    ];
    for (reach, _) in reaches {
        let case = Case {
            reach,
            ..case(Effect::Send)
        };
        for (other, word) in reaches {
            let condition = format!("context.reach == \"{word}\"");
            assert_eq!(both(&condition, &case), reach == other, "{reach:?} {word}");
        }
    }
    let postures = [
        (Posture::Careful, "careful"),
        (Posture::Balanced, "balanced"),
        (Posture::Open, "open"),
    ];
    for (posture, _) in postures {
        let case = Case {
            posture,
            ..case(Effect::Send)
        };
        for (other, word) in postures {
            let condition = format!("context.posture == \"{word}\"");
            assert_eq!(
                both(&condition, &case),
                posture == other,
                "{posture:?} {word}"
            );
        }
    }
}

#[test]
fn whose_text_was_read_and_who_may_see_it_are_told() {
    let origins = [
        (Origin::Owner, "owner"),
        (Origin::System, "system"),
        (Origin::Contact("ann".to_owned()), "contact"),
        (Origin::Stranger, "stranger"),
    ];
    for (origin, _) in &origins {
        let label = Label {
            origins: Origins::of(origin.clone()),
            ..Label::owner()
        };
        let case = Case {
            context: &label,
            ..case(Effect::Send)
        };
        for (other, word) in &origins {
            let condition = format!("context.origins.contains(\"{word}\")");
            assert_eq!(
                both(&condition, &case),
                origin == other,
                "{origin:?} {word}"
            );
        }
    }
    for (readers, own) in [
        (Readers::Public, "public"),
        (Readers::Private, "private"),
        (Readers::Secret, "secret"),
    ] {
        let label = Label::stranger(readers);
        let case = Case {
            context: &label,
            ..case(Effect::Send)
        };
        for word in ["public", "session", "private", "secret"] {
            let condition = format!("context.readers == \"{word}\"");
            assert_eq!(both(&condition, &case), word == own, "{own} {word}");
        }
    }
}

#[test]
fn an_amount_is_the_largest_in_hundredths_and_what_cannot_be_read_is_more_than_any() {
    use SlotRole::{Amount, Payload, Who};
    let of = |values: &[(SlotRole, Kind, &str)], least: i64| {
        let case = with(values);
        let at_least = format!("context has amount && context.amount >= {least}");
        let more = format!("context has amount && context.amount > {least}");
        holds(&at_least, &case) && !holds(&more, &case)
    };
    assert!(of(&[(Amount, Kind::Amount, "12.50 EUR")], 1_250));
    assert!(of(&[(Amount, Kind::Amount, "12.50")], 1_250));
    // A sum is one wherever it stands.
    assert!(of(&[(Payload, Kind::Amount, "12.50 EUR")], 1_250));
    let many = [
        (Amount, Kind::Amount, "3 EUR"),
        (Amount, Kind::Amount, "-20 USD"),
        (Who, Kind::Name, "Ann 99"),
    ];
    assert!(of(&many, 2_000));
    assert!(of(&[(Amount, Kind::Name, "a lot")], i64::MAX));
    let none = with(&[(Who, Kind::Name, "Ann 99")]);
    assert!(!holds("context has amount", &none));

    for (word, is_named) in [("eur", true), ("usd", true), ("", false), ("gbp", false)] {
        let condition = format!("context.currencies.contains(\"{word}\")");
        let upper = format!("context.currencies.contains(\"{}\")", word.to_uppercase());
        let named = both(&condition, &with(&many)) || both(&upper, &with(&many));
        assert_eq!(named, is_named, "{word}");
    }
    let bare = with(&[(Amount, Kind::Amount, "12.50")]);
    assert!(!both("context.currencies.contains(\"\")", &bare));
}

#[test]
fn a_domain_is_that_of_an_address_a_link_or_a_host() {
    for (kind, text, is_there) in [
        (Kind::Address, "eve@a.trap.example", true),
        (Kind::Url, "https://a.trap.example:8443/x?y", true),
        (Kind::Url, "trap.example", true),
        (Kind::Host, "a.trap.example", true),
        (Kind::Host, "trap.example.org", false),
        (Kind::Url, "https://shop.example/trap.example", false),
        (Kind::Name, "trap.example", false),
    ] {
        let case = with(&[(SlotRole::Where, kind, text)]);
        for fact in ["domains", "inDomains"] {
            let condition = format!("context.{fact}.contains(\"trap.example\")");
            assert_eq!(both(&condition, &case), is_there, "{fact} {text}");
        }
    }
}

#[test]
fn a_path_is_in_folders_whatever_it_is_for_and_a_place_that_is_none_is_in_no_folder() {
    use SlotRole::{Where, Which};
    let note = (Which, Kind::Path, "notes/2026/a.md");
    for (values, is_above, is_above_all) in [
        (&[note][..], true, true),
        (&[(Where, Kind::Path, "notes/a.md"), note], true, true),
        (&[(Where, Kind::Path, "keys/a.pem"), note], true, false),
        (&[(Where, Kind::Name, "notes"), note], true, false),
        (&[(Which, Kind::Name, "notes"), note], true, true),
        (&[(Where, Kind::Name, "notes")], false, false),
    ] {
        let case = with(values);
        for (fact, expected) in [("folders", is_above), ("inFolders", is_above_all)] {
            let condition = format!("context.{fact}.contains(\"notes\")");
            assert_eq!(both(&condition, &case), expected, "{fact} {values:?}");
        }
    }
}
