//! What is remembered of each schedule, so that no time of it is run twice and none is lost silently.
//!
//! A mark says up to when the times of a schedule are done with. It is stored before a run begins: whoever
//! starts again after that tells of the run as cut short, and does not begin it once more.

use instar_protocol::schedule::ScheduleRun;
use instar_protocol::{AgentId, Timestamp};
use instar_release::{Schedule, When};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::config::CronConfig;

/// A time that passed this long ago is not made up for.
pub(super) const MADE_UP_MILLIS: u64 = 24 * 3_600 * 1_000;
/// A clock that was set back further than this has its schedules begin anew.
const SET_BACK_MILLIS: u64 = 3_600 * 1_000;

/// Whose schedule, and which.
pub(super) type Of = (AgentId, String);

/// How far a schedule is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mark {
    pub(super) agent: AgentId,
    pub(super) name: String,
    /// What its times are counted by. Where that is another one, it begins anew.
    when: When,
    zone: Option<String>,
    /// Times up to here are done with.
    pub(super) seen: Timestamp,
    /// Since when it has been counted so.
    pub(super) since: Timestamp,
    pub(super) last: Option<ScheduleRun>,
}

/// A mark with what follows from it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) mark: Mark,
    /// It was read at the start, and not looked at since.
    is_fresh: bool,
    /// The first time that is not done with, once it was looked for.
    next: Option<Option<Timestamp>>,
}

#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) is_read: bool,
    pub(super) kept: BTreeMap<Of, Kept>,
    /// Schedules whose run is under way.
    pub(super) running: BTreeSet<Of>,
}

/// What is to be done after a look at the clock.
#[derive(PartialEq, Debug)]
pub(super) enum Order {
    Run {
        of: Of,
        due: Timestamp,
    },
    Skip {
        of: Of,
        due: Timestamp,
        why: &'static str,
    },
    /// It is there for the first time, or comes at other times now.
    Begin(Box<Mark>),
    /// It is not there any more.
    Forget(Of),
}

/// A schedule of the release in service, with the zone that it is counted in.
pub(super) struct Timed {
    pub(super) of: Of,
    pub(super) schedule: Schedule,
    pub(super) zone: TimeZone,
}

impl Marks {
    /// Takes what was stored.
    pub(super) fn read(&mut self, stored: Vec<Mark>) {
        let kept = |mark: Mark| {
            let of = (mark.agent.clone(), mark.name.clone());
            let kept = Kept {
                mark,
                is_fresh: true,
                next: None,
            };
            (of, kept)
        };
        self.kept = stored.into_iter().map(kept).collect();
        self.is_read = true;
    }

    /// Looks at the clock. A schedule that was not there before, and one that comes at other times than
    /// before, is counted from now on.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        all: Vec<Timed>,
        config: &CronConfig,
    ) -> Vec<Order> {
        let there: BTreeSet<Of> = all.iter().map(|timed| timed.of.clone()).collect();
        let gone = self.kept.keys().filter(|of| !there.contains(*of)).cloned();
        let gone: Vec<Of> = gone.collect();
        self.kept.retain(|of, _| there.contains(of));
        let mut orders: Vec<Order> = gone.into_iter().map(Order::Forget).collect();
        for timed in all {
            let zone = timed.zone.iana_name().map(str::to_owned);
            let counted_so = |kept: &&mut Kept| {
                (&kept.mark.when, &kept.mark.zone) == (&timed.schedule.when, &zone)
            };
            match self.kept.get_mut(&timed.of).filter(counted_so) {
                Some(kept) => orders.extend(kept.look(now, &timed, config)),
                None => orders.push(self.begin(now, timed)),
            }
        }
        orders
    }

    pub(super) fn begin(&mut self, now: Timestamp, timed: Timed) -> Order {
        let zone = timed.zone.iana_name().map(str::to_owned);
        let before = self.kept.remove(&timed.of);
        let mark = Mark {
            agent: timed.of.0.clone(),
            name: timed.of.1.clone(),
            when: timed.schedule.when,
            zone,
            seen: now,
            since: now,
            last: before.and_then(|kept| kept.mark.last),
        };
        let kept = Kept {
            mark: mark.clone(),
            is_fresh: false,
            next: None,
        };
        self.kept.insert(timed.of, kept);
        Order::Begin(Box::new(mark))
    }
}

impl Kept {
    fn look(&mut self, now: Timestamp, timed: &Timed, config: &CronConfig) -> Option<Order> {
        let is_start = std::mem::take(&mut self.is_fresh);
        let was_set_back = self.mark.seen.millis() > now.millis() + SET_BACK_MILLIS;
        let begins_anew = is_start && matches!(timed.schedule.when, When::Every(_));
        if !config.enabled || was_set_back || begins_anew {
            self.done(now);
            return None;
        }
        let when = &timed.schedule.when;
        let seen = self.mark.seen;
        let next = self
            .next
            .get_or_insert_with(|| when.next_after(seen, &timed.zone));
        let first = next.filter(|first| *first <= now)?;
        let a_day_ago = Timestamp::from_millis(now.millis().saturating_sub(MADE_UP_MILLIS));
        let due = when.next_after(seen.max(a_day_ago), &timed.zone);
        let due = due.filter(|due| *due <= now);
        self.done(now);
        let of = timed.of.clone();
        let skip = |due, why| Order::Skip {
            of: of.clone(),
            due,
            why,
        };
        Some(match due {
            None => skip(first, "it was due more than a day ago"),
            Some(due) if is_start && config.skip_missed_jobs => {
                skip(due, "it was due while the gateway did not run")
            }
            Some(due) => Order::Run { of, due },
        })
    }

    fn done(&mut self, now: Timestamp) {
        self.mark.seen = now;
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600 * 1_000;
    const DAY: u64 = 24 * HOUR;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_millis(1_000 * DAY + hours * HOUR)
    }

    fn of() -> Of {
        (AgentId::main(), "look".to_owned())
    }

    fn timed(when: &str) -> Vec<Timed> {
        vec![Timed {
            of: of(),
            schedule: Schedule {
                when: When::parse(when).unwrap(),
                zone: None,
                text: "Look.".to_owned(),
            },
            zone: TimeZone::UTC,
        }]
    }

    /// What comes of a look, in short.
    fn look(marks: &mut Marks, now: u64, when: &str, config: &CronConfig) -> String {
        let all = if when.is_empty() {
            Vec::new()
        } else {
            timed(when)
        };
        let orders = marks.look(at(now), all, config);
        let told = orders.iter().map(|order| match order {
            Order::Run { due, .. } => format!("run {}", (due.millis() - at(0).millis()) / HOUR),
            Order::Skip { why, .. } => (*why).to_owned(),
            Order::Begin(_) => "begin".to_owned(),
            Order::Forget(_) => "forget".to_owned(),
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// The same after a start with what was stored.
    fn again(marks: &Marks) -> Marks {
        let mut read = Marks::default();
        read.read(marks.kept.values().map(|kept| kept.mark.clone()).collect());
        read
    }

    #[test]
    fn each_time_is_run_once_whoever_starts_in_between() {
        let config = CronConfig::default();
        let daily = "cron 0 8 * * *";
        let mut marks = Marks::default();
        assert_eq!(look(&mut marks, 7, daily, &config), "begin");
        assert_eq!(look(&mut marks, 7, daily, &config), "");
        assert_eq!(look(&mut marks, 8, daily, &config), "run 8");
        assert_eq!(look(&mut marks, 8, daily, &config), "");
        let mut marks = again(&marks);
        assert_eq!(look(&mut marks, 9, daily, &config), "");
        assert_eq!(look(&mut marks, 32, daily, &config), "run 32");
        // It was off, or asleep, for a while: once, and not for what is older than a day.
        let mut marks = again(&marks);
        assert_eq!(look(&mut marks, 90, daily, &config), "run 80");
        assert_eq!(look(&mut marks, 91, daily, &config), "");
        let monthly = "cron 0 8 1 * *";
        let mut marks = Marks::default();
        assert_eq!(look(&mut marks, 0, monthly, &config), "begin");
        let late = look(&mut again(&marks), 24 * 60, monthly, &config);
        assert_eq!(late, "it was due more than a day ago");
    }

    #[test]
    fn what_was_missed_is_left_out_where_the_owner_says_so_and_always_of_every() {
        let config = CronConfig {
            skip_missed_jobs: true,
            ..CronConfig::default()
        };
        let daily = "cron 0 8 * * *";
        let mut marks = Marks::default();
        look(&mut marks, 7, daily, &config);
        let mut marks = again(&marks);
        let told = look(&mut marks, 9, daily, &config);
        assert_eq!(told, "it was due while the gateway did not run");
        assert_eq!(look(&mut marks, 32, daily, &config), "run 32");
        let hourly = "every 1h";
        let config = CronConfig::default();
        let mut marks = Marks::default();
        assert_eq!(look(&mut marks, 1, hourly, &config), "begin");
        let mut marks = again(&marks);
        assert_eq!(look(&mut marks, 5, hourly, &config), "");
        assert_eq!(look(&mut marks, 6, hourly, &config), "run 6");
        assert_eq!(look(&mut marks, 16, hourly, &config), "run 7");
    }

    #[test]
    fn other_times_begin_anew_and_what_is_gone_is_forgotten() {
        let config = CronConfig::default();
        let mut marks = Marks::default();
        look(&mut marks, 7, "cron 0 20 * * *", &config);
        // Eight o'clock is over today: nobody asked for it then.
        assert_eq!(look(&mut marks, 9, "cron 0 8 * * *", &config), "begin");
        assert_eq!(look(&mut marks, 10, "cron 0 8 * * *", &config), "");
        assert_eq!(look(&mut marks, 10, "", &config), "forget");
        assert_eq!(look(&mut marks, 33, "cron 0 8 * * *", &config), "begin");
        let off = CronConfig {
            enabled: false,
            ..CronConfig::default()
        };
        assert_eq!(look(&mut marks, 60, "cron 0 8 * * *", &off), "");
        assert_eq!(look(&mut marks, 61, "cron 0 8 * * *", &config), "");
        // A clock that was a year ahead.
        look(&mut marks, 9_000, "cron 0 8 * * *", &off);
        assert_eq!(look(&mut marks, 62, "cron 0 8 * * *", &config), "");
        assert_eq!(look(&mut marks, 81, "cron 0 8 * * *", &config), "run 80");
    }
}
