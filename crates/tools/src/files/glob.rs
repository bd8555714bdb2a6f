//! `glob`: finds files by their names.

use futures_util::FutureExt as _;
use regex::{Regex, RegexBuilder};
use serde_json::json;
use std::sync::Arc;

use super::list::rows;
use super::{FilesPort, Item, Kind, relative};
use crate::annotate;
use crate::plain::{Plain, spec, text};
use crate::tool::{Output, ToolError};

const FOUND_MAX: usize = 500;
const PATTERN_CHARS_MAX: usize = 300;
/// What a compiled pattern may take up.
const COMPILED_BYTES_MAX: usize = 1 << 20;

pub(super) fn tool(files: Arc<dyn FilesPort>) -> Plain<dyn FilesPort> {
    Plain {
        spec: spec(
            "glob",
            "Finds files of the workspace by name: * within a name, ** across folders, ? for one \
             character, {a,b} for either.",
            &json!({
                "pattern": { "type": "string", "minLength": 1, "maxLength": PATTERN_CHARS_MAX,
                    "description": "Like **/*.md or src/*.{rs,toml}." },
                "path": { "type": "string", "maxLength": 1024,
                    "description": "The folder to look in; the workspace if left out." },
            }),
            &["pattern"],
        ),
        annotation: annotate::file_list(),
        port: files,
        run: |files, arguments, caller| {
            async move {
                let glob = Glob::new(text(arguments, "pattern").unwrap_or_default())?;
                let folder = relative(text(arguments, "path").unwrap_or_default())?;
                let walked = files.walk(caller, &folder).await?;
                let fits =
                    |item: &&Item| item.kind == Kind::File && glob.fits(below(&folder, &item.path));
                let found: Vec<Item> = walked.items.iter().filter(fits).cloned().collect();
                let shown = &found[..found.len().min(FOUND_MAX)];
                let mut lines: Vec<&str> = shown.iter().map(|item| item.path.as_str()).collect();
                if found.is_empty() {
                    lines.push("[no file fits]");
                }
                if shown.len() < found.len() {
                    lines.push("[there are more; use a narrower pattern]");
                }
                if walked.cut {
                    lines.push("[the folder has too many files to look at all; name one below it]");
                }
                Ok(Output::words(lines.join("\n"), walked.label).with_value(rows(shown)))
            }
            .boxed()
        },
    }
}

/// The path as seen from the folder that was searched.
pub(super) fn below<'a>(folder: &str, path: &'a str) -> &'a str {
    path.strip_prefix(folder)
        .map_or(path, |rest| rest.trim_start_matches('/'))
}

/// A pattern over relative paths. Matching takes time linear in the path, whatever the pattern.
#[derive(Clone, Debug)]
pub struct Glob(Regex);

impl Glob {
    pub fn new(pattern: &str) -> Result<Self, ToolError> {
        let wrong = |why: &str| ToolError::Arguments(format!("the pattern {pattern:?} {why}"));
        if pattern.chars().count() > PATTERN_CHARS_MAX {
            return Err(wrong("is too long"));
        }
        let mut regex = String::from("^");
        let mut rest = pattern.trim_start_matches("./").chars().peekable();
        let mut open = 0_usize;
        while let Some(c) = rest.next() {
            match c {
                '*' if rest.peek() == Some(&'*') => {
                    let _second = rest.next();
                    if rest.peek() == Some(&'/') {
                        let _slash = rest.next();
                        regex.push_str("(?:[^/]+/)*");
                    } else {
                        regex.push_str(".*");
                    }
                }
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                '{' => {
                    open += 1;
                    regex.push_str("(?:");
                }
                '}' if open > 0 => {
                    open -= 1;
                    regex.push(')');
                }
                ',' if open > 0 => regex.push('|'),
                c => regex.push_str(&regex::escape(&c.to_string())),
            }
        }
        if open > 0 {
            return Err(wrong("has a { without its }"));
        }
        regex.push('$');
        RegexBuilder::new(&regex)
            .size_limit(COMPILED_BYTES_MAX)
            .dot_matches_new_line(true)
            .build()
            .map(Self)
            .map_err(|_| wrong("is too complicated"))
    }

    #[must_use]
    pub fn fits(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_people_expect() {
        for (pattern, path, fits) in [
            ("*.md", "a.md", true),
            ("*.md", "b/a.md", false),
            ("**/*.md", "a.md", true),
            ("**/*.md", "b/c/a.md", true),
            ("src/**", "src/a/b.rs", true),
            ("src/*.{rs,toml}", "src/x.toml", true),
            ("src/*.{rs,toml}", "src/x.md", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a.c", "abc", false),
            ("(a+)+$", "(a+)+$", true),
            ("[x]", "[x]", true),
        ] {
            assert_eq!(
                Glob::new(pattern).unwrap().fits(path),
                fits,
                "{pattern} {path}"
            );
        }
        assert!(Glob::new("{a").is_err());
        assert!(Glob::new(&"*".repeat(PATTERN_CHARS_MAX + 1)).is_err());
    }
}
