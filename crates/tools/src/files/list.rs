//! `ls`: what is in a folder.

use futures_util::FutureExt as _;
use serde_json::json;
use std::sync::Arc;

use super::{FilesPort, Item, Kind, relative};
use crate::annotate;
use crate::plain::{Plain, spec, text};
use crate::tool::Output;

const ROWS_MAX: usize = 500;

pub(super) fn tool(files: Arc<dyn FilesPort>) -> Plain<dyn FilesPort> {
    Plain {
        spec: spec(
            "ls",
            "Lists a folder of the workspace: folders end with a slash, files have their size.",
            &json!({
                "path": { "type": "string", "maxLength": 1024,
                    "description": "Relative to the workspace; the workspace itself if left out." },
            }),
            &[],
        ),
        annotation: annotate::file_list(),
        port: files,
        run: |files, arguments, caller| {
            async move {
                let path = relative(text(arguments, "path").unwrap_or_default())?;
                let listed = files.list(caller, &path).await?;
                let shown = &listed.items[..listed.items.len().min(ROWS_MAX)];
                let mut lines: Vec<String> = shown.iter().map(line).collect();
                if lines.is_empty() {
                    lines.push("[empty]".to_owned());
                }
                if listed.cut || shown.len() < listed.items.len() {
                    lines.push(format!(
                        "[only the first {} are shown; use glob to find others]",
                        shown.len()
                    ));
                }
                Ok(Output::words(lines.join("\n"), listed.label).with_value(rows(shown)))
            }
            .boxed()
        },
    }
}

fn line(item: &Item) -> String {
    let name = item.path.rsplit('/').next().unwrap_or_default();
    match item.kind {
        Kind::Folder => format!("{name}/"),
        Kind::File => format!("{name} {}", item.bytes),
        Kind::Other => format!("{name} (a link or device)"),
    }
}

/// The same, for policy: paths as typed fields.
pub(super) fn rows(items: &[Item]) -> serde_json::Value {
    let row = |item: &Item| json!({ "path": item.path, "bytes": item.bytes });
    json!({ "files": items.iter().map(row).collect::<Vec<_>>() })
}
