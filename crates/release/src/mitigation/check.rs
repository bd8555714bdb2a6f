//! What a mitigation must not be.

use instar_policy::Authority;

use super::{Act, ArgumentFix, Mitigation, TossUnit, takes};
use crate::behaviour::AgentBehaviour;

/// The most mitigations of one agent.
pub const MITIGATIONS_MAX: usize = 64;
/// How long a call takes at most where nothing else is said.
pub const PATIENCE_SECONDS: u16 = 60;
const PATIENCE_SECONDS_MAX: u16 = 300;
const NAME_CHARS_MAX: usize = 80;
const AGAIN_MAX: u8 = 3;
const PAUSE_MS_MAX: u32 = 10_000;
const OPEN_SECONDS_MAX: u16 = 3_600;
const FIXES_MAX: usize = 16;
const BLOCK_MINUTES_MAX: u16 = 24 * 60;

impl Mitigation {
    /// Checks it against the agent that has it; the error says what is wrong in a sentence.
    pub fn check(&self, agent: &AgentBehaviour, authority: &Authority) -> Result<(), String> {
        let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        for (what, name) in [("id", &self.id), ("fault", &self.fault)] {
            if !is_name(name) || !name.chars().all(is_id) {
                return Err(format!(
                    "its {what} is 1 to {NAME_CHARS_MAX} of a-z, 0-9, - and _"
                ));
            }
        }
        if !is_name(&self.gene) {
            return Err("the name of its gene is not one".to_owned());
        }
        self.check_toss()?;
        self.act.check(agent, authority)
    }

    fn check_toss(&self) -> Result<(), String> {
        let Some(toss) = self.trial else {
            return Ok(());
        };
        if !(1..=999).contains(&toss.share_permille) {
            return Err("the share of a trial is 1 to 999 thousandths".to_owned());
        }
        if std::mem::discriminant(&toss.unit) != std::mem::discriminant(&self.act.unit()) {
            return Err(format!(
                "a trial of {} does not count units of that kind",
                self.act.name()
            ));
        }
        if let TossUnit::Block {
            minutes,
            wash_minutes,
        } = toss.unit
            && !((1..=BLOCK_MINUTES_MAX).contains(&minutes) && wash_minutes < minutes)
        {
            return Err(format!(
                "a block has 1 to {BLOCK_MINUTES_MAX} minutes, and not all of them are washed out"
            ));
        }
        Ok(())
    }
}

impl Act {
    fn check(&self, agent: &AgentBehaviour, authority: &Authority) -> Result<(), String> {
        let within = |what: &str, is: bool| {
            is.then_some(())
                .ok_or_else(|| format!("its {what} is out of bounds"))
        };
        match self {
            Self::Retry {
                tool,
                again,
                pause_ms,
            } => {
                within("number of calls", (1..=AGAIN_MAX).contains(again))?;
                within("pause", *pause_ms <= PAUSE_MS_MAX)?;
                leaves_no_traces(tool, authority)
            }
            Self::Patience { tool, seconds } => {
                within("time", (1..=PATIENCE_SECONDS_MAX).contains(seconds))?;
                known(tool, authority)
            }
            Self::Breaker {
                tool,
                failures,
                open_seconds,
            } => {
                within("number of failures", (2..=50).contains(failures))?;
                within("time", (1..=OPEN_SECONDS_MAX).contains(open_seconds))?;
                known(tool, authority)
            }
            Self::Pace { tool, per_minute } => {
                within("number of calls", (1..=600).contains(per_minute))?;
                known(tool, authority)
            }
            Self::Arguments { tool, fixes } => check_fixes(tool, fixes, authority),
            Self::Prefer { tool, over } => {
                known(tool, authority)?;
                known(over, authority)?;
                within("choice", tool != over)
            }
            Self::RouteFirst { model } => {
                let route = &agent.route;
                let knows = *model == route.primary || route.fallbacks.contains(model);
                knows.then_some(()).ok_or_else(|| {
                    "the model that it asks first is not one of the agent's route".to_owned()
                })
            }
            Self::ModelRetry { again, pause_ms } => {
                within("number of calls", (1..=AGAIN_MAX).contains(again))?;
                within("pause", *pause_ms <= PAUSE_MS_MAX)
            }
            Self::ModelPatience { seconds } => {
                within("time", (1..=PATIENCE_SECONDS_MAX).contains(seconds))
            }
            Self::Lesson(lesson) => {
                for tool in lesson.tools() {
                    known(tool, authority)?;
                }
                let fits = lesson.argument().is_none_or(is_word);
                within("argument", fits)
            }
        }
    }
}

fn check_fixes(tool: &str, fixes: &[ArgumentFix], authority: &Authority) -> Result<(), String> {
    known(tool, authority)?;
    if !(1..=FIXES_MAX).contains(&fixes.len()) {
        return Err(format!(
            "it has {} fixes, not 1 to {FIXES_MAX}",
            fixes.len()
        ));
    }
    for argument in fixes.iter().flat_map(ArgumentFix::touches) {
        if !is_word(argument) {
            return Err("the name of an argument is not one".to_owned());
        }
        if takes::is_target(authority, tool, argument) {
            return Err(format!(
                "{argument} of {tool} says who, where, which or how much: that is never put right for \
                 anybody"
            ));
        }
    }
    Ok(())
}

/// A tool that has no annotation has the highest risk: nothing is done about it.
fn known(tool: &str, authority: &Authority) -> Result<(), String> {
    let knows = is_word(tool) && authority.annotations.contains_key(tool);
    knows
        .then_some(())
        .ok_or_else(|| "it is about a tool that is not there".to_owned())
}

fn leaves_no_traces(tool: &str, authority: &Authority) -> Result<(), String> {
    known(tool, authority)?;
    let traces = authority
        .annotations
        .get(tool)
        .is_none_or(|known| known.effect.leaves_traces());
    if traces {
        return Err(format!(
            "{tool} leaves traces, and what leaves traces is never done twice"
        ));
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@:/".contains(c);
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(fits)
}

fn is_word(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(fits)
}
