//! `instar events tail`.

use http::Method;
use instar_protocol::event::Event;

use super::status::clock;
use crate::args::Events;
use crate::context::Context;
use crate::out::{Out, Style, visible};

pub(crate) async fn run(command: &Events, run: &Context) -> anyhow::Result<()> {
    let Events::Tail {
        follow,
        kind,
        lines,
    } = command;
    let client = run.client()?;
    let kind = kind
        .as_ref()
        .map_or(String::new(), |kind| format!("&kind={}", escape(kind)));
    let path = format!("/api/v1/events?limit={lines}{kind}");
    if *follow {
        // One stream from the first to the last, so that none falls between two questions.
        let mut stream = client.stream(Method::GET, &path, None).await?;
        while let Some(data) = stream.next().await? {
            if let Ok(event) = serde_json::from_str(&data) {
                show(&event, run.out)?;
            }
        }
        return Ok(());
    }
    let mut events: Vec<Event> = match lines {
        0 => Vec::new(),
        _ => client.get(&path).await?,
    };
    events.sort_by(|one, two| one.id.cmp(&two.id));
    for event in &events {
        show(event, run.out)?;
    }
    if events.is_empty() && !run.out.json() {
        run.out.note("no events of that kind so far");
    }
    Ok(())
}

fn show(event: &Event, out: Out) -> anyhow::Result<()> {
    if out.json() {
        return out.value_line(event);
    }
    let mut facts = serde_json::to_value(&event.kind)?;
    if let Some(fields) = facts.as_object_mut() {
        let _name = fields.remove("kind");
    }
    let time = out.paint(Style::Faint, &clock(event.at));
    let name = out.paint(Style::Strong, &format!("{:<12}", event.kind.name()));
    out.line(&format!("{time} {name} {}", visible(&facts.to_string())));
    Ok(())
}

/// Percent-encodes everything that is not plainly safe in a query or a path segment.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
