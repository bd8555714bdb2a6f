//! `instar agents`: what the release in service says of each agent.

use serde_json::{Value, json};

use super::models::text;
use super::release;
use crate::args::{Agents, ReleaseView};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, visible};
use crate::typed;

pub(crate) async fn run(command: &Agents, run: &Context) -> anyhow::Result<()> {
    let stable = ReleaseView::Show {
        release: "stable".to_owned(),
    };
    let release = release::fetch(&stable, run).await?;
    let agents = release["behaviour"]["agents"].as_object();
    let agents = agents.cloned().unwrap_or_default();
    match command {
        Agents::List => list(&agents, run),
        Agents::Show { agent } => match agents.get(agent) {
            Some(found) => show(agent, found, run),
            None => Err(missing(agent, agents.keys().map(String::as_str))),
        },
    }
}

fn missing<'a>(agent: &str, known: impl Iterator<Item = &'a str>) -> anyhow::Error {
    let failure = Failure::new(Code::NotFound, format!("there is no agent {agent:?}"));
    let step = match typed::nearest(agent, known) {
        Some(near) => format!("did you mean {near}? see `instar agents list`"),
        None => "see them with `instar agents list`".to_owned(),
    };
    failure.next(step).into()
}

/// Names and sizes of the identity files that an agent has.
fn files(agent: &Value) -> Vec<(String, usize)> {
    let files = agent["prompt"].as_object().into_iter().flatten();
    files
        .map(|(name, file)| {
            let characters = file["text"].as_str().unwrap_or_default().chars().count();
            (visible(name), characters)
        })
        .collect()
}

fn list(agents: &serde_json::Map<String, Value>, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        let rows: Vec<Value> = agents
            .iter()
            .map(|(id, agent)| {
                let files: Vec<String> = files(agent).into_iter().map(|(name, _)| name).collect();
                json!({ "id": id, "model": agent["route"]["primary"],
                    "fallbacks": agent["route"]["fallbacks"], "files": files })
            })
            .collect();
        return run.out.value(&rows);
    }
    let rows: Vec<_> = agents
        .iter()
        .map(|(id, agent)| {
            vec![
                (Style::Strong, visible(id)),
                (Style::Plain, text(&agent["route"], "primary")),
                (Style::Plain, names(&agent["route"]["fallbacks"])),
                (Style::Plain, files(agent).len().to_string()),
            ]
        })
        .collect();
    run.out
        .table(&["agent", "model", "fallbacks", "files"], &rows);
    Ok(())
}

fn names(list: &Value) -> String {
    let names: Vec<String> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(visible)
        .collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(", ")
    }
}

fn show(id: &str, agent: &Value, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        return run.out.value(&json!({ "id": id, "behaviour": agent }));
    }
    let row = |name: &str, value: &str| {
        let name = run.out.paint(Style::Faint, &format!("{name:<14}"));
        run.out.line(&format!("{name} {value}"));
    };
    row("agent", &visible(id));
    row("model", &text(&agent["route"], "primary"));
    row("fallbacks", &names(&agent["route"]["fallbacks"]));
    for (name, characters) in files(agent) {
        row("file", &format!("{name}, {characters} characters"));
    }
    for (name, value) in agent["limits"].as_object().into_iter().flatten() {
        row("limit", &format!("{} {value}", visible(name)));
    }
    Ok(())
}
