//! A rollout after a restart: it goes on where it was, unless its candidate is not what it was any more.

use instar_protocol::Timestamp;
use std::sync::Arc;

use super::control::BY_ITSELF;
use super::live::Live;
use super::settle::candidate_ops;
use super::shown::bodies;
use super::told::{noted, told};
use super::verdict::Verdict;
use crate::error::ReleaseError;
use crate::releases::{Releases, bounded};

impl Releases {
    /// Takes up the rollout that was under way before a restart, for who serves turns. One whose candidate does not have its
    /// hash or its signature any more is taken back, and says so.
    pub async fn take_up_rollout(
        &self,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<(), ReleaseError> {
        let last = bodies(self.store(), 1).await?.pop();
        let Some((row, body)) = last.filter(|(row, _)| row.is_open) else {
            return Ok(());
        };
        let watched = if body.machine.is_watching() {
            Some(self.trusted(&body.stable).await)
        } else {
            None
        };
        if let Some(Err(refused)) = &watched {
            // Nothing can be held out any more; what is stable was looked at by itself.
            let mut machine = body.machine.clone();
            machine.end_watch();
            let Some(stable) = self.stable() else {
                return Ok(());
            };
            let live = Live::new(row, body, stable);
            let why = bounded(&refused.to_string());
            let event = noted(&live, "watched", &why, now, random);
            let ops = vec![live.stored(&machine, now)?, event];
            self.store().commit(ops).await?;
            return Ok(());
        }
        match self.trusted(&body.release).await {
            Ok(release) => {
                let mut live = Live::new(row, body, Arc::new(release));
                live.before = watched.and_then(Result::ok).map(Arc::new);
                live.take_up(self.store(), self.corrects()).await?;
                *self.live() = Some(live);
                Ok(())
            }
            Err(refused) => {
                let Some(stable) = self.stable() else {
                    return Ok(());
                };
                let mut live = Live::new(row, body, stable);
                let mut machine = live.body.machine.clone();
                machine.violated(&bounded(&refused.to_string()));
                let mut ops = vec![live.stored(&machine, now)?];
                ops.extend(
                    candidate_ops(self.store(), &live.body.candidate, machine.stage(), now).await?,
                );
                let verdict = Verdict::of(&live, &machine, BY_ITSELF, now);
                if let Some((verdict, signer)) = verdict.zip(self.signer()) {
                    let release = &live.body.release;
                    ops.push(verdict.put(signer, self.store(), release).await?);
                }
                live.body.machine = machine;
                ops.push(told(&live, live.stage(), now, random));
                self.store().commit(ops).await?;
                Ok(())
            }
        }
    }
}
