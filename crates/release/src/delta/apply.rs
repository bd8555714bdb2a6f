//! Applying deltas.

use instar_policy::cedar::{RuleFile, Rules};
use instar_policy::{Authority, Profile};

use super::order::{Order, compare};
use super::{Delta, DeltaError, KnownList, Limit, PolicyChange, sections};
use crate::behaviour::{AgentBehaviour, Behaviour, Limits, PromptFile, Route};

/// The longest name of a tool, a file, a person or a place.
const NAME_CHARS_MAX: usize = 200;

/// Applies the deltas one after another; the error has the number of the one that cannot be.
pub fn apply_all(deltas: &[Delta], to: &Behaviour) -> Result<Behaviour, (usize, DeltaError)> {
    let mut behaviour = to.clone();
    for (number, delta) in deltas.iter().enumerate() {
        behaviour = delta.apply(&behaviour).map_err(|error| (number, error))?;
    }
    Ok(behaviour)
}

impl Delta {
    /// The behaviour with this change. One that changes nothing is refused, and so is one whose
    /// inverse would not lead back to the very same content.
    pub fn apply(&self, to: &Behaviour) -> Result<Behaviour, DeltaError> {
        let changed = self.changed(to)?;
        let back = self.inverse(to)?.changed(&changed)?;
        if back != *to {
            return Err(DeltaError::NoInverse(self.touches().to_string()));
        }
        Ok(changed)
    }

    pub(super) fn changed(&self, to: &Behaviour) -> Result<Behaviour, DeltaError> {
        let mut after = to.clone();
        match self {
            Self::SetPrompt {
                agent,
                file,
                text,
                cut_chars,
            } => {
                let prompt = &mut of(&mut after, agent)?.prompt;
                match text {
                    Some(text) => {
                        let value = PromptFile {
                            text: text.clone(),
                            cut_chars: *cut_chars,
                        };
                        prompt.insert(file.clone(), value);
                    }
                    None => drop(prompt.remove(file)),
                }
            }
            Self::SetPromptSection {
                agent,
                file,
                section,
                text,
            } => {
                let there = of(&mut after, agent)?.prompt.get_mut(file);
                let whole = there.ok_or_else(|| missing(agent, file, section, ""))?;
                whole.text = with_section(agent, file, &whole.text, section, text)?;
            }
            Self::SetRoute {
                agent,
                primary,
                fallbacks,
                pictures,
            } => {
                of(&mut after, agent)?.route = Route {
                    primary: primary.clone(),
                    fallbacks: fallbacks.clone(),
                    pictures: pictures.clone(),
                };
            }
            Self::SetLimit {
                agent,
                limit,
                value,
            } => *limit.mut_of(&mut of(&mut after, agent)?.limits) = *value,
            Self::SetMitigation {
                agent,
                id,
                mitigation,
            } => {
                let all = &mut of(&mut after, agent)?.mitigations;
                let at = all.binary_search_by(|one| one.id.cmp(id));
                match (at, mitigation) {
                    (_, Some(new)) if new.id != *id => {
                        return Err(DeltaError::Mitigation(named(&new.id)));
                    }
                    (Ok(at), Some(new)) => all[at] = new.as_ref().clone(),
                    (Err(at), Some(new)) => all.insert(at, new.as_ref().clone()),
                    (Ok(at), None) => drop(all.remove(at)),
                    (Err(_), None) => return Err(DeltaError::Nothing),
                }
            }
            Self::SetHeartbeat { agent, heartbeat } => {
                of(&mut after, agent)?.heartbeat.clone_from(heartbeat);
            }
            Self::SetSchedule {
                agent,
                name,
                schedule,
            } => {
                let schedules = &mut of(&mut after, agent)?.schedules;
                match schedule {
                    Some(schedule) => drop(schedules.insert(name.clone(), schedule.clone())),
                    None => drop(schedules.remove(name)),
                }
            }
            Self::SetRetrieval { agent, retrieval } => {
                of(&mut after, agent)?.retrieval = *retrieval;
            }
            Self::SetTool {
                agent,
                tool,
                settings,
            } => {
                let tools = &mut of(&mut after, agent)?.tools;
                match settings {
                    Some(settings) => drop(tools.insert(tool.clone(), *settings)),
                    None => drop(tools.remove(tool)),
                }
            }
            Self::SetSkill { agent, name, skill } => {
                let skills = &mut of(&mut after, agent)?.skills;
                match skill {
                    Some(skill) => drop(skills.insert(name.clone(), skill.clone())),
                    None => drop(skills.remove(name)),
                }
            }
            Self::TightenPolicy(change) | Self::WidenPolicy(change) => {
                if let PolicyChange::Walls { agent, .. } = change {
                    of(&mut after, agent)?;
                }
                change.apply(&mut after.authority)?;
                self.has_its_direction(&to.authority, &after.authority)?;
            }
        }
        if after == *to {
            return Err(DeltaError::Nothing);
        }
        Ok(after)
    }

    fn has_its_direction(&self, before: &Authority, after: &Authority) -> Result<(), DeltaError> {
        match (self, compare(before, after)) {
            (_, Order::Equal) => Err(DeltaError::Nothing),
            (Self::TightenPolicy(_), Order::Wider(why)) => {
                Err(DeltaError::NotTighter(why.join("; ")))
            }
            (Self::WidenPolicy(_), Order::Narrower) => Err(DeltaError::Tighter),
            _ => Ok(()),
        }
    }
}

fn of<'a>(behaviour: &'a mut Behaviour, agent: &str) -> Result<&'a mut AgentBehaviour, DeltaError> {
    let there = behaviour.agents.get_mut(agent);
    there.ok_or_else(|| DeltaError::Agent(named(agent)))
}

/// A name from outside, fit to be told.
fn named(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect()
}

fn with_section(
    agent: &str,
    file: &str,
    whole: &str,
    section: &str,
    text: &str,
) -> Result<String, DeltaError> {
    let found = sections(whole);
    if found.iter().filter(|(name, _)| *name == section).count() != 1 {
        return Err(missing(agent, file, section, whole));
    }
    let is_last = found.last().is_some_and(|(name, _)| *name == section);
    let is_one = matches!(sections(text).as_slice(), [(name, _)] if *name == section);
    if !is_one || !(is_last || text.ends_with('\n')) {
        return Err(DeltaError::SectionText(section.to_owned()));
    }
    let put = |(name, old): &(&str, &str)| {
        if *name == section {
            text.to_owned()
        } else {
            (*old).to_owned()
        }
    };
    Ok(found.iter().map(put).collect())
}

fn missing(agent: &str, file: &str, section: &str, whole: &str) -> DeltaError {
    let there = sections(whole);
    DeltaError::Section {
        agent: named(agent),
        file: named(file),
        section: named(section),
        count: there.iter().filter(|(name, _)| *name == section).count(),
        there: there.iter().take(20).map(|(name, _)| named(name)).collect(),
    }
}

impl Limit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ModelCallsMax => "model_calls_max",
            Self::ToolCallsMax => "tool_calls_max",
            Self::TimeoutSeconds => "timeout_seconds",
            Self::OutputTokensMax => "output_tokens_max",
        }
    }

    pub(crate) fn mut_of(self, limits: &mut Limits) -> &mut u32 {
        match self {
            Self::ModelCallsMax => &mut limits.model_calls_max,
            Self::ToolCallsMax => &mut limits.tool_calls_max,
            Self::TimeoutSeconds => &mut limits.timeout_seconds,
            Self::OutputTokensMax => &mut limits.output_tokens_max,
        }
    }
}

impl PolicyChange {
    fn apply(&self, to: &mut Authority) -> Result<(), DeltaError> {
        match self {
            Self::Posture(posture) => to.posture = *posture,
            Self::Deny { tool, denied } => {
                check_name(tool)?;
                if *denied {
                    to.deny.insert(tool.clone());
                } else {
                    to.deny.remove(tool);
                }
            }
            Self::Allow { tools } => {
                tools
                    .iter()
                    .flatten()
                    .try_for_each(|name| check_name(name))?;
                to.allow.clone_from(tools);
            }
            Self::Profile { role, tools } => {
                tools
                    .iter()
                    .flatten()
                    .try_for_each(|name| check_name(name))?;
                match tools {
                    Some(tools) => {
                        let tools = tools.clone();
                        to.profiles.insert(*role, Profile { tools });
                    }
                    None => drop(to.profiles.remove(role)),
                }
            }
            Self::Known { list, value, known } => {
                check_name(value)?;
                let list = match list {
                    KnownList::Own => &mut to.known.own,
                    KnownList::Contacts => &mut to.known.contacts,
                    KnownList::Destinations => &mut to.known.destinations,
                };
                if *known {
                    list.insert(value.clone());
                } else {
                    list.remove(value);
                }
            }
            Self::Rules { file, text } => to.rules = with_rules(&to.rules, file, text.as_deref())?,
            Self::Walls { agent, settings } => match settings {
                Some(settings) => drop(to.sandbox.insert(agent.clone(), settings.clone())),
                None => drop(to.sandbox.remove(agent)),
            },
        }
        Ok(())
    }
}

/// The files stay in the order of their names, as they are read from the disk.
fn with_rules(rules: &Rules, file: &str, text: Option<&str>) -> Result<Rules, DeltaError> {
    check_name(file)?;
    if !file.ends_with(".cedar") || file.contains('/') {
        return Err(DeltaError::Rules(format!(
            "{} is no name like mine.cedar",
            named(file)
        )));
    }
    let mut files = rules.files().to_vec();
    let at = files.iter().position(|rule| rule.name == file);
    let new = text.map(|text| RuleFile {
        name: file.to_owned(),
        text: text.to_owned(),
    });
    match (at, new) {
        (Some(at), Some(new)) => files[at] = new,
        (Some(at), None) => drop(files.remove(at)),
        (None, Some(new)) => {
            let at = files.partition_point(|rule| rule.name.as_str() < file);
            files.insert(at, new);
        }
        (None, None) => return Err(DeltaError::Nothing),
    }
    Rules::read(files).map_err(|problems| {
        let lines: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
        DeltaError::Rules(lines.join("; "))
    })
}

fn check_name(name: &str) -> Result<(), DeltaError> {
    let is_fine =
        (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    is_fine.then_some(()).ok_or(DeltaError::Name)
}
