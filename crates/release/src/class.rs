//! The risk class of a candidate, and what newly becomes possible with it. Both are computed from what
//! the deltas did to the behaviour; nobody declares them.

use instar_policy::cedar::Reference;
use instar_policy::suppose::right;
use instar_policy::{Authority, Role};
use instar_protocol::label::Origin;
use instar_protocol::{AgentId, Label};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::behaviour::Behaviour;
use crate::delta::{self, Delta, Order, compare, parts};
use crate::literal::literals;
use crate::mitigation::{Act, PATIENCE_SECONDS};

/// More changed text than this is for a person to read.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// What newly becomes possible is told up to this number of lines.
const NEWLY_MAX: usize = 100;
/// Agents that are gone through for it.
const AGENTS_MAX: usize = 8;
const ROLES: [Role; 4] = [Role::Owner, Role::Contact, Role::Stranger, Role::Automation];

/// How weighty a candidate is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Class {
    /// Learned numbers within bounds.
    A,
    /// Prompts of the owner's, routes inside his list, mitigations, limits down, policy tightened.
    B,
    /// A person has to look.
    C,
    /// A key that the machine does not hold has to sign.
    D,
}

/// One reason for a class.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    pub class: Class,
    pub why: String,
    /// It stands only as long as nobody has proved the contrary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_proved: bool,
}

/// The class, the highest of its grounds, and what newly becomes possible.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assessment {
    pub class: Class,
    pub grounds: Vec<Ground>,
    /// Calls that were denied or asked for and are not any more, in words.
    pub newly: Vec<String>,
    /// Rules of the owner's that come and go, in words.
    pub rules_new: Vec<String>,
    pub rules_gone: Vec<String>,
}

impl Assessment {
    /// The class, if it was proved that the rules let through no more, or not.
    #[must_use]
    pub fn class_with(&self, proved: bool) -> Class {
        let stands = |ground: &&Ground| !(proved && ground.until_proved);
        let grounds = self.grounds.iter().filter(stands);
        grounds.map(|ground| ground.class).max().unwrap_or(Class::D)
    }
}

/// Judges what the deltas made of a behaviour. The label is that of all the evidence for them.
#[must_use]
pub fn assess(
    before: &Behaviour,
    deltas: &[Delta],
    after: &Behaviour,
    evidence: &Label,
) -> Assessment {
    let mut grounds = Vec::new();
    let mut ground = |class, why: String| {
        grounds.push(Ground {
            class,
            why,
            until_proved: false,
        });
    };
    let mut chars = 0;
    for delta in deltas {
        match delta {
            Delta::SetPrompt { .. } | Delta::SetPromptSection { .. } => {
                let new = text(delta);
                chars += new.chars().count();
                ground(Class::B, format!("{} has another text", delta.touches()));
                let others = |origin: &Origin| *origin != Origin::Owner;
                if evidence.origins.iter().any(others) {
                    let whose = evidence.origins.worst();
                    ground(Class::C, format!("its text has evidence of {whose} origin"));
                }
                for literal in new_literals(before, new) {
                    ground(Class::C, format!("its text names {literal}"));
                }
            }
            Delta::SetRoute {
                primary,
                fallbacks,
                pictures,
                ..
            } => {
                let models = std::iter::once(primary).chain(fallbacks).chain(pictures);
                models.for_each(|model| grounds_of_model(before, model, &mut ground));
            }
            Delta::SetLimit {
                agent,
                limit,
                value,
            } => {
                let limits = before.agents.get(agent).map(|agent| agent.limits.clone());
                let was = limits.map_or(0, |mut limits| *limit.mut_of(&mut limits));
                let (class, word) = if *value < was {
                    (Class::B, "lower")
                } else {
                    (Class::C, "higher")
                };
                ground(class, format!("{} is {word}", delta.touches()));
            }
            Delta::SetMitigation { mitigation, .. } => {
                let act = mitigation.as_ref().map(|one| &one.act);
                let (class, word) = of_act(act);
                ground(class, format!("{} {word}", delta.touches()));
            }
            Delta::SetHeartbeat { .. } => {
                ground(Class::C, format!("{} is another one", delta.touches()));
            }
            Delta::SetSchedule { .. } => {
                let new = text(delta);
                chars += new.chars().count();
                ground(Class::C, format!("{} is another one", delta.touches()));
                for literal in new_literals(before, new) {
                    ground(Class::C, format!("its text names {literal}"));
                }
            }
            Delta::SetTool { .. } => {
                ground(Class::C, format!("{} is set otherwise", delta.touches()));
            }
            Delta::SetSkill { skill, .. } => {
                let new = skill.iter().flat_map(|skill| skill.files.values());
                chars += new.map(|text| text.chars().count()).sum::<usize>();
                ground(Class::C, format!("{} has another text", delta.touches()));
            }
            // The check of the behaviour holds the numbers within their bounds.
            Delta::SetRetrieval { .. } => {
                ground(Class::A, format!("{} has other numbers", delta.touches()));
            }
            // What these did stands in the authority, whatever they call themselves.
            Delta::TightenPolicy(_) | Delta::WidenPolicy(_) => {}
        }
    }
    if chars > TEXT_CHARS_MAX {
        let why = format!("{chars} characters of text are more than {TEXT_CHARS_MAX}");
        ground(Class::C, why);
    }
    match compare(&before.authority, &after.authority) {
        Order::Equal => {}
        Order::Narrower => ground(Class::B, "the authority is narrower".to_owned()),
        Order::Wider(_) => {
            let wider = parts(&before.authority, &after.authority);
            wider.into_iter().for_each(|why| ground(Class::D, why));
        }
    }
    let newly = newly(before, after);
    if let Some(first) = newly.first() {
        ground(Class::D, format!("it newly becomes possible: {first}"));
    }
    let unlike = delta::rules(&before.authority, &after.authority);
    if !unlike.is_empty() {
        // What is left when a solver has proved that they let through no more.
        ground(Class::B, "the rules are other ones".to_owned());
    }
    grounds.extend(unlike.into_iter().map(|why| Ground {
        class: Class::D,
        why,
        until_proved: true,
    }));
    let (rules_new, rules_gone) = rules(&before.authority, &after.authority);
    Assessment {
        // Nothing that speaks for less: it is for a person.
        class: grounds
            .iter()
            .map(|one| one.class)
            .max()
            .unwrap_or(Class::D),
        grounds,
        newly,
        rules_new,
        rules_gone,
    }
}

/// What is done about a fault is bounded by its type; only more time for a call is a limit that rises.
fn of_act(act: Option<&Act>) -> (Class, &'static str) {
    match act {
        None => (Class::B, "is taken away"),
        Some(Act::Patience { seconds, .. }) if *seconds > PATIENCE_SECONDS => {
            (Class::C, "lets a call take longer than any may")
        }
        Some(_) => (Class::B, "does something else about its fault"),
    }
}

fn text(delta: &Delta) -> &str {
    match delta {
        Delta::SetPrompt { text, .. } => text.as_deref().unwrap_or_default(),
        Delta::SetPromptSection { text, .. } => text,
        Delta::SetSchedule {
            schedule: Some(schedule),
            ..
        } => &schedule.text,
        _ => "",
    }
}

fn grounds_of_model(before: &Behaviour, model: &str, ground: &mut impl FnMut(Class, String)) {
    let listed: BTreeSet<&str> = before
        .agents
        .values()
        .flat_map(|agent| {
            let route = &agent.route;
            std::iter::once(&route.primary)
                .chain(&route.fallbacks)
                .chain(&route.pictures)
        })
        .map(String::as_str)
        .collect();
    let vendor = |model: &str| model.split('/').next().unwrap_or_default().to_owned();
    let shown = instar_protocol::redact::log_field(model);
    if listed.contains(model) {
        ground(Class::B, format!("the route asks {shown}, which it knew"));
    } else if listed.iter().any(|known| vendor(known) == vendor(model)) {
        ground(
            Class::C,
            format!("the route asks {shown}, which no route had"),
        );
    } else {
        ground(
            Class::D,
            format!("{shown} is of a vendor that no route had: a new way out"),
        );
    }
}

/// The literals of a text that stood in no prompt and no schedule before: addresses, hosts, numbers, paths, and runs
/// that may be something encoded.
fn new_literals(before: &Behaviour, text: &str) -> BTreeSet<String> {
    let mut old = BTreeSet::new();
    for agent in before.agents.values() {
        let texts = agent.prompt.values().map(|file| &file.text);
        for text in texts.chain(agent.schedules.values().map(|one| &one.text)) {
            old.extend(literals(text));
        }
    }
    literals(text).difference(&old).take(20).cloned().collect()
}

/// What nobody could do before: every tool, for everybody, before and after something strange was read.
fn newly(before: &Behaviour, after: &Behaviour) -> Vec<String> {
    let (was, is) = (&before.authority, &after.authority);
    if was == is {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let tools: BTreeSet<&String> = was
        .annotations
        .keys()
        .chain(is.annotations.keys())
        .collect();
    for agent in after.agents.keys().take(AGENTS_MAX) {
        let Ok(agent) = AgentId::parse(agent) else {
            continue;
        };
        for tool in &tools {
            for who in ROLES {
                for tainted in [false, true] {
                    let of = |authority: &Authority| {
                        right(authority, tool, &agent, who, authority.posture, tainted).outcome
                    };
                    let (was, is) = (of(was), of(is));
                    if freedom(is) > freedom(was) && lines.len() < NEWLY_MAX {
                        let after = if tainted {
                            ", after text of others was read"
                        } else {
                            ""
                        };
                        let who = role(who);
                        lines.push(format!("{tool} of {agent} for {who}{after}: {was} -> {is}"));
                    }
                }
            }
        }
    }
    lines
}

fn freedom(outcome: &str) -> u8 {
    match outcome {
        "allow" => 2,
        "ask" => 1,
        _ => 0,
    }
}

fn rules(before: &Authority, after: &Authority) -> (Vec<String>, Vec<String>) {
    let of = |authority: &Authority| -> BTreeSet<String> {
        let own = authority
            .rules
            .all()
            .filter(|rule: &&Reference| rule.is_owners);
        own.map(|rule| format!("{} ({}): {}", rule.rule, rule.place, rule.words))
            .collect()
    };
    let (was, is) = (of(before), of(after));
    let only =
        |one: &BTreeSet<String>, two: &BTreeSet<String>| one.difference(two).cloned().collect();
    (only(&is, &was), only(&was, &is))
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Contact => "contact",
        Role::Stranger => "stranger",
        Role::Automation => "automation",
    }
}
