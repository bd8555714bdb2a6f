//! `instar candidate`.

use instar_gateway::api::candidates::NewCandidate;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

use super::events::escape;
use super::models::text;
use super::offline;
use super::release::{changes, short, when};
use crate::args::Candidate;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style};

/// What is said wherever candidates are shown.
const SERVES_NOBODY: &str =
    "a candidate serves nobody until `instar rollout start` gives it a share";

pub(crate) async fn run(command: &Candidate, run: &Context) -> anyhow::Result<()> {
    let answer = fetch(command, run).await?;
    if run.out.json() {
        return run.out.value(&answer);
    }
    match command {
        Candidate::List => list(answer.as_array().map_or(&[][..], Vec::as_slice), run.out),
        Candidate::Show { .. } => run.out.value(&answer)?,
        Candidate::Diff { .. } => diff(&answer, run.out),
        Candidate::New { .. } => {
            let id = short(&answer, "id");
            run.out
                .line(&format!("candidate {id}, class {}", text(&answer, "class")));
            run.out.note(&format!(
                "`instar candidate diff {id}` shows what it would change"
            ));
        }
        Candidate::Withdraw { .. } => {
            run.out
                .line(&format!("candidate {} is withdrawn", short(&answer, "id")));
        }
    }
    run.out.note(SERVES_NOBODY);
    Ok(())
}

async fn fetch(command: &Candidate, run: &Context) -> anyhow::Result<Value> {
    let asked = match command {
        Candidate::New {
            from,
            delta,
            reason,
        } => Some(NewCandidate {
            from: from.clone(),
            deltas: read(delta)?,
            reason: reason.clone(),
        }),
        _ => None,
    };
    let Some(client) = offline::live(run).await? else {
        return offline::candidate(run, command, asked).await;
    };
    let path = |name: &str| format!("/api/v1/candidates/{}", escape(name));
    match command {
        Candidate::New { .. } => client.post("/api/v1/candidates", &asked).await,
        Candidate::List => client.get("/api/v1/candidates").await,
        Candidate::Show { candidate } | Candidate::Diff { candidate } => {
            client.get(&path(candidate)).await
        }
        Candidate::Withdraw { candidate } => {
            let path = format!("{}/withdraw", path(candidate));
            client.post(&path, &json!({})).await
        }
    }
}

/// The deltas of a file, as JSON.
fn read(file: &Path) -> anyhow::Result<Value> {
    let failed = |why: String| {
        let message = format!("{}: {why}", file.display());
        Failure::new(Code::Usage, message).next("a delta is written like {\"set_limit\": {\"agent\": \"main\", \"limit\": \"tool_calls_max\", \"value\": 20}}")
    };
    let bounded = instar_release::DELTAS_BYTES_MAX as u64;
    let mut bytes = Vec::new();
    let taken = if file.as_os_str() == "-" {
        std::io::stdin().take(bounded + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(bounded + 1).read_to_end(&mut bytes))
    };
    taken.map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > bounded {
        return Err(failed(format!("more than {bounded} bytes")).into());
    }
    Ok(serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?)
}

fn list(rows: &[Value], out: Out) {
    if rows.is_empty() {
        out.note("no candidates; `instar candidate new --delta FILE` makes one");
    }
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                (Style::Strong, short(row, "id")),
                (Style::Plain, text(row, "state")),
                (Style::Plain, text(row, "class")),
                (Style::Plain, text(&row["fit"], "is")),
                (Style::Faint, when(row, "made_at")),
                (Style::Plain, text(row, "proposer")),
                (Style::Plain, text(row, "reason")),
            ]
        })
        .collect();
    let head = [
        "candidate",
        "state",
        "class",
        "stable",
        "made",
        "by",
        "reason",
    ];
    out.table(&head, &table);
}

fn diff(answer: &Value, out: Out) {
    changes(rows(answer, "changes"), out);
    out.line(&format!(
        "class {}",
        out.paint(Style::Strong, &text(answer, "class"))
    ));
    for ground in rows(answer, "grounds") {
        out.line(&format!(
            "  {}: {}",
            text(ground, "class"),
            text(ground, "why")
        ));
    }
    for (field, title, style) in [
        ("newly", "newly possible", Style::Bad),
        ("rules_new", "rules that come", Style::Good),
        ("rules_gone", "rules that go", Style::Bad),
    ] {
        let lines = rows(answer, field);
        if !lines.is_empty() {
            out.line(title);
        }
        for line in lines.iter().filter_map(Value::as_str) {
            out.line(&out.paint(style, &format!("  {}", crate::out::visible(line))));
        }
    }
    for place in rows(&answer["fit"], "places")
        .iter()
        .filter_map(Value::as_str)
    {
        out.line(&out.paint(
            Style::Bad,
            &format!("stable changed in {}", crate::out::visible(place)),
        ));
    }
}

fn rows<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().map_or(&[], Vec::as_slice)
}
