//! From a gene and a symptom to the change that is proposed.

use instar_protocol::fault::SignalKind;
use instar_release::mitigation::{Act, ArgumentFix, Lesson, Mitigation, Shape};
use instar_release::{AgentBehaviour, Behaviour, Delta};

use super::{Catalogue, Gene, GeneError, Recipe, Symptom};

/// What a gene would do about a fault.
#[derive(Clone, PartialEq, Debug)]
pub struct Proposal {
    pub gene: String,
    pub agent: String,
    pub mitigation: Mitigation,
}

/// A gene and what it would do, or why nothing.
pub type Answer<'a> = (&'a Gene, Result<Proposal, Unfit>);

/// Why a gene that fits writes nothing here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    #[error("it is banned")]
    Banned,
    #[error("it is for other faults")]
    OtherFault,
    #[error("what it would write cannot be told from the text of the fault")]
    NotTold,
    #[error("there is nothing else to turn to")]
    NoOther,
    #[error("{0}")]
    Refused(String),
    #[error("the agent does something like it already")]
    There,
}

impl Proposal {
    /// The change as a delta.
    #[must_use]
    pub fn delta(&self) -> Delta {
        Delta::SetMitigation {
            agent: self.agent.clone(),
            id: self.mitigation.id.clone(),
            mitigation: Some(Box::new(self.mitigation.clone())),
        }
    }
}

impl Catalogue {
    /// What every gene would do about the fault, or why not. The behaviour is the one in service.
    pub fn propose(
        &self,
        symptom: &Symptom,
        agent: &str,
        behaviour: &Behaviour,
    ) -> Result<Vec<Answer<'_>>, GeneError> {
        let Some(of) = behaviour.agents.get(agent) else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for gene in self.genes() {
            all.push((gene, self.one(gene, symptom, agent, of, behaviour)?));
        }
        Ok(all)
    }

    fn one(
        &self,
        gene: &Gene,
        symptom: &Symptom,
        agent: &str,
        of: &AgentBehaviour,
        behaviour: &Behaviour,
    ) -> Result<Result<Proposal, Unfit>, GeneError> {
        if !gene.fits(symptom) {
            return Ok(Err(Unfit::OtherFault));
        }
        if self.is_banned(&gene.id) {
            return Ok(Err(Unfit::Banned));
        }
        let act = match act(&gene.writes, symptom, of, behaviour) {
            Ok(act) => act,
            Err(unfit) => return Ok(Err(unfit)),
        };
        if of.mitigations.iter().any(|there| there.act == act) {
            return Ok(Err(Unfit::There));
        }
        let (name, reference) = (id(&gene.id, &symptom.fault), gene.reference()?);
        let mitigation =
            Mitigation::on_trial(name, reference, &symptom.fault, symptom.is_outside, act);
        if let Err(why) = mitigation.check(of, &behaviour.authority) {
            return Ok(Err(Unfit::Refused(why)));
        }
        Ok(Ok(Proposal {
            gene: gene.id.clone(),
            agent: agent.to_owned(),
            mitigation,
        }))
    }
}

/// One gene does one thing about one fault.
fn id(gene: &str, fault: &str) -> String {
    let short: String = fault.chars().take(24).collect();
    format!("{gene}-{short}")
}

fn act(
    recipe: &Recipe,
    symptom: &Symptom,
    agent: &AgentBehaviour,
    behaviour: &Behaviour,
) -> Result<Act, Unfit> {
    let tool = || symptom.tool().map(str::to_owned).ok_or(Unfit::OtherFault);
    let fixes = |fixes: Vec<ArgumentFix>| {
        Ok(Act::Arguments {
            tool: tool()?,
            fixes,
        })
    };
    let said = || Said::read(&symptom.text).ok_or(Unfit::NotTold);
    match recipe {
        Recipe::Retry { again, pause_ms } => Ok(Act::Retry {
            tool: tool()?,
            again: *again,
            pause_ms: *pause_ms,
        }),
        Recipe::Patience { seconds } => Ok(Act::Patience {
            tool: tool()?,
            seconds: *seconds,
        }),
        Recipe::Breaker {
            failures,
            open_seconds,
        } => Ok(Act::Breaker {
            tool: tool()?,
            failures: *failures,
            open_seconds: *open_seconds,
        }),
        Recipe::Pace { per_minute } => Ok(Act::Pace {
            tool: tool()?,
            per_minute: *per_minute,
        }),
        Recipe::Reshape => match said()? {
            Said::Shape { argument, shape } => fixes(reshaping(&argument, shape)),
            _ => Err(Unfit::NotTold),
        },
        Recipe::Clamp => match said()? {
            Said::AtMost { argument, most } => fixes(vec![ArgumentFix::Clamp {
                argument,
                least: None,
                most: Some(most),
            }]),
            Said::AtLeast { argument, least } => fixes(vec![ArgumentFix::Clamp {
                argument,
                least: Some(least),
                most: None,
            }]),
            _ => Err(Unfit::NotTold),
        },
        Recipe::DropUnknown => match said()? {
            Said::Unknown { argument } => fixes(vec![ArgumentFix::Drop { argument }]),
            _ => Err(Unfit::NotTold),
        },
        Recipe::Unwrap => fixes(vec![ArgumentFix::Unwrap]),
        Recipe::OtherTool => {
            let over = tool()?;
            let tool = other_tool(&over, behaviour).ok_or(Unfit::NoOther)?;
            Ok(Act::Prefer { tool, over })
        }
        Recipe::OtherModel => {
            let failing = symptom.model().unwrap_or_default();
            let route = &agent.route;
            // Where it worked at last, the model that the event names is the one that answered.
            let answered = symptom.kind == SignalKind::Retries;
            let model = route.fallbacks.iter().find(|model| {
                if answered {
                    *model == failing
                } else {
                    route.primary == failing && *model != failing
                }
            });
            let model = model.cloned().ok_or(Unfit::NoOther)?;
            Ok(Act::RouteFirst { model })
        }
        Recipe::ModelRetry { again, pause_ms } => Ok(Act::ModelRetry {
            again: *again,
            pause_ms: *pause_ms,
        }),
        Recipe::ModelPatience { seconds } => {
            // Without another model there is nobody to turn to.
            if agent.route.fallbacks.is_empty() {
                return Err(Unfit::NoOther);
            }
            Ok(Act::ModelPatience { seconds: *seconds })
        }
        Recipe::SayNeeded => match said()? {
            Said::Missing { argument } => Ok(Act::Lesson(Lesson::ArgumentNeeded {
                tool: tool()?,
                argument,
            })),
            _ => Err(Unfit::NotTold),
        },
        Recipe::SayNotTwice => Ok(Act::Lesson(Lesson::NotTwiceTheSame { tool: tool()? })),
        Recipe::SayShape => match said()? {
            Said::Shape { argument, shape } => Ok(Act::Lesson(Lesson::ArgumentIs {
                tool: tool()?,
                argument,
                shape,
            })),
            _ => Err(Unfit::NotTold),
        },
    }
}

fn reshaping(argument: &str, shape: Shape) -> Vec<ArgumentFix> {
    let argument = || argument.to_owned();
    match shape {
        Shape::Number => vec![ArgumentFix::Number {
            argument: argument(),
        }],
        Shape::Text | Shape::Date => vec![ArgumentFix::Text {
            argument: argument(),
        }],
        Shape::Switch => vec![ArgumentFix::Switch {
            argument: argument(),
        }],
        Shape::List => vec![
            ArgumentFix::Split {
                argument: argument(),
            },
            ArgumentFix::List {
                argument: argument(),
            },
        ],
    }
}

/// A tool with the same effect on the same things, and a word of its name in common.
fn other_tool(failing: &str, behaviour: &Behaviour) -> Option<String> {
    let annotations = &behaviour.authority.annotations;
    let own = annotations.get(failing)?;
    let words = |name: &str| -> Vec<String> {
        let words = name.split(['_', '.', '-']);
        words.map(str::to_owned).collect()
    };
    let mine = words(failing);
    let mut others = annotations.iter().filter(|(name, other)| {
        name.as_str() != failing
            && other.effect == own.effect
            && other.reach == own.reach
            && other.slots == own.slots
            && words(name).iter().any(|word| mine.contains(word))
    });
    let denied = |name: &String| behaviour.authority.deny.contains(name);
    others
        .find(|(name, _)| !denied(name))
        .map(|(name, _)| name.clone())
}

/// What the check of arguments said was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Shape { argument: String, shape: Shape },
    AtMost { argument: String, most: i32 },
    AtLeast { argument: String, least: i32 },
    Unknown { argument: String },
    Missing { argument: String },
}

impl Said {
    /// Reads a sentence of the toolbox. What is not one of these says nothing, whatever it looks like.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("bad arguments: ")?;
        let rest = rest.lines().next()?.trim();
        let rest = rest.strip_prefix("arguments")?;
        if let Some(unknown) = rest.strip_prefix(" has no field ") {
            let name = unknown.split(';').next()?;
            return Some(Self::Unknown {
                argument: word(name)?,
            });
        }
        if let Some(unknown) = rest.strip_prefix(" must be empty, but has the field ") {
            return Some(Self::Unknown {
                argument: word(unknown)?,
            });
        }
        let (name, what) = rest.strip_prefix('.')?.split_once(' ')?;
        let argument = word(name)?;
        if what == "is missing" {
            return Some(Self::Missing { argument });
        }
        let what = what.strip_prefix("must be ")?;
        let number = |after: &str| what.strip_prefix(after)?.trim().parse::<i32>().ok();
        if let Some(most) = number("at most ") {
            return Some(Self::AtMost { argument, most });
        }
        if let Some(least) = number("at least ") {
            return Some(Self::AtLeast { argument, least });
        }
        let shape = match what {
            "a whole number" | "a number" => Shape::Number,
            "text" => Shape::Text,
            "true or false" => Shape::Switch,
            "a list" => Shape::List,
            _ => return None,
        };
        Some(Self::Shape { argument, shape })
    }
}

/// The name of one argument of the call itself, and not of something inside it.
fn word(name: &str) -> Option<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let name = name.trim().trim_matches(['"', '`']);
    let fits = (1..=80).contains(&name.len()) && name.chars().all(is_word);
    fits.then(|| name.to_owned())
}
