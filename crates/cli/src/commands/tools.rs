//! `instar tools`.

use instar_protocol::api::ToolReport;

use super::events::escape;
use crate::args::Tools;
use crate::context::Context;
use crate::out::{Style, visible};

pub(crate) async fn run(command: &Tools, run: &Context) -> anyhow::Result<()> {
    match command {
        Tools::List { agent, session } => list(agent.as_deref(), session.as_deref(), run).await,
    }
}

async fn list(agent: Option<&str>, session: Option<&str>, run: &Context) -> anyhow::Result<()> {
    let asked: Vec<String> = [("agent", agent), ("session", session)]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escape(value?))))
        .collect();
    let path = format!("/api/v1/tools?{}", asked.join("&"));
    let report: ToolReport = run.client()?.get(&path).await?;
    if run.out.json() {
        return run.out.value(&report);
    }
    let rows: Vec<_> = report
        .tools
        .iter()
        .map(|tool| {
            let why = tool.why.as_deref().unwrap_or_default();
            let name = if tool.offered {
                Style::Strong
            } else {
                Style::Faint
            };
            vec![
                (name, visible(&tool.name)),
                (Style::Plain, tool.group.clone()),
                (Style::Plain, tool.effect.clone()),
                (Style::Faint, visible(why)),
            ]
        })
        .collect();
    run.out
        .table(&["tool", "group", "effect", "not offered because"], &rows);
    Ok(())
}
