//! `instar lab run --review`: a person looks at each candidate of the lab before it goes on.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use super::events::escape;
use super::models::text;
use super::offline;
use super::release::{changes, short};
use crate::client::Client;
use crate::context::Context;
use crate::keyboard::Keyboard;
use crate::out::{Out, Style, visible};

/// Candidates that were there before the lab worked.
pub(super) struct Review {
    known: BTreeSet<String>,
}

/// What a person says of a candidate.
enum Said {
    GoOn,
    Away,
    Later,
}

impl Review {
    pub(super) async fn begin(run: &Context) -> anyhow::Result<Self> {
        let all = candidates(&client(run).await?).await?;
        Ok(Self {
            known: all.iter().map(|one| text(one, "id")).collect(),
        })
    }

    /// Asks about each candidate that the lab has made since. Where nobody sits at the terminal it waits as
    /// it is: nothing goes on without an answer.
    pub(super) async fn look(&mut self, run: &Context) -> anyhow::Result<()> {
        let client = client(run).await?;
        for candidate in candidates(&client).await? {
            let is_new = self.known.insert(text(&candidate, "id"));
            if !is_new || !text(&candidate, "proposer").starts_with("lab:") {
                continue;
            }
            show(&candidate, run.out);
            let id = text(&candidate, "id");
            match asked(run).await? {
                Said::GoOn => {
                    for step in ["check", "approve"] {
                        let path = format!("/api/v1/candidates/{}/{step}", escape(&id));
                        let _table: Value = client.post(&path, &json!({})).await?;
                    }
                    run.out.note(&format!(
                        "its gates were asked, with your yes: `instar rollout start {}` serves it",
                        short(&candidate, "id")
                    ));
                }
                Said::Away => {
                    let path = format!("/api/v1/candidates/{}/withdraw", escape(&id));
                    let _candidate: Value = client.post(&path, &json!({})).await?;
                    run.out.note("withdrawn");
                }
                Said::Later => {
                    let id = short(&candidate, "id");
                    run.out.note(&format!(
                        "waits for you: `instar candidate approve {id}` or `instar candidate withdraw {id}`"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The gateway that is there, or the one that runs while the lab works.
async fn client(run: &Context) -> anyhow::Result<Client> {
    let live = offline::live(run).await?;
    live.ok_or_else(|| anyhow::anyhow!("the gateway that the lab works with does not answer"))
}

async fn candidates(client: &Client) -> anyhow::Result<Vec<Value>> {
    client.get("/api/v1/candidates").await
}

fn show(candidate: &Value, out: Out) {
    let id = out.paint(Style::Strong, &short(candidate, "id"));
    out.line(&format!(
        "candidate {id}, class {}, by {}",
        text(candidate, "class"),
        visible(&text(candidate, "proposer"))
    ));
    out.line(&format!(
        "  because {}",
        visible(&text(candidate, "reason"))
    ));
    let rows = candidate["changes"].as_array();
    changes(rows.map_or(&[][..], Vec::as_slice), out);
}

async fn asked(run: &Context) -> anyhow::Result<Said> {
    if run.out.json() || !std::io::stdin().is_terminal() {
        return Ok(Said::Later);
    }
    run.out
        .ask("Let it go on? [y]es, [n]o, anything else: later ");
    let line = Keyboard::open()?.line(false).await?.unwrap_or_default();
    Ok(match line.trim() {
        "y" | "Y" | "yes" => Said::GoOn,
        "n" | "N" | "no" => Said::Away,
        _ => Said::Later,
    })
}
