//! The change that takes a change back.

use super::{Delta, DeltaError, KnownList, PolicyChange, sections};
use crate::behaviour::{AgentBehaviour, Behaviour};
use instar_policy::Authority;

impl Delta {
    /// What leads from the changed behaviour back to this one, to the same content hash.
    pub fn inverse(&self, before: &Behaviour) -> Result<Self, DeltaError> {
        Ok(match self {
            Self::SetPrompt { agent, file, .. } => {
                let was = of(before, agent)?.prompt.get(file);
                Self::SetPrompt {
                    agent: agent.clone(),
                    file: file.clone(),
                    text: was.map(|was| was.text.clone()),
                    cut_chars: was.map_or(0, |was| was.cut_chars),
                }
            }
            Self::SetPromptSection {
                agent,
                file,
                section,
                ..
            } => {
                let whole = of(before, agent)?.prompt.get(file);
                let text = whole.map_or("", |whole| whole.text.as_str());
                let found = sections(text);
                let was = found.iter().find(|(name, _)| name == section);
                Self::SetPromptSection {
                    agent: agent.clone(),
                    file: file.clone(),
                    section: section.clone(),
                    text: was.map_or("", |(_, text)| text).to_owned(),
                }
            }
            Self::SetRoute { agent, .. } => {
                let was = of(before, agent)?.route.clone();
                Self::SetRoute {
                    agent: agent.clone(),
                    primary: was.primary,
                    fallbacks: was.fallbacks,
                    pictures: was.pictures,
                }
            }
            Self::SetLimit { agent, limit, .. } => Self::SetLimit {
                agent: agent.clone(),
                limit: *limit,
                value: *limit.mut_of(&mut of(before, agent)?.limits.clone()),
            },
            Self::SetMitigation { agent, id, .. } => {
                let all = &of(before, agent)?.mitigations;
                let was = all.iter().find(|one| one.id == *id);
                Self::SetMitigation {
                    agent: agent.clone(),
                    id: id.clone(),
                    mitigation: was.cloned().map(Box::new),
                }
            }
            Self::SetHeartbeat { agent, .. } => Self::SetHeartbeat {
                agent: agent.clone(),
                heartbeat: of(before, agent)?.heartbeat.clone(),
            },
            Self::SetSchedule { agent, name, .. } => Self::SetSchedule {
                agent: agent.clone(),
                name: name.clone(),
                schedule: of(before, agent)?.schedules.get(name).cloned(),
            },
            Self::SetRetrieval { agent, .. } => Self::SetRetrieval {
                agent: agent.clone(),
                retrieval: of(before, agent)?.retrieval,
            },
            Self::SetTool { agent, tool, .. } => Self::SetTool {
                agent: agent.clone(),
                tool: tool.clone(),
                settings: of(before, agent)?.tools.get(tool).copied(),
            },
            Self::SetSkill { agent, name, .. } => Self::SetSkill {
                agent: agent.clone(),
                name: name.clone(),
                skill: of(before, agent)?.skills.get(name).cloned(),
            },
            Self::TightenPolicy(change) | Self::WidenPolicy(change) => {
                let back = change.inverse(&before.authority);
                let changed = self.changed(before)?;
                match super::compare(&changed.authority, &before.authority) {
                    super::Order::Narrower => Self::TightenPolicy(back),
                    // Neither has all that the other has.
                    _ => Self::WidenPolicy(back),
                }
            }
        })
    }
}

fn of<'a>(behaviour: &'a Behaviour, agent: &str) -> Result<&'a AgentBehaviour, DeltaError> {
    let there = behaviour.agents.get(agent);
    there.ok_or_else(|| DeltaError::Agent(agent.to_owned()))
}

impl PolicyChange {
    fn inverse(&self, before: &Authority) -> Self {
        match self {
            Self::Posture(_) => Self::Posture(before.posture),
            Self::Deny { tool, .. } => Self::Deny {
                tool: tool.clone(),
                denied: before.deny.contains(tool),
            },
            Self::Allow { .. } => Self::Allow {
                tools: before.allow.clone(),
            },
            Self::Profile { role, .. } => Self::Profile {
                role: *role,
                tools: before.profiles.get(role).map(|row| row.tools.clone()),
            },
            Self::Known { list, value, .. } => {
                let was = match list {
                    KnownList::Own => &before.known.own,
                    KnownList::Contacts => &before.known.contacts,
                    KnownList::Destinations => &before.known.destinations,
                };
                Self::Known {
                    list: *list,
                    value: value.clone(),
                    known: was.contains(value),
                }
            }
            Self::Rules { file, .. } => {
                let mut files = before.rules.files().iter();
                Self::Rules {
                    file: file.clone(),
                    text: files
                        .find(|rule| rule.name == *file)
                        .map(|rule| rule.text.clone()),
                }
            }
            Self::Walls { agent, .. } => Self::Walls {
                agent: agent.clone(),
                settings: before.sandbox.get(agent).cloned(),
            },
        }
    }
}
