//! Money spent today and this month, in local time, for budgets.
//!
//! Turns write their spending to the store in their own batch. The totals here begin with what is
//! stored and are kept in step in memory, so that a budget check costs no query.

use instar_models::{Ledger, SpendRecord};
use instar_protocol::{Clock, Timestamp};
use instar_store::{Store, StoreError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Metrics;

/// The running totals.
#[derive(Debug)]
pub struct DayLedger {
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    metrics: Arc<Metrics>,
    totals: Mutex<Totals>,
}

#[derive(Debug, Clone, Copy)]
struct Totals {
    day: Date,
    today: u64,
    month: u64,
}

impl DayLedger {
    /// Begins with what the store knows of this month.
    pub async fn open(
        store: &Store,
        clock: Arc<dyn Clock>,
        zone: TimeZone,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let day = local_day(clock.now(), &zone);
        let rows = store
            .spend(&day.first_of_month().to_string(), &day.to_string())
            .await?;
        let today = day.to_string();
        let month = rows.iter().map(|row| row.cost_micros).sum();
        let today = rows
            .iter()
            .filter(|row| row.day == today)
            .map(|row| row.cost_micros)
            .sum();
        let totals = Mutex::new(Totals { day, today, month });
        Ok(Self {
            clock,
            zone,
            metrics,
            totals,
        })
    }

    /// Micro-dollars today and this month.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let day = local_day(self.clock.now(), &self.zone);
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if totals.day != day {
            let same_month = totals.day.first_of_month() == day.first_of_month();
            *totals = Totals {
                day,
                today: 0,
                month: if same_month { totals.month } else { 0 },
            };
        }
        (totals.today, totals.month)
    }

    /// The zone that days are counted in.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }
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

    fn add(&self, spend: SpendRecord) {
        // Turns the day over first, so that the sum lands on the right one.
        let _before = self.totals();
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.today = totals.today.saturating_add(spend.cost_micros);
        totals.month = totals.month.saturating_add(spend.cost_micros);
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
    }
}
