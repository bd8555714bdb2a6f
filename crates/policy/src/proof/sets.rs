//! Rules as one set that is to Cedar what a decision is to [`Rules::judge`]: it allows a request if and
//! only if the decision lets it through (or does not deny it), for one kind of caller and one effect.
//!
//! A decision allows where no rule denies and, unless the owner has said yes to the call, no rule asks
//! and either a built-in permit holds with none that yields against it, or a permit of the owner's.

use cedar_policy::{
    EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, RequestEnv,
    ResourceConstraint,
};
use instar_protocol::tool::Effect;
use serde_json::{Value, json};

use super::Unprovable;
use crate::cedar::{Answer, Rules};

/// What is asked of a decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// It is let through.
    Allowed,
    /// It is let through or asked for.
    NotDenied,
}

/// The rules taken apart.
pub(super) struct Parts<'a> {
    rules: &'a Rules,
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    policy: &'a Policy,
    conditions: Vec<Value>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Permit,
    OwnersPermit,
    Never,
    Ask,
    Yield,
}

impl<'a> Parts<'a> {
    pub(super) fn of(rules: &'a Rules) -> Result<Self, Unprovable> {
        let mut parts = Vec::new();
        for (policy, reference) in rules.policies().map_err(Unprovable)? {
            let whole = policy
                .to_json()
                .map_err(|error| Unprovable(error.to_string()))?;
            if may_fail(&whole) {
                // A rule that fails denies, which no set of Cedar's says.
                return Err(Unprovable(format!(
                    "the rule {} ({}) computes, which can fail",
                    reference.rule, reference.place
                )));
            }
            let conditions = whole["conditions"].as_array().cloned();
            parts.push(Part {
                policy,
                conditions: conditions.unwrap_or_default(),
                kind: match (reference.answer, reference.is_owners) {
                    (Answer::Permit, false) => Kind::Permit,
                    (Answer::Permit, true) => Kind::OwnersPermit,
                    (Answer::Never, _) => Kind::Never,
                    (Answer::Ask, _) => Kind::Ask,
                    (Answer::Yield, _) => Kind::Yield,
                },
            });
        }
        Ok(Self { rules, parts })
    }

    /// The set as Cedar's JSON, a policy each. `guarded`: only facts that code can come to.
    pub(super) fn set(
        &self,
        env: &RequestEnv,
        level: Level,
        guarded: bool,
    ) -> Result<Vec<Value>, Unprovable> {
        let holds = |kind: Kind| -> Result<Vec<Value>, Unprovable> {
            let of_kind = self.parts.iter().filter(|part| part.kind == kind);
            let mut all = Vec::new();
            for part in of_kind {
                all.extend(self.holds(part, env)?);
            }
            Ok(all)
        };
        let mut set: Vec<Value> = holds(Kind::Never)?
            .into_iter()
            .map(|body| policy("forbid", body))
            .collect();
        if guarded {
            set.push(policy("forbid", not(facts_of_code())));
        }
        match level {
            Level::NotDenied => set.push(policy("permit", json!({"Value": true}))),
            Level::Allowed => {
                let approved = fact("approved");
                for body in holds(Kind::Ask)? {
                    set.push(policy("forbid", and(body, not(approved.clone()))));
                }
                set.push(policy("permit", approved));
                for body in holds(Kind::OwnersPermit)? {
                    set.push(policy("permit", body));
                }
                let yields = any(holds(Kind::Yield)?);
                let permits = any(holds(Kind::Permit)?);
                set.push(policy("permit", and(permits, not(yields))));
            }
        }
        Ok(set)
    }

    /// When a rule holds in these surroundings; `None` for never.
    fn holds(&self, part: &Part<'_>, env: &RequestEnv) -> Result<Option<Value>, Unprovable> {
        let action = env.action().id().unescaped().to_owned();
        let effect = Effect::ALL
            .into_iter()
            .find(|effect| effect.name() == action);
        let effect = effect.ok_or_else(|| Unprovable(format!("{action} is no effect")))?;
        if !self.rules.is_about(part.policy, effect) {
            return Ok(None);
        }
        let principal = match part.policy.principal_constraint() {
            PrincipalConstraint::Any => Some(None),
            PrincipalConstraint::Is(kind) => (kind == *env.principal()).then_some(None),
            PrincipalConstraint::Eq(one) | PrincipalConstraint::In(one) => {
                same("principal", &one, env.principal()).map(Some)
            }
            PrincipalConstraint::IsIn(kind, one) => same("principal", &one, env.principal())
                .filter(|_| kind == *env.principal())
                .map(Some),
        };
        let resource = match part.policy.resource_constraint() {
            ResourceConstraint::Any => Some(None),
            ResourceConstraint::Is(kind) => (kind == *env.resource()).then_some(None),
            ResourceConstraint::Eq(one) | ResourceConstraint::In(one) => {
                same("resource", &one, env.resource()).map(Some)
            }
            ResourceConstraint::IsIn(kind, one) => same("resource", &one, env.resource())
                .filter(|_| kind == *env.resource())
                .map(Some),
        };
        let (Some(principal), Some(resource)) = (principal, resource) else {
            return Ok(None);
        };
        let conditions = part.conditions.iter().map(|condition| {
            let body = condition["body"].clone();
            if condition["kind"] == "unless" {
                not(body)
            } else {
                body
            }
        });
        let all = principal.into_iter().chain(resource).chain(conditions);
        Ok(Some(
            all.reduce(and).unwrap_or_else(|| json!({"Value": true})),
        ))
    }
}

/// Nothing here has anything above it, so that being in one is being it; another kind never is.
fn same(variable: &str, one: &EntityUid, kind: &EntityTypeName) -> Option<Value> {
    let entity = json!({"type": one.type_name().to_string(), "id": one.id().unescaped()});
    (one.type_name() == kind).then(
        || json!({"==": {"left": {"Var": variable}, "right": {"Value": {"__entity": entity}}}}),
    )
}

/// Sums, and functions beyond the language's own: they are written as a list of arguments.
fn may_fail(expression: &Value) -> bool {
    match expression {
        Value::Object(fields) => fields.iter().any(|(name, value)| match name.as_str() {
            "+" | "-" | "*" | "neg" => true,
            "Set" | "conditions" | "entities" => may_fail(value),
            // A literal or a record is a value, whatever its fields are called.
            "Value" | "annotations" => false,
            "Record" => value
                .as_object()
                .is_some_and(|all| all.values().any(may_fail)),
            _ => value.is_array() && name != "pattern" || may_fail(value),
        }),
        Value::Array(all) => all.iter().any(may_fail),
        _ => false,
    }
}

/// What [`crate::cedar::Case`] can say: no other word stands where a word is one of a few.
fn facts_of_code() -> Value {
    let words = [
        ("posture", &["careful", "balanced", "open"][..]),
        ("readers", &["public", "session", "private", "secret"][..]),
        ("plan", &["inside", "outside", "unknown", "nobody"][..]),
        ("reach", &["own", "closed", "outside", "public"][..]),
    ];
    let words = words.map(|(name, words)| {
        let words: Vec<Value> = words.iter().map(|word| json!({"Value": word})).collect();
        json!({"contains": {"left": {"Set": words}, "right": fact(name)}})
    });
    let at_least =
        |name, least: i64| json!({">=": {"left": fact(name), "right": {"Value": least}}});
    let at_most = |name, most: i64| json!({"<=": {"left": fact(name), "right": {"Value": most}}});
    let numbers = [
        at_least("grade", 0),
        at_most("grade", 3),
        at_least("needed", 0),
        at_most("needed", 3),
        at_least("done", 0),
        at_least("refused", 0),
    ];
    let all = words.into_iter().chain(numbers);
    all.reduce(and).unwrap_or_else(|| json!({"Value": true}))
}

fn fact(name: &str) -> Value {
    json!({".": {"left": {"Var": "context"}, "attr": name}})
}

fn not(body: Value) -> Value {
    object([("!", object([("arg", body)]))])
}

fn and(left: Value, right: Value) -> Value {
    object([("&&", object([("left", left), ("right", right)]))])
}

/// As a tree of even depth: hundreds of rules in a row would be nested too deep.
fn any(mut all: Vec<Value>) -> Value {
    match all.len() {
        0 => json!({"Value": false}),
        1 => all.swap_remove(0),
        count => {
            let right = all.split_off(count / 2);
            json!({"||": {"left": any(all), "right": any(right)}})
        }
    }
}

fn policy(effect: &str, body: Value) -> Value {
    let all = json!({"op": "All"});
    let when = object([("kind", json!("when")), ("body", body)]);
    object([
        ("effect", json!(effect)),
        ("principal", all.clone()),
        ("action", all.clone()),
        ("resource", all),
        ("conditions", Value::Array(vec![when])),
    ])
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter();
    Value::Object(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

pub(super) fn policy_set(policies: Vec<Value>) -> Result<PolicySet, Unprovable> {
    let mut set = PolicySet::new();
    for (number, one) in policies.into_iter().enumerate() {
        let id = PolicyId::new(number.to_string());
        let policy = Policy::from_json(Some(id), one);
        let policy = policy.map_err(|error| Unprovable(error.to_string()))?;
        set.add(policy)
            .map_err(|error| Unprovable(error.to_string()))?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_computes_is_found_and_what_only_compares_is_not() {
        let read = |text: &str| {
            let policy = Policy::parse(None, text).unwrap();
            may_fail(&policy.to_json().unwrap())
        };
        for plain in [
            "permit (principal, action, resource);",
            "forbid (principal == Contact::\"a\", action in [Action::\"send\"], resource) when { context.done > 3 };",
            "permit (principal, action, resource) when { [\"+\", \"a\"].contains(context.agent) } unless { context.agent like \"a*\" };",
            "permit (principal, action, resource) when { context has amount && context.amount < 5 || (if context.tainted then true else false) };",
            "@words(\"1 + 1\") permit (principal, action, resource) when { context.who.containsAny([\"ip\"]) };",
            "@neg(\"1\") permit (principal, action, resource) when { {neg: 1, ip: [2]}.neg == 1 };",
        ] {
            assert!(!read(plain), "{plain}");
        }
        for computes in [
            "permit (principal, action, resource) when { context.done + 1 > 3 };",
            "permit (principal, action, resource) when { context.done * 2 > 3 };",
            "permit (principal, action, resource) when { -context.done < 3 };",
            "permit (principal, action, resource) when { {neg: context.done + 1}.neg == 1 };",
            "permit (principal, action, resource) when { ip(\"10.0.0.1\").isLoopback() };",
        ] {
            assert!(read(computes), "{computes}");
        }
    }
}
