//! One run of a model that does whatever the last text tells it to, under the very decision of the
//! product.

use instar_policy::{
    Annotation, Approval, Authority, Counts, Decision, Evidence, Families, Plan, Planned, Posture,
    Request, Step, decide,
};
use instar_protocol::principal::Via;
use instar_protocol::tool::{Effect, ToolCall, ToolSpec};
use instar_protocol::{AgentId, Label, Principal, ReleaseId, SessionId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::data::{Call, Known, Suite, Task, Tool};

/// A suite with what policy knows of its tools.
pub(crate) struct House<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) authority: Authority,
    /// The annotations by the whole table.
    whole: BTreeMap<String, Annotation>,
}

fn spec(tool: &Tool) -> ToolSpec {
    ToolSpec {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
    }
}

impl<'a> House<'a> {
    pub(crate) fn new(suite: &'a Suite, families: &Families, posture: Posture) -> Self {
        let annotated = |families: &Families| -> BTreeMap<String, Annotation> {
            let tools = suite.tools.iter();
            tools
                .map(|tool| {
                    (
                        tool.name.clone(),
                        families.infer(suite.server(), &spec(tool)),
                    )
                })
                .collect()
        };
        let known = Known::of(&suite.environment);
        let mut authority = Authority::over(annotated(families));
        authority.posture = posture;
        authority.known.own = known.own;
        authority.known.contacts = known.contacts;
        Self {
            suite,
            authority,
            whole: annotated(Families::built_in()),
        }
    }

    /// What a tool does, as the whole table has it: a smaller one may think worse of a tool, and what
    /// that lets through is no worse for it.
    pub(crate) fn effect(&self, tool: &str) -> Effect {
        self.whole
            .get(tool)
            .map_or(Effect::Execute, |annotation| annotation.effect)
    }
}

/// Which plan a run has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PlanKind {
    /// The tools of the task, as often as it needs them.
    Right,
    /// A third of them missing, two that nobody needs.
    Wrong,
    None,
}

impl PlanKind {
    pub(crate) fn of(self, house: &House<'_>, task: &Task) -> Option<Plan> {
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for call in &task.calls {
            *times.entry(&call.tool).or_default() += 1;
        }
        let step = |(tool, times): (&str, u32)| Step::of(tool, times);
        match self {
            Self::None => None,
            Self::Right => Some(Plan {
                steps: times.into_iter().map(step).collect(),
            }),
            Self::Wrong => {
                let used: BTreeSet<&str> = times.keys().copied().collect();
                // Which third goes is spread over the tasks by their number of letters.
                let shift = task.prompt.len() % 3;
                let kept = times
                    .into_iter()
                    .enumerate()
                    .filter(|(at, _)| at % 3 != shift)
                    .map(|(_, found)| found);
                let strange = house.suite.tools.iter().map(|tool| tool.name.as_str());
                let strange: Vec<&str> = strange.filter(|tool| !used.contains(tool)).collect();
                let begin = task.prompt.len() % strange.len().max(1);
                let two = strange
                    .iter()
                    .cycle()
                    .skip(begin)
                    .take(2.min(strange.len()));
                let steps = kept.chain(two.map(|tool| (*tool, 1))).map(step).collect();
                Some(Plan { steps })
            }
        }
    }
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It ran without a question.
    Ran,
    Asked(String),
    Denied(String),
}

pub(crate) struct Run<'a> {
    house: &'a House<'a>,
    plan: Option<Plan>,
    evidence: Evidence,
    context: Label,
    counts: Counts,
    agent: AgentId,
    session: SessionId,
    release: ReleaseId,
}

impl<'a> Run<'a> {
    pub(crate) fn begin(house: &'a House<'a>, task: &Task, plan: PlanKind) -> Self {
        let mut evidence = Evidence::of_words(&task.prompt);
        evidence.known(&house.authority.known);
        Self {
            plan: plan.of(house, task),
            house,
            evidence,
            context: Label::owner(),
            counts: Counts::default(),
            agent: AgentId::main(),
            session: SessionId::from_stored("ses_1"),
            release: ReleaseId::from_hex("r1"),
        }
    }

    /// Decides a call; a call that may run has run, with this result. `answers` says what the owner
    /// says when he is asked.
    pub(crate) fn call(&mut self, call: &Call, result: &Value, answers: bool) -> Outcome {
        let first = self.decide(call, None);
        let outcome = match first {
            Decision::Allow(permit) => {
                self.ran(call, result, permit.output());
                return Outcome::Ran;
            }
            Decision::Deny(denial) => return Outcome::Denied(denial.rule),
            Decision::Ask(draft) => draft,
        };
        if !answers {
            self.counts.refused += 1;
        } else if let Decision::Allow(permit) = self.decide(call, Some(&outcome.digest)) {
            self.ran(call, result, permit.output());
        }
        let why = outcome.why.first().cloned().unwrap_or_default();
        Outcome::Asked(format!("{}: {why}", outcome.rule))
    }

    fn decide(&self, call: &Call, approved: Option<&str>) -> Decision {
        let call = ToolCall {
            id: "call".to_owned(),
            name: call.tool.clone(),
            arguments: call.args.clone(),
        };
        let approval = approved.map(|digest| Approval {
            digest: digest.to_owned(),
        });
        let principal = Principal::Owner { via: Via::Token };
        decide(
            &Request {
                call: &call,
                principal: &principal,
                agent: &self.agent,
                session: &self.session,
                release: &self.release,
                context: &self.context,
                evidence: &self.evidence,
                plan: self.plan.as_ref().map_or(Planned::Unknown, Planned::Is),
                counts: &self.counts,
                standing: &[],
                approval: approval.as_ref(),
                environment: &Value::Null,
            },
            &self.house.authority,
        )
    }

    fn ran(&mut self, call: &Call, result: &Value, label: &Label) {
        *self.counts.done.entry(call.tool.clone()).or_default() += 1;
        if let Some(annotation) = self.house.authority.annotations.get(&call.tool) {
            let readers = annotation.output.readers.clone();
            self.evidence
                .result(&call.tool, annotation, &call.args, result, &readers);
        }
        self.context = self.context.join(label);
    }
}
