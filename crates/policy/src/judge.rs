//! From facts to an answer: what each fact is, in words, and what the rules make of them all.

use instar_protocol::Principal;
use instar_protocol::approval::visible;
use instar_protocol::tool::Effect;

use crate::annotation::{Annotation, Leaf, Reach, SlotRole};
use crate::authority::{Authority, Role};
use crate::cedar::{Answer, Case, InPlan, NO_RULE, RULE_ERROR, Reference, Ruling};
use crate::decide::{Denial, OPEN_MAX, Request, Verdict, deny, rules};
use crate::evidence::{Evidence, OWNERS_MESSAGES};
use crate::facts::Facts;
use crate::grade::{Grade, Graded};
use crate::plan::{OffPlan, Planned};
use crate::typed::{Kind, Typed, normal};

/// What speaks for and against a call: each with its reasons, a line each; none where nothing does.
pub(crate) struct Doubts {
    plan: (InPlan, Vec<String>),
    verb: Vec<String>,
    evidence: Vec<String>,
    foreign: Vec<String>,
    clearance: Vec<String>,
}

pub(crate) fn doubts(request: &Request<'_>, annotation: &Annotation, facts: &Facts) -> Doubts {
    Doubts {
        plan: in_plan(request),
        verb: verb_missing(request, annotation, facts),
        evidence: weak_evidence(request, facts),
        foreign: foreign_payload(request, facts),
        clearance: not_cleared(request, annotation, facts),
    }
}

/// The answer to a call after what the rules said: those that let it through, or why not.
pub(crate) fn judge(
    request: &Request<'_>,
    facts: &Facts,
    doubts: &Doubts,
    ruling: Ruling,
) -> Result<Vec<Reference>, Verdict> {
    match ruling {
        Ruling::Allow(found) => Ok(found),
        Ruling::Never(found) => Err(Verdict::Deny(denied(&found))),
        Ruling::Ask(mut found) => {
            // Whether it was asked for at all is told first, then who and where, then what goes along.
            found.sort_by_key(|rule| rule.answer != Answer::Yield);
            let why: Vec<String> = found
                .iter()
                .flat_map(|rule| why(rule, facts, doubts))
                .collect();
            let first = found.into_iter().next();
            let rule = first.map_or_else(|| NO_RULE.to_owned(), |rule| rule.rule);
            if request.counts.open >= OPEN_MAX {
                return Err(Verdict::Deny(deny(
                    rules::QUESTIONS_WAIT,
                    format!(
                        "{OPEN_MAX} questions wait already ({rule}: {})",
                        why.join("; ")
                    ),
                    "Several questions wait for the owner already. Say in words what else you would do.",
                )));
            }
            Err(Verdict::Ask(rule, why))
        }
    }
}

/// The facts of the call, as rules see them.
pub(crate) fn case<'a>(
    request: &Request<'a>,
    annotation: &'a Annotation,
    facts: &Facts,
    authority: &Authority,
    doubts: &Doubts,
) -> Case<'a> {
    let tool = request.call.name.as_str();
    let stands = request.standing.iter().any(|rule| {
        let (call, agent) = (request.call, request.agent);
        rule.fits(call, agent, &facts.graded, request.environment)
    });
    let approval = request.approval;
    Case {
        role: Role::of(request.principal),
        person: match request.principal {
            Principal::Owner { .. } => "owner",
            Principal::Contact { id } | Principal::Stranger { id } => id,
            Principal::Automation { source } => source,
        },
        agent: request.agent.as_str(),
        tool,
        connector: &annotation.connector,
        effect: facts.effect,
        reach: facts.reach,
        undoable: annotation.undoable,
        posture: authority.posture,
        context: request.context,
        grade: lowest(&facts.graded) as u8,
        needed: facts.needed as u8,
        evidenced: doubts.evidence.is_empty(),
        foreign: !doubts.foreign.is_empty(),
        cleared: doubts.clearance.is_empty(),
        plan: doubts.plan.0,
        verb: doubts.verb.is_empty(),
        standing: stands,
        approved: approval.is_some_and(|approval| approval.digest == facts.digest),
        done: request.counts.done.get(tool).copied().unwrap_or(0),
        refused: request.counts.refused,
        values: facts.graded.iter().map(typed).collect(),
    }
}

fn lowest(graded: &[Graded]) -> Grade {
    let grades = graded.iter().map(|value| value.grade);
    grades.min().unwrap_or(Grade::G3)
}

fn typed(value: &Graded) -> (SlotRole, Typed) {
    let form = normal(value.kind, &value.text).unwrap_or_else(|| Typed {
        kind: Kind::Text,
        form: value.text.clone(),
    });
    (value.role, form)
}

/// Why a rule asks: the facts that it speaks of, else its own words and where it stands. No rule of the
/// owner's can have the name of a built-in one.
fn why(rule: &Reference, facts: &Facts, doubts: &Doubts) -> Vec<String> {
    let lines = match rule.rule.as_str() {
        rules::NOBODY_ASKED | rules::NOT_IN_PLAN => doubts.plan.1.clone(),
        rules::NOT_ASKED_BY_VERB => doubts.verb.clone(),
        rules::WEAK_EVIDENCE | rules::WEAK_PLACE => doubts.evidence.clone(),
        rules::FOREIGN_PAYLOAD => doubts.foreign.clone(),
        rules::NOT_CLEARED => doubts.clearance.clone(),
        rules::POSTURE_CAREFUL => vec![format!(
            "in the careful posture every effect asks: this one would {}",
            facts.effect.name()
        )],
        _ => Vec::new(),
    };
    if lines.is_empty() {
        vec![said(rule)]
    } else {
        lines
    }
}

/// A rule in its own words, and where an owner finds it.
fn said(rule: &Reference) -> String {
    match (rule.is_owners, rule.words.as_str()) {
        (false, words) => words.to_owned(),
        (true, "") => format!("your rule {} ({})", rule.rule, rule.place),
        (true, words) => format!("your rule {} ({}): {words}", rule.rule, rule.place),
    }
}

fn denied(found: &[Reference]) -> Denial {
    let first = found.first();
    let rule = first.map_or(RULE_ERROR, |rule| rule.rule.as_str());
    let reasons: Vec<String> = found.iter().map(said).collect();
    let advice = match rule {
        rules::SECRET => "A secret was read here. Nothing can leave after that; tell the user so.",
        rules::REFUSED_TWICE => {
            "The owner refused twice. Stop, and say in words what you wanted to do and why."
        }
        RULE_ERROR => "The rules cannot be judged. Tell the user to look at the gateway's log.",
        _ => "A rule of the owner's forbids this. Go on without it.",
    };
    debug_assert!(found.iter().all(|rule| rule.answer == Answer::Never));
    deny(rule, reasons.join("; "), advice)
}

fn in_plan(request: &Request<'_>) -> (InPlan, Vec<String>) {
    let tool = &request.call.name;
    let done = request.counts.done.get(tool).copied().unwrap_or(0);
    let why = match request.planned() {
        None if matches!(request.plan, Planned::Nobody) => {
            let why = "no message of yours asked for this run".to_owned();
            return (InPlan::Nobody, vec![why]);
        }
        None => return (InPlan::Unknown, Vec::new()),
        Some(Ok(_)) => return (InPlan::Inside, Vec::new()),
        Some(Err(why)) => why,
    };
    let why = match why {
        OffPlan::Tool => format!("what you asked for does not need {tool}"),
        OffPlan::Times => {
            format!("what you asked for needs {tool} {done} times at the most")
        }
        OffPlan::Value => format!("what you asked for needs {tool} with other values"),
        OffPlan::Wide => {
            "what you asked for takes more steps than go without a question".to_owned()
        }
    };
    (InPlan::Outside, vec![why])
}

/// What cannot be undone is asked for by a verb.
fn verb_missing(request: &Request<'_>, annotation: &Annotation, facts: &Facts) -> Vec<String> {
    // Among the members of a closed workspace, adding one to a channel is as sending to it.
    let is_among_members = facts.effect == Effect::Grant && annotation.reach == Reach::Closed;
    if is_among_members || request.evidence.words.asks_for(facts.effect) {
        return Vec::new();
    }
    vec![format!("no word of yours asks to {}", facts.effect.name())]
}

/// Who and where, once somebody else has spoken.
fn weak_evidence(request: &Request<'_>, facts: &Facts) -> Vec<String> {
    if !request.context.is_tainted() || facts.effect <= Effect::Read {
        return Vec::new();
    }
    let mut why: Vec<String> = facts
        .graded
        .iter()
        .filter(|value| !suffices(value, facts, request.evidence))
        .map(|value| {
            let found = value.source.as_deref().map_or_else(
                || "it stands in no place that could vouch for it".to_owned(),
                |source| format!("found in {source}"),
            );
            format!(
                "{} is of grade {}, {} needs {}: {found}",
                value.path,
                value.grade.name(),
                facts.effect.name(),
                facts.needed.name()
            )
        })
        .collect();
    // What says nowhere whom it reaches needs a word of the owner's.
    let says_whom = facts.graded.iter().any(|value| match facts.effect {
        // A thing is no place: what goes along says nothing of where to.
        Effect::Send | Effect::Grant => matches!(value.role, SlotRole::Who | SlotRole::Where),
        _ => value.role.is_target(),
    });
    if !says_whom && needs_target(facts.effect) {
        why.push(format!(
            "nothing says whom or what this would {}",
            facts.effect.name()
        ));
    }
    why
}

fn needs_target(effect: Effect) -> bool {
    matches!(
        effect,
        Effect::Send | Effect::Grant | Effect::Execute | Effect::Spend | Effect::Destroy
    )
}

/// Whether one value is evidenced as the effect needs.
fn suffices(value: &Graded, facts: &Facts, evidence: &Evidence) -> bool {
    if evidence.is_own_value(value) || value.grade >= facts.needed {
        return true;
    }
    match (facts.effect, value.role) {
        // The thing that is sent or shared along has to exist; whom it goes to has to be right.
        (Effect::Send | Effect::Grant, SlotRole::Which) => value.grade >= Grade::G1,
        (Effect::Send, SlotRole::Who | SlotRole::Where) => {
            value.grade == Grade::G2 && (value.is_own_row || value.is_known)
        }
        // The owner's words select it by its name, or by a number of it.
        (Effect::Destroy | Effect::Spend, SlotRole::Which) => value.grade == Grade::G2,
        (Effect::Fetch, SlotRole::Where) => value.is_from_named_source,
        _ => false,
    }
}

/// The links, addresses and codes of somebody else's that would go along.
fn foreign_payload(request: &Request<'_>, facts: &Facts) -> Vec<String> {
    if !takes_out(facts) {
        return Vec::new();
    }
    let is_tainted = request.context.is_tainted();
    let mut foreign = Vec::new();
    for leaf in content(facts) {
        let pieces = request
            .evidence
            .foreign_pieces(&leaf.path, &leaf.text, is_tainted);
        foreign.extend(pieces);
    }
    let why = foreign.iter().map(|carried| {
        format!(
            "{} would pass on {}, which somebody else wrote",
            carried.argument,
            visible(&carried.piece)
        )
    });
    why.take(8).collect()
}

/// True if what goes along reaches people or places outside.
fn takes_out(facts: &Facts) -> bool {
    matches!(facts.effect, Effect::Send | Effect::Grant | Effect::Spend)
        || matches!(facts.reach, Reach::Outside | Reach::Public)
        || facts.is_seen
}

/// The arguments that can say anything: content, and what is asked for in words.
fn content(facts: &Facts) -> impl Iterator<Item = &Leaf> {
    facts.leaves.iter().filter(|leaf| match leaf.slot.role {
        SlotRole::Payload => true,
        SlotRole::Plain => !leaf.slot.kind.is_closed(),
        SlotRole::Who | SlotRole::Where | SlotRole::Which | SlotRole::Amount => false,
    })
}

/// Private things go where the owner's words send them, or stay in the workspace they come from.
fn not_cleared(request: &Request<'_>, annotation: &Annotation, facts: &Facts) -> Vec<String> {
    if !takes_out(facts) || !carries(request, annotation, facts) {
        return Vec::new();
    }
    let inside = match facts.reach {
        // Another conversation of the owner's is his own as well.
        Reach::Own if !facts.is_seen => return Vec::new(),
        // What stays in the same store is where it was, as far as a thing of it is shared.
        Reach::Own | Reach::Closed => Some(annotation.connector.as_str()),
        Reach::Outside | Reach::Public => None,
    };
    let is_led_there = leads_there(request, facts);
    let sources = request
        .evidence
        .private_sources(inside, |tool| is_led_there && is_released(request, tool));
    if sources.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "what was read in {} would go to {}",
        sources.join(", "),
        annotation.connector
    )]
}

/// True if a call can take anything along that was read: values that are evidenced, whole, and
/// nothing else beside them say no more than they did before.
fn carries(request: &Request<'_>, annotation: &Annotation, facts: &Facts) -> bool {
    let is_vague = |value: &Graded| value.grade < Grade::G2 && !is_sure(value, facts, request);
    facts.graded.iter().any(is_vague)
        || content(facts).any(|leaf| {
            let (slot, connector) = (leaf.slot, &annotation.connector);
            let evidence = request.evidence;
            // A number of a thing that a list gave is no content.
            slot.kind != Kind::Id
                || evidence
                    .grade(connector, &leaf.path, slot, &leaf.text)
                    .grade
                    < Grade::G1
        })
}

/// True if the step that this call is lets along what the tool read. Without a plan nothing is known
/// of it, and the place alone decides.
fn is_released(request: &Request<'_>, source: &str) -> bool {
    let Planned::Is(plan) = request.plan else {
        return true;
    };
    // No step reads what the owner brought himself.
    if source == OWNERS_MESSAGES {
        return true;
    }
    request
        .step()
        .is_some_and(|step| plan.releases(step, source))
}

/// True if the owner's words lead there: with a plan to a place that they select, without one only to a
/// place that he named himself.
fn leads_there(request: &Request<'_>, facts: &Facts) -> bool {
    let least = match request.plan {
        Planned::Is(_) => Grade::G2,
        Planned::Unknown => Grade::G3,
        Planned::Nobody => return false,
    };
    let mut places = facts
        .graded
        .iter()
        .filter(|value| match value.role {
            SlotRole::Who | SlotRole::Where => true,
            SlotRole::Which => facts.is_seen,
            SlotRole::Amount | SlotRole::Payload | SlotRole::Plain => false,
        })
        .peekable();
    if places.peek().is_none() {
        // A search engine: a step of the plan leads there, or nothing does.
        return facts.effect == Effect::Fetch && matches!(request.plan, Planned::Is(_));
    }
    places.all(|value| value.grade >= least || is_sure(value, facts, request))
}

/// True for the owner's own address, and for a link that is followed as a contact wrote it.
fn is_sure(value: &Graded, facts: &Facts, request: &Request<'_>) -> bool {
    request.evidence.is_own_value(value)
        || (facts.effect == Effect::Fetch && value.is_from_named_source)
}
