//! The templates of prompts, values and names: the part of Nunjucks that suites use.
//!
//! Output, `if`, `for`, `set`, `raw`, comments, whitespace control, expressions, tests and the filters of
//! [`filters`]. What belongs to Nunjucks and is not done here (macros, inclusion, blocks, filters of one's
//! own) is told by name as unsupported; nothing is guessed. No template can reach the environment, a file
//! or the network, and all work is counted.
//!
//! The expressions are also the safe part of the transforms that suites write in JavaScript: [`transform`].

mod eval;
mod expression;
mod filters;
mod lexer;
mod methods;
mod parser;

use serde_json::{Map, Value};
use std::borrow::Cow;

use crate::data;
use crate::error::Trouble;
use parser::Node;

/// The names that a template may use.
pub(crate) type Vars = Map<String, Value>;

/// Writes a template out.
pub(crate) fn render(template: &str, vars: &Vars) -> Result<String, Trouble> {
    if !has_tags(template) {
        return Ok(template.to_owned());
    }
    eval::run(&parser::parse(template)?, vars)
}

/// As [`render`], for the strings inside a list or an object.
pub(crate) fn render_value(value: &Value, vars: &Vars) -> Result<Value, Trouble> {
    Ok(match value {
        Value::String(text) => Value::String(render(text, vars)?),
        Value::Array(items) => items
            .iter()
            .map(|item| render_value(item, vars))
            .collect::<Result<_, _>>()?,
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| Ok((key.clone(), render_value(item, vars)?)))
            .collect::<Result<_, _>>()?,
        other => other.clone(),
    })
}

/// Puts the values of plain `{{name}}` into every string of a value, names of fields included. Names that
/// are not there stay: they are somebody else's to fill.
pub(crate) fn put_in(value: &Value, vars: &Vars) -> Value {
    match value {
        Value::String(text) => Value::String(put_in_text(text, vars)),
        Value::Array(items) => items.iter().map(|item| put_in(item, vars)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| (put_in_text(key, vars), put_in(item, vars)))
            .collect(),
        other => other.clone(),
    }
}

fn put_in_text(text: &str, vars: &Vars) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((from, to, name)) = first_plain(rest) {
        match vars.get(name) {
            Some(value) => {
                out.push_str(&rest[..from]);
                out.push_str(&data::show(value));
            }
            None => out.push_str(&rest[..to]),
        }
        rest = &rest[to..];
    }
    out.push_str(rest);
    out
}

/// Works a transform out: an expression over `output` and `context`.
pub(crate) fn transform(source: &str, scope: &Vars) -> Result<Value, Trouble> {
    let tokens = lexer::script(source)?;
    let expression = parser::whole(tokens)?;
    match eval::Evaluator::strict(scope).value(&expression)? {
        Value::Null => Trouble::wrong(format!("the transform {source:?} gives no value")),
        value => Ok(value),
    }
}

/// The prompt that goes to a provider: values are put into values first, then into the prompt. A prompt
/// that is JSON stays JSON, with its strings written out.
pub(crate) fn prompt(raw: &str, vars: &Vars) -> Result<(String, Vars), Trouble> {
    let mut vars = vars.clone();
    for value in vars.values_mut() {
        if let Value::String(text) = value
            && text.ends_with('\n')
        {
            text.pop();
        }
    }
    resolve(&mut vars);
    let looks = raw.trim_start();
    if looks.starts_with(['{', '[', '"'])
        && let Some(parsed) = data::json(raw)
    {
        let written = render_value(&parsed, &vars)?;
        let pretty = serde_json::to_string_pretty(&written);
        return match pretty {
            Ok(text) => Ok((text, vars)),
            Err(error) => Trouble::wrong(error.to_string()),
        };
    }
    let mut written = Vars::new();
    for (name, value) in &vars {
        let value = match value {
            Value::String(text) if has_tags(text) => Value::String(render_known(text, &vars)?),
            other => other.clone(),
        };
        written.insert(name.clone(), value);
    }
    let text = render(&unfinished_as_text(raw), &written)?;
    Ok((text, vars))
}

/// Puts the values of plain `{{name}}` into the values that hold them, a few times over.
fn resolve(vars: &mut Vars) {
    const ROUNDS: usize = 5;
    for _ in 0..ROUNDS {
        let mut changed = false;
        let names: Vec<String> = vars.keys().cloned().collect();
        for name in names {
            let Some(Value::String(text)) = vars.get(&name) else {
                continue;
            };
            let Some((from, to, inner)) = first_plain(text) else {
                continue;
            };
            let Some(value) = vars.get(inner) else {
                continue;
            };
            let put = format!("{}{}{}", &text[..from], data::show(value), &text[to..]);
            if put.len() > crate::bounds::RENDERED_BYTES_MAX {
                return;
            }
            vars.insert(name, Value::String(put));
            changed = true;
        }
        if !changed {
            return;
        }
    }
}

/// The first `{{ name }}` of a text: where it stands, and the name.
fn first_plain(text: &str) -> Option<(usize, usize, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("{{") {
        let open = from + at;
        let rest = &text[open + 2..];
        let name = rest.trim_start();
        let word = name
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        let after = name[word..].trim_start();
        if word > 0 && after.starts_with("}}") {
            let close = text.len() - after.len() + 2;
            return Some((open, close, &name[..word]));
        }
        from = open + 1;
    }
    None
}

/// Writes a value out, unless it speaks of names that are not there: then it stays as it is.
fn render_known(text: &str, vars: &Vars) -> Result<String, Trouble> {
    let text = unfinished_as_text(text);
    let nodes = parser::parse(&text)?;
    let unknown = outputs(&nodes).any(|name| name != "env" && !vars.contains_key(name));
    if unknown {
        return Ok(text.into_owned());
    }
    eval::run(&nodes, vars)
}

/// The names at the root of what a template prints.
fn outputs(nodes: &[Node]) -> impl Iterator<Item = &str> {
    nodes.iter().filter_map(|node| match node {
        Node::Print(expression) => expression.root(),
        _ => None,
    })
}

/// A text in which a tag begins and does not end on its line is no template.
fn unfinished_as_text(text: &str) -> Cow<'_, str> {
    let open = |tag: &str, end: char| {
        text.match_indices(tag).any(|(at, _)| {
            let rest = &text[at + tag.len()..];
            let line = rest.split('\n').next().unwrap_or(rest);
            !line.contains(end)
        })
    };
    let unfinished = open("{%", '%') || open("{{", '}') || open("{#", '#');
    if unfinished && !(text.contains("raw") && text.contains("endraw")) {
        return Cow::Owned(format!("{{% raw %}}{text}{{% endraw %}}"));
    }
    Cow::Borrowed(text)
}

fn has_tags(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}
