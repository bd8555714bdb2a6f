//! Whether a fault comes more often than it did, and since when.

use instar_protocol::Timestamp;
use instar_protocol::fault::day;
use serde::{Deserialize, Serialize};

use super::FaultView;

/// Days before which nothing can be told.
const DAYS_MIN: usize = 4;
/// How much better two rates have to explain the days than one, in twice the logarithm, beside what the
/// choice of the day is worth.
const GAIN_MIN: f64 = 10.0;

/// Where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// Too little was seen.
    Unknown,
    Steady,
    Rising,
    Falling,
}

/// The course, and the day from which on it is another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trend {
    pub course: Course,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_day: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_before: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_after: Option<f64>,
}

impl Trend {
    fn plain(course: Course) -> Self {
        Self {
            course,
            since_day: None,
            rate_before: None,
            rate_after: None,
        }
    }
}

/// One change at the most, by the likelihood of days of failures among occasions. It is a picture for
/// people; beside it a fix is only looked at anew.
#[must_use]
pub(super) fn trend(days: &[(u64, u64, u64)]) -> Trend {
    let days: Vec<(u64, f64, f64)> = days
        .iter()
        .filter(|(_, occasions, _)| *occasions > 0)
        .map(|(day, occasions, failures)| {
            (*day, whole(*occasions), whole(*failures.min(occasions)))
        })
        .collect();
    if days.len() < DAYS_MIN {
        return Trend::plain(Course::Unknown);
    }
    let all = totals(&days);
    let one = likelihood(all);
    let best = (1..days.len())
        .map(|at| {
            let (before, after) = (totals(&days[..at]), totals(&days[at..]));
            (
                likelihood(before) + likelihood(after) - one,
                at,
                before,
                after,
            )
        })
        .max_by(|one, two| one.0.total_cmp(&two.0));
    let needed = GAIN_MIN + 2.0 * whole(days.len() as u64).ln();
    let Some((_, at, before, after)) = best.filter(|best| 2.0 * best.0 > needed) else {
        return Trend::plain(Course::Steady);
    };
    let (rate_before, rate_after) = (before.1 / before.0, after.1 / after.0);
    Trend {
        course: if rate_after > rate_before {
            Course::Rising
        } else {
            Course::Falling
        },
        since_day: Some(days[at].0),
        rate_before: Some(rate_before),
        rate_after: Some(rate_after),
    }
}

/// True if a fault comes more often from some day on after the one on which it was mended.
pub(crate) fn has_risen(view: &FaultView, mended: Timestamp) -> bool {
    let mended = day(mended);
    let days = view.by_day.iter().filter(|row| row.day > mended);
    let days: Vec<_> = days
        .map(|row| (row.day, row.exposures, row.failures))
        .collect();
    trend(&days).course == Course::Rising
}

/// Occasions and failures.
fn totals(days: &[(u64, f64, f64)]) -> (f64, f64) {
    days.iter()
        .fold((0.0, 0.0), |sum, day| (sum.0 + day.1, sum.1 + day.2))
}

/// The logarithm of the likelihood at the rate that fits best.
fn likelihood((occasions, failures): (f64, f64)) -> f64 {
    let rate = failures / occasions;
    let part = |count: f64, rate: f64| if count > 0.0 { count * rate.ln() } else { 0.0 };
    part(failures, rate) + part(occasions - failures, 1.0 - rate)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a day are far below that"
)]
fn whole(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::DayRow;
    use instar_protocol::fault::{Fault, SignalKind};

    fn days(failures: &[u64]) -> Vec<(u64, u64, u64)> {
        failures
            .iter()
            .zip(100..)
            .map(|(failures, day)| (day, 50, *failures))
            .collect()
    }

    #[test]
    fn a_change_is_found_on_its_day_and_noise_is_none() {
        let rising = trend(&days(&[1, 2, 1, 0, 1, 12, 15, 11, 14]));
        assert_eq!(
            (rising.course, rising.since_day),
            (Course::Rising, Some(105))
        );
        let falling = trend(&days(&[12, 15, 11, 14, 1, 0, 1, 0]));
        assert_eq!(
            (falling.course, falling.since_day),
            (Course::Falling, Some(104))
        );
        assert_eq!(
            trend(&days(&[2, 3, 1, 4, 2, 3, 2, 1])).course,
            Course::Steady
        );
        assert_eq!(trend(&days(&[0, 9])).course, Course::Unknown);
        assert_eq!(trend(&[]).course, Course::Unknown);
    }

    #[test]
    fn only_what_happens_after_it_was_mended_counts_as_a_return() {
        let fault = Fault::new(
            "flt_1".to_owned(),
            SignalKind::Network,
            "tool:read".to_owned(),
            Timestamp::from_millis(0),
        );
        let has_risen = |failures: &[u64]| {
            let by_day = days(failures).into_iter();
            let by_day = by_day.map(|(day, exposures, failures)| DayRow {
                day,
                exposures,
                failures,
            });
            let view = FaultView {
                by_day: by_day.collect(),
                ..FaultView::plain(fault.clone())
            };
            // The sixth of these days.
            has_risen(&view, Timestamp::from_millis(105 * 86_400_000 + 5))
        };
        assert!(has_risen(&[
            20, 21, 19, 22, 20, 20, 0, 1, 0, 0, 18, 22, 20, 19
        ]));
        // It was mended, and stays so.
        assert!(!has_risen(&[0, 1, 0, 20, 21, 19, 0, 1, 0, 0, 1, 0, 0, 1]));
        // It had risen before.
        assert!(!has_risen(&[
            0, 0, 1, 0, 19, 20, 21, 20, 18, 22, 20, 19, 21, 20
        ]));
        assert!(!has_risen(&[20, 20]));
    }
}
