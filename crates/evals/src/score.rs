//! Many assertions into one result: weights, sets, thresholds, named metrics.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::assertion::{self, Facts, Verdict};
use crate::error::Trouble;
use crate::suite::{Assertion, Check};
use crate::template;

/// What became of one assertion, or of a set; a set's own follow it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// As the suite writes it, `not-` included.
    pub kind: String,
    #[serde(flatten)]
    pub verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metric: Option<String>,
}

/// What became of all assertions of a case.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Scored {
    pub(crate) pass: bool,
    pub(crate) score: f64,
    pub(crate) reason: String,
    pub(crate) named: BTreeMap<String, f64>,
    pub(crate) named_weights: BTreeMap<String, f64>,
    pub(crate) checks: Vec<Checked>,
}

/// Decides all assertions of a case. One that cannot be decided decides the case.
pub(crate) fn all(
    checks: &[Check],
    threshold: Option<f64>,
    facts: &Facts<'_>,
) -> Result<Scored, Trouble> {
    if checks.is_empty() {
        return Ok(Scored {
            pass: true,
            score: 1.0,
            reason: "nothing is asked of the answer".to_owned(),
            ..Scored::default()
        });
    }
    let mut sum = Sum::default();
    for check in checks {
        match check {
            Check::One(one) => {
                let checked = decided(one, facts)?;
                sum.add(&checked.verdict, one.weight, checked.metric.as_deref());
                sum.checks.push(checked);
            }
            Check::Set {
                checks,
                threshold,
                weight,
                metric,
            } => {
                let mut inner = Sum::default();
                for one in checks {
                    let checked = decided(one, facts)?;
                    inner.add(&checked.verdict, one.weight, checked.metric.as_deref());
                    inner.checks.push(checked);
                }
                let scored = inner.finish(*threshold);
                let metric = named(metric.as_deref(), facts)?;
                let verdict = Verdict {
                    pass: scored.pass,
                    score: scored.score,
                    reason: scored.reason,
                };
                sum.add(&verdict, *weight, metric.as_deref());
                sum.take_over(
                    &scored.named,
                    &scored.named_weights,
                    *weight,
                    metric.as_deref(),
                );
                sum.checks.push(Checked {
                    kind: "assert-set".to_owned(),
                    verdict,
                    metric,
                });
                sum.checks.extend(scored.checks);
            }
        }
    }
    Ok(sum.finish(threshold))
}

fn decided(one: &Assertion, facts: &Facts<'_>) -> Result<Checked, Trouble> {
    let not = if one.inverse { "not-" } else { "" };
    Ok(Checked {
        kind: format!("{not}{}", one.kind),
        verdict: assertion::check(one, facts)?,
        metric: named(one.metric.as_deref(), facts)?,
    })
}

/// The name of a metric, which may be a template.
fn named(metric: Option<&str>, facts: &Facts<'_>) -> Result<Option<String>, Trouble> {
    metric
        .map(|name| template::render(name, facts.vars))
        .transpose()
}

#[derive(Default)]
struct Sum {
    score: f64,
    weight: f64,
    failed: Option<String>,
    named: BTreeMap<String, (f64, f64)>,
    checks: Vec<Checked>,
}

impl Sum {
    fn add(&mut self, verdict: &Verdict, weight: f64, metric: Option<&str>) {
        self.score += verdict.score * weight;
        self.weight += weight;
        if let Some(metric) = metric.filter(|name| !name.is_empty()) {
            let (score, weights) = self.named.entry(metric.to_owned()).or_default();
            *score += verdict.score * weight;
            *weights += weight;
        }
        if !verdict.pass {
            self.failed = Some(verdict.reason.clone());
        }
    }

    /// The metrics inside a set count with the weight of the set, except the set's own.
    fn take_over(
        &mut self,
        named: &BTreeMap<String, f64>,
        weights: &BTreeMap<String, f64>,
        weight: f64,
        metric: Option<&str>,
    ) {
        for (name, score) in named {
            if metric == Some(name) {
                continue;
            }
            let inner = weights.get(name).copied().unwrap_or(1.0) * weight;
            let (sum, weights) = self.named.entry(name.clone()).or_default();
            *sum += score * inner;
            *weights += inner;
        }
    }

    fn finish(self, threshold: Option<f64>) -> Scored {
        let score = if self.weight > 0.0 {
            self.score / self.weight
        } else {
            0.0
        };
        let (pass, reason) = match threshold {
            Some(least) => {
                let pass = score >= least;
                let side = if pass { "at least" } else { "below" };
                (pass, format!("the score {score:.2} is {side} {least}"))
            }
            None => match self.failed {
                Some(reason) => (false, reason),
                None => (true, "all assertions hold".to_owned()),
            },
        };
        let mut named = BTreeMap::new();
        let mut named_weights = BTreeMap::new();
        for (name, (sum, weight)) in self.named {
            named.insert(name.clone(), if weight > 0.0 { sum / weight } else { 0.0 });
            named_weights.insert(name, weight);
        }
        Scored {
            pass,
            score,
            reason,
            named,
            named_weights,
            checks: self.checks,
        }
    }
}
