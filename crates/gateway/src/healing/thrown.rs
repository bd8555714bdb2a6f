//! What the coins of trials said before the gateway began.
//!
//! The arm of a unit is fixed when its first exposure is noted. A restart in the middle of a block or of an
//! episode must not throw again, so the key that the coins are made from is kept, and what they said is read
//! from the event log.

use instar_agent::{Thrown, ThrownTurn};
use instar_protocol::Timestamp;
use instar_release::evidence::KEY_BYTES;
use instar_release::trial::STATE;
use instar_store::{EventFilter, HealingRow, Op, Store};

use super::HealingError;

/// The name of the key.
const COIN: &str = "coin";
/// An episode of twenty turns with the longest pauses between them is over after that.
const UNIT_MS_MAX: u64 = 10 * 60 * 60_000;
/// Turns that are read, the latest.
const TURNS_MAX: usize = 10_000;

pub(crate) async fn thrown(store: &Store, now: Timestamp) -> Result<Thrown, HealingError> {
    let filter = EventFilter {
        kind: Some("exposure".to_owned()),
        since: Some(Timestamp::from_millis(
            now.millis().saturating_sub(UNIT_MS_MAX),
        )),
        limit: TURNS_MAX,
        ..EventFilter::default()
    };
    let mut events = store.events(filter).await?;
    // The store tells the newest first.
    events.reverse();
    Ok(Thrown {
        key: key(store, now).await?,
        turns: events.iter().filter_map(ThrownTurn::of).collect(),
    })
}

/// The key of this house, made the first time; none where the system has no random numbers.
async fn key(store: &Store, now: Timestamp) -> Result<Option<[u8; KEY_BYTES]>, HealingError> {
    let rows = store.healing(STATE).await?;
    let known = rows.iter().find(|row| row.id == COIN);
    let known = known.and_then(|row| hex::decode(&row.body).ok()?.try_into().ok());
    if known.is_some() {
        return Ok(known);
    }
    let mut key = [0; KEY_BYTES];
    if let Err(error) = getrandom::fill(&mut key) {
        tracing::error!(%error, "no key for the coins of trials can be made");
        return Ok(None);
    }
    let row = HealingRow {
        kind: STATE.to_owned(),
        id: COIN.to_owned(),
        at: now,
        body: hex::encode(key),
    };
    store.commit(vec![Op::PutHealing(row)]).await?;
    Ok(Some(key))
}
