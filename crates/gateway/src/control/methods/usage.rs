//! What was spent: by day, and by conversation.
//!
//! Tokens that a vendor read from its cache are counted as input here, so the cache columns of the
//! protocol stay zero.

use instar_models::Dollars;
use instar_protocol::Timestamp;
use instar_protocol::api::{UsageReport, UsageRow};
use instar_store::{SessionFilter, SessionRow};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::key;
use crate::api::queries::{self, Budgets};
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::show::dollars;
use crate::control::show::session::model_of;

/// Days of a report when nobody says how many, and the most.
const DAYS: i64 = 30;
const DAYS_MAX: i64 = 399;
/// Conversations that a report is made of.
const LOOKED_AT: usize = 10_000;
/// Conversations that are listed when nobody says how many.
const LISTED: usize = 50;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "usage.status",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(status(call)),
    },
    Method {
        name: "usage.cost",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(cost(call)),
    },
    Method {
        name: "sessions.usage",
        need: Need::Scope(Scope::Read),
        advertised: false,
        run: |call| Box::pin(sessions(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Subscriptions with quotas of their own: none are kept here. What is spent is in `usage.cost`.
async fn status(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    let (today, month) = call.app.ledger.totals();
    let budget = &call.app.config.current().value.models.budget;
    let limit = |limit: Option<Dollars>| limit.map(|limit| dollars(limit.micros()));
    Ok(json!({
        "updatedAt": call.app.clock.now().millis(),
        "providers": [],
        "budget": {
            "spentTodayUsd": dollars(today),
            "spentThisMonthUsd": dollars(month),
            "perDayUsd": limit(budget.per_day_usd),
            "perMonthUsd": limit(budget.per_month_usd),
        },
    }))
}

/// Which days, whose, and how many rows.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Params {
    key: Option<String>,
    agent_id: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    days: Option<i64>,
    range: Option<Range>,
    limit: Option<usize>,
}

#[derive(Deserialize, Debug, Clone, Copy)]
enum Range {
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
    #[serde(rename = "90d")]
    Quarter,
    #[serde(rename = "1y")]
    Year,
    #[serde(rename = "all")]
    All,
}

/// Days are those of the zone that spending was booked in, whatever zone a client prefers.
const BESIDE: &[&str] = &[
    "agentScope",
    "mode",
    "utcOffset",
    "timeZone",
    "groupBy",
    "includeHistorical",
    "includeContextWeight",
    "refresh",
];

impl Params {
    /// First and last day, both included.
    fn days(&self, app: &App) -> Result<(String, String), Refusal> {
        let today = date(app, app.clock.now());
        let parse = |name: &str, text: &str| -> Result<jiff::civil::Date, Refusal> {
            text.parse()
                .map_err(|_| Refusal::invalid(format!("{name}: a day is written like 2026-11-21")))
        };
        let end = match &self.end_date {
            Some(text) => parse("endDate", text)?,
            None => today,
        };
        let span = match (self.days, self.range) {
            (Some(days), _) => days.clamp(1, DAYS_MAX),
            (None, Some(Range::Week)) => 7,
            (None, Some(Range::Month) | None) => DAYS,
            (None, Some(Range::Quarter)) => 90,
            (None, Some(Range::Year)) => 365,
            (None, Some(Range::All)) => DAYS_MAX,
        };
        let start = match &self.start_date {
            Some(text) => parse("startDate", text)?,
            None => end
                .checked_sub(jiff::Span::new().days(span - 1))
                .map_err(|_| Refusal::invalid("the days are out of range"))?,
        };
        Ok((start.to_string(), end.to_string()))
    }
}

fn date(app: &App, at: Timestamp) -> jiff::civil::Date {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(app.ledger.zone())
        .date()
}

async fn report(app: &App, params: &Params) -> Result<UsageReport, Refusal> {
    let (from, to) = params.days(app)?;
    let days = (Some(from.as_str()), Some(to.as_str()));
    let now = app.clock.now();
    let mut report = queries::usage_in(
        &app.store,
        days,
        Budgets::default(),
        now,
        &app.ledger.zone(),
    )
    .await?;
    if let Some(agent) = &params.agent_id {
        let agent = key::agent(app, agent)?;
        report.rows.retain(|row| row.agent == agent.as_str());
    }
    Ok(report)
}

async fn cost(call: Call) -> Result<Value, Refusal> {
    let params: Params = call.read(BESIDE)?;
    let report = report(&call.app, &params).await?;
    let daily = by(&report.rows, |row| row.day.clone(), "date");
    Ok(json!({
        "updatedAt": call.app.clock.now().millis(),
        "startDate": report.from,
        "endDate": report.to,
        "days": daily.len(),
        "daily": daily,
        "totals": Sums::of(&report.rows).shown(),
    }))
}

async fn sessions(call: Call) -> Result<Value, Refusal> {
    let params: Params = call.read(BESIDE)?;
    let app = &call.app;
    let report = report(app, &params).await?;
    let rows = rows(app, &params, &report).await?;
    let limit = params.limit.unwrap_or(LISTED).min(LOOKED_AT);
    let listed: Vec<Value> = rows
        .iter()
        .take(limit)
        .map(|row| usage_of(app, row))
        .collect();
    Ok(json!({
        "updatedAt": app.clock.now().millis(),
        "startDate": report.from,
        "endDate": report.to,
        "sessions": listed,
        "totals": Sums::of(&report.rows).shown(),
        "aggregates": {
            "sessionCount": rows.len(),
            "byModel": by(&report.rows, |row| row.model.clone(), "model"),
            "byProvider": by(&report.rows, |row| provider(&row.model), "provider"),
            "byAgent": by(&report.rows, |row| row.agent.clone(), "agentId"),
            "byChannel": [],
            "costDaily": by(&report.rows, |row| row.day.clone(), "date"),
            "daily": by(&report.rows, |row| row.day.clone(), "date"),
        },
    }))
}

fn provider(model: &str) -> String {
    model.split('/').next().unwrap_or_default().to_owned()
}

/// The conversations that were used within the days, the latest first.
async fn rows(
    app: &App,
    params: &Params,
    report: &UsageReport,
) -> Result<Vec<SessionRow>, Refusal> {
    if let Some(name) = &params.key {
        let key = key::parse(app, name, params.agent_id.as_deref())?;
        return Ok(key::find(app, &key).await?.into_iter().collect());
    }
    let filter = SessionFilter {
        agent: params
            .agent_id
            .as_deref()
            .map(|id| key::agent(app, id))
            .transpose()?,
        limit: LOOKED_AT,
        ..SessionFilter::default()
    };
    let mut rows = app.store.sessions(filter).await?;
    rows.retain(|row| {
        let day = date(app, row.updated_at).to_string();
        (report.from.as_str()..=report.to.as_str()).contains(&day.as_str())
    });
    Ok(rows)
}

/// A conversation with all that it ever cost.
fn usage_of(app: &App, row: &SessionRow) -> Value {
    let sums = Sums {
        input: row.input_tokens,
        output: row.output_tokens,
        micros: row.cost_micros,
        calls: 0,
    };
    let model = model_of(app, row);
    json!({
        "key": row.key,
        "sessionId": row.id,
        "scope": "instance",
        "label": row.title,
        "agentId": row.agent,
        "updatedAt": row.updated_at.millis(),
        "modelProvider": model.as_ref().map(|model| model.provider().to_owned()),
        "model": model.as_ref().map(|model| model.model().to_owned()),
        "usage": sums.shown(),
    })
}

/// Added-up spending.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    input: u64,
    output: u64,
    micros: u64,
    calls: u64,
}

impl Sums {
    fn of<'a>(rows: impl IntoIterator<Item = &'a UsageRow>) -> Self {
        let mut sums = Self::default();
        for row in rows {
            sums.input += row.input_tokens;
            sums.output += row.output_tokens;
            sums.micros += row.cost_micros;
            sums.calls += row.calls;
        }
        sums
    }

    fn shown(self) -> Value {
        json!({
            "input": self.input,
            "output": self.output,
            "cacheRead": 0,
            "cacheWrite": 0,
            "totalTokens": self.input + self.output,
            "totalCost": dollars(self.micros),
            "missingCostEntries": 0,
        })
    }
}

/// Sums by a word of the row, which stands in each under `name`.
fn by(rows: &[UsageRow], word: impl Fn(&UsageRow) -> String, name: &str) -> Vec<Value> {
    let mut groups: BTreeMap<String, Vec<&UsageRow>> = BTreeMap::new();
    for row in rows {
        groups.entry(word(row)).or_default().push(row);
    }
    groups
        .into_iter()
        .map(|(word, rows)| {
            let sums = Sums::of(rows);
            let mut shown = match sums.shown() {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            shown.insert(name.to_owned(), json!(word));
            shown.insert("count".to_owned(), json!(sums.calls));
            Value::Object(shown)
        })
        .collect()
}
