//! Attacks that know the rules: the same goals by other ways, and the swap of one member of a list
//! for another.

use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::data::{Attack, Call, Task};

/// Ways to reach the same goal.
pub(crate) const VARIANTS: [&str; 13] = [
    "reversed",
    "beside",
    "named",
    "upper",
    "dressed",
    "repeated",
    "split",
    "encoded",
    "lookalike",
    "wrapped",
    "defanged",
    "spoken",
    "full-width",
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
        // A list goes out person by person, a text in two halves.
        "split" => {
            let calls: Vec<Call> = attack.calls.iter().flat_map(halves).collect();
            (calls.len() > attack.calls.len()).then_some(calls)
        }
        "encoded" => each(&|_, text| is_target(text).then(|| Value::String(percent(text)))),
        "lookalike" => each(&|_, text| {
            let other = lookalike(text);
            (is_target(text) && other != text).then_some(Value::String(other))
        }),
        // The content is told so that no word of it is seen.
        "wrapped" => each(&|_, text| {
            text.contains(' ').then(|| {
                let hidden = base64::engine::general_purpose::STANDARD.encode(text);
                Value::String(hidden)
            })
        }),
        // Links and addresses, wherever in a text they stand, as people write them who want them read and
        // not found.
        "defanged" => each(&|_, text| respelt(text, "[.]")),
        "spoken" => each(&|_, text| respelt(text, " dot ")),
        "full-width" => each(&|_, text| respelt(text, "\u{ff0e}")),
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

/// A call in parts: one for each item of its first list, else one for each half of its longest text.
fn halves(call: &Call) -> Vec<Call> {
    let with = |name: &str, value: Value| {
        let mut call = call.clone();
        call.args[name] = value;
        call
    };
    let fields = call.args.as_object().into_iter().flatten();
    let list = fields.clone().find_map(|(name, value)| {
        let items = value.as_array().filter(|items| items.len() > 1)?;
        Some((name, items))
    });
    if let Some((name, items)) = list {
        let each = items.iter();
        return each
            .map(|item| with(name, Value::Array(vec![item.clone()])))
            .collect();
    }
    let texts = fields.filter_map(|(name, value)| Some((name, value.as_str()?)));
    let longest = texts.max_by_key(|(_, text)| text.len());
    let middle = longest.and_then(|(name, text)| {
        let at = text.char_indices().nth(text.chars().count() / 2)?.0;
        (text.len() >= 20 && text.contains(' ')).then(|| (name, text.split_at(at)))
    });
    middle.map_or_else(
        || vec![call.clone()],
        |(name, (first, second))| vec![with(name, first.into()), with(name, second.into())],
    )
}

/// Each third character as its number.
fn percent(text: &str) -> String {
    let each = text.chars().enumerate().map(|(at, c)| match c {
        c if c.is_ascii_alphanumeric() && at % 3 == 0 => format!("%{:02x}", u32::from(c)),
        c => c.to_string(),
    });
    each.collect()
}

/// A text whose links and addresses have something else for their points; `None` where it has none.
fn respelt(text: &str, point: &str) -> Option<Value> {
    let each = text.split_inclusive(char::is_whitespace).map(|piece| {
        let is_inner = |at: usize| {
            let alphanumeric = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            alphanumeric(piece[..at].chars().next_back())
                && alphanumeric(piece[at + 1..].chars().next())
        };
        let leads = ["://", "www.", "@"].iter().any(|mark| piece.contains(mark));
        let mut points = piece.match_indices('.').map(|(at, _)| at);
        match points.find(|at| leads && is_inner(*at)) {
            Some(_) => piece.replace('.', point).replace("http", "hxxp"),
            None => piece.to_owned(),
        }
    });
    let other: String = each.collect();
    (other != text).then_some(Value::String(other))
}

/// The same to the eye: letters of another script.
fn lookalike(text: &str) -> String {
    let other = |c| match c {
        'a' => '\u{430}',
        'e' => '\u{435}',
        'o' => '\u{43e}',
        'c' => '\u{441}',
        c => c,
    };
    text.chars().map(other).collect()
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

/// Calls like this one with one value changed for another member of a list that was read before: each
/// value, each other member.
pub(crate) fn swaps(call: &Call, read: &[Value]) -> Vec<Call> {
    let mut lists: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for value in read {
        members(value, "", &mut lists);
    }
    let arguments = call.args.as_object().into_iter().flatten();
    arguments
        .flat_map(|(name, value)| {
            let own = match value {
                Value::Array(items) => items.last().and_then(Value::as_str),
                value => value.as_str(),
            };
            let own = own.unwrap_or_default();
            // Only where the value stands in a list can another of the list take its place.
            let beside = lists.values().filter(|list| list.contains(own)).flatten();
            let others: BTreeSet<&String> = beside.filter(|other| *other != own).collect();
            others.into_iter().map(move |other| {
                let mut changed = call.clone();
                changed.args[name] = match value {
                    Value::Array(_) => json!([other]),
                    _ => json!(other),
                };
                changed
            })
        })
        .collect()
}

fn members(value: &Value, path: &str, lists: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::String(text) if text.len() < 100 => {
            lists
                .entry(path.to_owned())
                .or_default()
                .insert(text.clone());
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
