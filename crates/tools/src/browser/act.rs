//! Working a page. Where it leads is up to the page, so nothing in a call can vouch for it.

use futures_util::FutureExt as _;
use instar_policy::{Annotation, Kind, Reach, SlotRole};
use instar_protocol::tool::Effect;
use serde_json::{Value, json};
use std::sync::Arc;

use super::look::reads;
use super::{Action, BrowserTool, Ports, Seen, label, show, tab, with_tab};
use crate::annotate::slots;
use crate::plain::{flag, spec, text};
use crate::tool::{Caller, Output, Tool, ToolError};

const TEXT_CHARS_MAX: u64 = 20_000;
const SCRIPT_CHARS_MAX: u64 = 20_000;

pub(super) fn tools(ports: &Ports) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(click(ports)),
        Arc::new(type_in(ports)),
        Arc::new(select(ports)),
        Arc::new(press(ports)),
    ]
}

/// A call that does something on a page: no argument of it says whom it reaches.
fn acts(effect: Effect, more: &[(&str, SlotRole, Kind)]) -> Annotation {
    let mut annotation = reads(effect, Reach::Outside);
    annotation.slots.extend(slots(more));
    annotation
}

fn reference() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 12,
        "description": "The element, as browser_read names it: e7." })
}

fn element(arguments: &Value) -> String {
    text(arguments, "ref").unwrap_or_default().to_owned()
}

fn click(ports: &Ports) -> BrowserTool {
    BrowserTool {
        spec: spec(
            "browser_click",
            "Clicks an element. To follow a link whose address you were given, browser_open is better.",
            &with_tab(json!({ "ref": reference() })),
            &["ref"],
        ),
        annotation: acts(Effect::Send, &[("ref", SlotRole::Plain, Kind::Id)]),
        is_bound: true,
        ports: ports.clone(),
        run: |ports, arguments, caller| {
            let action = Action::Click {
                tab: tab(arguments),
                element: element(arguments),
            };
            show(ports, caller, action).boxed()
        },
    }
}

fn type_in(ports: &Ports) -> BrowserTool {
    BrowserTool {
        spec: spec(
            "browser_type",
            "Writes into a field, in the place of what stands there. Passwords are for the owner to type.",
            &with_tab(json!({
                "ref": reference(),
                "text": { "type": "string", "maxLength": TEXT_CHARS_MAX },
                "submit": { "type": "boolean", "description": "Press Enter afterwards." },
            })),
            &["ref", "text"],
        ),
        annotation: acts(
            Effect::Send,
            &[
                ("ref", SlotRole::Plain, Kind::Id),
                ("text", SlotRole::Payload, Kind::Text),
                ("submit", SlotRole::Plain, Kind::Bool),
            ],
        ),
        is_bound: true,
        ports: ports.clone(),
        run: |ports, arguments, caller| {
            let action = Action::Type {
                tab: tab(arguments),
                element: element(arguments),
                text: text(arguments, "text").unwrap_or_default().to_owned(),
                submit: flag(arguments, "submit"),
            };
            show(ports, caller, action).boxed()
        },
    }
}

fn select(ports: &Ports) -> BrowserTool {
    BrowserTool {
        spec: spec(
            "browser_select",
            "Chooses an option of a list.",
            &with_tab(json!({
                "ref": reference(),
                "option": { "type": "string", "maxLength": 500, "description": "As the page shows it." },
            })),
            &["ref", "option"],
        ),
        annotation: acts(
            Effect::Send,
            &[
                ("ref", SlotRole::Plain, Kind::Id),
                ("option", SlotRole::Payload, Kind::Text),
            ],
        ),
        is_bound: true,
        ports: ports.clone(),
        run: |ports, arguments, caller| {
            let action = Action::Select {
                tab: tab(arguments),
                element: element(arguments),
                option: text(arguments, "option").unwrap_or_default().to_owned(),
            };
            show(ports, caller, action).boxed()
        },
    }
}

/// The keys that can be pressed.
const KEYS: [&str; 14] = [
    "Enter",
    "Escape",
    "Tab",
    "Space",
    "Backspace",
    "Delete",
    "ArrowUp",
    "ArrowDown",
    "ArrowLeft",
    "ArrowRight",
    "PageUp",
    "PageDown",
    "Home",
    "End",
];

fn press(ports: &Ports) -> BrowserTool {
    BrowserTool {
        spec: spec(
            "browser_press",
            "Presses a key, where the page has its cursor.",
            &with_tab(json!({ "key": { "type": "string", "enum": KEYS } })),
            &["key"],
        ),
        annotation: acts(Effect::Send, &[("key", SlotRole::Plain, Kind::Enum)]),
        is_bound: true,
        ports: ports.clone(),
        run: |ports, arguments, caller| {
            let action = Action::Press {
                tab: tab(arguments),
                key: text(arguments, "key").unwrap_or_default().to_owned(),
            };
            show(ports, caller, action).boxed()
        },
    }
}

/// Runs code of the model's, with all that the page may do.
pub(super) fn evaluate(ports: &Ports) -> Arc<dyn Tool> {
    Arc::new(BrowserTool {
        spec: spec(
            "browser_evaluate",
            "Runs JavaScript in the page and gives what it comes to.",
            &with_tab(json!({
                "script": { "type": "string", "minLength": 1, "maxLength": SCRIPT_CHARS_MAX },
            })),
            &["script"],
        ),
        // The script itself is what needs a word of the owner's.
        annotation: acts(Effect::Execute, &[("script", SlotRole::Which, Kind::Text)]),
        is_bound: true,
        ports: ports.clone(),
        run: |ports, arguments, caller| run_script(ports, arguments, caller).boxed(),
    })
}

async fn run_script(
    ports: &Ports,
    arguments: &Value,
    caller: &Caller,
) -> Result<Output, ToolError> {
    let action = Action::Evaluate {
        tab: tab(arguments),
        script: text(arguments, "script").unwrap_or_default().to_owned(),
    };
    match ports.browser.act(caller, action).await? {
        Seen::Value(value) => Ok(Output::words(value.to_string(), label(caller))),
        Seen::Page(_) | Seen::Tabs(_) | Seen::Bytes(_) => Err(ToolError::Failed(
            "the script gave nothing that can be shown".to_owned(),
        )),
    }
}
