//! Years of events through a real gateway: what a cycle of the lab takes, what is kept, and whether either
//! grows.

use instar_protocol::event::{Event, EventKind};
use instar_protocol::tool::ToolDecision;
use instar_protocol::{EventId, Label, Timestamp};
use instar_store::{Op, Retention, Store};
use serde_json::{Value, json};
use std::path::Path;

use crate::house::House;
use crate::report::{progress, row};
use crate::rollout::Dice;

const EVENTS: u64 = 4_000;
const DAY_MS: u64 = 86_400_000;
const MONTH_MS: u64 = 30 * DAY_MS;
/// What is kept of events, as it is where nothing else is said.
const KEPT_DAYS: u32 = 30;
/// By so much may a cycle, the disk and the memory have grown since the third month.
const GROWTH_MAX: f64 = 1.5;
const TOOLS: [&str; 6] = ["read", "grep", "exec", "web_fetch", "glob", "edit"];

/// What one month came to.
#[derive(Clone, Copy, Debug, Default)]
struct Month {
    cycle_ms: f64,
    disk_mb: f64,
    resident_mb: f64,
    faults: u64,
}

#[derive(Debug, Default)]
pub(super) struct Months {
    months: Vec<Month>,
}

pub(super) async fn run(count: u32, seed: u64) -> anyhow::Result<Months> {
    let script = json!({"otherwise": {"say": [{"text": "Fine."}]}});
    let mut house = House::open(&script).await?;
    let mut months = Months::default();
    let first = 1_700_000_000_000_u64;
    for month in 0..u64::from(count) {
        progress(&format!("month {}", month + 1));
        let begin = first + month * MONTH_MS;
        house = house
            .between(async |state: &Path| fill(state, begin, seed ^ month).await)
            .await?;
        months.months.push(measure(&mut house).await?);
    }
    house.close()?;
    Ok(months)
}

/// The events of a month, and what is cleaned up at its end.
async fn fill(state: &Path, begin: u64, seed: u64) -> anyhow::Result<()> {
    let store = Store::open(state, instar_store::Options::default())?;
    let mut dice = Dice::new(seed, begin);
    let mut ops = Vec::new();
    for number in 0..EVENTS {
        let at = begin + number * (MONTH_MS / EVENTS);
        ops.push(Op::AppendEvent(event(at, number, &mut dice)));
        if ops.len() == 500 {
            store.commit(std::mem::take(&mut ops)).await?;
        }
    }
    store.commit(ops).await?;
    let end = Timestamp::from_millis(begin + MONTH_MS);
    let keep = Retention {
        deleted_sessions_days: KEPT_DAYS,
        events_days: KEPT_DAYS,
    };
    while store.maintain(end, keep).await? > 0 {}
    store.close().await?;
    Ok(())
}

/// A call of a tool, one of five with an error of one of many kinds, each with values of its own.
fn event(at: u64, number: u64, dice: &mut Dice) -> Event {
    let mut below = |count: u32| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below a small count"
        )]
        let drawn = (dice.throw() * f64::from(count)) as u32;
        drawn.min(count - 1)
    };
    let tool = TOOLS[below(6) as usize];
    let is_error = below(5) == 0;
    let kind = below(40);
    let content = format!(
        "step {} of part{kind} failed: value {} at /srv/{}/file{} is not what module{kind} takes",
        below(1_000),
        below(1_000_000),
        below(50),
        below(1_000)
    );
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    Event {
        label: Label::owner(),
        ..Event::of_house(
            EventId::new(Timestamp::from_millis(at), random),
            Timestamp::from_millis(at),
            EventKind::ToolCall {
                tool: tool.to_owned(),
                decision: ToolDecision::Allowed {
                    rule: "bench".to_owned(),
                },
                millis: 5,
                is_error,
                argument_names: vec!["path".to_owned()],
                skill: None,
                content: is_error.then_some(content),
            },
        )
    }
}

/// Cycles until the lab has read all of the month.
async fn measure(house: &mut House) -> anyhow::Result<Month> {
    let mut month = Month::default();
    loop {
        let asked = json!({"atAnyLoad": true});
        let cycle = house.post("/api/v1/lab/run", &asked).await?;
        anyhow::ensure!(cycle["outcome"] == "done", "a cycle failed: {cycle}");
        month.cycle_ms += cycle["millis"].as_f64().unwrap_or_default();
        if cycle["more"] == false {
            break;
        }
    }
    let faults: Vec<Value> = house.get("/api/v1/faults").await?;
    month.faults = faults.len() as u64;
    month.resident_mb = house.resident_mb()?;
    month.disk_mb = bytes(&house.state)? / 1e6;
    Ok(month)
}

fn bytes(folder: &Path) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sum += bytes(&entry.path())?;
        } else if kind.is_file() {
            sum += super::figure::to_f64(entry.metadata()?.len());
        }
    }
    Ok(sum)
}

impl Months {
    /// The last month over the third.
    fn growth(&self, of: impl Fn(&Month) -> f64) -> f64 {
        let (third, last) = (self.months.get(2), self.months.last());
        third
            .zip(last)
            .map_or(f64::NAN, |(third, last)| of(last) / of(third))
    }

    /// The last month over the first, and whether both were measured.
    fn since_first(&self, of: impl Fn(&Month) -> f64) -> Option<f64> {
        let (first, last) = self.months.first().zip(self.months.last())?;
        let growth = of(last) / of(first);
        growth.is_finite().then_some(growth)
    }

    fn rows(&self) -> [(&'static str, f64); 3] {
        [
            ("time of a cycle", self.growth(|month| month.cycle_ms)),
            ("state on disk", self.growth(|month| month.disk_mb)),
            ("resident memory", self.growth(|month| month.resident_mb)),
        ]
    }

    pub(super) fn json(&self) -> Value {
        let months = self.months.iter().map(|month| {
            json!({
                "cycle_ms": month.cycle_ms, "disk_mb": month.disk_mb,
                "resident_mb": month.resident_mb, "faults": month.faults,
            })
        });
        let growth: serde_json::Map<String, Value> = self
            .rows()
            .into_iter()
            .map(|(name, growth)| (name.to_owned(), json!(growth)))
            .collect();
        let since_first = json!({
            "time of a cycle": self.since_first(|month| month.cycle_ms),
            "state on disk": self.since_first(|month| month.disk_mb),
        });
        json!({
            "months": months.collect::<Vec<_>>(), "last_over_third": growth, "last_over_first": since_first,
        })
    }

    pub(super) fn print(&self) {
        let count = self.months.len();
        for (name, growth) in self.rows() {
            let met = Some(growth <= GROWTH_MAX);
            let figure = format!("{growth:.2} of the third month's");
            row(&format!("  month {count}, {name}"), &figure, "<= 1.5", met);
        }
        if let Some((first, last)) = self.months.first().zip(self.months.last()) {
            let ratio = |told: Option<f64>| {
                told.map_or_else(|| "not measured".to_owned(), |told| format!("{told:.2}"))
            };
            row(
                &format!("  month {count}, time of a cycle over the first month's"),
                &ratio(self.since_first(|month| month.cycle_ms)),
                &format!("{:.0} ms, then {:.0} ms", first.cycle_ms, last.cycle_ms),
                None,
            );
            row(
                &format!("  month {count}, state on disk over the first month's"),
                &ratio(self.since_first(|month| month.disk_mb)),
                &format!("{:.1} MB, then {:.1} MB", first.disk_mb, last.disk_mb),
                None,
            );
            let figure = format!(
                "{:.0} ms, {:.1} MB on disk, {:.1} MB resident, {} faults",
                last.cycle_ms, last.disk_mb, last.resident_mb, last.faults
            );
            row("  the last month", &figure, "", None);
        }
    }
}
