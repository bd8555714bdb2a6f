//! What becomes of the state when something happens. No I/O: what is to be done is returned.

use instar_protocol::api::{SessionDetail, Status, UsageReport};
use instar_protocol::live::LiveEvent;
use instar_protocol::message::{Entry, EntryBody};

use super::again;
use super::keys;
use super::picker::What;
use super::state::{Effect, Link, Message, Sent, State, Turn};
use super::text::clean_line;
use super::transcript::{Block, blocks, happen, note};
use crate::out::dollars;

/// The most text of a running turn that is kept on the screen.
const TURN_BLOCKS_MAX: usize = 2_000;

pub(crate) fn update(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Input(input) => return keys::input(state, input),
        Message::Tick => state.ticks = state.ticks.wrapping_add(1),
        Message::Up { key } if key == state.key => {
            state.link = Link::Up;
            (state.loads, state.flash, state.moved) = (0, None, None);
            return vec![load(state), Effect::Ask];
        }
        Message::Lost { key, why } if key == state.key => {
            state.link = Link::Lost(clean_line(&why, 200));
            // What runs is answered all the same; the transcript tells when the gateway is back.
            if let Some(turn) = &mut state.turn {
                turn.over = true;
            }
        }
        Message::Loaded { key, detail } if key == state.key => {
            loaded(state, detail.as_deref());
        }
        Message::Live { key, event } if key == state.key => return live(state, &event),
        Message::Up { .. }
        | Message::Lost { .. }
        | Message::Loaded { .. }
        | Message::Live { .. } => {}
        Message::Status(status) => stand(state, &status),
        Message::Usage(usage) => state.spent = spent(&usage),
        Message::NotLoaded { why } => {
            state.loads = state.loads.saturating_sub(1);
            state.flash = Some(clean_line(&why, 300));
        }
        Message::Sessions {
            filter,
            sessions,
            now,
        } => {
            if let Some(picker) = &mut state.picker
                && picker.what == What::Session
                && picker.filter == filter
            {
                picker.fill_sessions(&sessions, now);
                if std::mem::take(&mut picker.wants_first) {
                    return keys::choose(state);
                }
            }
        }
        Message::Models(models) => {
            if let Some(picker) = &mut state.picker
                && picker.what == What::Model
            {
                picker.fill_models(&models);
            }
        }
        Message::Accepted { number, inbound } => {
            if let Some(sent) = state.sent.iter_mut().find(|sent| sent.number == number) {
                sent.inbound = Some(inbound);
            }
        }
        Message::NotSent { number, why } => not_sent(state, number, &why),
        Message::Told(text) => state.flash = Some(text),
        Message::Waiting(ids) => {
            state.waiting = ids;
            if state.questions.is_some() {
                return vec![Effect::Questions];
            }
        }
        Message::Questions { open, now } => {
            if let Some(questions) = &mut state.questions {
                questions.fill(open, now);
            }
        }
        Message::Answered(told) => {
            state.flash = Some(clean_line(&told, 300));
            return vec![Effect::Questions];
        }
        Message::Failed(why) => state.flash = Some(clean_line(&why, 300)),
    }
    Vec::new()
}

fn loaded(state: &mut State, detail: Option<&SessionDetail>) {
    let running = detail.is_some_and(|detail| detail.session.running);
    state.loads = state.loads.saturating_sub(1);
    // An answer that was read before the turn ended lacks what the turn said last.
    if state.loads == 0 && state.turn.as_ref().is_some_and(|turn| turn.over) {
        state.turn = None;
    }
    state.drawn = None;
    if running && state.turn.is_none() {
        state.turn = Some(Turn::default());
    }
    state.asked = detail.and_then(|detail| again::last(&detail.entries));
    let Some(detail) = detail else {
        (state.blocks, state.title, state.model) = (Vec::new(), String::new(), None);
        return;
    };
    state.title = clean_line(&detail.session.title, 120);
    state.model = detail
        .session
        .model
        .as_deref()
        .map(|one| clean_line(one, 80));
    state.truncated = detail.truncated;
    let first = state.blocks.is_empty();
    let run = state.turn.as_ref().and_then(|turn| turn.run.as_ref());
    let arrived = run.is_some() && detail.entries.iter().any(|entry| entry.run.as_ref() == run);
    if arrived {
        state.moved = None;
    }
    let entries = again::up_to(&detail.entries, state.moved.as_ref());
    state.blocks = blocks(settled(entries, state.turn.as_ref()));
    let stored = |sent: &Sent| {
        detail.entries.iter().any(|entry| {
            matches!(&entry.body, EntryBody::User { inbound: Some(id), .. } if Some(id) == sent.inbound.as_ref())
        })
    };
    state
        .sent
        .retain(|sent| sent.inbound.is_none() || (running && !stored(sent)));
    if first {
        for block in &state.blocks {
            if let Block::User(text) = block {
                state.input.remember(text);
            }
        }
    }
}

/// Entries that are not part of the turn on the screen.
fn settled<'a>(entries: &'a [Entry], turn: Option<&'a Turn>) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(move |entry| {
        let of_turn = turn.is_some_and(|turn| turn.run.is_some() && turn.run == entry.run);
        !of_turn || matches!(entry.body, EntryBody::User { .. })
    })
}

fn load(state: &mut State) -> Effect {
    state.loads += 1;
    Effect::Load(state.key.clone())
}

fn live(state: &mut State, event: &LiveEvent) -> Vec<Effect> {
    match event {
        LiveEvent::Accepted { .. } => {}
        // Reads the message into the transcript, whoever sent it.
        LiveEvent::Started { run, .. } => {
            state.turn = Some(Turn {
                run: Some(run.clone()),
                ..Turn::default()
            });
            return vec![load(state)];
        }
        LiveEvent::Done { outcome, .. } => {
            let turn = state.turn.get_or_insert_default();
            turn.over = true;
            state.moved = None;
            if let Some(error) = &outcome.error {
                state.flash = Some(clean_line(&error.next_step, 300));
            }
            return vec![load(state), Effect::Ask];
        }
        LiveEvent::Moved { leaf } => {
            state.moved = Some(leaf.clone());
            return vec![load(state)];
        }
        LiveEvent::Stored { .. } if !state.running() => {
            return vec![load(state)];
        }
        LiveEvent::Stored { .. } => {}
        event => {
            // A command is answered without a turn.
            let alone = state.turn.is_none() && matches!(event, LiveEvent::Notice { .. });
            let turn = state.turn.get_or_insert_default();
            if turn.blocks.len() < TURN_BLOCKS_MAX {
                happen(event, &mut turn.blocks);
            }
            if alone {
                turn.over = true;
                return vec![load(state)];
            }
        }
    }
    Vec::new()
}

fn stand(state: &mut State, status: &Status) {
    state.default_model = clean_line(&status.model, 80);
    state.gateway = clean_line(&status.url, 80);
    state.budget_problem = status
        .budget
        .problem
        .as_deref()
        .map(|problem| clean_line(problem, 120));
}

fn spent(usage: &UsageReport) -> String {
    let line = |micros, limit, word| match limit {
        Some(limit) => format!("{} of {} {word}", dollars(micros), dollars(limit)),
        None if micros > 0 => format!("{} {word}", dollars(micros)),
        None => String::new(),
    };
    let month = line(
        usage.spent_month_micros,
        usage.month_budget_micros,
        "this month",
    );
    match usage.day_budget_micros {
        None if usage.month_budget_micros.is_some() => month,
        limit => line(usage.spent_today_micros, limit, "today"),
    }
}

/// The text goes back into the box if that is empty, else it stays in the history.
fn not_sent(state: &mut State, number: u64, why: &str) {
    if let Some(at) = state.sent.iter().position(|sent| sent.number == number) {
        let sent = state.sent.remove(at);
        if state.input.text().is_empty() {
            state.input.set(&sent.text);
        }
    }
    state.flash = Some(clean_line(&format!("not sent: {why}"), 300));
}

/// Sends a message of the person, and shows it at once.
pub(super) fn send(state: &mut State, text: String) -> Vec<Effect> {
    let number = show(state, text.clone());
    let key = state.key.clone();
    vec![Effect::Send { key, text, number }]
}

/// Shows a message that is on its way; the number that it has.
pub(super) fn show(state: &mut State, text: String) -> u64 {
    state.numbers += 1;
    state.scroll = 0;
    state.sent.push(Sent {
        number: state.numbers,
        text,
        inbound: None,
    });
    state.numbers
}

/// Shows another conversation.
pub(super) fn go_to(state: &mut State, key: String) -> Vec<Effect> {
    state.key.clone_from(&key);
    state.title.clear();
    state.model = None;
    state.blocks.clear();
    state.sent.clear();
    state.truncated = false;
    (state.turn, state.drawn) = (None, None);
    (state.asked, state.editing, state.moved) = (None, None, None);
    (state.scroll, state.loads) = (0, 0);
    state.link = Link::Connecting;
    vec![Effect::Follow(key)]
}

/// Begins a conversation beside this one, of the same agent.
pub(super) fn begin(state: &mut State) -> Vec<Effect> {
    let agent = state
        .key
        .strip_prefix("agent:")
        .and_then(|rest| rest.split(':').next())
        .unwrap_or("main");
    state.seed = state.seed.wrapping_add(1);
    let key = format!("agent:{agent}:chat:{:x}", state.seed);
    let effects = go_to(state, key);
    state
        .blocks
        .push(note("A conversation of its own: say something.", false));
    effects
}
