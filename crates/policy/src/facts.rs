//! What is known of a call before it is judged: what it does, whom it reaches, and the grade of every value
//! that says who, where, which or how much.

use instar_protocol::tool::Effect;
use serde_json::Value;

use crate::annotation::{Annotation, Leaf, Reach, SlotRole};
use crate::authority::Authority;
use crate::canonical::{self, CanonicalError};
use crate::decide::{ARGUMENT_BYTES_MAX, Denial, Request, admit, deny, rules};
use crate::grade::{Grade, Graded};
use crate::typed::Kind;

/// What is known of a call before it is judged.
pub(crate) struct Facts {
    pub(crate) digest: String,
    /// What this very call does.
    pub(crate) effect: Effect,
    /// Whom this very call can reach.
    pub(crate) reach: Reach,
    /// Others see what is written there.
    pub(crate) is_seen: bool,
    /// Every text in its arguments.
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) graded: Vec<Graded>,
    /// The grade that its targets need once somebody else has spoken.
    pub(crate) needed: Grade,
}

/// Gathers the facts, or says why nothing is to be gathered.
pub(crate) fn gather<'a>(
    request: &Request<'_>,
    authority: &'a Authority,
) -> Result<(&'a Annotation, Facts), Denial> {
    let annotation = admit(
        &request.call.name,
        request.principal,
        request.agent,
        authority,
    )?;
    let digest = digest(request)?;
    let leaves = annotation.leaves(&request.call.arguments);
    let graded = grade_all(request, &annotation.connector, &leaves);
    let names_people = graded
        .iter()
        .any(|value| value.role == SlotRole::Who && !request.evidence.is_own_value(value));
    // What is written where others read reaches them.
    let is_seen = annotation.effect == Effect::Write && graded.iter().any(|value| value.has_others);
    let plain = match annotation.reach {
        // Looking somewhere else takes the question there.
        Reach::Outside | Reach::Public => annotation.effect.max(Effect::Fetch),
        Reach::Own | Reach::Closed => annotation.effect,
    };
    let effect = match annotation.people {
        Some(people) if names_people => plain.max(people),
        _ => plain,
    };
    // A link in an argument leads somewhere, whatever the tool is.
    let leads_out = annotation.follows
        && annotation.effect == Effect::Read
        && graded
            .iter()
            .any(|value| value.role == SlotRole::Where && value.kind == Kind::Url);
    let effect = if leads_out { Effect::Fetch } else { effect };
    let reach = match effective_reach(annotation, names_people) {
        _ if leads_out => Reach::Public,
        reach => reach,
    };
    let needed = needed(effect, reach, annotation.undoable);
    Ok((
        annotation,
        Facts {
            digest,
            effect,
            reach,
            is_seen,
            leaves,
            graded,
            needed,
        },
    ))
}

/// Whom this very call can reach: a tool of the owner's own space reaches out when it names somebody.
fn effective_reach(annotation: &Annotation, names_people: bool) -> Reach {
    match annotation.reach {
        Reach::Own if names_people => Reach::Outside,
        reach => reach,
    }
}

/// The grade that an effect needs.
fn needed(effect: Effect, reach: Reach, undoable: bool) -> Grade {
    match (effect, reach) {
        (Effect::None | Effect::Read, _) => Grade::G0,
        (Effect::Fetch, _) => Grade::G2,
        (Effect::Write, Reach::Own | Reach::Closed) if undoable => Grade::G1,
        (Effect::Write, _) => Grade::G2,
        (Effect::Send | Effect::Grant, Reach::Own | Reach::Closed) => Grade::G1,
        (Effect::Send | Effect::Grant, Reach::Outside | Reach::Public)
        | (Effect::Destroy | Effect::Spend | Effect::Execute, _) => Grade::G3,
    }
}

/// Every value of an argument that says who, where, which or how much, with its grade.
fn grade_all(request: &Request<'_>, connector: &str, leaves: &[Leaf]) -> Vec<Graded> {
    let evidence = request.evidence;
    let step = request.step();
    let targets = leaves.iter().filter(|leaf| leaf.slot.role.is_target());
    targets
        .filter(|leaf| !leaf.keeps_closed())
        .map(|leaf| {
            let mut found = evidence.grade(connector, &leaf.path, leaf.slot, &leaf.text);
            if let Some(pick) = step.and_then(|step| step.pick.get(&leaf.name)) {
                evidence.pick(connector, pick, &mut found);
            }
            if let Some(is_said) = says_command(request, leaf) {
                found.is_said(is_said);
            }
            found
        })
        .collect()
}

/// Of a word of a command whether the owner said it all as it stands: its words one by one say nothing of
/// what they do together.
fn says_command(request: &Request<'_>, leaf: &Leaf) -> Option<bool> {
    let many = request.call.arguments.get(&leaf.argument)?.as_array()?;
    if leaf.slot.kind != Kind::Text {
        return None;
    }
    let many: Option<Vec<&str>> = many.iter().map(Value::as_str).collect();
    Some(many.is_some_and(|many| request.evidence.words.says_command(&many)))
}

/// The digest of exactly this call by this principal in this place, in this state of labels.
fn digest(request: &Request<'_>) -> Result<String, Denial> {
    let malformed = |reason: String| {
        deny(
            rules::BAD_ARGUMENTS,
            format!("{}: {reason}", request.call.name),
            "The arguments must be one JSON object as the tool's schema says. Correct them and \
             call again.",
        )
    };
    if !matches!(request.call.arguments, Value::Object(_)) {
        return Err(malformed("the arguments are not a JSON object".to_owned()));
    }
    let digested = || -> Result<String, CanonicalError> {
        let arguments = canonical::write_within(&request.call.arguments, ARGUMENT_BYTES_MAX)?;
        let facts = serde_json::json!({
            "agent": request.agent,
            "arguments": canonical::sha256(arguments.as_bytes()),
            "context": request.context,
            "environment": request.environment,
            "principal": request.principal,
            "release": request.release,
            "session": request.session,
            "tool": request.call.name,
        });
        Ok(canonical::sha256(canonical::write(&facts)?.as_bytes()))
    };
    digested().map_err(|err| malformed(err.to_string()))
}
