//! `read`: a text file, page by page.

use futures_util::FutureExt as _;
use serde_json::json;
use std::sync::Arc;

use super::{FileRead, FilesPort, relative};
use crate::annotate;
use crate::picture::{Picture, PictureFacts};
use crate::plain::{Plain, number, spec, text};
use crate::tool::{Output, ToolError};

const LINES_DEFAULT: usize = 500;
const LINES_MAX: usize = 5_000;
/// What one page may hold; below the bound on outputs, so that a page is never cut twice.
const PAGE_CHARS_MAX: usize = 14_000;
/// Beyond this a line is shown in part.
const LINE_CHARS_MAX: usize = 4_000;

pub(super) fn tool(files: Arc<dyn FilesPort>) -> Plain<dyn FilesPort> {
    Plain {
        spec: spec(
            "read",
            "Reads a text file of the workspace, or shows a picture. Long files come in pages: the \
             last line says how to go on.",
            &json!({
                "path": { "type": "string", "minLength": 1, "maxLength": 1024,
                    "description": "Relative to the workspace." },
                "offset": { "type": "integer", "minimum": 1, "maximum": 10_000_000,
                    "description": "The first line, 1 if left out." },
                "limit": { "type": "integer", "minimum": 1, "maximum": LINES_MAX,
                    "description": "How many lines, 500 if left out." },
            }),
            &["path"],
        ),
        annotation: annotate::file_read(),
        port: files,
        run: |files, arguments, caller| {
            async move {
                let path = relative(text(arguments, "path").unwrap_or_default())?;
                let read = files.read(caller, &path).await?;
                if let Some(shown) = as_picture(&path, &read) {
                    return Ok(shown);
                }
                let whole = as_text(&path, &read.bytes)?;
                let page = page(
                    whole,
                    number(arguments, "offset", 1),
                    number(arguments, "limit", LINES_DEFAULT),
                )?;
                Ok(Output::words(page, read.label))
            }
            .boxed()
        },
    }
}

/// The file as a picture, if it is one: shown where the model takes pictures, told in any case.
fn as_picture(path: &str, read: &FileRead) -> Option<Output> {
    let facts = PictureFacts::read(&read.bytes)?;
    let told = format!(
        "{path} is a {} picture, {} x {}, {} bytes",
        facts.kind(),
        facts.width,
        facts.height,
        read.bytes.len()
    );
    let label = read.label.clone();
    Some(match Picture::read(path, read.bytes.clone()) {
        Ok(picture) => Output::words(told, label).with_picture(picture),
        Err(why) => Output::words(format!("{told}; it cannot be shown: {why}"), label),
    })
}

/// The file as text, or what it is instead.
pub(super) fn as_text<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, ToolError> {
    let told = |what: String| Err(ToolError::Failed(what));
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => match kind_of(bytes) {
            Some(kind) => told(format!(
                "{path} is {kind}, {} bytes; no text to read",
                bytes.len()
            )),
            None => told(format!("{path} is binary, {} bytes", bytes.len())),
        },
    }
}

fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 8] = [
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF", "a PDF"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x7fELF", "a program"),
        (b"SQLite format 3", "an SQLite database"),
    ];
    known
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map(|(_, kind)| *kind)
}

fn page(whole: &str, offset: usize, limit: usize) -> Result<String, ToolError> {
    let total = whole.lines().count();
    if total == 0 {
        return Ok("[the file is empty]".to_owned());
    }
    if offset > total {
        return Err(ToolError::Failed(format!(
            "the file has {total} lines; offset {offset} is behind its end"
        )));
    }
    let mut page = String::new();
    let (mut chars, mut shown) = (0, 0);
    for line in whole.lines().skip(offset - 1).take(limit) {
        let length = line.chars().count();
        let room = length.min(LINE_CHARS_MAX);
        if shown > 0 && chars + room > PAGE_CHARS_MAX {
            break;
        }
        page.extend(line.chars().take(room));
        if length > room {
            page.push_str(&format!(
                " [… {} characters more in this line]",
                length - room
            ));
        }
        page.push('\n');
        chars += room + 1;
        shown += 1;
    }
    let last = offset + shown - 1;
    if last < total {
        page.push_str(&format!(
            "[lines {offset} to {last} of {total}; go on with offset {}]",
            last + 1
        ));
    } else if offset > 1 {
        page.push_str(&format!("[lines {offset} to {last}, the end]"));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_file_without_gaps() {
        let whole: String = (1..=2_345)
            .map(|n| format!("line {n} {}\n", "x".repeat(n % 90)))
            .collect();
        let (mut offset, mut seen) = (1, String::new());
        loop {
            let page = page(&whole, offset, LINES_DEFAULT).unwrap();
            assert!(page.chars().count() < crate::OUTPUT_CHARS_MAX);
            let (body, note) = page.rsplit_once('\n').unwrap();
            seen.push_str(body);
            seen.push('\n');
            match note.split_once("go on with offset ") {
                Some((_, next)) => offset = next.trim_end_matches(']').parse().unwrap(),
                None => break,
            }
        }
        assert_eq!(seen, whole);
        assert!(page(&whole, 2_346, 1).is_err());
        assert_eq!(page("", 1, 1).unwrap(), "[the file is empty]");
    }

    #[test]
    fn an_endless_line_is_shown_in_part_and_binary_files_are_named() {
        let page = page(&"y".repeat(1_000_000), 1, 1).unwrap();
        assert!(page.len() < 5_000 && page.contains("996000 characters more"));
        let told = as_text("a.png", b"\x89PNG\r\n\x1a\n\xff")
            .unwrap_err()
            .to_string();
        assert!(told.contains("a PNG image"), "{told}");
        assert!(
            as_text("x", b"a\0b")
                .unwrap_err()
                .to_string()
                .contains("binary")
        );
        assert_eq!(as_text("x", "grüß".as_bytes()).unwrap(), "grüß");
    }
}
