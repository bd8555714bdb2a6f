//! The questions that wait for the owner, in front of the conversation: read one to its end, answer it.
//! What is pressed here goes to the gateway as the owner's answer and never into a conversation.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use instar_protocol::Timestamp;
use instar_protocol::approvals::{OwnersWord, ShownQuestion};
use ratatui::text::{Line, Span};

use super::lines::Theme;
use super::state::{Effect, State};
use super::text::{clean, wrap};
use crate::question::{asks, facts};

/// In the place of a question that was read and is settled: it stays until the owner goes on.
const SETTLED: usize = usize::MAX;
/// Columns in which the names of facts stand.
const NAMES: usize = 14;

#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// Absent until the gateway answered.
    open: Option<Vec<ShownQuestion>>,
    at: usize,
    now: Timestamp,
    /// The first line that is shown; the furthest it can be, and the lines of a page: the view tells.
    top: usize,
    top_max: usize,
    page: usize,
    /// True once its last line was on the screen: nobody says yes to what he has not seen.
    read: bool,
    /// True while the rule that "always" would keep is shown and waits for a word.
    keeping: bool,
}

/// Opens them, or closes them.
pub(super) fn toggle(state: &mut State) -> Vec<Effect> {
    if state.questions.take().is_some() {
        return Vec::new();
    }
    state.questions = Some(Questions::default());
    vec![Effect::Questions]
}

pub(super) fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(questions) = &mut state.questions else {
        return Vec::new();
    };
    let page = questions.page.max(1);
    match key.code {
        _ if key.modifiers.contains(KeyModifiers::CONTROL) => {}
        KeyCode::Char('y') if questions.keeping => return questions.answer(OwnersWord::Always),
        _ if std::mem::take(&mut questions.keeping) => {}
        KeyCode::Esc | KeyCode::F(3) => state.questions = None,
        KeyCode::Up => questions.scroll_up(1),
        KeyCode::Down => questions.scroll_down(1),
        KeyCode::PageUp => questions.scroll_up(page),
        KeyCode::PageDown | KeyCode::Char(' ') => questions.scroll_down(page),
        KeyCode::Tab | KeyCode::Right => questions.turn(1),
        KeyCode::BackTab | KeyCode::Left => questions.turn(-1),
        KeyCode::Char('y') => return questions.answer(OwnersWord::Once),
        KeyCode::Char('n') => return questions.answer(OwnersWord::No),
        KeyCode::Char('a') => questions.keeping = questions.may_keep(),
        _ => {}
    }
    Vec::new()
}

impl Questions {
    /// Takes the questions in; the one that is being read stays in view.
    pub(super) fn fill(&mut self, open: Vec<ShownQuestion>, now: Timestamp) {
        let reading = self.shown().map(|one| one.id.clone());
        let at = open
            .iter()
            .position(|one| Some(&one.id) == reading.as_ref());
        (self.open, self.now) = (Some(open), now);
        match (at, reading) {
            (Some(at), _) => self.at = at,
            // A finger may be on its way: it does not answer the next one.
            (None, Some(_)) => self.show(SETTLED),
            (None, None) if self.at == SETTLED => {}
            (None, None) => self.show(0),
        }
    }

    fn shown(&self) -> Option<&ShownQuestion> {
        self.open.as_ref()?.get(self.at)
    }

    fn show(&mut self, at: usize) {
        (self.at, self.top) = (at, 0);
        (self.read, self.keeping) = (false, false);
    }

    fn turn(&mut self, by: isize) {
        let last = self.open.as_ref().map_or(0, Vec::len).saturating_sub(1);
        let at = match self.shown() {
            Some(_) => self.at.saturating_add_signed(by).min(last),
            None => 0,
        };
        if at != self.at {
            self.show(at);
        }
    }

    pub(super) fn scroll_up(&mut self, lines: usize) {
        self.top = self.top.saturating_sub(lines);
    }

    pub(super) fn scroll_down(&mut self, lines: usize) {
        self.top = (self.top + lines).min(self.top_max);
    }

    fn may_keep(&self) -> bool {
        self.read && self.shown().is_some_and(|one| one.always.is_some())
    }

    fn answer(&mut self, word: OwnersWord) -> Vec<Effect> {
        self.keeping = false;
        match self.shown() {
            Some(one) if self.read || !word.is_yes() => vec![Effect::Answer {
                question: Box::new(one.clone()),
                word,
            }],
            _ => Vec::new(),
        }
    }

    pub(super) fn title(&self) -> String {
        match self.open.as_deref() {
            None => "Questions".to_owned(),
            Some(_) if self.shown().is_none() => "Questions · Esc goes on".to_owned(),
            Some(open) => {
                let always = if self.may_keep() { ", a always" } else { "" };
                let yes = match (self.read, self.keeping) {
                    (_, true) => "y keeps this rule, any other key does not".to_owned(),
                    (true, false) => format!("y yes, once{always}, n no"),
                    (false, false) => "PgDn shows the rest, n no".to_owned(),
                };
                let (at, all) = (self.at + 1, open.len());
                format!("Question {at} of {all} · {yes}, Tab the next, Esc later")
            }
        }
    }

    /// What is to be seen in a frame of this size.
    pub(super) fn lines(
        &mut self,
        columns: usize,
        rows: usize,
        theme: Theme,
    ) -> Vec<Line<'static>> {
        let faint = |words: &'static str| vec![Line::styled(words, theme.faint())];
        let lines = match (self.open.as_deref(), self.shown()) {
            (None, _) => faint("asking the gateway…"),
            (Some([]), None) if self.at == SETTLED => {
                faint("That question is settled. Nothing else waits for you.")
            }
            (Some([]), None) => faint("Nothing waits for you."),
            (Some(_), None) => faint("That question is settled. Tab shows the next."),
            (Some(_), Some(one)) if self.keeping => kept(one, columns, theme),
            (Some(_), Some(one)) => told(one, self.now, columns, theme),
        };
        self.page = rows.saturating_sub(1);
        self.top_max = lines.len().saturating_sub(rows);
        self.top = self.top.min(self.top_max);
        self.read |= self.top == self.top_max && !self.keeping;
        lines.into_iter().skip(self.top).take(rows).collect()
    }
}

fn told(one: &ShownQuestion, now: Timestamp, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled(clean(&asks(one)), theme.strong())];
    for fact in facts(one, now) {
        let name = clean(&fact.name).replace('\n', " ");
        // A long name stands above what it says.
        let mut before = format!("{name:<NAMES$}");
        if name.chars().count() >= NAMES {
            lines.push(Line::styled(name, theme.faint()));
            before = " ".repeat(NAMES);
        }
        for row in wrap(&clean(&fact.text), columns.saturating_sub(NAMES)) {
            let name = Span::styled(before, theme.faint());
            let text = Span::styled(row, theme.of(fact.style));
            lines.push(Line::from(vec![name, text]));
            before = " ".repeat(NAMES);
        }
    }
    lines
}

fn kept(one: &ShownQuestion, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let asked = "This rule would be kept, and you would not be asked again:";
    let mut lines = vec![Line::styled(asked, theme.strong()), Line::default()];
    let rule = clean(one.always.as_deref().unwrap_or_default());
    let rows = wrap(&rule, columns.saturating_sub(2));
    lines.extend(rows.into_iter().map(|row| Line::raw(format!("  {row}"))));
    lines
}
