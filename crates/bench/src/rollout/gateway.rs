//! A rollout of each kind through a real gateway, worked out once more from its event log, event for event.

use anyhow::{Context, ensure};
use instar_protocol::event::{Event, EventKind};
use instar_release::rollout::{Rollout, recompute};
use serde_json::{Value, json};
use std::time::Duration;

use super::back::Back;
use crate::house::House;
use crate::report::{progress, row};

/// Stands in the identity of the candidate.
const IDENTITY: &str = "Answer as a zebra would.";
/// Texts are of so many kinds, one after the other.
const TEXTS: u32 = 20;
/// Everybody fails at this one, and the bad candidate at all of these: 5 and 30 %.
const FAILS: &str = "kind 04";
const FAILS_MORE: [&str; 6] = [FAILS, "kind 01", "kind 07", "kind 11", "kind 14", "kind 17"];
const EPISODES_MAX: u32 = 3_000;
/// Stands in the identity of a candidate that answers as well as the stable release.
const SOUND: &str = "Answer as a horse would.";
/// Episodes after which one that is sound has to be held, or is not.
const HELD_AT: u32 = 100;
const STRIDE: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// How a rollout went there, and whether the log says the same.
pub(super) struct Through {
    method: &'static str,
    episodes: u64,
    /// Those that the candidate was given, of all that were judged.
    of_candidate: u64,
    stage: String,
    /// Why it stays where it is, if it does.
    hold: Option<String>,
    /// The stage and the reason to stay there that this row is about.
    wanted: (&'static str, Option<&'static str>),
    /// Judgements after which the state from the log was compared with the stage events.
    compared: usize,
    equal: bool,
}

pub(super) async fn run() -> anyhow::Result<(Vec<Through>, Back)> {
    let mut traffic = Traffic {
        house: House::open(&script()).await?,
        episodes: 0,
        heard: None,
    };
    let mut through = Vec::new();
    for kind in KINDS {
        through.push(traffic.through(&kind).await?);
    }
    let back = Back::measure(&mut traffic.house, "episode1").await?;
    traffic.house.close()?;
    Ok((through, back))
}

/// One rollout, and how it has to end.
struct Kind {
    method: &'static str,
    identity: &'static str,
    share: f64,
    shadow_pairs: Option<u64>,
    /// Somebody says a good word about each answer.
    is_praised: bool,
    wanted: (&'static str, Option<&'static str>),
}

/// Those that are promoted come last: what they are held against is another release then.
const KINDS: [Kind; 6] = [
    Kind {
        method: "instar",
        identity: IDENTITY,
        share: 0.5,
        shadow_pairs: None,
        is_praised: false,
        wanted: ("rolled_back", None),
    },
    Kind {
        method: "instar, share 5 %",
        identity: IDENTITY,
        share: 0.05,
        shadow_pairs: None,
        is_praised: false,
        wanted: ("rolled_back", None),
    },
    Kind {
        method: "instar, paired",
        identity: IDENTITY,
        share: 0.5,
        shadow_pairs: Some(200),
        is_praised: false,
        wanted: ("rolled_back", None),
    },
    Kind {
        method: "instar, unheard",
        identity: SOUND,
        share: 0.5,
        shadow_pairs: None,
        is_praised: false,
        wanted: ("canary", Some("silence")),
    },
    Kind {
        method: "instar, after a shadow",
        identity: SOUND,
        share: 0.5,
        shadow_pairs: Some(20),
        is_praised: true,
        wanted: ("promoted", None),
    },
    Kind {
        method: "instar, sound",
        identity: SOUND,
        share: 0.5,
        shadow_pairs: None,
        is_praised: true,
        wanted: ("promoted", None),
    },
];

fn script() -> Value {
    json!({
        "rules": [{
            "when": {"system_contains": IDENTITY, "contains": FAILS_MORE},
            "answer": {"fault": {"status": 400, "message": "no"}},
        }, {
            "when": {"contains": [FAILS]},
            "answer": {"fault": {"status": 400, "message": "no"}},
        }],
        "otherwise": {"say": [{"text": "Fine."}]},
    })
}

struct Traffic {
    house: House,
    episodes: u32,
    /// The last event that was looked at for answers to praise.
    heard: Option<String>,
}

impl Traffic {
    async fn through(&mut self, kind: &Kind) -> anyhow::Result<Through> {
        let text = format!("{} {}\n", kind.identity, kind.method);
        let delta = json!({"set_prompt": {"agent": "main", "file": "SOUL.md", "text": text}});
        let id = self.house.approved(&delta).await?;
        let mut asked = json!({
            "candidate": id, "shares": [kind.share], "turns_max": 1, "maturity_seconds": 1, "watch_units": 0,
        });
        if let Some(pairs) = kind.shadow_pairs {
            asked["shadow_pairs"] = json!(pairs);
        }
        if kind.identity == SOUND {
            asked["margin"] = json!(0.4);
        }
        let begun = self.house.post("/api/v1/rollouts", &asked).await?;
        let rollout = begun["rollout"]["id"]
            .as_str()
            .context("it has an id")?
            .to_owned();
        let plan = serde_json::from_value(begun["plan"].clone())?;
        let ended = self.traffic(kind).await?;
        let events = self.house.events(None).await?;
        let through = compare(kind, &rollout, Rollout::begin(plan)?, &ended, &events)?;
        if ended["ended_at"].is_null() {
            self.house
                .post("/api/v1/rollouts/abort", &json!({}))
                .await?;
        }
        Ok(through)
    }

    /// A good word about every answer since the last time.
    async fn praise(&mut self) -> anyhow::Result<()> {
        for event in self.house.events(self.heard.as_deref()).await? {
            self.heard = Some(event.id.as_str().to_owned());
            if let (EventKind::Turn { .. }, Some(run)) = (&event.kind, &event.run) {
                let word = json!({"run": run, "verdict": "good"});
                self.house.post("/api/v1/feedback", &word).await?;
            }
        }
        Ok(())
    }

    /// Conversations of one turn, until the rollout has ended; one that is held after many is left there.
    async fn traffic(&mut self, kind: &Kind) -> anyhow::Result<Value> {
        let first = self.episodes;
        let last = first + EPISODES_MAX;
        if kind.is_praised {
            let events = self.house.events(None).await?;
            self.heard = events.last().map(|event| event.id.as_str().to_owned());
        }
        while self.episodes < last {
            for _ in 0..STRIDE {
                self.episodes += 1;
                let number = self.episodes;
                let text = format!("question, kind {:02}", number % TEXTS);
                self.house.ask(&format!("episode{number}"), &text).await?;
                if kind.is_praised {
                    self.praise().await?;
                }
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
            let is_long = self.episodes - first >= HELD_AT;
            let is_held = is_long && shown["hold"].is_string() && kind.wanted.1.is_some();
            if !shown["ended_at"].is_null() || is_held {
                return Ok(shown);
            }
        }
        anyhow::bail!("the rollout did not end within {EPISODES_MAX} episodes")
    }
}

/// The state after each judgement from the log, against the stages that the gateway recorded.
fn compare(
    kind: &Kind,
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
                let is_same = now.as_ref().is_some_and(|now| now["stage"] == json!(stage));
                if !is_same {
                    progress(&format!("the log says {now:?} where {stage} was entered"));
                }
                equal &= is_same;
                expected = expected.split_off(1.min(expected.len()));
            }
            _ => {}
        }
    }
    let view = serde_json::to_value(machine.view())?;
    for same in ["stage", "settled", "pairs", "hold", "heard"] {
        if view[same] != ended[same] {
            let (log, shown) = (&view[same], &ended[same]);
            progress(&format!("{same}: the log says {log}, the gateway {shown}"));
            equal = false;
        }
    }
    for near in ["evidence_worse", "evidence_sound", "evidence_paired"] {
        let of = |value: &Value| value[near].as_f64().unwrap_or(f64::NAN);
        let (log, shown) = (of(&view), of(ended));
        if (log / shown - 1.0).abs() >= 1e-9 {
            progress(&format!("{near}: the log says {log}, the gateway {shown}"));
            equal = false;
        }
    }
    let of_metrics = machine.view().metrics.into_iter();
    let of_candidate = of_metrics.map(|metric| metric.canary.units).max();
    Ok(Through {
        method: kind.method,
        wanted: kind.wanted,
        hold: ended["hold"].as_str().map(str::to_owned),
        episodes: ended["settled"].as_u64().unwrap_or(0) + ended["pairs"].as_u64().unwrap_or(0),
        of_candidate: of_candidate.unwrap_or(0),
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
        self.equal && self.wanted == (self.stage.as_str(), self.hold())
    }

    /// One that has ended is held by nothing.
    fn hold(&self) -> Option<&str> {
        self.hold.as_deref().filter(|_| self.stage == "canary")
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "method": self.method, "episodes": self.episodes, "of_candidate": self.of_candidate, "stage": self.stage,
            "hold": self.hold(), "compared": self.compared, "equal": self.equal,
        })
    }

    pub(super) fn print(&self) {
        row(
            &format!("  a real gateway, {}", self.method),
            &format!(
                "{}{} after {} episodes, {} of the candidate's",
                self.stage,
                self.hold()
                    .map_or(String::new(), |why| format!(", held: {why}")),
                self.episodes,
                self.of_candidate
            ),
            "the log says the same",
            Some(self.met()),
        );
    }
}
