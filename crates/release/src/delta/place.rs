//! What deltas touch, and which of them cannot stand beside each other.

use std::fmt;

use super::{Delta, DeltaError, KnownList, PolicyChange};
use crate::behaviour::Behaviour;
use crate::diff::diff;

/// A place in a behaviour, from the outside in. A place holds all those that begin with it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place(Vec<String>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Place {
    fn of(steps: &[&str]) -> Self {
        Self(steps.iter().map(|step| (*step).to_owned()).collect())
    }

    /// True if one of the two holds the other.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

impl Delta {
    /// The one place that it changes.
    #[must_use]
    pub fn touches(&self) -> Place {
        match self {
            Self::SetPrompt { agent, file, .. } => Place::of(&["agents", agent, "prompt", file]),
            Self::SetPromptSection {
                agent,
                file,
                section,
                ..
            } => Place::of(&["agents", agent, "prompt", file, section]),
            Self::SetRoute { agent, .. } => Place::of(&["agents", agent, "route"]),
            Self::SetLimit { agent, limit, .. } => {
                Place::of(&["agents", agent, "limits", limit.name()])
            }
            Self::SetMitigation { agent, id, .. } => {
                Place::of(&["agents", agent, "mitigations", id])
            }
            Self::SetHeartbeat { agent, .. } => Place::of(&["agents", agent, "heartbeat"]),
            Self::SetSchedule { agent, name, .. } => {
                Place::of(&["agents", agent, "schedules", name])
            }
            Self::SetRetrieval { agent, .. } => Place::of(&["agents", agent, "retrieval"]),
            Self::SetTool { agent, tool, .. } => Place::of(&["agents", agent, "tools", tool]),
            Self::SetSkill { agent, name, .. } => Place::of(&["agents", agent, "skills", name]),
            Self::TightenPolicy(change) | Self::WidenPolicy(change) => change.touches(),
        }
    }
}

impl PolicyChange {
    fn touches(&self) -> Place {
        let steps: [&str; 3] = match self {
            Self::Posture(_) => ["posture", "", ""],
            // Whoever speaks of all tools speaks of each.
            Self::Deny { tool, .. } if tool == "*" => ["deny", "", ""],
            Self::Deny { tool, .. } => ["deny", tool, ""],
            Self::Allow { .. } => ["allow", "", ""],
            Self::Profile { role, .. } => ["profiles", crate::class::role(*role), ""],
            Self::Known { list, value, .. } => ["known", list.name(), value],
            Self::Rules { file, .. } => ["rules", file, ""],
            Self::Walls { agent, .. } => ["sandbox", agent, ""],
        };
        let named = steps.iter().filter(|step| !step.is_empty());
        Place::of(
            &["authority"]
                .iter()
                .chain(named)
                .copied()
                .collect::<Vec<_>>(),
        )
    }
}

impl KnownList {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Contacts => "contacts",
            Self::Destinations => "destinations",
        }
    }
}

/// True if the two touch the same place, so that which of them comes first would matter.
#[must_use]
pub fn overlap(one: &Delta, two: &Delta) -> bool {
    one.touches().meets(&two.touches())
}

/// The pairs of a list that touch the same place.
#[must_use]
pub fn conflicts(deltas: &[Delta]) -> Vec<(usize, usize, Place)> {
    let mut found = Vec::new();
    for (second, two) in deltas.iter().enumerate() {
        for (first, one) in deltas[..second].iter().enumerate() {
            if overlap(one, two) {
                found.push((first, second, two.touches()));
            }
        }
    }
    found
}

/// Puts deltas that were written for one behaviour upon another. Where the other differs in a place
/// that they touch the places are told, and nothing is merged.
pub fn rebase(
    deltas: &[Delta],
    written_for: &Behaviour,
    onto: &Behaviour,
) -> Result<Result<Behaviour, Vec<Place>>, DeltaError> {
    let moved: Vec<Place> = deltas
        .iter()
        .map(Delta::touches)
        .filter(|place| differs(place, written_for, onto))
        .collect();
    if moved.is_empty() {
        super::apply_all(deltas, onto)
            .map(Ok)
            .map_err(|(_, error)| error)
    } else {
        Ok(Err(moved))
    }
}

fn differs(place: &Place, one: &Behaviour, two: &Behaviour) -> bool {
    let steps: Vec<&str> = place.0.iter().map(String::as_str).collect();
    match steps.as_slice() {
        ["agents", agent, "prompt", file, section] => {
            let of = |behaviour: &Behaviour| -> Option<String> {
                let text = &behaviour.agents.get(*agent)?.prompt.get(*file)?.text;
                let found = super::sections(text);
                let mut named = found.iter().filter(|(heading, _)| heading == section);
                let (_, text) = named.next()?;
                named.next().is_none().then(|| (*text).to_owned())
            };
            of(one) != of(two)
        }
        ["agents", agent, "mitigations", id] => {
            let of = |behaviour: &Behaviour| {
                let all = behaviour.agents.get(*agent).map(|agent| &agent.mitigations);
                let mut all = all.into_iter().flatten();
                all.find(|one| one.id == *id).cloned()
            };
            of(one) != of(two)
        }
        ["agents", agent, "skills", name] => {
            let of = |behaviour: &Behaviour| {
                let agent = behaviour.agents.get(*agent)?;
                agent.skills.get(*name).cloned()
            };
            of(one) != of(two)
        }
        ["agents", agent, "schedules", name] => {
            let of = |behaviour: &Behaviour| {
                let agent = behaviour.agents.get(*agent)?;
                agent.schedules.get(*name).cloned()
            };
            of(one) != of(two)
        }
        ["authority", "deny", tool] => {
            one.authority.deny.contains(*tool) != two.authority.deny.contains(*tool)
        }
        ["authority", "known", list, value] => {
            let of = |behaviour: &Behaviour| {
                let known = &behaviour.authority.known;
                match *list {
                    "own" => known.own.contains(*value),
                    "contacts" => known.contacts.contains(*value),
                    _ => known.destinations.contains(*value),
                }
            };
            of(one) != of(two)
        }
        ["authority", "rules", file] => {
            let of = |behaviour: &Behaviour| {
                let files = behaviour.authority.rules.files();
                files.iter().find(|rule| rule.name == *file).cloned()
            };
            of(one) != of(two)
        }
        ["authority", "profiles", role] => {
            let of = |behaviour: &Behaviour| {
                let rows = &behaviour.authority.profiles;
                let mut rows = rows.iter();
                rows.find(|(of, _)| crate::class::role(**of) == *role)
                    .map(|(_, profile)| profile.clone())
            };
            of(one) != of(two)
        }
        // Whole values: what the readable difference names there, it differs in.
        _ => {
            let path = place.to_string();
            let below = |outer: &str, inner: &str| {
                let rest = inner.strip_prefix(outer);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            diff(one, two)
                .iter()
                .any(|change| below(&path, &change.path) || below(&change.path, &path))
        }
    }
}
