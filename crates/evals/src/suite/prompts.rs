//! The prompts of a suite: texts, and files of texts.

use serde_json::Value;

use super::Prompt;
use crate::bounds::PROMPTS_MAX;
use crate::data;
use crate::error::SuiteError;
use crate::files::Files;

/// A line of a text file that stands between two prompts.
const BETWEEN: &str = "---";

pub(super) fn read(value: Option<&Value>, files: &Files) -> Result<Vec<Prompt>, SuiteError> {
    let mut found = Vec::new();
    match value {
        // An agent suite asks nothing but what its cases say.
        None | Some(Value::Null) => found.push(Prompt {
            raw: "{{prompt}}".to_owned(),
            label: "{{prompt}}".to_owned(),
            id: None,
        }),
        Some(Value::Array(items)) => {
            for item in items {
                found.extend(one(item, files)?);
            }
        }
        Some(value) => found.extend(one(value, files)?),
    }
    if found.is_empty() || found.len() > PROMPTS_MAX {
        return Err(SuiteError::content(
            "prompts",
            format!("must be 1 to {PROMPTS_MAX}"),
        ));
    }
    Ok(found)
}

fn one(value: &Value, files: &Files) -> Result<Vec<Prompt>, SuiteError> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (written, label, id) = match value {
        Value::String(written) => (written.clone(), None, None),
        Value::Object(_) => {
            let id = text("id");
            let Some(written) = text("raw").or_else(|| id.clone()) else {
                return Err(SuiteError::content(
                    "prompts",
                    "a prompt needs `raw` or `id`",
                ));
            };
            (written, text("label"), id)
        }
        other => {
            return Err(SuiteError::content(
                "prompts",
                format!("{other} is no prompt"),
            ));
        }
    };
    if is_file(&written) {
        let mut found = Vec::new();
        for file in files.matching(&written)? {
            found.extend(in_file(&file, label.as_deref(), files)?);
        }
        return Ok(found);
    }
    let label = label.unwrap_or_else(|| written.clone());
    Ok(vec![Prompt {
        raw: written,
        label,
        id,
    }])
}

/// A prompt that is a path: so marked, or one word with an ending that prompts are kept in.
fn is_file(written: &str) -> bool {
    const ENDINGS: [&str; 7] = ["txt", "json", "jsonl", "yaml", "yml", "md", "j2"];
    let ending = written.rsplit_once('.').map_or("", |(_, ending)| ending);
    written.starts_with("file://")
        || (!written.contains(char::is_whitespace) && ENDINGS.contains(&ending))
}

fn in_file(file: &str, label: Option<&str>, files: &Files) -> Result<Vec<Prompt>, SuiteError> {
    let text = files.text(file)?;
    let named = |raw: String, own: String| Prompt {
        label: label.map_or(own, str::to_owned),
        raw,
        id: None,
    };
    let whole = |raw: String| {
        let own = format!("{file}: {raw}");
        vec![named(raw, own)]
    };
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
    Ok(match ending {
        "txt" => {
            let mut parts = vec![Vec::new()];
            for line in text.lines() {
                if line.trim() == BETWEEN {
                    parts.push(Vec::new());
                } else if let Some(part) = parts.last_mut() {
                    part.push(line);
                }
            }
            let texts = parts
                .into_iter()
                .map(|part| part.join("\n").trim().to_owned());
            texts
                .filter(|raw| !raw.is_empty())
                .map(|raw| {
                    let own = format!("{file}: {raw}");
                    let label = label.map_or(own.clone(), |label| format!("{label}: {own}"));
                    Prompt {
                        raw,
                        label,
                        id: None,
                    }
                })
                .collect()
        }
        "jsonl" => text
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| named(line.to_owned(), format!("{file}: {line}")))
            .collect(),
        "json" => match data::json(&text) {
            Some(value) => whole(value.to_string()),
            None => whole(text),
        },
        "yaml" | "yml" => match data::yaml(&text) {
            Ok(value) => whole(value.to_string()),
            Err(_) => whole(text),
        },
        "md" | "j2" => whole(text),
        _ => {
            let problem = "prompts are read from txt, md, j2, JSON, JSONL and YAML";
            return Err(SuiteError::file(file, problem));
        }
    })
}
