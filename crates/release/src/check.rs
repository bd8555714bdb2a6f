//! The static checks: what a behaviour must be before it is stored, let alone served.

use instar_policy::Authority;
use instar_protocol::model::ModelRef;
use instar_protocol::redact::{self, log_field};
use instar_protocol::{AgentId, session::MAIN_AGENT};

use crate::behaviour::{AgentBehaviour, Behaviour, PROMPT_FILES, Route};
use crate::error::ReleaseError;
use crate::mitigation::MITIGATIONS_MAX;
use crate::schedule::SCHEDULES_MAX;
use crate::skill::{self, SKILLS_BYTES_MAX, SKILLS_MAX, Skill};

/// The most agents of one behaviour.
pub const AGENTS_MAX: usize = 64;
/// The most characters of one prompt file.
pub const PROMPT_CHARS_MAX: usize = 20_000;
/// The most characters of an agent's prompt files together.
pub const PROMPTS_CHARS_MAX: usize = 60_000;
/// The most fallbacks of a route.
pub const FALLBACKS_MAX: usize = 16;
/// The most bytes of a behaviour in canonical form.
pub const BEHAVIOUR_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Checks a behaviour; the error names the place and never shows a secret that it found.
pub fn check(behaviour: &Behaviour) -> Result<(), ReleaseError> {
    let agents = behaviour.agents.len();
    if !(1..=AGENTS_MAX).contains(&agents) {
        return Err(failed(
            "agents",
            format!("there are {agents} agents, not 1 to {AGENTS_MAX}, for example {MAIN_AGENT}"),
        ));
    }
    for (name, agent) in &behaviour.agents {
        AgentId::parse(name).map_err(|err| failed("agents", err.to_string()))?;
        prompt(name, agent)?;
        route(name, &agent.route)?;
        if let Some(why) = agent.limits.problem() {
            return Err(failed("limits", format!("agents.{name}.limits: {why}")));
        }
        skills(name, agent)?;
        mitigations(name, agent, &behaviour.authority)?;
        heartbeat(name, agent)?;
        schedules(name, agent)?;
        for (tool, settings) in &agent.tools {
            if let Some(why) = settings.problem(tool, &behaviour.authority) {
                let place = format!("agents.{name}.tools.{}", log_field(tool));
                return Err(failed("tools", format!("{place}: {why}")));
            }
        }
        if let Some(why) = agent.retrieval.and_then(|numbers| numbers.problem()) {
            return Err(failed(
                "retrieval",
                format!("agents.{name}.retrieval: {why}"),
            ));
        }
    }
    Ok(())
}

fn mitigations(
    name: &str,
    agent: &AgentBehaviour,
    authority: &Authority,
) -> Result<(), ReleaseError> {
    let all = &agent.mitigations;
    if all.len() > MITIGATIONS_MAX {
        let why = format!("agents.{name} has more than {MITIGATIONS_MAX} mitigations");
        return Err(failed("mitigations", why));
    }
    if !all.is_sorted_by(|one, two| one.id < two.id) {
        let why = format!("the mitigations of {name} are not in the order of their ids, each once");
        return Err(failed("mitigations", why));
    }
    for one in all {
        one.check(agent, authority).map_err(|why| {
            let place = format!("agents.{name}.mitigations.{}", log_field(&one.id));
            failed("mitigations", format!("{place}: {why}"))
        })?;
    }
    Ok(())
}

fn skills(name: &str, agent: &AgentBehaviour) -> Result<(), ReleaseError> {
    let all = &agent.skills;
    let bytes: usize = all.values().map(Skill::bytes).sum();
    if all.len() > SKILLS_MAX || bytes > SKILLS_BYTES_MAX {
        let why = format!(
            "agents.{name} has {} skills of {bytes} bytes, more than {SKILLS_MAX} of {SKILLS_BYTES_MAX}",
            all.len()
        );
        return Err(failed("skills", why));
    }
    for (named, of) in all {
        let place = format!("agents.{name}.skills.{}", skill::told(named));
        if let Some(why) = of.problem(named) {
            return Err(failed("skills", format!("{place}: {why}")));
        }
        for (file, text) in &of.files {
            no_secret(text, &format!("{place}, {file}"))?;
        }
    }
    Ok(())
}

fn heartbeat(name: &str, agent: &AgentBehaviour) -> Result<(), ReleaseError> {
    let Some(heartbeat) = &agent.heartbeat else {
        return Ok(());
    };
    let place = format!("agents.{name}.heartbeat");
    if let Some(why) = heartbeat.problem() {
        return Err(failed("heartbeat", format!("{place}: {why}")));
    }
    no_secret(&heartbeat.text, &place)
}

fn schedules(name: &str, agent: &AgentBehaviour) -> Result<(), ReleaseError> {
    if agent.schedules.len() > SCHEDULES_MAX {
        let why = format!("agents.{name} has more than {SCHEDULES_MAX} schedules");
        return Err(failed("schedules", why));
    }
    for (called, schedule) in &agent.schedules {
        let place = format!("agents.{name}.schedules.{}", log_field(called));
        if let Some(why) = schedule.problem(called) {
            return Err(failed("schedules", format!("{place}: {why}")));
        }
        no_secret(&schedule.text, &place)?;
    }
    Ok(())
}

/// Checks the size of a behaviour in canonical form.
pub(crate) fn size(canonical: &str) -> Result<(), ReleaseError> {
    if canonical.len() <= BEHAVIOUR_BYTES_MAX {
        return Ok(());
    }
    Err(failed(
        "size",
        format!(
            "the behaviour has {} bytes, more than {BEHAVIOUR_BYTES_MAX}",
            canonical.len()
        ),
    ))
}

fn prompt(agent: &str, behaviour: &AgentBehaviour) -> Result<(), ReleaseError> {
    let mut total = 0;
    for (file, of) in &behaviour.prompt {
        if !PROMPT_FILES.contains(&file.as_str()) {
            return Err(failed(
                "file-names",
                format!(
                    "agents.{agent}.prompt has the unknown file {}",
                    log_field(file)
                ),
            ));
        }
        let chars = of.text.chars().count();
        total += chars;
        if chars > PROMPT_CHARS_MAX {
            return Err(failed(
                "size",
                format!("{file} of {agent} has {chars} characters, more than {PROMPT_CHARS_MAX}"),
            ));
        }
        no_secret(&of.text, &format!("{file} of {agent}"))?;
    }
    if total > PROMPTS_CHARS_MAX {
        return Err(failed(
            "size",
            format!(
                "the prompt files of {agent} have {total} characters together, more than \
                 {PROMPTS_CHARS_MAX}"
            ),
        ));
    }
    Ok(())
}

fn route(agent: &str, route: &Route) -> Result<(), ReleaseError> {
    if route.primary.is_empty() {
        return Err(failed(
            "route",
            format!("agents.{agent}.route names no model; set one with `instar models set`"),
        ));
    }
    if route.fallbacks.len().max(route.pictures.len()) > FALLBACKS_MAX {
        return Err(failed(
            "route",
            format!("agents.{agent}.route has more than {FALLBACKS_MAX} fallbacks"),
        ));
    }
    let models = std::iter::once(&route.primary).chain(&route.fallbacks);
    for model in models.chain(&route.pictures) {
        no_secret(model, &format!("agents.{agent}.route"))?;
        if ModelRef::parse(model).is_none() {
            return Err(failed(
                "route",
                format!(
                    "agents.{agent}.route has {}, which is not provider/model",
                    log_field(model)
                ),
            ));
        }
    }
    Ok(())
}

pub(crate) fn no_secret(text: &str, place: &str) -> Result<(), ReleaseError> {
    match redact::find_secret(text) {
        None => Ok(()),
        Some(found) => Err(failed(
            "secrets",
            format!(
                "{place} has {} in line {}; take it out and store it with `instar secrets set \
                 NAME`",
                found.what, found.line
            ),
        )),
    }
}

fn failed(check: &'static str, why: String) -> ReleaseError {
    ReleaseError::Static { check, why }
}
