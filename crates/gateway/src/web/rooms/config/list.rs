//! The keys as tables, one for each section, and who changed the file.

use instar_config::journal::JournalEntry;
use maud::{Markup, html};
use serde_json::Value;

use super::keys::{Key, Source};
use crate::web::frame::{coded, empty};
use crate::web::rooms::sessions::encoded;
use crate::web::words::Words;

/// Characters of a value in the list; its own page has it whole.
const VALUE_CHARS: usize = 160;

/// A list of all keys is short: those that can be set here, with the first sentence of what they mean. What was
/// looked for tells all of it.
pub(super) fn sections(words: &Words, keys: &[&Key], is_whole: bool) -> Markup {
    let is_shown = |key: &&&Key| is_whole || key.editable;
    let keys: Vec<&Key> = keys.iter().filter(is_shown).copied().collect();
    let section = |key: &Key| key.path.split('.').next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = keys.iter().map(|key| section(key)).collect();
    names.dedup();
    html! {
        @if keys.is_empty() { (empty(words.none_found, words.none_found_do)) }
        @for name in &names {
            section {
                h2 { code { (name) } }
                div class="wide" { table class="rows config-rows" {
                    thead { tr {
                        th scope="col" { (words.key) } th scope="col" { (words.config_value) }
                        th scope="col" { (words.config_source) } th scope="col" { (words.config_meaning) }
                    } }
                    tbody { @for key in keys.iter().filter(|key| section(key) == *name) { (line(words, key, is_whole)) } }
                } }
            }
        }
    }
}

fn line(words: &Words, key: &Key, is_whole: bool) -> Markup {
    let dim = (!key.editable).then_some("told");
    html! {
        tr class=[dim] {
            td {
                @if key.editable { a href={ "/config/key?path=" (encoded(&key.path)) } { code { (key.path) } } }
                @else { code { (key.path) } }
            }
            td { @if let Some(value) = &key.value { code { (cut(&typed(value))) } } }
            td { @if key.editable && (is_whole || !key.is_plain()) { (source(words, key)) } }
            td class="main" lang="en" {
                @if is_whole { (docs(&key.doc.docs)) div class="soft" { (key.doc.kind) } }
                @else { (docs(first_sentence(&key.doc.docs))) }
            }
        }
    }
}

fn first_sentence(text: &str) -> &str {
    let end = text.match_indices(['.', ':']).map(|(at, _)| at + 1);
    let mut ends = end.filter(|at| text[*at..].starts_with(char::is_whitespace));
    ends.next().map_or(text, |end| &text[..end])
}

/// Where the value comes from, as a mark.
pub(super) fn source(words: &Words, key: &Key) -> Markup {
    html! {
        @match &key.source {
            Source::Default => span class="soft" { (words.config_from_default) },
            Source::File => span class="mark" { (words.config_from_file) },
            Source::Include => span class="mark" { (words.config_from_include) },
            Source::Variable(name) => { span class="mark" { (words.config_from_variable) } " " code { (name) } },
        }
        @if key.waits { " " span class="mark warning" { (words.config_waits) } }
    }
}

/// The words of the documentation: a paragraph, and a line for each word of a choice.
pub(super) fn docs(text: &str) -> Markup {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            // Comments in the source are broken where they got too long.
            Some(last) if !line.starts_with('`') => {
                last.push(' ');
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    html! { @for line in &lines { div { (coded(line)) } } }
}

/// A value as people type it.
pub(super) fn typed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(value).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// Who changed the file, the latest first.
pub(super) fn history(words: &Words, entries: &[JournalEntry]) -> Markup {
    html! {
        @if entries.is_empty() { p class="soft" { (words.config_no_history) } } @else {
            div class="wide" { table class="rows" {
                thead { tr { th scope="col" { (words.when) } th scope="col" { (words.config_who) } th scope="col" { (words.what) } } }
                tbody { @for entry in entries.iter().rev() { tr {
                    td { time datetime=(entry.time) { (entry.time.get(..16).unwrap_or(&entry.time).replace('T', " ")) " UTC" } }
                    td { (entry.who) }
                    td class="main" { @for path in &entry.changed { code { (path) } " " } }
                } } }
            } }
        }
    }
}
