//! The facts that tests decide over.

use instar_policy::{
    Annotation, Approval, Authority, Counts, Decision, Evidence, Planned, Request, Rule, decide,
};
use instar_protocol::principal::Via;
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, Label, Principal, ReleaseId, SessionId};
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn owner() -> Principal {
    Principal::Owner { via: Via::Token }
}

pub(crate) fn contact() -> Principal {
    Principal::Contact {
        id: "c1".to_owned(),
    }
}

pub(crate) fn stranger() -> Principal {
    Principal::Stranger {
        id: "s1".to_owned(),
    }
}

pub(crate) fn automation() -> Principal {
    Principal::Automation {
        source: "heartbeat".to_owned(),
    }
}

pub(crate) fn annotation(effect: Effect) -> Annotation {
    Annotation {
        effect,
        ..Annotation::reads(Label::system())
    }
}

pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// One reading tool, `look`.
pub(crate) fn look() -> Authority {
    Authority::over([("look".to_owned(), annotation(Effect::Read))].into())
}

pub(crate) fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: "call-1".to_owned(),
        name: name.to_owned(),
        arguments,
    }
}

/// Where a call is decided.
pub(crate) struct Place {
    pub(crate) agent: AgentId,
    pub(crate) session: SessionId,
    pub(crate) release: ReleaseId,
    pub(crate) context: Label,
    pub(crate) evidence: Evidence,
    /// The owner asked for something, and there is no plan.
    pub(crate) counts: Counts,
    pub(crate) standing: Vec<Rule>,
    pub(crate) approval: Option<Approval>,
    pub(crate) environment: Value,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            agent: AgentId::main(),
            session: SessionId::from_stored("ses_1"),
            release: ReleaseId::from_hex("r1"),
            context: Label::owner(),
            evidence: Evidence::default(),
            counts: Counts::default(),
            standing: Vec::new(),
            approval: None,
            environment: Value::Null,
        }
    }

    pub(crate) fn request<'a>(
        &'a self,
        call: &'a ToolCall,
        principal: &'a Principal,
    ) -> Request<'a> {
        Request {
            call,
            principal,
            agent: &self.agent,
            session: &self.session,
            release: &self.release,
            context: &self.context,
            evidence: &self.evidence,
            plan: Planned::Unknown,
            counts: &self.counts,
            standing: &self.standing,
            approval: self.approval.as_ref(),
            environment: &self.environment,
        }
    }

    pub(crate) fn decide(
        &self,
        call: &ToolCall,
        principal: &Principal,
        authority: &Authority,
    ) -> Decision {
        decide(&self.request(call, principal), authority)
    }
}

/// The rule that decided, with a mark for allowed.
pub(crate) fn outcome(decision: &Decision) -> String {
    match decision {
        Decision::Allow(permit) => format!("+{}", permit.rule()),
        Decision::Ask(draft) => format!("?{}", draft.rule),
        Decision::Deny(denial) => format!("-{}", denial.rule),
    }
}
