//! `instar audit`.

use instar_protocol::approvals::ReceiptPage;
use instar_protocol::receipt::{ChainHead, ChainReport, StoredReceipt};
use serde_json::Value;

use super::events::escape;
use super::offline;
use crate::args::Audit;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, visible};

pub(crate) async fn run(command: &Audit, run: &Context) -> anyhow::Result<()> {
    match command {
        Audit::Verify { noted } => verify(noted.as_deref(), run).await,
        Audit::Log {
            session,
            before,
            limit,
        } => log(session.as_deref(), *before, *limit, run).await,
        Audit::Head => head(run).await,
    }
}

async fn verify(noted: Option<&str>, run: &Context) -> anyhow::Result<()> {
    let report: ChainReport = match offline::live(run).await? {
        Some(client) => {
            let query = noted.map_or_else(String::new, |noted| format!("?noted={}", escape(noted)));
            client.get(&format!("/api/v1/audit/chain{query}")).await?
        }
        None => offline::chain(run, noted).await?,
    };
    if run.out.json() {
        run.out.value(&report)?;
    } else {
        tell(&report, run);
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} places of the chain of receipts do not fit: somebody changed the store",
        report.problems.len()
    );
    let next = "compare with a backup, and look who could write to the state folder";
    Err(Failure::new(Code::Failed, message).next(next).into())
}

fn tell(report: &ChainReport, run: &Context) {
    for problem in &report.problems {
        let line = format!("receipt {}: {}", problem.seq, problem.what);
        run.out.line(&run.out.paint(Style::Bad, &line));
    }
    let erased = match report.erased {
        0 => String::new(),
        erased => format!(", {erased} of them without their content, which was removed"),
    };
    run.out
        .line(&format!("{} receipts{erased}", report.receipts));
    if let Some(head) = &report.head {
        run.out.line(&format!("end {}:{}", head.seq, head.hash));
    }
    if report.problems.is_empty() {
        let well = run.out.paint(Style::Good, "the chain is whole");
        run.out.line(&well);
    }
}

async fn head(run: &Context) -> anyhow::Result<()> {
    let head: Option<ChainHead> = match offline::live(run).await? {
        Some(client) => client.get("/api/v1/audit/head").await?,
        None => offline::chain(run, None).await?.head,
    };
    if run.out.json() {
        return run.out.value(&head);
    }
    match head {
        Some(head) => run.out.line(&format!("{}:{}", head.seq, head.hash)),
        None => run
            .out
            .note("nothing was decided yet: there are no receipts"),
    }
    Ok(())
}

async fn log(
    session: Option<&str>,
    before: Option<u64>,
    limit: usize,
    run: &Context,
) -> anyhow::Result<()> {
    let page: ReceiptPage = match offline::live(run).await? {
        Some(client) => {
            let mut path = format!("/api/v1/audit/receipts?limit={limit}");
            if let Some(session) = session {
                path.push_str(&format!("&session={}", escape(session)));
            }
            if let Some(before) = before {
                path.push_str(&format!("&before={before}"));
            }
            client.get(&path).await?
        }
        None => offline::receipts(run, session, before, limit).await?,
    };
    if run.out.json() {
        return run.out.value(&page);
    }
    if page.receipts.is_empty() {
        run.out.note("no receipts");
        return Ok(());
    }
    let now = run.now();
    let rows: Vec<_> = page
        .receipts
        .iter()
        .map(|one| {
            vec![
                (Style::Strong, one.seq.to_string()),
                (Style::Faint, ago(one.at, now)),
                (Style::Plain, visible(&one.kind)),
                (Style::Plain, in_words(one)),
            ]
        })
        .collect();
    run.out.table(&["number", "when", "kind", "what"], &rows);
    if let Some(next) = page.next {
        run.out
            .note(&format!("there are older ones: --before {next}"));
    }
    Ok(())
}

/// The facts of a receipt in one line; hashes by their beginning.
fn in_words(receipt: &StoredReceipt) -> String {
    let Some(Value::Object(body)) = &receipt.body else {
        return "(its content was removed)".to_owned();
    };
    let told = body.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(text) => visible(text),
            other => visible(&other.to_string()),
        };
        let value = value.replace('\n', " ");
        let is_hash = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
        let value: String = value.chars().take(if is_hash { 12 } else { 80 }).collect();
        Some(format!("{name}={value}"))
    });
    told.collect::<Vec<_>>().join(" ")
}
