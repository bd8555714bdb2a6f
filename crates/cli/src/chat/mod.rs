//! `instar chat`: the gateway's conversations in a terminal.
//!
//! `state` is all that is known, `update` (with `keys`) says what becomes of it, `view` draws it:
//! none of them does I/O. `net` does what `update` wants done, `screen` is the terminal. Text from
//! elsewhere is made safe where it enters the state (`transcript`, `text`).

mod again;
mod commands;
mod editor;
mod keys;
mod lines;
mod net;
mod picker;
mod plain;
mod questions;
mod screen;
mod state;
mod text;
mod transcript;
mod update;
mod view;

#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::time::Duration;

use instar_protocol::SessionKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use crate::args::Chat;
use crate::context::Context;
use crate::failure::{Code, Failure};
use lines::Theme;
use net::Net;
use screen::Screen;
use state::{Effect, Message, State};
use update::update;

/// How often what moves by itself is drawn.
const TICK: Duration = Duration::from_millis(150);
/// Messages that are taken in before the screen is drawn again.
const AT_ONCE: usize = 256;

pub(crate) async fn run(command: &Chat, run: &Context) -> anyhow::Result<()> {
    // Says what to do where no gateway runs.
    drop(run.client()?);
    let people = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if command.plain || run.out.json() || !people {
        return plain::run(command, run).await;
    }
    let key = SessionKey::parse(&command.session)
        .map_err(|error| {
            Failure::new(Code::Usage, error.to_string()).next("see `instar sessions list`")
        })?
        .to_string();
    let theme = Theme {
        colour: run.out.colour(),
    };
    let (sender, messages) = channel(1024);
    let mut net = Net::new(run.state()?, sender.clone());
    let mut state = State::new(key.clone(), run.now().millis());
    net.perform(Effect::Follow(key));
    if let Some(model) = &command.model {
        for effect in update::send(&mut state, format!("/model {model}")) {
            net.perform(effect);
        }
    }
    let mut screen = Screen::open(!command.no_mouse)?;
    screen::read_input(sender);
    live(&mut state, &mut net, &mut screen, messages, theme).await
}

async fn live(
    state: &mut State,
    net: &mut Net,
    screen: &mut Screen,
    mut messages: Receiver<Message>,
    theme: Theme,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        let drawn = screen
            .terminal
            .draw(|frame| view::draw(frame, state, theme));
        let _frame = drawn?;
        let mut next = tokio::select! {
            message = messages.recv() => message,
            () = tokio::time::sleep(TICK), if state.moves() => Some(Message::Tick),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
        };
        for _ in 0..AT_ONCE {
            let Some(message) = next else {
                break;
            };
            for effect in update(state, message) {
                if effect == Effect::Quit {
                    return Ok(());
                }
                net.perform(effect);
            }
            next = messages.try_recv().ok();
        }
    }
}
