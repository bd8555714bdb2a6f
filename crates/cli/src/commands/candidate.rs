//! `instar candidate`.

use instar_gateway::api::candidates::NewCandidate;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::events::escape;
use super::models::text;
use super::offline;
use super::release::{changes, short, when};
use crate::args::Candidate;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style};

/// What is said wherever candidates are shown.
const SERVES_NOBODY: &str =
    "a candidate serves nobody until `instar rollout start` gives it a share";
/// How often is looked which gates have answered meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn run(command: &Candidate, run: &Context) -> anyhow::Result<()> {
    let answer = fetch(command, run).await?;
    if run.out.json() {
        return run.out.value(&answer);
    }
    match command {
        Candidate::List => list(answer.as_array().map_or(&[][..], Vec::as_slice), run.out),
        Candidate::Show { .. } => show(&answer, run.out),
        Candidate::Check { .. } | Candidate::Approve { .. } => table(&answer, run.out),
        Candidate::Rebase { .. } => {
            let id = short(&answer, "id");
            run.out.line(&format!(
                "candidate {id}, class {}, upon what is stable now",
                text(&answer, "class")
            ));
            run.out.note(&format!(
                "`instar candidate check {id}` asks its gates anew"
            ));
        }
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
    if !matches!(command, Candidate::Check { .. } | Candidate::Approve { .. }) {
        run.out.note(SERVES_NOBODY);
    }
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
        Candidate::Diff { candidate } => client.get(&path(candidate)).await,
        Candidate::Show { candidate } => {
            let mut whole: Value = client.get(&path(candidate)).await?;
            whole["gates"] = client.get(&format!("{}/gates", path(candidate))).await?;
            Ok(whole)
        }
        Candidate::Check { candidate } => check(&client, &path(candidate), run).await,
        Candidate::Approve { candidate } => {
            let path = format!("{}/approve", path(candidate));
            client.post(&path, &json!({})).await
        }
        Candidate::Rebase { candidate } => {
            let path = format!("{}/rebase", path(candidate));
            client.post(&path, &json!({})).await
        }
        Candidate::Withdraw { candidate } => {
            let path = format!("{}/withdraw", path(candidate));
            client.post(&path, &json!({})).await
        }
    }
}

/// Asks the gates, and tells each as soon as it has answered.
async fn check(client: &Client, path: &str, run: &Context) -> anyhow::Result<Value> {
    let gates = format!("{path}/gates");
    let before: Value = client.get(&gates).await?;
    let mut told: Vec<Value> = rows(&before, "rows").to_vec();
    let asking = format!("{path}/check");
    let nothing = json!({});
    let mut asking = std::pin::pin!(client.post::<Value>(&asking, &nothing));
    loop {
        tokio::select! {
            done = &mut asking => return done,
            () = tokio::time::sleep(LOOK_EVERY) => {
                // Whatever goes wrong with it, the answer itself is waited for.
                let Ok(now) = client.get::<Value>(&gates).await else { continue };
                for row in rows(&now, "rows") {
                    if !run.out.json() && !told.contains(row) {
                        run.out.progress(&format!("{}: {}", text(row, "gate"), text(row, "outcome")));
                        told.push(row.clone());
                    }
                }
            }
        }
    }
}

/// What a candidate is, and what its gates say of it.
fn show(answer: &Value, out: Out) {
    for (name, value) in [
        ("candidate", short(answer, "id")),
        ("state", text(answer, "state")),
        ("made", when(answer, "made_at")),
        ("by", text(answer, "proposer")),
        ("reason", text(answer, "reason")),
        ("parent", short(answer, "parent")),
        ("stable", text(&answer["fit"], "is")),
        ("class", text(answer, "class")),
    ] {
        out.line(&format!("{name:10} {}", crate::out::visible(&value)));
    }
    if answer["gates"].is_object() {
        table(&answer["gates"], out);
    } else {
        out.note("what its gates say is told by a running gateway");
    }
}

/// What the gates said, and what may come of it.
fn table(answer: &Value, out: Out) {
    let lines: Vec<_> = rows(answer, "rows")
        .iter()
        .map(|row| {
            let outcome = text(row, "outcome");
            let style = match outcome.as_str() {
                "pass" => Style::Good,
                "fail" => Style::Bad,
                _ => Style::Faint,
            };
            vec![
                (Style::Strong, text(row, "gate")),
                (style, outcome),
                (Style::Faint, day(&text(row, "until"))),
                (Style::Plain, text(row, "why")),
            ]
        })
        .collect();
    out.table(&["gate", "says", "holds until", "why"], &lines);
    let sum = &answer["sum"];
    if sum.is_object() {
        out.line(&format!(
            "class {} with the {} releases that went out by themselves since your last word",
            text(sum, "class"),
            sum["releases"]
        ));
        for ground in rows(sum, "grounds") {
            let why = crate::out::visible(&text(ground, "why"));
            out.line(&format!("  {}: {why}", text(ground, "class")));
        }
    }
    let decision = &answer["decision"];
    out.line(&format!(
        "class {}; it may go to {}",
        text(answer, "class"),
        out.paint(Style::Strong, &text(decision, "may"))
    ));
    for needed in rows(decision, "needed").iter().filter_map(Value::as_str) {
        out.line(&format!("  for more: {}", crate::out::visible(needed)));
    }
}

/// The day of a moment that is written as RFC 3339.
fn day(moment: &str) -> String {
    moment.chars().take_while(|c| *c != 'T').collect()
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
            let reason = match row["unreadable"].as_str() {
                None => (Style::Plain, text(row, "reason")),
                Some(_) => (Style::Bad, text(row, "unreadable")),
            };
            vec![
                (Style::Strong, short(row, "id")),
                (Style::Plain, text(row, "state")),
                (Style::Plain, text(row, "class")),
                (Style::Plain, text(&row["fit"], "is")),
                (Style::Faint, when(row, "made_at")),
                (Style::Plain, text(row, "proposer")),
                reason,
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
