//! Skills that go back to an earlier text because of a fault.
//!
//! The lab names a text by its digest and never holds it. It is taken from a release of this house that has
//! served it, and whether one has is the gateway's own count.

use instar_protocol::fault::Fault;
use instar_protocol::reads::{Reads, SkillText};
use instar_protocol::{AgentId, ReleaseId};
use instar_release::delta::Delta;
use instar_release::evidence::Baseline;
use instar_release::{Behaviour, ReleaseError, Releases, Skill};
use instar_store::Store;
use serde::Deserialize;
use serde_json::Value;

use super::HealingError;
use super::proposed::Sound;
use crate::api::queries::QueryError;

/// The place of turns as such.
const TURN: &str = "turn";

/// A skill of an agent in the text of a digest.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    agent: String,
    name: String,
    digest: String,
}

/// What is asked for, if it is that a skill goes back.
pub(super) fn asked(delta: &Value) -> Option<Asked> {
    let whole = delta.as_object().filter(|delta| delta.len() == 1)?;
    let asked = whole.get("restore_skill")?;
    Asked::deserialize(asked).ok()
}

/// The change, if the agent has the skill in another text and turns have read the one that is asked for
/// from a release that is still there.
pub(super) async fn sound(
    (store, releases): (&Store, &Releases),
    of_agent: &str,
    behaviour: &Behaviour,
    asked: Asked,
) -> Result<Option<(Vec<Delta>, Sound)>, HealingError> {
    let agent = behaviour.agents.get(of_agent);
    let skill = agent.and_then(|agent| agent.skills.get(&asked.name));
    let Some(skill) = skill.filter(|_| asked.agent == of_agent) else {
        return Ok(None);
    };
    let text = |digest: String| SkillText {
        name: asked.name.clone(),
        digest,
    };
    let (from, to) = (text(skill.digest()), text(asked.digest));
    let all = of_turns(store, of_agent).await?;
    let known = all.texts.iter().find(|one| one.text == to);
    let Some(known) = known.filter(|_| from != to) else {
        return Ok(None);
    };
    let Some(earlier) = served(releases, of_agent, &known.release, &to).await? else {
        return Ok(None);
    };
    let delta = Delta::SetSkill {
        agent: of_agent.to_owned(),
        name: to.name.clone(),
        skill: Some(earlier),
    };
    Ok(Some((vec![delta], Sound::Skill { from, to })))
}

/// The turns that read the text until now, and those in which the fault showed after it.
pub(super) async fn baseline(
    store: &Store,
    agent: &str,
    fault: &Fault,
    from: &SkillText,
) -> Result<Baseline, QueryError> {
    let exposures = of_turns(store, agent).await?.of(from);
    let failed = fault
        .reads
        .iter()
        .find(|(of, _)| of.as_str() == agent)
        .map(|(_, failed)| failed.of(from));
    match failed {
        Some(bad) if bad > 0 && bad <= exposures => Ok(Baseline { exposures, bad }),
        _ => Err(QueryError::Invalid {
            param: "fault",
            why: format!("no turn of {agent} that read {} has met it", from.name),
        }),
    }
}

/// What the turns of an agent read, of the texts that can be gone back to or are in service.
pub(super) async fn reads(
    store: &Store,
    releases: &Releases,
    agent: &str,
) -> Result<Reads, HealingError> {
    let mut all = of_turns(store, agent).await?;
    let mut there = Vec::with_capacity(all.texts.len());
    for one in all.texts {
        if served(releases, agent, &one.release, &one.text)
            .await?
            .is_some()
        {
            there.push(one);
        }
    }
    all.texts = there;
    Ok(all)
}

async fn of_turns(store: &Store, agent: &str) -> Result<Reads, HealingError> {
    let places = store.occasions().await?;
    let turns = places.into_iter().find(|one| one.place == TURN);
    let reads = AgentId::parse(agent).ok().zip(turns);
    let reads = reads.and_then(|(agent, mut turns)| turns.reads.remove(&agent));
    Ok(reads.unwrap_or_default())
}

/// The text as a release has it, if that is still there and says the same.
async fn served(
    releases: &Releases,
    agent: &str,
    release: &ReleaseId,
    text: &SkillText,
) -> Result<Option<Skill>, ReleaseError> {
    let mut found = match releases.get(release.as_str()).await {
        Ok(found) => found,
        Err(error @ ReleaseError::Store(_)) => return Err(error),
        // Gone, or not to be read: nothing is taken from it.
        Err(_) => return Ok(None),
    };
    let agent = found.behaviour.agents.remove(agent);
    let skill = agent.and_then(|mut agent| agent.skills.remove(&text.name));
    Ok(skill.filter(|skill| skill.digest() == text.digest))
}
