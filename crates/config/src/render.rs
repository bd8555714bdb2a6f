//! A problem as it is shown in a terminal: the line, a caret, and no secret on it.

use std::fmt::Write as _;

use jsonc_parser::tokens::Token;
use jsonc_parser::{Scanner, ScannerOptions};

use crate::document::split_mark;
use crate::files::read_bounded;
use crate::path::KeyPath;
use crate::problem::{ConfigError, Problem, SECRET_EXPECTED, is_sensitive};
use crate::resolve::FILE_BYTES_MAX;

/// The most characters of a source line that are shown.
const LINE_CHARS_MAX: usize = 120;

impl Problem {
    /// The problem with its source line and a caret under the place.
    ///
    /// Of the texts on the line only the one in question is shown, and not even that one if a
    /// secret belongs there: people paste these lines into reports.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        let mut text = format!("error: {}\n", self.headline());
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        if self.line > 0 {
            let file = self.file.display();
            _ = writeln!(text, "{margin}--> {file}:{}:{}", self.line, self.column);
        }
        if let Some(line) = self.safe_line(source) {
            let skipped = self.column.saturating_sub(LINE_CHARS_MAX - 20);
            let shown: String = line.chars().skip(skipped).take(LINE_CHARS_MAX).collect();
            let indent = " ".repeat(self.column.saturating_sub(1 + skipped));
            _ = writeln!(text, "{margin} |\n{number} | {shown}\n{margin} | {indent}^");
        }
        for (word, detail) in [("expected", &self.expected), ("help", &self.hint)] {
            if let Some(detail) = detail {
                _ = writeln!(text, "{margin} = {word}: {detail}");
            }
        }
        text
    }

    fn headline(&self) -> String {
        if self.path.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.path, self.message)
        }
    }

    /// The line with every text value but the one in question masked, control characters too.
    fn safe_line(&self, source: &str) -> Option<String> {
        let (_, source) = split_mark(source);
        let line = source.split('\n').nth(self.line.checked_sub(1)?)?;
        let start = line.as_ptr() as usize - source.as_ptr() as usize;
        let end = start + line.len();
        let at = line
            .char_indices()
            .nth(self.column.saturating_sub(1))
            .map_or(end, |(offset, _)| start + offset);
        let own_is_secret = self.expected.as_deref() == Some(SECRET_EXPECTED)
            || KeyPath::parse(&self.path)
                .is_ok_and(|path| is_sensitive(&path) || may_name_a_password(&path));
        let hidden = hidden_ranges(source, end, |from, to| match from <= at && at < to {
            true if own_is_secret => Shown::Never,
            true => Shown::Always,
            false => Shown::UnlessText,
        });
        let masked = line.char_indices().map(|(offset, c)| {
            let offset = start + offset;
            let mask = hidden
                .iter()
                .find(|hidden| (hidden.from..hidden.to).contains(&offset));
            match c {
                _ if mask.is_some() => mask.map_or(' ', |hidden| hidden.mask),
                c if c.is_control() => ' ',
                c => c,
            }
        });
        Some(masked.collect::<String>().trim_end().to_owned())
    }
}

/// Whether a token of the line may be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Always,
    UnlessText,
    Never,
}

/// A stretch that is not to be read, and what stands in its place.
struct Hidden {
    from: usize,
    to: usize,
    mask: char,
}

impl Hidden {
    fn text(from: usize, to: usize) -> Self {
        Self {
            from,
            to,
            mask: '*',
        }
    }

    fn comment(from: usize, to: usize) -> Self {
        Self {
            from,
            to,
            mask: ' ',
        }
    }
}

/// An address that a name and a password may stand in.
fn may_name_a_password(path: &KeyPath) -> bool {
    path.words()
        .last()
        .is_some_and(|key| matches!(*key, "proxy" | "url" | "baseUrl"))
}

/// The stretches up to `end` that hold text values or comments, quotes left out. From where the
/// text cannot be read any more, everything is hidden.
fn hidden_ranges(
    source: &str,
    end: usize,
    is_shown: impl Fn(usize, usize) -> Shown,
) -> Vec<Hidden> {
    let mut scanner = Scanner::new(source, &ScannerOptions::default());
    let mut hidden = Vec::new();
    // A text is a key if a colon follows; until then it is only suspected of being a value.
    let mut suspect = None;
    loop {
        let from = scanner.token_end();
        let token = scanner.scan();
        let (start, stop) = (scanner.token_start(), scanner.token_end());
        if !matches!(token, Ok(Some(Token::Colon))) {
            hidden.extend(suspect.take());
        }
        suspect = None;
        match token {
            Ok(Some(Token::String(_) | Token::Word(_)))
                if is_shown(start, stop) != Shown::Always =>
            {
                let quote = usize::from(matches!(source.as_bytes()[start], b'"' | b'\''));
                suspect = Some(Hidden::text(start + quote, stop - quote));
            }
            Ok(Some(Token::Number(_))) if is_shown(start, stop) == Shown::Never => {
                hidden.push(Hidden::text(start, stop));
            }
            Ok(Some(Token::CommentLine(_) | Token::CommentBlock(_))) => {
                hidden.push(Hidden::comment(start + 2, stop));
            }
            Ok(Some(_)) if start < end => {}
            Ok(_) => break,
            Err(_) => {
                hidden.push(Hidden::text(start.max(from) + 1, end.max(start + 1)));
                break;
            }
        }
    }
    hidden.extend(suspect);
    hidden
}

impl ConfigError {
    /// The whole error for a terminal, each problem with its line.
    #[must_use]
    pub fn render(&self) -> String {
        let Self::Invalid(problems) = self else {
            return match std::error::Error::source(self) {
                Some(source) => format!("error: {self}: {source}\n"),
                None => format!("error: {self}\n"),
            };
        };
        problems.iter().map(render).collect()
    }
}

/// A problem with its line, read from the file it names; without the line if that cannot be read.
#[must_use]
pub fn render(problem: &Problem) -> String {
    let bytes = match problem.line {
        0 => Vec::new(),
        _ => read_bounded(&problem.file, FILE_BYTES_MAX).unwrap_or_default(),
    };
    problem.render(&String::from_utf8_lossy(&bytes))
}
