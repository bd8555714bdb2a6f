//! What a start does with what the last one left.
//!
//! A message that was accepted and not settled is answered now if its sender was told "accepted",
//! else shown as interrupted. A message whose run had already begun something that leaves traces is
//! never run again. A call without an outcome, and a reply that was on its way out, are uncertain:
//! shown, and not done again.

use instar_protocol::event::{EventKind, GatewayFact};
use instar_protocol::message::{Inbound, InboxState, NoticeKind, OnRestart, OutboxState};
use instar_protocol::{AgentId, SessionKey};
use instar_store::{EffectOutcome, Op, OpenEffect, StoreError, StoredInbound};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

use crate::closing::INTERRUPTED;
use crate::owner::{Leftover, Order, waiting};
use crate::sessions::Inner;

const UNCERTAIN_CALL: &str = "The gateway stopped while this was being done. Nobody knows whether it took \
effect, and it was not tried again. Check before you ask for it once more:";

const BEGUN: &str = "The gateway stopped in the middle of this, after something had been done. It was not \
run again, so that nothing is done twice.";

pub(crate) async fn recover(inner: &Arc<Inner>) -> Result<(u64, u64, u64), StoreError> {
    let left = inner.house.parts.store.unfinished().await?;
    let (mut resumed, mut interrupted, mut uncertain) = (0, 0, 0);
    for effect in left.effects {
        settle_effect(inner, effect).await?;
        uncertain += 1;
    }
    let at = inner.house.now();
    let outbox: Vec<Op> = left
        .outbox
        .iter()
        .filter(|row| matches!(row.state, OutboxState::Sending | OutboxState::Pending))
        .map(|row| Op::SettleOutbox {
            id: row.id.clone(),
            state: OutboxState::Uncertain,
            at,
        })
        .collect();
    if !outbox.is_empty() {
        uncertain += u64::try_from(outbox.len()).unwrap_or(u64::MAX);
        inner.house.parts.store.commit(outbox).await?;
    }
    // A session that is not stored yet has its id from the first message that it was sent.
    let mut openers: BTreeMap<SessionKey, Arc<Inbound>> = BTreeMap::new();
    for stored in &left.inbox {
        let key = stored.inbound.session_key.clone();
        openers
            .entry(key)
            .or_insert_with(|| Arc::new(stored.inbound.clone()));
    }
    // What is only to be shown comes first: no turn runs in its session yet.
    let (resumes, shown): (Vec<_>, Vec<_>) = left
        .inbox
        .into_iter()
        .filter(|stored| stored.state == InboxState::Pending)
        .partition(|stored| stored.run.is_none() && stored.inbound.on_restart == OnRestart::Resume);
    for stored in shown {
        interrupted += 1;
        if stored.run.is_some() {
            settle_begun(inner, stored).await?;
        } else {
            interrupt(inner, stored, &openers).await?;
        }
    }
    for stored in resumes {
        resumed += 1;
        resume(inner, stored, &openers).await;
    }
    if resumed + interrupted + uncertain > 0 {
        inner.house.note(EventKind::Gateway {
            what: GatewayFact::Recovered {
                resumed,
                interrupted,
                uncertain,
            },
        });
    }
    Ok((resumed, interrupted, uncertain))
}

async fn settle_effect(inner: &Arc<Inner>, effect: OpenEffect) -> Result<(), StoreError> {
    let end = Op::EndEffect {
        run: effect.run.clone(),
        call_id: effect.call.id.clone(),
        outcome: EffectOutcome::Uncertain,
        at: inner.house.now(),
    };
    let Some(row) = inner.house.parts.store.session(&effect.session).await? else {
        return inner.house.parts.store.commit(vec![end]).await;
    };
    let leftover = |done| Leftover {
        inbound: None,
        kind: NoticeKind::Uncertain,
        text: format!(
            "{UNCERTAIN_CALL} {}",
            crate::fence::one_line(&effect.call.name)
        ),
        ops: vec![end],
        done,
    };
    hand_over(inner, &row.key, leftover).await
}

/// The message's words are in the transcript already; only the end is missing.
async fn settle_begun(inner: &Arc<Inner>, stored: StoredInbound) -> Result<(), StoreError> {
    let settle = Op::SettleInbound {
        id: stored.inbound.id.clone(),
        run: stored.run,
        state: InboxState::Interrupted,
        at: inner.house.now(),
    };
    hand_over(inner, &stored.inbound.session_key, |done| Leftover {
        inbound: None,
        kind: NoticeKind::Interrupted,
        text: BEGUN.to_owned(),
        ops: vec![settle],
        done,
    })
    .await
}

async fn interrupt(
    inner: &Arc<Inner>,
    stored: StoredInbound,
    openers: &BTreeMap<SessionKey, Arc<Inbound>>,
) -> Result<(), StoreError> {
    let key = stored.inbound.session_key.clone();
    let agent = agent_of(inner, &key);
    if let Ok(handle) = inner.wake(&key, &agent) {
        let opener = openers.get(&key).map_or(&stored.inbound, |opener| opener);
        handle.open(&inner.house, opener, &agent).await?;
    }
    hand_over(inner, &key, |done| Leftover {
        inbound: Some(Arc::new(stored.inbound)),
        kind: NoticeKind::Interrupted,
        text: INTERRUPTED.to_owned(),
        ops: Vec::new(),
        done,
    })
    .await
}

async fn hand_over(
    inner: &Arc<Inner>,
    key: &SessionKey,
    leftover: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Leftover,
) -> Result<(), StoreError> {
    let (done, result) = oneshot::channel();
    let Ok(handle) = inner.wake(key, &agent_of(inner, key)) else {
        return Err(StoreError::Busy);
    };
    let order = Order::Settle(Box::new(leftover(done)));
    handle
        .orders
        .send(order)
        .await
        .map_err(|_| StoreError::Closed)?;
    result.await.unwrap_or(Err(StoreError::Closed))
}

/// Its model call may be made a second time; nothing that leaves traces is.
async fn resume(
    inner: &Arc<Inner>,
    stored: StoredInbound,
    openers: &BTreeMap<SessionKey, Arc<Inbound>>,
) {
    let key = stored.inbound.session_key.clone();
    let agent = agent_of(inner, &key);
    let Ok(handle) = inner.wake(&key, &agent) else {
        return;
    };
    let opener = openers.get(&key).map_or(&stored.inbound, |opener| opener);
    if let Err(error) = handle.open(&inner.house, opener, &agent).await {
        tracing::error!(%error, %key, "a waiting message could not be taken up");
        return;
    }
    let waiting = waiting(&inner.house, stored.inbound, Vec::new());
    // A task that ends at once leaves the message pending for the next start.
    drop(handle.orders.send(Order::Message(waiting)).await);
}

fn agent_of(inner: &Inner, key: &SessionKey) -> AgentId {
    key.agent()
        .unwrap_or_else(|| inner.house.settings().config.default_agent())
}
