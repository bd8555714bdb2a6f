//! A rollout of each kind through a real gateway, worked out once more from its event log, event for event.

use anyhow::{Context, ensure};
use instar_protocol::event::{Event, EventKind};
use instar_release::rollout::{Rollout, recompute};
use serde_json::{Value, json};
use std::time::Duration;

use crate::house::House;
use crate::report::row;

/// Stands in the identity of the candidate.
const IDENTITY: &str = "Answer as a zebra would.";
/// The candidate fails where the text has one of these.
const FAILS: [&str; 3] = ["kind 1", "kind 4", "kind 7"];
const EPISODES_MAX: u32 = 400;
const STRIDE: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// How a rollout went there, and whether the log says the same.
pub(super) struct Through {
    method: &'static str,
    episodes: u64,
    stage: String,
    /// Judgements after which the state from the log was compared with the stage events.
    compared: usize,
    equal: bool,
}

pub(super) async fn run() -> anyhow::Result<Vec<Through>> {
    let mut traffic = Traffic {
        house: House::open(&script()).await?,
        episodes: 0,
    };
    let through = vec![
        traffic.through("instar", json!({})).await?,
        traffic
            .through("instar, paired", json!({"shadow_pairs": 200}))
            .await?,
    ];
    traffic.house.close()?;
    Ok(through)
}

fn script() -> Value {
    json!({
        "rules": [{
            "when": {"system_contains": IDENTITY, "contains": FAILS},
            "answer": {"fault": {"status": 400, "message": "no"}},
        }],
        "otherwise": {"say": [{"text": "Fine."}]},
    })
}

struct Traffic {
    house: House,
    episodes: u32,
}

impl Traffic {
    async fn through(&mut self, method: &'static str, more: Value) -> anyhow::Result<Through> {
        let text = format!("{IDENTITY} {method}\n");
        let delta = json!({"set_prompt": {"agent": "main", "file": "SOUL.md", "text": text}});
        let id = self.house.approved(&delta).await?;
        let mut asked = json!({
            "candidate": id, "shares": [0.5], "turns_max": 1, "maturity_seconds": 1, "watch_units": 0,
        });
        if let (Value::Object(asked), Value::Object(more)) = (&mut asked, more) {
            asked.extend(more);
        }
        let begun = self.house.post("/api/v1/rollouts", &asked).await?;
        let rollout = begun["rollout"]["id"]
            .as_str()
            .context("it has an id")?
            .to_owned();
        let plan = serde_json::from_value(begun["plan"].clone())?;
        let ended = self.traffic().await?;
        let events = self.house.events(None).await?;
        compare(method, &rollout, Rollout::begin(plan)?, &ended, &events)
    }

    /// Conversations of one turn, until the rollout has ended.
    async fn traffic(&mut self) -> anyhow::Result<Value> {
        let last = self.episodes + EPISODES_MAX;
        while self.episodes < last {
            for _ in 0..STRIDE {
                self.episodes += 1;
                let number = self.episodes;
                let text = format!("question, kind {}", number % 10);
                self.house.ask(&format!("episode{number}"), &text).await?;
            }
            let begun = tokio::time::Instant::now();
            let shown = loop {
                let shown: Value = self.house.get("/api/v1/rollouts/latest").await?;
                if shown["waiting"] == 0 || !shown["ended_at"].is_null() {
                    break shown;
                }
                ensure!(begun.elapsed() < PATIENCE, "episodes are not judged");
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            if !shown["ended_at"].is_null() {
                return Ok(shown);
            }
        }
        anyhow::bail!("the rollout did not end within {EPISODES_MAX} episodes")
    }
}

/// The state after each judgement from the log, against the stages that the gateway recorded.
fn compare(
    method: &'static str,
    rollout: &str,
    begun: Rollout,
    ended: &Value,
    events: &[Event],
) -> anyhow::Result<Through> {
    let mut machine = begun;
    let (mut compared, mut equal) = (0, true);
    let mut shadows: Vec<&Event> = Vec::new();
    let mut expected = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::Shadow { .. } => shadows.push(event),
            EventKind::Episode {
                rollout: of,
                bad: Some(_),
                ..
            } if of == rollout => {
                let before = machine.stage().clone();
                machine = recompute(rollout, machine, shadows.iter().copied().chain([event]));
                compared += 1;
                if *machine.stage() != before {
                    expected.push(machine.stage().clone());
                }
            }
            // The first one tells of the start.
            EventKind::Rollout {
                rollout: of, stage, ..
            } if of == rollout && compared > 0 => {
                let now = expected.first().map(serde_json::to_value).transpose()?;
                equal &= now.is_some_and(|now| now["stage"] == json!(stage));
                expected = expected.split_off(1.min(expected.len()));
            }
            _ => {}
        }
    }
    let view = serde_json::to_value(machine.view())?;
    for same in ["stage", "settled", "pairs"] {
        equal &= view[same] == ended[same];
    }
    for near in ["evidence_worse", "evidence_sound", "evidence_paired"] {
        let of = |value: &Value| value[near].as_f64().unwrap_or(f64::NAN);
        equal &= (of(&view) / of(ended) - 1.0).abs() < 1e-9;
    }
    Ok(Through {
        method,
        episodes: ended["settled"].as_u64().unwrap_or(0) + ended["pairs"].as_u64().unwrap_or(0),
        stage: ended["stage"]["stage"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        compared,
        equal,
    })
}

impl Through {
    pub(super) fn met(&self) -> bool {
        self.equal
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "method": self.method, "episodes": self.episodes, "stage": self.stage,
            "compared": self.compared, "equal": self.equal,
        })
    }

    pub(super) fn print(&self) {
        row(
            &format!("  a real gateway, {}", self.method),
            &format!("{} after {} episodes", self.stage, self.episodes),
            "the log says the same",
            Some(self.equal),
        );
    }
}
