//! How conversations, messages and runs look on the wire. Plain functions over stored values.

pub(crate) mod approval;
pub(crate) mod message;
pub(crate) mod question;
pub(crate) mod session;

use instar_protocol::Timestamp;

/// Micro-dollars as the dollars that clients show.
pub(crate) fn dollars(micros: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "money on the screen; the books keep whole micro-dollars"
    )]
    let micros = micros as f64;
    micros / 1_000_000.0
}

/// Milliseconds since 1970 as text in UTC.
pub(crate) fn iso(at: Timestamp) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| String::new(), |time| time.to_string())
}

/// The first characters of a text, with a mark where something was left out.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    let mut chars = text.char_indices();
    match chars.nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
