//! What configuration and workspace give, where something else than that is stable.
//!
//! A candidate that was promoted, or a release that the owner went back to, is not what the files say. The
//! files still are the owner's word: what he changed in them since they were last read holds, and all the
//! rest stays as it is served.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::Op;
use serde_json::Value;

use crate::behaviour::Behaviour;
use crate::check;
use crate::error::ReleaseError;
use crate::releases::{Releases, STABLE};
use crate::skill;

/// The alias of what the files gave when they were last read. There is none as long as that was always
/// what became stable.
pub const FILES: &str = "files";

impl Releases {
    /// Takes up what the files give. Returns what is stable then and whether that is new.
    pub async fn adopt_files(
        &self,
        files: Behaviour,
        reason: &str,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<(ReleaseId, bool), ReleaseError> {
        let Some(last) = self.store().alias(FILES).await? else {
            return self.adopt(files, "owner", reason, now, random).await;
        };
        let id = files.id()?;
        let stable = self
            .stable()
            .ok_or_else(|| ReleaseError::Unknown(STABLE.to_owned()))?;
        if id == last {
            return Ok((stable.id.clone(), false));
        }
        let base = self.get(last.as_str()).await?.behaviour;
        let merged = merged(&base, &stable.behaviour, &files)?;
        let note = self.noted(files, reason, now).await?;
        self.adopt_with(merged, ("owner", reason), note, now, random)
            .await
    }

    /// What has to be noted before something else than the files becomes stable.
    pub(crate) async fn files_stay(&self, now: Timestamp) -> Result<Vec<Op>, ReleaseError> {
        let store = self.store();
        match (store.alias(FILES).await?, store.alias(STABLE).await?) {
            (None, Some(stable)) => Ok(vec![moved(stable, "what the files say", now)]),
            _ => Ok(Vec::new()),
        }
    }

    async fn noted(
        &self,
        files: Behaviour,
        reason: &str,
        now: Timestamp,
    ) -> Result<Vec<Op>, ReleaseError> {
        let (release, mut ops) = self.kept_from(files, "owner", reason, now).await?;
        ops.push(moved(release.id, reason, now));
        Ok(ops)
    }
}

fn moved(to: ReleaseId, reason: &str, at: Timestamp) -> Op {
    Op::MoveAlias {
        alias: FILES.to_owned(),
        to,
        reason: reason.to_owned(),
        by: "owner".to_owned(),
        at,
    }
}

/// What is served, with what changed in the files put over it. Where both changed the same thing the files
/// hold; where the two do not fit together, the files alone.
fn merged(
    base: &Behaviour,
    stable: &Behaviour,
    files: &Behaviour,
) -> Result<Behaviour, ReleaseError> {
    let value = |behaviour: &Behaviour| {
        serde_json::to_value(behaviour).map_err(|error| ReleaseError::Canonical(error.to_string()))
    };
    let whole = merge(&value(base)?, &value(stable)?, &value(files)?);
    let mut whole: Option<Behaviour> = serde_json::from_value(whole).ok();
    for (name, agent) in whole.iter_mut().flat_map(|whole| &mut whole.agents) {
        let of = |from: &Behaviour| from.agents.get(name).map(|agent| agent.skills.clone());
        let of = |from| of(from).unwrap_or_default();
        agent.skills = skill::merged(&of(base), &of(stable), &of(files));
    }
    let fits = whole.filter(|behaviour| check::check(behaviour).is_ok());
    Ok(fits.unwrap_or_else(|| files.clone()))
}

fn merge(base: &Value, ours: &Value, theirs: &Value) -> Value {
    if theirs == base {
        return ours.clone();
    }
    let (Value::Object(old), Value::Object(mine), Value::Object(new)) = (base, ours, theirs) else {
        return theirs.clone();
    };
    let mut whole = serde_json::Map::new();
    for key in mine.keys().chain(new.keys()) {
        let value = match (old.get(key), mine.get(key), new.get(key)) {
            (Some(old), Some(mine), Some(new)) => Some(merge(old, mine, new)),
            // What was added to what is served stays, and what was taken from it stays away unless it was
            // written anew.
            (None, Some(mine), None) => Some(mine.clone()),
            (Some(old), None, Some(new)) => (old != new).then(|| new.clone()),
            (None, _, Some(new)) => Some(new.clone()),
            (_, _, None) => None,
        };
        if let Some(value) = value {
            whole.insert(key.clone(), value);
        }
    }
    Value::Object(whole)
}
