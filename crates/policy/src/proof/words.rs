//! A request that newly passes, in the words of an owner.

use cedar_policy::{Context, EvalResult, Request};

use crate::cedar::{Reference, Rules, Ruling};

/// Values of one fact that are told.
const VALUES_MAX: usize = 3;

/// Both sets of rules are asked again: what the solver says is believed where it refuses, never where
/// it explains.
pub(super) fn sentence(before: &Rules, after: &Rules, request: &Request) -> String {
    let (was, is) = (before.judge_request(request), after.judge_request(request));
    let call = call(request);
    if freedom(&is) <= freedom(&was) {
        return format!(
            "the solver found a call that newly passes ({call}), and it cannot be retraced"
        );
    }
    let by = |ruling: &Ruling| {
        let first = ruling.rules().first();
        first.map_or_else(|| "no rule".to_owned(), told)
    };
    format!(
        "{call} would be {} by {}; until now it is {} by {}",
        outcome(&is),
        by(&is),
        outcome(&was),
        by(&was)
    )
}

fn told(rule: &Reference) -> String {
    let words = if rule.words.is_empty() {
        String::new()
    } else {
        format!(" ({})", rule.words.trim_end_matches('.'))
    };
    if rule.is_owners {
        format!("the rule {} in {}{words}", rule.rule, rule.place)
    } else {
        format!("the built-in rule {}{words}", rule.rule)
    }
}

fn outcome(ruling: &Ruling) -> &'static str {
    match ruling {
        Ruling::Allow(_) => "let through",
        Ruling::Ask(_) => "asked for",
        Ruling::Never(_) => "denied",
    }
}

fn freedom(ruling: &Ruling) -> u8 {
    match ruling {
        Ruling::Allow(_) => 2,
        Ruling::Ask(_) => 1,
        Ruling::Never(_) => 0,
    }
}

/// `a call to send by the tool mail_send, for a contact, when ...`
fn call(request: &Request) -> String {
    let id = |of: Option<&cedar_policy::EntityUid>| {
        of.map(|one| one.id().unescaped().to_owned())
            .unwrap_or_default()
    };
    let who = request.principal().map(|one| one.type_name().to_string());
    let who = who.unwrap_or_default().to_lowercase();
    let (effect, tool, person) = (
        id(request.action()),
        id(request.resource()),
        id(request.principal()),
    );
    let tool = if is_name(&tool) {
        format!("the tool {tool}")
    } else {
        "any tool".to_owned()
    };
    let person = if is_name(&person) && person != "owner" {
        format!(" {person}")
    } else {
        String::new()
    };
    let when = request.context().map(circumstances).unwrap_or_default();
    format!("a call with the effect {effect} by {tool} for the {who}{person}{when}")
}

/// What the solver made up for a name that does not matter is not told.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.@:".contains(c);
    text.len() > 1 && text.len() <= 80 && text.chars().all(fits)
}

/// The facts under which it passes, where they are not those of the plainest call.
fn circumstances(context: &Context) -> String {
    let is = |name: &str| matches!(context.get(name), Some(EvalResult::Bool(true)));
    let word = |name: &str| match context.get(name) {
        Some(EvalResult::String(word)) => word,
        _ => String::new(),
    };
    let mut when = Vec::new();
    if is("approved") {
        when.push("the owner has said yes to it".to_owned());
    }
    if is("tainted") {
        when.push("text of others was read".to_owned());
        if !is("evidenced") {
            when.push("nothing else evidences who and where".to_owned());
        }
    }
    if is("foreign") {
        when.push("a link or address of others goes along".to_owned());
    }
    if !is("cleared") {
        when.push("what was read is not for there".to_owned());
    }
    match word("readers").as_str() {
        "secret" => when.push("something secret was read".to_owned()),
        "private" => when.push("something private was read".to_owned()),
        _ => {}
    }
    match word("plan").as_str() {
        "outside" => when.push("the plan does not have it".to_owned()),
        "nobody" => when.push("no message of the owner's began the run".to_owned()),
        _ => {}
    }
    for (name, told) in [
        ("who", "to"),
        ("where", "at"),
        ("which", "about"),
        ("domains", "in the domain"),
    ] {
        let values = values(context, name);
        if !values.is_empty() {
            when.push(format!("it goes {told} {}", values.join(", ")));
        }
    }
    when.push(format!("the posture is {}", word("posture")));
    format!(", when {}", when.join(", "))
}

fn values(context: &Context, name: &str) -> Vec<String> {
    let Some(EvalResult::Set(set)) = context.get(name) else {
        return Vec::new();
    };
    let words = set.iter().filter_map(|value| match value {
        EvalResult::String(word) if is_name(word) => Some(word.clone()),
        _ => None,
    });
    words.take(VALUES_MAX).collect()
}

#[cfg(test)]
mod tests;
