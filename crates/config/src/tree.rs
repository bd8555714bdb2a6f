//! One change in a text's syntax tree, and the same change in its plain value to compare with.

use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Map, Value};

use crate::path::{KeyPath, Step};

/// A container that a step leads into.
enum Container {
    Object(CstObject),
    List(CstArray),
}

impl Container {
    fn of(node: &CstNode) -> Option<Self> {
        let object = node.as_object().map(Self::Object);
        object.or_else(|| node.as_array().map(Self::List))
    }

    /// The value one step down.
    fn child(&self, step: &Step) -> Option<CstNode> {
        match self {
            Self::Object(object) => match step {
                Step::Key(key) => object.get(key)?.value(),
                Step::Index(_) => None,
            },
            Self::List(list) => list.elements().get(position(step)?).cloned(),
        }
    }
}

/// A list position, written `[0]` or as a key that is a number.
fn position(step: &Step) -> Option<usize> {
    match step {
        Step::Index(index) => Some(*index),
        Step::Key(key) => key.parse().ok(),
    }
}

/// Sets a value in the tree, making the containers that are missing on the way.
pub(crate) fn put(tree: &CstRootNode, path: &KeyPath, value: &Value) -> Result<(), String> {
    let Some(root) = tree.object_value_or_create() else {
        return Err("the document is not an object".to_owned());
    };
    let Some((last, above)) = path.0.split_last() else {
        return Err("name the key to set".to_owned());
    };
    let mut container = Container::Object(root);
    for (depth, step) in above.iter().enumerate() {
        let Some(child) = container.child(step) else {
            let mut rest = path.0[depth + 1..].iter().rev();
            let nested = rest.try_fold(value.clone(), |inner, step| nest(step, inner))?;
            return place(&container, step, &nested);
        };
        container = Container::of(&child).ok_or_else(|| {
            let at = KeyPath(path.0[..=depth].to_vec());
            format!("{at} holds a plain value that nothing can stand below: unset it first")
        })?;
    }
    place(&container, last, value)
}

/// Wraps a value in the container that a step needs.
fn nest(step: &Step, inner: Value) -> Result<Value, String> {
    match step {
        Step::Key(key) => Ok(Value::Object(Map::from_iter([(key.clone(), inner)]))),
        Step::Index(0) => Ok(Value::Array(vec![inner])),
        Step::Index(index) => Err(format!("the list has no entry before position {index}")),
    }
}

fn place(container: &Container, step: &Step, value: &Value) -> Result<(), String> {
    match (container, step) {
        (Container::Object(object), Step::Key(key)) => match object.get(key) {
            Some(property) => property.set_value(input(value)),
            None => {
                object.append(key, input(value));
            }
        },
        (Container::Object(_), Step::Index(index)) => {
            return Err(format!(
                "[{index}] names a list position, but an object stands there"
            ));
        }
        (Container::List(list), step) => {
            let elements = list.elements();
            match position(step) {
                Some(index) if index < elements.len() => {
                    list.insert(index, input(value));
                    elements[index].clone().remove();
                }
                Some(index) if index == elements.len() => {
                    list.append(input(value));
                }
                _ => {
                    let count = elements.len();
                    return Err(format!(
                        "the list has {count} entries; name one of them, or [{count}] to append"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Why nothing was removed.
pub(crate) enum Missing {
    Key,
    Shape(String),
}

/// Removes a value from the tree.
pub(crate) fn take(tree: &CstRootNode, path: &KeyPath) -> Result<(), Missing> {
    let (last, above) = path
        .0
        .split_last()
        .ok_or_else(|| Missing::Shape("name the key to remove".to_owned()))?;
    let root = tree.object_value().ok_or(Missing::Key)?;
    let mut container = Container::Object(root);
    for step in above {
        let child = container.child(step).ok_or(Missing::Key)?;
        container = Container::of(&child).ok_or(Missing::Key)?;
    }
    match (&container, last) {
        (Container::Object(object), Step::Key(key)) => {
            object.get(key).ok_or(Missing::Key)?.remove();
        }
        (container, step) => container.child(step).ok_or(Missing::Key)?.remove(),
    }
    Ok(())
}

/// Does to the plain value what [`put`] does to the tree.
pub(crate) fn put_value(at: &mut Value, steps: &[Step], value: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *at = value.clone();
        return;
    };
    match (at, step) {
        (Value::Array(items), step) => {
            let index = position(step).unwrap_or(items.len());
            if index >= items.len() {
                items.push(Value::Null);
            }
            if let Some(item) = items.get_mut(index) {
                put_value(item, rest, value);
            }
        }
        (Value::Object(members), Step::Key(key)) => {
            let member = members.entry(key).or_insert(Value::Null);
            put_value(member, rest, value);
        }
        (other, Step::Key(_)) => {
            *other = Value::Object(Map::new());
            put_value(other, steps, value);
        }
        (other, Step::Index(_)) => {
            *other = Value::Array(Vec::new());
            put_value(other, steps, value);
        }
    }
}

/// Does to the plain value what [`take`] does to the tree.
pub(crate) fn take_value(at: &mut Value, steps: &[Step]) {
    match (at, steps) {
        (Value::Object(members), [Step::Key(key)]) => {
            members.shift_remove(key);
        }
        (Value::Object(members), [Step::Key(key), rest @ ..]) => {
            if let Some(member) = members.get_mut(key) {
                take_value(member, rest);
            }
        }
        (Value::Array(items), [step, rest @ ..]) => {
            let Some(index) = position(step).filter(|index| *index < items.len()) else {
                return;
            };
            if rest.is_empty() {
                items.remove(index);
            } else {
                take_value(&mut items[index], rest);
            }
        }
        _ => {}
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => CstInputValue::Object(
            members
                .iter()
                .map(|(key, value)| (key.clone(), input(value)))
                .collect(),
        ),
    }
}
