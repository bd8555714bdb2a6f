//! The handle that everybody else holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

use instar_protocol::event::Event;
use instar_protocol::message::{Entry, Inbound, Outbox};
use instar_protocol::{
    EntryId, InboundId, ObjectHash, ReleaseId, RunId, SessionId, SessionKey, Timestamp,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use crate::check;
use crate::error::{OpenError, StoreError};
use crate::objects::Objects;
use crate::op::{
    Accepted, AliasMove, EventFilter, Op, Retention, SessionFilter, SessionRow, Spend,
    StoredInbound, StoredRelease, Unfinished, WebSession,
};
use crate::open::{Options, Synchronous};
use crate::pool::Pool;
use crate::read;
use crate::said;
use crate::sweep::{self, Place, Swept};
use crate::writer::{self, FLUSH_BOUNDS_MICROS, Job, QUEUE_MAX, Shared, Work, WriteProblem};

/// How long a write waits for a place in the queue before it is refused.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Objects that are written or read at the same time.
const OBJECTS_AT_ONCE: usize = 4;

/// The open store. Cheap to clone; the writer thread ends when the last clone is dropped or
/// [`Store::close`] was called.
///
/// # Cancellation
/// Dropping the future of a write does not undo it: once handed to the writer it is committed
/// whole or refused whole, whether or not somebody listens. Who needs to know must await it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: PathBuf,
    synchronous: Synchronous,
    jobs: SyncSender<Job>,
    places: Arc<Semaphore>,
    closed: AtomicBool,
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    objects: Arc<Objects>,
    object_places: Arc<Semaphore>,
}

/// What the writer has done since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Transactions, each with one flush.
    pub commits: u64,
    /// Batches in them; more than commits when batches shared a flush.
    pub batches: u64,
    /// Time spent in committing, flushes included.
    pub flush_nanos: u64,
    /// Commits by the time they took, in the classes of [`crate::FLUSH_BOUNDS_MICROS`]; the last
    /// one is without end.
    pub flushes: [u64; FLUSH_BOUNDS_MICROS.len() + 1],
    /// Copies of the write-ahead log into the file.
    pub checkpoints: u64,
    /// Writes that wait at present, in the queue or in the group being committed.
    pub waiting: usize,
}

impl Store {
    /// Opens (or makes) the store below `state`, migrates it, and starts the writer.
    pub fn open(state: &Path, options: Options) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::default());
        let jobs = writer::start(state, &options, Arc::clone(&shared))?;
        let objects = Objects::new(state);
        if let Err(error) = objects.sweep() {
            tracing::warn!(%error, "half-written objects could not be removed");
        }
        Ok(Self {
            inner: Arc::new(Inner {
                state: state.to_owned(),
                synchronous: options.synchronous,
                jobs,
                places: Arc::new(Semaphore::new(QUEUE_MAX)),
                closed: AtomicBool::new(false),
                shared,
                pool: Arc::new(Pool::new(state, options.readers)),
                objects: Arc::new(objects),
                object_places: Arc::new(Semaphore::new(OBJECTS_AT_ONCE)),
            }),
        })
    }

    /// The state folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.state
    }

    /// Whether commits wait for the disk.
    #[must_use]
    pub fn synchronous(&self) -> Synchronous {
        self.inner.synchronous
    }

    /// Why writes fail at present; `None` when the last one that touched the disk went well.
    #[must_use]
    pub fn health(&self) -> Option<WriteProblem> {
        self.inner.shared.problem()
    }

    /// Counters for metrics and benches.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.inner.shared;
        Stats {
            commits: shared.commits.load(Ordering::Relaxed),
            batches: shared.batches.load(Ordering::Relaxed),
            flush_nanos: shared.flush_nanos.load(Ordering::Relaxed),
            flushes: shared
                .flushes
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
            checkpoints: shared.checkpoints.load(Ordering::Relaxed),
            waiting: QUEUE_MAX.saturating_sub(self.inner.places.available_permits()),
        }
    }

    /// Stores an inbound message with its event. Durable when this returns.
    ///
    /// A message whose idempotency key was seen before under its session key is not stored again,
    /// nor is its event.
    pub async fn accept(&self, inbound: &Inbound, event: Event) -> Result<Accepted, StoreError> {
        let inbound = Box::new(inbound.clone());
        self.ask(|reply| Work::Accept(inbound, Box::new(event), reply))
            .await
    }

    /// Applies a batch atomically. Durable when this returns.
    ///
    /// Not undone by dropping the future; see [`Store`].
    pub async fn commit(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        if ops.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Work::Commit(ops, reply)).await
    }

    /// Hands over a batch that may wait for the next group commit. Lost by a crash before that.
    pub fn enqueue(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        let place = Arc::clone(&self.inner.places)
            .try_acquire_owned()
            .map_err(|refused| match refused {
                TryAcquireError::NoPermits => StoreError::Busy,
                TryAcquireError::Closed => StoreError::Closed,
            })?;
        self.hand_over(Work::Lazy(ops), Some(place))
    }

    /// Flushes everything and stops the writer. Writes and reads after it are refused.
    pub async fn close(&self) -> Result<(), StoreError> {
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.inner.places.close();
        self.inner.pool.close();
        let (reply, answer) = oneshot::channel();
        self.hand_over(Work::Close(reply), None)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// The session that a key points at now, unless it was deleted.
    pub async fn session_by_key(&self, key: &SessionKey) -> Result<Option<SessionRow>, StoreError> {
        let key = key.clone();
        self.read(move |sql| read::session_by_key(sql, &key)).await
    }

    /// The conversations of the sub-agents that work for one, and of those that work for these.
    pub async fn sessions_under(&self, id: &SessionId) -> Result<Vec<SessionId>, StoreError> {
        let id = id.clone();
        self.read(move |sql| read::sessions_under(sql, &id)).await
    }

    pub async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let id = id.clone();
        self.read(move |sql| read::session(sql, &id)).await
    }

    /// The session changed last comes first.
    pub async fn sessions(&self, filter: SessionFilter) -> Result<Vec<SessionRow>, StoreError> {
        self.read(move |sql| read::sessions(sql, &filter)).await
    }

    /// Sessions that are not deleted.
    pub async fn session_count(&self) -> Result<u64, StoreError> {
        self.read(read::session_count).await
    }

    /// The path from the leaf towards the root, newest first, at most `limit` entries; it stops
    /// after a `Reset` entry. `from` is the leaf when `None`.
    pub async fn branch(
        &self,
        session: &SessionId,
        from: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let session = session.clone();
        self.read(move |sql| read::branch(sql, &session, from, limit))
            .await
    }

    /// All entries of a session in the order they were stored, all branches, paged by that order.
    pub async fn entries(
        &self,
        session: &SessionId,
        after: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let session = session.clone();
        self.read(move |sql| read::entries(sql, &session, after.as_ref(), limit))
            .await
    }

    /// Takes some of what was said since into the index that [`Store::search`] asks. True if there
    /// may be more: call again. Without it everything is found, only more slowly.
    pub async fn index_step(&self) -> Result<bool, StoreError> {
        if !self.read(said::is_behind).await? {
            return Ok(false);
        }
        self.commit(vec![Op::IndexSaid]).await?;
        Ok(true)
    }

    /// Pending messages, effects without outcome, replies not known to be delivered.
    pub async fn unfinished(&self) -> Result<Unfinished, StoreError> {
        self.read(read::unfinished).await
    }

    pub async fn inbound(&self, id: &InboundId) -> Result<Option<StoredInbound>, StoreError> {
        let id = id.clone();
        self.read(move |sql| read::inbound(sql, &id)).await
    }

    pub async fn entries_of_run(&self, run: &RunId) -> Result<Vec<Entry>, StoreError> {
        let run = run.clone();
        self.read(move |sql| read::entries_of_run(sql, &run)).await
    }

    pub async fn outbox_of_run(&self, run: &RunId) -> Result<Vec<Outbox>, StoreError> {
        let run = run.clone();
        self.read(move |sql| read::outbox_of_run(sql, &run)).await
    }

    /// Replies whose delivery is not known, newest first.
    pub async fn uncertain(&self, limit: usize) -> Result<Vec<Outbox>, StoreError> {
        self.read(move |sql| read::uncertain(sql, limit)).await
    }

    /// Newest first without `after`, oldest first behind it; in the order they were stored, so
    /// that who follows the log misses nothing that was committed late.
    pub async fn events(&self, filter: EventFilter) -> Result<Vec<Event>, StoreError> {
        self.read(move |sql| read::events(sql, &filter)).await
    }

    /// Reads the whole file and says what is damaged in it; empty if it is sound. Takes long.
    pub async fn damage(&self) -> Result<Vec<String>, StoreError> {
        self.read(check::damage).await
    }

    pub async fn alias(&self, alias: &str) -> Result<Option<ReleaseId>, StoreError> {
        let alias = alias.to_owned();
        self.read(move |sql| read::alias(sql, &alias)).await
    }

    /// The moves of one alias, or of all; the newest first.
    pub async fn alias_log(
        &self,
        alias: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AliasMove>, StoreError> {
        let alias = alias.map(str::to_owned);
        self.read(move |sql| read::alias_log(sql, alias.as_deref(), limit))
            .await
    }

    /// The newest first.
    pub async fn releases(&self) -> Result<Vec<StoredRelease>, StoreError> {
        self.read(read::releases).await
    }

    /// The release of this id, however many there are.
    pub async fn release(&self, id: &ReleaseId) -> Result<Option<StoredRelease>, StoreError> {
        let id = id.clone();
        self.read(move |sql| read::release(sql, &id)).await
    }

    /// Spending of the days `from..=to`, summed per day, agent and model; the session is empty.
    pub async fn spend(&self, from: &str, to: &str) -> Result<Vec<Spend>, StoreError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.read(move |sql| read::spend(sql, &from, &to)).await
    }

    pub async fn web_session(&self, digest: &str) -> Result<Option<WebSession>, StoreError> {
        let digest = digest.to_owned();
        self.read(move |sql| read::web_session(sql, &digest)).await
    }

    /// Removes what retention says: deleted sessions, old events and settled rows, spent web
    /// sessions. Bounded work per call; returns the rows removed, so call again until it is zero.
    pub async fn maintain(&self, now: Timestamp, keep: Retention) -> Result<u64, StoreError> {
        self.ask(|reply| Work::Maintain(now, keep, reply)).await
    }

    /// Lets go of memory that only speeds up reading. For a quiet moment: the next read pays for it.
    pub async fn rest(&self) {
        let pool = Arc::clone(&self.inner.pool);
        if tokio::task::spawn_blocking(move || pool.rest())
            .await
            .is_err()
        {
            tracing::warn!("connections that only read could not be closed");
        }
    }

    /// Stores bytes under their SHA-256; an object that exists is left alone. Durable when this
    /// returns.
    pub async fn put_object(&self, bytes: Vec<u8>) -> Result<ObjectHash, StoreError> {
        self.with_objects(move |objects| objects.put(&bytes)).await
    }

    /// Reads an object and checks its hash.
    pub async fn object(&self, hash: &ObjectHash) -> Result<Vec<u8>, StoreError> {
        let hash = hash.clone();
        self.with_objects(move |objects| objects.get(&hash)).await
    }

    /// What the objects take up. Takes as long as listing them.
    pub async fn objects_size(&self) -> Result<Swept, StoreError> {
        self.with_objects(|objects| {
            let lying = objects.list();
            let lying = lying.map_err(|source| StoreError::io("listing objects", source))?;
            Ok(Swept {
                kept: lying.len() as u64,
                kept_bytes: lying.iter().map(|object| object.bytes).sum(),
                ..Swept::default()
            })
        })
        .await
    }

    /// Removes the objects that no row names and that were not stored for as long as `grace`, which
    /// has to be longer than any message is on its way to its row.
    pub async fn sweep_objects(&self, grace: Duration) -> Result<Swept, StoreError> {
        let before = SystemTime::now() - grace;
        let lying = self.with_objects(|objects| {
            let lying = objects.list();
            lying.map_err(|source| StoreError::io("listing objects", source))
        });
        let lying = lying.await?;
        let mut swept = Swept {
            kept: lying.len() as u64,
            kept_bytes: lying.iter().map(|object| object.bytes).sum(),
            ..Swept::default()
        };
        let mut old: BTreeMap<ObjectHash, u64> = lying
            .into_iter()
            .filter(|object| object.stored < before)
            .map(|object| (object.hash, object.bytes))
            .collect();
        for place in Place::ALL {
            let mut after = 0;
            while !old.is_empty() {
                let named = self
                    .read(move |sql| sweep::named(sql, place, after))
                    .await?;
                old.retain(|hash, _| !named.objects.contains(hash));
                let Some(next) = named.next else { break };
                after = next;
            }
        }
        for (hash, bytes) in old {
            let gone = self.with_objects(move |objects| {
                let gone = objects.remove_old(&hash, before);
                gone.map_err(|source| StoreError::io("removing an object", source))
            });
            if gone.await? {
                swept.removed += 1;
                swept.removed_bytes += bytes;
            }
        }
        swept.kept -= swept.removed;
        swept.kept_bytes -= swept.removed_bytes;
        Ok(swept)
    }

    /// Hands work to the writer and waits for the group commit that holds it.
    async fn ask<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Work,
    ) -> Result<T, StoreError> {
        let waiting = Arc::clone(&self.inner.places).acquire_owned();
        let place = tokio::time::timeout(PLACE_WAIT_MAX, waiting)
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.hand_over(work(reply), Some(place))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn hand_over(&self, work: Work, place: Option<OwnedSemaphorePermit>) -> Result<(), StoreError> {
        // Who holds a place finds room; there is one more for the request to close.
        self.inner
            .jobs
            .try_send(Job { work, place })
            .map_err(|_| StoreError::Closed)
    }

    pub(crate) async fn read<T, F>(&self, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let read = self.inner.pool.read(body).await;
        read.map_err(|error| match error {
            // Said of the files rather than of what could not be done because of them.
            error if error.is_disk() => self.inner.shared.files_problem().unwrap_or(error),
            other => other,
        })
    }

    async fn with_objects<T, F>(&self, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Objects) -> Result<T, StoreError> + Send + 'static,
    {
        let objects = Arc::clone(&self.inner.objects);
        let place = Arc::clone(&self.inner.object_places)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            body(&objects)
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}
