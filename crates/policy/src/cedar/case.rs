//! One call as the rules see it: facts, none of them a model's.

use instar_protocol::Label;
use instar_protocol::tool::Effect;
use serde::{Deserialize, Serialize};

use crate::annotation::{Reach, SlotRole};
use crate::authority::{Posture, Role};
use crate::typed::Typed;

/// The facts of one call, for the rules.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub role: Role,
    /// Who that is, by id: for the owner `owner`.
    pub person: &'a str,
    pub agent: &'a str,
    pub tool: &'a str,
    pub connector: &'a str,
    pub effect: Effect,
    pub reach: Reach,
    pub undoable: bool,
    pub posture: Posture,
    /// The join of what the model has read.
    pub context: &'a Label,
    /// The lowest grade of a value that says who or where, 0 to 3.
    pub grade: u8,
    /// The grade that the effect needs.
    pub needed: u8,
    pub evidenced: bool,
    pub foreign: bool,
    pub cleared: bool,
    pub plan: InPlan,
    pub verb: bool,
    pub standing: bool,
    pub approved: bool,
    pub done: u32,
    pub refused: u32,
    /// The values that say who, where, which and how much; one without a normal form as a text.
    pub values: Vec<(SlotRole, Typed)>,
}

/// What the plan says of the call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InPlan {
    Inside,
    Outside,
    /// There was a request of the owner's, and no plan could be made of it.
    Unknown,
    /// No message of the owner's began the run.
    Nobody,
}
