//! Calls that are only thought of: a call with the facts that somebody supposes, put through the very
//! decision that real calls go through. Nothing runs, and no permit leaves this module.
//!
//! [`Trials`] are such calls with the answer that their writer expects: tests of an owner's rules.

use instar_protocol::tool::ToolCall;
use instar_protocol::{AgentId, Label, Origin, Principal, Readers, ReleaseId, SessionId};
use instar_protocol::{principal::Via, tool::Effect};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use crate::annotation::{Annotation, Reach};
use crate::authority::{Authority, Posture, Role};
use crate::decide::{
    Approval, Counts, Decision, Explanation, Request, decide, explain as explain_request,
};
use crate::evidence::Evidence;
use crate::plan::{Plan, Planned, Step};
use crate::question::Rule;

/// A call with the facts that are supposed of it. What is left out is as in a run of the owner's that
/// has read nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Supposed {
    pub tool: String,
    #[serde(default = "nothing")]
    pub arguments: Value,
    /// Who asks for it.
    #[serde(default = "owner", rename = "as")]
    pub role: Role,
    /// Which contact, stranger or schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<Posture>,
    /// What the owner said, one text for each message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<SupposedPlan>,
    /// What the run has read, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<SupposedRead>,
    /// Text of a stranger was read of which nothing else is known.
    #[serde(default)]
    pub tainted: bool,
    /// Something that nobody may see was read.
    #[serde(default)]
    pub secret: bool,
    /// The owner said yes to exactly this call.
    #[serde(default)]
    pub approved: bool,
    /// Calls of this tool that were made, refusals of the owner's, and questions that wait.
    #[serde(default)]
    pub done: u32,
    #[serde(default)]
    pub refused: u32,
    #[serde(default)]
    pub open: u32,
    /// Standing rules beside those that hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Rule>,
    /// The owner's own addresses, people he knows and places of his, beside those of the
    /// configuration.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub own: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub contacts: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub destinations: BTreeSet<String>,
    /// What policy knows of the tool, where that is not what the gateway knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<Annotation>,
    /// What the call would run in.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub environment: Value,
}

fn nothing() -> Value {
    json!({})
}

fn owner() -> Role {
    Role::Owner
}

/// What is supposed of the plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SupposedPlan {
    Word(PlanWord),
    /// These tools, once each.
    Tools(Vec<String>),
    Steps(Vec<Step>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanWord {
    /// There is a request of the owner's and no plan of it.
    Unknown,
    /// No message of the owner's began the run.
    Nobody,
}

/// A result that the run has read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SupposedRead {
    /// The tool that gave it; what a tool is not known of is free text.
    #[serde(default)]
    pub tool: String,
    #[serde(default = "nothing")]
    pub arguments: Value,
    pub result: Value,
    /// Who wrote it, where that is not what the tool's annotation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What a real run has seen, for a call that is thought of as its next one.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub evidence: Evidence,
    pub context: Label,
    pub standing: Vec<Rule>,
}

impl Seen {
    /// A run that has read nothing, with the rules that hold.
    #[must_use]
    pub fn nothing(standing: Vec<Rule>) -> Self {
        Self {
            evidence: Evidence::default(),
            context: Label::owner(),
            standing,
        }
    }
}

impl Supposed {
    /// A call of this tool by the owner, who has read nothing.
    #[must_use]
    pub fn call(tool: &str, arguments: Value) -> Self {
        Self {
            tool: tool.to_owned(),
            arguments,
            role: Role::Owner,
            person: None,
            agent: None,
            posture: None,
            words: Vec::new(),
            plan: None,
            read: Vec::new(),
            tainted: false,
            secret: false,
            approved: false,
            done: 0,
            refused: 0,
            open: 0,
            standing: Vec::new(),
            own: BTreeSet::new(),
            contacts: BTreeSet::new(),
            destinations: BTreeSet::new(),
            annotation: None,
            environment: Value::Null,
        }
    }

    /// What would become of it under this authority.
    #[must_use]
    pub fn explain(&self, authority: &Authority, seen: &Seen) -> Explanation {
        let authority = self.authority(authority);
        let (evidence, context) = self.seen(&authority, seen);
        let (call, principal) = (self.tool_call(), self.principal());
        let plan = self.plan();
        let counts = Counts {
            done: BTreeMap::from([(self.tool.clone(), self.done)]),
            refused: self.refused,
            open: self.open,
        };
        let standing: Vec<Rule> = seen
            .standing
            .iter()
            .chain(&self.standing)
            .cloned()
            .collect();
        let agent = self.agent.clone().unwrap_or_else(AgentId::main);
        let mut request = Request {
            call: &call,
            principal: &principal,
            agent: &agent,
            session: &SessionId::from_stored("supposed"),
            release: &ReleaseId::from_hex(""),
            context: &context,
            evidence: &evidence,
            plan: plan.as_planned(),
            counts: &counts,
            standing: &standing,
            approval: None,
            environment: &self.environment,
        };
        // A yes is one to the question that the call would have asked.
        let approval = match (self.approved, decide(&request, &authority)) {
            (true, Decision::Ask(draft)) => Some(Approval {
                digest: draft.digest,
            }),
            _ => None,
        };
        request.approval = approval.as_ref();
        explain_request(&request, &authority)
    }

    fn authority(&self, authority: &Authority) -> Authority {
        let mut authority = authority.clone();
        if let Some(posture) = self.posture {
            authority.posture = posture;
        }
        if let Some(annotation) = &self.annotation {
            let name = self.tool.clone();
            authority.annotations.insert(name, annotation.clone());
        }
        for (more, known) in [
            (&self.own, &mut authority.known.own),
            (&self.contacts, &mut authority.known.contacts),
            (&self.destinations, &mut authority.known.destinations),
        ] {
            known.extend(more.iter().cloned());
        }
        authority
    }

    fn seen(&self, authority: &Authority, seen: &Seen) -> (Evidence, Label) {
        let (mut evidence, mut context) = (seen.evidence.clone(), seen.context.clone());
        evidence.known(&authority.known);
        for words in &self.words {
            evidence.owner_words(words);
        }
        for read in &self.read {
            let annotation = authority.annotations.get(&read.tool);
            let said = read.origin.clone().map(|origin| Label {
                origins: instar_protocol::label::Origins::of(origin),
                readers: Readers::Private,
            });
            let own = annotation.map(|annotation| annotation.output.clone());
            let label = said.or(own);
            let label = label.unwrap_or_else(|| Label::stranger(Readers::Private));
            match (annotation, &read.result) {
                (Some(annotation), value) if !value.is_string() => {
                    evidence.result(
                        &read.tool,
                        annotation,
                        &read.arguments,
                        value,
                        &label.readers,
                    );
                }
                (annotation, value) => {
                    let connector = annotation.map_or("", |one| one.connector.as_str());
                    let origin = label.origins.iter().last().cloned();
                    let origin = origin.unwrap_or(Origin::System);
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    let source = (connector, read.tool.as_str());
                    evidence.text(source, &text, &origin, &label.readers);
                }
            }
            context = context.join(&label);
        }
        if self.tainted {
            context = context.join(&Label::stranger(Readers::Private));
        }
        if self.secret {
            context.readers = Readers::Secret;
        }
        (evidence, context)
    }

    fn tool_call(&self) -> ToolCall {
        ToolCall {
            id: "supposed".to_owned(),
            name: self.tool.clone(),
            arguments: self.arguments.clone(),
        }
    }

    fn principal(&self) -> Principal {
        let id = self.person.clone();
        match self.role {
            Role::Owner => Principal::Owner { via: Via::Local },
            Role::Contact => Principal::Contact {
                id: id.unwrap_or_else(|| "contact".to_owned()),
            },
            Role::Stranger => Principal::Stranger {
                id: id.unwrap_or_else(|| "stranger".to_owned()),
            },
            Role::Automation => Principal::Automation {
                source: id.unwrap_or_else(|| "schedule".to_owned()),
            },
        }
    }

    fn plan(&self) -> OwnPlan {
        let once = |tool: &String| Step::of(tool, 1);
        match &self.plan {
            // Whoever is not the owner has no plan, whatever is supposed.
            _ if self.role != Role::Owner => OwnPlan::Nobody,
            None | Some(SupposedPlan::Word(PlanWord::Unknown)) => OwnPlan::Unknown,
            Some(SupposedPlan::Word(PlanWord::Nobody)) => OwnPlan::Nobody,
            Some(SupposedPlan::Tools(tools)) => OwnPlan::Is(Plan {
                steps: tools.iter().map(once).collect(),
            }),
            Some(SupposedPlan::Steps(steps)) => OwnPlan::Is(Plan {
                steps: steps.clone(),
            }),
        }
    }
}

enum OwnPlan {
    Unknown,
    Nobody,
    Is(Plan),
}

impl OwnPlan {
    fn as_planned(&self) -> Planned<'_> {
        match self {
            Self::Unknown => Planned::Unknown,
            Self::Nobody => Planned::Nobody,
            Self::Is(plan) => Planned::Is(plan),
        }
    }
}

/// A file of trials.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trials {
    pub cases: Vec<Trial>,
}

/// A supposed call with the answer that is expected.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    pub name: String,
    pub given: Supposed,
    pub expect: Expected,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub answer: ExpectedAnswer,
    /// The rule that the decision is named after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedAnswer {
    Allow,
    Ask,
    Deny,
}

impl ExpectedAnswer {
    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// What became of a trial.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tried {
    pub passed: bool,
    pub expected: String,
    pub found: String,
    pub why: Vec<String>,
}

impl Trial {
    #[must_use]
    pub fn run(&self, authority: &Authority) -> Tried {
        let told = |answer: &str, rule: Option<&str>| match rule {
            Some(rule) => format!("{answer} by {rule}"),
            None => answer.to_owned(),
        };
        let found = self.given.explain(authority, &Seen::nothing(Vec::new()));
        let (answer, rule) = (self.expect.answer.name(), self.expect.rule.as_deref());
        Tried {
            passed: found.outcome == answer && rule.is_none_or(|rule| rule == found.rule),
            expected: told(answer, rule),
            found: told(found.outcome, Some(&found.rule)),
            why: found.why,
        }
    }
}

/// What a call of a tool would come to, as it stands in a table of rights.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Right {
    pub outcome: &'static str,
    pub rule: String,
}

/// The answer to a tool's call of somebody of this kind in this posture, with no arguments, before
/// anything was read, or after a stranger's text was.
#[must_use]
pub fn right(
    authority: &Authority,
    tool: &str,
    agent: &AgentId,
    role: Role,
    posture: Posture,
    is_tainted: bool,
) -> Right {
    let supposed = Supposed {
        agent: Some(agent.clone()),
        role,
        posture: Some(posture),
        tainted: is_tainted,
        ..Supposed::call(tool, json!({}))
    };
    let found = supposed.explain(authority, &Seen::nothing(Vec::new()));
    Right {
        outcome: found.outcome,
        rule: found.rule,
    }
}

/// The effect and reach that a tool's annotation declares: with people named, where that is more.
#[must_use]
pub fn at_most(annotation: &Annotation) -> (Effect, Reach) {
    let plain = match annotation.reach {
        Reach::Outside | Reach::Public => annotation.effect.max(Effect::Fetch),
        Reach::Own | Reach::Closed => annotation.effect,
    };
    let effect = annotation.people.map_or(plain, |people| plain.max(people));
    (effect, annotation.reach)
}
