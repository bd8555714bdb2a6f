//! Tokens and money: by day, model, agent and conversation, against the limits.

use axum::extract::{Query, State};
use instar_models::Dollars;
use instar_protocol::api::{UsageReport, UsageRow};
use instar_store::SessionFilter;
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::sessions::encoded;
use crate::api::queries::{self, Budgets};
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::chart::{self, Bar, Line};
use crate::web::frame::{Frame, Tab, dollars, empty, number};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Conversations that are looked through for the dearest.
const LOOKED_AT: usize = 500;
/// Conversations that are named.
const NAMED: usize = 10;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    from: String,
    to: String,
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (from, to) = (given(&asked.from), given(&asked.to));
    let budget = &app.config.current().value.models.budget;
    let budgets = Budgets {
        day: budget.per_day_usd.map(Dollars::micros),
        month: budget.per_month_usd.map(Dollars::micros),
    };
    let zone = app.ledger.zone();
    let report = queries::usage_in(
        &app.store,
        (from.as_deref(), to.as_deref()),
        budgets,
        app.clock.now(),
        &zone,
    )
    .await
    .map_err(ApiProblem::from)?;
    let dearest = dearest(&app).await?;
    let body = html! {
        (tools(words, &report))
        (limits(words, &report))
        @if report.rows.is_empty() {
            (empty(words.no_usage, words.no_usage_do))
        } @else {
            (chart_of(words, &report))
            (grouped(words, words.per_day, &report.rows, |row| row.day.clone()))
            (grouped(words, words.per_model, &report.rows, |row| row.model.clone()))
            (grouped(words, words.per_agent, &report.rows, |row| row.agent.clone()))
        }
        @if !dearest.is_empty() {
            section {
                h2 { (words.per_session) }
                p class="soft" { (words.per_session_note) }
                div class="wide" tabindex="0" { table class="rows sums" {
                    thead { tr { th scope="col" { (words.session) } th scope="col" class="num" { (words.tokens_in) }
                        th scope="col" class="num" { (words.tokens_out) } th scope="col" class="num" { (words.cost) } } }
                    tbody { @for row in &dearest {
                        tr {
                            td class="main" { a href={ "/chat?session=" (encoded(row.key.as_str())) } { (row.title.as_deref().unwrap_or(row.key.as_str())) } }
                            td class="num" { (number(row.input_tokens)) } td class="num" { (number(row.output_tokens)) }
                            td class="num" { (dollars(row.cost_micros)) }
                        }
                    } }
                } }
            }
        }
    };
    Ok(Frame::new(&app, words, Tab::Usage).await.around(&body))
}

async fn dearest(app: &AppState) -> Result<Vec<instar_store::SessionRow>, ApiProblem> {
    let filter = SessionFilter {
        limit: LOOKED_AT,
        ..SessionFilter::default()
    };
    let mut rows = app.store.sessions(filter).await?;
    rows.retain(|row| row.input_tokens + row.output_tokens > 0);
    rows.sort_by_key(|row| std::cmp::Reverse((row.cost_micros, row.input_tokens)));
    rows.truncate(NAMED);
    Ok(rows)
}

fn tools(words: &Words, report: &UsageReport) -> Markup {
    let ago = |days: i64| {
        let to: Option<jiff::civil::Date> = report.to.parse().ok();
        let span = jiff::Span::new().try_days(days - 1).ok();
        to.zip(span)
            .and_then(|(to, span)| to.checked_sub(span).ok())
            .map(|day| format!("/usage?from={day}&to={}", report.to))
    };
    html! {
        form class="tools" method="get" {
            label { (words.from) " " input type="date" name="from" value=(report.from); }
            label { (words.to) " " input type="date" name="to" value=(report.to); }
            button { (words.show) }
            @for (days, told) in [(7, words.days_7), (30, words.days_30)] {
                @if let Some(link) = ago(days) { a href=(link) { (told) } }
            }
            a href="/usage" { (words.this_month) }
        }
    }
}

fn limits(words: &Words, report: &UsageReport) -> Markup {
    let rows = [
        (
            words.spent_today,
            report.spent_today_micros,
            report.day_budget_micros,
        ),
        (
            words.spent_month,
            report.spent_month_micros,
            report.month_budget_micros,
        ),
    ];
    html! {
        div class="cards" {
            @for (told, spent, limit) in rows {
                div class="card" {
                    div class="soft" { (told) }
                    div class="big" { (dollars(spent)) }
                    @match limit {
                        Some(limit) => {
                            @let value = spent.min(limit);
                            meter min="0" max=(limit) value=(value) high=(limit / 5 * 4) optimum="0" aria-label=(told) {}
                            div class="soft" { (words.limit_of) " " (dollars(limit)) }
                        }
                        None => div class="soft" { (words.no_limit) },
                    }
                }
            }
        }
    }
}

fn chart_of(words: &Words, report: &UsageReport) -> Markup {
    let costs = report.rows.iter().any(|row| row.cost_micros > 0);
    let mut days: BTreeMap<String, u64> = every_day(report);
    for row in &report.rows {
        let value = if costs {
            row.cost_micros
        } else {
            row.input_tokens + row.output_tokens
        };
        *days.entry(row.day.clone()).or_default() += value;
    }
    let bars: Vec<Bar> = days
        .into_iter()
        .map(|(day, value)| Bar {
            name: day.get(5..).unwrap_or(&day).to_owned(),
            value,
            told: if costs { dollars(value) } else { number(value) },
        })
        .collect();
    let line = report
        .day_budget_micros
        .filter(|_| costs)
        .map(|limit| Line {
            value: limit,
            told: format!("{} {}", words.day_limit, dollars(limit)),
        });
    let title = if costs {
        words.cost_chart
    } else {
        words.tokens_chart
    };
    chart::bars(title, &bars, line.as_ref())
}

/// Every day of the report with nothing on it.
fn every_day(report: &UsageReport) -> BTreeMap<String, u64> {
    let from: Option<jiff::civil::Date> = report.from.parse().ok();
    let to: Option<jiff::civil::Date> = report.to.parse().ok();
    let Some((from, to)) = from.zip(to) else {
        return BTreeMap::new();
    };
    from.series(jiff::Span::new().days(1))
        .take_while(|day| *day <= to)
        .map(|day| (day.to_string(), 0))
        .collect()
}

fn grouped(
    words: &Words,
    title: &str,
    rows: &[UsageRow],
    by: impl Fn(&UsageRow) -> String,
) -> Markup {
    let mut groups: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for row in rows {
        let sum = groups.entry(by(row)).or_default();
        let more = [
            row.calls,
            row.input_tokens,
            row.output_tokens,
            row.cost_micros,
        ];
        for (one, more) in sum.iter_mut().zip(more) {
            *one += more;
        }
    }
    html! {
        section {
            h2 { (title) }
            div class="wide" tabindex="0" { table class="rows sums" {
                thead { tr { th scope="col" { (words.name) } th scope="col" class="num" { (words.calls) }
                    th scope="col" class="num" { (words.tokens_in) } th scope="col" class="num" { (words.tokens_out) }
                    th scope="col" class="num" { (words.cost) } } }
                tbody { @for (name, [calls, input, output, cost]) in groups.iter().rev() {
                    tr { td class="main" { (name) } td class="num" { (number(*calls)) } td class="num" { (number(*input)) }
                        td class="num" { (number(*output)) } td class="num" { (dollars(*cost)) } }
                } }
            } }
        }
    }
}
