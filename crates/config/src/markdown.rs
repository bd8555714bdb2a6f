//! The reference of all keys, as it stands in the documentation.

use schemars::JsonSchema;

use crate::keys::{KeyDoc, keys};

/// Every key of a configuration type as a Markdown page: a section for each first key.
#[must_use]
pub fn markdown<T: JsonSchema>() -> String {
    let keys = keys::<T>();
    let mut page = String::from(
        "# Configuration\n\nEvery key of `instar.json`. This page is generated from the types that read the file.\n",
    );
    let mut section = "";
    for key in &keys {
        let first = first_key(&key.path);
        if first != section {
            section = first;
            page.push_str(&format!("\n## `{section}`\n\n"));
            if key.path == section && !key.docs.is_empty() {
                page.push_str(&key.docs);
                page.push_str("\n\n");
            }
            page.push_str("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        }
        let is_bare_section = key.path == section && has_children(&keys, section);
        if !is_bare_section {
            page.push_str(&row(key));
        }
    }
    page
}

fn first_key(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

fn has_children(keys: &[KeyDoc], section: &str) -> bool {
    keys.iter()
        .any(|key| key.path != section && first_key(&key.path) == section)
}

fn row(key: &KeyDoc) -> String {
    let default = match &key.default {
        // A container's default is told key by key.
        None | Some(serde_json::Value::Object(_)) => String::new(),
        Some(default) => format!("`{default}`"),
    };
    format!(
        "| `{}` | {} | {} | {} |\n",
        key.path,
        cell(&key.kind),
        cell(&default),
        cell(&key.docs)
    )
}

/// Text within a table: one line, no bars, no tags. A value's own meaning begins a new line.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            let names_a_value = line.starts_with('`') && line.contains("`: ");
            out.push_str(if names_a_value { "<br>" } else { " " });
        }
        out.push_str(line);
    }
    out.replace('|', "\\|").replace("<id>", "&lt;id&gt;")
}
