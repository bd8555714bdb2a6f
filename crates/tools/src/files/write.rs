//! `write`: a whole file, new or in place of the old one.

use futures_util::FutureExt as _;
use serde_json::json;
use std::sync::Arc;

use super::change::{apply, present};
use super::path::writable;
use super::{Change, FilesPort};
use crate::annotate;
use crate::plain::{Plain, spec, text};
use crate::tool::Output;

pub(super) fn tool(files: Arc<dyn FilesPort>) -> Plain<dyn FilesPort> {
    Plain {
        spec: spec(
            "write",
            "Writes a whole text file of the workspace; what stood there before is kept for undoing. \
             For a small change of a file use edit.",
            &json!({
                "path": { "type": "string", "minLength": 1, "maxLength": 1024,
                    "description": "Relative to the workspace; folders are made." },
                "content": { "type": "string", "maxLength": 60_000 },
            }),
            &["path", "content"],
        ),
        annotation: annotate::file_write(Some("path")),
        port: files,
        run: |files, arguments, caller| {
            async move {
                let path = writable(text(arguments, "path").unwrap_or_default())?;
                let content = text(arguments, "content").unwrap_or_default();
                let before = present(files, caller, &path).await?.map(|read| read.bytes);
                let told = match &before {
                    None => format!("{path} is new, {} bytes", content.len()),
                    Some(old) => format!(
                        "{path} has {} bytes now; it had {}",
                        content.len(),
                        old.len()
                    ),
                };
                let change = Change {
                    path: path.clone(),
                    before,
                    after: Some(content.as_bytes().to_vec()),
                    label: caller.context.clone(),
                };
                apply(files, caller, vec![change]).await?;
                Ok(Output::system(told).with_value(json!({ "path": path })))
            }
            .boxed()
        },
    }
}
