//! A message's way in: into the store, and to the owner task of its conversation.

use instar_protocol::errand::ErrandKind;
use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::message::{Inbound, plain_text};
use instar_protocol::{AgentId, EntryId, EventId, InboundId, RunId, SessionId};
use instar_release::Cohort;
use instar_store::{Accepted, SessionRow, StoreError};
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::awake::{Handle, Opening};
use crate::commands::Command;
use crate::config::DropPolicy;
use crate::house::House;
use crate::live::Live;
use crate::owner::{self, Order};
use crate::sessions::Sessions;
use crate::{fence, history, kept, mask};

/// API callers that each wait on a connection are let in beyond the queue's cap, up to this many.
const CALLERS_WAITING_MAX: usize = 64;

#[derive(Debug)]
pub struct Submitted {
    pub inbound: InboundId,
    pub session: SessionId,
    /// Resolves when the message has been answered (or dropped, or failed). It closes without a
    /// value only when the process ends first; the message is then answered after the restart.
    pub outcome: oneshot::Receiver<Arc<Outcome>>,
    /// Live events of the session from before the message was queued.
    pub live: broadcast::Receiver<Arc<LiveEvent>>,
    /// Set if the idempotency key had been seen and that message's run is known.
    pub duplicate: Option<RunId>,
    /// True if the idempotency key had been seen: nothing runs again.
    pub is_duplicate: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the gateway is shutting down")]
    ShuttingDown,
    #[error("too many messages are waiting in this conversation")]
    QueueFull,
    #[error("there is no agent {0}")]
    UnknownAgent(String),
    #[error("entry {0} is not in this conversation")]
    UnknownEntry(EntryId),
    #[error("{0}")]
    Misplaced(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Stores the message and queues it. Durable when this returns.
    pub async fn submit(&self, inbound: Inbound) -> Result<Submitted, SubmitError> {
        self.submit_to(inbound, Target::Any).await
    }

    /// The same for a message whose session key was made for it: nothing can be stored under that
    /// key, so it is not looked up, and the turn begins while the store still writes the message.
    ///
    /// A message with an idempotency key may be a repetition: it does not belong here.
    pub async fn submit_first(&self, inbound: Inbound) -> Result<Submitted, SubmitError> {
        debug_assert!(inbound.idempotency_key.is_none(), "it may be a repetition");
        self.submit_to(inbound, Target::New).await
    }

    async fn submit_to(
        &self,
        mut inbound: Inbound,
        target: Target,
    ) -> Result<Submitted, SubmitError> {
        let house = &self.inner.house;
        if house.closing.is_cancelled() {
            return Err(SubmitError::ShuttingDown);
        }
        self.place(&mut inbound).await?;
        mask::inbound(house.content_mode(), &mut inbound);
        let agent = self.agent_of(&inbound.session_key)?;
        let handle = self.inner.wake(&inbound.session_key, &agent)?;
        let command = owner::command(house, &inbound);
        let is_command = command.is_some();
        let stops = command == Some(Command::Stop);
        let key = inbound.session_key.clone();
        self.check_room(&handle, is_command)?;
        let place = handle
            .orders
            .clone()
            .try_reserve_owned()
            .map_err(|_| SubmitError::QueueFull)?;
        let live = handle.live.watch();
        let opening = match target {
            Target::Any => handle.open(house, &inbound, &agent).await?,
            Target::New => handle.open_new(house, &inbound, &agent).await,
        };
        let event = message_in(house, &inbound, &opening.row);
        let (asker, outcome) = oneshot::channel();
        let mut submitted = Submitted {
            inbound: inbound.id.clone(),
            session: opening.row.id.clone(),
            outcome,
            live,
            duplicate: None,
            is_duplicate: false,
        };
        // Whoever submits may go away at any moment, but once the store has the message its owner
        // must hear of it: the two go together on a task of their own.
        let message = Message {
            inbound,
            event,
            asker,
        };
        let (house, live) = (Arc::clone(house), handle.live);
        let accepted = match target {
            Target::Any => self.inner.tasks.spawn(accept(house, live, place, message)),
            Target::New => self.inner.tasks.spawn(begin(house, live, place, message)),
        };
        let accepted = accepted.await;
        if stops {
            let _children = self.inner.stop_children(&key);
        }
        if let Accepted::Duplicate { id, run, .. } = accepted.map_err(|_| StoreError::Closed)?? {
            submitted.inbound = id;
            submitted.duplicate = run;
            submitted.is_duplicate = true;
        }
        Ok(submitted)
    }

    /// A full queue must not keep `/stop` out.
    fn check_room(&self, handle: &Handle, is_command: bool) -> Result<(), SubmitError> {
        let queue = &self.inner.house.settings().config.messages.queue;
        let cap = usize::try_from(queue.cap).unwrap_or(usize::MAX);
        let room = match queue.drop {
            DropPolicy::New if !is_command => cap,
            DropPolicy::New | DropPolicy::Old | DropPolicy::Summarize => {
                cap.saturating_add(CALLERS_WAITING_MAX)
            }
        };
        if handle.waiting() < room {
            Ok(())
        } else {
            Err(SubmitError::QueueFull)
        }
    }
}

impl Handle {
    /// The session that the key points at, or the one that this message opens. A new session takes
    /// its id from the message, so that it has the same id if the message is answered after a
    /// restart.
    pub(crate) async fn open(
        &self,
        house: &House,
        inbound: &Inbound,
        agent: &AgentId,
    ) -> Result<Opening, StoreError> {
        let opening = self
            .opening
            .get_or_try_init(async || {
                let found = house
                    .parts
                    .store
                    .session_by_key(&inbound.session_key)
                    .await?;
                Ok::<_, StoreError>(match found.filter(|row| row.deleted_at.is_none()) {
                    Some(row) => Opening {
                        row,
                        is_stored: true,
                    },
                    None => Opening::new(house, inbound, agent),
                })
            })
            .await?;
        Ok(opening.clone())
    }

    /// The session that this message opens, without a look whether there is one.
    async fn open_new(&self, house: &House, inbound: &Inbound, agent: &AgentId) -> Opening {
        let opening = self
            .opening
            .get_or_init(async || Opening::new(house, inbound, agent))
            .await;
        opening.clone()
    }
}

impl Opening {
    fn new(house: &House, inbound: &Inbound, agent: &AgentId) -> Self {
        Self {
            row: new_row(house, inbound, agent),
            is_stored: false,
        }
    }
}

/// The conversation that a message is for.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// One that may be there already.
    Any,
    /// One that begins with it.
    New,
}

/// A message on its way into the store.
struct Message {
    inbound: Inbound,
    event: Event,
    asker: oneshot::Sender<Arc<Outcome>>,
}

/// Makes the first message of a conversation durable, and has its turn begun meanwhile.
async fn begin(
    house: Arc<House>,
    live: Live,
    place: mpsc::OwnedPermit<Order>,
    message: Message,
) -> Result<Accepted, StoreError> {
    let Message {
        inbound,
        event,
        asker,
    } = message;
    let (keeping, kept) = kept::pair();
    let mut waiting = owner::waiting(&house, inbound, vec![asker]);
    waiting.kept = Some(kept);
    let inbound = Arc::clone(&waiting.inbound);
    // The store gets to work first.
    let (accepted, _) = tokio::join!(biased; house.parts.store.accept(&inbound, event), async {
        place.send(Order::Message(waiting))
    });
    let accepted = accepted?;
    keeping.done();
    live.send(|| LiveEvent::Accepted {
        inbound: inbound.id.clone(),
    });
    Ok(accepted)
}

/// Makes a message durable and hands it to its owner.
async fn accept(
    house: Arc<House>,
    live: Live,
    place: mpsc::OwnedPermit<Order>,
    message: Message,
) -> Result<Accepted, StoreError> {
    let Message {
        inbound,
        event,
        asker,
    } = message;
    let accepted = house.parts.store.accept(&inbound, event).await?;
    match &accepted {
        Accepted::Fresh => {
            live.send(|| LiveEvent::Accepted {
                inbound: inbound.id.clone(),
            });
            let waiting = owner::waiting(&house, inbound, vec![asker]);
            place.send(Order::Message(waiting));
        }
        Accepted::Duplicate { id, .. } => {
            let id = id.clone();
            place.send(Order::Attach { id, asker });
        }
    }
    Ok(accepted)
}

fn new_row(house: &House, inbound: &Inbound, agent: &AgentId) -> SessionRow {
    let id = inbound.id.as_str();
    let tail = id.split_once('_').map_or(id, |(_, tail)| tail);
    let errand = inbound.overrides.errand.as_deref();
    let named = errand.and_then(|errand| errand.title.clone());
    let title = named.unwrap_or_else(|| plain_text(&inbound.parts));
    let title: String = fence::one_line(title.trim());
    let id = SessionId::from_stored(format!("ses_{tail}"));
    SessionRow {
        title: (!title.is_empty()).then(|| title.chars().take(80).collect()),
        parent: errand
            .filter(|errand| errand.kind == ErrandKind::Task)
            .map(|errand| errand.from.clone()),
        ..history::new_row(id, &inbound.session_key, agent, house.now())
    }
}

pub(crate) fn message_in(house: &House, inbound: &Inbound, row: &SessionRow) -> Event {
    let text = plain_text(&inbound.parts);
    let cohort = Cohort {
        session: row.id.clone(),
        at: house.now(),
    };
    let served = house.parts.releases.resolve(&row.agent, &cohort);
    Event {
        id: EventId::new(inbound.received_at, house.random()),
        at: inbound.received_at,
        session: Some(row.id.clone()),
        run: None,
        asker: Some(inbound.principal.standing()),
        arm: served.as_ref().map_or(Arm::Stable, |served| served.arm),
        release: served.map(|served| served.release.id.clone()),
        label: fence::label_of_message(inbound),
        kind: EventKind::MessageIn {
            inbound: inbound.id.clone(),
            surface: inbound.surface.clone(),
            bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
            content: house.content(&text),
        },
    }
}
