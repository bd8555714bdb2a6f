//! Scripts that a suite names, read with it.

use serde_json::{Value, json};

use crate::error::SuiteError;
use crate::files::Files;

/// The script of an assertion that is in a file, `file://check.py:function`: its text, and which function
/// of it decides. One in another language stays a name.
pub(super) fn read(
    kind: &str,
    value: Option<&Value>,
    files: &Files,
) -> Result<Option<Value>, SuiteError> {
    let endings: &[&str] = match kind {
        "javascript" => &["js", "cjs", "mjs"],
        "python" => &["py"],
        _ => return Ok(None),
    };
    let name = value.and_then(Value::as_str);
    let Some(name) = name.and_then(|name| name.strip_prefix("file://")) else {
        return Ok(None);
    };
    let (name, function) = match name.split_once(':') {
        Some((name, function)) => (name, Some(function)),
        None => (name, None),
    };
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if !endings.contains(&ending) {
        return Ok(None);
    }
    let source = files.text(name)?;
    Ok(Some(json!({
        "name": format!("script.{ending}"), "function": function, "source": source,
    })))
}
