//! Requests to bytes, one module per wire format.

mod anthropic;
mod chat;
mod ollama;
mod responses;

use super::tool_ids::ToolIds;
use crate::config::Api;
use crate::vendor::Quirks;
use instar_protocol::ObjectHash;
use instar_protocol::message::Part;
use instar_protocol::model::ModelRequest;
use std::collections::BTreeMap;

/// The images of a request in base 64, read before it is encoded.
pub type Images = BTreeMap<ObjectHash, String>;

/// What is asked of which model.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    pub model: &'a str,
    pub request: &'a ModelRequest,
    pub images: &'a Images,
    pub quirks: &'a Quirks,
    /// The longest answer the model gives; used where a vendor wants a number.
    pub max_tokens: u64,
    /// The owner's own number for the window, if there is one.
    pub context_window: Option<u64>,
    /// The model reasons, so some vendors take no sampling parameters.
    pub reasoning: bool,
}

/// The request's body, as JSON.
pub fn encode(api: Api, what: Encoded<'_>) -> Result<Vec<u8>, serde_json::Error> {
    match api {
        Api::OpenaiCompletions => chat::encode(what),
        Api::OpenaiResponses => responses::encode(what),
        Api::AnthropicMessages => anthropic::encode(what),
        Api::Ollama => ollama::encode(what),
    }
}

impl<'a> Encoded<'a> {
    fn tool_ids(&self) -> ToolIds {
        self.quirks.tool_ids
    }

    /// All system text; the stable sections come first, so that vendors' prefix caches hit.
    fn system(&self) -> String {
        let sections: Vec<&str> = self
            .request
            .system
            .iter()
            .map(|section| section.text.as_str())
            .collect();
        sections.join("\n\n")
    }

    /// Whether sampling parameters may be sent.
    fn samples(&self) -> bool {
        !(self.reasoning && self.quirks.reasoning_fixes_sampling)
    }

    fn image(&self, object: &ObjectHash) -> Option<&'a str> {
        self.images.get(object).map(String::as_str)
    }
}

/// What a part reads as where only text goes.
fn part_text(part: &Part) -> std::borrow::Cow<'_, str> {
    match part {
        Part::Text { text } => text.into(),
        Part::Image { .. } => "[image]".into(),
        Part::File {
            name, mime, text, ..
        } => format!("[file {name:?}, {mime}]\n{text}\n[end of file]").into(),
    }
}
