//! Permits of an owner's that hold for whatever is called: found by asking them about a call of which
//! nothing is known and everything speaks against it.

use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use std::collections::BTreeSet;

use crate::annotation::Reach;
use crate::authority::{Posture, Role};
use crate::cedar::{Case, InPlan, Rules};

/// A permit that holds for a call of an unknown tool, with no value that it could have been written
/// for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wide {
    pub rule: String,
    pub place: String,
    /// The effects that it lets through.
    pub effects: BTreeSet<Effect>,
    /// For others than the owner, too.
    pub anybody: bool,
}

/// The owner's permits that name no tool, no place and nobody.
#[must_use]
pub fn wide(rules: &Rules) -> Vec<Wide> {
    let mut found: Vec<Wide> = Vec::new();
    for role in [Role::Owner, Role::Stranger] {
        for effect in Effect::ALL.into_iter().filter(|one| *one > Effect::Read) {
            for context in [Label::owner(), Label::stranger(Readers::Private)] {
                for posture in [Posture::Careful, Posture::Balanced] {
                    for permit in rules.permits(&worst(role, effect, &context, posture)) {
                        let known = found.iter().position(|wide| wide.rule == permit.rule);
                        let at = known.unwrap_or_else(|| {
                            found.push(Wide {
                                rule: permit.rule,
                                place: permit.place,
                                effects: BTreeSet::new(),
                                anybody: false,
                            });
                            found.len() - 1
                        });
                        found[at].effects.insert(effect);
                        found[at].anybody |= role != Role::Owner;
                    }
                }
            }
        }
    }
    found
}

/// Nothing is known of the call, and everything speaks against it.
fn worst<'a>(role: Role, effect: Effect, context: &'a Label, posture: Posture) -> Case<'a> {
    Case {
        role,
        person: "somebody",
        agent: "any",
        tool: "any",
        connector: "",
        effect,
        reach: Reach::Outside,
        undoable: false,
        posture,
        context,
        grade: 0,
        needed: 3,
        evidenced: false,
        foreign: true,
        cleared: false,
        plan: InPlan::Outside,
        verb: false,
        standing: false,
        approved: false,
        done: 0,
        refused: 0,
        values: Vec::new(),
    }
}
