//! Money spent today and this month, in local time, for budgets.
//!
//! Turns write their spending to the store in their own batch. The totals here begin with what is
//! stored and are kept in step in memory, so that a budget check costs no query.

use instar_models::{Ledger, SpendRecord};
use instar_protocol::event::{EventKind, GatewayFact};
use instar_protocol::{Clock, Timestamp};
use instar_store::{Store, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::facts::Facts;
use crate::metrics::Metrics;

/// The running totals.
#[derive(Debug)]
pub struct DayLedger {
    store: Store,
    clock: Arc<dyn Clock>,
    facts: Facts,
    metrics: Arc<Metrics>,
    totals: Mutex<Totals>,
}

#[derive(Debug, Clone)]
struct Totals {
    /// The zone that days are counted in.
    zone: TimeZone,
    day: Date,
    today: u64,
    month: u64,
    /// Everything added since the start.
    added: u64,
}

impl DayLedger {
    /// Begins with what the store knows of this month.
    pub(crate) async fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        zone: TimeZone,
        facts: Facts,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let totals = stored(&store, clock.now(), zone).await?;
        Ok(Self {
            store,
            clock,
            facts,
            metrics,
            totals: Mutex::new(totals),
        })
    }

    /// Micro-dollars today and this month.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let mut totals = self.lock();
        let day = local_day(self.clock.now(), &totals.zone);
        if totals.day != day {
            if totals.day.first_of_month() != day.first_of_month() {
                totals.month = 0;
            }
            totals.today = 0;
            totals.day = day;
        }
        (totals.today, totals.month)
    }

    /// The zone that days are counted in.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        self.lock().zone.clone()
    }

    /// Counts the days of another zone from now on. What was spent is read back from the store.
    pub(crate) async fn set_zone(&self, zone: TimeZone) -> Result<(), StoreError> {
        if self.zone() == zone {
            return Ok(());
        }
        let before = self.lock().added;
        let mut read = stored(&self.store, self.clock.now(), zone).await?;
        let mut totals = self.lock();
        // What came in meanwhile may be stored already: rather counted twice than not at all.
        let meanwhile = totals.added.saturating_sub(before);
        read.today = read.today.saturating_add(meanwhile);
        read.month = read.month.saturating_add(meanwhile);
        read.added = totals.added;
        *totals = read;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The zone of the configuration, else the system's.
pub(crate) fn zone_named(name: Option<&str>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok())
        .unwrap_or_else(TimeZone::system)
}

async fn stored(store: &Store, now: Timestamp, zone: TimeZone) -> Result<Totals, StoreError> {
    let day = local_day(now, &zone);
    let rows = store
        .spend(&day.first_of_month().to_string(), &day.to_string())
        .await?;
    let today = day.to_string();
    let today = rows.iter().filter(|row| row.day == today);
    Ok(Totals {
        zone,
        day,
        today: today.map(|row| row.cost_micros).sum(),
        month: rows.iter().map(|row| row.cost_micros).sum(),
        added: 0,
    })
}

/// The calendar day of a time in a zone.
#[must_use]
pub(crate) fn local_day(at: Timestamp, zone: &TimeZone) -> Date {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(zone.clone()).date()
}

impl Ledger for DayLedger {
    fn spent(&self) -> (u64, u64) {
        self.totals()
    }

    fn day(&self) -> Option<String> {
        let totals = self.lock();
        Some(local_day(self.clock.now(), &totals.zone).to_string())
    }

    fn add(&self, spend: SpendRecord) {
        // Turns the day over first, so that the sum lands on the right one.
        let _before = self.totals();
        let mut totals = self.lock();
        totals.added = totals.added.saturating_add(spend.cost_micros);
        totals.today = totals.today.saturating_add(spend.cost_micros);
        totals.month = totals.month.saturating_add(spend.cost_micros);
        drop(totals);
        self.metrics.model_calls.add(spend.calls);
        self.metrics.input_tokens.add(spend.input_tokens);
        self.metrics.output_tokens.add(spend.output_tokens);
        self.metrics.cost_micros.add(spend.cost_micros);
    }

    fn warn(&self, scope: &'static str, spent_micros: u64, limit_micros: u64) {
        tracing::warn!(
            scope,
            spent_micros,
            limit_micros,
            "spending nears its limit"
        );
        let scope = scope.to_owned();
        let what = GatewayFact::BudgetWarning { scope };
        self.facts.note(EventKind::Gateway { what });
    }
}
