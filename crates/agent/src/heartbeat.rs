//! Heartbeats: turns that nobody asked for ([`crate::unasked`]), at the times that the release in service
//! says.

use instar_protocol::heartbeat::{Beat, BeatEnd};
use instar_protocol::{AgentId, SessionKey, Timestamp};
use instar_release::Heartbeat;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;

use crate::sessions::Sessions;
use crate::unasked::Unasked;

/// The last part of the key of the conversation, and the surface and source of its messages.
pub(crate) const KIND: &str = "heartbeat";
/// The most characters of what an agent is woken with.
const WAKE_CHARS_MAX: usize = 4_000;
/// Texts that wait for one beat.
const WAITING_MAX: usize = 20;
/// A text that was left within this time is not left again.
const SAME: Duration = Duration::from_secs(24 * 3_600);
const TICK: Duration = Duration::from_secs(1);
const WATCHED_MAX: usize = 64;

/// The clockwork of the heartbeats.
#[derive(Debug)]
pub(crate) struct Heart {
    enabled: AtomicBool,
    inner: Mutex<Inner>,
    beats: broadcast::Sender<Arc<Beat>>,
}

#[derive(Debug, Default)]
struct Inner {
    last: Option<Arc<Beat>>,
    /// The number of the beat that each agent is in, and what that was counted by.
    counted: BTreeMap<AgentId, (Heartbeat, u64)>,
    /// What the next beat of an agent is told beside its own text.
    waiting: BTreeMap<AgentId, Vec<String>>,
    /// Agents whose beat is under way.
    beating: BTreeSet<AgentId>,
}

impl Default for Heart {
    fn default() -> Self {
        Self {
            enabled: AtomicBool::new(true),
            inner: Mutex::default(),
            beats: broadcast::channel(WATCHED_MAX).0,
        }
    }
}

impl Heart {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once for each beat. The one in which an agent is first seen, or its heartbeat changed, is
    /// let go by: a start is no reason to wake anybody.
    fn is_due(&self, agent: &AgentId, heartbeat: &Heartbeat, minute: u64) -> bool {
        let beat = heartbeat.beat_at(minute);
        let mut inner = self.lock();
        match inner.counted.get_mut(agent) {
            Some((by, counted)) if by == heartbeat => std::mem::replace(counted, beat) < beat,
            _ => {
                inner
                    .counted
                    .insert(agent.clone(), (heartbeat.clone(), beat));
                false
            }
        }
    }

    fn end(&self, beat: Beat) {
        if let BeatEnd::Failed { reason } = &beat.end {
            tracing::warn!(agent = %beat.agent, reason, "a heartbeat failed");
        }
        let beat = Arc::new(beat);
        self.lock().last = Some(Arc::clone(&beat));
        // Nobody may be watching.
        let _heard = self.beats.send(beat);
    }
}

/// Why an agent is not woken.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    #[error("there is no agent {0}")]
    UnknownAgent(AgentId),
    #[error("a text has at most {WAKE_CHARS_MAX} characters")]
    Long,
    #[error("{WAITING_MAX} texts wait for the next heartbeat of {0} already")]
    Full(AgentId),
    #[error("the agent {0} has no heartbeat: set agents.defaults.heartbeat.every, or wake it now")]
    NoHeartbeat(AgentId),
}

impl Sessions {
    /// The last beat since the start.
    #[must_use]
    pub fn last_beat(&self) -> Option<Arc<Beat>> {
        self.inner.house.heart.lock().last.clone()
    }

    /// Every beat that ends from now on.
    #[must_use]
    pub fn watch_beats(&self) -> broadcast::Receiver<Arc<Beat>> {
        self.inner.house.heart.beats.subscribe()
    }

    /// Whether there are heartbeats. What the configuration says holds again after a restart.
    #[must_use]
    pub fn is_beating(&self) -> bool {
        self.inner.house.heart.enabled.load(Ordering::Acquire)
    }

    pub fn set_beating(&self, enabled: bool) {
        self.inner
            .house
            .heart
            .enabled
            .store(enabled, Ordering::Release);
    }

    /// The heartbeat of each agent that has one, as the release in service says.
    #[must_use]
    pub fn heartbeats(&self) -> Vec<(AgentId, Heartbeat)> {
        let Some(stable) = self.inner.house.parts.releases.stable() else {
            return Vec::new();
        };
        let agents = stable.behaviour.agents.iter();
        agents
            .filter_map(|(id, agent)| Some((AgentId::parse(id).ok()?, agent.heartbeat.clone()?)))
            .collect()
    }

    /// Has an agent look after things at once, or tells it something at its next beat. At once goes for
    /// agents without a heartbeat, too.
    pub fn wake_agent(&self, agent: &AgentId, text: &str, now: bool) -> Result<(), WakeError> {
        let house = &self.inner.house;
        if !house.settings().config.has_agent(agent) {
            return Err(WakeError::UnknownAgent(agent.clone()));
        }
        if text.chars().nth(WAKE_CHARS_MAX).is_some() {
            return Err(WakeError::Long);
        }
        if !now && !self.heartbeats().iter().any(|(has, _)| has == agent) {
            return Err(WakeError::NoHeartbeat(agent.clone()));
        }
        let text = text.trim();
        if !text.is_empty() {
            let mut inner = house.heart.lock();
            let waiting = inner.waiting.entry(agent.clone()).or_default();
            if waiting.len() >= WAITING_MAX {
                return Err(WakeError::Full(agent.clone()));
            }
            waiting.push(text.to_owned());
        }
        if now {
            self.inner.tasks.spawn(self.clone().beat(agent.clone()));
        }
        Ok(())
    }

    /// Keeps the clock of heartbeats and schedules until the process ends.
    pub(crate) async fn keep_beating(self) {
        let closing = self.inner.house.closing.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                _ = ticks.tick() => {
                    self.look_at_clock();
                    self.look_at_schedules().await;
                }
            }
        }
    }

    fn look_at_clock(&self) {
        let house = &self.inner.house;
        let heartbeats = self.heartbeats();
        if heartbeats.is_empty() {
            return;
        }
        let now = house.now();
        let of_day = minute_of_day(now, &house.settings().zone);
        for (agent, heartbeat) in heartbeats {
            let is_due = house
                .heart
                .is_due(&agent, &heartbeat, now.millis() / 60_000);
            let is_time = heartbeat.hours.is_none_or(|hours| hours.holds(of_day));
            if is_due && is_time && self.is_beating() {
                self.inner.tasks.spawn(self.clone().beat(agent));
            }
        }
    }

    async fn beat(self, agent: AgentId) {
        let house = &self.inner.house;
        let at = house.now();
        let end = if house.heart.lock().beating.insert(agent.clone()) {
            let end = self.beat_once(&agent, at).await;
            house.heart.lock().beating.remove(&agent);
            end
        } else {
            let reason = "the one before is still under way".to_owned();
            BeatEnd::Skipped { reason }
        };
        let took = house.now().since(at).as_millis();
        house.heart.end(Beat {
            agent,
            at,
            duration_ms: u64::try_from(took).unwrap_or(u64::MAX),
            end,
        });
    }

    async fn beat_once(&self, agent: &AgentId, at: Timestamp) -> BeatEnd {
        let key = match SessionKey::under(agent, &[KIND]) {
            Ok(key) => key,
            Err(error) => {
                let reason = error.to_string();
                return BeatEnd::Failed { reason };
            }
        };
        let heart = &self.inner.house.heart;
        let told = heart.lock().waiting.remove(agent).unwrap_or_default();
        let mut text = "[From the gateway] It is time for a look.".to_owned();
        for one in &told {
            text.push_str("\nYou were woken with: ");
            text.push_str(one);
        }
        let turn = Unasked {
            agent: agent.clone(),
            key,
            kind: KIND,
            text,
            at,
            same: Some(SAME),
        };
        self.run_unasked(turn).await
    }
}

fn minute_of_day(at: Timestamp, zone: &jiff::tz::TimeZone) -> u16 {
    let millis = i64::try_from(at.millis()).unwrap_or_default();
    let Ok(time) = jiff::Timestamp::from_millisecond(millis) else {
        return 0;
    };
    let time = time.to_zoned(zone.clone());
    let of = |number: i8| u16::try_from(number).unwrap_or_default();
    of(time.hour()) * 60 + of(time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(every_minutes: u32) -> Heartbeat {
        Heartbeat {
            every_minutes,
            offset_minutes: 0,
            hours: None,
            text: "look".to_owned(),
        }
    }

    #[test]
    fn each_beat_is_due_once_and_a_start_wakes_nobody() {
        let (heart, agent) = (Heart::default(), AgentId::main());
        let half = heartbeat(30);
        assert!(!heart.is_due(&agent, &half, 40));
        assert!(!heart.is_due(&agent, &half, 59));
        assert!(heart.is_due(&agent, &half, 60));
        assert!(!heart.is_due(&agent, &half, 61));
        // A laptop that slept makes up for one beat, not for all.
        assert!(heart.is_due(&agent, &half, 500));
        assert!(!heart.is_due(&agent, &half, 501));
        // A clock that was set back wakes nobody, and neither does another rhythm by itself.
        assert!(!heart.is_due(&agent, &half, 100));
        assert!(!heart.is_due(&agent, &heartbeat(1), 101));
        assert!(heart.is_due(&agent, &heartbeat(1), 102));
    }

    #[test]
    fn the_minute_of_the_day_is_the_owners() {
        let at = Timestamp::from_millis(1_000 * 60 * (23 * 60 + 30));
        assert_eq!(minute_of_day(at, &jiff::tz::TimeZone::UTC), 23 * 60 + 30);
        let east = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(minute_of_day(at, &east), 30);
    }
}
