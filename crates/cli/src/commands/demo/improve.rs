//! A change on its whole way: proposed, checked, served to a share, promoted or taken back.

use instar_demo::{Answer, CallStep, ModelRow, Rule, Script, Step, When};
use serde_json::{Value, json};
use std::time::Instant;

use super::stage::{Stage, Stop};
use crate::args::DemoOptions;
use crate::context::Context;
use crate::out::chain;

/// Stands in the identity of the candidate that is no good.
const GUESSES: &str = "Guess where files are.";
const BRIEF: &str = "Be brief.";
/// Episodes between two looks.
const STRIDE: u32 = 10;
/// A story ends; a candidate that is neither is not in it.
const EPISODES_MAX: u32 = 400;

pub(super) async fn run(options: &DemoOptions, run: &Context) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let stage = Stage::set(script(), options, run).await?;
    stage.say("A gateway of its own, with a scripted model, on a scratch state. Nothing leaves this machine.");
    let mut story = Story {
        stage: &stage,
        episodes: 0,
    };
    let told = stop.or(story.tell()).await;
    stage.end(told, &mut stop, options, "/rollouts").await
}

struct Story<'a> {
    stage: &'a Stage,
    episodes: u32,
}

impl Story<'_> {
    async fn tell(&mut self) -> anyhow::Result<()> {
        self.good().await?;
        self.bad().await?;
        self.wide().await?;
        self.tampered().await?;
        self.back().await
    }

    async fn good(&mut self) -> anyhow::Result<()> {
        let stage = self.stage;
        stage.chapter(1, "A sound change is promoted by itself");
        let candidate = self.approved(&prompt(BRIEF), "shorter answers").await?;
        let begun = self.start(&candidate).await?;
        stage.say(&format!(
            "half of the new episodes are served by it; promoted once the evidence that it is not worse by 40 % reaches {}",
            begun["rollout"]["sound_at"]
        ));
        stage.say("(a wide margin, so that the story takes a minute; the usual one is 5 %)");
        let ended = self.traffic().await?;
        self.verdict(&ended);
        anyhow::ensure!(
            ended["stage"]["stage"] == "promoted",
            "the sound change was not promoted"
        );
        Ok(())
    }

    async fn bad(&mut self) -> anyhow::Result<()> {
        let stage = self.stage;
        stage.chapter(2, "A bad one is taken back by itself");
        let candidate = self
            .approved(&prompt(GUESSES), "look things up faster")
            .await?;
        let begun = self.start(&candidate).await?;
        stage.say(&format!(
            "four of ten of its episodes fail, one of twenty of the others; taken back once the evidence reaches {}",
            begun["rollout"]["worse_at"]
        ));
        let ended = self.traffic().await?;
        self.verdict(&ended);
        anyhow::ensure!(
            ended["stage"]["stage"] == "rolled_back",
            "the bad change was not taken back"
        );
        Ok(())
    }

    async fn wide(&mut self) -> anyhow::Result<()> {
        let stage = self.stage;
        stage.chapter(3, "One that wants more rights stops at the gate");
        let candidate = self
            .proposed(
                &json!({"widen_policy": {"posture": "open"}}),
                "fewer questions",
            )
            .await?;
        let table = stage
            .post(&format!("/api/v1/candidates/{candidate}/check"), &json!({}))
            .await?;
        let gates = table["rows"].as_array().cloned().unwrap_or_default();
        for row in gates.iter().filter(|row| row["outcome"] == "fail") {
            // What follows the first words is figures, for who looks around.
            let why = word(&row["why"]);
            let why = why.split(", first ").next().unwrap_or_default();
            stage.say(&format!("{}: fail — {why}", word(&row["gate"])));
        }
        let refused = self.start(&candidate).await;
        let Err(error) = refused else {
            anyhow::bail!("a wider authority was let through");
        };
        let refused = chain(&error);
        let refused = refused.split(": ").next().unwrap_or_default();
        stage.say(&format!("rollout start: {refused}"));
        Ok(())
    }

    async fn tampered(&mut self) -> anyhow::Result<()> {
        let stage = self.stage;
        stage.chapter(4, "One with a changed byte is refused");
        let candidate = self
            .proposed(&prompt("Answer in rhymes."), "rhymes")
            .await?;
        let (begin, end) = candidate.split_at(2);
        let file = stage.file(&format!("objects/{begin}/{end}"));
        let mut bytes = std::fs::read(&file)?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        std::fs::remove_file(&file)?;
        std::fs::write(&file, bytes)?;
        let refused = stage
            .get::<Value>(&format!("/api/v1/candidates/{candidate}"))
            .await;
        let Err(error) = refused else {
            anyhow::bail!("a changed candidate was read");
        };
        stage.say(&format!("candidate show: {}", chain(&error)));
        Ok(())
    }

    async fn back(&mut self) -> anyhow::Result<()> {
        let stage = self.stage;
        stage.chapter(5, "And the way back is one command");
        let begun = Instant::now();
        let moved = stage
            .post("/api/v1/releases/rollback", &json!({"reason": "enough"}))
            .await?;
        let took = begun.elapsed();
        let short = |name: &str| instar_release::short(&word(&moved[name]));
        stage.say(&format!(
            "release rollback: {} to {} in {} ms; the next turn of every conversation is served by it",
            short("from"),
            short("to"),
            took.as_millis()
        ));
        Ok(())
    }

    async fn proposed(&self, delta: &Value, reason: &str) -> anyhow::Result<String> {
        let asked = json!({"deltas": delta, "reason": reason});
        let made = self.stage.post("/api/v1/candidates", &asked).await?;
        let id = word(&made["id"]);
        let short = instar_release::short(&id);
        self.stage.say(&format!(
            "candidate {short}, class {}: {reason}",
            word(&made["class"])
        ));
        Ok(id)
    }

    /// A candidate whose gates have spoken and whose owner has said yes.
    async fn approved(&self, delta: &Value, reason: &str) -> anyhow::Result<String> {
        let id = self.proposed(delta, reason).await?;
        self.stage.approve(&id).await?;
        self.stage
            .say("its gates were asked, and its owner has said yes");
        Ok(id)
    }

    async fn start(&self, candidate: &str) -> anyhow::Result<Value> {
        let asked = json!({
            "candidate": candidate, "shares": [0.5], "units_min": 2, "margin": 0.4,
            "turns_max": 1, "maturity_seconds": 0, "watch_units": 0,
        });
        self.stage.post("/api/v1/rollouts", &asked).await
    }

    /// Conversations of one turn, until the rollout has ended.
    async fn traffic(&mut self) -> anyhow::Result<Value> {
        let last = self.episodes + EPISODES_MAX;
        while self.episodes < last {
            for _ in 0..STRIDE {
                self.episodes += 1;
                let number = self.episodes;
                let rare = if number.is_multiple_of(20) {
                    " rare"
                } else {
                    ""
                };
                let text = format!("question {number}, kind {}{rare}", number % 10);
                let answer = self
                    .stage
                    .talk(&format!("agent:main:demo{number}"), &text)
                    .await?;
                // Silence promotes nothing: its owner says what he thinks of an answer.
                if let Some((run, _)) = answer.filter(|(_, outcome)| outcome.error.is_none()) {
                    let word = json!({"run": run, "verdict": "good"});
                    let _done = self.stage.post("/api/v1/feedback", &word).await?;
                }
            }
            let judged = |shown: &Value| shown["waiting"] == 0 || !shown["ended_at"].is_null();
            let shown = self.stage.until("/api/v1/rollouts/latest", judged).await?;
            self.told(&shown);
            if !shown["ended_at"].is_null() {
                return Ok(shown);
            }
        }
        anyhow::bail!("the rollout did not end within {EPISODES_MAX} episodes")
    }

    fn told(&self, shown: &Value) {
        let number = |name: &str| shown[name].as_f64().unwrap_or_default();
        self.stage.say(&format!(
            "  {:>3} episodes judged   worse {:>8.2}   sound {:>8.2}",
            shown["settled"],
            number("evidence_worse"),
            number("evidence_sound")
        ));
    }

    fn verdict(&self, ended: &Value) {
        let stage = &ended["stage"];
        let told = match stage["stage"].as_str() {
            Some("promoted") => "promoted: it is the stable release now".to_owned(),
            Some("rolled_back") => {
                "taken back: the evidence that it is worse reached its bound".to_owned()
            }
            other => format!("it ended as {}", other.unwrap_or("nothing")),
        };
        self.stage.say(&told);
    }
}

fn prompt(text: &str) -> Value {
    json!({"set_prompt": {"agent": "main", "file": "SOUL.md", "text": format!("{text}\n")}})
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A model that answers, guesses wrong where it is told to guess, and fails now and then in any case.
fn script() -> Script {
    let looks = |path: &str| Answer {
        say: vec![Step::Call(CallStep {
            name: "read".to_owned(),
            arguments: json!({"path": path}),
            ..CallStep::default()
        })],
        ..Answer::default()
    };
    let after = Rule {
        when: When {
            result_of: Some("read".to_owned()),
            ..When::default()
        },
        answer: Answer::text("I did not find it."),
        ..Rule::default()
    };
    let guesses = Rule {
        when: When {
            system_contains: Some(GUESSES.to_owned()),
            contains: ["kind 1", "kind 3", "kind 5", "kind 7"]
                .map(str::to_owned)
                .to_vec(),
            ..When::default()
        },
        answer: looks("notes/somewhere.md"),
        ..Rule::default()
    };
    let rare = Rule {
        when: When {
            contains: vec!["rare".to_owned()],
            ..When::default()
        },
        answer: looks("notes/rare.md"),
        ..Rule::default()
    };
    Script {
        models: vec![ModelRow {
            id: instar_demo::GUIDE.to_owned(),
            about: "Scripted, offline, no language model.".to_owned(),
        }],
        rules: vec![after, guesses, rare],
        otherwise: Answer::text("Here is a short answer."),
        ..Script::default()
    }
}
