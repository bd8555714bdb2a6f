//! `instar usage`.

use instar_protocol::api::UsageReport;

use super::events::escape;
use crate::args::Usage;
use crate::context::Context;
use crate::out::{Style, dollars, visible};

pub(crate) async fn run(command: &Usage, run: &Context) -> anyhow::Result<()> {
    let mut query = Vec::new();
    for (name, day) in [("from", &command.from), ("to", &command.to)] {
        if let Some(day) = day {
            query.push(format!("{name}={}", escape(day)));
        }
    }
    let path = format!("/api/v1/usage?{}", query.join("&"));
    let counting = async {
        match super::offline::live(run).await? {
            Some(client) => client.get(&path).await,
            None => super::offline::usage(run, command).await,
        }
    };
    let report: UsageReport = crate::progress::waiting("counting", run, counting).await?;
    if run.out.json() {
        return run.out.value(&report);
    }
    let out = run.out;
    if report.rows.is_empty() {
        out.note(&format!(
            "no model was called from {} to {}",
            report.from, report.to
        ));
    } else {
        let rows: Vec<Vec<(Style, String)>> = report
            .rows
            .iter()
            .map(|row| {
                [
                    row.day.clone(),
                    visible(&row.agent),
                    visible(&row.model),
                    row.calls.to_string(),
                    row.input_tokens.to_string(),
                    row.output_tokens.to_string(),
                    dollars(row.cost_micros),
                ]
                .map(|cell| (Style::Plain, cell))
                .to_vec()
            })
            .collect();
        out.table(
            &[
                "day",
                "agent",
                "model",
                "calls",
                "tokens in",
                "tokens out",
                "cost",
            ],
            &rows,
        );
        out.line(&format!("together {}", dollars(report.cost_micros)));
    }
    for (word, spent, limit) in [
        ("today", report.spent_today_micros, report.day_budget_micros),
        (
            "this month",
            report.spent_month_micros,
            report.month_budget_micros,
        ),
    ] {
        if let Some(limit) = limit {
            out.line(&format!("{word}: {} of {}", dollars(spent), dollars(limit)));
        }
    }
    Ok(())
}
