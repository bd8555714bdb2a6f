//! Who is failed three times in a row by the candidate goes on with the stable release. It is no verdict: the episode
//! is bad already, and stays one of the candidate's.

use instar_protocol::event::{Event, EventKind, TurnOutcome};
use instar_protocol::{SessionId, Timestamp};
use instar_store::EventFilter;

use super::told::noted;
use crate::error::ReleaseError;
use crate::releases::Releases;

/// Turns that fail, one after the other.
const FAILURES: usize = 3;
/// Turns of an episode that are looked at.
const TURNS_MAX: usize = 1_000;

impl Releases {
    /// Looks at the turns of an episode that the candidate serves, before the next one. Those that went well since are
    /// the stable release's, where it was rescued before a restart.
    pub(super) async fn rescue(
        &self,
        session: &SessionId,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<(), ReleaseError> {
        let unit = self
            .live()
            .as_ref()
            .and_then(|live| live.served_by_it(session));
        let Some(unit) = unit else {
            return Ok(());
        };
        let turns = EventFilter {
            kind: Some("turn".to_owned()),
            session: Some(unit.session.clone()),
            since: Some(unit.at),
            limit: TURNS_MAX,
            ..EventFilter::default()
        };
        let turns = self.store().events(turns).await?;
        let in_a_row = |some: &[Event]| some.iter().all(has_failed);
        if !turns.windows(FAILURES).any(in_a_row) {
            return Ok(());
        }
        // The event of an episode that begins now is named after the same draw.
        let beside = random.map(|byte| !byte);
        let event = self.live().as_mut().map(|live| {
            live.rescue(&unit);
            let why = format!("{FAILURES} turns of {} failed in a row", unit.session);
            noted(live, "rescued", &why, now, beside)
        });
        self.store().commit(event.into_iter().collect()).await?;
        Ok(())
    }
}

fn has_failed(event: &Event) -> bool {
    let EventKind::Turn { outcome, .. } = &event.kind else {
        return false;
    };
    matches!(outcome, TurnOutcome::Failed | TurnOutcome::Interrupted)
}
