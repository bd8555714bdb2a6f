//! `instar fault`.

use instar_gateway::lab::MergeWord;
use instar_protocol::fault::{Divided, FaultEdit};
use serde_json::Value;

use super::events::escape;
use super::models::text;
use super::offline;
use super::release::when;
use crate::args::{Divide, Fault, Merges};
use crate::context::Context;
use crate::out::{Out, Style, dollars, visible};

/// What is asked of the register.
pub(crate) enum Asked {
    All,
    One(String),
    Edits,
    Edit(FaultEdit),
    Merges,
    Word(MergeWord),
}

pub(crate) async fn run(command: &Fault, run: &Context) -> anyhow::Result<()> {
    let answer = fetch(asked(command), run).await?;
    if run.out.json() {
        return run.out.value(&answer);
    }
    match command {
        Fault::List { all } => list(&answer, *all, run.out),
        Fault::Show { .. } => show(&answer, run.out),
        Fault::Log => log(&answer, run.out),
        Fault::Merges(Merges::List) => merges(&answer, run.out),
        Fault::Merges(Merges::Refuse { .. }) => {
            run.out.line("they are two, and are not proposed again");
        }
        Fault::Merge { .. }
        | Fault::Merges(Merges::Accept { .. })
        | Fault::Split { .. }
        | Fault::Divide(_)
        | Fault::Unite { .. }
        | Fault::Mute { .. }
        | Fault::Name { .. } => {
            run.out.line(&format!(
                "{} {}",
                text(&answer, "id"),
                visible(&text(&answer, "title"))
            ));
            if let Some(into) = answer["into"].as_str() {
                run.out.note(&format!(
                    "it counts as a part of {into}; `instar fault split {}` takes it out",
                    text(&answer, "id")
                ));
            }
        }
    }
    Ok(())
}

fn asked(command: &Fault) -> Asked {
    let edit = match command {
        Fault::List { .. } => return Asked::All,
        Fault::Show { fault } => return Asked::One(fault.clone()),
        Fault::Log => return Asked::Edits,
        Fault::Merge { fault, into } => FaultEdit::Merge {
            fault: fault.clone(),
            into: into.clone(),
        },
        Fault::Split { fault } => FaultEdit::Split {
            fault: fault.clone(),
        },
        Fault::Divide(Divide {
            fault, by_value, ..
        }) => FaultEdit::Divide {
            fault: fault.clone(),
            by: by_value.map_or(Divided::Arguments, |place| Divided::Value {
                place: usize::from(place) - 1,
            }),
        },
        Fault::Unite { fault } => FaultEdit::Unite {
            fault: fault.clone(),
        },
        Fault::Merges(Merges::List) => return Asked::Merges,
        Fault::Merges(Merges::Accept { fault, into }) => return word(fault, into, true),
        Fault::Merges(Merges::Refuse { fault, into }) => return word(fault, into, false),
        Fault::Mute { fault, off } => FaultEdit::Mute {
            fault: fault.clone(),
            muted: !off,
        },
        Fault::Name { fault, name } => FaultEdit::Name {
            fault: fault.clone(),
            name: name.clone(),
        },
    };
    Asked::Edit(edit)
}

fn word(fault: &str, into: &str, accept: bool) -> Asked {
    Asked::Word(MergeWord {
        fault: fault.to_owned(),
        into: into.to_owned(),
        accept,
    })
}

fn merges(answer: &Value, out: Out) {
    let rows = answer.as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        out.note("nothing is proposed; `improve.embedder` names a model that compares faults");
    }
    for row in rows {
        let (fault, into) = (text(row, "fault"), text(row, "into"));
        let alike = row["alike"].as_f64().unwrap_or(0.0);
        out.line(&format!("{fault} into {into}  alike {alike:.2}"));
        out.line(&format!("  {}", visible(&text(row, "fault_says"))));
        out.line(&format!("  {}", visible(&text(row, "into_says"))));
    }
    if !rows.is_empty() {
        out.note("`instar fault merges accept FAULT INTO` merges two, `refuse` keeps them apart");
    }
}

pub(super) async fn fetch(asked: Asked, run: &Context) -> anyhow::Result<Value> {
    let Some(client) = offline::live(run).await? else {
        return offline::fault(run, asked).await;
    };
    match asked {
        Asked::All => client.get("/api/v1/faults").await,
        Asked::One(name) => {
            client
                .get(&format!("/api/v1/faults/{}", escape(&name)))
                .await
        }
        Asked::Edits => client.get("/api/v1/faults/edits").await,
        Asked::Edit(edit) => client.post("/api/v1/faults/edits", &edit).await,
        Asked::Merges => client.get("/api/v1/faults/merges").await,
        Asked::Word(word) => client.post("/api/v1/faults/merges", &word).await,
    }
}

fn list(answer: &Value, all: bool, out: Out) {
    let rows = answer.as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<&Value> = rows
        .iter()
        .filter(|row| all || row["muted"] != true)
        .collect();
    if shown.is_empty() {
        out.note("no faults; `instar lab run` looks for them");
    }
    let table: Vec<_> = shown
        .iter()
        .map(|row| {
            vec![
                (Style::Strong, text(row, "id")),
                (Style::Plain, text(row, "kind")),
                (Style::Plain, visible(&text(row, "place"))),
                (Style::Plain, share(row)),
                (Style::Plain, text(&row["trend"], "course")),
                (Style::Faint, when(row, "last_seen")),
                (Style::Plain, cut(&visible(&text(row, "title")))),
            ]
        })
        .collect();
    let head = ["fault", "kind", "where", "failed", "trend", "last", "what"];
    out.table(&head, &table);
}

fn show(row: &Value, out: Out) {
    let strong = |words: &str| out.paint(Style::Strong, words);
    out.line(&strong(&visible(&text(row, "title"))));
    for (name, field) in [
        ("id", "id"),
        ("kind", "kind"),
        ("where", "place"),
        ("detail", "detail"),
        ("template", "template"),
    ] {
        let value = visible(&text(row, field));
        if !value.is_empty() {
            out.line(&format!("  {:<9} {value}", out.paint(Style::Faint, name)));
        }
    }
    out.line(&format!(
        "  failed {} (first {}, last {})",
        share(row),
        when(row, "first_seen"),
        when(row, "last_seen")
    ));
    out.line(&format!("  trend {}", text(&row["trend"], "course")));
    for (title, field) in [("by release", "by_release"), ("by arm", "by_arm")] {
        for of in row[field].as_array().map_or(&[][..], Vec::as_slice) {
            let name: String = text(of, "name").chars().take(12).collect();
            out.line(&format!(
                "  {title}: {name} {} of {}",
                of["failures"], of["exposures"]
            ));
        }
    }
    out.line(&format!("  reached {}", reached(&row["blast"])));
    for example in row["examples"].as_array().map_or(&[][..], Vec::as_slice) {
        out.line(&format!(
            "  {} {}",
            out.paint(Style::Faint, &when(example, "at")),
            visible(&text(example, "text"))
        ));
    }
    for member in row["members"].as_array().map_or(&[][..], Vec::as_slice) {
        out.note(&format!(
            "{} is a part of it",
            member.as_str().unwrap_or_default()
        ));
    }
}

/// `2 people in 3 conversations; 4 turns met it, which cost $0.12 (owner 3, contact 2)`
fn reached(blast: &Value) -> String {
    let count = |of: &str, more: &str| {
        let all = blast[of].as_array().map_or(0, Vec::len);
        format!("{all}{}", if blast[more] == true { "+" } else { "" })
    };
    let askers = blast["askers"].as_object().into_iter().flatten();
    let askers: Vec<String> = askers
        .map(|(who, times)| format!("{who} {times}"))
        .collect();
    format!(
        "{} people in {} conversations; {} turns met it, which cost {} ({})",
        count("people", "more_people"),
        count("sessions", "more_sessions"),
        blast["turns"].as_u64().unwrap_or(0),
        dollars(blast["cost_micros"].as_u64().unwrap_or(0)),
        visible(&askers.join(", "))
    )
}

fn log(answer: &Value, out: Out) {
    for row in answer.as_array().map_or(&[][..], Vec::as_slice) {
        let (version, who) = (&row["version"], text(row, "who"));
        out.line(&format!(
            "{version:>5} {} {who:<6} {}",
            when(row, "at"),
            visible(&row["what"].to_string())
        ));
    }
}

/// `3 of 120 (2.5 %)`
fn share(row: &Value) -> String {
    let rate = row["rate"].as_f64().unwrap_or(0.0) * 100.0;
    format!("{} of {} ({rate:.1} %)", row["failures"], row["exposures"])
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
