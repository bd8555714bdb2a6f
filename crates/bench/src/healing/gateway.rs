//! Planted faults through a real gateway: the scripted model acts them out with the gateway's own tools, fixes
//! are on trial in the release, and every verdict is worked out once more from the event log by the trials of
//! the library.

use anyhow::{Context as _, ensure};
use instar_protocol::event::{Event, EventKind};
use instar_release::evidence::Arm;
use instar_release::trial::{Plan, Settled, Stage, Trial};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use super::rows::Row;
use crate::house::House;
use crate::report::{progress, row};

const TURNS_MAX: u32 = 400;
/// Turns after the verdict, none of which may have a fix that came to nothing.
const TURNS_AFTER: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// One fix against one fault, through the gateway.
pub(super) struct Through {
    row: Row,
    /// The verdict of the gateway, and the one that its log gives.
    stage: String,
    again: String,
    turns: u32,
    /// Turns after which stage, counts and evidence were compared.
    compared: u32,
    equal: bool,
    /// Failures in other words than those of the fault.
    hidden: u32,
    /// Turns that still had a fix after the verdict against it.
    late: u32,
    taken_out: bool,
}

/// Each row has a gateway of its own.
pub(super) async fn run(seed: u64) -> anyhow::Result<Vec<Through>> {
    let mut through = Vec::new();
    for row in Row::ALL {
        progress(&format!("through a real gateway: {}", row.name()));
        let script = serde_json::to_value(row.planted(seed).script())?;
        let mut house = House::open(&script).await?;
        let folder = house.state.join("workspace");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("note.md"), "the sea is calm\n")?;
        through.push(one(&mut house, row).await?);
        house.close()?;
    }
    Ok(through)
}

async fn one(house: &mut House, row: Row) -> anyhow::Result<Through> {
    let name = row.name();
    let set =
        json!({"set_mitigation": {"agent": "main", "id": name, "mitigation": row.mitigation()}});
    put(house, &set).await?;
    let mut through = Through {
        row,
        stage: String::new(),
        again: String::new(),
        turns: 0,
        compared: 0,
        equal: true,
        hidden: 0,
        late: 0,
        taken_out: false,
    };
    let experiment = format!("fix/main/{name}/1");
    let mut log = Log::new(experiment.clone())?;
    while through.turns < TURNS_MAX && matches!(log.trial.stage(), Stage::Running) {
        through.turns += 1;
        house
            .ask(&format!("{name}{}", through.turns), "look")
            .await?;
        log.read_to(house, u64::from(through.turns)).await?;
        let shown = shown(house, &experiment).await?;
        through.compared += 1;
        through.equal &= log.is_equal(&shown);
    }
    through.stage = stage(&shown(house, &experiment).await?);
    through.again = stage(&serde_json::to_value(log.trial.stage())?);
    let before = log.with_fix;
    for turn in 0..TURNS_AFTER {
        house.ask(&format!("{name}after{turn}"), "look").await?;
    }
    log.take(house.events(log.cursor.as_deref()).await?);
    let case: Value = house.get("/api/v1/healing/case").await?;
    let there = case["behaviour"]["agents"]["main"]["mitigations"].as_array();
    through.taken_out = !there.is_some_and(|all| all.iter().any(|one| one["id"] == name));
    through.hidden = log.hidden;
    if !row.helps() {
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

/// The verdict on the fix. Whether it is adopted is said by the slots of the month, of which the trial of
/// the library knows nothing.
fn stage(shown: &Value) -> String {
    let stage = shown["verdict"].as_str().or(shown["stage"].as_str());
    let stage = stage.unwrap_or_default();
    if stage == "adopted" { "proven" } else { stage }.to_owned()
}

/// A trial of the library, fed from the log of the gateway and nothing else.
struct Log {
    experiment: String,
    trial: Trial,
    thrown: BTreeMap<String, (Arm, f64)>,
    cursor: Option<String>,
    with_fix: u32,
    hidden: u32,
}

impl Log {
    fn new(experiment: String) -> anyhow::Result<Self> {
        Ok(Self {
            experiment,
            trial: Trial::begin(Plan::coin())?,
            thrown: BTreeMap::new(),
            cursor: None,
            with_fix: 0,
            hidden: 0,
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
                    let Some(bad) = bad else {
                        let _stage = self.trial.settle_missing(unit, arm, share);
                        continue;
                    };
                    let bad = Some(f64::from(u8::from(bad)));
                    let _stage = self.trial.settle(&Settled {
                        unit,
                        arm,
                        share,
                        bad,
                    });
                }
                EventKind::ToolCall {
                    is_error: true,
                    argument_names,
                    ..
                } => {
                    let is_hidden = argument_names.iter().any(|name| name == Row::HIDING);
                    self.hidden += u32::from(is_hidden);
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
    /// The turns were used up before there was a verdict: nothing is said of how it ends.
    fn is_open(&self) -> bool {
        self.stage == "running" && self.turns >= TURNS_MAX
    }

    /// Open, as it has to be: where nothing fails any more next to nothing is learned of a fix, and the trial stays
    /// undecided up to its horizon, which is ten times as far as the turns go here.
    fn is_open_for_good(&self) -> bool {
        self.is_open() && self.row == Row::Heals
    }

    /// Nothing where it is still open and all that was seen is as it has to be.
    fn met(&self) -> Option<bool> {
        let ended = self.is_open()
            || match self.row {
                // Half of the failures go: between the hypotheses both verdicts are true.
                Row::TwoCauses => self.stage != "harmful",
                row if row.helps() => self.stage == "proven",
                _ => self.taken_out && self.late == 0,
            };
        // One that hides the text of the fault is another than one that does nothing.
        let hides = (self.hidden > 0) == (self.row == Row::Gaming);
        let met = self.equal && self.stage == self.again && ended && hides;
        (!(met && self.is_open()) || self.is_open_for_good()).then_some(met)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "fix": self.row.name(), "stage": self.stage, "from_log": self.again, "turns": self.turns,
            "compared": self.compared, "equal": self.equal, "failures_in_other_words": self.hidden,
            "taken_out": self.taken_out, "turns_with_fix_after_verdict": self.late, "met": self.met(),
        })
    }

    pub(super) fn print(&self) {
        row(
            &format!("  a real gateway, {}", self.row.name()),
            &if self.is_open_for_good() {
                format!("nothing proven in {} turns, as it has to be", self.turns)
            } else if self.is_open() {
                format!("no verdict within {} turns", self.turns)
            } else {
                format!("{} after {} turns", self.stage, self.turns)
            },
            &format!("the log says {}", self.again),
            self.met(),
        );
    }
}
