//! What another posture would have made of the decisions of the last days, over the facts that were
//! kept with them.

use instar_policy::{Authority, Posture, Recorded, Writer, refused};
use instar_protocol::Timestamp;
use instar_protocol::policy::{PostureChange, PostureReport, PostureWould};
use instar_store::Store;

use super::decided::recorded;
use super::{POSTURES, word};
use crate::api::queries::QueryError;

/// Days that are looked back when nobody says how many.
pub const DAYS: u32 = 7;
const DAYS_MAX: u32 = 90;
/// Receipts that are gone through.
const RECEIPTS_MAX: usize = 20_000;
const PAGE: usize = 500;
/// Changed calls that are named.
const EXAMPLES_MAX: usize = 20;

/// Judges the decisions of the last days again in every posture, over the facts that were kept with
/// them, as if nobody had been asked. Nothing is changed by it.
pub async fn posture(
    store: &Store,
    authority: &Authority,
    writers: &[Writer],
    days: Option<u32>,
    now: Timestamp,
) -> Result<PostureReport, QueryError> {
    let days = days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(QueryError::Invalid {
            param: "days",
            why: format!("1 to {DAYS_MAX}"),
        });
    }
    let from = now
        .millis()
        .saturating_sub(u64::from(days) * 24 * 60 * 60 * 1_000);
    let mut replay = Replay::new(authority, writers, days);
    let (mut before, mut looked) = (None, 0);
    loop {
        let page = store.receipts(None, before, PAGE).await?;
        before = page.last().map(|last| last.seq);
        let is_last = page.len() < PAGE;
        for receipt in &page {
            if receipt.at.millis() < from {
                return Ok(replay.report);
            }
            if receipt.kind == "decision" {
                let facts = receipt.body.as_ref().and_then(recorded);
                replay.add(receipt.seq, receipt.at, facts.as_ref());
            }
        }
        looked += page.len();
        if is_last {
            return Ok(replay.report);
        }
        if looked >= RECEIPTS_MAX {
            replay.report.cut = true;
            return Ok(replay.report);
        }
        // Judging is work of the processor: others get their turn between pages.
        tokio::task::yield_now().await;
    }
}

struct Replay<'a> {
    authority: &'a Authority,
    report: PostureReport,
}

impl<'a> Replay<'a> {
    fn new(authority: &'a Authority, writers: &[Writer], days: u32) -> Self {
        let would = POSTURES.map(|posture| PostureWould {
            posture: word(&posture),
            refused: refused(posture, writers),
            ..PostureWould::default()
        });
        Self {
            authority,
            report: PostureReport {
                posture: word(&authority.posture),
                days,
                would: would.to_vec(),
                ..PostureReport::default()
            },
        }
    }

    fn add(&mut self, receipt: u64, at: Timestamp, facts: Option<&Recorded>) {
        let Some(facts) = facts.filter(|facts| !facts.cut) else {
            self.report.unknown += 1;
            return;
        };
        self.report.decisions += 1;
        let rules = &self.authority.rules;
        let from = facts.unanswered(facts.posture).judge(rules).outcome();
        for (posture, would) in POSTURES.into_iter().zip(&mut self.report.would) {
            let ruling = facts.unanswered(posture).judge(rules);
            let to = ruling.outcome();
            let on_plan = to == "allow"
                && posture == Posture::Balanced
                && facts.posture != posture
                && facts.lacks_plan();
            match to {
                "allow" => would.allow += 1,
                "ask" => would.ask += 1,
                _ => would.deny += 1,
            }
            would.on_plan += u64::from(on_plan);
            if from == to {
                continue;
            }
            would.changed += 1;
            if would.examples.len() < EXAMPLES_MAX {
                would.examples.push(PostureChange {
                    receipt,
                    at,
                    tool: facts.tool.clone(),
                    effect: facts.effect.name().to_owned(),
                    from: from.to_owned(),
                    to: to.to_owned(),
                    rule: ruling.first().to_owned(),
                    on_plan,
                });
            }
        }
    }
}
