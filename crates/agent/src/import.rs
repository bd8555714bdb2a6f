//! Earlier messages that an API caller sent along.
//!
//! A fresh session takes them into its transcript, so that later turns have them too. A session
//! with a history of its own has them already: of those, only results for calls that it handed out
//! are taken. Their label says that the caller vouches for them and nobody else: what a caller
//! presents as the agent's words or as a tool's output is a stranger's.

use instar_protocol::message::{EntryBody, Inbound, Preamble};
use instar_protocol::model::{ModelRef, StopReason, Usage};
use instar_protocol::tool::ToolDecision;
use instar_protocol::{Label, Readers};
use std::collections::BTreeMap;

use crate::driver::Turn;
use crate::fence;

/// Stands where the model of an imported answer would be named.
const IMPORTED_MODEL: &str = "caller/unknown";

impl Turn {
    pub(crate) fn import(&mut self, inbound: &Inbound) {
        let is_fresh = self.window.is_empty();
        let mut tools: BTreeMap<&str, &str> = BTreeMap::new();
        for earlier in &inbound.overrides.preamble {
            match earlier {
                Preamble::User { parts } if is_fresh => {
                    let label = fence::label_of(parts, &inbound.principal);
                    let body = EntryBody::User {
                        parts: parts.clone(),
                        principal: inbound.principal.clone(),
                        inbound: None,
                        surface: inbound.surface.clone(),
                    };
                    self.append(body, label);
                }
                Preamble::Assistant { text, tool_calls } if is_fresh => {
                    for call in tool_calls {
                        tools.insert(&call.id, &call.name);
                    }
                    let Some(model) = ModelRef::parse(IMPORTED_MODEL) else {
                        continue;
                    };
                    let body = EntryBody::Assistant {
                        text: text.clone(),
                        tool_calls: tool_calls.clone(),
                        reasoning: None,
                        model,
                        usage: Usage::default(),
                        cost_micros: 0,
                        stop: if tool_calls.is_empty() {
                            StopReason::Stop
                        } else {
                            StopReason::ToolUse
                        },
                    };
                    self.append(body, Label::stranger(Readers::Private));
                }
                Preamble::Tool { call_id, text } if self.window.is_open(call_id) => {
                    let tool = tools.get(call_id.as_str()).copied().unwrap_or("tool");
                    let body = EntryBody::ToolResult {
                        pictures: Vec::new(),
                        call_id: call_id.clone(),
                        tool: tool.to_owned(),
                        text: text.clone(),
                        is_error: false,
                        has_rows: false,
                        decision: ToolDecision::Handed,
                    };
                    self.append(body, Label::stranger(Readers::Private));
                }
                Preamble::User { .. } | Preamble::Assistant { .. } | Preamble::Tool { .. } => {}
            }
        }
    }
}
