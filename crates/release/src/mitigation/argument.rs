//! Arguments of the wrong shape, put right.
//!
//! What a fix does depends on the value and on nothing else; a value that has the right shape stays as it
//! is, so that a fix can be applied twice.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// One change of shape of one argument.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ArgumentFix {
    /// Arguments that came as a text which is itself JSON.
    Unwrap,
    /// White space around it goes.
    Trim {
        argument: String,
    },
    /// A pair of quotation marks around it goes.
    Unquote {
        argument: String,
    },
    /// `"12"` becomes 12.
    Number {
        argument: String,
    },
    /// `12` becomes "12".
    Text {
        argument: String,
    },
    /// `"yes"` and `"true"` become true.
    Switch {
        argument: String,
    },
    /// One value becomes a list of one.
    List {
        argument: String,
    },
    /// `"a, b"` becomes a list.
    Split {
        argument: String,
    },
    Lower {
        argument: String,
    },
    /// `%20` and the like are read.
    Unescape {
        argument: String,
    },
    /// A number is kept within bounds.
    Clamp {
        argument: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        least: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<i32>,
    },
    /// An argument that goes by another name.
    Rename {
        from: String,
        to: String,
    },
    /// An argument that the tool does not know.
    Drop {
        argument: String,
    },
}

impl ArgumentFix {
    /// The arguments that it touches.
    #[must_use]
    pub fn touches(&self) -> Vec<&str> {
        match self {
            Self::Rename { from, to } => vec![from, to],
            one => one.argument().into_iter().collect(),
        }
    }

    /// The one argument that it is about.
    fn argument(&self) -> Option<&str> {
        match self {
            Self::Unwrap | Self::Rename { .. } => None,
            Self::Trim { argument }
            | Self::Unquote { argument }
            | Self::Number { argument }
            | Self::Text { argument }
            | Self::Switch { argument }
            | Self::List { argument }
            | Self::Split { argument }
            | Self::Lower { argument }
            | Self::Unescape { argument }
            | Self::Clamp { argument, .. }
            | Self::Drop { argument } => Some(argument),
        }
    }

    /// Puts the arguments right; true if that changed them.
    pub fn apply(&self, arguments: &mut Value) -> bool {
        if let Self::Unwrap = self {
            let read = arguments
                .as_str()
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .filter(Value::is_object);
            let changes = read.is_some();
            if let Some(read) = read {
                *arguments = read;
            }
            return changes;
        }
        let Some(map) = arguments.as_object_mut() else {
            return false;
        };
        match self {
            Self::Drop { argument } => map.shift_remove(argument).is_some(),
            Self::Rename { from, to } => rename(map, from, to),
            one => {
                let value = one.argument().and_then(|argument| map.get_mut(argument));
                let Some(value) = value else {
                    return false;
                };
                let Some(better) = self.better(value) else {
                    return false;
                };
                let changes = better != *value;
                *value = better;
                changes
            }
        }
    }

    fn better(&self, value: &Value) -> Option<Value> {
        let text = value.as_str();
        match self {
            Self::Trim { .. } => text.map(|text| text.trim().into()),
            Self::Unquote { .. } => text.and_then(unquoted).map(Into::into),
            Self::Number { .. } => text.and_then(number),
            Self::Text { .. } => match value {
                Value::Number(number) => Some(number.to_string().into()),
                Value::Bool(switch) => Some(switch.to_string().into()),
                _ => None,
            },
            Self::Switch { .. } => match text?.trim().to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(true.into()),
                "false" | "no" | "off" | "0" => Some(false.into()),
                _ => None,
            },
            Self::List { .. } => {
                (!value.is_array() && !value.is_null()).then(|| vec![value.clone()].into())
            }
            Self::Split { .. } => text.map(|text| {
                let parts = text.split([',', '\n']).map(str::trim);
                let parts = parts.filter(|part| !part.is_empty());
                parts.map(Value::from).collect::<Vec<_>>().into()
            }),
            Self::Lower { .. } => text.map(|text| text.to_lowercase().into()),
            Self::Unescape { .. } => text.and_then(unescaped).map(Into::into),
            Self::Clamp { least, most, .. } => {
                let least = least.map_or(i64::MIN, i64::from);
                let most = most.map_or(i64::MAX, i64::from).max(least);
                value
                    .as_i64()
                    .map(|number| number.clamp(least, most).into())
            }
            Self::Unwrap | Self::Rename { .. } | Self::Drop { .. } => None,
        }
    }
}

/// An argument that is there already is not written over.
fn rename(map: &mut Map<String, Value>, from: &str, to: &str) -> bool {
    if map.contains_key(to) {
        return false;
    }
    let Some(value) = map.shift_remove(from) else {
        return false;
    };
    map.insert(to.to_owned(), value);
    true
}

fn unquoted(text: &str) -> Option<&str> {
    let pairs = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('«', '»')];
    let inner = |(open, close): &(char, char)| {
        let inner = text.trim().strip_prefix(*open)?.strip_suffix(*close)?;
        (!inner.contains([*open, *close])).then_some(inner)
    };
    pairs.iter().find_map(inner)
}

fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    let part = text.parse::<f64>().ok().filter(|part| part.is_finite())?;
    Number::from_f64(part).map(Value::Number)
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut found = false;
    while let Some((first, after)) = rest.split_first() {
        let pair = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let read = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match read.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
                found = true;
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let whole = String::from_utf8(bytes).ok()?;
    // Control characters that were hidden so stay hidden.
    (found && !whole.chars().any(char::is_control)).then_some(whole)
}
