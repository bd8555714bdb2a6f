//! The decision over one call, and which tools a model may be shown.
//!
//! Facts first: the tool, the principal, the grade of every value that says who or where, the plan,
//! what goes along. Then the rules, in the order of [`judge`]: what denies, what an answer of the
//! owner's has settled, what asks, what is left. What is not known denies or asks, but for a plan that could
//! not be had: without one the evidence of the call alone decides.

use instar_protocol::redact::log_field;
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, Label, Principal, ReleaseId, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use crate::annotation::{Annotation, Reach};
use crate::authority::{Authority, ListOf, Posture, Role};
use crate::cedar::{Case, Reference};
use crate::evidence::Evidence;
use crate::facts::{Facts, gather};
use crate::grade::{Grade, Graded};
use crate::judge::{case, doubts, judge};
use crate::permit::Permit;
use crate::plan::{OffPlan, Planned, Step};
use crate::question::{self, Draft, Rule};
use crate::recorded::Recorded;

/// The most bytes of a call's arguments in canonical form.
pub const ARGUMENT_BYTES_MAX: usize = 64 * 1024;
/// The most bytes of a tool's name.
pub const NAME_BYTES_MAX: usize = 128;
/// Refusals of the owner's that end a run.
pub const REFUSALS_MAX: u32 = 2;
/// Questions of one run that may be open at the same time.
pub const OPEN_MAX: u32 = 3;

/// The names of the rules, as they are stored with a decision and shown to people.
pub mod rules {
    /// Allows: the principal's profile has the tool, and it only reads.
    pub const PROFILE_READS: &str = "profile-reads";
    /// Allows: nobody but the owner has spoken, and the plan has the call.
    pub const OWN_WORDS: &str = "own-words";
    /// Allows: who and where are evidenced as the effect needs, and the plan has the call.
    pub const EVIDENCE: &str = "evidence";
    /// Allows: the posture is open and no hard rule speaks against it.
    pub const POSTURE_OPEN: &str = "posture-open";
    /// Allows: the owner answered yes to exactly this call.
    pub const OWNER_APPROVED: &str = "owner-approved";
    /// Allows: a standing rule of the owner's covers it.
    pub const STANDING_RULE: &str = "standing-rule";

    /// Asks: in the careful posture every effect does.
    pub const POSTURE_CAREFUL: &str = "posture-careful";
    /// Asks: nobody asked for this run.
    pub const NOBODY_ASKED: &str = "nobody-asked";
    /// Asks: the owner's words do not ask for this.
    pub const NOT_IN_PLAN: &str = "not-in-plan";
    /// Asks: it cannot be undone, and no verb of the owner's asks for it.
    pub const NOT_ASKED_BY_VERB: &str = "not-asked-by-verb";
    /// Asks: who or where is not evidenced as the effect needs.
    pub const WEAK_EVIDENCE: &str = "weak-evidence";
    /// Asks: where is not evidenced as fetching or writing needs; yields to a rule of the owner's.
    pub const WEAK_PLACE: &str = "weak-place";
    /// Asks: a link, an address or a code that somebody else wrote would go along.
    pub const FOREIGN_PAYLOAD: &str = "foreign-payload";
    /// Asks: what was read is not cleared for where it would go.
    pub const NOT_CLEARED: &str = "not-cleared";

    /// Denies a name that no tool can have.
    pub const BAD_NAME: &str = "bad-name";
    /// Denies what the owner's list denies, whatever else allows it.
    pub const DENIED_BY_NAME: &str = "denied-by-name";
    /// Denies a tool without an annotation: there is none of that name, or what it can do is unknown.
    pub const NOT_ANNOTATED: &str = "not-annotated";
    /// Denies what is not on the owner's list of tools.
    pub const NOT_ON_LIST: &str = "not-on-list";
    /// Denies what a list for this agent, or for this person, does not have.
    pub const NOT_ON_ITS_LIST: &str = "not-on-its-list";
    /// Denies what the principal's profile row does not name.
    pub const NOT_IN_PROFILE: &str = "not-in-profile";
    /// Denies arguments that are not an object, too large, too deep, or not exact.
    pub const BAD_ARGUMENTS: &str = "bad-arguments";
    /// Denies to take out what nobody may see.
    pub const SECRET: &str = "secret";
    /// Denies everything more after the owner said no twice.
    pub const REFUSED_TWICE: &str = "refused-twice";
    /// Denies to ask for more while so many questions wait.
    pub const QUESTIONS_WAIT: &str = "questions-wait";
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
    /// What the run has seen.
    pub evidence: &'a Evidence,
    pub plan: Planned<'a>,
    pub counts: &'a Counts,
    /// Standing rules that hold now.
    pub standing: &'a [Rule],
    /// The owner's answer to a question about this call, as the stored record has it.
    pub approval: Option<&'a Approval>,
    /// What the call would run in, where that is part of what is judged: the executable with its
    /// hash, the folder.
    pub environment: &'a Value,
}

impl<'a> Request<'a> {
    /// Why this call is no step of the plan, or which it is; none without a plan.
    pub(crate) fn planned(&self) -> Option<Result<&'a Step, OffPlan>> {
        let Planned::Is(plan) = self.plan else {
            return None;
        };
        let tool = &self.call.name;
        let done = self.counts.done.get(tool).copied().unwrap_or(0);
        Some(plan.step(tool, &self.call.arguments, done))
    }

    pub(crate) fn step(&self) -> Option<&'a Step> {
        self.planned().and_then(Result::ok)
    }
}

/// What was done in this run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Calls that were let through, by tool.
    pub done: BTreeMap<String, u32>,
    /// Questions that the owner answered with no.
    pub refused: u32,
    /// Questions that wait.
    pub open: u32,
}

/// A yes of the owner's. Data, not authority: it counts only for the digest that it names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approval {
    pub digest: String,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each call, taken apart where it is made"
)]
pub enum Decision {
    Allow(Permit),
    Ask(Box<Draft>),
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

/// A decision with the facts that it was made of, for whoever asks why. It allows nothing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explanation {
    /// `allow`, `ask` or `deny`.
    pub outcome: &'static str,
    pub rule: String,
    pub why: Vec<String>,
    pub effect: Option<Effect>,
    pub reach: Option<Reach>,
    pub posture: Posture,
    pub is_tainted: bool,
    pub needed: Option<Grade>,
    pub values: Vec<Graded>,
    /// The rules that hold, the one that decides first. None where no rule was asked.
    pub rules: Vec<Reference>,
    /// The facts that the rules read. `None` where it was decided before the arguments.
    pub recorded: Option<Box<Recorded>>,
}

/// Decides one call. Unknown facts deny.
///
/// Arguments carry no authority: nothing in them is read here but to be compared with evidence and
/// hashed.
#[must_use]
pub fn decide(request: &Request<'_>, authority: &Authority) -> Decision {
    settle(request, authority, |_| ()).0
}

/// The same decision, with the facts that it was made of for its receipt. There are none where it was
/// decided before the arguments.
#[must_use]
pub fn decide_recorded(
    request: &Request<'_>,
    authority: &Authority,
) -> (Decision, Option<Box<Recorded>>) {
    settle(request, authority, |case| Box::new(Recorded::of(case)))
}

fn settle<T>(
    request: &Request<'_>,
    authority: &Authority,
    keep: impl FnOnce(&Case<'_>) -> T,
) -> (Decision, Option<T>) {
    let (annotation, facts) = match gather(request, authority) {
        Ok(gathered) => gathered,
        Err(denial) => return (Decision::Deny(denial), None),
    };
    let doubts = doubts(request, annotation, &facts);
    let case = case(request, annotation, &facts, authority, &doubts);
    let kept = keep(&case);
    let decision = match judge(request, &facts, &doubts, authority.rules.judge(&case)) {
        Ok(found) => Decision::Allow(Permit::grant(
            request.call.clone(),
            facts.digest,
            facts.effect,
            annotation.output.join(request.context),
            first_of(&found),
            request.environment.clone(),
        )),
        Err(Verdict::Deny(denial)) => Decision::Deny(denial),
        Err(Verdict::Ask(rule, why)) => ask(request, annotation, facts, &rule, why),
    };
    (decision, Some(kept))
}

/// The same decision with its facts.
#[must_use]
pub fn explain(request: &Request<'_>, authority: &Authority) -> Explanation {
    let mut told = Explanation {
        outcome: "deny",
        rule: String::new(),
        why: Vec::new(),
        effect: None,
        reach: None,
        posture: authority.posture,
        is_tainted: request.context.is_tainted(),
        needed: None,
        values: Vec::new(),
        rules: Vec::new(),
        recorded: None,
    };
    let (annotation, facts) = match gather(request, authority) {
        Ok(gathered) => gathered,
        Err(denial) => {
            told.rule = denial.rule;
            told.why = vec![denial.reason];
            return told;
        }
    };
    let doubts = doubts(request, annotation, &facts);
    let case = case(request, annotation, &facts, authority, &doubts);
    let ruling = authority.rules.judge(&case);
    told.recorded = Some(Box::new(Recorded::of(&case)));
    told.rules = ruling.rules().to_vec();
    (told.outcome, told.rule, told.why) = match judge(request, &facts, &doubts, ruling) {
        Ok(found) => {
            let words = found.iter().map(|rule| rule.words.clone());
            ("allow", first_of(&found), words.collect())
        }
        Err(Verdict::Ask(rule, why)) => ("ask", rule, why),
        Err(Verdict::Deny(denial)) => ("deny", denial.rule, vec![denial.reason]),
    };
    told.effect = Some(facts.effect);
    told.reach = Some(annotation.reach);
    told.needed = Some(facts.needed);
    told.values = facts.graded;
    told
}

/// The tools that the model may be shown: those that `decide` could allow or ask about.
#[must_use]
pub fn visible(authority: &Authority, principal: &Principal, agent: &AgentId) -> BTreeSet<String> {
    authority
        .annotations
        .keys()
        .filter(|name| admit(name, principal, agent, authority).is_ok())
        .cloned()
        .collect()
}

/// Why a tool is not offered to a run of this agent under this principal, whatever it is called with.
pub fn offered(
    authority: &Authority,
    principal: &Principal,
    agent: &AgentId,
    tool: &str,
) -> Result<(), Denial> {
    admit(tool, principal, agent, authority).map(|_| ())
}

/// The rule that a decision is named after.
fn first_of(found: &[Reference]) -> String {
    let first = found.first();
    first.map_or_else(String::new, |rule| rule.rule.clone())
}

/// Why a call is not simply let through.
pub(crate) enum Verdict {
    Ask(String, Vec<String>),
    Deny(Denial),
}

fn ask(
    request: &Request<'_>,
    annotation: &Annotation,
    facts: Facts,
    rule: &str,
    why: Vec<String>,
) -> Decision {
    let always = question::offer(
        request.call,
        request.agent,
        facts.effect,
        &facts.graded,
        request.environment,
    );
    Decision::Ask(Box::new(Draft {
        digest: facts.digest,
        rule: rule.to_owned(),
        effect: facts.effect,
        reach: annotation.reach,
        arguments: question::shown(
            request.call,
            annotation,
            &facts.graded,
            request.context.origins.worst(),
        ),
        touches: question::touches(
            facts.effect,
            &facts.graded,
            request.call,
            request.environment,
        ),
        why,
        always,
    }))
}

/// Everything that is decided before the arguments: the tool, who asks, and what it could do.
pub(crate) fn admit<'a>(
    tool: &str,
    principal: &Principal,
    agent: &AgentId,
    authority: &'a Authority,
) -> Result<&'a Annotation, Denial> {
    if !is_name(tool) {
        return Err(deny(
            rules::BAD_NAME,
            format!("{} is not a tool's name", log_field(tool)),
            "Call one of the tools you were given, by its exact name.",
        ));
    }
    if authority.denies(tool) {
        return Err(deny(
            rules::DENIED_BY_NAME,
            format!("{tool} is on the list of denied tools"),
            "The owner has switched this tool off. Go on without it.",
        ));
    }
    let Some(annotation) = authority.annotations.get(tool) else {
        return Err(deny(
            rules::NOT_ANNOTATED,
            format!("there is no tool named {tool} here"),
            "There is no such tool here. Call one of the tools you were given.",
        ));
    };
    if !authority.lists(tool) {
        return Err(deny(
            rules::NOT_ON_LIST,
            format!("{tool} is not on the list of allowed tools"),
            "The owner has not allowed this tool. Go on without it.",
        ));
    }
    if let Some(list) = authority.kept_by(tool, agent, principal) {
        let whose = match &list.of {
            ListOf::Agent(id) => format!("the list of the agent {id}"),
            ListOf::Sender(who) => format!("the list for {}", log_field(who)),
        };
        return Err(deny(
            rules::NOT_ON_ITS_LIST,
            format!("{whose} does not have {tool}"),
            "The owner has not allowed this tool here. Go on without it.",
        ));
    }
    let role = Role::of(principal);
    if !authority.profile_has(role, tool) {
        return Err(deny(
            rules::NOT_IN_PROFILE,
            format!("the profile for {role:?} does not have {tool}"),
            "This tool is not for the person you are talking to. Go on without it.",
        ));
    }
    Ok(annotation)
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/'))
}

pub(crate) fn deny(rule: &str, reason: String, advice: &str) -> Denial {
    Denial {
        rule: rule.to_owned(),
        reason,
        advice: advice.to_owned(),
    }
}
