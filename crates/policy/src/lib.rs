//! Pure decisions about tool calls: facts in, allow, ask or deny out. Mints the only [`Permit`].
//!
//! It does no I/O and reads no clock. Start at [`decide`].

use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, Label, Principal, ReleaseId, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What policy knows of a tool. A tool without one has the highest risk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Annotation {
    pub effect: Effect,
    /// Arguments that say who or where.
    pub destinations: BTreeSet<String>,
    /// Arguments that carry content away.
    pub payloads: BTreeSet<String>,
    /// The label that the tool's own output gets, before the arguments' label joins it.
    pub output: Label,
}

/// Every fact that a decision reads, hashed as one part of the behaviour.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Authority {
    pub annotations: BTreeMap<String, Annotation>,
    /// Tools that exist for an agent; absent means the agent's profile decides.
    pub allow: BTreeSet<String>,
    /// A denied tool stays denied whatever allows it.
    pub deny: BTreeSet<String>,
}

/// The facts of one call.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub call: &'a ToolCall,
    pub principal: &'a Principal,
    pub agent: &'a AgentId,
    pub session: &'a SessionId,
    pub release: &'a ReleaseId,
    /// The join of everything the model had in its context when it asked.
    pub context: &'a Label,
}

/// An authorised call. Not `Clone`, cannot be built outside this crate, consumed by running it.
#[derive(Debug)]
pub struct Permit {
    call: ToolCall,
    digest: String,
    effect: Effect,
    output: Label,
    rule: String,
}

impl Permit {
    #[must_use]
    pub fn call(&self) -> &ToolCall {
        &self.call
    }
    /// SHA-256 over tool, canonical arguments, principal, session, release and context label.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }
    #[must_use]
    pub fn output(&self) -> &Label {
        &self.output
    }
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

#[derive(Debug)]
pub enum Decision {
    Allow(Permit),
    Deny(Denial),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Denial {
    pub rule: String,
    /// For the owner's log and page.
    pub reason: String,
    /// For the model: short, with what it can do instead.
    pub advice: String,
}

/// Decides one call. Unknown facts deny.
#[expect(clippy::todo, reason = "interface first")]
#[must_use]
pub fn decide(_request: &Request<'_>, _authority: &Authority) -> Decision {
    todo!()
}

/// The tools that the model may be shown: those that `decide` could allow.
#[expect(clippy::todo, reason = "interface first")]
#[must_use]
pub fn visible(
    _authority: &Authority,
    _principal: &Principal,
    _agent: &AgentId,
) -> BTreeSet<String> {
    todo!()
}
