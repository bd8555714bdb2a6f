//! The screen, drawn from the state.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block as Border, Clear, Paragraph};

use super::commands;
use super::keys::HELP;
use super::lines::{self, Theme};
use super::picker::{Picker, What};
use super::questions::Questions;
use super::state::{Drawn, Link, State};
use super::text::{clean, clean_line};
use super::transcript::Block;

/// The most rows of the box that is typed in.
const INPUT_ROWS_MAX: usize = 8;
/// The most commands that are listed at once.
const COMPLETIONS_MAX: usize = 8;
const SPINNER: [char; 4] = ['◐', '◓', '◑', '◒'];

pub(crate) fn draw(frame: &mut Frame<'_>, state: &mut State, theme: Theme) {
    let area = frame.area();
    let columns = usize::from(area.width);
    let (rows, cursor) = state.input.rows(columns.saturating_sub(3));
    let shown = rows.len().min(INPUT_ROWS_MAX);
    let [head, talk, rule, input, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(small(shown)),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(header(state, columns, theme), head);
    conversation(frame, state, talk, theme);
    let line = "─".repeat(columns);
    frame.render_widget(Line::styled(line, theme.faint()), rule);
    typed(frame, state, (&rows, cursor), input, theme);
    frame.render_widget(footer(state, columns, theme), foot);
    if let Some(questions) = &mut state.questions {
        waiting(frame, questions, talk, theme);
    } else if let Some(picker) = &state.picker {
        choice(frame, picker, talk, theme);
    } else if state.keys_shown {
        keys(frame, talk, theme);
    } else {
        completions(frame, state, talk, theme);
    }
}

fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn header(state: &State, columns: usize, theme: Theme) -> Line<'static> {
    let key = clean_line(&state.key, columns / 2);
    let title = if state.title.is_empty() || state.title == state.key {
        String::new()
    } else {
        clean_line(&state.title, (columns / 2).saturating_sub(10))
    };
    let gap = if title.is_empty() { "" } else { "  " };
    Line::from(vec![
        Span::styled("Instar  ", theme.strong()),
        Span::raw(title),
        Span::styled(format!("{gap}{key}"), theme.faint()),
    ])
}

fn conversation(frame: &mut Frame<'_>, state: &mut State, area: Rect, theme: Theme) {
    let columns = usize::from(area.width);
    let fresh = state
        .drawn
        .as_ref()
        .is_some_and(|drawn| drawn.columns == columns && drawn.unfolded == state.unfolded);
    if !fresh {
        let mut lines = Vec::new();
        if state.truncated {
            let words = "  earlier entries: `instar sessions export`";
            lines.push(Line::styled(words, theme.faint()));
        }
        for block in &state.blocks {
            lines::block(block, columns, state.unfolded, theme, &mut lines);
        }
        state.drawn = Some(Drawn {
            columns,
            unfolded: state.unfolded,
            lines,
        });
    }
    let tail = tail(state, columns, theme);
    let stored = state.drawn.as_ref().map_or(&[][..], |drawn| &drawn.lines);
    let total = stored.len() + tail.len();
    let page = usize::from(area.height);
    if state.scroll > 0 {
        // What was being read stays where it is.
        state.scroll += total.saturating_sub(state.total);
    }
    state.total = total;
    state.page = page.saturating_sub(2).max(1);
    state.scroll_max = total.saturating_sub(page);
    state.scroll = state.scroll.min(state.scroll_max);
    let first = state.scroll_max - state.scroll;
    let shown: Vec<Line<'_>> = stored
        .iter()
        .chain(&tail)
        .skip(first)
        .take(page)
        .cloned()
        .collect();
    if total == 0 {
        return empty(frame, state, area, theme);
    }
    frame.render_widget(Paragraph::new(shown), area);
}

/// What is not stored yet: the running turn, and messages on their way.
fn tail(state: &State, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let draw = |block: &Block, lines: &mut Vec<Line<'static>>| {
        lines::block(block, columns, state.unfolded, theme, lines);
    };
    if let Some(turn) = &state.turn {
        for block in &turn.blocks {
            draw(block, &mut lines);
        }
    }
    for sent in &state.sent {
        draw(&Block::User(clean(&sent.text)), &mut lines);
    }
    if state.running() {
        let spinner = SPINNER[state.ticks % SPINNER.len()];
        lines.push(Line::styled(
            format!("  {spinner} Esc stops"),
            theme.faint(),
        ));
    }
    lines
}

fn empty(frame: &mut Frame<'_>, state: &State, area: Rect, theme: Theme) {
    let words = match state.link {
        Link::Connecting => "reading the conversation…",
        Link::Up | Link::Lost(_) => {
            "Nothing was said here yet. Type below and press Enter; / lists commands."
        }
    };
    let words = clean_line(words, usize::from(area.width));
    frame.render_widget(Line::styled(words, theme.faint()), area);
}

fn typed(
    frame: &mut Frame<'_>,
    state: &State,
    (rows, (row, column)): (&[String], (usize, usize)),
    area: Rect,
    theme: Theme,
) {
    let height = usize::from(area.height);
    let first = (row + 1).saturating_sub(height);
    for (at, text) in rows.iter().skip(first).take(height).enumerate() {
        let prompt = if first + at == 0 { "› " } else { "  " };
        let line = Line::from(vec![
            Span::styled(prompt, theme.strong()),
            Span::raw(text.clone()),
        ]);
        let y = area.y + small(at);
        frame.render_widget(line, Rect::new(area.x, y, area.width, 1));
    }
    if state.picker.is_none() && state.questions.is_none() && height > 0 {
        let (x, y) = (small(column + 2), small(row - first));
        frame.set_cursor_position(Position::new(area.x + x, area.y + y));
    }
}

fn footer(state: &State, columns: usize, theme: Theme) -> Line<'static> {
    if let Link::Lost(why) = &state.link {
        let text = format!("the gateway is away, trying again: {why}");
        return Line::styled(clean_line(&text, columns), theme.bad());
    }
    if let Some(flash) = &state.flash {
        return Line::styled(clean_line(flash, columns), theme.warn());
    }
    if let Some(first) = state.waiting.first() {
        let more = match state.waiting.len() {
            1 => String::new(),
            many => format!(" (and {} more)", many - 1),
        };
        // Not by a message: a conversation cannot answer for its owner.
        let text = if first.starts_with("let_") {
            format!("a letter waits{more}: `instar inbox show {first}`")
        } else {
            format!("a question waits{more}: F3 shows it")
        };
        return Line::styled(clean_line(&text, columns), theme.warn());
    }
    if let Some(problem) = &state.budget_problem {
        return Line::styled(clean_line(problem, columns), theme.warn());
    }
    let model = state.model.as_ref().unwrap_or(&state.default_model);
    let mut parts = vec![model.clone(), state.gateway.clone(), state.spent.clone()];
    if state.scroll > 0 {
        parts.insert(0, format!("{} lines below", state.scroll));
    }
    parts.push("F1 keys".to_owned());
    parts.retain(|part| !part.is_empty());
    let (dot, style) = match state.link {
        Link::Up => ("● ", theme.good()),
        Link::Connecting | Link::Lost(_) => ("○ ", theme.faint()),
    };
    let rest = clean_line(&parts.join(" · "), columns.saturating_sub(2));
    Line::from(vec![
        Span::styled(dot, style),
        Span::styled(rest, theme.faint()),
    ])
}

/// A frame at the bottom of the conversation, emptied.
fn popup(frame: &mut Frame<'_>, over: Rect, rows: usize, title: &str, theme: Theme) -> Rect {
    let height = small(rows + 2).min(over.height);
    let area = Rect {
        y: over.bottom() - height,
        height,
        ..over
    };
    let border = Border::bordered()
        .title(format!(" {title} "))
        .border_style(theme.faint());
    let inside = border.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(border, area);
    inside
}

fn waiting(frame: &mut Frame<'_>, questions: &mut Questions, over: Rect, theme: Theme) {
    let rows = usize::from(over.height);
    let inside = Border::bordered().inner(over);
    let (columns, seen) = (usize::from(inside.width), usize::from(inside.height));
    // What is on the screen decides what can be answered, and the title says it.
    let lines = questions.lines(columns, seen, theme);
    let inside = popup(frame, over, rows, &questions.title(), theme);
    frame.render_widget(Paragraph::new(lines), inside);
}

fn choice(frame: &mut Frame<'_>, picker: &Picker, over: Rect, theme: Theme) {
    let title = match picker.what {
        What::Session => "Conversations · Enter opens, Esc leaves",
        What::Model => "Models · Enter chooses, Esc leaves",
    };
    let rows = picker.rows();
    let inside = popup(frame, over, rows.len().max(1) + 1, title, theme);
    let columns = usize::from(inside.width);
    let mut lines = vec![Line::from(vec![
        Span::styled("find: ", theme.strong()),
        Span::raw(clean_line(&picker.filter, columns.saturating_sub(8))),
        Span::styled("▏", theme.strong()),
    ])];
    let room = usize::from(inside.height).saturating_sub(1);
    let first = (picker.at + 1).saturating_sub(room);
    for (at, row) in rows.iter().enumerate().skip(first).take(room) {
        let words = clean_line(&row.words, columns / 2);
        let used = Line::raw(words.as_str()).width();
        let pad = " ".repeat((columns / 2 + 2).saturating_sub(used));
        let detail = clean_line(&row.detail, columns.saturating_sub(columns / 2 + 2));
        let mut line = Line::from(vec![
            Span::raw(words),
            Span::raw(pad),
            Span::styled(detail, theme.faint()),
        ]);
        if at == picker.at {
            line = line.style(theme.chosen());
        }
        lines.push(line);
    }
    if rows.is_empty() {
        let words = if picker.loading() {
            "asking the gateway…"
        } else {
            "nothing fits"
        };
        lines.push(Line::styled(words, theme.faint()));
    }
    frame.render_widget(Paragraph::new(lines), inside);
}

fn keys(frame: &mut Frame<'_>, over: Rect, theme: Theme) {
    let inside = popup(frame, over, HELP.len(), "Keys · any key goes on", theme);
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(key, does)| {
            Line::from(vec![
                Span::styled(format!("{key:<22}"), theme.strong()),
                Span::raw(*does),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), inside);
}

fn completions(frame: &mut Frame<'_>, state: &State, over: Rect, theme: Theme) {
    let found = commands::completions(state.input.text());
    if found.is_empty() {
        return;
    }
    let inside = popup(
        frame,
        over,
        found.len().min(COMPLETIONS_MAX),
        "Commands · Tab completes",
        theme,
    );
    let at = state.completion.min(found.len() - 1);
    let room = usize::from(inside.height);
    let first = (at + 1).saturating_sub(room);
    let lines: Vec<Line<'_>> = found
        .iter()
        .enumerate()
        .skip(first)
        .take(room)
        .map(|(row, one)| {
            let argument = one
                .argument
                .map_or(String::new(), |name| format!(" {name}"));
            let line = Line::from(vec![
                Span::styled(
                    format!("/{:<14}", format!("{}{argument}", one.name)),
                    theme.strong(),
                ),
                Span::raw(one.about),
            ]);
            if row == at {
                line.style(theme.chosen())
            } else {
                line
            }
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), inside);
}
