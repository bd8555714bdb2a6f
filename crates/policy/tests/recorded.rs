//! The facts that are kept of a decision: as many as there is room for, and which of them it hangs on.

use instar_policy::cedar::{InPlan, Rules};
use instar_policy::{Kind, Posture, Recorded, SlotRole, Turn, Typed};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers, SessionId};

use crate::cedar::{case, rules};

fn facts(change: impl FnOnce(&mut Recorded)) -> Recorded {
    let mut facts = Recorded::of(&case(Effect::Send));
    change(&mut facts);
    facts
}

fn text(form: impl Into<String>) -> (SlotRole, Typed) {
    let form = form.into();
    let kind = Kind::Text;
    (SlotRole::Who, Typed { kind, form })
}

/// Each as `fact: is, would be, outcome by rule`.
fn turns(facts: &Recorded, rules: &Rules) -> Vec<String> {
    let told = |turn: Turn| {
        format!(
            "{}: {}, {}, {} by {}",
            turn.fact, turn.is, turn.would_be, turn.outcome, turn.rule
        )
    };
    facts.turns(rules).into_iter().map(told).collect()
}

#[test]
fn a_case_is_kept_as_it_was() {
    let kept = facts(|facts| facts.values = vec![text("ann")]);
    assert!(!kept.cut);
    assert_eq!(Recorded::of(&kept.case()), kept);
    let base = Rules::default();
    assert_eq!(kept.judge(&base), base.judge(&kept.case()));
}

#[test]
fn values_are_kept_as_far_as_there_is_room() {
    let long = |bytes: usize| text("x".repeat(bytes));
    for (values, kept) in [
        (vec![text("x"); 64], 64),
        (vec![text("x"); 65], 64),
        (vec![long(4_096)], 1),
        (vec![long(4_097)], 0),
        (vec![long(2_048), long(2_048)], 2),
        (vec![long(2_048), long(2_049)], 1),
        (vec![long(4_097), text("x")], 0),
        (Vec::new(), 0),
    ] {
        let mut case = case(Effect::Send);
        case.values.clone_from(&values);
        let found = Recorded::of(&case);
        assert_eq!(found.values, values[..kept]);
        assert_eq!(found.cut, kept < values.len(), "{kept}");
    }
}

#[test]
fn a_call_before_its_answer_is_the_same_in_that_posture() {
    let answered = facts(|facts| {
        facts.approved = true;
        facts.done = 3;
    });
    let before = answered.unanswered(Posture::Open);
    let expected = facts(|facts| {
        facts.posture = Posture::Open;
        facts.done = 3;
    });
    assert_eq!(before, expected);
}

#[test]
fn a_plan_is_lacking_where_something_is_done_and_none_was_made() {
    for (effect, plan, lacks) in [
        (Effect::None, InPlan::Unknown, false),
        (Effect::Read, InPlan::Unknown, false),
        (Effect::Fetch, InPlan::Unknown, true),
        (Effect::Destroy, InPlan::Unknown, true),
        (Effect::Read, InPlan::Outside, false),
        (Effect::Send, InPlan::Outside, false),
        (Effect::Send, InPlan::Nobody, false),
    ] {
        let found = facts(|facts| {
            facts.effect = effect;
            facts.plan = plan;
        });
        assert_eq!(found.lacks_plan(), lacks, "{effect:?} {plan:?}");
    }
}

#[test]
fn facts_are_told_in_words() {
    let told = |facts: &Recorded| {
        let facts = facts.facts().into_iter();
        let told: Vec<String> = facts.map(|(name, word)| format!("{name} {word}")).collect();
        told.join(", ")
    };
    let plain = "principal owner, effect send, reach outside, posture balanced, tainted no, readers private, \
                 grade G3, needed G3, evidenced yes, foreign no, cleared yes, plan inside, verb yes, standing no, \
                 approved no";
    assert_eq!(told(&facts(|_| {})), plain);
    let counted = facts(|facts| {
        facts.done = 1;
        facts.refused = 2;
    });
    assert_eq!(told(&counted), format!("{plain}, done 1, refused 2"));
    for (readers, word) in [
        (Readers::Public, "public"),
        (Readers::Session(SessionId::from_stored("ses_1")), "session"),
        (Readers::Secret, "secret"),
    ] {
        let found = told(&facts(|facts| facts.context.readers = readers));
        assert!(found.contains(&format!("readers {word},")), "{found}");
    }
}

#[test]
fn a_decision_hangs_on_what_would_change_it_alone() {
    let base = Rules::default();
    assert_eq!(
        turns(&facts(|_| {}), &base),
        [
            "posture: balanced, careful, ask by posture-careful",
            "foreign: no, yes, ask by foreign-payload",
            "cleared: yes, no, ask by not-cleared",
            "plan: inside, outside, ask by not-in-plan",
            "verb: yes, no, ask by not-asked-by-verb",
        ]
    );
    let weak = facts(|facts| {
        facts.context = Label::stranger(Readers::Private);
        facts.evidenced = false;
    });
    assert_eq!(
        turns(&weak, &base),
        [
            "tainted: yes, no, allow by own-words",
            "evidenced: no, yes, allow by evidence",
            "standing: no, yes, allow by standing-rule",
            "approved: no, yes, allow by owner-approved",
        ]
    );
    let secret = facts(|facts| facts.context.readers = Readers::Secret);
    assert_eq!(
        turns(&secret, &base),
        ["readers: secret, private, allow by own-words"]
    );
    let refused = facts(|facts| facts.refused = 2);
    assert_eq!(
        turns(&refused, &base),
        [
            "approved: no, yes, allow by owner-approved",
            "refused: 2, , allow by own-words",
        ]
    );
}

#[test]
fn a_decision_hangs_on_a_value_without_which_it_would_be_another() {
    let mine = rules(
        "@rule(\"not-bob\") @answer(\"never\") forbid (principal, action, resource)\n\
         when { context.who.contains(\"bob\") };",
    );
    let found = facts(|facts| {
        facts.posture = Posture::Open;
        facts.values = vec![text("ann"), text("bob")];
    });
    assert_eq!(
        turns(&found, &mine),
        ["value: bob, not there, allow by posture-open"]
    );
    let other = facts(|facts| facts.values = vec![text("ann"), text("cem")]);
    let of_values = other
        .turns(&mine)
        .into_iter()
        .filter(|turn| turn.fact == "value");
    assert_eq!(of_values.count(), 0);
}
