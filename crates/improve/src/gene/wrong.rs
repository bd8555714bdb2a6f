//! Calls that have what a fault says is wrong with them, for rehearsals. They follow from the text of the
//! fault and from no recipe: among them are values that no fix can put right.

use instar_release::mitigation::Shape;
use serde_json::{Value, json};

use super::Symptom;
use super::said::Said;

/// The wrong part of some calls; none where the text does not say what is wrong.
#[must_use]
pub fn wrong_calls(symptom: &Symptom) -> Vec<Value> {
    let Some(said) = Said::read(&symptom.text) else {
        return Vec::new();
    };
    let (argument, values) = match said {
        Said::Shape { argument, shape } => (argument, wrong_shapes(shape)),
        Said::AtMost { argument, most } => {
            let above = [1, 2, 10, 1_000].map(|more| json!(most.saturating_add(more)));
            (argument, above.to_vec())
        }
        Said::AtLeast { argument, least } => {
            let below = [1, 2, 10, 1_000].map(|less| json!(least.saturating_sub(less)));
            (argument, below.to_vec())
        }
        Said::Unknown { argument, .. } => {
            let any = [json!(3), json!("all"), json!(true), json!(["a"])];
            (argument, any.to_vec())
        }
        // What is left out, or is a word of its own, cannot be made up by anybody.
        Said::Missing { .. } | Said::OneOf { .. } => return Vec::new(),
    };
    let call = |value: Value| Value::Object([(argument.clone(), value)].into_iter().collect());
    values.into_iter().map(call).collect()
}

fn wrong_shapes(shape: Shape) -> Vec<Value> {
    let all = match shape {
        Shape::Number => json!(["2", "12", "7", "40", "3", "100", "two", [3]]),
        Shape::Text | Shape::Date => json!([12, 0.5, true, ["a"], {"text": "a"}]),
        Shape::Switch => json!(["yes", "true", "no", "false", "maybe", 1, ["yes"]]),
        Shape::List => json!(["a", "a, b", "one; two", 3, {"items": "a"}]),
    };
    all.as_array().cloned().unwrap_or_default()
}
