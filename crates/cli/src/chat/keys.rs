//! Keys, mouse and paste.

use crossterm::event::{
    Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEventKind,
};

use super::again;
use super::commands::{self, Own};
use super::picker::{Picker, What};
use super::questions;
use super::state::{Effect, Neighbour, State};
use super::update::{begin, go_to, send};

/// Lines that one notch of the wheel moves.
const WHEEL: usize = 3;

/// The keys as the help shows them.
pub(crate) const HELP: [(&str, &str); 18] = [
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J", "new line"),
    ("Up, Down", "move; on the first line, earlier messages"),
    ("Tab", "complete a command; / lists them"),
    ("PgUp, PgDn, wheel", "scroll; Ctrl-End to the end"),
    ("Ctrl-T", "fold or unfold tools and reasoning"),
    ("Esc, Ctrl-C", "stop the answer that is being written"),
    ("Ctrl-R", "another answer to the last message"),
    ("Ctrl-G", "write the last message in another form"),
    (
        "Alt-Up, Alt-Down",
        "the branch written before this one, after it",
    ),
    ("Ctrl-O", "choose a conversation"),
    ("Ctrl-N", "begin a conversation"),
    ("Ctrl-P", "choose the model"),
    ("Ctrl-A, Ctrl-E", "begin, end of the line"),
    ("Ctrl-W, -U, -K", "delete a word, to the begin, to the end"),
    ("F3", "the questions that wait for you"),
    ("F1", "these keys"),
    ("Ctrl-D", "leave; the gateway goes on"),
];

pub(crate) fn input(state: &mut State, input: Input) -> Vec<Effect> {
    match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => pressed(state, key),
        Input::Paste(text) => {
            match &mut state.picker {
                _ if state.questions.is_some() => {}
                Some(picker) => picker.narrow(&text),
                None if !state.input.insert(&text) => {
                    state.flash = Some("cut: a message has at most 1 MiB".to_owned());
                }
                None => {}
            }
            Vec::new()
        }
        Input::Mouse(mouse) => {
            match mouse.kind {
                MouseEventKind::ScrollUp => scroll_up(state, WHEEL),
                MouseEventKind::ScrollDown => scroll_down(state, WHEEL),
                _ => {}
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    state.flash = None;
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && key.code == KeyCode::Char('c') {
        return interrupted(state);
    }
    state.leaving = false;
    if state.keys_shown {
        state.keys_shown = false;
        return Vec::new();
    }
    if state.picker.is_some() {
        return in_picker(state, key);
    }
    if state.questions.is_some() {
        return questions::pressed(state, key);
    }
    if control && let Some(effects) = with_control(state, key.code) {
        return effects;
    }
    match key.code {
        KeyCode::F(1) => return obey(state, Own::Keys),
        KeyCode::F(2) => return obey(state, Own::Sessions),
        KeyCode::F(3) => return obey(state, Own::Questions),
        KeyCode::Esc if again::leave(state) => {}
        KeyCode::Esc => return stop(state),
        KeyCode::PageUp => scroll_up(state, state.page),
        KeyCode::PageDown => scroll_down(state, state.page),
        KeyCode::Tab => complete(state),
        KeyCode::Enter
            if key
                .modifiers
                .intersects(KeyModifiers::ALT | KeyModifiers::SHIFT) =>
        {
            typed(state, "\n");
        }
        KeyCode::Enter => return entered(state),
        KeyCode::Up if key.modifiers.contains(KeyModifiers::ALT) => {
            return again::switch(state, Neighbour::Older);
        }
        KeyCode::Down if key.modifiers.contains(KeyModifiers::ALT) => {
            return again::switch(state, Neighbour::Newer);
        }
        code => edit(state, code, key.modifiers),
    }
    Vec::new()
}

fn with_control(state: &mut State, code: KeyCode) -> Option<Vec<Effect>> {
    match code {
        KeyCode::Char('d') if state.input.text().is_empty() => return Some(vec![Effect::Quit]),
        KeyCode::Char('o') => return Some(obey(state, Own::Sessions)),
        KeyCode::Char('p') => return Some(obey(state, Own::Models)),
        KeyCode::Char('n') => return Some(obey(state, Own::Chat)),
        KeyCode::Char('t') => return Some(obey(state, Own::Fold)),
        KeyCode::Char('r') => return Some(obey(state, Own::Retry)),
        KeyCode::Char('g') => return Some(obey(state, Own::Edit)),
        KeyCode::Char('j') => typed(state, "\n"),
        KeyCode::Char('d') => state.input.delete(),
        KeyCode::Char('a') => state.input.home(),
        KeyCode::Char('e') => state.input.end(),
        KeyCode::Char('w') => state.input.kill_word(),
        KeyCode::Char('u') => state.input.kill_to_start(),
        KeyCode::Char('k') => state.input.kill_to_end(),
        KeyCode::End => state.scroll = 0,
        KeyCode::Home => state.scroll = state.scroll_max,
        KeyCode::Left | KeyCode::Right | KeyCode::Enter | KeyCode::Backspace => return None,
        // Ctrl and a letter types nothing.
        KeyCode::Char(_) => {}
        _ => return None,
    }
    Some(Vec::new())
}

fn edit(state: &mut State, code: KeyCode, modifiers: KeyModifiers) {
    let by_word = modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let listed = commands::completions(state.input.text()).len();
    match code {
        KeyCode::Char(c) => typed(state, c.encode_utf8(&mut [0; 4])),
        KeyCode::Backspace if by_word => state.input.kill_word(),
        KeyCode::Backspace => {
            state.input.backspace();
            state.completion = 0;
        }
        KeyCode::Delete => state.input.delete(),
        KeyCode::Left if by_word => state.input.word_left(),
        KeyCode::Right if by_word => state.input.word_right(),
        KeyCode::Left => state.input.left(),
        KeyCode::Right => state.input.right(),
        KeyCode::Home => state.input.home(),
        KeyCode::End => state.input.end(),
        KeyCode::Up if listed > 1 => state.completion = state.completion.saturating_sub(1),
        KeyCode::Down if listed > 1 => state.completion = (state.completion + 1).min(listed - 1),
        KeyCode::Up => state.input.up(),
        KeyCode::Down => state.input.down(),
        _ => {}
    }
}

fn typed(state: &mut State, text: &str) {
    if !state.input.insert(text) {
        state.flash = Some("a message has at most 1 MiB".to_owned());
    }
    state.completion = 0;
}

/// Ctrl-C ends the nearest thing: a list, the answer, what was typed, and the second time the client.
fn interrupted(state: &mut State) -> Vec<Effect> {
    let closed = state.picker.take().is_some() || state.questions.take().is_some();
    if closed || std::mem::take(&mut state.keys_shown) {
        return Vec::new();
    }
    if state.running() {
        return stop(state);
    }
    if again::leave(state) {
        return Vec::new();
    }
    if !state.input.text().is_empty() {
        state.input.clear();
        return Vec::new();
    }
    if state.leaving {
        return vec![Effect::Quit];
    }
    state.leaving = true;
    state.flash = Some("Ctrl-C again to leave; the gateway goes on".to_owned());
    Vec::new()
}

fn stop(state: &mut State) -> Vec<Effect> {
    if !state.running() {
        return Vec::new();
    }
    state.flash = Some("stopping…".to_owned());
    vec![Effect::Stop(state.key.clone())]
}

fn scroll_up(state: &mut State, lines: usize) {
    if let Some(questions) = &mut state.questions {
        return questions.scroll_up(lines);
    }
    state.scroll = (state.scroll + lines).min(state.scroll_max);
}

fn scroll_down(state: &mut State, lines: usize) {
    if let Some(questions) = &mut state.questions {
        return questions.scroll_down(lines);
    }
    state.scroll = state.scroll.saturating_sub(lines);
}

/// Takes the chosen command into the line.
fn complete(state: &mut State) {
    let found = commands::completions(state.input.text());
    if let Some(one) = found.get(state.completion.min(found.len().saturating_sub(1))) {
        let space = if one.argument.is_some() { " " } else { "" };
        state.input.set(&format!("/{}{space}", one.name));
        state.completion = 0;
    }
}

fn entered(state: &mut State) -> Vec<Effect> {
    if state.input.text().trim().is_empty() {
        return Vec::new();
    }
    // What is chosen in the list of commands counts, not the letters typed so far.
    let listed = commands::completions(state.input.text()).len();
    if listed > 0 && state.input.at_end() {
        complete(state);
        let waits = state.input.text().ends_with(' ');
        if waits && listed > 1 {
            return Vec::new();
        }
    }
    let text = state.input.take();
    state.completion = 0;
    match commands::own_command(&text) {
        Some(own) => obey(state, own),
        None if state.editing.is_some() => again::send(state, text.trim_end().to_owned()),
        None => send(state, text.trim_end().to_owned()),
    }
}

fn obey(state: &mut State, own: Own) -> Vec<Effect> {
    match own {
        Own::Sessions => {
            state.picker = Some(Picker::new(What::Session));
            return vec![Effect::Sessions(String::new())];
        }
        Own::Models => {
            state.picker = Some(Picker::new(What::Model));
            return vec![Effect::Models];
        }
        Own::Questions => return questions::toggle(state),
        Own::Chat => return begin(state),
        Own::Retry => return again::retry(state),
        Own::Branch => return again::switch(state, Neighbour::Next),
        Own::Edit => again::edit(state),
        Own::Fold => {
            state.unfolded = !state.unfolded;
            state.drawn = None;
        }
        Own::Keys => state.keys_shown = true,
        Own::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

fn in_picker(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let page = isize::try_from(state.page).unwrap_or(10);
    let Some(picker) = &mut state.picker else {
        return Vec::new();
    };
    let before = picker.filter.clone();
    match key.code {
        KeyCode::Esc => state.picker = None,
        KeyCode::Up => picker.move_by(-1),
        KeyCode::Down | KeyCode::Tab => picker.move_by(1),
        KeyCode::PageUp => picker.move_by(-page),
        KeyCode::PageDown => picker.move_by(page),
        KeyCode::Backspace => picker.widen(),
        // Who types and presses Enter at once means what he typed, not what is still shown.
        KeyCode::Enter if picker.is_behind() => picker.wants_first = true,
        KeyCode::Enter => return choose(state),
        KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::CONTROL) => {
            picker.narrow(c.encode_utf8(&mut [0; 4]));
        }
        _ => {}
    }
    match &state.picker {
        Some(picker) if picker.what == What::Session && picker.filter != before => {
            vec![Effect::Sessions(picker.filter.clone())]
        }
        _ => Vec::new(),
    }
}

pub(super) fn choose(state: &mut State) -> Vec<Effect> {
    let Some((what, chosen)) = state
        .picker
        .as_ref()
        .and_then(|picker| Some((picker.what, picker.chosen()?)))
    else {
        return Vec::new();
    };
    state.picker = None;
    match what {
        What::Session if chosen == state.key => Vec::new(),
        What::Session => go_to(state, chosen),
        What::Model => send(state, format!("/model {chosen}")),
    }
}
