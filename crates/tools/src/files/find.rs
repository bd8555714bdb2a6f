//! `grep`: searches the text of files.

use futures_util::FutureExt as _;
use instar_protocol::Label;
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::glob::below;
use super::{FILE_BYTES_MAX, FileRead, FilesPort, Glob, Item, Kind, relative};
use crate::annotate;
use crate::plain::{Plain, flag, number, spec, text};
use crate::tool::{Caller, Output, ToolError};

const FOUND_DEFAULT: usize = 100;
const FOUND_MAX: usize = 1_000;
const PATTERN_CHARS_MAX: usize = 500;
const COMPILED_BYTES_MAX: usize = 256 << 10;
/// How much of one line is looked at.
const LOOKED_BYTES_MAX: usize = 16 << 10;
/// How long a search may compute. The engine takes time linear in the text, but the factor is the
/// model's choice.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(10);
const LINE_CHARS_MAX: usize = 300;
/// What one search reads in all.
const READ_BYTES_MAX: usize = 128 << 20;
const CONTEXT_MAX: usize = 10;

pub(super) fn tool(files: Arc<dyn FilesPort>) -> Plain<dyn FilesPort> {
    Plain {
        spec: spec(
            "grep",
            "Searches the text files of the workspace, line by line, with a regular expression.",
            &json!({
                "pattern": { "type": "string", "minLength": 1, "maxLength": PATTERN_CHARS_MAX },
                "path": { "type": "string", "maxLength": 1024,
                    "description": "A file or folder; the workspace if left out." },
                "glob": { "type": "string", "maxLength": 300,
                    "description": "Only files whose path fits, like **/*.md." },
                "literal": { "type": "boolean",
                    "description": "Take the pattern as plain text." },
                "ignoreCase": { "type": "boolean" },
                "context": { "type": "integer", "minimum": 0, "maximum": CONTEXT_MAX,
                    "description": "Lines around each that fits, 0 if left out." },
                "limit": { "type": "integer", "minimum": 1, "maximum": FOUND_MAX,
                    "description": "How many lines that fit, 100 if left out." },
            }),
            &["pattern"],
        ),
        annotation: annotate::file_list(),
        port: files,
        run: |files, arguments, caller| search(files, arguments, caller).boxed(),
    }
}

async fn search(
    files: &dyn FilesPort,
    arguments: &Value,
    caller: &Caller,
) -> Result<Output, ToolError> {
    let wanted = Arc::new(Wanted::of(arguments)?);
    let start = relative(text(arguments, "path").unwrap_or_default())?;
    let (items, cut, label) = candidates(files, caller, &start).await?;
    let mut found = Found {
        label,
        ..Found::default()
    };
    let fits = |item: &Item| {
        let glob = wanted.glob.as_ref();
        item.kind == Kind::File && glob.is_none_or(|glob| glob.fits(below(&start, &item.path)))
    };
    for item in items.into_iter().filter(fits) {
        let is_over = found.read > READ_BYTES_MAX || found.spent > SEARCH_TIME_MAX;
        if is_over || item.bytes > FILE_BYTES_MAX as u64 {
            found.skipped += 1;
            continue;
        }
        // A file that went in the meantime has nothing to show.
        let Ok(read) = files.read(caller, &item.path).await else {
            found.skipped += 1;
            continue;
        };
        found = found.look_into(&wanted, item.path, read).await?;
        if found.hits >= wanted.limit {
            break;
        }
    }
    Ok(found.finish(&wanted, cut))
}

async fn candidates(
    files: &dyn FilesPort,
    caller: &Caller,
    start: &str,
) -> Result<(Vec<Item>, bool, Label), ToolError> {
    match files.walk(caller, start).await {
        Ok(walked) => Ok((walked.items, walked.cut, walked.label)),
        Err(super::FileError::NoFolder(path)) => {
            let item = Item {
                path,
                kind: Kind::File,
                bytes: 0,
            };
            Ok((vec![item], false, Label::system()))
        }
        Err(error) => Err(error.into()),
    }
}

struct Wanted {
    pattern: Regex,
    glob: Option<Glob>,
    context: usize,
    limit: usize,
}

impl Wanted {
    fn of(arguments: &Value) -> Result<Self, ToolError> {
        let given = text(arguments, "pattern").unwrap_or_default();
        let pattern = if flag(arguments, "literal") {
            regex::escape(given)
        } else {
            given.to_owned()
        };
        let pattern = RegexBuilder::new(&pattern)
            .case_insensitive(flag(arguments, "ignoreCase"))
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| {
                ToolError::Arguments(format!(
                    "the pattern is no regular expression ({}); set literal to search for it as \
                     it stands",
                    error.to_string().lines().last().unwrap_or_default().trim()
                ))
            })?;
        Ok(Self {
            pattern,
            glob: text(arguments, "glob").map(Glob::new).transpose()?,
            context: number(arguments, "context", 0).min(CONTEXT_MAX),
            limit: number(arguments, "limit", FOUND_DEFAULT).min(FOUND_MAX),
        })
    }
}

#[derive(Default)]
struct Found {
    lines: Vec<String>,
    hits: usize,
    files: usize,
    read: usize,
    skipped: usize,
    spent: Duration,
    label: Label,
}

impl Found {
    /// Looks at one file on a thread of its own: matching computes and does not wait.
    async fn look_into(
        mut self,
        wanted: &Arc<Wanted>,
        path: String,
        read: FileRead,
    ) -> Result<Self, ToolError> {
        let wanted = Arc::clone(wanted);
        let looked = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            self.read += read.bytes.len();
            if let Ok(text) = std::str::from_utf8(&read.bytes)
                && !text.contains('\0')
                && self.look(&wanted, &path, text)
            {
                // Only what is shown speaks: files without a hit leave no label.
                self.label = self.label.join(&read.label);
            }
            self.spent += begun.elapsed();
            self
        });
        looked
            .await
            .map_err(|_| ToolError::Failed("the search failed inside".to_owned()))
    }

    /// True if the file has a line that fits.
    fn look(&mut self, wanted: &Wanted, path: &str, text: &str) -> bool {
        let lines: Vec<&str> = text.lines().collect();
        let mut shown_to = 0;
        let before = self.hits;
        let begun = Instant::now();
        for (at, line) in lines.iter().enumerate() {
            if self.hits >= wanted.limit || begun.elapsed() > SEARCH_TIME_MAX {
                break;
            }
            let looked = &line[..line.floor_char_boundary(LOOKED_BYTES_MAX)];
            if !wanted.pattern.is_match(looked) {
                continue;
            }
            self.hits += 1;
            let from = at.saturating_sub(wanted.context).max(shown_to);
            let to = (at + wanted.context + 1).min(lines.len());
            for (near, line) in lines.iter().enumerate().take(to).skip(from) {
                let mark = if near == at { ':' } else { '-' };
                let line: String = line.chars().take(LINE_CHARS_MAX).collect();
                self.lines
                    .push(format!("{path}{mark}{}{mark} {line}", near + 1));
            }
            shown_to = to.max(shown_to);
        }
        let has_hit = self.hits > before;
        self.files += usize::from(has_hit);
        has_hit
    }

    fn finish(mut self, wanted: &Wanted, cut: bool) -> Output {
        if self.hits == 0 {
            self.lines.push("[nothing fits]".to_owned());
        }
        if self.hits >= wanted.limit {
            self.lines.push(format!(
                "[the first {} lines that fit; narrow the search for others]",
                self.hits
            ));
        }
        if self.skipped > 0 {
            self.lines.push(format!(
                "[{} files were left out: too large, unreadable, or too much to search]",
                self.skipped
            ));
        }
        if cut {
            self.lines.push(
                "[the folder has too many files to search all; name one below it]".to_owned(),
            );
        }
        Output::words(self.lines.join("\n"), self.label)
            .with_value(json!({ "matches": self.hits, "files": self.files }))
    }
}
