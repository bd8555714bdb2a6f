//! `apply_patch`: several files changed in one go, all or none.
//!
//! The form is the one that coding models are trained on: `*** Begin Patch`, then per file
//! `*** Add File:`, `*** Delete File:` or `*** Update File:` (with `*** Move to:`), in updates hunks
//! that begin with `@@` and hold lines with a space, `-` or `+` in front, and `*** End Patch`.

use futures_util::FutureExt as _;
use instar_protocol::Label;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::{apply, present};
use super::path::writable;
use super::read::as_text;
use super::{Change, FileError, FilesPort};
use crate::annotate;
use crate::plain::{Plain, spec, text};
use crate::tool::{Caller, Output, ToolError};

const PATCH_CHARS_MAX: usize = 60_000;

pub(super) fn tool(files: Arc<dyn FilesPort>) -> Plain<dyn FilesPort> {
    Plain {
        spec: spec(
            "apply_patch",
            "Changes several files of the workspace at once, all or none. The patch begins with \
             *** Begin Patch and ends with *** End Patch; between them *** Add File: PATH with + \
             lines, *** Delete File: PATH, or *** Update File: PATH (then *** Move to: PATH if it \
             moves) with hunks: @@, then lines with a space, - or + in front.",
            &json!({
                "input": { "type": "string", "minLength": 1, "maxLength": PATCH_CHARS_MAX },
            }),
            &["input"],
        ),
        annotation: annotate::file_write(None),
        port: files,
        run: |files, arguments, caller| run(files, arguments, caller).boxed(),
    }
}

async fn run(
    files: &dyn FilesPort,
    arguments: &Value,
    caller: &Caller,
) -> Result<Output, ToolError> {
    let parts =
        parse(text(arguments, "input").unwrap_or_default()).map_err(ToolError::Arguments)?;
    let mut seen = Seen::default();
    let mut told = Vec::new();
    for part in parts {
        told.push(seen.take(files, caller, part).await?);
    }
    let changes = seen.changes();
    let paths: Vec<String> = changes.iter().map(|change| change.path.clone()).collect();
    apply(files, caller, changes).await?;
    Ok(Output::system(told.join("\n")).with_value(json!({ "paths": paths })))
}

/// What one section of a patch asks for.
#[derive(Debug, PartialEq)]
enum Part {
    Add {
        path: String,
        text: String,
    },
    Delete {
        path: String,
    },
    Update {
        path: String,
        to: Option<String>,
        hunks: Vec<Hunk>,
    },
}

/// Lines that stand there and lines that shall stand there; `under` is a line that they come after.
#[derive(Debug, Default, PartialEq)]
struct Hunk {
    under: Option<String>,
    old: Vec<String>,
    new: Vec<String>,
    at_end: bool,
}

fn parse(input: &str) -> Result<Vec<Part>, String> {
    let mut lines = input.trim().lines();
    if lines.next().map(str::trim) != Some("*** Begin Patch") {
        return Err("the patch must begin with *** Begin Patch".to_owned());
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut is_ended = false;
    for line in lines {
        if line.trim_end() == "*** End Patch" {
            is_ended = true;
            break;
        }
        if let Some(path) = line.strip_prefix("*** Add File: ") {
            let (path, text) = (path.trim().to_owned(), String::new());
            parts.push(Part::Add { path, text });
        } else if let Some(path) = line.strip_prefix("*** Delete File: ") {
            let path = path.trim().to_owned();
            parts.push(Part::Delete { path });
        } else if let Some(path) = line.strip_prefix("*** Update File: ") {
            let path = path.trim().to_owned();
            let (to, hunks) = (None, Vec::new());
            parts.push(Part::Update { path, to, hunks });
        } else {
            let part = parts
                .last_mut()
                .ok_or("before the first line there must be a *** File: header")?;
            part.line(line)?;
        }
    }
    match (is_ended, parts.is_empty()) {
        (false, _) => Err("the patch must end with *** End Patch".to_owned()),
        (true, true) => Err("the patch changes nothing".to_owned()),
        (true, false) => Ok(parts),
    }
}

impl Part {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let shown: String = line.chars().take(60).collect();
        match self {
            Self::Add { text, path } => {
                let added = line.strip_prefix('+').ok_or_else(|| {
                    format!("every line of the new file {path} begins with +, not {shown:?}")
                })?;
                text.push_str(added);
                text.push('\n');
                Ok(())
            }
            Self::Delete { path } => Err(format!("nothing follows *** Delete File: {path}")),
            Self::Update { to, hunks, .. } => {
                if let Some(path) = line.strip_prefix("*** Move to: ") {
                    *to = Some(path.trim().to_owned());
                    return Ok(());
                }
                if let Some(under) = line.strip_prefix("@@") {
                    let under = under.trim();
                    hunks.push(Hunk {
                        under: (!under.is_empty()).then(|| under.to_owned()),
                        ..Hunk::default()
                    });
                    return Ok(());
                }
                if hunks.is_empty() {
                    hunks.push(Hunk::default());
                }
                let hunk = hunks.last_mut().ok_or("a hunk begins with @@")?;
                hunk.line(line, &shown)
            }
        }
    }
}

impl Hunk {
    fn line(&mut self, line: &str, shown: &str) -> Result<(), String> {
        if line.trim_end() == "*** End of File" {
            self.at_end = true;
            return Ok(());
        }
        match line.chars().next() {
            // Models leave the space out of empty lines.
            None => {
                self.old.push(String::new());
                self.new.push(String::new());
            }
            Some(' ') => {
                self.old.push(line[1..].to_owned());
                self.new.push(line[1..].to_owned());
            }
            Some('-') => self.old.push(line[1..].to_owned()),
            Some('+') => self.new.push(line[1..].to_owned()),
            Some(_) => {
                return Err(format!(
                    "a line of a hunk begins with a space, - or +, not {shown:?}"
                ));
            }
        }
        Ok(())
    }

    /// Where the old lines stand, from `from` on.
    fn place(&self, lines: &[String], from: usize) -> Result<usize, String> {
        let mut from = from;
        if let Some(under) = &self.under {
            let found = lines[from..].iter().position(|line| line.trim() == under);
            from += found.ok_or_else(|| format!("there is no line {under:?}"))? + 1;
        }
        if self.old.is_empty() {
            return Ok(if self.under.is_some() {
                from
            } else {
                lines.len()
            });
        }
        let fits = |at: &usize| lines[*at..].starts_with(&self.old);
        let last = lines.len().checked_sub(self.old.len());
        let found = match (self.at_end, last) {
            (_, None) => None,
            (true, Some(last)) => Some(last).filter(fits),
            (false, Some(last)) => (from..=last).find(fits),
        };
        found.ok_or_else(|| {
            let first = self.old.iter().find(|line| !line.trim().is_empty());
            let first: String = first.map_or("", String::as_str).chars().take(80).collect();
            format!("these lines are not there, beginning with {first:?}; read the file again")
        })
    }
}

fn updated(before: &str, hunks: &[Hunk]) -> Result<String, String> {
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    let mut from = 0;
    for hunk in hunks {
        let at = hunk.place(&lines, from)?;
        let _old = lines.splice(at..at + hunk.old.len(), hunk.new.iter().cloned());
        from = at + hunk.new.len();
    }
    let mut text = lines.join("\n");
    if (before.is_empty() || before.ends_with('\n')) && !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

/// The files that a patch touches, as they were and as they are by now.
#[derive(Default)]
struct Seen(BTreeMap<String, File>);

#[derive(Clone)]
struct File {
    before: Option<Vec<u8>>,
    now: Option<Vec<u8>>,
    label: Label,
}

impl Seen {
    async fn take(
        &mut self,
        files: &dyn FilesPort,
        caller: &Caller,
        part: Part,
    ) -> Result<String, ToolError> {
        match part {
            Part::Add { path, text } => {
                let path = writable(&path)?;
                let file = self.file(files, caller, &path).await?;
                if file.now.is_some() {
                    return Err(ToolError::Failed(format!(
                        "{path} is there already; use *** Update File"
                    )));
                }
                file.now = Some(text.into_bytes());
                file.label = caller.context.clone();
                Ok(format!("{path}: added"))
            }
            Part::Delete { path } => {
                let path = writable(&path)?;
                let file = self.file(files, caller, &path).await?;
                if file.now.take().is_none() {
                    return Err(FileError::Missing(path).into());
                }
                Ok(format!("{path}: deleted"))
            }
            Part::Update { path, to, hunks } => self.update(files, caller, &path, to, &hunks).await,
        }
    }

    async fn update(
        &mut self,
        files: &dyn FilesPort,
        caller: &Caller,
        path: &str,
        to: Option<String>,
        hunks: &[Hunk],
    ) -> Result<String, ToolError> {
        let path = writable(path)?;
        let file = self.file(files, caller, &path).await?;
        let Some(now) = &file.now else {
            return Err(FileError::Missing(path).into());
        };
        let text = updated(as_text(&path, now)?, hunks)
            .map_err(|why| ToolError::Failed(format!("{path}: {why}")))?;
        let label = file.label.join(&caller.context);
        let Some(to) = to else {
            file.now = Some(text.into_bytes());
            file.label = label;
            return Ok(format!("{path}: changed"));
        };
        file.now = None;
        let to = writable(&to)?;
        let target = self.file(files, caller, &to).await?;
        if target.now.is_some() {
            return Err(ToolError::Failed(format!("{to} is there already")));
        }
        target.now = Some(text.into_bytes());
        target.label = label;
        Ok(format!("{path}: moved to {to}"))
    }

    async fn file(
        &mut self,
        files: &dyn FilesPort,
        caller: &Caller,
        path: &str,
    ) -> Result<&mut File, ToolError> {
        if !self.0.contains_key(path) {
            let read = present(files, caller, path).await?;
            let label = read
                .as_ref()
                .map_or_else(Label::system, |read| read.label.clone());
            let before = read.map(|read| read.bytes);
            let now = before.clone();
            let file = File { before, now, label };
            let _new = self.0.insert(path.to_owned(), file);
        }
        self.0
            .get_mut(path)
            .ok_or_else(|| FileError::Missing(path.to_owned()).into())
    }

    fn changes(self) -> Vec<Change> {
        let changed = self
            .0
            .into_iter()
            .filter(|(_, file)| file.before != file.now);
        changed
            .map(|(path, file)| Change {
                path,
                before: file.before,
                after: file.now,
                label: file.label,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_find_their_place() {
        let before = "fn a() {\n    one\n}\n\nfn b() {\n    one\n}\n";
        let patch = "*** Begin Patch\n*** Update File: x.rs\n@@ fn b() {\n-    one\n+    two\n*** End Patch";
        let [Part::Update { hunks, .. }] = &parse(patch).unwrap()[..] else {
            panic!("one update");
        };
        assert_eq!(
            updated(before, hunks).unwrap(),
            "fn a() {\n    one\n}\n\nfn b() {\n    two\n}\n"
        );
        let missing = Hunk {
            old: vec!["nowhere".to_owned()],
            ..Hunk::default()
        };
        let why = updated(before, &[missing]).unwrap_err();
        assert!(why.contains("\"nowhere\""), "{why}");
    }

    #[test]
    fn what_is_no_patch_is_told_with_the_line() {
        for (patch, told) in [
            ("hello", "*** Begin Patch"),
            ("*** Begin Patch\n*** Add File: a\n+x", "*** End Patch"),
            ("*** Begin Patch\n*** End Patch", "changes nothing"),
            ("*** Begin Patch\nx\n*** End Patch", "header"),
            (
                "*** Begin Patch\n*** Add File: a\nx\n*** End Patch",
                "begins with +",
            ),
            (
                "*** Begin Patch\n*** Delete File: a\nx\n*** End Patch",
                "nothing follows",
            ),
            (
                "*** Begin Patch\n*** Update File: a\n@@\n!x\n*** End Patch",
                "- or +",
            ),
        ] {
            let why = parse(patch).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
    }
}
