//! Schedules: turns that nobody asked for ([`crate::unasked`]), at times that were said beforehand.
//!
//! When they come is said by the stable release, and what the agent is to do by the release that serves the
//! conversation. Each schedule has a conversation of its own. How far each is, is a [`mark`].

mod mark;

use instar_protocol::heartbeat::BeatEnd;
use instar_protocol::id::ScheduleRunId;
use instar_protocol::schedule::{ScheduleRun, ScheduleShown, Schedules};
use instar_protocol::{AgentId, SessionKey, Timestamp};
use instar_release::Schedule;
use instar_store::{HealingRow, Op, StoreError};
use jiff::tz::TimeZone;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sessions::Sessions;
use crate::unasked::Unasked;
use mark::{Mark, Marks, Of, Order, Timed};

/// The part of the key of the conversations before the schedule's name, and the surface and source of
/// their messages.
pub(crate) const KIND: &str = "cron";
/// The kinds of rows with marks, and with runs. They lie in the table of fixes, which holds rows by their
/// kind and keeps each kind within bounds.
const MARKS: &str = "schedule";
const RUNS: &str = "schedule-run";
/// The next times that are told of a schedule.
const NEXT_TOLD: usize = 3;

/// The clockwork of the schedules.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    marks: Mutex<Marks>,
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a schedule is not run by hand.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the agent {0} has no schedule {1}")]
    Unknown(AgentId, String),
    #[error("the schedule {0} is under way")]
    UnderWay(String),
}

impl Sessions {
    /// The schedules of all agents, when each comes next, and how it went last.
    #[must_use]
    pub fn schedules(&self) -> Schedules {
        let house = &self.inner.house;
        let now = house.now();
        let marks = house.schedules.lock();
        let shown = |(of, schedule): (Of, Schedule)| {
            let zone = self.zone(&schedule);
            let mut next = Vec::new();
            let mut from = now;
            while let Some(zone) = &zone
                && next.len() < NEXT_TOLD
                && let Some(at) = schedule.when.next_after(from, zone)
            {
                next.push(at);
                from = at;
            }
            let mark = marks.kept.get(&of).map(|kept| &kept.mark);
            ScheduleShown {
                since: mark.map(|mark| mark.since),
                last: mark.and_then(|mark| mark.last.clone()),
                when: schedule.when.to_string(),
                problem: zone
                    .is_none()
                    .then(|| "its time zone is not known here".to_owned()),
                zone: schedule.zone,
                text: schedule.text,
                agent: of.0,
                name: of.1,
                next,
            }
        };
        Schedules {
            enabled: house.settings().config.cron.enabled,
            schedules: self.scheduled().into_iter().map(shown).collect(),
        }
    }

    /// What is kept of runs, the newest first.
    pub async fn schedule_runs(&self) -> Result<Vec<ScheduleRun>, StoreError> {
        let rows = self.inner.house.parts.store.healing(RUNS).await?;
        let runs = rows.iter().rev();
        Ok(runs
            .filter_map(|row| serde_json::from_str(&row.body).ok())
            .collect())
    }

    /// Runs a schedule at once, whenever it is due. Returns the run that begins.
    pub fn run_schedule(&self, agent: &AgentId, name: &str) -> Result<ScheduleRun, RunError> {
        let of = (agent.clone(), name.to_owned());
        if !self.scheduled().iter().any(|(has, _)| *has == of) {
            return Err(RunError::Unknown(of.0, of.1));
        }
        let house = &self.inner.house;
        if !house.schedules.lock().running.insert(of.clone()) {
            return Err(RunError::UnderWay(of.1));
        }
        let run = self.begun(of, house.now(), true);
        self.inner.tasks.spawn(self.clone().run_begun(run.clone()));
        Ok(run)
    }

    /// The schedules of the stable release.
    fn scheduled(&self) -> Vec<(Of, Schedule)> {
        let Some(stable) = self.inner.house.parts.releases.stable() else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (id, agent) in &stable.behaviour.agents {
            let Ok(id) = AgentId::parse(id) else { continue };
            let named = agent.schedules.iter();
            all.extend(named.map(|(name, one)| ((id.clone(), name.clone()), one.clone())));
        }
        all
    }

    /// The zone that it is counted in; none if this machine does not know it.
    fn zone(&self, schedule: &Schedule) -> Option<TimeZone> {
        match &schedule.zone {
            None => Some(TimeZone::clone(&self.inner.house.settings().zone)),
            Some(name) => TimeZone::get(name).ok(),
        }
    }

    /// Begins the run of every schedule that is due.
    pub(crate) async fn look_at_schedules(&self) {
        let house = &self.inner.house;
        if !house.schedules.lock().is_read
            && let Err(error) = self.read_marks().await
        {
            tracing::warn!(%error, "what is kept of schedules cannot be read; none comes until it can");
            return;
        }
        let timed = |(of, schedule): (Of, Schedule)| {
            let zone = self.zone(&schedule)?;
            Some(Timed { of, schedule, zone })
        };
        let all = self.scheduled().into_iter().filter_map(timed).collect();
        let config = house.settings().config.cron.clone();
        let orders = house.schedules.lock().look(house.now(), all, &config);
        for order in orders {
            match order {
                Order::Run { of, due } => {
                    if house.schedules.lock().running.insert(of.clone()) {
                        let run = self.begun(of, due, false);
                        self.inner.tasks.spawn(self.clone().run_begun(run));
                    } else {
                        self.leave_out(of, due, "the one before is still under way")
                            .await;
                    }
                }
                Order::Skip { of, due, why } => self.leave_out(of, due, why).await,
                Order::Begin(mark) => {
                    self.keep(row(&mark).into_iter().collect()).await;
                }
                Order::Forget(of) => {
                    let (kind, id) = (MARKS.to_owned(), named(&of));
                    self.keep(vec![Op::RemoveHealing { kind, id }]).await;
                }
            }
        }
    }

    /// Reads the marks. A run that has no end was cut short by the end of the gateway, and is told as that.
    async fn read_marks(&self) -> Result<(), StoreError> {
        let house = &self.inner.house;
        let rows = house.parts.store.healing(MARKS).await?;
        let read = |row: &HealingRow| serde_json::from_str::<Mark>(&row.body).ok();
        let marks: Vec<Mark> = rows.iter().filter_map(read).collect();
        house.schedules.lock().read(marks);
        for mut run in self.schedule_runs().await? {
            if run.end.is_none() {
                let reason = "the gateway stopped before it was over".to_owned();
                run.end = Some(BeatEnd::Skipped { reason });
                self.note(run).await;
            }
        }
        Ok(())
    }

    fn begun(&self, of: Of, due: Timestamp, by_hand: bool) -> ScheduleRun {
        let house = &self.inner.house;
        let at = house.now();
        ScheduleRun {
            id: ScheduleRunId::new(at, house.random()).to_string(),
            agent: of.0,
            name: of.1,
            due,
            at,
            by_hand,
            duration_ms: 0,
            end: None,
        }
    }

    async fn leave_out(&self, of: Of, due: Timestamp, why: &str) {
        let reason = why.to_owned();
        tracing::info!(agent = %of.0, name = of.1, reason, "a schedule was left out");
        let mut run = self.begun(of, due, false);
        run.end = Some(BeatEnd::Skipped { reason });
        self.note(run).await;
    }

    async fn run_begun(self, mut run: ScheduleRun) {
        let house = &self.inner.house;
        let of = (run.agent.clone(), run.name.clone());
        // Nothing runs whose beginning is not stored: it would run once more after a crash.
        let end = if self.note(run.clone()).await {
            self.run_once(&run).await
        } else {
            let reason = "that it begins could not be stored".to_owned();
            BeatEnd::Failed { reason }
        };
        if let BeatEnd::Failed { reason } = &end {
            tracing::warn!(agent = %run.agent, name = run.name, reason, "a schedule failed");
        }
        let took = house.now().since(run.at).as_millis();
        run.duration_ms = u64::try_from(took).unwrap_or(u64::MAX);
        run.end = Some(end);
        self.note(run).await;
        house.schedules.lock().running.remove(&of);
    }

    async fn run_once(&self, run: &ScheduleRun) -> BeatEnd {
        let key = match SessionKey::under(&run.agent, &[KIND, &run.name]) {
            Ok(key) => key,
            Err(error) => {
                let reason = error.to_string();
                return BeatEnd::Failed { reason };
            }
        };
        let turn = Unasked {
            agent: run.agent.clone(),
            key,
            kind: KIND,
            text: format!("[From the gateway] It is time for {}.", run.name),
            at: run.at,
            // A reminder that says the same every day was asked for every day.
            same: None,
        };
        self.run_unasked(turn).await
    }

    /// The schedule, if it was run by hand before its clock was looked at for the first time.
    fn unmarked(&self, of: &Of) -> Option<Timed> {
        let is_unmarked = {
            let marks = self.inner.house.schedules.lock();
            marks.is_read && !marks.kept.contains_key(of)
        };
        let (of, schedule) = self.scheduled().into_iter().find(|(has, _)| has == of)?;
        let zone = self.zone(&schedule).filter(|_| is_unmarked)?;
        Some(Timed { of, schedule, zone })
    }

    /// Stores a run, with the mark of its schedule; false if that failed.
    async fn note(&self, run: ScheduleRun) -> bool {
        let mark = {
            let of = (run.agent.clone(), run.name.clone());
            let unmarked = self.unmarked(&of);
            let mut marks = self.inner.house.schedules.lock();
            if let Some(timed) = unmarked {
                let _order = marks.begin(run.at, timed);
            }
            let kept = marks.kept.get_mut(&of);
            kept.map(|kept| {
                let last = &mut kept.mark.last;
                // What was left out meanwhile does not stand before what is under way.
                let is_busy = |last: &ScheduleRun| last.end.is_none() && last.id != run.id;
                if !last.as_ref().is_some_and(is_busy) {
                    *last = Some(run.clone());
                }
                kept.mark.clone()
            })
        };
        let body = serde_json::to_string(&run).ok();
        let run = body.map(|body| {
            Op::PutHealing(HealingRow {
                kind: RUNS.to_owned(),
                id: run.id,
                at: run.at,
                body,
            })
        });
        let mark = mark.as_ref().and_then(row);
        self.keep(run.into_iter().chain(mark).collect()).await
    }

    async fn keep(&self, ops: Vec<Op>) -> bool {
        let kept = self.inner.house.parts.store.commit(ops).await;
        if let Err(error) = &kept {
            tracing::warn!(%error, "what became of a schedule could not be stored");
        }
        kept.is_ok()
    }
}

fn named(of: &Of) -> String {
    format!("{}:{}", of.0, of.1)
}

fn row(mark: &Mark) -> Option<Op> {
    Some(Op::PutHealing(HealingRow {
        kind: MARKS.to_owned(),
        id: format!("{}:{}", mark.agent, mark.name),
        at: mark.seen,
        body: serde_json::to_string(mark).ok()?,
    }))
}
