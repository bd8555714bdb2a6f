//! Counters of this process, and the page that Prometheus reads.
//!
//! No label comes from outside: every series is known here, so their number is bounded.

use instar_agent::Counts;
use instar_store::{FLUSH_BOUNDS_MICROS, Stats};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::app::AppState;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        let _before = self.0.fetch_add(amount, Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Answers by the first digit of their status.
    pub requests: [Counter; 6],
    pub refused_host: Counter,
    pub refused_origin: Counter,
    pub refused_path: Counter,
    pub auth_missing: Counter,
    pub auth_wrong: Counter,
    pub auth_locked: Counter,
    pub rate_limited: Counter,
    pub panics: Counter,
    pub connections: Counter,
    pub config_applied: Counter,
    pub config_refused: Counter,
    pub model_calls: Counter,
    pub input_tokens: Counter,
    pub output_tokens: Counter,
    pub cost_micros: Counter,
}

/// The page, in the Prometheus text format.
pub(crate) fn page(app: &AppState) -> String {
    let metrics = &app.metrics;
    let store = app.store.stats();
    let mut page = Page::default();
    page.head("instar_build_info", "gauge", "the running version");
    page.line(&format!(
        "instar_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    ));
    page.head(
        "instar_http_responses_total",
        "counter",
        "answers by class of status",
    );
    for (class, counter) in metrics.requests.iter().enumerate().skip(1) {
        page.line(&format!(
            "instar_http_responses_total{{class=\"{class}xx\"}} {}",
            counter.get()
        ));
    }
    page.head(
        "instar_http_refused_total",
        "counter",
        "requests refused before a handler saw them",
    );
    for (why, counter) in [
        ("host", &metrics.refused_host),
        ("origin", &metrics.refused_origin),
        ("path", &metrics.refused_path),
        ("unauthenticated", &metrics.auth_missing),
        ("wrong_secret", &metrics.auth_wrong),
        ("locked_out", &metrics.auth_locked),
        ("rate", &metrics.rate_limited),
    ] {
        page.line(&format!(
            "instar_http_refused_total{{why=\"{why}\"}} {}",
            counter.get()
        ));
    }
    for (name, help, counter) in [
        ("connections", "connections accepted", &metrics.connections),
        ("panics", "handlers that panicked", &metrics.panics),
        (
            "config_applied",
            "configuration changes taken while running",
            &metrics.config_applied,
        ),
        (
            "config_refused",
            "configuration changes refused while running",
            &metrics.config_refused,
        ),
        ("model_calls", "calls to models", &metrics.model_calls),
        (
            "model_input_tokens",
            "tokens sent to models",
            &metrics.input_tokens,
        ),
        (
            "model_output_tokens",
            "tokens answered by models",
            &metrics.output_tokens,
        ),
        (
            "model_cost_microdollars",
            "money spent on models",
            &metrics.cost_micros,
        ),
    ] {
        page.counter(&format!("instar_{name}_total"), help, counter.get());
    }
    page.counter(
        "instar_store_commits_total",
        "commits, each one flush",
        store.commits,
    );
    page.counter(
        "instar_store_batches_total",
        "batches in these commits",
        store.batches,
    );
    commits(&mut page, &store);
    outcomes(&mut page, &app.sessions.counts());
    let (today, month) = app.ledger.totals();
    for (name, help, value) in [
        (
            "turns_running",
            "turns that are running",
            app.sessions.running(),
        ),
        (
            "messages_waiting",
            "messages that wait for a turn",
            app.sessions.waiting(),
        ),
        (
            "sessions_awake",
            "conversations held in memory",
            app.sessions.awake(),
        ),
    ] {
        page.gauge(&format!("instar_{name}"), help, value);
    }
    page.gauge(
        "instar_store_batches_waiting",
        "batches that wait for a commit",
        store.waiting,
    );
    page.gauge(
        "instar_spent_today_microdollars",
        "money spent since midnight",
        today,
    );
    page.gauge(
        "instar_spent_month_microdollars",
        "money spent this month",
        month,
    );
    page.gauge(
        "instar_resident_bytes",
        "memory of this process",
        crate::process::resident_bytes(),
    );
    page.gauge(
        "instar_store_healthy",
        "1 while the store takes writes",
        u8::from(app.store.health().is_none()),
    );
    page.gauge(
        "instar_config_healthy",
        "1 while the file on disk is in force",
        u8::from(app.config_health().ok),
    );
    page.0
}

/// The times of commits as a histogram.
fn commits(page: &mut Page, store: &Stats) {
    const NAME: &str = "instar_store_commit_seconds";
    page.head(NAME, "histogram", "time that commits took, flush included");
    let ends = FLUSH_BOUNDS_MICROS.map(|micros| seconds(micros * 1_000).to_string());
    let ends = ends.into_iter().chain(["+Inf".to_owned()]);
    let mut count = 0;
    for (end, flushes) in ends.zip(store.flushes) {
        count += flushes;
        page.line(&format!("{NAME}_bucket{{le=\"{end}\"}} {count}"));
    }
    page.line(&format!("{NAME}_sum {}", seconds(store.flush_nanos)));
    page.line(&format!("{NAME}_count {count}"));
}

/// How turns and model calls ended. The values of the labels are those of two closed types.
fn outcomes(page: &mut Page, counts: &Counts) {
    page.head("instar_turns_total", "counter", "turns by how they ended");
    for (outcome, count) in &counts.turns {
        let outcome = word(outcome);
        page.line(&format!(
            "instar_turns_total{{outcome=\"{outcome}\"}} {count}"
        ));
    }
    page.head(
        "instar_model_answers_total",
        "counter",
        "model calls by how they ended, after retries and fallbacks",
    );
    for (class, count) in &counts.model_calls {
        let (outcome, class) = match class {
            None => ("answered", "none".to_owned()),
            Some(class) => ("failed", word(class)),
        };
        page.line(&format!(
            "instar_model_answers_total{{outcome=\"{outcome}\",class=\"{class}\"}} {count}"
        ));
    }
}

/// A value as it is written everywhere else.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for a chart")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(&format!("{name} {value}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.line(&format!("{name} {value}"));
    }
}
