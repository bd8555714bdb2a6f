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
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

use crate::awake::Handle;
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
    resumed += u64::try_from(resumes.len()).unwrap_or(u64::MAX);
    let rest = resume_all(inner, resumes, &openers).await;
    if !rest.is_empty() {
        let inner_too = Arc::clone(inner);
        inner.tasks.spawn(async move {
            for stored in rest {
                if wake(&inner_too, &stored.inbound.session_key)
                    .await
                    .is_none()
                {
                    return;
                }
                resume(&inner_too, stored, &openers).await;
            }
        });
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
    if let Some(handle) = wake(inner, &key).await {
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
    let Some(handle) = wake(inner, key).await else {
        return Err(StoreError::Closed);
    };
    let order = Order::Settle(Box::new(leftover(done)));
    handle
        .orders
        .send(order)
        .await
        .map_err(|_| StoreError::Closed)?;
    result.await.unwrap_or(Err(StoreError::Closed))
}

/// Hands over as many as find room, and gives back the others in their order. Once one of a session
/// has to wait, so do those behind it.
async fn resume_all(
    inner: &Arc<Inner>,
    waiting: Vec<StoredInbound>,
    openers: &BTreeMap<SessionKey, Arc<Inbound>>,
) -> Vec<StoredInbound> {
    let mut rest: Vec<StoredInbound> = Vec::new();
    let mut full: BTreeSet<SessionKey> = BTreeSet::new();
    for stored in waiting {
        let key = &stored.inbound.session_key;
        if full.contains(key) || inner.wake(key, &agent_of(inner, key)).is_err() {
            full.insert(key.clone());
            rest.push(stored);
        } else {
            resume(inner, stored, openers).await;
        }
    }
    rest
}

/// The owner task of a session, as soon as there is room for it. `None` if the process ends first:
/// what is pending then stays so for the next start.
async fn wake(inner: &Arc<Inner>, key: &SessionKey) -> Option<Handle> {
    loop {
        if inner.house.closing.is_cancelled() {
            return None;
        }
        if let Ok(handle) = inner.wake(key, &agent_of(inner, key)) {
            return Some(handle);
        }
        tokio::select! {
            () = inner.house.closing.cancelled() => return None,
            () = inner.awake.room() => {}
        }
    }
}

/// Its model call may be made a second time; nothing that leaves traces is.
pub(crate) async fn resume(
    inner: &Arc<Inner>,
    stored: StoredInbound,
    openers: &BTreeMap<SessionKey, Arc<Inbound>>,
) {
    let key = stored.inbound.session_key.clone();
    let agent = agent_of(inner, &key);
    let Some(handle) = wake(inner, &key).await else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{home, inbound};
    use instar_protocol::event::Event;
    use instar_protocol::{EventId, Label};

    #[tokio::test]
    async fn more_sessions_than_may_be_awake_are_all_answered() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path()).await;
        let house = Arc::clone(&home.sessions.inner.house);
        // In tests eight may be awake.
        for number in 0..40 {
            let key = SessionKey::parse(&format!("agent:main:web:{}", number % 20)).unwrap();
            let message = inbound(&home.clock, &key, &format!("hello {number}"));
            let event = Event {
                label: Label::owner(),
                ..Event::of_house(
                    EventId::new(house.now(), house.random()),
                    house.now(),
                    EventKind::MessageIn {
                        inbound: message.id.clone(),
                        surface: "web".to_owned(),
                        bytes: 7,
                        content: None,
                    },
                )
            };
            home.store.accept(&message, event).await.unwrap();
        }
        assert_eq!(home.sessions.recover().await.unwrap(), (40, 0, 0));
        while !home.store.unfinished().await.unwrap().inbox.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(home.script.calls(), 40);
        assert_eq!(home.store.session_count().await.unwrap(), 20);
    }
}
