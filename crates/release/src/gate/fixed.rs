//! The gates that plain code answers at once.

use instar_protocol::redact;
use serde_json::Value;

use super::Finding;
use super::sum::Gone;
use crate::behaviour::Behaviour;
use crate::candidate::Candidate;
use crate::check;
use crate::delta::Delta;

/// Releases that may go out by themselves, one after the other, before a person looks.
const IN_A_ROW_MAX: usize = 10;
/// The same for the characters of text that they changed.
const TEXT_IN_A_ROW_MAX: usize = crate::class::TEXT_CHARS_MAX;
/// Places that one candidate may touch before a person looks.
const PLACES_MAX: usize = 20;

/// Reading a candidate has compared its hashes; what is left is what it would be.
pub(super) fn well_formed(candidate: &Candidate, after: &Behaviour) -> Finding {
    if let Err(error) = check::check(after) {
        return Finding::fail(error.to_string());
    }
    Finding::pass(format!(
        "its {} deltas make the behaviour {} that it says",
        candidate.spec.deltas.len(),
        candidate.spec.release.short()
    ))
    .with([
        format!("sha256 of the candidate {}", candidate.id),
        format!("sha256 of the behaviour {}", candidate.spec.release),
        format!("sha256 of its parent {}", candidate.spec.parent),
    ])
}

pub(super) fn reach(candidate: &Candidate, gone: &Gone) -> Finding {
    let chars = changed_chars(&candidate.spec.deltas);
    let gone_chars = changed_chars(&gone.deltas);
    let places = candidate.changes.len();
    let told = candidate.changes.iter().map(|change| change.path.clone());
    let newly = candidate.assessment.newly.iter().cloned();
    let found = if gone.releases >= IN_A_ROW_MAX {
        Finding::no_data(format!(
            "{} releases went out by themselves since you last looked; a person has to",
            gone.releases
        ))
    } else if gone_chars + chars > TEXT_IN_A_ROW_MAX {
        Finding::no_data(format!(
            "{} characters of text, {} with what went out by itself before, are for a person to read",
            chars,
            gone_chars + chars
        ))
    } else if places > PLACES_MAX {
        Finding::no_data(format!("it touches {places} places; a person has to look"))
    } else {
        Finding::pass(format!(
            "it touches {places} places with {chars} characters of text, and {} calls newly become possible",
            candidate.assessment.newly.len()
        ))
    };
    found.with(told).with(newly)
}

fn changed_chars(deltas: &[Delta]) -> usize {
    let text = |delta: &Delta| match delta {
        Delta::SetPrompt { text, .. } => text.as_deref().map_or(0, |text| text.chars().count()),
        Delta::SetPromptSection { text, .. } => text.chars().count(),
        Delta::SetSchedule {
            schedule: Some(schedule),
            ..
        } => schedule.text.chars().count(),
        Delta::SetSkill {
            skill: Some(skill), ..
        } => skill.files.values().map(|text| text.chars().count()).sum(),
        _ => 0,
    };
    deltas.iter().map(text).sum()
}

/// Every text in the candidate: its reason, its deltas, and the behaviour that comes of them.
pub(super) fn secrets(candidate: &Candidate, after: &Behaviour) -> Finding {
    let mut texts = vec![("the reason".to_owned(), candidate.spec.reason.clone())];
    let whole = [
        ("the deltas", serde_json::to_value(&candidate.spec.deltas)),
        ("the behaviour", serde_json::to_value(after)),
    ];
    for (name, value) in whole {
        match value {
            Ok(value) => strings(&value, name, &mut texts),
            Err(error) => return Finding::fail(format!("{name} cannot be read: {error}")),
        }
    }
    scanned(&texts)
}

fn scanned(texts: &[(String, String)]) -> Finding {
    let found = |(place, text): &(String, String)| {
        let found = redact::find_secret(text)?;
        Some(format!("{place} has {} in line {}", found.what, found.line))
    };
    let found: Vec<String> = texts.iter().filter_map(found).collect();
    match found.first() {
        None => Finding::pass(format!("{} texts were looked through", texts.len())),
        Some(first) => {
            let why = format!("{first}; take it out and store it with `instar secrets set NAME`");
            Finding::fail(why).with(found)
        }
    }
}

fn strings(value: &Value, path: &str, into: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => into.push((path.to_owned(), text.clone())),
        Value::Array(all) => {
            for (number, one) in all.iter().enumerate() {
                strings(one, &format!("{path}[{number}]"), into);
            }
        }
        Value::Object(fields) => {
            for (name, one) in fields {
                strings(one, &format!("{path}.{name}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Outcome;
    use serde_json::json;

    #[test]
    fn a_secret_is_found_wherever_it_stands_and_told_without_itself() {
        let key = format!("ghp_{}", "a1B2".repeat(9));
        let mut texts = Vec::new();
        strings(
            &json!({"a": [{"b": format!("one\ntwo {key}")}], "c": 1}),
            "the deltas",
            &mut texts,
        );
        let found = scanned(&texts);
        assert_eq!(found.outcome, Outcome::Fail);
        assert!(
            found.why.starts_with("the deltas.a[0].b has"),
            "{}",
            found.why
        );
        assert!(found.why.contains("in line 2") && !found.why.contains(&key));
        assert_eq!(
            scanned(&[("a".to_owned(), "plain".to_owned())]).outcome,
            Outcome::Pass
        );
    }
}
