//! How bad an episode was, read from its events. No delta can touch what counts as bad.

use instar_protocol::event::{BranchReason, Event, EventKind, FeedbackVerdict, TurnOutcome};
use instar_protocol::tool::ToolDecision;
use instar_protocol::{EntryId, RunId, Standing, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Caps, Plan};
use crate::evidence::lower_bound;

/// The work was not done: a bad word, a corrected question, a turn that failed, was cut or was abandoned, a tool's error.
pub const TASK: &str = "task";
/// A turn cost more than the cap.
pub const COST: &str = "cost";
/// A turn took longer than the cap.
pub const LATENCY: &str = "latency";
/// The owner was asked.
pub const QUESTIONS: &str = "questions";

/// The surfaces of messages that nobody wrote.
const AUTOMATIC: [&str; 4] = ["heartbeat", "cron", "session", "approval"];

/// Whether somebody says in his own words that an answer was wrong.
pub type Corrects = fn(&str) -> bool;

/// What the events of an episode say.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// Turns that have ended.
    pub turns: u32,
    /// When the last of them ended.
    pub last: Option<Timestamp>,
    /// The badness by metric; none where the source gave nothing.
    pub bad: BTreeMap<String, Option<f64>>,
    /// Somebody said or did something that tells how it went, well or ill. Silence is neither.
    pub is_heard: bool,
    /// What a candidate did beside it.
    pub shadows: Vec<Event>,
}

/// Reads the events of one conversation from the beginning of an episode on, in any order. Turns count up
/// to `closed`; a word about one of them counts whenever it was said.
#[must_use]
pub fn outcome(events: &[Event], closed: Timestamp, plan: &Plan, corrects: Corrects) -> Outcome {
    let mut found = Found::default();
    let own: BTreeSet<&RunId> = events
        .iter()
        .filter(|event| event.at <= closed)
        .filter_map(|event| event.run.as_ref())
        .collect();
    for event in events {
        if event.at <= closed {
            found.take(event, plan.caps);
        }
        if let EventKind::Feedback { run, verdict, .. } = &event.kind
            && own.contains(run)
        {
            found.is_heard = true;
            found.is_bad |= *verdict == FeedbackVerdict::Bad;
        }
    }
    found.is_bad |= corrected(events, closed, found.first, corrects);
    found.is_bad |= taken_back(events, closed);
    let value = |metric: &str| {
        let measured = match metric {
            TASK => Some(found.is_bad),
            COST => plan.caps.cost_micros.map(|_| found.is_dear),
            LATENCY => plan.caps.millis.map(|_| found.is_slow),
            QUESTIONS => Some(found.has_asked),
            _ => None,
        };
        // An episode without a turn has shown nothing, and it is not left out either.
        measured.filter(|_| found.turns > 0).map(f64::from)
    };
    Outcome {
        turns: found.turns,
        last: found.last,
        // Who writes again has read the answer. What failed speaks for itself.
        is_heard: found.is_heard
            || found.is_bad
            || found.first.is_some_and(|first| found.said > first),
        shadows: events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Shadow { .. }))
            .cloned()
            .collect(),
        bad: plan
            .metrics
            .keys()
            .map(|metric| (metric.clone(), value(metric)))
            .collect(),
    }
}

/// Whether the owner wrote, after the first answer, that it was wrong. Where the log keeps no contents nothing is read.
fn corrected(
    events: &[Event],
    closed: Timestamp,
    first: Option<Timestamp>,
    corrects: Corrects,
) -> bool {
    let mut later = events
        .iter()
        .filter(|event| first.is_some_and(|first| event.at > first) && event.at <= closed);
    later.any(|event| match &event.kind {
        EventKind::MessageIn {
            surface,
            content: Some(text),
            ..
        } => {
            event.asker == Some(Standing::Owner)
                && !AUTOMATIC.contains(&surface.as_str())
                && corrects(text)
        }
        _ => false,
    })
}

/// Whether the owner took the conversation back to before a turn that had ended, whenever he did: what it answered is as
/// if it had not been said.
fn taken_back(events: &[Event], closed: Timestamp) -> bool {
    let turns = || {
        events.iter().filter_map(|event| match &event.kind {
            EventKind::Turn { millis, .. } if event.at <= closed => {
                let began = event.at.millis().saturating_sub(*millis);
                Some((began, event.at))
            }
            _ => None,
        })
    };
    let mut ways = events.iter().filter_map(|event| match &event.kind {
        EventKind::Rewind { to, .. } => Some((to.as_ref(), event.at)),
        _ => None,
    });
    ways.any(|(to, at)| {
        turns().any(|(began, ended)| {
            // The names of entries are in the order of their times.
            let first = EntryId::new(Timestamp::from_millis(began), [0; 10]);
            ended <= at && to.is_none_or(|to| *to < first)
        })
    })
}

#[derive(Default)]
struct Found {
    turns: u32,
    /// When the first of them ended.
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// When a person last wrote.
    said: Timestamp,
    is_bad: bool,
    is_heard: bool,
    is_dear: bool,
    is_slow: bool,
    has_asked: bool,
}

impl Found {
    fn take(&mut self, event: &Event, caps: Caps) {
        match &event.kind {
            EventKind::Turn {
                outcome,
                millis,
                cost_micros,
                ..
            } => {
                self.turns = self.turns.saturating_add(1);
                self.first = Some(self.first.map_or(event.at, |first| first.min(event.at)));
                self.last = self.last.max(Some(event.at));
                self.is_bad |= is_bad(*outcome);
                self.is_slow |= caps.millis.is_some_and(|cap| *millis > cap);
                self.is_dear |= caps.cost_micros.is_some_and(|cap| *cost_micros > cap);
            }
            EventKind::ToolCall {
                decision, is_error, ..
            } => {
                self.is_bad |= is_error;
                self.has_asked |= matches!(decision, ToolDecision::Asked { .. });
            }
            EventKind::MessageIn { surface, .. } if !AUTOMATIC.contains(&surface.as_str()) => {
                self.said = self.said.max(event.at);
            }
            EventKind::Branch { why, .. } => {
                self.is_bad |= matches!(why, BranchReason::Edit | BranchReason::Retry);
            }
            _ => {}
        }
    }
}

fn is_bad(outcome: TurnOutcome) -> bool {
    match outcome {
        TurnOutcome::Replied | TurnOutcome::Handed => false,
        TurnOutcome::Aborted | TurnOutcome::Failed | TurnOutcome::Interrupted => true,
    }
}

/// The caps and the base rate that the stable release's own turns give: the 95th percentile of each.
#[must_use]
pub fn caps(events: &[Event]) -> Caps {
    let turns = events.iter().filter_map(|event| match &event.kind {
        EventKind::Turn {
            millis,
            cost_micros,
            ..
        } => Some((*millis, *cost_micros)),
        _ => None,
    });
    let (millis, costs): (Vec<u64>, Vec<u64>) = turns.unzip();
    Caps {
        cost_micros: percentile(costs).filter(|cost| *cost > 0),
        millis: percentile(millis),
    }
}

/// Too few episodes say nothing of what is usual.
const EPISODES_MIN: u32 = 20;
/// Too few turns say nothing of what is usual.
const TURNS_MIN: usize = 20;

fn percentile(mut values: Vec<u64>) -> Option<u64> {
    if values.len() < TURNS_MIN {
        return None;
    }
    values.sort_unstable();
    values
        .get((values.len() * 95).div_ceil(100).saturating_sub(1))
        .copied()
}

/// What the stable release's own traffic was like.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Past {
    pub episodes: u32,
    pub bad: u32,
    pub days: f64,
}

impl Past {
    /// The rate of bad episodes; with few of them, near to one in twenty.
    #[must_use]
    pub fn base(self) -> f64 {
        (f64::from(self.bad) + 0.5) / (f64::from(self.episodes) + 10.0)
    }

    /// The rate that it was at the most, at an error of one in a hundred; with few episodes nothing is known.
    #[must_use]
    pub fn at_most(self) -> Option<f64> {
        let (all, good) = (self.episodes, self.episodes.saturating_sub(self.bad));
        let rate = 1.0 - lower_bound(u64::from(good), u64::from(all), 0.01);
        (self.episodes >= EPISODES_MIN && rate < 0.95).then_some(rate)
    }

    /// How many there are in a day; none is told before there was about a day of them.
    #[must_use]
    pub fn per_day(self) -> f64 {
        const DAYS_MIN: f64 = 0.8;
        if self.days >= DAYS_MIN {
            f64::from(self.episodes) / self.days
        } else {
            0.0
        }
    }
}

/// Cuts events of any conversations, in any order, into the episodes that they would have been.
#[must_use]
pub fn past(events: &[Event], plan: &Plan, corrects: Corrects) -> Past {
    let mut by_session: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        if let Some(session) = &event.session {
            by_session.entry(session.as_str()).or_default().push(event);
        }
    }
    let mut past = Past::default();
    for of_one in by_session.values_mut() {
        of_one.sort_by_key(|event| event.at);
        for episode in cut(of_one, plan) {
            let seen = outcome(&episode, Timestamp::from_millis(u64::MAX), plan, corrects);
            if seen.turns > 0 {
                past.episodes += 1;
                let bad = seen.bad.get(TASK).copied().flatten();
                past.bad += u32::from(bad.is_some_and(|bad| bad > 0.0));
            }
        }
    }
    let moments = || events.iter().map(|event| event.at.millis());
    if let (Some(first), Some(last)) = (moments().min(), moments().max()) {
        past.days = days(last - first);
    }
    past
}

fn cut(events: &[&Event], plan: &Plan) -> Vec<Vec<Event>> {
    let mut all: Vec<Vec<Event>> = Vec::new();
    let (mut turns, mut last) = (0, None::<Timestamp>);
    for event in events {
        let silent = last.map_or(0, |last| event.at.millis().saturating_sub(last.millis()));
        let is_over = silent >= plan.episode.idle_millis || turns >= plan.episode.turns_max;
        if all.is_empty() || is_over {
            all.push(Vec::new());
            turns = 0;
        }
        turns += u32::from(matches!(event.kind, EventKind::Turn { .. }));
        last = Some(event.at);
        if let Some(episode) = all.last_mut() {
            episode.push((*event).clone());
        }
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "a span of time in milliseconds")]
fn days(millis: u64) -> f64 {
    // Less than an hour says nothing of a day.
    millis.max(60 * 60 * 1_000) as f64 / (24.0 * 60.0 * 60.0 * 1_000.0)
}
