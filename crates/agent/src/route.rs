//! Which conversation a message belongs to: a pure rule from who wrote where to a session key.

use instar_protocol::session::KeyError;
use instar_protocol::{AgentId, SessionKey};

use crate::config::{DmScope, GroupScope, SessionConfig};

/// Where a message was written, in the channel's own ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The channel's name, for example `telegram`.
    pub channel: &'a str,
    /// Which of our accounts on that channel got it; `default` where there is one.
    pub account: &'a str,
    pub kind: PlaceKind<'a>,
}

/// The kind of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind<'a> {
    Direct { peer: &'a str },
    Group { id: &'a str, thread: Thread<'a> },
    Channel { id: &'a str, thread: Thread<'a> },
}

/// A conversation within a group or channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread<'a> {
    None,
    Thread(&'a str),
    Topic(&'a str),
}

/// The key of the conversation that a message belongs to.
///
/// Direct messages fold into the agent's main conversation unless `session.dmScope` keeps them
/// apart; groups and channels have their own unless `session.groupScope` folds them, too.
pub fn route(
    agent: &AgentId,
    place: &Place<'_>,
    config: &SessionConfig,
) -> Result<SessionKey, KeyError> {
    let channel = segment(place.channel);
    match place.kind {
        PlaceKind::Direct { peer } => {
            let person = segment(&person(peer, &channel, config));
            let account = segment(place.account);
            match config.dm_scope {
                DmScope::Main => Ok(SessionKey::main(agent)),
                DmScope::PerPeer => SessionKey::under(agent, &["direct", &person]),
                DmScope::PerChannelPeer => SessionKey::under(agent, &[&channel, "direct", &person]),
                DmScope::PerAccountChannelPeer => {
                    SessionKey::under(agent, &[&channel, &account, "direct", &person])
                }
            }
        }
        PlaceKind::Group { id, thread } => many(agent, &channel, "group", id, thread, config),
        PlaceKind::Channel { id, thread } => many(agent, &channel, "channel", id, thread, config),
    }
}

fn many(
    agent: &AgentId,
    channel: &str,
    kind: &str,
    id: &str,
    thread: Thread<'_>,
    config: &SessionConfig,
) -> Result<SessionKey, KeyError> {
    if config.group_scope == GroupScope::Main {
        return Ok(SessionKey::main(agent));
    }
    let id = segment(id);
    match thread {
        Thread::None => SessionKey::under(agent, &[channel, kind, &id]),
        Thread::Thread(thread) => {
            SessionKey::under(agent, &[channel, kind, &id, "thread", &segment(thread)])
        }
        Thread::Topic(topic) => {
            SessionKey::under(agent, &[channel, kind, &id, "topic", &segment(topic)])
        }
    }
}

/// The name that `session.identityLinks` gives a peer, or the peer's id.
fn person(peer: &str, channel: &str, config: &SessionConfig) -> String {
    let full = format!("{channel}:{peer}");
    let linked = config
        .identity_links
        .iter()
        .find(|(_, peers)| peers.iter().any(|linked| linked == &full || linked == peer));
    linked.map_or_else(|| peer.to_owned(), |(name, _)| name.clone())
}

/// An outside id as one segment of a key: what would end the segment is escaped, so that two ids
/// never give one key.
fn segment(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for c in id.chars() {
        if c == ':' || c == '%' || c.is_whitespace() || c.is_control() {
            for byte in c.to_string().bytes() {
                out.push_str(&format!("%{byte:02x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const DIRECT: PlaceKind<'static> = PlaceKind::Direct { peer: "7" };

    fn key(kind: PlaceKind<'_>, dm_scope: DmScope, group_scope: GroupScope) -> String {
        let config = SessionConfig {
            dm_scope,
            group_scope,
            identity_links: BTreeMap::from([("ann".to_owned(), vec!["telegram:9".to_owned()])]),
            ..SessionConfig::default()
        };
        let place = Place {
            channel: "telegram",
            account: "bot",
            kind,
        };
        route(&AgentId::main(), &place, &config)
            .unwrap()
            .to_string()
    }

    #[test]
    fn messages_find_their_conversation() {
        use DmScope::{Main, PerAccountChannelPeer, PerChannelPeer, PerPeer};
        let linked = PlaceKind::Direct { peer: "9" };
        let group = |thread| PlaceKind::Group { id: "-5", thread };
        let channel = PlaceKind::Channel {
            id: "c:1",
            thread: Thread::Thread("t"),
        };
        for (kind, dm, groups, expected) in [
            (DIRECT, Main, GroupScope::PerGroup, "agent:main:main"),
            (DIRECT, PerPeer, GroupScope::PerGroup, "agent:main:direct:7"),
            (
                linked,
                PerPeer,
                GroupScope::PerGroup,
                "agent:main:direct:ann",
            ),
            (
                DIRECT,
                PerChannelPeer,
                GroupScope::PerGroup,
                "agent:main:telegram:direct:7",
            ),
            (
                DIRECT,
                PerAccountChannelPeer,
                GroupScope::PerGroup,
                "agent:main:telegram:bot:direct:7",
            ),
            (
                group(Thread::None),
                Main,
                GroupScope::PerGroup,
                "agent:main:telegram:group:-5",
            ),
            (
                group(Thread::None),
                PerPeer,
                GroupScope::Main,
                "agent:main:main",
            ),
            (
                group(Thread::Topic("3")),
                Main,
                GroupScope::PerGroup,
                "agent:main:telegram:group:-5:topic:3",
            ),
            (
                channel,
                Main,
                GroupScope::PerGroup,
                "agent:main:telegram:channel:c%3a1:thread:t",
            ),
        ] {
            assert_eq!(key(kind, dm, groups), expected);
        }
    }

    proptest! {
        #[test]
        fn two_peers_never_share_a_key(one in ".{1,20}", two in ".{1,20}") {
            prop_assume!(one != two);
            prop_assert_ne!(segment(&one), segment(&two));
        }
    }
}
