//! `edit`: replaces one exact piece of a file.

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use std::sync::Arc;

use super::change::{apply, present};
use super::path::writable;
use super::read::as_text;
use super::{Change, FileError, FilesPort};
use crate::annotate;
use crate::plain::{Plain, flag, spec, text};
use crate::tool::{Caller, Output, ToolError};

pub(super) fn tool(files: Arc<dyn FilesPort>) -> Plain<dyn FilesPort> {
    Plain {
        spec: spec(
            "edit",
            "Replaces a piece of a text file of the workspace. oldText must be there exactly, and \
             once unless all is set.",
            &json!({
                "path": { "type": "string", "minLength": 1, "maxLength": 1024 },
                "oldText": { "type": "string", "minLength": 1, "maxLength": 30_000 },
                "newText": { "type": "string", "maxLength": 30_000 },
                "all": { "type": "boolean", "description": "Replace every occurrence." },
            }),
            &["path", "oldText", "newText"],
        ),
        annotation: annotate::file_write(Some("path")),
        port: files,
        run: |files, arguments, caller| run(files, arguments, caller).boxed(),
    }
}

async fn run(
    files: &dyn FilesPort,
    arguments: &Value,
    caller: &Caller,
) -> Result<Output, ToolError> {
    let path = writable(text(arguments, "path").unwrap_or_default())?;
    let old = text(arguments, "oldText").unwrap_or_default();
    let new = text(arguments, "newText").unwrap_or_default();
    let read = present(files, caller, &path)
        .await?
        .ok_or_else(|| FileError::Missing(path.clone()))?;
    let before = as_text(&path, &read.bytes)?;
    let times = places(before, old, flag(arguments, "all"))?;
    if old == new {
        return Err(ToolError::Arguments(
            "oldText and newText are the same; nothing would change".to_owned(),
        ));
    }
    let change = Change {
        path: path.clone(),
        after: Some(before.replace(old, new).into_bytes()),
        before: Some(read.bytes.clone()),
        // The file is the work of both: who wrote the rest, and who wrote this.
        label: read.label.join(&caller.context),
    };
    apply(files, caller, vec![change]).await?;
    let told = match times {
        1 => format!("{path}: replaced"),
        times => format!("{path}: replaced {times} times"),
    };
    Ok(Output::system(told).with_value(json!({ "path": path, "times": times })))
}

/// How often `old` is there, if that is what was meant.
fn places(text: &str, old: &str, all: bool) -> Result<usize, ToolError> {
    let told = |what: String| Err(ToolError::Failed(what));
    match text.matches(old).count() {
        0 if text.replace("\r\n", "\n").contains(old) => {
            told("oldText is not there: the file ends its lines with CR LF".to_owned())
        }
        0 if squeezed(text).contains(&squeezed(old)) => told(
            "oldText is not there exactly: white space differs; read the lines again and copy them"
                .to_owned(),
        ),
        0 => told("oldText is not in the file; read it again".to_owned()),
        1 => Ok(1),
        times if all => Ok(times),
        times => told(format!(
            "oldText is there {times} times; give more lines around it, or set all"
        )),
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_found_exactly_and_otherwise_the_reason_is_told() {
        assert_eq!(places("a b c", "b", false).unwrap(), 1);
        assert_eq!(places("b b", "b", true).unwrap(), 2);
        for (text, old, told) in [
            ("b b", "b", "2 times"),
            ("a\r\nb", "a\nb", "CR LF"),
            ("a\n\tb", "a\n  b", "white space differs"),
            ("a", "z", "not in the file"),
        ] {
            let why = places(text, old, false).unwrap_err().to_string();
            assert!(why.contains(told), "{why}");
        }
    }
}
