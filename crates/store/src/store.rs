//! The handle that everybody else holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

use instar_protocol::approval::{Question, QuestionState, StandingRule};
use instar_protocol::event::Event;
use instar_protocol::fault::Occasions;
use instar_protocol::letter::{Letter, LetterState};
use instar_protocol::message::{Entry, Inbound, Outbox};
use instar_protocol::receipt::{ChainHead, ChainReport, StoredReceipt};
use instar_protocol::{
    EntryId, InboundId, Label, LetterId, ObjectHash, QuestionId, ReleaseId, RuleId, RunId,
    SessionId, SessionKey, Timestamp, UndoId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use crate::aliases::{self, AliasChain};
use crate::candidates::{self, CandidateRow, EnvelopeRow};
use crate::check;
use crate::devices::{self, DeviceRow, DeviceToken};
use crate::error::{OpenError, StoreError};
use crate::faults::{FaultEditRow, FaultRow, LabRunRow};
use crate::healing::HealingRow;
use crate::objects::Objects;
use crate::op::{
    Accepted, AliasMove, Branches, EventFilter, Fork, Op, Retention, SessionFilter, SessionRow,
    Spend, StoredInbound, StoredRelease, Unfinished, WebSession,
};
use crate::open::{Options, Synchronous};
use crate::pool::Pool;
use crate::programs::{self, ProgramRun};
use crate::read;
use crate::rollouts::{RolloutRow, UnitRow};
use crate::search::{self, TextFound, TextSearch};
use crate::sweep::{self, Place, Swept};
use crate::traces::{self, FileLabel, KeptOutput, UndoRow};
use crate::tree;
use crate::writer::{self, FLUSH_BOUNDS_MICROS, Job, QUEUE_MAX, Shared, Work, WriteProblem};
use crate::{faults, healing, letters, questions, receipts, rollouts, said};

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

    /// Where the transcript goes on in more than one way under the given entries, `None` for its
    /// root.
    pub async fn forks(
        &self,
        session: &SessionId,
        parents: Vec<Option<EntryId>>,
    ) -> Result<Vec<Fork>, StoreError> {
        let session = session.clone();
        self.read(move |sql| tree::forks(sql, &session, &parents))
            .await
    }

    /// The newest of an entry and everything under it: the end of its newest branch. `None` if
    /// there is no such entry in the session.
    pub async fn newest_under(
        &self,
        session: &SessionId,
        entry: &EntryId,
    ) -> Result<Option<EntryId>, StoreError> {
        let (session, entry) = (session.clone(), entry.clone());
        self.read(move |sql| tree::newest_under(sql, &session, &entry))
            .await
    }

    /// The branches of a transcript, at most `limit`, among its newest [`crate::ROWS_MAX`] entries.
    pub async fn branches(
        &self,
        session: &SessionId,
        limit: usize,
    ) -> Result<Branches, StoreError> {
        let session = session.clone();
        self.read(move |sql| tree::branches(sql, &session, limit))
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

    /// Looks for words in what was said, newest first.
    pub async fn search(&self, wanted: TextSearch) -> Result<TextFound, StoreError> {
        self.read(move |sql| search::search(sql, &wanted)).await
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

    /// The last move of all aliases.
    pub async fn alias_head(&self) -> Result<Option<ChainHead>, StoreError> {
        self.read(aliases::head).await
    }

    /// Goes through the history of aliases; with `noted` it says whether that is still part of it.
    pub async fn verify_aliases(&self, noted: Option<ChainHead>) -> Result<AliasChain, StoreError> {
        self.read(move |sql| aliases::verify(sql, noted.as_ref()))
            .await
    }

    /// The newest first.
    pub async fn candidates(&self) -> Result<Vec<CandidateRow>, StoreError> {
        self.read(candidates::candidates).await
    }

    /// Signed statements of one kind, the oldest first.
    pub async fn envelopes_of(&self, kind: &str) -> Result<Vec<EnvelopeRow>, StoreError> {
        let kind = kind.to_owned();
        self.read(move |sql| candidates::envelopes_of(sql, &kind))
            .await
    }

    /// The objects of all signed statements, in order, each once.
    pub async fn envelope_objects(&self) -> Result<Vec<ObjectHash>, StoreError> {
        self.read(candidates::envelope_objects).await
    }

    /// Signed statements about a release, or about all; the newest first.
    pub async fn envelopes(
        &self,
        release: Option<&ReleaseId>,
    ) -> Result<Vec<EnvelopeRow>, StoreError> {
        let release = release.cloned();
        self.read(move |sql| candidates::envelopes(sql, release.as_ref()))
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

    pub async fn device(&self, id: &str) -> Result<Option<DeviceRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| devices::device(sql, &id)).await
    }

    /// All devices, the one that was approved last first.
    pub async fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        self.read(devices::devices).await
    }

    pub async fn device_tokens(&self) -> Result<Vec<DeviceToken>, StoreError> {
        self.read(devices::tokens).await
    }

    /// The token with this digest.
    pub async fn device_token(&self, digest: &str) -> Result<Option<DeviceToken>, StoreError> {
        let digest = digest.to_owned();
        self.read(move |sql| devices::token(sql, &digest)).await
    }

    pub async fn question(&self, id: &QuestionId) -> Result<Option<Question>, StoreError> {
        let id = id.clone();
        self.read(move |sql| questions::question(sql, &id)).await
    }

    /// Open ones oldest first, others newest first.
    pub async fn questions(
        &self,
        state: Option<QuestionState>,
        session: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<Question>, StoreError> {
        let session = session.cloned();
        self.read(move |sql| questions::questions(sql, state, session.as_ref(), limit))
            .await
    }

    pub async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        let id = id.clone();
        self.read(move |sql| letters::letter(sql, &id)).await
    }

    /// The newest first: those in a state, or of one conversation from a moment on.
    pub async fn letters(
        &self,
        state: Option<LetterState>,
        of: Option<(&SessionId, Timestamp)>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        let of = of.map(|(session, since)| (session.clone(), since));
        self.read(move |sql| {
            let of = of.as_ref().map(|(session, since)| (session, *since));
            letters::letters(sql, state, of, limit)
        })
        .await
    }

    /// The faults of the register, the latest first.
    pub async fn faults(&self) -> Result<Vec<FaultRow>, StoreError> {
        self.read(faults::faults).await
    }

    pub async fn fault(&self, id: &str) -> Result<Option<FaultRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| faults::one(sql, &id)).await
    }

    /// What was counted of each place.
    pub async fn occasions(&self) -> Result<Vec<Occasions>, StoreError> {
        self.read(faults::places).await
    }

    /// Changes of the register of faults, the newest first.
    pub async fn fault_edits(&self, limit: usize) -> Result<Vec<FaultEditRow>, StoreError> {
        self.read(move |sql| faults::edits(sql, limit)).await
    }

    /// Cycles of the lab, the newest first.
    pub async fn lab_runs(&self, limit: usize) -> Result<Vec<LabRunRow>, StoreError> {
        self.read(move |sql| faults::runs(sql, limit)).await
    }

    /// What the lab is told again under this name.
    pub async fn lab_memory(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(move |sql| faults::memory(sql, &name)).await
    }

    /// Rows about fixes of one kind, by id.
    pub async fn healing(&self, kind: &str) -> Result<Vec<HealingRow>, StoreError> {
        let kind = kind.to_owned();
        self.read(move |sql| healing::of_kind(sql, &kind)).await
    }

    /// The newest first.
    pub async fn rollouts(&self, limit: usize) -> Result<Vec<RolloutRow>, StoreError> {
        self.read(move |sql| rollouts::rollouts(sql, limit)).await
    }

    /// Units of a rollout: those that wait, the oldest first, or those that are settled, the newest first.
    pub async fn units(
        &self,
        rollout: &str,
        is_settled: bool,
        limit: usize,
    ) -> Result<Vec<UnitRow>, StoreError> {
        let rollout = rollout.to_owned();
        self.read(move |sql| rollouts::units(sql, &rollout, is_settled, limit))
            .await
    }

    /// What was kept of a request.
    pub async fn request(&self, run: &RunId) -> Result<Option<String>, StoreError> {
        let run = run.clone();
        self.read(move |sql| letters::request(sql, &run)).await
    }

    pub async fn rule(&self, id: &RuleId) -> Result<Option<StandingRule>, StoreError> {
        let id = id.clone();
        self.read(move |sql| questions::rule(sql, &id)).await
    }

    /// The newest first, revoked and spent ones included.
    pub async fn rules(&self) -> Result<Vec<StandingRule>, StoreError> {
        self.read(questions::rules).await
    }

    /// The newest first, behind `before`.
    pub async fn receipts(
        &self,
        session: Option<&SessionId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredReceipt>, StoreError> {
        let session = session.cloned();
        self.read(move |sql| receipts::receipts(sql, session.as_ref(), before, limit))
            .await
    }

    /// The end of the chain of receipts.
    pub async fn receipts_head(&self) -> Result<Option<ChainHead>, StoreError> {
        self.read(receipts::head).await
    }

    /// Goes through the whole chain of receipts. Takes long.
    pub async fn verify_receipts(
        &self,
        noted: Option<ChainHead>,
    ) -> Result<ChainReport, StoreError> {
        self.read(move |sql| receipts::verify(sql, noted.as_ref()))
            .await
    }

    /// Who wrote a file with this content.
    pub async fn file_label(
        &self,
        path: &str,
        digest: &str,
    ) -> Result<Option<FileLabel>, StoreError> {
        let (path, digest) = (path.to_owned(), digest.to_owned());
        self.read(move |sql| traces::file_label(sql, &path, &digest))
            .await
    }

    /// The labels of a content anywhere below a root of file labels.
    pub async fn labels_of_content(
        &self,
        root: &str,
        digest: &str,
    ) -> Result<Vec<Label>, StoreError> {
        let (root, digest) = (root.to_owned(), digest.to_owned());
        self.read(move |sql| programs::labels_of_content(sql, &root, &digest))
            .await
    }

    /// The labels of everything below a root of file labels.
    pub async fn labels_below(&self, root: &str) -> Result<Vec<Label>, StoreError> {
        let root = root.to_owned();
        self.read(move |sql| programs::labels_below(sql, &root))
            .await
    }

    /// Programs that may have written in an agent's workspace and are not settled; of all agents
    /// without one.
    pub async fn program_runs(&self, agent: Option<&str>) -> Result<Vec<ProgramRun>, StoreError> {
        let agent = agent.map(str::to_owned);
        self.read(move |sql| programs::runs(sql, agent.as_deref()))
            .await
    }

    /// True if a tool changed a file since then.
    pub async fn wrote_since(&self, since: Timestamp) -> Result<bool, StoreError> {
        self.read(move |sql| traces::wrote_since(sql, since)).await
    }

    pub async fn undo(&self, id: &UndoId) -> Result<Option<UndoRow>, StoreError> {
        let id = id.clone();
        self.read(move |sql| traces::undo(sql, &id)).await
    }

    /// Changes of files that can be undone, the newest first.
    pub async fn undo_rows(
        &self,
        session: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<UndoRow>, StoreError> {
        let session = session.cloned();
        self.read(move |sql| traces::undo_rows(sql, session.as_ref(), limit))
            .await
    }

    /// A kept output, for the conversation that it belongs to.
    pub async fn kept_output(
        &self,
        session: &SessionId,
        handle: &str,
    ) -> Result<Option<KeptOutput>, StoreError> {
        let (session, handle) = (session.clone(), handle.to_owned());
        self.read(move |sql| traces::output(sql, &session, &handle))
            .await
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

    async fn read<T, F>(&self, body: F) -> Result<T, StoreError>
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
