//! `session_status`: what the gateway knows of the present conversation.

use futures_util::future::BoxFuture;
use instar_policy::Annotation;
use instar_protocol::Label;
use instar_protocol::tool::ToolSpec;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::plain::spec;
use crate::tool::{Caller, Output, SessionsPort, Tool, ToolError};

#[derive(Debug)]
pub(super) struct SessionStatus {
    sessions: Arc<dyn SessionsPort>,
    spec: ToolSpec,
}

impl SessionStatus {
    pub(super) fn new(sessions: Arc<dyn SessionsPort>) -> Self {
        Self {
            sessions,
            spec: spec(
                "session_status",
                "Shows the state of this conversation: model, number of entries, tokens and cost \
                 so far, and the present time.",
                &json!({}),
                &[],
            ),
        }
    }
}

impl Tool for SessionStatus {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        Annotation::reads(Label::system())
    }

    fn run<'a>(
        &'a self,
        _arguments: &'a Value,
        caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>> {
        Box::pin(async move {
            let status = self.sessions.status(&caller.session).await?;
            Ok(Output::structured(status, Label::system()))
        })
    }
}
