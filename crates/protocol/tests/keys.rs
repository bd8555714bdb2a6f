//! Ids and session keys keep what they are given.

use instar_protocol::{AgentId, RunId, SessionId, SessionKey, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;

proptest! {
    #[test]
    fn ids_of_one_kind_sort_by_time(
        a in 0..(1u64 << 48), b in 0..(1u64 << 48), x in any::<[u8; 10]>(), y in any::<[u8; 10]>(),
    ) {
        let id = |at, random| RunId::new(Timestamp::from_millis(at), random);
        prop_assert_eq!((a, x).cmp(&(b, y)), id(a, x).cmp(&id(b, y)));
        prop_assert_eq!(id(a, x).as_str().len(), 30);
        prop_assert!(id(a, x).as_str().starts_with("run_"));
    }

    #[test]
    fn ids_survive_storage(at in any::<u64>(), random in any::<[u8; 10]>()) {
        let id = SessionId::new(Timestamp::from_millis(at), random);
        let stored = serde_json::to_string(&id).unwrap();
        prop_assert_eq!(serde_json::from_str::<SessionId>(&stored).unwrap(), id.clone());
        prop_assert_eq!(SessionId::from_stored(id.as_str()), id);
    }

    #[test]
    fn keys_round_trip_and_name_their_agent(
        agent in "[a-z0-9_-]{1,64}", parts in prop::collection::vec("[!-9;-~]{1,20}", 1..6),
    ) {
        let agent = AgentId::parse(&agent).unwrap();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let key = SessionKey::under(&agent, &parts).unwrap();
        prop_assert_eq!(SessionKey::parse(key.as_str()).unwrap(), key.clone());
        prop_assert_eq!(key.agent(), Some(agent.clone()));
        prop_assert_eq!(key.is_main(), parts == ["main"]);
        let stored = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(serde_json::from_str::<SessionKey>(&stored).unwrap(), key);
    }

    /// Reading never panics, and what is read is a fixed point.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}|[a-z:]{0,30}|.{0,300}") {
        if let Ok(key) = SessionKey::parse(&text) {
            prop_assert_eq!(SessionKey::parse(key.as_str()).unwrap(), key.clone());
            prop_assert!(!key.as_str().chars().any(char::is_whitespace));
        }
        if let Ok(agent) = AgentId::parse(&text) {
            prop_assert_eq!(agent.as_str(), text);
        }
    }

    /// A part cannot reach out of its agent: what is under one agent never parses as another's.
    #[test]
    fn keys_of_two_agents_never_meet(
        one in "[a-z]{1,3}", two in "[a-z]{1,3}", part in "[a-z:]{1,6}", other in "[a-z:]{1,6}",
    ) {
        let key = |agent: &str, part: &str| SessionKey::under(&AgentId::parse(agent).unwrap(), &[part]);
        if let (Ok(a), Ok(b)) = (key(&one, &part), key(&two, &other)) {
            prop_assert_eq!(a == b, (one, part) == (two, other));
        }
    }
}

#[test]
fn a_thousand_ids_of_one_moment_differ() {
    let ids: BTreeSet<RunId> = (0..1000u16)
        .map(|n| {
            let mut random = [0; 10];
            random[4..6].copy_from_slice(&n.to_be_bytes());
            RunId::new(Timestamp::from_millis(7), random)
        })
        .collect();
    assert_eq!(ids.len(), 1000);
}
