//! The one place that prints: data on standard output, everything else on standard error.
#![expect(clippy::print_stderr, reason = "the command line's voice")]

use serde::Serialize;
use std::io::{IsTerminal, Write};

use crate::args::{Colour, Global};
use crate::failure::Failure;

/// How this run prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    json: bool,
    colour: bool,
}

/// What a cell or word means; the terminal decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Faint,
    Good,
    Warn,
    Bad,
}

impl Out {
    pub(crate) fn new(global: &Global) -> Self {
        let colour = match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => Self::before_arguments().colour,
        };
        Self {
            json: global.json,
            colour,
        }
    }

    /// For what is said before it is known how to say it.
    pub(crate) fn before_arguments() -> Self {
        Self {
            json: false,
            colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    pub(crate) fn json(self) -> bool {
        self.json
    }

    pub(crate) fn colour(self) -> bool {
        self.colour
    }

    /// Prints a line of data or prose.
    pub(crate) fn line(self, text: &str) {
        write_out(&format!("{text}\n"));
    }

    /// Prints text as it comes, for streamed answers.
    pub(crate) fn piece(self, text: &str) {
        write_out(text);
    }

    /// Prints a value as JSON, pretty for one document.
    pub(crate) fn value(self, value: &impl Serialize) -> anyhow::Result<()> {
        self.json_text(&serde_json::to_string_pretty(value)?);
        Ok(())
    }

    /// Prints a value as one line of JSON, for streams.
    pub(crate) fn value_line(self, value: &impl Serialize) -> anyhow::Result<()> {
        self.json_text(&serde_json::to_string(value)?);
        Ok(())
    }

    /// Prints JSON as it was written elsewhere. What could drive a terminal is escaped, which means
    /// the same to whoever reads the JSON.
    pub(crate) fn json_text(self, text: &str) {
        let mut out = String::with_capacity(text.len() + 1);
        for c in text.trim_end().chars() {
            if c != '\n' && (c.is_control() || is_bidi_control(c)) {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                out.push(c);
            }
        }
        out.push('\n');
        write_out(&out);
    }

    /// Says something that is not data.
    pub(crate) fn note(self, text: &str) {
        eprintln!("{text}");
    }

    /// Asks for something, on the line that the answer is typed on.
    pub(crate) fn ask(self, text: &str) {
        eprint!("{text}");
    }

    /// Says how far something is, in the place of what was said so before; nothing takes it away.
    pub(crate) fn progress(self, text: &str) {
        eprint!("\r\u{1b}[K{text}");
    }

    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
        };
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Prints rows in columns as wide as their widest cell; over no row there is no head.
    pub(crate) fn table(self, head: &[&str], rows: &[Vec<(Style, String)>]) {
        if rows.is_empty() {
            return;
        }
        let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
        for row in rows {
            for (width, (_, cell)) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head: Vec<_> = head
            .iter()
            .map(|cell| (Style::Faint, (*cell).to_owned()))
            .collect();
        for row in std::iter::once(&head).chain(rows) {
            let mut line = String::new();
            for (index, ((style, cell), width)) in row.iter().zip(&widths).enumerate() {
                line.push_str(&self.paint(*style, cell));
                if index + 1 < row.len() {
                    line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
                }
            }
            self.line(line.trim_end());
        }
    }

    /// Says why the command failed and what to do.
    pub(crate) fn failure(self, error: &anyhow::Error) {
        let red = self.colour && std::io::stderr().is_terminal();
        let label = if red {
            "\u{1b}[31merror:\u{1b}[0m"
        } else {
            "error:"
        };
        eprintln!("{label} {}", chain(error));
        if let Some(step) = error
            .downcast_ref::<Failure>()
            .and_then(|one| one.next_step.as_ref())
        {
            eprintln!(" next: {step}");
        }
    }
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// A reader that went away (`| head`) ends the program quietly; it is no error.
fn write_out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .is_err()
    {
        #[expect(
            clippy::exit,
            reason = "nobody reads what this program prints any more"
        )]
        std::process::exit(0);
    }
}

/// Control characters of stored text must not drive the terminal.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() || is_bidi_control(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// Micro-dollars as people write them.
pub(crate) fn dollars(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    if micros == 0 {
        "-".to_owned()
    } else if whole == 0 && rest < 10_000 {
        format!("${whole}.{rest:06}")
    } else {
        format!("${whole}.{:02}", rest / 10_000)
    }
}

/// How many files.
pub(crate) fn files(count: usize) -> String {
    match count {
        1 => "1 file".to_owned(),
        many => format!("{many} files"),
    }
}

/// A stretch of time, in its two largest units.
pub(crate) fn span(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How long ago, in one unit.
pub(crate) fn ago(then: instar_protocol::Timestamp, now: instar_protocol::Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}
