//! `instar release`.

use instar_gateway::api::{RollBack, RolledBack};
use instar_gateway::signing::{Endorse, Endorsed, Import, Imported};
use instar_release::lineage::{Kind, Lineage};
use instar_release::{Bundle, Spoken};
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::events::escape;
use super::models::text;
use super::offline;
use super::status::clock;
use crate::args::{Release, ReleaseKeys, ReleaseView};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style, visible};
use instar_protocol::Timestamp;

/// A longer file is no public key.
const KEY_BYTES_MAX: u64 = 16 * 1024;

pub(crate) async fn run(command: &Release, run: &Context) -> anyhow::Result<()> {
    match command {
        Release::View(asked) => view(asked, run).await,
        Release::Keys(ReleaseKeys::List) => keys(run).await,
        Release::Keys(ReleaseKeys::Rotate) => rotate(run).await,
        Release::Sign => sign(run).await,
        Release::Export { release, dir } => export(release, dir, run).await,
        Release::Import { dir, keys } => import(dir, keys, run).await,
        Release::Statement { release, file } => statement(release, file, run).await,
        Release::Endorse { release, signature } => endorse(release, signature, run).await,
        Release::Rollback { to, reason } => {
            let asked = RollBack {
                to: to.clone(),
                reason: reason.clone(),
            };
            roll_back(&asked, run).await
        }
    }
}

async fn view(asked: &ReleaseView, run: &Context) -> anyhow::Result<()> {
    let answer = fetch(asked, run).await?;
    if let ReleaseView::Verify { .. } = asked {
        return verified(&answer, run);
    }
    if run.out.json() {
        return run.out.value(&answer);
    }
    let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    match asked {
        ReleaseView::List => list(rows, run.out),
        ReleaseView::Log => log(rows, run.out),
        ReleaseView::Diff { .. } => changes(rows, run.out),
        ReleaseView::Provenance { .. } => tree(&serde_json::from_value(answer)?, run.out)?,
        ReleaseView::Show { .. } | ReleaseView::Verify { .. } => run.out.value(&answer)?,
    }
    Ok(())
}

pub(super) async fn fetch(asked: &ReleaseView, run: &Context) -> anyhow::Result<Value> {
    let Some(client) = offline::live(run).await? else {
        return offline::release(run, asked).await;
    };
    let path = match asked {
        ReleaseView::List => "/api/v1/releases".to_owned(),
        ReleaseView::Log => "/api/v1/releases/log".to_owned(),
        ReleaseView::Show { release } => format!("/api/v1/releases/{}", escape(release)),
        ReleaseView::Provenance { release } => {
            format!("/api/v1/releases/{}/provenance", escape(release))
        }
        ReleaseView::Verify { all, noted } => {
            let noted = noted
                .as_deref()
                .map_or_else(String::new, |noted| format!("&noted={}", escape(noted)));
            format!("/api/v1/releases/verify?all={all}{noted}")
        }
        ReleaseView::Diff { from, to } => {
            format!(
                "/api/v1/releases/diff?from={}&to={}",
                escape(from),
                escape(to)
            )
        }
    };
    client.get(&path).await
}

async fn keys(run: &Context) -> anyhow::Result<()> {
    let answer = match offline::live(run).await? {
        Some(client) => client.get("/api/v1/releases/keys").await?,
        None => serde_json::to_value(offline::release_keys(run).await?)?,
    };
    if run.out.json() {
        return run.out.value(&answer);
    }
    let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    key_list(rows, run.out);
    Ok(())
}

/// Each node under what came of it, with how.
fn tree(lineage: &Lineage, out: Out) -> anyhow::Result<()> {
    for (depth, node, how) in lineage.lines() {
        let how = match how {
            "" => String::new(),
            how => format!("{how}: "),
        };
        let digest = node.digest.as_deref().unwrap_or_default();
        let digest = match node.kind {
            Kind::Material | Kind::Delta | Kind::Signature => format!("  {digest:.12}"),
            _ => String::new(),
        };
        let says = match node.says.as_str() {
            "" => String::new(),
            says => format!("  {}", visible(says)),
        };
        out.line(&format!(
            "{}{how}{}{}{}",
            "  ".repeat(depth),
            out.paint(Style::Strong, &visible(&node.name)),
            out.paint(Style::Faint, &digest),
            says
        ));
    }
    Ok(())
}

async fn roll_back(asked: &RollBack, run: &Context) -> anyhow::Result<()> {
    let went: RolledBack = match offline::live(run).await? {
        Some(client) => client.post("/api/v1/releases/rollback", asked).await?,
        None => offline::roll_back(run, asked).await?,
    };
    if run.out.json() {
        return run.out.value(&went);
    }
    run.out.line(&format!(
        "release {} is stable again, in the place of {}; the next turn of every conversation is served by it",
        went.to.short(),
        went.from.short()
    ));
    Ok(())
}

async fn export(release: &str, dir: &Path, run: &Context) -> anyhow::Result<()> {
    let bundle: Bundle = match offline::live(run).await? {
        Some(client) => {
            let path = format!("/api/v1/releases/{}/export", escape(release));
            client.get(&path).await?
        }
        None => offline::export(run, release).await?,
    };
    bundle.write(dir)?;
    if run.out.json() {
        return run
            .out
            .value(&serde_json::json!({ "folder": dir, "statements": bundle.statements.len() }));
    }
    run.out.line(&format!("written to {}", dir.display()));
    Ok(())
}

async fn import(dir: &Path, keys: &[PathBuf], run: &Context) -> anyhow::Result<()> {
    let asked = Import {
        bundle: Bundle::read(dir)?,
        keys: keys
            .iter()
            .map(|file| key(file))
            .collect::<Result<_, _>>()?,
    };
    let taken: Imported = match offline::live(run).await? {
        Some(client) => client.post("/api/v1/releases/import", &asked).await?,
        None => offline::import(run, asked).await?,
    };
    if run.out.json() {
        return run.out.value(&taken);
    }
    let what = if taken.stored {
        "taken in"
    } else {
        "here already"
    };
    run.out.line(&format!(
        "release {} is {what}; it serves nobody",
        taken.release.short()
    ));
    Ok(())
}

async fn statement(release: &str, file: &Path, run: &Context) -> anyhow::Result<()> {
    let spoken: Spoken = match offline::live(run).await? {
        Some(client) => {
            let path = format!("/api/v1/releases/{}/statement", escape(release));
            client.get(&path).await?
        }
        None => offline::statement(run, release).await?,
    };
    let beside = |ending: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    for (path, text) in [
        (file.to_owned(), &spoken.statement),
        (beside(".gateway.sig"), &spoken.ssh),
        (beside(".gateway.minisig"), &spoken.minisign),
    ] {
        std::fs::write(&path, text)
            .map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))?;
    }
    if run.out.json() {
        return run.out.value(&spoken);
    }
    run.out.line(&format!("signed by {}", spoken.ssh_key));
    run.out.line(&format!(
        "sign {} with your own key, and `instar release endorse`",
        file.display()
    ));
    Ok(())
}

async fn endorse(release: &str, signature: &Path, run: &Context) -> anyhow::Result<()> {
    let signature = text_of(
        signature,
        "name the file that `ssh-keygen` or `minisign` wrote",
    )?;
    let asked = Endorse { signature };
    let endorsed: Endorsed = match offline::live(run).await? {
        Some(client) => {
            let path = format!("/api/v1/releases/{}/endorse", escape(release));
            client.post(&path, &asked).await?
        }
        None => offline::endorse(run, release, &asked).await?,
    };
    if run.out.json() {
        return run.out.value(&endorsed);
    }
    let short = endorsed.release.short();
    run.out.line(&format!(
        "release {short} has the signature of {}",
        endorsed.key
    ));
    Ok(())
}

/// A small text file.
fn text_of(file: &Path, next: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(KEY_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| {
            Failure::new(Code::Usage, format!("{}: {error}", file.display())).next(next)
        })?;
    Ok(text)
}

/// The last line of a file with a public key; minisign has a comment before it.
fn key(file: &Path) -> anyhow::Result<String> {
    let next = "name a file with one public key, as `ssh-keygen` or `minisign` write it";
    let text = text_of(file, next)?;
    Ok(text.trim().lines().last().unwrap_or_default().to_owned())
}

/// Hands over to a new key.
async fn rotate(run: &Context) -> anyhow::Result<()> {
    nobody_runs(run).await?;
    let keys = offline::rotate(run).await?;
    if run.out.json() {
        return run.out.value(&keys);
    }
    let rows = serde_json::to_value(&keys)?;
    key_list(rows.as_array().map_or(&[][..], Vec::as_slice), run.out);
    run.out
        .note("whoever trusts your releases elsewhere needs the new key; those that were signed until now still verify here");
    Ok(())
}

fn key_list(rows: &[Value], out: Out) {
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            let is_old = row["retired_at"].is_u64();
            let state = if is_old { "retired" } else { "signs" };
            vec![
                (Style::Plain, row["number"].to_string()),
                (
                    if is_old { Style::Faint } else { Style::Good },
                    state.to_owned(),
                ),
                (Style::Faint, when(row, "retired_at")),
                (Style::Plain, text(row, "key")),
            ]
        })
        .collect();
    out.table(&["number", "", "retired", "key"], &table);
}

async fn nobody_runs(run: &Context) -> anyhow::Result<()> {
    if offline::live(run).await?.is_none() {
        return Ok(());
    }
    let message = "a gateway runs here, and signs what it takes by itself";
    Err(Failure::new(Code::Locked, message)
        .next("stop it first; `instar release verify --all` says what does not fit")
        .into())
}

/// Puts the owner's word upon the release that is stable.
async fn sign(run: &Context) -> anyhow::Result<()> {
    nobody_runs(run).await?;
    let id = offline::sign(run).await?;
    if run.out.json() {
        return run.out.value(&serde_json::json!({ "signed": id }));
    }
    let short = instar_release::short(&id);
    run.out.line(&format!(
        "signed {short} again; it is served at the next start"
    ));
    Ok(())
}

fn verified(answer: &Value, run: &Context) -> anyhow::Result<()> {
    let problems = answer["problems"].as_array().map_or(&[][..], Vec::as_slice);
    if run.out.json() {
        run.out.value(answer)?;
    } else {
        for problem in problems.iter().filter_map(Value::as_str) {
            run.out.line(&run.out.paint(Style::Bad, &visible(problem)));
        }
        let counts = ["moves", "releases", "statements", "candidates"];
        let counts = counts.map(|of| format!("{} {of}", answer[of]));
        run.out.line(&counts.join(", "));
        run.out
            .line(&format!("history ends with {}", text(answer, "head")));
        run.out.line(&format!("signed by {}", text(answer, "key")));
        run.out.note("note the end elsewhere and give it to --noted later: nothing here can tell of a history that was cut");
    }
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} places do not fit: somebody changed the state folder",
        problems.len()
    );
    let next = "compare with a backup, and look who could write to the state folder";
    Err(Failure::new(Code::Failed, message).next(next).into())
}

pub(super) fn when(row: &Value, field: &str) -> String {
    row[field]
        .as_u64()
        .map_or("-".to_owned(), |at| clock(Timestamp::from_millis(at)))
}

pub(super) fn short(row: &Value, field: &str) -> String {
    instar_release::short(&text(row, field))
}

fn list(rows: &[Value], out: Out) {
    if rows.is_empty() {
        out.note("no releases yet; the first is made when the gateway starts");
    }
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            let stable = row["stable"] == Value::Bool(true);
            vec![
                (Style::Strong, short(row, "id")),
                (Style::Good, if stable { "stable" } else { "" }.to_owned()),
                (Style::Plain, when(row, "madeAt")),
                (Style::Plain, text(row, "proposer")),
                (Style::Plain, text(row, "reason")),
            ]
        })
        .collect();
    out.table(&["release", "", "made", "by", "reason"], &table);
}

fn log(rows: &[Value], out: Out) {
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                (Style::Faint, when(row, "at")),
                (Style::Plain, text(row, "alias")),
                (
                    Style::Plain,
                    format!("{} -> {}", short(row, "from"), short(row, "to")),
                ),
                (Style::Plain, text(row, "by")),
                (Style::Plain, text(row, "reason")),
            ]
        })
        .collect();
    out.table(&["when", "alias", "moved", "by", "reason"], &table);
}

pub(super) fn changes(rows: &[Value], out: Out) {
    if rows.is_empty() {
        out.note("the two behave alike: no difference");
    }
    for row in rows {
        out.line(&out.paint(Style::Strong, &text(row, "path")));
        if let Value::String(diff) = &row["text"] {
            for line in visible(diff).lines() {
                let style = match line.as_bytes().first() {
                    Some(b'+') => Style::Good,
                    Some(b'-') => Style::Bad,
                    _ => Style::Plain,
                };
                out.line(&out.paint(style, line));
            }
            continue;
        }
        out.line(&out.paint(Style::Bad, &format!("- {}", text(row, "before"))));
        out.line(&out.paint(Style::Good, &format!("+ {}", text(row, "after"))));
    }
}
