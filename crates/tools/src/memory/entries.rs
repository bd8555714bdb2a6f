//! The form of a note in a file, and the notes of a file.
//!
//! A file of `memory/` is Markdown. A heading of the second level begins an entry; a note's heading is the
//! time and an id in brackets. What stands before the first heading is an entry too. Files that the owner
//! writes need none of that: one without headings is one entry.

use std::ops::Range;

/// The folder of an agent's notes, at the top of its workspace.
pub const FOLDER: &str = "memory";
/// The longest text of one note, in characters.
pub const NOTE_CHARS_MAX: usize = 4_000;
/// The largest file that notes are added to, and the largest that is looked through.
pub const MEMORY_BYTES_MAX: usize = 256 * 1024;
/// Files that are looked through, the newest names first.
pub const FILES_MAX: usize = 400;
/// Digits of the id of a note.
pub const ID_DIGITS: usize = 10;

const HEADING: &str = "## ";

/// One entry of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its exact text, without white space at its end.
    pub text: String,
    /// The id in its heading, if it has one.
    pub id: Option<String>,
    /// Its lines, counted from 1; the last is one of it.
    pub lines: Range<usize>,
}

/// Why a text cannot be kept as a note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("there is nothing to note in it")]
    Empty,
    #[error(
        "it is {0} characters long, more than the {NOTE_CHARS_MAX} of one note; say it in fewer words"
    )]
    Long(usize),
}

/// The path of the file of a day, relative to the workspace.
#[must_use]
pub fn path_of(day: &str) -> String {
    format!("{FOLDER}/{day}.md")
}

/// True for a file that is looked through: Markdown directly in the folder.
#[must_use]
pub fn is_file(path: &str) -> bool {
    let name = path.strip_prefix("memory/");
    name.is_some_and(|name| !name.contains('/') && name.len() > 3 && name.ends_with(".md"))
}

/// A text as it may stand in a note. No line of it begins an entry of its own.
pub fn cleaned(text: &str) -> Result<String, NoteError> {
    let plain: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter(|c| *c == '\n' || *c == '\t' || !c.is_control())
        .collect();
    let plain = plain.trim();
    if plain.is_empty() {
        return Err(NoteError::Empty);
    }
    let length = plain.chars().count();
    if length > NOTE_CHARS_MAX {
        return Err(NoteError::Long(length));
    }
    let lines = plain.lines().map(|line| match line.starts_with(HEADING) {
        true => format!(" {line}"),
        false => line.trim_end().to_owned(),
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// A note as its file has it, without the line's end after it. `text` has been cleaned.
#[must_use]
pub fn written(time: &str, id: &str, text: &str) -> String {
    format!("{HEADING}{time} [{id}]\n{text}")
}

/// A file with one more entry at its end.
#[must_use]
pub fn with_entry(file: &str, entry: &str) -> String {
    match file.trim_end() {
        "" => format!("{entry}\n"),
        before => format!("{before}\n\n{entry}\n"),
    }
}

/// The entries of a file, in their order.
#[must_use]
pub fn entries(file: &str) -> Vec<Entry> {
    let mut found: Vec<(usize, Vec<&str>)> = Vec::new();
    for (number, line) in (1..).zip(file.split('\n')) {
        match found.last_mut() {
            Some((_, lines)) if !line.starts_with(HEADING) => lines.push(line),
            _ => found.push((number, vec![line])),
        }
    }
    let entry = |(first, lines): (usize, Vec<&str>)| {
        let text = lines.join("\n").trim_end().to_owned();
        let last = first + text.split('\n').count();
        (!text.is_empty()).then(|| Entry {
            id: id_of(&text),
            text,
            lines: first..last,
        })
    };
    found.into_iter().filter_map(entry).collect()
}

fn id_of(text: &str) -> Option<String> {
    let heading = text.lines().next()?.strip_prefix(HEADING)?;
    let id = heading.trim_end().strip_suffix(']')?.rsplit_once('[')?.1;
    let fits = id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_is_its_entries_with_their_lines_and_ids() {
        let file = with_entry(
            "",
            &written("09:05", "0123456789", "the boat is Ida\n\nblue"),
        );
        let file = with_entry(&file, &written("10:00", "abcdefabcd", "tea"));
        let found = entries(&file);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].text,
            "## 09:05 [0123456789]\nthe boat is Ida\n\nblue"
        );
        assert_eq!(found[0].lines, 1..5);
        assert_eq!(found[1].id.as_deref(), Some("abcdefabcd"));
        assert_eq!(found[1].lines, 6..8);
        let own = entries("- milk\n- bread\n\n## Later\ncheese\n");
        assert_eq!(own[0].text, "- milk\n- bread");
        assert_eq!((own[0].id.clone(), own[1].lines.clone()), (None, 4..6));
        assert_eq!(entries(" \n\n"), []);
    }

    #[test]
    fn what_cannot_be_a_note_says_why() {
        assert_eq!(cleaned(" \n\u{1} "), Err(NoteError::Empty));
        let long = "x".repeat(NOTE_CHARS_MAX + 1);
        assert_eq!(cleaned(&long), Err(NoteError::Long(NOTE_CHARS_MAX + 1)));
        assert_eq!(cleaned(" a\r\n## b\rc ").unwrap(), "a\n ## bc");
        for (path, expected) in [
            ("memory/2026-11-22.md", true),
            ("memory/.md", false),
            ("memory/a/b.md", false),
            ("memory/a.txt", false),
            ("notes/a.md", false),
        ] {
            assert_eq!(is_file(path), expected, "{path}");
        }
    }

    proptest! {
        /// Whatever a note says, it is one entry, and the entries beside it keep their bytes.
        #[test]
        fn a_note_is_one_entry_whatever_it_says(
            parts in proptest::collection::vec("(\n|\r|## |#|\\[|\\]|a| |\u{2028}|\u{b}|0123456789){1,12}", 1..4),
        ) {
            let notes: Vec<String> = parts.iter().filter_map(|text| cleaned(text).ok()).collect();
            let noted = notes.iter().map(|text| written("08:00", "0123456789", text));
            let file = noted.clone().fold(String::new(), |file, note| with_entry(&file, &note));
            let found: Vec<String> = entries(&file).into_iter().map(|entry| entry.text).collect();
            let expected: Vec<String> = noted.map(|note| note.trim_end().to_owned()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
