//! What calls may cost: a hard stop before the call, a warning once a day after it.

use crate::config::{BudgetConfig, Dollars};
use crate::models::Ledger;
use instar_protocol::Timestamp;
use instar_protocol::model::ModelRef;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

const DAY_MILLIS: u64 = 86_400_000;
/// Unpriced models that are remembered as warned of.
const UNPRICED_MAX: usize = 256;

/// What was warned of already.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    /// The day on which each scope was warned of last.
    days: BTreeMap<&'static str, String>,
    /// Models without a price, since the configuration came into force.
    unpriced: BTreeSet<ModelRef>,
}

impl Warnings {
    /// True the first time that a model is named under one configuration.
    pub(crate) fn is_new(&mut self, model: &ModelRef) -> bool {
        self.unpriced.len() < UNPRICED_MAX && self.unpriced.insert(model.clone())
    }

    pub(crate) fn reloaded(&mut self) {
        self.unpriced.clear();
    }
}

/// True if any limit is set.
pub(crate) fn is_set(budget: &BudgetConfig) -> bool {
    budget.per_turn_usd.is_some() || budget.per_day_usd.is_some() || budget.per_month_usd.is_some()
}

/// The scope that only calls one after the other share.
const TURN: &str = "turn";

/// A limit and how much of it is used.
struct Scope {
    name: &'static str,
    spent: u64,
    limit: u64,
}

fn scopes(budget: &BudgetConfig, ledger: &dyn Ledger, turn_spent: u64) -> Vec<Scope> {
    let (day, month) = if budget.per_day_usd.is_some() || budget.per_month_usd.is_some() {
        ledger.spent()
    } else {
        (0, 0)
    };
    let scope = |name, spent, limit: Option<Dollars>| {
        limit.map(|limit| Scope {
            name,
            spent,
            limit: limit.micros(),
        })
    };
    [
        scope(TURN, turn_spent, budget.per_turn_usd),
        scope("day", day, budget.per_day_usd),
        scope("month", month, budget.per_month_usd),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the calls under way may come to cost together.
///
/// A call goes ahead while the limits hold with everything that is set aside, so that only one call
/// can pass a limit, by its own cost. Near a limit calls go one after the other.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    micros: Mutex<u64>,
    freed: Notify,
}

/// The share of one call; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    of: &'a Reserved,
    micros: u64,
}

impl Reserved {
    /// Refuses a call when a limit is reached; waits while the calls under way might reach it.
    /// `most_micros` is set aside for the call itself.
    pub(crate) async fn admit(
        &self,
        budget: &BudgetConfig,
        ledger: &dyn Ledger,
        turn_spent: u64,
        most_micros: u64,
    ) -> Result<Reservation<'_>, String> {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(reservation) = self.try_admit(budget, ledger, turn_spent, most_micros)? {
                return Ok(reservation);
            }
            freed.await;
        }
    }

    fn try_admit(
        &self,
        budget: &BudgetConfig,
        ledger: &dyn Ledger,
        turn_spent: u64,
        most_micros: u64,
    ) -> Result<Option<Reservation<'_>>, String> {
        // What is booked is read under the lock: a call books before it gives its share back, so
        // that it is always counted at least once.
        let mut micros = self.lock();
        let scopes = scopes(budget, ledger, turn_spent);
        if let Some(scope) = scopes.iter().find(|scope| scope.spent >= scope.limit) {
            return Err(format!(
                "the limit per {} of {} is reached: {} spent",
                scope.name,
                dollars(scope.limit),
                dollars(scope.spent)
            ));
        }
        let holds = scopes
            .iter()
            .filter(|scope| scope.name != TURN)
            .all(|scope| scope.spent.saturating_add(*micros) < scope.limit);
        if !holds {
            return Ok(None);
        }
        *micros = micros.saturating_add(most_micros);
        Ok(Some(Reservation {
            of: self,
            micros: most_micros,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.micros.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut micros = self.of.lock();
        *micros = micros.saturating_sub(self.micros);
        drop(micros);
        self.of.freed.notify_waiters();
    }
}

/// Tells the ledger about limits that are nearly used up, once a day for each.
pub(crate) fn warn(
    budget: &BudgetConfig,
    ledger: &dyn Ledger,
    turn_spent: u64,
    now: Timestamp,
    warnings: &Mutex<Warnings>,
) {
    let today = ledger
        .day()
        .unwrap_or_else(|| (now.millis() / DAY_MILLIS).to_string());
    for scope in scopes(budget, ledger, turn_spent) {
        if !passed(scope.spent, scope.limit, budget.warn_at) {
            continue;
        }
        let last = {
            let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
            warnings.days.insert(scope.name, today.clone())
        };
        if last.as_ref() != Some(&today) {
            tracing::warn!(scope = scope.name, spent = %dollars(scope.spent), limit = %dollars(scope.limit), "spending is near its limit");
            ledger.warn(scope.name, scope.spent, scope.limit);
        }
    }
}

/// Whether `spent` is at least the share of the limit; in whole thousandths, without rounding.
fn passed(spent: u64, limit: u64, share: f64) -> bool {
    let thousandths = (0..=1000u32)
        .find(|step| f64::from(*step) >= share * 1000.0)
        .unwrap_or(1000);
    u128::from(spent) * 1000 >= u128::from(limit) * u128::from(thousandths)
}

fn dollars(micros: u64) -> String {
    format!(
        "{}.{:04} dollars",
        micros / 1_000_000,
        micros % 1_000_000 / 100
    )
}
