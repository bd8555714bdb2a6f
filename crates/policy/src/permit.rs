//! The authorised call: a type that only this crate can make.

use instar_protocol::Label;
use instar_protocol::tool::{Effect, ToolCall};
use serde_json::Value;

/// An authorised call. Not `Clone`, not readable from stored bytes, consumed by running it.
///
/// Its fields are private and its one constructor is visible inside this crate only, where
/// [`crate::decide()`] is the one caller: whoever holds a permit has asked.
///
/// ```compile_fail,E0599
/// fn twice(permit: instar_policy::Permit) -> (instar_policy::Permit, instar_policy::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
///
/// ```compile_fail,E0451
/// fn forged(call: instar_protocol::tool::ToolCall) -> instar_policy::Permit {
///     instar_policy::Permit {
///         call,
///         digest: String::new(),
///         effect: instar_protocol::tool::Effect::None,
///         output: instar_protocol::Label::system(),
///         rule: String::new(),
///         environment: serde_json::Value::Null,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    call: ToolCall,
    digest: String,
    effect: Effect,
    output: Label,
    rule: String,
    environment: Value,
}

impl Permit {
    pub(crate) fn grant(
        call: ToolCall,
        digest: String,
        effect: Effect,
        output: Label,
        rule: String,
        environment: Value,
    ) -> Self {
        Self {
            call,
            digest,
            effect,
            output,
            rule,
            environment,
        }
    }

    /// What the call was judged to run in; the executor compares it with what it finds.
    #[must_use]
    pub fn environment(&self) -> &Value {
        &self.environment
    }

    #[must_use]
    pub fn call(&self) -> &ToolCall {
        &self.call
    }

    /// SHA-256 in hex over tool, canonical arguments, principal, agent, session, release and
    /// context label.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The label that the output has at least: the tool's own, joined with everything the model
    /// had in its context when it chose the arguments.
    #[must_use]
    pub fn output(&self) -> &Label {
        &self.output
    }

    /// The rule that allowed the call.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}
