//! Cells of the simulator through a real gateway: planted faults in the scripted model, fixes on trial in
//! the release, and every verdict worked out once more from the event log by the trials of the library.

use anyhow::{Context as _, ensure};
use instar_protocol::event::{Event, EventKind};
use instar_release::evidence::Arm;
use instar_release::trial::{Plan, Settled, Stage, Trial};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use super::world::Fix;
use crate::house::House;
use crate::report::row;

/// The planted rate, which neither the gateway nor the trials are told.
const BASE: f64 = 0.5;
const TURNS_MAX: u32 = 400;
const PATIENCE: Duration = Duration::from_secs(30);

/// One fix against one fault, through the gateway.
pub(super) struct Through {
    fix: Fix,
    stage: String,
    turns: u32,
    /// Turns after which stage, counts and evidence were compared.
    compared: u32,
    equal: bool,
    /// Turns that still had a fix after the verdict against it.
    late: u32,
    taken_out: bool,
}

pub(super) async fn run(seed: u64) -> anyhow::Result<Vec<Through>> {
    let mut house = House::open(&script(seed)).await?;
    let folder = house.state.join("workspace");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("note.md"), "the sea is calm\n")?;
    let mut through = Vec::new();
    for fix in [Fix::Right, Fix::Useless] {
        through.push(one(&mut house, fix).await?);
    }
    house.close()?;
    Ok(through)
}

/// A model that asks for lines as a word, now and then.
fn script(seed: u64) -> Value {
    let call =
        |arguments: Value| json!({"say": [{"call": {"name": "read", "arguments": arguments}}]});
    json!({
        "seed": seed,
        "rules": [
            {"when": {"result_of": "read"}, "answer": {"say": [{"text": "{{result}}"}]}},
            {"when": {"chance": BASE}, "answer": call(json!({"path": "note.md", "limit": "2"}))},
        ],
        "otherwise": call(json!({"path": "note.md", "limit": 2})),
    })
}

/// The right fix makes a number of the word; the useless one does so with another argument.
fn mitigation(fix: Fix) -> Value {
    let argument = if fix == Fix::Right { "limit" } else { "offset" };
    json!({
        "id": fix.name(), "gene": "bench", "fault": "planted", "reach": "everybody",
        "trial": {"unit": "exposure", "share_permille": 500, "chapter": 1},
        "act": {"arguments": {"tool": "read", "fixes": [{"number": {"argument": argument}}]}},
    })
}

async fn one(house: &mut House, fix: Fix) -> anyhow::Result<Through> {
    let set = |what: Value| json!({"set_mitigation": {"agent": "main", "id": fix.name(), "mitigation": what}});
    put(house, &set(mitigation(fix))).await?;
    let mut through = Through {
        fix,
        stage: String::new(),
        turns: 0,
        compared: 0,
        equal: true,
        late: 0,
        taken_out: false,
    };
    let experiment = format!("fix/main/{}/1", fix.name());
    let mut log = Log::new(experiment.clone())?;
    while through.turns < TURNS_MAX && matches!(log.trial.stage(), Stage::Running) {
        through.turns += 1;
        let user = format!("{}{}", fix.name(), through.turns);
        house.ask(&user, "look").await?;
        log.read_to(house, u64::from(through.turns)).await?;
        let shown = shown(house, &experiment).await?;
        through.compared += 1;
        through.equal &= log.is_equal(&shown);
    }
    through.stage = stage(&shown(house, &experiment).await?);
    let before = log.with_fix;
    for turn in 0..20 {
        house
            .ask(&format!("{}after{turn}", fix.name()), "look")
            .await?;
    }
    log.take(house.events(log.cursor.as_deref()).await?);
    let case: Value = house.get("/api/v1/healing/case").await?;
    let there = case["behaviour"]["agents"]["main"]["mitigations"].as_array();
    let is_there = there.is_some_and(|all| all.iter().any(|one| one["id"] == fix.name()));
    through.taken_out = !is_there;
    if fix == Fix::Right {
        put(house, &set(Value::Null)).await?;
    } else {
        through.late = log.with_fix - before;
    }
    Ok(through)
}

async fn put(house: &mut House, delta: &Value) -> anyhow::Result<()> {
    let candidate = house.approved(delta).await?;
    let asked = json!({"candidate": candidate});
    house.post("/api/v1/rollouts", &asked).await?;
    house.post("/api/v1/rollouts/promote", &json!({})).await?;
    Ok(())
}

async fn shown(house: &mut House, experiment: &str) -> anyhow::Result<Value> {
    let trials: Vec<Value> = house.get("/api/v1/healing").await?;
    let found = trials
        .into_iter()
        .find(|one| one["experiment"] == experiment);
    found.context("the trial is not there")
}

fn stage(shown: &Value) -> String {
    let stage = shown["verdict"].as_str().or(shown["stage"].as_str());
    stage.unwrap_or_default().to_owned()
}

/// A trial of the library, fed from the log of the gateway and nothing else.
struct Log {
    experiment: String,
    trial: Trial,
    thrown: BTreeMap<String, (Arm, f64)>,
    cursor: Option<String>,
    with_fix: u32,
}

impl Log {
    fn new(experiment: String) -> anyhow::Result<Self> {
        Ok(Self {
            experiment,
            trial: Trial::begin(Plan::coin())?,
            thrown: BTreeMap::new(),
            cursor: None,
            with_fix: 0,
        })
    }

    /// Reads on until so many units are settled. The end of a turn is told a little after its answer.
    async fn read_to(&mut self, house: &mut House, units: u64) -> anyhow::Result<()> {
        let begun = tokio::time::Instant::now();
        while self.trial.settled() < units {
            ensure!(begun.elapsed() < PATIENCE, "a turn has no exposure");
            let events = house.events(self.cursor.as_deref()).await?;
            if events.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.take(events);
        }
        Ok(())
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            self.cursor = Some(event.id.to_string());
            match event.kind {
                EventKind::Exposure {
                    experiment,
                    unit,
                    with_fix,
                    share_permille,
                    ..
                } if experiment == self.experiment => {
                    self.with_fix += u32::from(with_fix);
                    let arm = if with_fix { Arm::New } else { Arm::Old };
                    let share = f64::from(share_permille) / 1_000.0;
                    self.thrown.insert(unit, (arm, share));
                }
                EventKind::ExposureEnd {
                    experiment,
                    unit,
                    bad,
                } if experiment == self.experiment => {
                    let Some((arm, share)) = self.thrown.remove(&unit) else {
                        continue;
                    };
                    let bad = bad.map(|bad| f64::from(u8::from(bad)));
                    let _stage = self.trial.settle(&Settled {
                        unit,
                        arm,
                        share,
                        bad,
                    });
                }
                _ => {}
            }
        }
    }

    fn is_equal(&self, shown: &Value) -> bool {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let near = |name: &str, ours: f64| (number(&shown[name]) / ours - 1.0).abs() < 1e-9;
        let stage_now = serde_json::to_value(self.trial.stage()).unwrap_or_default();
        let (treated, control) = (self.trial.treated(), self.trial.control());
        stage(shown) == stage(&stage_now)
            && shown["treated"] == json!([treated.units, treated.bad])
            && shown["control"] == json!([control.units, control.bad])
            && near("evidence_proven", self.trial.evidence_proven())
            && near("evidence_failed", self.trial.evidence_failed())
            && near("evidence_harmful", self.trial.evidence_harmful())
    }
}

impl Through {
    fn met(&self) -> bool {
        let ended = match self.fix {
            Fix::Right => matches!(self.stage.as_str(), "proven" | "adopted"),
            _ => self.taken_out && self.late == 0,
        };
        self.equal && ended
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "fix": self.fix.name(), "stage": self.stage, "turns": self.turns,
            "compared": self.compared, "equal": self.equal, "taken_out": self.taken_out,
            "turns_with_fix_after_verdict": self.late, "met": self.met(),
        })
    }

    pub(super) fn print(&self) {
        row(
            &format!("  a real gateway, fix {}", self.fix.name()),
            &format!("{} after {} turns", self.stage, self.turns),
            "the log says the same",
            Some(self.met()),
        );
    }
}
