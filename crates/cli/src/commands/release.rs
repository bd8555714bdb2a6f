//! `instar release`.

use serde_json::Value;

use super::events::escape;
use super::models::text;
use super::offline;
use super::status::clock;
use crate::args::Release;
use crate::context::Context;
use crate::out::{Out, Style, visible};
use instar_protocol::Timestamp;

pub(crate) async fn run(command: &Release, run: &Context) -> anyhow::Result<()> {
    let answer = fetch(command, run).await?;
    if run.out.json() {
        return run.out.value(&answer);
    }
    let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    match command {
        Release::List => list(rows, run.out),
        Release::Log => log(rows, run.out),
        Release::Diff { .. } => changes(rows, run.out),
        Release::Show { .. } => run.out.value(&answer)?,
    }
    Ok(())
}

pub(super) async fn fetch(command: &Release, run: &Context) -> anyhow::Result<Value> {
    let Some(client) = offline::live(run).await? else {
        return offline::release(run, command).await;
    };
    let path = match command {
        Release::List => "/api/v1/releases".to_owned(),
        Release::Log => "/api/v1/releases/log".to_owned(),
        Release::Show { release } => format!("/api/v1/releases/{}", escape(release)),
        Release::Diff { from, to } => {
            format!(
                "/api/v1/releases/diff?from={}&to={}",
                escape(from),
                escape(to)
            )
        }
    };
    client.get(&path).await
}

pub(super) fn when(row: &Value, field: &str) -> String {
    row[field]
        .as_u64()
        .map_or("-".to_owned(), |at| clock(Timestamp::from_millis(at)))
}

pub(super) fn short(row: &Value, field: &str) -> String {
    text(row, field).chars().take(12).collect()
}

fn list(rows: &[Value], out: Out) {
    if rows.is_empty() {
        out.note("no releases yet; the first is made when the gateway starts");
    }
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            let stable = row["stable"] == Value::Bool(true);
            vec![
                (Style::Strong, short(row, "id")),
                (Style::Good, if stable { "stable" } else { "" }.to_owned()),
                (Style::Plain, when(row, "madeAt")),
                (Style::Plain, text(row, "proposer")),
                (Style::Plain, text(row, "reason")),
            ]
        })
        .collect();
    out.table(&["release", "", "made", "by", "reason"], &table);
}

fn log(rows: &[Value], out: Out) {
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                (Style::Faint, when(row, "at")),
                (Style::Plain, text(row, "alias")),
                (
                    Style::Plain,
                    format!("{} -> {}", short(row, "from"), short(row, "to")),
                ),
                (Style::Plain, text(row, "by")),
                (Style::Plain, text(row, "reason")),
            ]
        })
        .collect();
    out.table(&["when", "alias", "moved", "by", "reason"], &table);
}

pub(super) fn changes(rows: &[Value], out: Out) {
    if rows.is_empty() {
        out.note("the two behave alike: no difference");
    }
    for row in rows {
        out.line(&out.paint(Style::Strong, &text(row, "path")));
        if let Value::String(diff) = &row["text"] {
            for line in visible(diff).lines() {
                let style = match line.as_bytes().first() {
                    Some(b'+') => Style::Good,
                    Some(b'-') => Style::Bad,
                    _ => Style::Plain,
                };
                out.line(&out.paint(style, line));
            }
            continue;
        }
        out.line(&out.paint(Style::Bad, &format!("- {}", text(row, "before"))));
        out.line(&out.paint(Style::Good, &format!("+ {}", text(row, "after"))));
    }
}
