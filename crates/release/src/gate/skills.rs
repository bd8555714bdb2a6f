//! The gate that looks through the skills which a candidate adds or changes.

use std::collections::BTreeSet;

use super::Finding;
use crate::behaviour::Behaviour;
use crate::skill::Skills;
use crate::skill::scan::{Names, Weight, scan};

pub(super) fn scanned(before: &Behaviour, after: &Behaviour) -> Finding {
    let none = Skills::new();
    let tools: BTreeSet<String> = after.authority.annotations.keys().cloned().collect();
    let (mut looked, mut weight, mut lines) = (0, None, Vec::new());
    for (agent, of) in &after.agents {
        let was = before
            .agents
            .get(agent)
            .map_or(&none, |agent| &agent.skills);
        let names = Names {
            skills: of.skills.keys().cloned().collect(),
            tools: tools.clone(),
        };
        for (name, skill) in &of.skills {
            if was.get(name) == Some(skill) {
                continue;
            }
            looked += 1;
            lines.push(format!("sha256 of {agent}/{name} {}", skill.digest()));
            for found in scan(name, skill, &names) {
                weight = weight.max(Some(found.weight));
                lines.push(format!("{agent}/{name}: {found}"));
            }
        }
    }
    let first = || {
        let mut told = lines.iter().filter(|line| !line.starts_with("sha256 of "));
        told.find(|line| weight.is_none_or(|weight| line.contains(weight.word())))
            .cloned()
            .unwrap_or_default()
    };
    let finding = match weight {
        None if looked == 0 => Finding::pass("it adds no skill and changes none"),
        None => Finding::pass(format!("{looked} skills were looked through")),
        Some(Weight::Hold) => Finding::no_data(format!("a person has to look: {}", first())),
        Some(Weight::Refuse) => Finding::fail(first()),
    };
    finding.with(lines)
}
