//! Working nodes and expressions out.

use serde_json::{Map, Value, json};
use std::cell::Cell;

use super::expression::Expression;
use super::parser::Node;
use super::{Vars, filters, methods};
use crate::bounds::{RENDERED_BYTES_MAX, TEMPLATE_STEPS_MAX};
use crate::data::{number_of, show, truthy};
use crate::error::Trouble;

pub(super) fn run(nodes: &[Node], vars: &Vars) -> Result<String, Trouble> {
    let mut evaluator = Evaluator::new(vars);
    let mut out = String::new();
    evaluator.nodes(nodes, &mut out)?;
    Ok(out)
}

pub(super) struct Evaluator<'a> {
    vars: &'a Vars,
    /// What loops and `set` named, the innermost last.
    scopes: Vec<Map<String, Value>>,
    steps: Cell<usize>,
    /// As JavaScript has it: a name that is not there is an error, and so is a field of nothing.
    strict: bool,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(vars: &'a Vars) -> Self {
        Self {
            vars,
            scopes: vec![Map::new()],
            steps: Cell::new(0),
            strict: false,
        }
    }

    pub(super) fn strict(vars: &'a Vars) -> Self {
        Self {
            strict: true,
            ..Self::new(vars)
        }
    }

    fn step(&self) -> Result<(), Trouble> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > TEMPLATE_STEPS_MAX {
            return Trouble::wrong(format!(
                "a template takes more than {TEMPLATE_STEPS_MAX} steps"
            ));
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], out: &mut String) -> Result<(), Trouble> {
        for node in nodes {
            self.step()?;
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Print(expression) => match self.value(expression)? {
                    Value::Null => {}
                    value => out.push_str(&show(&value)),
                },
                Node::If {
                    branches,
                    otherwise,
                } => {
                    let mut taken = otherwise;
                    for (when, body) in branches {
                        if truthy(&self.value(when)?) {
                            taken = body;
                            break;
                        }
                    }
                    self.nodes(taken, out)?;
                }
                Node::For {
                    names,
                    over,
                    body,
                    otherwise,
                } => {
                    let over = self.value(over)?;
                    self.repeat(names, over, body, otherwise, out)?;
                }
                Node::Set(names, expression) => {
                    let value = self.value(expression)?;
                    if let Some(scope) = self.scopes.last_mut() {
                        for name in names {
                            scope.insert(name.clone(), value.clone());
                        }
                    }
                }
            }
            if out.len() > RENDERED_BYTES_MAX {
                return Trouble::wrong(format!(
                    "a template writes more than {RENDERED_BYTES_MAX} bytes"
                ));
            }
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        names: &[String],
        over: Value,
        body: &[Node],
        otherwise: &[Node],
        out: &mut String,
    ) -> Result<(), Trouble> {
        let rounds: Vec<Vec<Value>> = match over {
            Value::Array(items) if names.len() == 1 => items.into_iter().map(|i| vec![i]).collect(),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::Array(parts) => parts,
                    other => vec![other],
                })
                .collect(),
            Value::Object(map) if names.len() == 2 => map
                .into_iter()
                .map(|(key, value)| vec![key.into(), value])
                .collect(),
            Value::String(text) if names.len() == 1 => {
                text.chars().map(|c| vec![c.to_string().into()]).collect()
            }
            _ => Vec::new(),
        };
        if rounds.is_empty() {
            return self.nodes(otherwise, out);
        }
        let length = rounds.len();
        for (index, values) in rounds.into_iter().enumerate() {
            let mut scope = Map::new();
            let mut values = values.into_iter();
            for name in names {
                scope.insert(name.clone(), values.next().unwrap_or(Value::Null));
            }
            let place = json!({
                "index": index + 1, "index0": index, "first": index == 0, "last": index + 1 == length,
                "length": length, "revindex": length - index, "revindex0": length - index - 1,
            });
            scope.insert("loop".to_owned(), place);
            self.scopes.push(scope);
            let done = self.nodes(body, out);
            self.scopes.pop();
            done?;
        }
        Ok(())
    }

    fn lookup(&self, name: &str) -> Option<&Value> {
        let scoped = self.scopes.iter().rev().find_map(|scope| scope.get(name));
        scoped.or_else(|| self.vars.get(name))
    }

    fn values(&self, expressions: &[Expression]) -> Result<Vec<Value>, Trouble> {
        expressions.iter().map(|one| self.value(one)).collect()
    }

    pub(super) fn value(&self, expression: &Expression) -> Result<Value, Trouble> {
        self.step()?;
        Ok(match expression {
            Expression::Value(value) => value.clone(),
            Expression::Name(name) => self.named(name)?,
            Expression::List(items) => Value::Array(self.values(items)?),
            Expression::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let key = match key {
                        Expression::Name(name) => name.clone(),
                        other => show(&self.value(other)?),
                    };
                    map.insert(key, self.value(value)?);
                }
                Value::Object(map)
            }
            Expression::Field(of, field) => self.field(of, field)?,
            Expression::Filter {
                of,
                name,
                arguments,
            } => {
                let arguments = self.values(arguments)?;
                if name == "default" || name == "d" {
                    return self.default(of, &arguments);
                }
                filters::apply(name, self.value(of)?, &arguments)?
            }
            Expression::Method {
                of,
                name,
                arguments,
            } => {
                let arguments = self.values(arguments)?;
                if let Expression::Name(object) = &**of
                    && object == "JSON"
                {
                    return methods::json(name, &arguments);
                }
                methods::apply(&self.value(of)?, name, &arguments)?
            }
            Expression::Function { name, arguments } => {
                let arguments = self.values(arguments)?;
                methods::function(name, &arguments)?
            }
            Expression::Not(of) => Value::Bool(!truthy(&self.value(of)?)),
            Expression::Minus(of) => number_of(-number(&self.value(of)?)?),
            Expression::Both(left, sign, right) => self.both(left, sign, right)?,
            Expression::Test {
                of,
                name,
                arguments,
                negated,
            } => Value::Bool(self.test(of, name, arguments)? != *negated),
            Expression::Choice {
                when,
                then,
                otherwise,
            } => {
                if truthy(&self.value(when)?) {
                    self.value(then)?
                } else {
                    match otherwise {
                        Some(otherwise) => self.value(otherwise)?,
                        None => Value::Null,
                    }
                }
            }
        })
    }

    fn named(&self, name: &str) -> Result<Value, Trouble> {
        match self.lookup(name) {
            Some(value) => Ok(value.clone()),
            None if self.strict => Trouble::wrong(format!("{name} is not defined")),
            None if name == ENVIRONMENT => outside(ENVIRONMENT),
            None => Ok(Value::Null),
        }
    }

    fn field(&self, of: &Expression, field: &Expression) -> Result<Value, Trouble> {
        let field = self.value(field)?;
        if !self.strict && matches!(of, Expression::Name(name) if name == ENVIRONMENT) {
            let set = self.lookup(ENVIRONMENT);
            let found = set.map_or(Value::Null, |set| field_of(set, &field));
            return match found {
                Value::Null => outside(&format!("{ENVIRONMENT}.{}", show(&field))),
                found => Ok(found),
            };
        }
        let value = self.value(of)?;
        if self.strict && value.is_null() {
            return Trouble::wrong(format!("nothing has no {:?}", show(&field)));
        }
        Ok(field_of(&value, &field))
    }

    fn is_defined(&self, expression: &Expression) -> Result<bool, Trouble> {
        Ok(match expression {
            Expression::Name(name) => self.lookup(name).is_some(),
            other => !self.value(other)?.is_null(),
        })
    }

    fn default(&self, of: &Expression, arguments: &[Value]) -> Result<Value, Trouble> {
        let otherwise = arguments.first().cloned().unwrap_or(Value::Null);
        let value = self.value(of)?;
        let keeps = match arguments.get(1).is_some_and(truthy) {
            true => truthy(&value),
            false => self.is_defined(of)?,
        };
        Ok(if keeps { value } else { otherwise })
    }

    fn both(&self, left: &Expression, sign: &str, right: &Expression) -> Result<Value, Trouble> {
        let left = self.value(left)?;
        match sign {
            "&&" if !truthy(&left) => return Ok(left),
            "||" if truthy(&left) => return Ok(left),
            "??" if !left.is_null() => return Ok(left),
            _ => {}
        }
        let right = self.value(right)?;
        let inside = |value: &Value| value.is_array() || value.is_object();
        if self.strict && sign.contains('=') && inside(&left) && inside(&right) {
            return Trouble::unsupported("comparing two lists or objects in an expression");
        }
        Ok(match sign {
            "&&" | "||" | "??" => right,
            "==" => Value::Bool(loosely_equal(&left, &right)),
            "!=" => Value::Bool(!loosely_equal(&left, &right)),
            "===" => Value::Bool(left == right),
            "!==" => Value::Bool(left != right),
            "<" | ">" | "<=" | ">=" => Value::Bool(ordered(&left, sign, &right)?),
            "in" => Value::Bool(holds(&right, &left)?),
            "~" => Value::String(format!("{}{}", printed(&left), printed(&right))),
            "+" if left.is_string() || right.is_string() => {
                Value::String(format!("{}{}", show(&left), show(&right)))
            }
            _ => arithmetic(number(&left)?, sign, number(&right)?),
        })
    }

    fn test(&self, of: &Expression, name: &str, arguments: &[Expression]) -> Result<bool, Trouble> {
        match name {
            "defined" => return self.is_defined(of),
            "undefined" => return Ok(!self.is_defined(of)?),
            _ => {}
        }
        let value = self.value(of)?;
        let argument = || match arguments.first() {
            Some(argument) => self.value(argument),
            None => Trouble::wrong(format!("the test {name:?} needs an argument")),
        };
        Ok(match name {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "mapping" => value.is_object(),
            "iterable" => value.is_array() || value.is_string(),
            "null" | "none" => value.is_null(),
            "truthy" => truthy(&value),
            "falsy" => !truthy(&value),
            "even" => number(&value)? % 2.0 == 0.0,
            "odd" => number(&value)? % 2.0 != 0.0,
            "divisibleby" => number(&value)? % number(&argument()?)? == 0.0,
            "lower" => value
                .as_str()
                .is_some_and(|text| text == text.to_lowercase()),
            "upper" => value
                .as_str()
                .is_some_and(|text| text == text.to_uppercase()),
            "eq" | "equalto" | "sameas" => value == argument()?,
            "ne" => value != argument()?,
            other => return Trouble::unsupported(format!("the test {other:?} in a template")),
        })
    }
}

/// What a suite sets for its templates. What it does not set would come from the environment.
const ENVIRONMENT: &str = "env";

fn outside<T>(what: &str) -> Result<T, Trouble> {
    Trouble::unsupported(format!(
        "{what} in a template, as the suite does not set it under `env`"
    ))
}

fn printed(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => show(other),
    }
}

fn field_of(of: &Value, field: &Value) -> Value {
    match (of, field) {
        (Value::Object(map), field) => map.get(&show(field)).cloned().unwrap_or(Value::Null),
        (Value::Array(items), Value::String(name)) if name == "length" => items.len().into(),
        (Value::String(text), Value::String(name)) if name == "length" => {
            text.encode_utf16().count().into()
        }
        (Value::Array(items), field) => index(field)
            .and_then(|at| items.get(at).cloned())
            .unwrap_or(Value::Null),
        (Value::String(text), field) => index(field)
            .and_then(|at| text.chars().nth(at))
            .map_or(Value::Null, |c| c.to_string().into()),
        _ => Value::Null,
    }
}

fn index(field: &Value) -> Option<usize> {
    match field {
        Value::Number(number) => usize::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A value as a number; where ECMAScript would go on with "not a number", this does not.
pub(super) fn number(value: &Value) -> Result<f64, Trouble> {
    let found = match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => Some(0.0),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    found.map_or_else(|| Trouble::wrong(format!("{value} is no number")), Ok)
}

fn arithmetic(left: f64, sign: &str, right: f64) -> Value {
    number_of(match sign {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "//" => (left / right).floor(),
        "%" => left % right,
        _ => left.powf(right),
    })
}

fn loosely_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::String(_), Value::String(_)) => left == right,
        (Value::Array(_) | Value::Object(_), Value::Array(_) | Value::Object(_)) => left == right,
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            show(left) == show(right)
        }
        _ => match (number(left), number(right)) {
            #[expect(clippy::float_cmp, reason = "equality is what was asked for")]
            (Ok(left), Ok(right)) => left == right,
            _ => false,
        },
    }
}

fn ordered(left: &Value, sign: &str, right: &Value) -> Result<bool, Trouble> {
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => number(left)?.partial_cmp(&number(right)?),
    };
    Ok(order.is_some_and(|order| match sign {
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        _ => order.is_ge(),
    }))
}

fn holds(of: &Value, what: &Value) -> Result<bool, Trouble> {
    match of {
        Value::Array(items) => Ok(items.contains(what)),
        Value::String(text) => Ok(text.contains(&show(what))),
        Value::Object(map) => Ok(map.contains_key(&show(what))),
        other => Trouble::wrong(format!("nothing can be in {other}")),
    }
}
