//! Faults that are planted in a scratch house: found in its event log, mended on trial, and told apart.
//!
//! What is planted is in the script and in the files; whoever finds and mends it knows neither.

use instar_demo::{Answer, ModelRow, Rule, Script, When};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::stage::{Stage, Stop};
use crate::args::DemoOptions;
use crate::context::Context;

/// Turns of each kind before the lab looks.
const BEFORE: u32 = 8;
/// Of so many calls for lines one is asked for in the wrong way, by chance.
const WRONG: f64 = 0.7;
/// The list is asked for in the wrong way so often, and never again.
const WRONG_LISTS: u64 = 8;
/// Rounds between two tables, and rounds until the story has no end.
const STRIDE: u32 = 8;
const ROUNDS_MAX: u32 = 240;
/// What heals by itself is watched for so many units.
const UNITS_WATCHED: u64 = 40;
const SEED: u64 = 8;

/// The word that brings a fault up, where it shows, and what it is.
type Planted = (&'static str, &'static str, &'static str);

/// One with a fix that works, one whose fix does harm, and one that heals by itself.
const PLANTED: [Planted; 3] = [
    ("tides", "tool:read", "lines are asked for as a word"),
    (
        "search",
        "tool:grep",
        "an argument that grep does not know; the model puts it right itself",
    ),
    (
        "list",
        "tool:glob",
        "an argument that glob does not know; it stops by itself",
    ),
];

pub(super) async fn run(options: &DemoOptions, run: &Context) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let stage = Stage::set(script(), options, run).await?;
    plant(&stage)?;
    stage.say("A gateway of its own, with a scripted model that makes mistakes. Nothing leaves this machine.");
    let mut story = Story {
        stage: &stage,
        turns: 0,
        places: BTreeMap::new(),
    };
    let told = stop.or(story.tell()).await;
    stage.end(told, &mut stop, options, "/faults").await
}

/// A page of tides, and an archive that leads astray whoever comes upon it.
fn plant(stage: &Stage) -> anyhow::Result<()> {
    for (path, text) in [
        (
            "workspace/notes/tides.md",
            "High tide is at six.\nLow tide is at noon.\n",
        ),
        (
            "workspace/archive/old.md",
            "The tide tables of last year.\n",
        ),
    ] {
        let file = stage.file(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, text)?;
    }
    Ok(())
}

struct Story<'a> {
    stage: &'a Stage,
    turns: u32,
    /// Where each fault shows.
    places: BTreeMap<String, String>,
}

impl Story<'_> {
    async fn tell(&mut self) -> anyhow::Result<()> {
        self.mended(1, &[PLANTED[0], PLANTED[2]]).await?;
        self.mended(2, &[PLANTED[1]]).await?;
        let trials = self.trials().await?;
        self.verdicts(&trials).await
    }

    /// Something goes wrong, the lab finds it and proposes fixes, and these are let out on trial.
    async fn mended(&mut self, chapter: u32, planted: &[Planted]) -> anyhow::Result<()> {
        let title = if chapter == 1 {
            "Things go wrong"
        } else {
            "And so does something that only looks alike"
        };
        self.stage.chapter(chapter, title);
        for (word, place, what) in planted {
            for _ in 0..BEFORE {
                self.turn(word).await?;
            }
            self.stage.say(&format!(
                "{BEFORE} turns about {word}; planted at {place}: {what}"
            ));
        }
        let places: Vec<&str> = planted.iter().map(|(_, place, _)| *place).collect();
        let candidates = self.lab(&places).await?;
        self.let_out(&candidates).await
    }

    /// One turn in a conversation of its own.
    async fn turn(&mut self, word: &str) -> anyhow::Result<()> {
        self.turns += 1;
        let text = format!("turn {}: {word}", self.turns);
        let session = format!("agent:main:demo{}", self.turns);
        let _outcome = self.stage.talk(&session, &text).await?;
        Ok(())
    }

    /// The lab reads the event log behind its walls; what it proposes are candidates. Those that are about
    /// what was planted are let out, and the owner withdraws the others.
    async fn lab(&mut self, places: &[&str]) -> anyhow::Result<Vec<Value>> {
        let stage = self.stage;
        let asked = json!({"atAnyLoad": true});
        let cycle = stage.post("/api/v1/lab/run", &asked).await?;
        stage.say(&format!(
            "the lab, behind walls: {} events, {} signs, {} faults, {} proposals",
            cycle["events"], cycle["signs"], cycle["faults_touched"], cycle["proposed"]
        ));
        let faults: Vec<Value> = stage.get("/api/v1/faults").await?;
        for fault in &faults {
            let (id, place) = (word(&fault["id"]), word(&fault["place"]));
            let template = word(&fault["template"]);
            if !template.contains("bad arguments") || !places.contains(&place.as_str()) {
                continue;
            }
            stage.say(&format!(
                "fault {id} at {place}, {} times: {template}",
                fault["failures"]
            ));
            self.places.insert(id, place);
        }
        let all: Vec<Value> = stage.get("/api/v1/candidates").await?;
        let mut candidates = Vec::new();
        for one in all.into_iter().filter(|one| one["state"] == "open") {
            let about = self.place(&one["deltas"][0]["set_mitigation"]["mitigation"]);
            if places.contains(&about) {
                candidates.push(one);
                continue;
            }
            // What is left lying would go into its shadow by itself.
            let path = format!("/api/v1/candidates/{}/withdraw", word(&one["id"]));
            let _withdrawn = stage.post(&path, &json!({})).await?;
        }
        anyhow::ensure!(
            candidates.len() == places.len(),
            "the lab did not propose a fix for each fault"
        );
        for candidate in &candidates {
            stage.say(&format!(
                "candidate {}, class {}, by {}",
                short(&candidate["id"]),
                word(&candidate["class"]),
                word(&candidate["proposer"])
            ));
            stage.say(&format!("  because {}", word(&candidate["reason"])));
        }
        Ok(candidates)
    }

    /// Gates, the owner's yes, and a release in which each fix is on trial.
    async fn let_out(&self, candidates: &[Value]) -> anyhow::Result<()> {
        let stage = self.stage;
        for (number, candidate) in candidates.iter().enumerate() {
            let mut id = word(&candidate["id"]);
            if number > 0 {
                let path = format!("/api/v1/candidates/{id}/rebase");
                id = word(&stage.post(&path, &json!({})).await?["id"]);
            }
            stage.approve(&id).await?;
            let _begun = stage
                .post("/api/v1/rollouts", &json!({"candidate": id}))
                .await?;
            let _ended = stage.post("/api/v1/rollouts/promote", &json!({})).await?;
            stage.say(&format!(
                "{}: gates asked, its owner said yes, in the stable release",
                short(&json!(id))
            ));
        }
        Ok(())
    }

    /// Turns, until two of the trials have come to an end and the third was watched for long enough.
    async fn trials(&mut self) -> anyhow::Result<Vec<Value>> {
        let stage = self.stage;
        stage.chapter(3, "The trials");
        stage.say("a secret coin of each fix's own decides for every turn whether it has that fix");
        stage.say(
            "evidence begins at 1: at 20 a fix is proven or does harm, and one that has fallen to 0.1 is given up",
        );
        for round in 1..=ROUNDS_MAX {
            for (word, ..) in PLANTED {
                self.turn(word).await?;
            }
            if !round.is_multiple_of(STRIDE) {
                continue;
            }
            let trials: Vec<Value> = stage.get("/api/v1/healing").await?;
            trials.iter().for_each(|trial| self.row(trial));
            let [fixed, harmful, healed] = self.planted(&trials);
            let is_over = fixed.is_some_and(|one| !is_running(one))
                && harmful.is_some_and(|one| !is_running(one))
                && healed.is_some_and(|one| units(one) >= UNITS_WATCHED);
            if is_over {
                return Ok(trials);
            }
        }
        anyhow::bail!("the trials came to no end within {ROUNDS_MAX} rounds")
    }

    async fn verdicts(&self, trials: &[Value]) -> anyhow::Result<()> {
        let stage = self.stage;
        stage.chapter(4, "The verdicts");
        let [fixed, harmful, healed] = self.planted(trials);
        let none = Value::Null;
        let fixed = fixed.unwrap_or(&none);
        let is_proven = matches!(fixed["stage"].as_str(), Some("proven" | "adopted"));
        anyhow::ensure!(is_proven, "the right fix was not proven: {fixed}");
        stage.say(&format!(
            "read: proven. {}; the evidence is {:.0} and had to reach {:.0}",
            arms(fixed),
            number(fixed, "evidence_proven"),
            number(fixed, "bound")
        ));
        let harmful = harmful.unwrap_or(&none);
        let is_gone = harmful["stage"] == "ended" && number(harmful, "share") < 0.001;
        anyhow::ensure!(
            is_gone,
            "the fix that does harm was not taken back: {harmful}"
        );
        stage.say(&format!(
            "grep: taken back, {}, as the evidence that it helps fell to {:.2}. {}: the error went, and with it what the \
             model put itself right by",
            word(&harmful["verdict"]),
            number(harmful, "evidence_proven"),
            arms(harmful)
        ));
        self.taken_out(harmful).await?;
        let healed = healed.unwrap_or(&none);
        anyhow::ensure!(
            healed["stage"] == "running",
            "a fault that heals by itself led to a verdict: {healed}"
        );
        stage.say(&format!(
            "glob: still on trial, nothing proven. {}: it went by itself, and nothing says that the fix had a part in it",
            arms(healed)
        ));
        stage.say(&format!(
            "the popular rule, three clean ones prove, says of it: {}",
            healed["classic"].as_str().unwrap_or("nothing")
        ));
        Ok(())
    }

    /// The release that is stable now does not have the fix that came to nothing.
    async fn taken_out(&self, trial: &Value) -> anyhow::Result<()> {
        let case: Value = self.stage.get("/api/v1/healing/case").await?;
        let there = case["behaviour"]["agents"]["main"]["mitigations"].as_array();
        let there: Vec<&Value> = there.into_iter().flatten().collect();
        let is_there = there.iter().any(|one| one["id"] == trial["mitigation"]);
        anyhow::ensure!(!is_there && !there.is_empty(), "still there: {there:?}");
        let release: Vec<Value> = self.stage.get("/api/v1/releases?limit=1").await?;
        let release = release
            .first()
            .map_or(String::new(), |one| short(&one["id"]));
        self.stage.say(&format!(
            "  release {release} is without it, and {} are in service",
            there.len()
        ));
        Ok(())
    }

    /// The trials of what was planted, in its order.
    fn planted<'a>(&self, trials: &'a [Value]) -> [Option<&'a Value>; 3] {
        PLANTED.map(|(_, place, _)| trials.iter().find(|trial| self.place(trial) == place))
    }

    fn place(&self, trial: &Value) -> &str {
        let fault = trial["fault"].as_str().unwrap_or_default();
        self.places.get(fault).map_or("", String::as_str)
    }

    fn row(&self, trial: &Value) {
        self.stage.say(&format!(
            "  {:<10} {:<9} {}, proven {:.2}, harmful {:.2}",
            self.place(trial),
            trial["verdict"]
                .as_str()
                .or(trial["stage"].as_str())
                .unwrap_or_default(),
            arms(trial),
            number(trial, "evidence_proven"),
            number(trial, "evidence_harmful")
        ));
    }
}

fn arms(trial: &Value) -> String {
    let of = |arm: &str| {
        let bad = trial[arm][1].as_f64().unwrap_or_default();
        format!("{bad:.0} bad of {}", trial[arm][0])
    };
    format!("with the fix {}, without {}", of("treated"), of("control"))
}

fn units(trial: &Value) -> u64 {
    let of = |arm: &str| trial[arm][0].as_u64().unwrap_or_default();
    of("treated") + of("control")
}

fn is_running(trial: &Value) -> bool {
    trial["stage"] == "running"
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_default()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn short(id: &Value) -> String {
    instar_release::short(&word(id))
}

/// A model that asks for things in the wrong way, by chance, and does what it is asked otherwise.
fn script() -> Script {
    let right_search = json!({"pattern": "tide", "path": "notes"});
    Script {
        models: vec![ModelRow {
            id: instar_demo::GUIDE.to_owned(),
            about: "Scripted, offline, no language model.".to_owned(),
        }],
        seed: SEED,
        rules: vec![
            // It puts itself right where it is told what was wrong.
            after("grep", Some("has no field"), call("grep", &right_search)),
            after(
                "grep",
                Some("expression"),
                Answer::text("I did not find it."),
            ),
            // What stands in the archive leads it astray.
            after(
                "grep",
                Some("archive/"),
                call("grep", &json!({"pattern": "("})),
            ),
            after("grep", None, Answer::text("It stands in the notes.")),
            after("read", None, Answer::text("{{result}}")),
            after("glob", None, Answer::text("{{result}}")),
            Rule {
                when: When {
                    chance: Some(WRONG),
                    ..about("tides")
                },
                answer: call("read", &json!({"path": "notes/tides.md", "limit": "2"})),
                ..Rule::default()
            },
            rule(
                "tides",
                call("read", &json!({"path": "notes/tides.md", "limit": 2})),
            ),
            Rule {
                when: When {
                    chance: Some(WRONG),
                    ..about("search")
                },
                answer: call("grep", &json!({"pattern": "tide", "lines": 3})),
                ..Rule::default()
            },
            rule("search", call("grep", &right_search)),
            Rule {
                times: Some(WRONG_LISTS),
                ..rule(
                    "list",
                    call("glob", &json!({"pattern": "**/*.md", "most": 5})),
                )
            },
            rule("list", call("glob", &json!({"pattern": "**/*.md"}))),
        ],
        otherwise: Answer::text("Ask for tides, a search or a list."),
        ..Script::default()
    }
}

fn call(tool: &str, arguments: &Value) -> Answer {
    Answer::call(tool, arguments.clone())
}

fn about(word: &str) -> When {
    When {
        says: vec![word.to_owned()],
        ..When::default()
    }
}

fn rule(word: &str, answer: Answer) -> Rule {
    Rule {
        when: about(word),
        answer,
        ..Rule::default()
    }
}

fn after(tool: &str, says: Option<&str>, answer: Answer) -> Rule {
    Rule {
        when: When {
            result_of: Some(tool.to_owned()),
            result_contains: says.map(str::to_owned),
            ..When::default()
        },
        answer,
        ..Rule::default()
    }
}
