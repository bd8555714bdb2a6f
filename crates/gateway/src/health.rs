//! Conditions of the gateway that are not read off a subsystem: its phase, and its configuration.

use instar_protocol::api::Health;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

/// Where the gateway is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Starting,
    Ready,
    Draining,
}

/// What readiness and the status page show.
#[derive(Debug)]
pub struct Conditions {
    phase: AtomicU8,
    config: RwLock<Health>,
    /// Keys that were changed and are in force only after a restart.
    waiting: RwLock<Vec<String>>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            phase: AtomicU8::new(0),
            config: RwLock::new(Health::sound()),
            waiting: RwLock::default(),
        }
    }
}

impl Conditions {
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::Starting => 0,
            Phase::Ready => 1,
            Phase::Draining => 2,
        };
        self.phase.store(number, Ordering::Release);
    }

    /// Whether the files on disk are what is in force.
    #[must_use]
    pub fn config(&self) -> Health {
        let health = self
            .config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let waiting = self.waiting();
        if health.problem.is_some() || waiting.is_empty() {
            return health;
        }
        Health {
            ok: true,
            problem: Some(format!(
                "changed, but in force only after a restart: {}",
                waiting.join(", ")
            )),
            next_step: Some("restart the gateway".to_owned()),
        }
    }

    pub(crate) fn set_config(&self, health: Health) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// Keys that were changed on disk and wait for a restart.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.waiting
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another list in place and returns the one before.
    pub(crate) fn set_waiting(&self, keys: Vec<String>) -> Vec<String> {
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *waiting, keys)
    }
}

/// A limit of spending: `day` or `month`, micro-dollars spent, micro-dollars allowed.
pub(crate) type Limit = (&'static str, u64, Option<u64>);

/// What spending comes to, seen from the limit that is nearest to its end.
pub(crate) fn budget(limits: &[Limit], warn_at: f64) -> Health {
    const NEXT: &str = "raise it in models.budget, or wait for the next";
    let set = limits
        .iter()
        .filter_map(|(scope, spent, limit)| Some((scope, *spent, (*limit)?)));
    let dollars =
        |micros: u64| format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000);
    let words = |scope: &str, spent, limit| {
        let (spent, limit) = (dollars(spent), dollars(limit));
        format!("{spent} of {limit} dollars of this {scope} are spent")
    };
    if let Some((scope, spent, limit)) = set.clone().find(|(_, spent, limit)| spent >= limit) {
        let problem = format!("{}: no model is called", words(scope, spent, limit));
        return Health::broken(problem, format!("{NEXT} {scope}"));
    }
    let near = |spent: u64, limit: u64| share(spent, limit) >= warn_at;
    match set
        .into_iter()
        .find(|(_, spent, limit)| near(*spent, *limit))
    {
        Some((scope, spent, limit)) => Health {
            ok: true,
            problem: Some(words(scope, spent, limit)),
            next_step: Some(format!("{NEXT} {scope}")),
        },
        None => Health::sound(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share to compare with a share"
)]
fn share(spent: u64, limit: u64) -> f64 {
    spent as f64 / limit as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_is_told_before_and_at_its_limit() {
        let of = |spent| budget(&[("day", spent, Some(1_000_000)), ("month", 5, None)], 0.8);
        assert_eq!(of(799_999), Health::sound());
        let near = of(800_000);
        assert!(near.ok && near.problem.unwrap().contains("0.80 of 1.00"));
        let over = of(1_000_000);
        assert!(!over.ok && over.problem.unwrap().contains("this day"));
        assert_eq!(budget(&[("day", 0, None)], 0.0), Health::sound());
    }

    #[test]
    fn what_waits_is_told_where_nothing_is_broken() {
        let conditions = Conditions::default();
        assert!(
            conditions
                .set_waiting(vec!["gateway.port".to_owned()])
                .is_empty()
        );
        let told = conditions.config();
        assert!(told.ok && told.problem.unwrap().contains("gateway.port"));
        conditions.set_config(Health::broken("bad", "mend it"));
        assert_eq!(conditions.config().problem.as_deref(), Some("bad"));
        assert_eq!(conditions.waiting(), ["gateway.port"]);
    }
}
