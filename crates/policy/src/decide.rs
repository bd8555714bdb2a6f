//! The decision over one call, and which tools a model may be shown.

use instar_protocol::redact::log_field;
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, Label, Principal, ReleaseId, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

use crate::annotation::{Annotation, Reach};
use crate::authority::{Authority, Role};
use crate::canonical::{self, CanonicalError};
use crate::permit::Permit;

/// The most bytes of a call's arguments in canonical form.
pub const ARGUMENT_BYTES_MAX: usize = 64 * 1024;

/// The most bytes of a tool's name.
pub const NAME_BYTES_MAX: usize = 128;

/// The names of the rules, as they are stored with a decision and shown to people.
pub mod rules {
    /// Allows: the principal's profile has the tool, and it changes nothing.
    pub const PROFILE_READS: &str = "profile-reads";
    /// Denies a name that no tool can have.
    pub const BAD_NAME: &str = "bad-name";
    /// Denies what the owner's list denies, whatever else allows it.
    pub const DENIED_BY_NAME: &str = "denied-by-name";
    /// Denies a tool without an annotation: there is none of that name, or what it can do is unknown.
    pub const NOT_ANNOTATED: &str = "not-annotated";
    /// Denies what is not on the owner's list of tools.
    pub const NOT_ON_LIST: &str = "not-on-list";
    /// Denies what the principal's profile row does not name.
    pub const NOT_IN_PROFILE: &str = "not-in-profile";
    /// Denies every effect above reading: there are no walls to run it inside.
    pub const NO_WALLS: &str = "no-walls";
    /// Denies a tool that reaches somebody or somewhere: nothing here can tell whose wish that is.
    pub const NO_EVIDENCE: &str = "no-evidence";
    /// Denies arguments that are not an object, too large, too deep, or not exact.
    pub const BAD_ARGUMENTS: &str = "bad-arguments";
}

/// The facts of one call.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub call: &'a ToolCall,
    pub principal: &'a Principal,
    pub agent: &'a AgentId,
    pub session: &'a SessionId,
    pub release: &'a ReleaseId,
    /// The join of everything the model had in its context when it asked.
    pub context: &'a Label,
}

#[derive(Debug)]
pub enum Decision {
    Allow(Permit),
    Deny(Denial),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Denial {
    pub rule: String,
    /// For the owner's log and page.
    pub reason: String,
    /// For the model: short, with what it can do instead.
    pub advice: String,
}

/// Decides one call. Unknown facts deny.
///
/// Arguments carry no authority: nothing in them is read here except to be hashed.
#[must_use]
pub fn decide(request: &Request<'_>, authority: &Authority) -> Decision {
    let (annotation, rule) = match admit(&request.call.name, request.principal, authority) {
        Ok(admitted) => admitted,
        Err(denial) => return Decision::Deny(denial),
    };
    match digest(request) {
        Ok(digest) => Decision::Allow(Permit::grant(
            request.call.clone(),
            digest,
            annotation.effect,
            annotation.output.join(request.context),
            rule,
        )),
        Err(denial) => Decision::Deny(denial),
    }
}

/// The tools that the model may be shown: those that `decide` could allow.
#[must_use]
pub fn visible(authority: &Authority, principal: &Principal, _agent: &AgentId) -> BTreeSet<String> {
    authority
        .annotations
        .keys()
        .filter(|name| admit(name, principal, authority).is_ok())
        .cloned()
        .collect()
}

/// Everything that is decided before the arguments: the tool, who asks, and what it could do.
fn admit<'a>(
    tool: &str,
    principal: &Principal,
    authority: &'a Authority,
) -> Result<(&'a Annotation, &'static str), Denial> {
    if !is_name(tool) {
        return Err(deny(
            rules::BAD_NAME,
            format!("{} is not a tool's name", log_field(tool)),
            "Call one of the tools you were given, by its exact name.",
        ));
    }
    if authority.denies(tool) {
        return Err(deny(
            rules::DENIED_BY_NAME,
            format!("{tool} is on the list of denied tools"),
            "The owner has switched this tool off. Go on without it.",
        ));
    }
    let Some(annotation) = authority.annotations.get(tool) else {
        return Err(deny(
            rules::NOT_ANNOTATED,
            format!("there is no tool named {tool} here"),
            "There is no such tool here. Call one of the tools you were given.",
        ));
    };
    if !authority.lists(tool) {
        return Err(deny(
            rules::NOT_ON_LIST,
            format!("{tool} is not on the list of allowed tools"),
            "The owner has not allowed this tool. Go on without it.",
        ));
    }
    let role = Role::of(principal);
    if !authority.profile_has(role, tool) {
        return Err(deny(
            rules::NOT_IN_PROFILE,
            format!("the profile for {role:?} does not have {tool}"),
            "This tool is not for the person you are talking to. Go on without it.",
        ));
    }
    harmless(tool, annotation)?;
    Ok((annotation, rules::PROFILE_READS))
}

/// Only what changes nothing and reaches nobody is run as long as there are no walls to run the
/// rest inside and no evidence of who asked for it.
fn harmless(tool: &str, annotation: &Annotation) -> Result<(), Denial> {
    match annotation.effect {
        Effect::None | Effect::Read => {}
        Effect::Fetch
        | Effect::Write
        | Effect::Send
        | Effect::Grant
        | Effect::Execute
        | Effect::Spend
        | Effect::Destroy => {
            return Err(deny(
                rules::NO_WALLS,
                format!(
                    "{tool} can {:?}, and there are no walls to run it inside",
                    annotation.effect
                ),
                "Nothing can be changed from here. Tell the user what you would do instead.",
            ));
        }
    }
    if annotation.reach == Reach::Own {
        return Ok(());
    }
    Err(deny(
        rules::NO_EVIDENCE,
        format!("{tool} reaches out, and nothing shows whose wish its destination is"),
        "Nothing can be sent or fetched from here. Tell the user what you would do instead.",
    ))
}

/// The digest of exactly this call by this principal in this place.
fn digest(request: &Request<'_>) -> Result<String, Denial> {
    let malformed = |reason: String| {
        deny(
            rules::BAD_ARGUMENTS,
            format!("{}: {reason}", request.call.name),
            "The arguments must be one JSON object as the tool's schema says. Correct them and \
             call again.",
        )
    };
    if !matches!(request.call.arguments, Value::Object(_)) {
        return Err(malformed("the arguments are not a JSON object".to_owned()));
    }
    let digested = || -> Result<String, CanonicalError> {
        let arguments = canonical::write_within(&request.call.arguments, ARGUMENT_BYTES_MAX)?;
        let facts = serde_json::json!({
            "agent": request.agent,
            "arguments": canonical::sha256(arguments.as_bytes()),
            "context": request.context,
            "principal": request.principal,
            "release": request.release,
            "session": request.session,
            "tool": request.call.name,
        });
        Ok(canonical::sha256(canonical::write(&facts)?.as_bytes()))
    };
    digested().map_err(|err| malformed(err.to_string()))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/'))
}

fn deny(rule: &str, reason: String, advice: &str) -> Denial {
    Denial {
        rule: rule.to_owned(),
        reason,
        advice: advice.to_owned(),
    }
}
