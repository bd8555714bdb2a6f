//! A page as an image or a document: a file of the workspace with a stranger's label.

use futures_util::FutureExt as _;
use instar_policy::Kind;
use instar_policy::SlotRole;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Action, BrowserTool, Ports, Seen, label, tab, with_tab};
use crate::annotate::{file_write, slots};
use crate::files::{Change, FILE_BYTES_MAX, FileError, guarded, relative};
use crate::picture::Picture;
use crate::plain::{flag, spec, text};
use crate::tool::{Caller, Output, Tool, ToolError};

/// How the file of a screenshot ends.
const SHOT: &str = ".png";

pub(super) fn tools(ports: &Ports) -> Vec<Arc<dyn Tool>> {
    vec![Arc::new(screenshot(ports)), Arc::new(pdf(ports))]
}

fn path_property(example: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 500,
        "description": format!("In the workspace, for example {example}.") })
}

fn screenshot(ports: &Ports) -> BrowserTool {
    let mut annotation = file_write(Some("path"));
    annotation.slots.extend(slots(&[
        ("tab", SlotRole::Plain, Kind::Id),
        ("wholePage", SlotRole::Plain, Kind::Bool),
    ]));
    BrowserTool {
        spec: spec(
            "browser_screenshot",
            "Keeps an image of the page as a PNG file of the workspace, and shows it.",
            &with_tab(json!({
                "path": path_property("shots/page.png"),
                "wholePage": { "type": "boolean" },
            })),
            &["path"],
        ),
        annotation,
        is_bound: false,
        ports: ports.clone(),
        run: |ports, arguments, caller| {
            let action = Action::Screenshot {
                tab: tab(arguments),
                whole: flag(arguments, "wholePage"),
            };
            keep(ports, arguments, caller, action, SHOT).boxed()
        },
    }
}

fn pdf(ports: &Ports) -> BrowserTool {
    let mut annotation = file_write(Some("path"));
    annotation
        .slots
        .extend(slots(&[("tab", SlotRole::Plain, Kind::Id)]));
    BrowserTool {
        spec: spec(
            "browser_pdf",
            "Keeps the page as a PDF file of the workspace.",
            &with_tab(json!({ "path": path_property("papers/page.pdf") })),
            &["path"],
        ),
        annotation,
        is_bound: false,
        ports: ports.clone(),
        run: |ports, arguments, caller| {
            let action = Action::Pdf {
                tab: tab(arguments),
            };
            keep(ports, arguments, caller, action, ".pdf").boxed()
        },
    }
}

async fn keep(
    ports: &Ports,
    arguments: &Value,
    caller: &Caller,
    action: Action,
    ending: &str,
) -> Result<Output, ToolError> {
    let path = relative(text(arguments, "path").unwrap_or_default())?;
    if !path.to_ascii_lowercase().ends_with(ending) {
        return Err(ToolError::Arguments(format!(
            "the path has to end with {ending}"
        )));
    }
    if guarded(&path) {
        return Err(FileError::Guarded(path).into());
    }
    let before = match ports.files.read(caller, &path).await {
        Ok(read) => Some(read.bytes),
        Err(FileError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let Seen::Bytes(bytes) = ports.browser.act(caller, action).await? else {
        return Err(ToolError::Failed("the page gave no picture".to_owned()));
    };
    let count = bytes.len();
    if count > FILE_BYTES_MAX {
        return Err(ToolError::Failed(format!(
            "the file would have {count} bytes, more than the {FILE_BYTES_MAX} that fit"
        )));
    }
    let change = Change {
        path: path.clone(),
        before,
        after: Some(bytes.clone()),
        label: label(caller).join(&caller.context),
    };
    ports.files.change(caller, vec![change]).await?;
    let told = format!("{path} is there, {count} bytes");
    if ending != SHOT {
        return Ok(Output::system(told));
    }
    Ok(match Picture::read(&path, bytes) {
        // What is to be read in it the page has written.
        Ok(picture) => Output::words(told, label(caller)).with_picture(picture),
        Err(why) => Output::system(format!("{told}; it is not shown: {why}")),
    })
}
