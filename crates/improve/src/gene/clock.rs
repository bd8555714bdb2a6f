//! Faults of heartbeats that keep to certain hours, and the times of a heartbeat that leave those out.

use instar_protocol::beats::Beats;
use instar_protocol::fault::Fault;
use instar_protocol::lab::Case;
use instar_release::{Heartbeat, Hours};

/// Beats with the fault below which nothing can be told of hours.
const FAILED_MIN: u64 = 5;
/// Different days on which the fault has to have shown: one outage has its hours, too.
const DAYS_MIN: u64 = 3;
/// The longest stretch of bad hours.
const HOURS_MAX: usize = 12;
/// How much better two rates have to explain the hours than one, in twice the logarithm, beside what the
/// choice of the stretch is worth.
const GAIN_MIN: f64 = 10.0;
/// The rate within the stretch, and how many times as high as outside it.
const RATE_MIN: f64 = 0.5;
const TIMES_MIN: f64 = 4.0;
/// The part of all failures that is in the stretch: there is one stretch, and not several.
const PART_MIN: f64 = 0.8;
/// Below this, other times of the day are no way out: there are beats in every hour.
const PHASE_MINUTES_MIN: u32 = 120;
const DAY_MINUTES: u16 = 24 * 60;

/// Heartbeats of an agent that came by, and those in which a fault showed, by the hour of the owner's day.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    pub failed: Beats,
    pub all: Beats,
}

/// A stretch of hours, over midnight if it falls so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stretch {
    from: usize,
    hours: usize,
}

impl Clock {
    #[must_use]
    pub fn of(case: &Case, fault: &Fault) -> Self {
        let failed = fault
            .beats
            .iter()
            .find(|(agent, _)| agent.as_str() == case.agent)
            .map(|(_, beats)| beats.clone());
        Self {
            failed: failed.unwrap_or_default(),
            all: case.beats.get(&fault.place).cloned().unwrap_or_default(),
        }
    }

    /// True if the fault keeps to certain hours.
    pub(super) fn is_bound(&self) -> bool {
        self.worst().is_some()
    }

    fn at(&self, hour: usize) -> (f64, f64) {
        let of = |beats: &Beats| {
            let hour = u8::try_from(hour % 24).unwrap_or_default();
            float(beats.hours.get(&hour).copied().unwrap_or_default())
        };
        let all = of(&self.all);
        (all, of(&self.failed).min(all))
    }

    /// The stretch of hours in which the fault shows, if it hardly shows in others.
    fn worst(&self) -> Option<Stretch> {
        if self.failed.total() < FAILED_MIN || self.failed.days < DAYS_MIN {
            return None;
        }
        let sum = |stretch: Stretch| {
            let hours = (stretch.from..stretch.from + stretch.hours).map(|hour| self.at(hour));
            hours.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        };
        let whole = sum(Stretch { from: 0, hours: 24 });
        let all =
            (1..=HOURS_MAX).flat_map(|hours| (0..24).map(move |from| Stretch { from, hours }));
        let judged = all.filter_map(|stretch| {
            let inside = sum(stretch);
            let outside = (whole.0 - inside.0, whole.1 - inside.1);
            if inside.0 <= 0.0 || outside.0 <= 0.0 {
                return None;
            }
            let (here, there) = (inside.1 / inside.0, outside.1 / outside.0);
            let is_clear =
                here >= RATE_MIN && here >= TIMES_MIN * there && inside.1 >= PART_MIN * whole.1;
            let gain = likelihood(inside) + likelihood(outside) - likelihood(whole);
            Some((gain, is_clear, stretch))
        });
        // Of two that explain as much the shorter comes first.
        let best = judged.reduce(|best, one| if one.0 > best.0 + 1e-9 { one } else { best });
        let needed = GAIN_MIN + 2.0 * float(24 * HOURS_MAX as u64).ln();
        let (gain, is_clear, stretch) = best?;
        let is_clear = is_clear && 2.0 * gain > needed;
        is_clear.then_some(stretch)
    }

    /// The heartbeat at times at which the fault hardly shows: a little later each time, where it beats
    /// seldom, else not in those hours. None where there are no such times.
    pub(super) fn moved(&self, heartbeat: &Heartbeat) -> Option<Heartbeat> {
        let worst = self.worst()?;
        let moved = self
            .later(worst, heartbeat)
            .or_else(|| without(worst, heartbeat))?;
        heartbeat.may_move_to(&moved).then_some(moved)
    }

    fn later(&self, worst: Stretch, heartbeat: &Heartbeat) -> Option<Heartbeat> {
        let every = heartbeat.every_minutes;
        let day = u32::from(DAY_MINUTES);
        // Only then are there beats at the same times of each day.
        let is_daily =
            every >= PHASE_MINUTES_MIN && (day.is_multiple_of(every) || every.is_multiple_of(day));
        let used: Vec<usize> = (0..24).filter(|hour| self.at(*hour).0 > 0.0).collect();
        let is_good = |later: &u32| {
            used.iter().all(|hour| {
                let hour = (hour + *later as usize) % 24;
                !worst.holds(hour) && holds(heartbeat.hours, hour)
            })
        };
        let mut choices = (1..every.div_ceil(60)).filter(|_| is_daily);
        let later = choices.find(|later| *later < 24 && is_good(later))?;
        Some(Heartbeat {
            offset_minutes: (heartbeat.offset_minutes + 60 * later) % every,
            ..heartbeat.clone()
        })
    }
}

impl Stretch {
    fn holds(self, hour: usize) -> bool {
        (hour + 24 - self.from) % 24 < self.hours
    }
}

/// The heartbeat without these hours, where what is left of its day is one span.
fn without(worst: Stretch, heartbeat: &Heartbeat) -> Option<Heartbeat> {
    let is_left = |minute: u16| {
        let of_day = minute % DAY_MINUTES;
        heartbeat.hours.is_none_or(|hours| hours.holds(of_day))
            && !worst.holds(usize::from(of_day) / 60)
    };
    let edges = |from: bool| {
        let is_edge = move |minute: &u16| {
            let before = (*minute + DAY_MINUTES - 1) % DAY_MINUTES;
            is_left(*minute) == from && is_left(before) != from
        };
        (0..DAY_MINUTES).filter(is_edge).collect::<Vec<u16>>()
    };
    let (begins, ends) = (edges(true), edges(false));
    let ([from], [until]) = (begins.as_slice(), ends.as_slice()) else {
        return None;
    };
    Some(Heartbeat {
        hours: Some(Hours {
            from: *from,
            until: *until,
        }),
        ..heartbeat.clone()
    })
}

/// True if the whole hour is one with beats.
fn holds(hours: Option<Hours>, hour: usize) -> bool {
    let minute = u16::try_from(hour * 60).unwrap_or_default();
    hours.is_none_or(|hours| (minute..minute + 60).all(|minute| hours.holds(minute)))
}

/// When it comes, in words.
pub(super) fn words(heartbeat: &Heartbeat) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let hours = heartbeat.hours.map_or_else(String::new, |hours| {
        format!(", from {} until {}", time(hours.from), time(hours.until))
    });
    format!(
        "let the heartbeat come every {} minutes, {} after the even times{hours}",
        heartbeat.every_minutes, heartbeat.offset_minutes
    )
}

/// The logarithm of the likelihood at the rate that fits best.
fn likelihood((all, failed): (f64, f64)) -> f64 {
    let rate = failed / all;
    let part = |count: f64, rate: f64| if count > 0.0 { count * rate.ln() } else { 0.0 };
    part(failed, rate) + part(all - failed, 1.0 - rate)
}

#[expect(clippy::cast_precision_loss, reason = "a count of heartbeats")]
fn float(count: u64) -> f64 {
    count as f64
}
