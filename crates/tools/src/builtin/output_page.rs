//! `output_page`: the rest of an output that was too long for one piece.

use futures_util::FutureExt as _;
use instar_policy::{Annotation, Kind, SlotRole};
use instar_protocol::Label;
use serde_json::json;
use std::sync::Arc;

use crate::annotate::slots;
use crate::output::{HANDLE_CHARS_MAX, OutputsPort};
use crate::plain::{Plain, number, spec, text};
use crate::tool::{Output, ToolError};

const PAGE_CHARS_DEFAULT: usize = 12_000;
/// Below the bound on outputs, so that a page is not cut once more.
const PAGE_CHARS_MAX: usize = 15_000;

pub(crate) fn tool(outputs: Arc<dyn OutputsPort>) -> Plain<dyn OutputsPort> {
    Plain {
        spec: spec(
            "output_page",
            "Shows a part of an earlier output that was too long, by the handle that was given in \
             its place.",
            &json!({
                "handle": { "type": "string", "minLength": 1, "maxLength": HANDLE_CHARS_MAX },
                "offset": { "type": "integer", "minimum": 0, "maximum": 1_000_000_000,
                    "description": "The first character, 0 if left out." },
                "limit": { "type": "integer", "minimum": 1, "maximum": PAGE_CHARS_MAX,
                    "description": "How many characters, 12000 if left out." },
            }),
            &["handle"],
        ),
        // The output brings the label that it had.
        annotation: Annotation {
            connector: "outputs".to_owned(),
            slots: slots(&[
                ("handle", SlotRole::Which, Kind::Id),
                ("offset", SlotRole::Plain, Kind::Number),
                ("limit", SlotRole::Plain, Kind::Number),
            ]),
            ..Annotation::reads(Label::system())
        },
        port: outputs,
        run: |outputs, arguments, caller| {
            async move {
                let handle = text(arguments, "handle").unwrap_or_default();
                let offset = number(arguments, "offset", 0);
                let limit = number(arguments, "limit", PAGE_CHARS_DEFAULT).min(PAGE_CHARS_MAX);
                let (whole, label) = outputs.kept(caller, handle).await?;
                let total = whole.chars().count();
                if offset >= total {
                    return Err(ToolError::Failed(format!(
                        "the output has {total} characters; {offset} is behind its end"
                    )));
                }
                let mut page: String = whole.chars().skip(offset).take(limit).collect();
                let end = total.min(offset + limit);
                if end < total {
                    page.push_str(&format!(
                        "\n[characters {offset} to {end} of {total}; go on with offset {end}]"
                    ));
                }
                Ok(Output::words(page, label))
            }
            .boxed()
        },
    }
}
