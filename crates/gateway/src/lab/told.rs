//! Events and findings as the tests of this folder make them up.

use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::fault::SignalKind;
use instar_protocol::lab::Found;
use instar_protocol::tool::ToolDecision;
use instar_protocol::{EventId, Label, Standing, Timestamp};

/// An event of nobody's conversation, that a contact asked for.
pub(super) fn event(number: u64, kind: EventKind) -> Event {
    Event {
        id: EventId::from_stored(format!("evt_{number}")),
        at: Timestamp::from_millis(number * 10),
        session: None,
        run: None,
        asker: Some(Standing::Contact),
        release: None,
        arm: Arm::Stable,
        label: Label::system(),
        kind,
    }
}

/// A call that failed with these words.
pub(super) fn failure(text: &str) -> EventKind {
    EventKind::ToolCall {
        tool: "fetch".to_owned(),
        decision: ToolDecision::Allowed {
            rule: String::new(),
        },
        millis: 1,
        is_error: true,
        argument_names: Vec::new(),
        skill: None,
        content: Some(text.to_owned()),
    }
}

/// What the lab says that it saw in an event.
pub(super) fn seen(event: &str, kind: SignalKind, template: &str, text: &str) -> Found {
    Found {
        event: EventId::from_stored(event),
        kind,
        detail: String::new(),
        born: template.to_owned(),
        template: template.to_owned(),
        also: Vec::new(),
        text: text.to_owned(),
    }
}
