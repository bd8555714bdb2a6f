//! A decision with its reasons, for whoever asks what would happen. Nothing runs.

use instar_policy::{Authority, Counts, Evidence, Planned, Request, explain};
use instar_protocol::tool::ToolCall;
use instar_protocol::{Label, Principal, ReleaseId, SessionId};
use serde_json::Value;

use crate::app::App;

/// What would become of a call.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) rule: String,
    /// The facts, a line each.
    pub(crate) why: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Allow,
    Ask,
    Deny,
}

/// Judges a call as if it were the first of a run whose plan is not known, by somebody who has read
/// nothing but his own words. Standing rules and approvals are left out: they are about real calls.
pub(crate) fn judged(
    app: &App,
    authority: &Authority,
    principal: &Principal,
    call: &ToolCall,
) -> Judged {
    let release = app.releases.stable().map(|release| release.id.clone());
    let plan = if principal.is_owner() {
        Planned::Unknown
    } else {
        Planned::Nobody
    };
    let request = Request {
        call,
        principal,
        agent: &app.default_agent(),
        session: &SessionId::from_stored("explained"),
        release: &release.unwrap_or_else(|| ReleaseId::from_hex("")),
        context: &Label::owner(),
        evidence: &Evidence::default(),
        plan,
        counts: &Counts::default(),
        standing: &[],
        approval: None,
        environment: &Value::Null,
    };
    let explained = explain(&request, authority);
    let outcome = match explained.outcome {
        "allow" => Outcome::Allow,
        "ask" => Outcome::Ask,
        _ => Outcome::Deny,
    };
    let values = explained.values.iter().map(|value| {
        let text = instar_protocol::approval::visible(&value.text);
        format!("{}: {} ({})", value.path, text, value.grade.name())
    });
    let needed = explained
        .needed
        .map(|grade| format!("needed: {}", grade.name()));
    let mut why = explained.why;
    why.extend(values.collect::<Vec<_>>());
    why.extend(needed);
    Judged {
        outcome,
        rule: explained.rule,
        why,
    }
}
