//! `instar memory edit`: notes that were proposed to be taken away. Nobody but their owner decides.

use instar_protocol::amend::{EditState, NoteEdit, NoteEdits as Proposed};
use serde_json::json;

use crate::args::NoteEdits;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, visible};

pub(crate) async fn run(command: &NoteEdits, run: &Context) -> anyhow::Result<()> {
    let all: Proposed = run.client()?.get("/api/v1/memory/edits").await?;
    match command {
        NoteEdits::List if run.out.json() => run.out.value(&all),
        NoteEdits::List => {
            rows(&all, run);
            Ok(())
        }
        NoteEdits::Show { edit } => show(one(&all, edit)?, run),
        NoteEdits::Accept { edit } => {
            let edit = one(&all, edit)?;
            let path = &edit.note.path;
            let next = format!(
                "it is gone from {path}; `instar memory edit undo {}`",
                edit.id
            );
            decide(edit, "accept", &next, run).await
        }
        NoteEdits::Refuse { edit } => {
            decide(one(&all, edit)?, "refuse", "it stays where it is", run).await
        }
        NoteEdits::Undo { edit } => {
            let edit = one(&all, edit)?;
            let next = format!("it stands in {} again", edit.note.path);
            decide(edit, "undo", &next, run).await
        }
    }
}

/// What waits for its owner about a fault; nothing where no gateway runs.
pub(super) async fn of_fault(fault: &str, run: &Context) -> anyhow::Result<()> {
    let Some(client) = super::offline::live(run).await? else {
        return Ok(());
    };
    let all: Proposed = client.get("/api/v1/memory/edits").await?;
    let of_it = |edit: &&NoteEdit| edit.fault == fault && edit.state == EditState::Proposed;
    for edit in all.edits.iter().filter(of_it) {
        run.out.line(&format!(
            "{}  waits for you: take a note of {} away (`instar memory edit show {}`)",
            edit.gene, edit.note.path, edit.id
        ));
    }
    Ok(())
}

fn rows(all: &Proposed, run: &Context) {
    if all.edits.is_empty() {
        run.out.note("nothing is proposed about any note");
        return;
    }
    let now = run.now();
    let rows = all.edits.iter().map(|edit| {
        let text = edit.text.lines().last().unwrap_or_default();
        let text: String = text.chars().take(60).collect();
        vec![
            (Style::Strong, edit.id.clone()),
            (Style::Plain, state(edit.state).to_owned()),
            (Style::Plain, visible(&text)),
            (Style::Plain, edit.note.path.clone()),
            (Style::Faint, ago(edit.at, now)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    run.out
        .table(&["id", "state", "note", "file", "when"], &rows);
}

fn show(edit: &NoteEdit, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        return run.out.value(edit);
    }
    let of = format!(
        "{} by {} about {}",
        state(edit.state),
        edit.gene,
        edit.fault
    );
    run.out
        .line(&format!("[{of}] take away from {}:", edit.note.path));
    run.out.line(&format!("[written by: {}]", edit.origin));
    run.out.line(&format!("{}\n", visible(&edit.text)));
    run.out.line(&edit.why);
    if let Some(who) = &edit.who {
        run.out.line(&format!("decided by {who}"));
    }
    Ok(())
}

async fn decide(edit: &NoteEdit, verb: &str, told: &str, run: &Context) -> anyhow::Result<()> {
    let path = format!("/api/v1/memory/edits/{}/{verb}", edit.id);
    let done: NoteEdit = run.client()?.post(&path, &json!({})).await?;
    if run.out.json() {
        return run.out.value(&done);
    }
    run.out.note(told);
    Ok(())
}

fn one<'a>(all: &'a Proposed, name: &str) -> anyhow::Result<&'a NoteEdit> {
    let mut fits = all.edits.iter().filter(|edit| edit.id.starts_with(name));
    match (fits.next(), fits.next()) {
        (Some(edit), None) if !name.is_empty() => Ok(edit),
        (Some(_), Some(_)) => Err(failure(format!("{name} is the beginning of more than one"))),
        _ => Err(failure(format!("there is no proposal {name} about a note"))),
    }
}

fn failure(what: String) -> anyhow::Error {
    Failure::new(Code::NotFound, what)
        .next("instar memory edit list")
        .into()
}

fn state(state: EditState) -> &'static str {
    match state {
        EditState::Proposed => "waits for you",
        EditState::Taking => "going",
        EditState::Accepted => "accepted",
        EditState::Refused => "refused",
        EditState::Returning => "coming back",
        EditState::Undone => "undone",
        EditState::Stale => "stale",
    }
}
