//! `instar sessions`.

use instar_gateway::api::search::SearchQuery;
use instar_protocol::api::{Done, Rewind, SearchReport, SessionDetail, SessionList};
use instar_protocol::message::{Entry, EntryBody, plain_text};
use instar_protocol::tool::ToolDecision;
use instar_protocol::{EntryId, Principal};

use super::branches;
use super::events::escape;
use super::offline;
use super::status::clock;
use crate::args::Sessions;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style, ago, dollars, visible};

pub(crate) async fn run(command: &Sessions, run: &Context) -> anyhow::Result<()> {
    match command {
        Sessions::List {
            search,
            deleted,
            limit,
        } => list(search.as_deref(), *deleted, *limit, run).await,
        Sessions::Search { text, agent, limit } => {
            let query = SearchQuery {
                text: text.clone(),
                agent: agent.clone(),
                limit: Some(*limit),
            };
            search(&query, run).await
        }
        Sessions::Show { session, ids } => show(session, *ids, run).await,
        Sessions::Rewind { session, entry } => {
            let path = format!("/api/v1/sessions/{}/rewind", escape(session));
            let entry = (entry != "root").then(|| EntryId::from_stored(entry.as_str()));
            let done: Done = run.client()?.post(&path, &Rewind { entry }).await?;
            changed(&done, "the conversation goes on from that entry", run)
        }
        Sessions::Branches { session, limit } => branches::list(session, *limit, run).await,
        Sessions::Switch { session, entry } => branches::switch(session, entry, run).await,
        Sessions::Retry { session, entry } => branches::retry(session, entry.as_deref(), run).await,
        Sessions::Fork { session, entry } => branches::fork(session, entry, run).await,
        Sessions::Export { session } => export(session, run).await,
        Sessions::Delete { session } => {
            let path = format!("/api/v1/sessions/{}", escape(session));
            let done: Done = run.client()?.delete(&path).await?;
            changed(
                &done,
                "deleted; `instar sessions restore` takes it back",
                run,
            )
        }
        Sessions::Restore { session } => {
            let path = format!("/api/v1/sessions/{}/restore", escape(session));
            let done: Done = run.client()?.post(&path, &serde_json::json!({})).await?;
            changed(&done, "restored", run)
        }
    }
}

pub(super) fn changed(done: &Done, words: &str, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        return run.out.value(done);
    }
    run.out.note(if done.changed {
        words
    } else {
        "nothing changed: it was so already"
    });
    Ok(())
}

async fn list(
    search: Option<&str>,
    deleted: bool,
    limit: usize,
    run: &Context,
) -> anyhow::Result<()> {
    let list: SessionList = match offline::live(run).await? {
        Some(client) => {
            let search = search.map_or(String::new(), |text| format!("&search={}", escape(text)));
            client
                .get(&format!(
                    "/api/v1/sessions?limit={limit}&deleted={deleted}{search}"
                ))
                .await?
        }
        None => offline::sessions(run, search, deleted, limit).await?,
    };
    if run.out.json() {
        return run.out.value(&list);
    }
    if list.sessions.is_empty() {
        run.out
            .note("no conversations; begin one with `instar agent --message hello`");
        return Ok(());
    }
    let now = run.now();
    let rows: Vec<Vec<(Style, String)>> = list
        .sessions
        .iter()
        .map(|row| {
            vec![
                (Style::Strong, visible(&row.key)),
                (Style::Plain, visible(&row.title).chars().take(40).collect()),
                (Style::Plain, row.entries.to_string()),
                (Style::Plain, dollars(row.cost_micros)),
                (Style::Faint, ago(row.updated_at, now)),
                (Style::Faint, row.id.to_string()),
            ]
        })
        .collect();
    run.out
        .table(&["key", "title", "entries", "cost", "last", "id"], &rows);
    Ok(())
}

async fn search(query: &SearchQuery, run: &Context) -> anyhow::Result<()> {
    let report: SearchReport = match offline::live(run).await? {
        Some(client) => {
            let agent = query.agent.as_deref();
            let agent = agent.map_or(String::new(), |id| format!("&agent={}", escape(id)));
            let limit = query.limit.unwrap_or(1);
            let text = escape(&query.text);
            client
                .get(&format!("/api/v1/search?limit={limit}&text={text}{agent}"))
                .await?
        }
        None => offline::search(run, query).await?,
    };
    if run.out.json() {
        return run.out.value(&report);
    }
    if report.found.is_empty() {
        run.out.note("nothing was said with these words");
    }
    for hit in &report.found {
        let who = if hit.by_agent { "agent" } else { "you" };
        let where_else = if hit.current { "" } else { " (another branch)" };
        run.out.line(&format!(
            "{} {}{} {} {}",
            run.out.paint(Style::Faint, &clock(hit.at)),
            visible(&hit.session),
            run.out.paint(Style::Faint, where_else),
            run.out.paint(Style::Strong, who),
            visible(&hit.excerpt)
        ));
    }
    if report.cut {
        run.out
            .note("there may be more: say more words, or ask for more with --limit");
    }
    Ok(())
}

pub(super) async fn detail(session: &str, run: &Context) -> anyhow::Result<SessionDetail> {
    match offline::live(run).await? {
        Some(client) => {
            client
                .get(&format!("/api/v1/sessions/{}", escape(session)))
                .await
        }
        None => offline::session(run, session).await,
    }
}

async fn show(session: &str, ids: bool, run: &Context) -> anyhow::Result<()> {
    let detail = detail(session, run).await?;
    if run.out.json() {
        return run.out.value(&detail);
    }
    let info = &detail.session;
    let title = visible(&info.title);
    run.out.line(
        &run.out
            .paint(Style::Strong, &format!("{title} ({})", visible(&info.key))),
    );
    if detail.truncated {
        run.out
            .note("earlier entries are not shown; `instar sessions export` has them all");
    }
    for entry in &detail.entries {
        if ids {
            let id = run.out.paint(Style::Faint, &visible(entry.id.as_str()));
            run.out.line(&id);
        }
        show_entry(entry, run.out);
    }
    Ok(())
}

fn show_entry(entry: &Entry, out: Out) {
    let time = out.paint(Style::Faint, &clock(entry.at));
    let (who, text) = match &entry.body {
        EntryBody::User {
            parts, principal, ..
        } => (author(principal), plain_text(parts)),
        EntryBody::Assistant {
            text, tool_calls, ..
        } => {
            for call in tool_calls {
                let call = format!("asks for {} {}", call.name, call.arguments);
                out.line(&format!(
                    "{time} {}",
                    out.paint(Style::Faint, &visible(&call))
                ));
            }
            ("agent", text.clone())
        }
        EntryBody::ToolResult {
            tool,
            text,
            decision,
            ..
        } => match decision {
            ToolDecision::Denied { reason, .. } => ("refused", format!("{tool}: {reason}")),
            ToolDecision::Asked { question, .. } => {
                ("asked", format!("{tool}: instar approvals show {question}"))
            }
            ToolDecision::Allowed { .. } | ToolDecision::Handed => {
                ("tool", format!("{tool}: {text}"))
            }
        },
        EntryBody::Compaction { summary, .. } => ("summary", summary.clone()),
        EntryBody::Reset { reason } => ("reset", reason.clone()),
        EntryBody::ModelChange { model } => (
            "model",
            model
                .as_ref()
                .map_or("default".to_owned(), ToString::to_string),
        ),
        EntryBody::Notice { text, .. } => ("note", text.clone()),
    };
    if !text.is_empty() {
        out.line(&format!(
            "{time} {} {}",
            out.paint(Style::Strong, who),
            visible(&text)
        ));
    }
}

/// Who a message is from.
fn author(principal: &Principal) -> &str {
    match principal {
        Principal::Automation { source } => source,
        _ => "you",
    }
}

async fn export(session: &str, run: &Context) -> anyhow::Result<()> {
    let client = run.client().map_err(|_| {
        Failure::new(Code::NoGateway, "exporting needs a running gateway")
            .next("start it with `instar up`, or read with `instar sessions show --json`")
    })?;
    let path = format!("/api/v1/sessions/{}/export", escape(session));
    let bytes = crate::progress::waiting("exporting", run, client.raw(&path)).await?;
    run.out.json_text(std::str::from_utf8(&bytes)?);
    Ok(())
}
