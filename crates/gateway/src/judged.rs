//! A decision with its reasons, for whoever asks what would happen. Nothing runs.

use instar_policy::{Authority, Decision, Request, decide};
use instar_protocol::tool::ToolCall;
use instar_protocol::{Label, Principal, ReleaseId, SessionId};

use crate::app::App;

/// What would become of a call.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) rule: String,
    pub(crate) why: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Allow,
    Ask,
    Deny,
}

/// Judges a call of somebody who has read nothing but his own words.
pub(crate) fn judged(
    app: &App,
    authority: &Authority,
    principal: &Principal,
    call: ToolCall,
) -> Judged {
    let release = app.releases.stable().map(|release| release.id.clone());
    let request = Request {
        call: &call,
        principal,
        agent: &app.default_agent(),
        session: &SessionId::from_stored("explained"),
        release: &release.unwrap_or_else(|| ReleaseId::from_hex("")),
        context: &Label::owner(),
    };
    match decide(&request, authority) {
        Decision::Allow(permit) => Judged {
            outcome: Outcome::Allow,
            rule: permit.rule().to_owned(),
            why: Vec::new(),
        },
        Decision::Deny(denial) => Judged {
            outcome: Outcome::Deny,
            rule: denial.rule,
            why: vec![denial.reason, denial.advice],
        },
    }
}
