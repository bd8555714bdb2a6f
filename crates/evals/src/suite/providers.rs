//! Who answers, as a suite names it. A program that answers is read with the suite.

use serde_json::{Map, Value, json};

use super::read::{load, names, text_of};
use super::{Program, ProviderSpec};
use crate::bounds::PROMPTS_MAX;
use crate::error::SuiteError;
use crate::exec::EXEC;
use crate::files::Files;
use crate::provider::Language;

pub(super) fn read(value: Option<&Value>, files: &Files) -> Result<Vec<ProviderSpec>, SuiteError> {
    let one = |value: &Value| -> Result<Vec<ProviderSpec>, SuiteError> {
        match value {
            Value::String(file) if file.starts_with("file://") => {
                read(Some(&load(file, files)?), files)
            }
            Value::String(id) => Ok(vec![ProviderSpec {
                program: program(id, files)?,
                ..ProviderSpec::named(id)
            }]),
            Value::Object(map) => Ok(vec![provider(map, files)?]),
            other => Err(SuiteError::content(
                "providers",
                format!("{other} names no provider"),
            )),
        }
    };
    let found = match value {
        None | Some(Value::Null) => vec![ProviderSpec::named("echo")],
        Some(Value::Array(items)) => {
            let mut found = Vec::new();
            for item in items {
                found.extend(one(item)?);
            }
            found
        }
        Some(value) => one(value)?,
    };
    if found.is_empty() || found.len() > PROMPTS_MAX {
        return Err(SuiteError::content(
            "providers",
            format!("must be 1 to {PROMPTS_MAX}"),
        ));
    }
    Ok(found)
}

fn provider(map: &Map<String, Value>, files: &Files) -> Result<ProviderSpec, SuiteError> {
    // `{"name": {config}}` is the other way to write `{"id": "name", "config": {config}}`.
    let (id, map) = match (text_of(map, "id"), map.iter().next()) {
        (Some(id), _) => (id, map.clone()),
        (None, Some((id, Value::Object(inner)))) if map.len() == 1 => (id.clone(), inner.clone()),
        _ => return Err(SuiteError::content("providers", "a provider needs an `id`")),
    };
    Ok(ProviderSpec {
        program: program(&id, files)?,
        id,
        label: text_of(&map, "label"),
        config: map.get("config").cloned().unwrap_or(Value::Null),
        prompts: map.get("prompts").map(names),
        transform: text_of(&map, "transform"),
    })
}

/// The program of `exec: python answer.py`: one file beside the suite, in a language that runs behind walls. Whatever else
/// a command may be is left for the provider to refuse.
fn program(id: &str, files: &Files) -> Result<Option<Program>, SuiteError> {
    let Some(command) = id.strip_prefix(EXEC) else {
        return Ok(None);
    };
    let words: Vec<&str> = command.split_whitespace().collect();
    let (language, endings, file) = match words.as_slice() {
        ["python" | "python3", file] => (Language::Python, [".py", ".py"], *file),
        ["node", file] => (Language::JavaScript, [".js", ".cjs"], *file),
        _ => return Ok(None),
    };
    if !endings.iter().any(|ending| file.ends_with(ending)) {
        return Ok(None);
    }
    Ok(Some(Program {
        language,
        name: file.to_owned(),
        source: files.text(file)?,
    }))
}

/// What of it counts for the digest of its suite.
pub(super) fn identity(one: &ProviderSpec) -> Value {
    let mut whole = json!([one.id, one.label, one.config, one.prompts, one.transform]);
    if let (Some(program), Some(parts)) = (&one.program, whole.as_array_mut()) {
        parts.push(program.source.as_str().into());
    }
    whole
}
