//! `instar undo`: what tools changed, and taking it back.

use instar_protocol::api::{ChangeList, Done, ShownChange};

use super::events::escape;
use crate::context::Context;
use crate::out::{Style, ago};

pub(crate) async fn run(change: Option<&str>, run: &Context) -> anyhow::Result<()> {
    match change {
        None => list(run).await,
        Some(change) => restore(change, run).await,
    }
}

async fn list(run: &Context) -> anyhow::Result<()> {
    let found: ChangeList = run.client()?.get("/api/v1/undo").await?;
    if run.out.json() {
        return run.out.value(&found);
    }
    if found.changes.is_empty() {
        run.out.note("no tool changed a file");
        return Ok(());
    }
    let now = run.now();
    let rows = found.changes.iter().map(|change| {
        vec![
            (Style::Strong, change.id.to_string()),
            (Style::Plain, change.path.clone()),
            (Style::Plain, what(change).to_owned()),
            (Style::Faint, ago(change.at, now)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    run.out.table(&["id", "file", "change", "when"], &rows);
    Ok(())
}

fn what(change: &ShownChange) -> &'static str {
    match (change.undone, change.made, change.removed) {
        (true, ..) => "undone",
        (false, true, _) => "made",
        (false, false, true) => "removed",
        (false, false, false) => "changed",
    }
}

async fn restore(change: &str, run: &Context) -> anyhow::Result<()> {
    let path = format!("/api/v1/undo/{}", escape(change));
    let done: Done = run.client()?.post(&path, &serde_json::json!({})).await?;
    if run.out.json() {
        return run.out.value(&done);
    }
    run.out.note(if done.changed {
        "the file is what it was before"
    } else {
        "it was undone before"
    });
    Ok(())
}
