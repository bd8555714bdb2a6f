//! What a rule asks for first, as far as it is plain: a fact that is true or false, a word, a number, one of a set. Cedar
//! reads conditions from the left and stops at the first that is not met, so where one of these is not met the rule
//! neither holds nor fails, and Cedar need not be asked. Whatever is not plain, or stands behind such, is Cedar's to judge.

use cedar_policy::Policy;
use serde_json::Value as Json;

use super::fact::{Fact, Facts, Value};

/// The plain conditions that a rule begins with, in their order.
#[derive(Debug, Default)]
pub(super) struct Guard {
    terms: Vec<Term>,
}

/// One condition, and what it has to come out as.
#[derive(PartialEq, Eq, Debug)]
struct Term {
    fact: Fact,
    test: Test,
    wanted: bool,
}

#[derive(PartialEq, Eq, Debug)]
enum Test {
    IsThere,
    IsTrue,
    IsWord(String),
    IsNumber(i64),
    IsBelow(i64),
    IsAtMost(i64),
    Holds(String),
}

impl Guard {
    pub(super) fn of(policy: &Policy) -> Self {
        let mut guard = Self::default();
        let Ok(json) = policy.to_json() else {
            return guard;
        };
        for condition in json["conditions"].as_array().into_iter().flatten() {
            let wanted = match condition["kind"].as_str() {
                Some("when") => true,
                Some("unless") => false,
                _ => break,
            };
            if !guard.begins_with(&condition["body"], wanted) {
                break;
            }
        }
        guard
    }

    /// False where the rule's first conditions are not met. True says nothing.
    pub(super) fn may_hold(&self, facts: &Facts<'_>) -> bool {
        for term in &self.terms {
            match term.test.of(facts.get(term.fact)) {
                Some(found) if found == term.wanted => {}
                Some(_) => return false,
                // Cedar would find a fact missing here.
                None => return true,
            }
        }
        true
    }

    /// Takes in what has to come out as `wanted`, from the left, and says whether all of it was plain.
    fn begins_with(&mut self, expression: &Json, wanted: bool) -> bool {
        let Some((operator, inside)) = only_entry(expression) else {
            return false;
        };
        match (operator, wanted) {
            ("!", _) => self.begins_with(&inside["arg"], !wanted),
            // Both have to come out so.
            ("&&", true) | ("||", false) => {
                self.begins_with(&inside["left"], wanted)
                    && self.begins_with(&inside["right"], wanted)
            }
            _ => match plain(operator, inside) {
                Some((fact, test, is_said)) => {
                    let wanted = wanted == is_said;
                    self.terms.push(Term { fact, test, wanted });
                    true
                }
                None => false,
            },
        }
    }
}

impl Test {
    /// `None` where it cannot be told without Cedar.
    fn of(&self, value: Option<&Value<'_>>) -> Option<bool> {
        if let Self::IsThere = self {
            return Some(value.is_some());
        }
        match (self, value?) {
            (Self::IsTrue, Value::Flag(holds)) => Some(*holds),
            (Self::IsWord(word), Value::Word(known)) => Some(known == word),
            (Self::IsNumber(number), Value::Number(known)) => Some(known == number),
            (Self::IsBelow(number), Value::Number(known)) => Some(known < number),
            (Self::IsAtMost(number), Value::Number(known)) => Some(known <= number),
            (Self::Holds(word), Value::Words(known)) => Some(known.contains(word)),
            _ => None,
        }
    }
}

/// A test of one fact against something that is written out, and whether it is said or denied.
fn plain(operator: &str, inside: &Json) -> Option<(Fact, Test, bool)> {
    if operator == "." {
        return Some((fact(inside)?, Test::IsTrue, true));
    }
    if operator == "has" {
        return Some((fact(inside)?, Test::IsThere, true));
    }
    let (left, field) = only_entry(&inside["left"])?;
    if left != "." {
        return None;
    }
    let (fact, written) = (fact(field)?, inside["right"].get("Value")?);
    let (test, is_said) = match (operator, written) {
        ("contains", Json::String(word)) => (Test::Holds(word.clone()), true),
        ("==" | "!=", Json::String(word)) => (Test::IsWord(word.clone()), operator == "=="),
        ("==" | "!=", Json::Bool(is_true)) => (Test::IsTrue, (operator == "==") == *is_true),
        (_, Json::Number(number)) => {
            let number = number.as_i64()?;
            match operator {
                "==" | "!=" => (Test::IsNumber(number), operator == "=="),
                "<" | ">=" => (Test::IsBelow(number), operator == "<"),
                "<=" | ">" => (Test::IsAtMost(number), operator == "<="),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some((fact, test, is_said))
}

/// The fact of a field of the context.
fn fact(field: &Json) -> Option<Fact> {
    if field["left"]["Var"] != "context" {
        return None;
    }
    Fact::named(field["attr"].as_str()?)
}

fn only_entry(expression: &Json) -> Option<(&str, &Json)> {
    let mut entries = expression.as_object()?.iter();
    let (operator, inside) = entries.next()?;
    entries.next().is_none().then_some((operator, inside))
}

#[cfg(test)]
mod tests {
    use super::super::fact::FactSet;
    use super::super::{Case, InPlan};
    use super::*;
    use crate::annotation::{Reach, SlotRole};
    use crate::authority::{Posture, Role};
    use crate::typed::{Kind, normal};
    use cedar_policy::{Authorizer, Entities, PolicySet};
    use instar_protocol::Label;
    use instar_protocol::tool::Effect;
    use std::sync::LazyLock;

    fn terms(conditions: &str) -> Vec<Term> {
        let text = format!("forbid (principal, action, resource) {conditions};");
        Guard::of(&Policy::parse(None, text).unwrap()).terms
    }

    fn term(fact: Fact, test: Test, wanted: bool) -> Term {
        Term { fact, test, wanted }
    }

    #[test]
    fn what_is_plain_is_taken_from_the_left_and_nothing_behind_what_is_not() {
        use Test::{Holds, IsAtMost, IsBelow, IsNumber, IsThere, IsTrue, IsWord};
        let tainted = || term(Fact::Tainted, IsTrue, true);
        assert_eq!(terms("when { context.tainted }"), [tainted()]);
        assert_eq!(
            terms("when { context.tainted && !context.verb && context.posture == \"open\" }"),
            [
                tainted(),
                term(Fact::Verb, IsTrue, false),
                term(Fact::Posture, IsWord("open".to_owned()), true)
            ]
        );
        for (written, test, wanted) in [
            ("context.done < 3", IsBelow(3), true),
            ("context.done >= 3", IsBelow(3), false),
            ("context.done <= 3", IsAtMost(3), true),
            ("context.done > 3", IsAtMost(3), false),
            ("context.done == 3", IsNumber(3), true),
            ("context.done != 3", IsNumber(3), false),
            ("!(context.done < 3)", IsBelow(3), false),
        ] {
            let found = terms(&format!("when {{ {written} }}"));
            assert_eq!(found, [term(Fact::Done, test, wanted)], "{written}");
        }
        assert_eq!(
            terms("when { context.verb == false } unless { context.domains.contains(\"a.b\") }"),
            [
                term(Fact::Verb, IsTrue, false),
                term(Fact::Domains, Holds("a.b".to_owned()), false)
            ]
        );
        assert_eq!(
            terms("when { context has amount && context.amount > 5 && context.tainted }"),
            [
                term(Fact::Amount, IsThere, true),
                term(Fact::Amount, IsAtMost(5), false),
                tainted()
            ]
        );
        assert_eq!(
            terms("unless { context.verb || context.tainted }"),
            [
                term(Fact::Verb, IsTrue, false),
                term(Fact::Tainted, IsTrue, false)
            ]
        );
        for not_plain in [
            "when { context.done + 1 > 2 && context.tainted }",
            "when { context.verb || context.tainted }",
            "unless { context.verb && context.tainted }",
            "when { if context.verb then context.tainted else false }",
            "when { context.agent like \"m*\" }",
            "when { 3 > context.done }",
            "when { resource == Tool::\"a\" && context.tainted }",
            "when { context.done == context.refused }",
        ] {
            assert_eq!(terms(not_plain), [], "{not_plain}");
        }
        assert_eq!(
            terms(
                "when { context.tainted && context.done * 2 > 2 && context.verb } when { context.verb }"
            ),
            [tainted()]
        );
    }

    #[test]
    fn what_is_known_is_told_without_asking_and_nothing_else_is() {
        use Test::{Holds, IsAtMost, IsBelow, IsNumber, IsThere, IsTrue, IsWord};
        let open = || IsWord("open".to_owned());
        let words = || Value::Words([String::from("a.b")].into());
        for (test, value, told) in [
            (IsThere, None, Some(false)),
            (IsThere, Some(Value::Number(0)), Some(true)),
            (IsTrue, Some(Value::Flag(true)), Some(true)),
            (IsTrue, Some(Value::Flag(false)), Some(false)),
            (open(), Some(Value::Word("open")), Some(true)),
            (open(), Some(Value::Word("careful")), Some(false)),
            (IsNumber(3), Some(Value::Number(3)), Some(true)),
            (IsNumber(3), Some(Value::Number(4)), Some(false)),
            (IsBelow(3), Some(Value::Number(2)), Some(true)),
            (IsBelow(3), Some(Value::Number(3)), Some(false)),
            (IsAtMost(3), Some(Value::Number(3)), Some(true)),
            (IsAtMost(3), Some(Value::Number(4)), Some(false)),
            (Holds("a.b".to_owned()), Some(words()), Some(true)),
            (Holds("b".to_owned()), Some(words()), Some(false)),
            (IsTrue, None, None),
            (IsTrue, Some(Value::Number(1)), None),
            (IsNumber(3), Some(Value::Word("3")), None),
        ] {
            assert_eq!(test.of(value.as_ref()), told, "{test:?} {value:?}");
        }
    }

    /// Calls of every kind that the conditions below can tell apart.
    fn calls() -> Vec<Case<'static>> {
        static OWN: LazyLock<Label> = LazyLock::new(Label::owner);
        static OF_OTHERS: LazyLock<Label> =
            LazyLock::new(|| Label::stranger(instar_protocol::Readers::Private));
        let sum = || (SlotRole::Amount, normal(Kind::Amount, "12.50 EUR").unwrap());
        let mail = || (SlotRole::Who, normal(Kind::Address, "a@b.example").unwrap());
        let call = |bits: u8| Case {
            role: Role::Owner,
            person: "owner",
            agent: "main",
            tool: "act",
            connector: "mail",
            effect: Effect::Send,
            reach: Reach::Outside,
            undoable: false,
            posture: [Posture::Balanced, Posture::Open][usize::from(bits & 1)],
            context: if bits & 2 > 0 { &OF_OTHERS } else { &OWN },
            grade: 3,
            needed: 3,
            evidenced: true,
            foreign: false,
            cleared: true,
            plan: InPlan::Inside,
            verb: bits & 4 > 0,
            standing: false,
            approved: false,
            done: if bits & 8 > 0 { 3 } else { 0 },
            refused: 0,
            values: if bits & 16 > 0 {
                vec![sum(), mail()]
            } else {
                Vec::new()
            },
        };
        (0..32).map(call).collect()
    }

    #[test]
    fn what_is_left_out_neither_holds_nor_fails() {
        let pieces = [
            "context.tainted",
            "context.verb == false",
            "context.posture == \"open\"",
            "context.posture != \"open\"",
            "context.done < 3",
            "context.done == 3",
            "context.done * 9223372036854775807 > 5",
            "context has amount",
            "context.amount > 1250",
            "context.amount <= 1250",
            "context.domains.contains(\"example\")",
            "context.agent like \"m*\"",
        ];
        let both = |one: &str, two: &str| {
            [
                format!("when {{ {one} && {two} }}"),
                format!("when {{ !({one}) && ({two} || {one}) }}"),
                format!("when {{ {one} }} unless {{ {two} }}"),
                format!("unless {{ {one} || !({two}) }}"),
            ]
        };
        let pairs = pieces
            .iter()
            .flat_map(|one| pieces.iter().map(move |two| (one, two)));
        let (mut left_out, mut failing) = (0, 0);
        for condition in pairs.flat_map(|(one, two)| both(one, two)) {
            let text = format!("forbid (principal, action, resource) {condition};");
            let policy = Policy::parse(None, text).unwrap();
            let guard = Guard::of(&policy);
            let alone = PolicySet::from_policies([policy]).unwrap();
            for call in calls() {
                let facts = Facts::of(&call);
                let request = facts.request(FactSet::EVERY).unwrap();
                let answer = Authorizer::new().is_authorized(&request, &alone, &Entities::empty());
                let told = answer.diagnostics();
                failing += told.errors().count();
                if !guard.may_hold(&facts) {
                    left_out += 1;
                    assert_eq!(told.reason().count(), 0, "{condition} {call:?}");
                    assert_eq!(told.errors().count(), 0, "{condition} {call:?}");
                }
            }
        }
        assert!(left_out > 5_000 && failing > 1_000, "{left_out} {failing}");
    }
}
