//! Rules laid out by what they can be about, so that a decision asks only those that can hold for its
//! effect and its tool. What stands in a rule's head is checked before its conditions: a rule whose
//! head does not fit can neither hold nor fail.

use cedar_policy::{ActionConstraint, Entities, EntityUid, Policy, PolicySet, ResourceConstraint};
use instar_protocol::tool::Effect;
use std::collections::BTreeMap;
use std::str::FromStr as _;

/// Rules by effect.
#[derive(Debug, Default)]
pub(super) struct Scoped {
    by_effect: BTreeMap<Effect, Rules>,
}

/// The rules for one effect: those for every tool, and those for one.
#[derive(Debug, Default)]
struct Rules {
    any: PolicySet,
    by_tool: BTreeMap<String, PolicySet>,
}

impl Scoped {
    pub(super) fn add(&mut self, policy: &Policy, actions: &Entities) -> Result<(), String> {
        for effect in Effect::ALL {
            if !is_about(&policy.action_constraint(), effect, actions) {
                continue;
            }
            let rules = self.by_effect.entry(effect).or_default();
            let set = match policy.resource_constraint() {
                ResourceConstraint::Eq(tool) => {
                    let name = tool.id().unescaped().to_owned();
                    rules.by_tool.entry(name).or_default()
                }
                _ => &mut rules.any,
            };
            set.add(policy.clone()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Every rule, under each effect that it is about.
    pub(super) fn all(&self) -> impl Iterator<Item = &Policy> {
        let sets = self.by_effect.values();
        let sets = sets.flat_map(|rules| std::iter::once(&rules.any).chain(rules.by_tool.values()));
        sets.flat_map(PolicySet::policies)
    }

    /// The sets that can say something of a call.
    pub(super) fn of(&self, effect: Effect, tool: &str) -> impl Iterator<Item = &PolicySet> {
        let rules = self.by_effect.get(&effect);
        let any = rules.map(|rules| &rules.any);
        let own = rules.and_then(|rules| rules.by_tool.get(tool));
        any.into_iter().chain(own)
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
