//! The terminal: taken over at the start, given back at the end, whatever the end is.

use std::io::Stdout;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc::Sender;

use super::state::Message;

pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(crate) fn open(mouse: bool) -> std::io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        enable_raw_mode()?;
        let opened = take(mouse);
        if opened.is_err() {
            give_back();
        }
        opened
    }
}

fn take(mouse: bool) -> std::io::Result<Screen> {
    let mut out = std::io::stdout();
    execute!(out, EnterAlternateScreen, EnableBracketedPaste)?;
    if mouse {
        execute!(out, EnableMouseCapture)?;
    }
    Ok(Screen {
        terminal: Terminal::new(CrosstermBackend::new(out))?,
    })
}

impl Drop for Screen {
    fn drop(&mut self) {
        // What cannot be given back is gone with its terminal.
        drop(self.terminal.show_cursor());
        give_back();
    }
}

fn give_back() {
    let left = execute!(
        std::io::stdout(),
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen
    );
    drop(left.and(disable_raw_mode()));
}

/// Reads keys on a thread of its own, which ends with the process.
pub(crate) fn read_input(out: Sender<Message>) {
    drop(std::thread::spawn(move || {
        while let Ok(input) = crossterm::event::read() {
            if out.blocking_send(Message::Input(input)).is_err() {
                return;
            }
        }
    }));
}
