//! Blocks of a conversation as lines of a width.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::text::{clean_line, wrap};
use super::transcript::{Block, Tool, Verdict};
use crate::out;

/// How things look. Without colour, weight alone tells them apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    pub(crate) colour: bool,
}

impl Theme {
    fn tint(self, colour: Color) -> Style {
        let style = Style::default();
        if self.colour { style.fg(colour) } else { style }
    }

    /// As other commands show it.
    pub(crate) fn of(self, style: out::Style) -> Style {
        match style {
            out::Style::Plain => Style::default(),
            out::Style::Strong => self.strong(),
            out::Style::Faint => self.faint(),
            out::Style::Good => self.good(),
            out::Style::Warn => self.warn(),
            out::Style::Bad => self.bad(),
        }
    }

    pub(crate) fn strong(self) -> Style {
        self.tint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(crate) fn faint(self) -> Style {
        Style::default().add_modifier(Modifier::DIM)
    }

    pub(crate) fn good(self) -> Style {
        self.tint(Color::Green)
    }

    pub(crate) fn warn(self) -> Style {
        self.tint(Color::Yellow)
    }

    pub(crate) fn bad(self) -> Style {
        self.tint(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(crate) fn chosen(self) -> Style {
        Style::default().add_modifier(Modifier::REVERSED)
    }
}

/// One block, with an empty line before what begins something new.
pub(crate) fn block(
    block: &Block,
    columns: usize,
    unfolded: bool,
    theme: Theme,
    lines: &mut Vec<Line<'static>>,
) {
    let faint = theme.faint();
    match block {
        Block::User(text) => {
            lines.push(Line::default());
            prefixed("› ", text, columns, theme.strong(), lines);
        }
        Block::Agent(text) => {
            lines.push(Line::default());
            answer(text.trim_matches('\n'), columns, theme, lines);
        }
        Block::Reasoning(text) if unfolded => {
            lines.push(Line::styled("  ▾ reasoning", faint));
            prefixed("    ", text.trim(), columns, faint, lines);
        }
        Block::Reasoning(text) => {
            let first = clean_line(text.trim(), columns.saturating_sub(16));
            lines.push(Line::styled(format!("  ▸ reasoning: {first}"), faint));
        }
        Block::Tool(tool) => self::tool(tool, columns, unfolded, theme, lines),
        Block::Note { text, bad } => {
            let style = if *bad { theme.warn() } else { faint };
            prefixed("  ", text, columns, style, lines);
        }
        Block::Cost(text) => {
            let text = clean_line(text, columns.saturating_sub(2));
            lines.push(Line::styled(format!("  {text}"), faint));
        }
    }
}

fn tool(tool: &Tool, columns: usize, unfolded: bool, theme: Theme, lines: &mut Vec<Line<'static>>) {
    let (style, verdict) = match &tool.verdict {
        None => (theme.faint(), "…".to_owned()),
        Some(Verdict::Ran(rule)) => (theme.good(), format!("allowed by {rule}")),
        Some(Verdict::Failed(rule)) => (theme.warn(), format!("allowed by {rule}, failed")),
        Some(Verdict::Refused(reason)) => (theme.bad(), format!("refused: {reason}")),
        Some(Verdict::Handed) => (theme.faint(), "handed to the client".to_owned()),
    };
    let arrow = if unfolded { '▾' } else { '▸' };
    let name = clean_line(&tool.name, columns.saturating_sub(8));
    let verdict = clean_line(&verdict, columns.saturating_sub(8));
    let mut head = vec![
        Span::styled(format!("  {arrow} {name}"), theme.warn()),
        Span::raw("  "),
        Span::styled(verdict, style),
    ];
    let used = Line::from(head.clone()).width();
    if used > columns {
        let verdict = head.split_off(2);
        lines.push(Line::from(head));
        lines.push(Line::from([vec![Span::raw("    ")], verdict].concat()));
    } else {
        if !unfolded && used + 6 < columns {
            let rest = clean_line(&tool.arguments, columns - used - 2);
            head.push(Span::styled(format!("  {rest}"), theme.faint()));
        }
        lines.push(Line::from(head));
    }
    if unfolded {
        prefixed("    ", &tool.arguments, columns, theme.faint(), lines);
        if !tool.result.is_empty() {
            prefixed(
                "    │ ",
                tool.result.trim_end(),
                columns,
                theme.faint(),
                lines,
            );
        }
    }
}

/// Stands where bold begins or ends while text is wrapped: no column wide, and never broken at.
const TOGGLE: char = '\u{2060}';

/// An answer's text. Of its Markdown, bold and code fences are shown; the rest reads well as it is.
fn answer(text: &str, columns: usize, theme: Theme, lines: &mut Vec<Line<'static>>) {
    let mut in_code = false;
    for line in text.replace(TOGGLE, "").split('\n') {
        let fence = line.trim_start().starts_with("```");
        if in_code || fence {
            prefixed("  ", line, columns, theme.faint(), lines);
            in_code ^= fence;
            continue;
        }
        let paired = line.matches("**").count() % 2 == 0 && !line.contains('`');
        let marked = line.replace("**", &TOGGLE.to_string());
        let line = if paired { &marked } else { line };
        let mut bold = line.starts_with('#');
        for row in wrap(line, columns.saturating_sub(2)) {
            let mut spans = vec![Span::raw("  ")];
            for (at, piece) in row.split(TOGGLE).enumerate() {
                bold ^= at > 0;
                let style = Style::default();
                let weight = if bold {
                    Modifier::BOLD
                } else {
                    Modifier::empty()
                };
                spans.push(Span::styled(piece.to_owned(), style.add_modifier(weight)));
            }
            lines.push(Line::from(spans));
        }
    }
}

/// Wrapped text behind a prefix; further lines are indented as far.
fn prefixed(
    prefix: &str,
    text: &str,
    columns: usize,
    style: Style,
    lines: &mut Vec<Line<'static>>,
) {
    let bar = prefix.contains('│');
    let indent = " ".repeat(prefix.chars().count());
    let width = columns.saturating_sub(indent.len());
    for (at, line) in wrap(text, width).into_iter().enumerate() {
        let before = if at == 0 || bar { prefix } else { &indent };
        lines.push(Line::styled(format!("{before}{line}"), style));
    }
}
