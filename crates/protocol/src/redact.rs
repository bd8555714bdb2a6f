//! Takes secrets and identities out of text before it is stored for learning.

use std::fmt;
use std::fmt::Write as _;

/// The most characters of outside text in one log field.
pub const LOG_FIELD_CHARS_MAX: usize = 200;

/// Text from outside as one bounded, quoted line that can forge neither a line, nor a field, nor
/// a marker in a log.
#[must_use]
pub fn log_field(text: &str) -> String {
    let mut out = String::from('"');
    let mut chars = text.chars();
    for c in chars.by_ref().take(LOG_FIELD_CHARS_MAX) {
        push_visible(&mut out, c);
    }
    let rest = chars.count();
    out.push('"');
    if rest > 0 {
        push(&mut out, format_args!(" (+{rest} characters)"));
    }
    out
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_hidden(c) => push(out, format_args!("\\u{{{:x}}}", u32::from(c))),
        c => out.push(c),
    }
}

fn push(out: &mut String, pieces: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(pieces);
}

/// True for characters that change how the text around them is shown, or show nothing: controls,
/// direction marks, joiners, line separators, tag characters, variation selectors.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00ad}'
                | '\u{034f}'
                | '\u{061c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
