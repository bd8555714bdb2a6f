//! A candidate against its baseline, case by case.
//!
//! Both arms see the same cases, so only those in which they differ say anything. How often chance alone
//! would give so many is worked out exactly, and so is the interval. Cases that somebody chose are no
//! sample of what users will ask: what is said here is about these cases.

use instar_release::evidence::{Pair, Paired};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::report::{ArmReport, Flaky, Outcome, Row};

/// The level of the interval and of the verdict.
pub const LEVEL: f64 = 0.05;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    pub candidate: String,
    pub baseline: String,
    /// Cases that both arms decided, flaky ones left out.
    pub pairs: usize,
    /// Cases that neither arm decided: they could not be run, or ask for what is not done here.
    pub undecided: usize,
    pub both_passed: usize,
    pub both_failed: usize,
    pub regressions: Vec<Change>,
    pub improvements: Vec<Change>,
    /// The difference of the pass rates, candidate minus baseline, with its interval.
    pub difference: f64,
    pub low: f64,
    pub high: f64,
    /// The chance of at least so many regressions among the differing cases if neither arm is worse.
    pub p_worse: f64,
    /// The evidence that the candidate is worse; it may be looked at after every case.
    pub e_worse: f64,
    pub verdict: Finding,
}

impl Comparison {
    /// What was found, in sentences.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}.", self.verdict.words())];
        if self.undecided > 0 {
            lines.push(format!(
                "Of {} cases neither arm could be judged: nothing is known of them.",
                self.undecided
            ));
        }
        if self.pairs > 0 {
            lines.push(format!(
                "Of {} cases that both decided, {} got worse and {} better; {} pass and {} fail in both.",
                self.pairs,
                self.regressions.len(),
                self.improvements.len(),
                self.both_passed,
                self.both_failed
            ));
            lines.push(format!(
                "The pass rate differs by {:+.1} points ({:+.1} to {:+.1}, 95 %). If neither were worse, so many \
                 regressions or more would come by chance in {} of cases; {} or less decides. Who looks on the \
                 way goes by the evidence, which is {:.2} and would end it at 20.",
                self.difference * 100.0,
                self.low * 100.0,
                self.high * 100.0,
                share(self.p_worse),
                share(LEVEL),
                self.e_worse
            ));
        }
        lines
    }
}

fn share(p: f64) -> String {
    match p {
        p if p < 0.001 => "less than 0.1 %".to_owned(),
        p => format!("{:.1} %", p * 100.0),
    }
}

/// A case that one arm passes and the other does not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub case: usize,
    pub column: usize,
    pub name: String,
    pub candidate: Outcome,
    pub baseline: Outcome,
    /// Why the arm that does not pass does not.
    pub reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// No case was decided by both: this says nothing, and must not count as passed.
    NoData,
    /// The candidate is worse at the level.
    Worse,
    /// Some cases got worse; so few that chance could do it.
    Regressed,
    /// The candidate is better at the level, and no case got worse.
    Better,
    /// No case got worse.
    NoRegression,
}

impl Finding {
    /// The finding in a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoData => "no case was decided by both arms, so nothing is known",
            Self::Worse => "the candidate is worse on these cases, by more than chance would give",
            Self::Regressed => {
                "cases got worse; so few that chance could give as many, which does not make them right"
            }
            Self::Better => "the candidate is better on these cases, and none got worse",
            Self::NoRegression => {
                "no case got worse; what these cases do not ask about is not known"
            }
        }
    }
}

/// Compares the rows of two arms.
pub(crate) fn compare(candidate: &ArmReport, baseline: &ArmReport, flaky: &[Flaky]) -> Comparison {
    let decided = |arm: &ArmReport| -> BTreeMap<(usize, usize), Row> {
        arm.rows
            .iter()
            .filter(|row| row.repeat == 0)
            .map(|row| (row.key(), row.clone()))
            .collect()
    };
    let (new, old) = (decided(candidate), decided(baseline));
    let quarantined = |key: &(usize, usize)| flaky.iter().any(|one| (one.case, one.column) == *key);
    let mut found = Comparison {
        candidate: candidate.name.clone(),
        baseline: baseline.name.clone(),
        pairs: 0,
        undecided: 0,
        both_passed: 0,
        both_failed: 0,
        regressions: Vec::new(),
        improvements: Vec::new(),
        difference: 0.0,
        low: -1.0,
        high: 1.0,
        p_worse: 1.0,
        e_worse: 1.0,
        verdict: Finding::NoData,
    };
    let mut evidence = Paired::worse();
    for (key, row) in &new {
        let Some(was) = old.get(key).filter(|_| !quarantined(key)) else {
            continue;
        };
        let undecided = |row: &Row| matches!(row.outcome, Outcome::Error | Outcome::Unsupported);
        if undecided(row) && undecided(was) {
            found.undecided += 1;
            continue;
        }
        found.pairs += 1;
        let (passes, passed) = (
            row.outcome == Outcome::Passed,
            was.outcome == Outcome::Passed,
        );
        evidence.settle(Pair {
            turns: 1,
            new_failed: u32::from(!passes && passed),
            old_failed: u32::from(passes && !passed),
        });
        match (passes, passed) {
            (true, true) => found.both_passed += 1,
            (false, false) => found.both_failed += 1,
            (false, true) => found.regressions.push(change(row, was, &row.reason)),
            (true, false) => found.improvements.push(change(row, was, &was.reason)),
        }
    }
    found.e_worse = evidence.evidence();
    conclude(&mut found);
    found
}

fn change(row: &Row, was: &Row, reason: &str) -> Change {
    Change {
        case: row.case,
        column: row.column,
        name: row.name.clone(),
        candidate: row.outcome,
        baseline: was.outcome,
        reason: reason.to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "suites are bounded")]
fn conclude(found: &mut Comparison) {
    if found.pairs == 0 {
        return;
    }
    let (worse, better) = (found.regressions.len(), found.improvements.len());
    let differing = worse + better;
    let pairs = found.pairs as f64;
    found.difference = (better as f64 - worse as f64) / pairs;
    let share = differing as f64 / pairs;
    let (low, high) = interval(better, differing, LEVEL);
    found.low = (2.0 * low - 1.0) * share;
    found.high = (2.0 * high - 1.0) * share;
    if differing == 0 {
        // Of none that differ, at most so many may differ unseen.
        let unseen = 1.0 - (LEVEL / 2.0).powf(1.0 / pairs);
        (found.low, found.high) = (-unseen, unseen);
    }
    found.p_worse = at_least(worse, differing, 0.5);
    found.verdict = if worse > 0 && found.p_worse <= LEVEL {
        Finding::Worse
    } else if worse > 0 {
        Finding::Regressed
    } else if better > 0 && at_least(better, differing, 0.5) <= LEVEL {
        Finding::Better
    } else {
        Finding::NoRegression
    };
}

/// The chance of at least `k` of `n` where each has the chance `p`.
#[expect(clippy::cast_precision_loss, reason = "suites are bounded")]
pub(crate) fn at_least(k: usize, n: usize, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if p <= 0.0 || p >= 1.0 {
        return if p >= 1.0 { 1.0 } else { 0.0 };
    }
    // From the logarithm of the first term upwards, each from the one before it.
    let mut log = 0.0;
    for i in 0..n {
        log += (1.0 - p).ln();
        if i < k {
            log += ((n - i) as f64 / (i + 1) as f64).ln() + p.ln() - (1.0 - p).ln();
        }
    }
    let mut sum = 0.0;
    for i in k..=n {
        sum += log.exp();
        if i < n {
            log += ((n - i) as f64 / (i + 1) as f64).ln() + p.ln() - (1.0 - p).ln();
        }
    }
    sum.min(1.0)
}

/// The exact interval of a share, by turning the two tails round.
pub(crate) fn interval(k: usize, n: usize, level: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let solve = |above: &dyn Fn(f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if above(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        (low + high) / 2.0
    };
    let low = match k {
        0 => 0.0,
        _ => solve(&|p| at_least(k, n, p) > level / 2.0),
    };
    let high = match k == n {
        true => 1.0,
        false => solve(&|p| 1.0 - at_least(k + 1, n, p) < level / 2.0),
    };
    (low, high)
}
