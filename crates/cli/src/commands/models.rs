//! `instar models`.

use instar_config as config;
use instar_protocol::api::{ProbeRequest, Status};
use instar_protocol::model::ModelRef;
use serde_json::{Value, json};

use super::config::{RULES, author, explain};
use crate::args::Models;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::out::{Style, visible};
use crate::progress::waiting;

pub(crate) async fn run(command: &Models, run: &Context) -> anyhow::Result<()> {
    match command {
        Models::List => list(run).await,
        Models::Status => status(run).await,
        Models::Set { model, fallbacks } => set(model, fallbacks, run),
        Models::Probe { model } => probe(model.clone(), run).await,
    }
}

async fn list(run: &Context) -> anyhow::Result<()> {
    let rows: Vec<Value> = run.client()?.get("/api/v1/models").await?;
    if run.out.json() {
        return run.out.value(&rows);
    }
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            let ready = row["configured"].as_bool().unwrap_or(false);
            vec![
                (Style::Strong, text(row, "id")),
                (Style::Plain, text(row, "api")),
                (Style::Plain, text(row, "contextWindow")),
                (
                    if ready { Style::Good } else { Style::Warn },
                    text(row, "auth"),
                ),
            ]
        })
        .collect();
    run.out.table(&["model", "api", "window", "key"], &table);
    Ok(())
}

/// A field of a row as people read it.
pub(super) fn text(row: &Value, field: &str) -> String {
    match &row[field] {
        Value::Null => "-".to_owned(),
        Value::String(text) => visible(text),
        other => other.to_string(),
    }
}

async fn status(run: &Context) -> anyhow::Result<()> {
    let status: Status = run.client()?.get("/api/v1/status").await?;
    if run.out.json() {
        return run
            .out
            .value(&json!({ "model": status.model, "health": status.models }));
    }
    run.out.line(&format!("{} answers", visible(&status.model)));
    if status.model.starts_with("demo/") {
        run.out
            .note("this is the scripted demo model; connect a real one with `instar models set`");
    }
    match &status.models.problem {
        None => Ok(()),
        Some(problem) => {
            let failure = Failure::new(Code::Failed, problem.clone());
            Err(match &status.models.next_step {
                Some(step) => failure.next(step.clone()).into(),
                None => failure.into(),
            })
        }
    }
}

fn set(model: &str, fallbacks: &[String], run: &Context) -> anyhow::Result<()> {
    for name in std::iter::once(&model.to_owned()).chain(fallbacks) {
        if ModelRef::parse(name).is_none() {
            let message = format!("{name:?} is not provider/model");
            return Err(Failure::new(Code::Usage, message)
                .next("write it like openai/gpt-5 or ollama/qwen3; see `instar models list`")
                .into());
        }
    }
    let state = run.state()?;
    state.prepare()?;
    let value = json!({ "primary": model, "fallbacks": fallbacks });
    let path = "agents.defaults.model";
    let _changed = config::set_with(&state, path, &value, &author(), &environment, RULES)
        .map_err(|error| explain(error, run))?;
    if run.out.json() {
        return run.out.value(&value);
    }
    run.out
        .line(&format!("{model} answers from the next message on"));
    run.out.note("try it with `instar models probe`");
    Ok(())
}

async fn probe(model: Option<String>, run: &Context) -> anyhow::Result<()> {
    let client = run.client()?;
    let what = match &model {
        Some(model) => format!("asking {} for one word", crate::out::visible(model)),
        None => "asking every model for one word".to_owned(),
    };
    let request = ProbeRequest { model };
    let asking = client.post("/api/v1/models/probe", &request);
    let rows: Vec<Value> = waiting(&what, run, asking).await?;
    let broken = rows
        .iter()
        .filter(|row| row["ok"] != Value::Bool(true))
        .count();
    if run.out.json() {
        run.out.value(&rows)?;
    } else {
        for row in &rows {
            let ok = row["ok"] == Value::Bool(true);
            let (style, word) = if ok {
                (Style::Good, "answers")
            } else {
                (Style::Bad, "fails")
            };
            let (model, message) = (text(row, "model"), text(row, "message"));
            let word = run.out.paint(style, word);
            run.out.line(&format!(
                "{model} {word} after {} ms: {message}",
                row["millis"]
            ));
        }
    }
    if broken > 0 {
        let message = format!("{broken} of {} models did not answer", rows.len());
        return Err(Failure::new(Code::Failed, message).into());
    }
    Ok(())
}
