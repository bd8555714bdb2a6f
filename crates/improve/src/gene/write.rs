//! From a gene and a symptom to the change that is proposed.

use instar_protocol::amend::NoteUse;
use instar_protocol::fault::SignalKind;
use instar_protocol::lab::TAKE_NOTE;
use instar_protocol::tool::Effect;
use instar_release::mitigation::{Act, ArgumentFix, Lesson, Mitigation, Shape, takes};
use instar_release::{AgentBehaviour, Behaviour, Delta, Heartbeat};
use serde_json::{Value, json};

use super::said::{Said, alike};
use super::{Catalogue, Gene, GeneError, Recipe, Restored, Symptom, clock, note, skill, words_of};

/// What a gene would do about a fault.
#[derive(Clone, PartialEq, Debug)]
pub struct Proposal {
    pub gene: String,
    pub agent: String,
    /// One gene does one thing about one fault: its name.
    pub id: String,
    pub change: Change,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Mitigation(Box<Mitigation>),
    /// The same heartbeat at other times.
    Heartbeat(Heartbeat),
    /// A skill in an earlier text. Its words are the gateway's to fill in.
    Skill(Restored),
    /// A note that could be taken away. It is no change of the behaviour.
    Note(NoteUse),
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
    #[error("the argument is put right without the model")]
    PutRight,
    #[error("no earlier text of the skill is known to have gone without it")]
    NoEarlierText,
    #[error("it came with more than one skill, and which of them is to blame cannot be told")]
    ManySkills,
    #[error("{0}")]
    Refused(String),
    #[error("the agent does something like it already")]
    There,
}

impl Proposal {
    /// The change as a delta; none where only the gateway has the whole of it, and none for a note.
    #[must_use]
    pub fn delta(&self) -> Option<Delta> {
        let agent = self.agent.clone();
        match &self.change {
            Change::Mitigation(mitigation) => Some(Delta::SetMitigation {
                agent,
                id: self.id.clone(),
                mitigation: Some(mitigation.clone()),
            }),
            Change::Heartbeat(heartbeat) => Some(Delta::SetHeartbeat {
                agent,
                heartbeat: Some(heartbeat.clone()),
            }),
            Change::Skill(_) | Change::Note(_) => None,
        }
    }

    /// The note that would be taken away.
    #[must_use]
    pub fn note(&self) -> Option<&NoteUse> {
        match &self.change {
            Change::Note(note) => Some(note),
            Change::Mitigation(_) | Change::Heartbeat(_) | Change::Skill(_) => None,
        }
    }

    /// The change as the gateway is asked for it.
    pub fn asked(&self) -> Result<Value, serde_json::Error> {
        match &self.change {
            Change::Skill(Restored { to, .. }) => Ok(json!({ "restore_skill": {
                "agent": self.agent, "name": to.name, "digest": to.digest,
            } })),
            Change::Note(one) => Ok(json!({ TAKE_NOTE: one.note })),
            Change::Mitigation(_) | Change::Heartbeat(_) => serde_json::to_value(self.delta()),
        }
    }

    /// What it would do, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.change {
            Change::Mitigation(mitigation) => words_of(&mitigation.act),
            Change::Heartbeat(heartbeat) => clock::words(heartbeat),
            Change::Skill(restored) => skill::words(restored),
            Change::Note(one) => note::words(&one.note),
        }
    }

    /// What is put on trial with a coin; a schedule, a skill and a note have none.
    #[must_use]
    pub fn mitigation(&self) -> Option<&Mitigation> {
        match &self.change {
            Change::Mitigation(mitigation) => Some(mitigation),
            Change::Heartbeat(_) | Change::Skill(_) | Change::Note(_) => None,
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
        let (name, reference) = (id(&gene.id, &symptom.fault), gene.reference()?);
        let proposal = |id: String, change: Change| Proposal {
            gene: gene.id.clone(),
            agent: agent.to_owned(),
            id,
            change,
        };
        if gene.writes == Recipe::MoveHeartbeat {
            let moved = of
                .heartbeat
                .as_ref()
                .and_then(|heartbeat| symptom.clock.moved(heartbeat));
            let change = moved.map(Change::Heartbeat).ok_or(Unfit::NoOther);
            return Ok(change.map(|change| proposal(name, change)));
        }
        if gene.writes == Recipe::RestoreSkill {
            let earlier = symptom.pages.earlier(&of.skills);
            return Ok(earlier.map(|one| proposal(name, Change::Skill(one))));
        }
        if gene.writes == Recipe::AmendNote {
            let found = note::culprit(&symptom.notes);
            return Ok(found.map(|one| proposal(name, Change::Note(one))));
        }
        let act = match act(&gene.writes, symptom, of, behaviour) {
            Ok(act) => act,
            Err(unfit) => return Ok(Err(unfit)),
        };
        if of.mitigations.iter().any(|there| there.act == act) {
            return Ok(Err(Unfit::There));
        }
        let mitigation = Mitigation::on_trial(
            name.clone(),
            reference,
            &symptom.fault,
            symptom.is_outside,
            act,
        );
        if let Err(why) = mitigation.check(of, &behaviour.authority) {
            return Ok(Err(Unfit::Refused(why)));
        }
        Ok(Ok(proposal(name, Change::Mitigation(Box::new(mitigation)))))
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
            // What goes by another name is not thrown away.
            Said::Unknown { argument, known } if meant(&argument, &known).is_none() => {
                fixes(vec![ArgumentFix::Drop { argument }])
            }
            _ => Err(Unfit::NotTold),
        },
        Recipe::Rename => {
            let (from, to) = renamed(said()?, symptom).ok_or(Unfit::NotTold)?;
            fixes(vec![ArgumentFix::Rename { from, to }])
        }
        Recipe::Tidy => match said()? {
            Said::OneOf { argument } => fixes(tidying(&argument)),
            _ => Err(Unfit::NotTold),
        },
        Recipe::Unescape => {
            let tool = tool()?;
            let texts = takes::texts(&behaviour.authority, &tool);
            if texts.is_empty() {
                return Err(Unfit::NotTold);
            }
            let fix = |argument| ArgumentFix::Unescape { argument };
            fixes(texts.into_iter().map(fix).collect())
        }
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
        // It writes no act.
        Recipe::MoveHeartbeat | Recipe::RestoreSkill | Recipe::AmendNote => Err(Unfit::NoOther),
        Recipe::SayNeeded => match said()? {
            Said::Missing { argument } => Ok(Act::Lesson(Lesson::ArgumentNeeded {
                tool: tool()?,
                argument,
            })),
            _ => Err(Unfit::NotTold),
        },
        Recipe::SayNotTwice => Ok(Act::Lesson(Lesson::NotTwiceTheSame { tool: tool()? })),
        Recipe::SayShape => match said()? {
            Said::Shape { argument, shape } => {
                let tool = left_to_the_model(tool()?, &argument, behaviour)?;
                Ok(Act::Lesson(Lesson::ArgumentIs {
                    tool,
                    argument,
                    shape,
                }))
            }
            _ => Err(Unfit::NotTold),
        },
        Recipe::SayAtMost => match said()? {
            Said::AtMost { argument, most } => {
                let tool = left_to_the_model(tool()?, &argument, behaviour)?;
                let most = u32::try_from(most).map_err(|_| Unfit::NotTold)?;
                Ok(Act::Lesson(Lesson::AtMost {
                    tool,
                    argument,
                    most,
                }))
            }
            _ => Err(Unfit::NotTold),
        },
        Recipe::SayPlainName => {
            let tool = tool()?;
            let argument = takes::path(&behaviour.authority, &tool).ok_or(Unfit::NotTold)?;
            Ok(Act::Lesson(Lesson::PlainName { tool, argument }))
        }
        Recipe::SayOther => {
            let over = tool()?;
            let tool = other_tool(&over, behaviour).ok_or(Unfit::NoOther)?;
            Ok(Act::Lesson(Lesson::InsteadOf { tool, over }))
        }
        Recipe::SayLookFirst => {
            let before = tool()?;
            let tool = looks(&before, behaviour).ok_or(Unfit::NoOther)?;
            Ok(Act::Lesson(Lesson::LookFirst { tool, before }))
        }
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

/// The tool, if the argument says who, where, which or how much: nobody puts that right but the model.
fn left_to_the_model(tool: String, argument: &str, behaviour: &Behaviour) -> Result<String, Unfit> {
    let is_left = takes::is_target(&behaviour.authority, &tool, argument);
    is_left.then_some(tool).ok_or(Unfit::PutRight)
}

/// The argument that an unknown one stands for.
fn meant<'a>(argument: &str, known: &'a [String]) -> Option<&'a str> {
    alike(argument, known.iter().map(String::as_str))
}

/// From which name to which: the tool does not know one that it was given, or misses one that goes by
/// another name.
fn renamed(said: Said, symptom: &Symptom) -> Option<(String, String)> {
    match said {
        Said::Unknown { argument, known } => {
            let to = meant(&argument, &known)?.to_owned();
            Some((argument, to))
        }
        Said::Missing { argument } if symptom.kind == SignalKind::ArgumentShape => {
            let given = symptom.detail.split(',').map(str::trim);
            let from = alike(&argument, given)?.to_owned();
            Some((from, argument))
        }
        _ => None,
    }
}

fn tidying(argument: &str) -> Vec<ArgumentFix> {
    let argument = || argument.to_owned();
    vec![
        ArgumentFix::Unquote {
            argument: argument(),
        },
        ArgumentFix::Trim {
            argument: argument(),
        },
        ArgumentFix::Lower {
            argument: argument(),
        },
    ]
}

/// Parts of names of tools that tell what there is.
const LOOKING: &[&str] = &["list", "ls", "glob", "find", "search", "browse"];

/// A tool that tells what there is where another one found nothing.
fn looks(failing: &str, behaviour: &Behaviour) -> Option<String> {
    let annotations = &behaviour.authority.annotations;
    let own = annotations.get(failing)?;
    let tells = |name: &str| {
        let mut words = name.split(['_', '.', '-']);
        words.any(|word| LOOKING.contains(&word))
    };
    let mut others = annotations.iter().filter(|(name, other)| {
        name.as_str() != failing
            && other.connector == own.connector
            && !other.connector.is_empty()
            && other.effect <= Effect::Read
            && tells(name)
            && !tells(failing)
            && !behaviour.authority.deny.contains(*name)
    });
    others.next().map(|(name, _)| name.clone())
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
