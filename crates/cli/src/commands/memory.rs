//! `instar memory`: what an agent keeps in mind, and what a candidate noted that was taken back.

use instar_protocol::api::Done;
use instar_protocol::memory::{HeldNote, MemoryFiles, MemoryFound, MemoryText, Quarantine as Held};

use super::events::escape;
use crate::args::{Memory, Quarantine};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, visible};

pub(crate) async fn run(command: &Memory, run: &Context) -> anyhow::Result<()> {
    match command {
        Memory::List { agent } => list(agent.as_deref(), run).await,
        Memory::Search {
            query,
            agent,
            limit,
        } => search(query, agent.as_deref(), *limit, run).await,
        Memory::Show { path, agent } => show(path, agent.as_deref(), run).await,
        Memory::Edit(command) => super::note_edits::run(command, run).await,
        Memory::Quarantine(command) => quarantine(command, run).await,
    }
}

fn whose(agent: Option<&str>) -> String {
    agent.map_or_else(String::new, |agent| format!("agent={}", escape(agent)))
}

async fn list(agent: Option<&str>, run: &Context) -> anyhow::Result<()> {
    let path = format!("/api/v1/memory?{}", whose(agent));
    let found: MemoryFiles = run.client()?.get(&path).await?;
    if run.out.json() {
        return run.out.value(&found);
    }
    if found.files.is_empty() {
        run.out.note("there are no notes");
        return Ok(());
    }
    let rows = found.files.iter().map(|file| {
        vec![
            (Style::Strong, file.path.clone()),
            (Style::Plain, file.entries.to_string()),
            (Style::Faint, file.bytes.to_string()),
        ]
    });
    let rows: Vec<_> = rows.collect();
    run.out.table(&["file", "entries", "bytes"], &rows);
    Ok(())
}

async fn search(
    query: &str,
    agent: Option<&str>,
    limit: usize,
    run: &Context,
) -> anyhow::Result<()> {
    let path = format!(
        "/api/v1/memory/search?query={}&limit={limit}&{}",
        escape(query),
        whose(agent)
    );
    let found: MemoryFound = run.client()?.get(&path).await?;
    if run.out.json() {
        return run.out.value(&found);
    }
    if found.results.is_empty() {
        run.out.note("no note has these words");
    }
    for hit in &found.results {
        run.out.line(&format!("{}:{}", hit.path, hit.start_line));
        run.out.line(&format!("{}\n", visible(&hit.snippet)));
    }
    Ok(())
}

async fn show(path: &str, agent: Option<&str>, run: &Context) -> anyhow::Result<()> {
    let path = match path.contains('/') {
        true => path.to_owned(),
        false => format!("memory/{}.md", path.trim_end_matches(".md")),
    };
    let asked = format!(
        "/api/v1/memory/file?path={}&{}",
        escape(&path),
        whose(agent)
    );
    let found: MemoryText = run.client()?.get(&asked).await?;
    if run.out.json() {
        return run.out.value(&found);
    }
    for entry in &found.entries {
        let lines = format!("lines {} to {}", entry.start_line, entry.end_line);
        run.out.line(&format!("[{}, {lines}]", entry.origin));
        run.out.line(&format!("{}\n", visible(&entry.text)));
    }
    Ok(())
}

async fn quarantine(command: &Quarantine, run: &Context) -> anyhow::Result<()> {
    let held: Held = run.client()?.get("/api/v1/memory/quarantine").await?;
    match command {
        Quarantine::List if run.out.json() => run.out.value(&held),
        Quarantine::List => {
            held_rows(&held, run);
            Ok(())
        }
        Quarantine::Show { note } => {
            let note = one(&held, note)?;
            if run.out.json() {
                return run.out.value(note);
            }
            let from = format!("{} of release {}", note.origin, short(note));
            run.out
                .line(&format!("[{from}, conversation {}]", note.session));
            run.out.line(&visible(&note.text));
            Ok(())
        }
        Quarantine::Restore { note } => {
            let note = one(&held, note)?;
            settle(
                note,
                "restore",
                &format!("it stands in {} now", note.path),
                run,
            )
            .await
        }
        Quarantine::Drop { note } => {
            settle(one(&held, note)?, "drop", "it is forgotten", run).await
        }
    }
}

fn held_rows(held: &Held, run: &Context) {
    if held.notes.is_empty() {
        run.out.note("there are no notes in quarantine");
        return;
    }
    let now = run.now();
    let rows = held.notes.iter().map(|note| {
        let first: String = note
            .text
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(60)
            .collect();
        vec![
            (Style::Strong, note.id.clone()),
            (Style::Plain, visible(&first)),
            (Style::Plain, note.origin.clone()),
            (Style::Faint, short(note)),
            (Style::Faint, ago(note.at, now)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    run.out
        .table(&["id", "note", "from", "release", "when"], &rows);
}

fn short(note: &HeldNote) -> String {
    note.release.as_str().chars().take(12).collect()
}

async fn settle(note: &HeldNote, verb: &str, told: &str, run: &Context) -> anyhow::Result<()> {
    let path = format!("/api/v1/memory/quarantine/{}/{verb}", note.id);
    let done: Done = run.client()?.post(&path, &serde_json::json!({})).await?;
    if run.out.json() {
        return run.out.value(&done);
    }
    run.out.note(told);
    Ok(())
}

fn one<'a>(held: &'a Held, name: &str) -> anyhow::Result<&'a HeldNote> {
    let mut fits = held.notes.iter().filter(|note| note.id.starts_with(name));
    match (fits.next(), fits.next()) {
        (Some(note), None) if !name.is_empty() => Ok(note),
        (Some(_), Some(_)) => Err(failure(format!("{name} is the beginning of more than one"))),
        _ => Err(failure(format!("there is no note {name} in quarantine"))),
    }
}

fn failure(what: String) -> anyhow::Error {
    Failure::new(Code::NotFound, what)
        .next("instar memory quarantine list")
        .into()
}
