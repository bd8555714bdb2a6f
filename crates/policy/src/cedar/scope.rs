//! Rules laid out by what they can be about, so that a decision asks only those that can hold for its
//! effect and its tool. What stands in a rule's head is checked before its conditions: a rule whose
//! head does not fit can neither hold nor fail.

use cedar_policy::{ActionConstraint, Entities, EntityUid, ResourceConstraint};
use instar_protocol::tool::Effect;
use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;

use super::compile::Rule;

/// Rules by effect.
#[derive(Debug, Default)]
pub(super) struct Scoped {
    by_effect: BTreeMap<Effect, Rules>,
}

/// The rules for one effect: those for every tool, and those for one.
#[derive(Debug, Default)]
struct Rules {
    any: Vec<Arc<Rule>>,
    by_tool: BTreeMap<String, Vec<Arc<Rule>>>,
}

impl Scoped {
    pub(super) fn add(&mut self, rule: &Arc<Rule>, actions: &Entities) {
        for effect in Effect::ALL {
            if !is_about(&rule.policy.action_constraint(), effect, actions) {
                continue;
            }
            let rules = self.by_effect.entry(effect).or_default();
            let of_its_kind = match rule.policy.resource_constraint() {
                ResourceConstraint::Eq(tool) => {
                    let name = tool.id().unescaped().to_owned();
                    rules.by_tool.entry(name).or_default()
                }
                _ => &mut rules.any,
            };
            of_its_kind.push(rule.clone());
        }
    }

    /// The rules that can say something of a call.
    pub(super) fn of(&self, effect: Effect, tool: &str) -> impl Iterator<Item = &Rule> {
        let rules = self.by_effect.get(&effect);
        let any = rules.map(|rules| &rules.any);
        let own = rules.and_then(|rules| rules.by_tool.get(tool));
        any.into_iter().chain(own).flatten().map(Arc::as_ref)
    }
}

pub(super) fn is_about(constraint: &ActionConstraint, effect: Effect, actions: &Entities) -> bool {
    let Ok(action) = EntityUid::from_str(&format!("Action::\"{}\"", effect.name())) else {
        // Whatever cannot be told apart is asked every time.
        return true;
    };
    let is_in = |group: &EntityUid| {
        *group == action
            || actions
                .ancestors(&action)
                .is_some_and(|mut above| above.any(|one| one == group))
    };
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(one) => *one == action,
        ActionConstraint::In(groups) => groups.iter().any(is_in),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RuleFile, Rules};
    use instar_protocol::tool::Effect;

    /// The owner's rules that are asked about a call, by the places where they stand.
    fn asked(rules: &Rules, effect: Effect, tool: &str) -> Vec<String> {
        let asked = rules.compiled().rules.of(effect, tool);
        let own = asked.filter(|rule| rule.reference.is_owners);
        own.map(|rule| rule.reference.place.clone()).collect()
    }

    #[test]
    fn a_rule_is_asked_about_the_calls_that_its_head_names() {
        let text = "forbid (principal, action, resource);\n\
             forbid (principal, action == Action::\"send\", resource);\n\
             forbid (principal, action in [Action::\"outward\"], resource);\n\
             forbid (principal, action, resource == Tool::\"message\");\n";
        let name = "mine.cedar".to_owned();
        let file = RuleFile {
            name,
            text: text.to_owned(),
        };
        let rules = Rules::read(vec![file]).unwrap();
        let places = |lines: &[u32]| -> Vec<String> {
            let place = |line: &u32| format!("mine.cedar:{line}");
            lines.iter().map(place).collect()
        };
        assert_eq!(
            asked(&rules, Effect::Send, "message"),
            places(&[1, 2, 3, 4])
        );
        assert_eq!(asked(&rules, Effect::Send, "letter"), places(&[1, 2, 3]));
        assert_eq!(asked(&rules, Effect::Read, "letter"), places(&[1]));
        assert_eq!(asked(&rules, Effect::Read, "message"), places(&[1, 4]));
    }
}
