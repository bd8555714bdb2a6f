//! The chain of receipts, looked at, and how the house is set up.

use axum::extract::{Query, State};
use instar_protocol::api::Severity;
use instar_protocol::approvals::ReceiptPage;
use instar_protocol::receipt::{ChainHead, ChainReport, StoredReceipt};
use instar_protocol::security::{SecurityFinding, SecurityReport};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::api::records::{self, ChainQuery, ReceiptsQuery};
use crate::api::report as security;
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::frame::{Frame, Tab, coded, moment, number};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Characters of a fact that a row shows; the whole is behind it.
const SHOWN_CHARS: usize = 100;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    before: Option<u64>,
    /// `1`: go through the whole chain.
    verify: Option<String>,
    /// `1`: look at how the house is set up.
    findings: Option<String>,
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let query = ReceiptsQuery {
        before: asked.before,
        ..ReceiptsQuery::default()
    };
    let receipts = records::receipts(&app.store, &query).await;
    let receipts = receipts.map_err(ApiProblem::from)?;
    let head = app.store.receipts_head().await.map_err(ApiProblem::from)?;
    let report = match asked.verify.as_deref() {
        Some("1") => {
            let report = records::chain(&app.store, &ChainQuery::default()).await;
            Some(report.map_err(ApiProblem::from)?)
        }
        _ => None,
    };
    let looked = match asked.findings.as_deref() {
        Some("1") => Some(security(&app, false).await?),
        _ => None,
    };
    let body = html! {
        p class="soft lead" { (words.audit_about) }
        (house(words, looked.as_ref()))
        (chain(words, head.as_ref(), report.as_ref()))
        (list(words, &receipts))
    };
    Ok(Frame::new(&app, words, Tab::Audit).await.around(&body))
}

/// The security audit, once it was asked for.
fn house(words: &Words, looked: Option<&SecurityReport>) -> Markup {
    html! {
        section {
            h2 { (words.findings) }
            p class="soft" { (coded(words.findings_about)) }
            @match looked {
                None => p { a class="button" href="/audit?findings=1" { (words.findings_run) } },
                Some(report) => {
                    div class="cards" { div class="card" { h3 { (words.score) } div class="big" { (report.score) " / 100" } } }
                    div class="wide" tabindex="0" { table class="rows" {
                        thead { tr { th scope="col" { (words.check) } th scope="col" { (words.verdict) }
                            th scope="col" { (words.next_step) } th scope="col" { (words.threat) } } }
                        tbody { @for one in &report.findings { (finding(words, one)) } }
                    } }
                }
            }
        }
    }
}

fn finding(words: &Words, one: &SecurityFinding) -> Markup {
    let (class, told) = match one.severity {
        Severity::Fine => ("fine", words.fine),
        Severity::Notice => ("notice", words.notice),
        Severity::Warning => ("warning", words.warning),
        Severity::Error => ("wrong", words.error),
    };
    html! {
        tr {
            td { code { (one.id) } }
            td class="main" { span class={ "mark " (class) } { (told) } " " (one.message)
                @if !one.evidence.is_empty() { ul { @for line in &one.evidence { li { code { (line) } } } } } }
            td { @if let Some(fix) = &one.fix { (coded(fix)) } }
            td { @for threat in &one.threats { code { (threat) } " " } }
        }
    }
}

fn chain(words: &Words, head: Option<&ChainHead>, report: Option<&ChainReport>) -> Markup {
    html! {
        section {
            h2 { (words.chain) }
            @if let Some(head) = head {
                p { (words.chain_end) " " code { (head.seq) ":" (head.hash) } }
                p class="soft" { (coded(words.chain_note)) }
                p { a class="button" href="/audit?verify=1" { (words.chain_verify) } }
            }
            @if let Some(report) = report { (verdict(words, report)) }
        }
    }
}

fn verdict(words: &Words, report: &ChainReport) -> Markup {
    html! {
        @if report.problems.is_empty() {
            p class="good" role="status" { (words.chain_whole) " " (number(report.receipts)) }
        } @else {
            div class="trouble" role="alert" {
                strong { (words.chain_broken) }
                ul { @for problem in &report.problems { li { (problem.seq) ": " (problem.what) } } }
            }
        }
    }
}

fn list(words: &Words, page: &ReceiptPage) -> Markup {
    html! {
        section {
            h2 { (words.receipts) }
            @if page.receipts.is_empty() { p class="soft" { (words.no_receipts) } } @else {
                div class="wide" tabindex="0" { table class="rows" {
                    thead { tr { th scope="col" { "№" } th scope="col" { (words.when) }
                        th scope="col" { (words.kind) } th scope="col" { (words.what) } } }
                    tbody { @for one in &page.receipts { (row(words, one)) } }
                } }
            }
            @if let Some(next) = page.next {
                p { a class="button" href={ "/audit?before=" (next) } { (words.older) } }
            }
        }
    }
}

fn row(words: &Words, one: &StoredReceipt) -> Markup {
    html! {
        tr {
            td { (one.seq) }
            td { (moment(one.at)) }
            td { code { (one.kind) } }
            td class="main" {
                @match &one.body {
                    Some(body) => details {
                        summary { (in_words(body)) }
                        pre { (serde_json::to_string_pretty(body).unwrap_or_default()) }
                        p class="soft key" { (one.hash) }
                    },
                    None => span class="soft" { (words.body_removed) },
                }
            }
        }
    }
}

/// The facts of a receipt in one line.
fn in_words(body: &Value) -> String {
    let told = body.as_object().into_iter().flatten();
    let told = told.filter_map(|(name, value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let is_hash = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
        let chars = if is_hash { 12 } else { SHOWN_CHARS };
        let shown: String = value.chars().take(chars).collect();
        Some(format!("{name} {shown}"))
    });
    told.collect::<Vec<_>>().join(" · ")
}
