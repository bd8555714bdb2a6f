//! Which conversation a request belongs to, from its headers and its `user` field.

use axum::http::HeaderMap;
use instar_protocol::session::{AgentId, PASSING, SessionKey};
use sha2::{Digest as _, Sha256};

use super::names::Known;
use super::problem::Problem;
use crate::reserved;

/// What a caller's key for one message may look like.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 200;

/// The conversation of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) key: SessionKey,
    /// True if nobody else can be talking in it: the request made it.
    pub(crate) own: bool,
}

/// The first of a header's spellings that is there.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    for spelling in [format!("x-instar-{name}"), format!("x-openclaw-{name}")] {
        if let Some(value) = headers.get(&spelling) {
            return value
                .to_str()
                .map(|text| Some(text.trim()))
                .map_err(|_| Problem::invalid(spelling, "the header is not plain ASCII text"));
        }
    }
    Ok(None)
}

/// The `Idempotency-Key` header, checked.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let fine = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic());
    if fine {
        Ok(Some(text.to_owned()))
    } else {
        Err(Problem::invalid(
            "Idempotency-Key",
            format!(
                "the header has to be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters"
            ),
        ))
    }
}

/// Finds the conversation: the session header, else the user's, else a fresh one.
///
/// `fresh` names a fresh conversation; it comes from the idempotency key when there is one, so
/// that a repeated request meets its first try.
pub(crate) fn place(
    known: &Known,
    agent: &AgentId,
    headers: &HeaderMap,
    user: Option<&str>,
    fresh: &str,
) -> Result<Place, Problem> {
    if let Some(text) = header(headers, "session-key")? {
        return Ok(Place {
            key: named(known, agent, text)?,
            own: false,
        });
    }
    let (kind, name, own) = match user.filter(|user| !user.is_empty()) {
        Some(user) => ("openai-user", part(user), false),
        None => (PASSING, part(fresh), true),
    };
    let key = SessionKey::under(agent, &[kind, &name])
        .map_err(|error| Problem::invalid("user", error.to_string()))?;
    Ok(Place { key, own })
}

/// A key that the caller named: a full key of the chosen agent, `main`, or a plain name.
fn named(known: &Known, agent: &AgentId, text: &str) -> Result<SessionKey, Problem> {
    let refuse = |message: String| Problem::invalid("x-instar-session-key", message);
    if let Some(kind) = reserved::kind(text) {
        return Err(refuse(reserved::refusal(kind)));
    }
    if text == "main" {
        return Ok(SessionKey::main(agent));
    }
    if !text.starts_with("agent:") {
        if text.is_empty() || text.contains(':') {
            return Err(refuse(
                "use `main`, a plain name, or a full key such as agent:main:main".to_owned(),
            ));
        }
        return SessionKey::under(agent, &["explicit", &part(text)])
            .map_err(|error| refuse(error.to_string()));
    }
    let key = SessionKey::parse(text).map_err(|error| refuse(error.to_string()))?;
    let owner = key
        .agent()
        .ok_or_else(|| refuse("the key names no agent".to_owned()))?;
    known.agent(owner.as_str())?;
    if owner != *agent {
        return Err(refuse(format!(
            "the key belongs to agent '{owner}', but the request asks agent '{agent}'"
        )));
    }
    Ok(key)
}

/// An outside name as one part of a key: itself if it is plain, else a digest of it.
pub(crate) fn part(name: &str) -> String {
    let plain = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+'))
        && !name.starts_with("h-");
    if plain {
        name.to_owned()
    } else {
        let digest = hex::encode(Sha256::digest(name.as_bytes()));
        format!("h-{}", &digest[..32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            agents: vec![AgentId::main(), AgentId::parse("work").unwrap()],
            models: crate::openai::names::Listed::default(),
        }
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    fn find(headers: &HeaderMap, user: Option<&str>) -> Result<Place, Problem> {
        place(&known(), &AgentId::main(), headers, user, "f00")
    }

    #[test]
    fn a_request_without_names_gets_a_conversation_of_its_own() {
        let place = find(&HeaderMap::new(), None).unwrap();
        assert_eq!(place.key.as_str(), "agent:main:openai:f00");
        assert!(place.own);
    }

    #[test]
    fn users_keep_their_conversation_whatever_they_are_called() {
        let key = |user: &str| find(&HeaderMap::new(), Some(user)).unwrap().key;
        assert_eq!(
            key("ann@example.org").as_str(),
            "agent:main:openai-user:ann@example.org"
        );
        let long = "a".repeat(400);
        for odd in ["a:b", "../../x", "a b", "ü", "x\ny", "h-1", &long] {
            let one = key(odd);
            assert_eq!(one, key(odd));
            assert!(
                one.as_str().starts_with("agent:main:openai-user:h-"),
                "{one}"
            );
            assert_eq!(one.as_str().matches(':').count(), 3);
        }
        assert_ne!(key("a:b"), key("a:c"));
    }

    #[test]
    fn reserved_kinds_are_refused_in_every_spelling() {
        for text in [
            "cron:x",
            "subagent:1",
            "acp:1",
            "hook:1",
            "global",
            "agent:main:cron:x",
            "agent:main:Subagent:x",
            "agent:work:acp:x",
        ] {
            for name in ["x-instar-session-key", "x-openclaw-session-key"] {
                let problem = find(&with(name, text), None).unwrap_err();
                assert_eq!(problem.status, 400, "{text}");
                assert!(
                    problem.message.contains("reserved"),
                    "{text}: {}",
                    problem.message
                );
            }
        }
    }

    #[test]
    fn a_named_key_stays_with_its_agent() {
        let key = |text| find(&with("x-instar-session-key", text), None).map(|place| place.key);
        assert_eq!(key("main").unwrap().as_str(), "agent:main:main");
        assert_eq!(key("notes").unwrap().as_str(), "agent:main:explicit:notes");
        assert_eq!(
            key("agent:main:web:x").unwrap().as_str(),
            "agent:main:web:x"
        );
        for bad in [
            "agent:work:main",
            "agent:nobody:main",
            "agent:main",
            "x:y",
            "",
        ] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn idempotency_keys_are_short_and_visible() {
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        assert!(
            idempotency_key(&with("idempotency-key", "abc-1"))
                .unwrap()
                .is_some()
        );
        assert!(idempotency_key(&with("idempotency-key", "a b")).is_err());
        assert!(idempotency_key(&with("idempotency-key", &"a".repeat(201))).is_err());
    }
}
