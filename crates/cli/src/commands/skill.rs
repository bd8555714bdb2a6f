//! `instar skill`: the skills of the release in service, and a look at a folder before it becomes one.

use instar_gateway::skills::{Scanned, Verdict, scanned};
use instar_release::Skills;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

use super::{brought, release};
use crate::args::{ReleaseView, Skill};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, files, visible};
use crate::typed;

/// The digest is shown up to here in tables.
const DIGEST_CHARS: usize = 12;

pub(crate) async fn run(command: &Skill, run: &Context) -> anyhow::Result<()> {
    match command {
        Skill::List { agent } => list(&in_service(run).await?, agent.as_deref(), run),
        Skill::Show { name, file, agent } => {
            let all = in_service(run).await?;
            let skills = all
                .get(agent)
                .ok_or_else(|| missing("agent", agent, all.keys()))?;
            let skill = skills.get(name);
            let skill = skill.ok_or_else(|| missing("skill", name, skills.keys()))?;
            if run.out.json() {
                return run.out.value(&json!({
                    "name": name, "description": skill.description(), "digest": skill.digest(),
                    "files": skill.files,
                }));
            }
            let text = skill.files.get(file);
            let text = text.ok_or_else(|| missing("file", file, skill.files.keys()))?;
            for line in text.lines() {
                run.out.line(&visible(line));
            }
            Ok(())
        }
        Skill::Scan { folder } => scan(folder, run),
    }
}

/// One file of a skill in service.
pub(super) async fn text(
    name: &str,
    file: &str,
    agent: &str,
    run: &Context,
) -> anyhow::Result<String> {
    let mut all = in_service(run).await?;
    let known: Vec<String> = all.keys().cloned().collect();
    let mut skills = all
        .remove(agent)
        .ok_or_else(|| missing("agent", agent, known.iter()))?;
    let known: Vec<String> = skills.keys().cloned().collect();
    let mut skill = skills
        .remove(name)
        .ok_or_else(|| missing("skill", name, known.iter()))?;
    let known: Vec<String> = skill.files.keys().cloned().collect();
    let text = skill.files.remove(file);
    text.ok_or_else(|| missing("file", file, known.iter()))
}

/// The skills of every agent, as the release in service has them.
async fn in_service(run: &Context) -> anyhow::Result<BTreeMap<String, Skills>> {
    let stable = ReleaseView::Show {
        release: "stable".to_owned(),
    };
    let mut release = release::fetch(&stable, run).await?;
    let behaviour = serde_json::from_value(release["behaviour"].take());
    let behaviour: instar_release::Behaviour = behaviour?;
    let agents = behaviour.agents.into_iter();
    Ok(agents.map(|(id, agent)| (id, agent.skills)).collect())
}

fn missing<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> anyhow::Error {
    let failure = Failure::new(Code::NotFound, format!("there is no {what} {name:?}"));
    let step = match typed::nearest(name, known.map(String::as_str)) {
        Some(near) => format!("did you mean {near}? see `instar skill list`"),
        None => "see them with `instar skill list`".to_owned(),
    };
    failure.next(step).into()
}

fn list(all: &BTreeMap<String, Skills>, only: Option<&str>, run: &Context) -> anyhow::Result<()> {
    if let Some(agent) = only.filter(|agent| !all.contains_key(*agent)) {
        return Err(missing("agent", agent, all.keys()));
    }
    let wanted = all
        .iter()
        .filter(|(agent, _)| only.is_none_or(|only| only == *agent));
    let rows = wanted
        .flat_map(|(agent, skills)| skills.iter().map(move |(name, skill)| (agent, name, skill)));
    if run.out.json() {
        let rows: Vec<_> = rows
            .map(|(agent, name, skill)| {
                let files: Vec<&String> = skill.files.keys().collect();
                json!({ "agent": agent, "name": name, "description": skill.description(),
                    "digest": skill.digest(), "files": files })
            })
            .collect();
        return run.out.value(&rows);
    }
    let rows: Vec<_> = rows
        .map(|(agent, name, skill)| {
            let digest: String = skill.digest().chars().take(DIGEST_CHARS).collect();
            vec![
                (Style::Faint, visible(agent)),
                (Style::Strong, visible(name)),
                (Style::Plain, visible(&skill.description())),
                (Style::Faint, skill.files.len().to_string()),
                (Style::Faint, digest),
            ]
        })
        .collect();
    if rows.is_empty() {
        run.out
            .note("no skills; a folder in `skills` of the workspace with a SKILL.md becomes one");
    }
    run.out
        .table(&["agent", "skill", "for", "files", "digest"], &rows);
    Ok(())
}

fn scan(folder: &Path, run: &Context) -> anyhow::Result<()> {
    if !folder.is_dir() {
        let told = format!("{} is no folder", folder.display());
        return Err(Failure::new(Code::Usage, told).into());
    }
    let mut found = scanned(folder);
    brought::look(folder, &mut found);
    if run.out.json() {
        run.out.value(&found)?;
    } else {
        tell(&found, run);
    }
    if found.verdict == Verdict::Refuse {
        let what = if brought::are_left_out(&found) {
            "its genes"
        } else {
            "it"
        };
        let told = format!("{}: {what} would be left out", visible(&found.name));
        let next = "take out what is named; every line says where it stands";
        return Err(Failure::new(Code::Failed, told).next(next).into());
    }
    Ok(())
}

fn tell(found: &Scanned, run: &Context) {
    let out = run.out;
    out.line(&format!(
        "{}: {}, {}, sha256 {}",
        visible(&found.name),
        found.verdict.word(),
        files(found.files.len()),
        found.digest
    ));
    if let Some(problem) = &found.problem {
        out.line(&format!("refuse {}", visible(problem)));
    }
    for one in &found.findings {
        out.line(&visible(&one.to_string()));
    }
    for one in &found.left_out {
        out.line(&visible(&format!("left out {}: {}", one.place, one.why)));
    }
}
