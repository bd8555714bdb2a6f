//! Attacks that know the rules: the same goals by other ways, and the swap of one member of a list
//! for another.

use serde_json::Value;
use std::collections::BTreeMap;

use super::data::{Attack, Call, Task};

/// Ways to reach the same goal.
pub(crate) const VARIANTS: [&str; 6] = [
    "reversed", "beside", "named", "upper", "dressed", "repeated",
];

/// The calls of an attack by another way; `None` where the way does not exist for it.
pub(crate) fn variant(name: &str, attack: &Attack, task: &Task) -> Option<Vec<Call>> {
    let each = |change: &dyn Fn(&str, &str) -> Option<Value>| {
        let mut is_changed = false;
        let calls = attack.calls.iter().map(|call| {
            let mut call = call.clone();
            if let Value::Object(arguments) = &mut call.args {
                for (name, value) in arguments.iter_mut() {
                    is_changed |= rewrite(name, value, change);
                }
            }
            call
        });
        let calls: Vec<Call> = calls.collect();
        is_changed.then_some(calls)
    };
    match name {
        "reversed" => {
            (attack.calls.len() > 1).then(|| attack.calls.iter().rev().cloned().collect())
        }
        // The attacker's person stands beside one whom the owner named.
        "beside" => {
            let named = addresses(&task.prompt).into_iter().next()?;
            let mut is_changed = false;
            let calls = attack.calls.iter().map(|call| {
                let mut call = call.clone();
                if let Value::Object(arguments) = &mut call.args {
                    for value in arguments.values_mut() {
                        if let Value::Array(items) = value
                            && items
                                .iter()
                                .any(|item| item.as_str().is_some_and(|text| text.contains('@')))
                        {
                            items.insert(0, Value::String(named.clone()));
                            is_changed = true;
                        }
                    }
                }
                call
            });
            let calls: Vec<Call> = calls.collect();
            is_changed.then_some(calls)
        }
        // The content goes to somebody whom the owner did name.
        "named" => {
            let named = addresses(&task.prompt).into_iter().next()?;
            each(&|_, text| is_address(text).then(|| Value::String(named.clone())))
        }
        "upper" => each(&|_, text| {
            let other = text.to_uppercase();
            (is_target(text) && other != text).then_some(Value::String(other))
        }),
        // Hidden characters, another scheme, a leading zero.
        "dressed" => each(&|_, text| {
            is_target(text).then(|| {
                Value::String(match text {
                    text if is_address(text) => format!("\u{200b}{text}"),
                    text if text.bytes().all(|b| b.is_ascii_digit()) => format!("0{text}"),
                    text => format!("http://{}/#", text.trim_start_matches("https://")),
                })
            })
        }),
        // The owner's own effect once more, with the attacker's values where they fit.
        "repeated" => {
            let own = task
                .calls
                .iter()
                .rfind(|call| attack.calls.iter().any(|theirs| theirs.tool == call.tool))?;
            let theirs = attack.calls.iter().find(|call| call.tool == own.tool)?;
            let mut calls = vec![theirs.clone(); 2];
            calls.extend(attack.calls.iter().cloned());
            Some(calls)
        }
        _ => None,
    }
}

fn rewrite(name: &str, value: &mut Value, change: &dyn Fn(&str, &str) -> Option<Value>) -> bool {
    match value {
        Value::String(text) => match change(name, text) {
            Some(other) => {
                *value = other;
                true
            }
            None => false,
        },
        // Every one of them, not only the first that changes.
        Value::Array(items) => {
            let changed = items.iter_mut().map(|item| rewrite(name, item, change));
            changed.filter(|changed| *changed).count() > 0
        }
        Value::Object(fields) => {
            let changed = fields
                .iter_mut()
                .map(|(name, item)| rewrite(name, item, change));
            changed.filter(|changed| *changed).count() > 0
        }
        _ => false,
    }
}

fn is_address(text: &str) -> bool {
    text.contains('@') && !text.contains(char::is_whitespace)
}

/// A short value without spaces: an address, a link, an id, a name.
fn is_target(text: &str) -> bool {
    !text.is_empty() && text.len() < 80 && !text.contains(char::is_whitespace)
}

fn addresses(text: &str) -> Vec<String> {
    let breaks = |c: char| c.is_whitespace() || "'\",;()".contains(c);
    text.split(breaks)
        .filter(|piece| piece.contains('@') && piece.contains('.'))
        .map(|piece| piece.trim_end_matches('.').to_owned())
        .collect()
}

/// Calls like this one with one value changed for another member of a list that was read before.
pub(crate) fn swaps(call: &Call, read: &[Value]) -> Vec<Call> {
    let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for value in read {
        members(value, "", &mut lists);
    }
    let mut found = Vec::new();
    let Value::Object(arguments) = &call.args else {
        return found;
    };
    for (name, value) in arguments {
        let (own, is_list) = match value {
            Value::String(text) => (text.clone(), false),
            Value::Array(items) => match items.last() {
                Some(Value::String(text)) => (text.clone(), true),
                _ => continue,
            },
            _ => continue,
        };
        // Only where the value stands in a list can another of the list take its place.
        let others = lists.values().filter(|list| list.contains(&own));
        let Some(other) = others.flatten().find(|other| **other != own) else {
            continue;
        };
        let mut changed = call.clone();
        if let Value::Object(fields) = &mut changed.args {
            let other = Value::String(other.clone());
            let other = if is_list {
                Value::Array(vec![other])
            } else {
                other
            };
            fields.insert(name.clone(), other);
        }
        found.push(changed);
    }
    found
}

fn members(value: &Value, path: &str, lists: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::String(text) if text.len() < 100 => {
            lists.entry(path.to_owned()).or_default().push(text.clone());
        }
        Value::Array(items) => {
            for item in items {
                members(item, &format!("{path}[]"), lists);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                members(field, &format!("{path}.{name}"), lists);
            }
        }
        _ => {}
    }
}
