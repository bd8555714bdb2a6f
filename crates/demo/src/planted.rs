//! Planted faults: a script whose model makes wrong calls at a rate that nobody else is told.
//!
//! What acts it out is a real gateway with real tools: the model of the script asks for a call, and the
//! tool says what is wrong with it. A fault has causes, each with calls that show it; two causes may come
//! out with one text, and one cause with many. What the world does by itself is its weather. Nothing here
//! knows a recipe or what is done about a fault; equal seeds plant alike.

use serde_json::Value;

use crate::script::{Answer, Calls, Rule, Script, Step, When};

/// The stretches in which a rate that drifts is drawn.
const STRETCHES: u32 = 10;
/// Of so many turns those at the beginning are a burst, in which all is so many times as bad.
const BURST_EVERY: u64 = 50;
const BURST_TURNS: u64 = 5;
const BURST_TIMES: f64 = 4.0;
/// No rate is higher.
const RATE_MAX: f64 = 0.95;
/// The model is asked twice in a turn: for a call, and for what came of it.
const CALLS_OF_TURN: u64 = 2;

/// A fault to be acted out.
#[derive(Clone, PartialEq, Debug)]
pub struct Planted {
    pub seed: u64,
    pub tool: String,
    /// The call as it should be.
    pub good: Value,
    /// The share of turns in which the fault shows, 0.01 to 0.7.
    pub rate: f64,
    pub weather: Weather,
    pub causes: Vec<Cause>,
}

/// A cause, and the calls that show it: several where it has many texts. All of one fault are as likely.
#[derive(Clone, PartialEq, Debug)]
pub struct Cause {
    pub calls: Vec<Value>,
}

/// What the world does by itself, in turns.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Weather {
    Steady,
    /// From the rate to this one over so many turns.
    Drift {
        to: f64,
        turns: u64,
    },
    /// Gone for good after so many turns, whatever is done.
    Heals {
        after: u64,
    },
    /// Now and then all is four times as bad for a while.
    Bursts,
}

impl Planted {
    /// The script of a model that acts it out, and says what the tool said.
    #[must_use]
    pub fn script(&self) -> Script {
        let result = When {
            result_of: Some(self.tool.clone()),
            ..When::default()
        };
        let said = Answer::of([Step::Text("{{result}}".to_owned())]);
        let mut script = Script {
            seed: self.seed,
            otherwise: Answer::call(&self.tool, self.good.clone()),
            ..Script::default()
        };
        script.rules.push(rule(result, said));
        for (calls, rate) in self.rates() {
            script.rules.extend(self.wrong(calls, rate));
        }
        script
    }

    /// Rules for the turns in which the rate is this one: each wrong call has its part of the chance.
    fn wrong(&self, calls: Option<Calls>, rate: f64) -> Vec<Rule> {
        let of_cause = rate.clamp(0.0, RATE_MAX) / share(self.causes.len());
        let mut below = 0.0;
        let mut rules = Vec::new();
        for cause in &self.causes {
            for call in &cause.calls {
                below += of_cause / share(cause.calls.len());
                let when = When {
                    chance: Some(below.min(1.0)),
                    calls,
                    ..When::default()
                };
                rules.push(rule(when, Answer::call(&self.tool, call.clone())));
            }
        }
        // Drawn above all of them: the call as it should be, so that no later rule draws once more.
        let rest = When {
            calls,
            ..When::default()
        };
        rules.push(rule(rest, Answer::call(&self.tool, self.good.clone())));
        rules
    }

    fn rates(&self) -> Vec<(Option<Calls>, f64)> {
        let turns = |from: u64, until: Option<u64>| Calls {
            from: 1 + CALLS_OF_TURN * from,
            until: until.map(|until| 1 + CALLS_OF_TURN * until),
            every: None,
        };
        match self.weather {
            Weather::Steady => vec![(None, self.rate)],
            Weather::Heals { after } => vec![(Some(turns(0, Some(after))), self.rate)],
            Weather::Bursts => {
                let burst = Calls {
                    from: 0,
                    until: Some(CALLS_OF_TURN * BURST_TURNS),
                    every: Some(CALLS_OF_TURN * BURST_EVERY),
                };
                vec![(Some(burst), BURST_TIMES * self.rate), (None, self.rate)]
            }
            Weather::Drift { to, turns: all } => {
                let stretch = (all / u64::from(STRETCHES)).max(1);
                let of_stretch = |number: u32| {
                    let part = f64::from(number) / f64::from(STRETCHES - 1);
                    let from = u64::from(number) * stretch;
                    let until = (number + 1 < STRETCHES).then_some(from + stretch);
                    let rate = self.rate + (to - self.rate) * part;
                    (Some(turns(from, until)), rate)
                };
                (0..STRETCHES).map(of_stretch).collect()
            }
        }
    }
}

fn rule(when: When, answer: Answer) -> Rule {
    Rule {
        when,
        times: None,
        answer,
    }
}

fn share(count: usize) -> f64 {
    f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}
