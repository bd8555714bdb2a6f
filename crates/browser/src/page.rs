//! What is done on a page, through `page.js` in a world of its own.

use instar_tools::ToolError;
use instar_tools::browser::Element;
use serde_json::{Value, json};

use crate::engine::{CALL_TIME, Engine};
use crate::tabs::Tab;
use crate::wire::WireError;

/// The function that runs beside the page's scripts.
const SCRIPT: &str = include_str!("page.js");
/// The name of its world.
const WORLD: &str = "instar";

/// What was read of a page.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) url: String,
    pub(crate) text: String,
    pub(crate) title: String,
    pub(crate) elements: Vec<Element>,
    pub(crate) status: u64,
}

impl From<WireError> for ToolError {
    fn from(error: WireError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Engine {
    /// Runs one request of `page.js` in a tab.
    pub(crate) async fn ask(&self, tab: &Tab, request: Value) -> Result<Value, WireError> {
        let session = Some(tab.session.as_str());
        let world = json!({ "frameId": tab.target, "worldName": WORLD });
        let made = self
            .call(session, "Page.createIsolatedWorld", world)
            .await?;
        let call = json!({
            "functionDeclaration": SCRIPT,
            "executionContextId": made["executionContextId"],
            "arguments": [{ "value": request }],
            "returnByValue": true,
        });
        let mut answer = self
            .wire
            .call(session, "Runtime.callFunctionOn", call, CALL_TIME)
            .await?;
        if let Some(exception) = answer.get("exceptionDetails") {
            let what = &exception["exception"]["description"];
            let what = what.as_str().unwrap_or("no reason was given");
            return Err(WireError::Refused(what.chars().take(300).collect()));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Reads a tab and remembers what its elements said.
    pub(crate) async fn read(&self, number: u32, tab: &Tab) -> Result<Reading, WireError> {
        let request = json!({ "op": "read", "next": tab.next_ref });
        let read = self.ask(tab, request).await?;
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let list = read["elements"].as_array().map_or(&[][..], Vec::as_slice);
        let mut reading = Reading {
            url: text(&read, "url"),
            text: text(&read, "text"),
            title: text(&read, "title"),
            elements: Vec::with_capacity(list.len()),
            status: read["status"].as_u64().unwrap_or_default(),
        };
        if read["cut"] == true {
            reading
                .text
                .push_str("\n[the page goes on; no more of it was read]");
        }
        let mut tabs = self.tabs();
        if let Some(tab) = tabs.get_mut(number) {
            tab.url.clone_from(&reading.url);
            tab.title.clone_from(&reading.title);
            tab.next_ref = read["next"]
                .as_u64()
                .unwrap_or(tab.next_ref)
                .max(tab.next_ref);
            tab.elements.clear();
            for one in list {
                let _new = tab.elements.insert(text(one, "ref"), text(one, "what"));
            }
        }
        drop(tabs);
        reading.elements.extend(list.iter().map(|one| Element {
            reference: text(one, "ref"),
            role: text(one, "role"),
            name: text(one, "name"),
        }));
        Ok(reading)
    }

    /// Does something with an element that was read; an element that says something else by now is
    /// left alone.
    pub(crate) async fn with_element(
        &self,
        tab: &Tab,
        element: &str,
        mut request: Value,
    ) -> Result<Value, ToolError> {
        let what = tab.elements.get(element).ok_or_else(|| {
            ToolError::Arguments(format!(
                "there is no {element} on the page as it was read last; read it again"
            ))
        })?;
        request["ref"] = json!(element);
        request["what"] = json!(what);
        let done = self.ask(tab, request).await?;
        match done["error"].as_str() {
            None => Ok(done),
            Some(why) => Err(ToolError::Failed(format!(
                "{element} was left alone: {why}; read the page again"
            ))),
        }
    }
}
