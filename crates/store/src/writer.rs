//! The writer thread: group commit, lazy batches, and when the log is copied into the file.
//!
//! Everything that waits is applied in one transaction, each batch behind its own savepoint, and
//! one flush pays for all of them. While a flush runs, the next group gathers.
//!
//! Checkpoints stay off the commit path. SQLite would copy the log inside whichever commit passes
//! 1,000 pages and add two flushes to it. Instead a second thread copies while commits go on. It
//! can never catch up with a writer that does not pause, and a log that is not wholly copied is
//! never used again from its start; so when the copy is done and the log is still long, the
//! writer copies the few pages that came in meanwhile between two groups. That bounds the log
//! to [`WAL_PAGES_COPY`] and what arrives during one copy.

mod files;
mod shared;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::apply;
use crate::error::{OpenError, StoreError};
use crate::maintain;
use crate::open::{self, Options};
use files::Files;
use shared::Watch;
use work::{Outcome, Reply, answer, take_close};

pub(crate) use shared::Shared;
pub use shared::{FLUSH_BOUNDS_MICROS, WriteProblem};
pub(crate) use work::{Job, Work};

/// Batches that may wait for the writer. Callers beyond that wait in line for a place.
pub(crate) const QUEUE_MAX: usize = 1024;
/// Batches in one transaction.
const GROUP_MAX: usize = 256;
/// Log pages (of 4 KiB) after which a copy starts under load.
const WAL_PAGES_COPY: i32 = 1024;
/// Log pages that are worth a copy when nothing else happens.
const WAL_PAGES_IDLE: i32 = 256;
/// Nothing happened for this long: the writer is idle.
const IDLE: Duration = Duration::from_millis(500);

struct Writer {
    connection: Connection,
    state: PathBuf,
    lazy: Duration,
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    copier: SyncSender<()>,
    /// The length of the log at which the next copy starts. Moves up while a reader keeps the log
    /// from being used again, so that copying does not repeat itself with each commit.
    copy_at: i32,
    /// The length of the log after the last commit.
    length: i32,
}

/// Opens the writer's connection and starts its two threads.
pub(crate) fn start(
    state: &Path,
    options: &Options,
    shared: Arc<Shared>,
) -> Result<SyncSender<Job>, OpenError> {
    let mut connection = open::writer(state, options)?;
    let failed = |source| OpenError::open(state, source);
    let pages = Arc::clone(&shared);
    connection
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            pages.log_pages.store(count, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(failed)?;
    let copying = open::checkpointer(state, options.synchronous).map_err(failed)?;
    let files = Files::remember(state).map_err(|source| OpenError::Folder {
        path: state.to_owned(),
        source,
    })?;
    shared.watch(files);
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(1024 * 1024)
            .spawn(body)
            .map_err(|source| OpenError::Folder {
                path: state.to_owned(),
                source,
            })
    };
    let (copier, asked) = sync_channel(1);
    let copies = Arc::clone(&shared);
    let copier_thread = spawn(
        "store-copier",
        Box::new(move || copy_log(copying, &asked, &copies)),
    )?;
    let (sender, jobs) = sync_channel(QUEUE_MAX + 1);
    let writer = Writer {
        connection,
        state: state.to_owned(),
        lazy: Duration::from_millis(options.lazy_ms),
        jobs,
        shared,
        copier,
        copy_at: WAL_PAGES_COPY,
        length: 0,
    };
    // The writer ends by itself when the last handle is gone; `close` waits for it by its answer.
    let _detached = spawn(
        "store-writer",
        Box::new(move || {
            let _watch = Watch(Arc::clone(&writer.shared));
            writer.run(copier_thread);
        }),
    )?;
    Ok(sender)
}

/// Copies the log into the file each time it is asked to.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the connection closes with its thread"
)]
fn copy_log(connection: Connection, asked: &Receiver<()>, shared: &Shared) {
    while asked.recv().is_ok() {
        checkpoint(&connection, shared);
        shared.copied.store(true, Ordering::Release);
        shared.copying.store(false, Ordering::Release);
    }
    keep_what_is_not_ours(&connection, shared);
}

/// The last connection to close copies the log into the file: not if that is not ours any more.
fn keep_what_is_not_ours(connection: &Connection, shared: &Shared) {
    if let Some(problem) = shared.problem() {
        tracing::warn!(
            problem = problem.message,
            "the log is left beside the file as it is"
        );
        let left = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = left {
            tracing::error!(%error, "the log cannot be kept out of the file");
        }
    }
}

fn checkpoint(connection: &Connection, shared: &Shared) {
    // Passive: waits for nobody, copies what no reader still needs.
    let copy = || connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    match shared.while_copying(copy) {
        // Told when somebody asks, and before the next commit.
        None => {}
        Some(Ok(())) => {
            shared.checkpoints.fetch_add(1, Ordering::Relaxed);
        }
        // Nothing is lost: the log keeps every commit, and the next copy starts where this ended.
        Some(Err(error)) => tracing::warn!(%error, "copying the write-ahead log failed"),
    }
}

impl Writer {
    fn run(mut self, copier_thread: thread::JoinHandle<()>) {
        let closing = self.serve();
        drop(self.copier);
        if copier_thread.join().is_err() {
            tracing::error!("the thread that copies the log panicked");
        }
        keep_what_is_not_ours(&self.connection, &self.shared);
        // The last connection to close copies the whole log and removes it.
        let closed = self
            .connection
            .close()
            .map_err(|(_, source)| StoreError::write("closing the store", source, &self.state));
        if let Some((reply, flushed)) = closing {
            answer(reply, flushed.and(closed));
        }
    }

    /// Works until it is told to close, or until nobody is left to ask.
    fn serve(&mut self) -> Option<(Reply<()>, Result<(), StoreError>)> {
        let mut group: Vec<Job> = Vec::new();
        let mut flush_at: Option<Instant> = None;
        // Pages at the last copy on idleness, so that an idle store does nothing at all.
        let mut quiet = true;
        loop {
            let received = match (flush_at, quiet) {
                (Some(at), _) => self
                    .jobs
                    .recv_timeout(at.saturating_duration_since(Instant::now())),
                (None, false) => self.jobs.recv_timeout(IDLE),
                (None, true) => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(job) => group.push(job),
                Err(RecvTimeoutError::Timeout) if flush_at.is_none() => {
                    self.copy_when_longer_than(WAL_PAGES_IDLE);
                    quiet = true;
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    drop(self.flush(&mut group));
                    return None;
                }
            }
            while group.len() < GROUP_MAX
                && let Ok(job) = self.jobs.try_recv()
            {
                group.push(job);
            }
            if let Some(reply) = take_close(&mut group) {
                let flushed = self.flush(&mut group);
                return Some((reply, flushed));
            }
            let waits = group.len() < GROUP_MAX
                && group.iter().all(|job| matches!(job.work, Work::Lazy(_)));
            let now = Instant::now();
            if waits && flush_at.is_none_or(|at| at > now) {
                flush_at = flush_at.or(Some(now + self.lazy));
                continue;
            }
            flush_at = None;
            quiet = false;
            // The error went to everybody who asked; here there is nothing more to do about it.
            drop(self.flush(&mut group));
            self.keep_log_short();
        }
    }

    /// Commits the group and answers everybody in it.
    fn flush(&mut self, group: &mut Vec<Job>) -> Result<(), StoreError> {
        if group.is_empty() {
            return Ok(());
        }
        let jobs = std::mem::take(group);
        let alone = jobs.len() == 1;
        let mut settled = Vec::with_capacity(jobs.len());
        let mut committed = match self.shared.files_problem() {
            None => self.sql("starting a transaction", "BEGIN IMMEDIATE"),
            Some(problem) => Err(problem),
        };
        for job in jobs {
            let Job { work, place } = job;
            let outcome = match &committed {
                Err(error) => work.failed(error.again()),
                Ok(()) => self.attempt(work, alone),
            };
            settled.push((outcome, place));
            // A full disk can make SQLite undo the whole transaction under us.
            if committed.is_ok() && self.connection.is_autocommit() {
                committed = Err(match settled.last().and_then(|(last, _)| last.error()) {
                    Some(error) => error.again(),
                    None => StoreError::Busy,
                });
            }
        }
        if committed.is_ok() {
            let began = Instant::now();
            committed = self.sql("committing", "COMMIT");
            let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.shared.note_flush(nanos);
        }
        match &committed {
            Ok(()) => {
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                let batches = u64::try_from(settled.len()).unwrap_or(u64::MAX);
                self.shared.batches.fetch_add(batches, Ordering::Relaxed);
            }
            Err(_) if !self.connection.is_autocommit() => {
                if let Err(error) = self.sql("undoing a transaction", "ROLLBACK") {
                    tracing::error!(%error, "a failed transaction could not be undone");
                }
            }
            Err(_) => {}
        }
        let failed = settled.iter().find_map(|(outcome, _)| outcome.error());
        self.shared.note(committed.as_ref().err().or(failed));
        for (outcome, place) in settled {
            // The place is given back first: who is answered may ask again at once.
            drop(place);
            outcome.send(committed.as_ref().err());
        }
        committed
    }

    /// Runs one piece of work so that its failure undoes itself alone.
    fn attempt(&self, work: Work, alone: bool) -> Outcome {
        if !alone && let Err(error) = self.sql("starting a batch", "SAVEPOINT batch") {
            return work.failed(error);
        }
        let outcome = self.run_work(work);
        // A lone batch is its own transaction; a savepoint in it would say the same twice, but
        // a failed one must leave nothing to commit.
        let end = match (alone, outcome.error().is_some()) {
            (true, false) => return outcome,
            (true, true) => "ROLLBACK; BEGIN IMMEDIATE",
            (false, false) => "RELEASE batch",
            (false, true) => "ROLLBACK TO batch; RELEASE batch",
        };
        if self.connection.is_autocommit() {
            return outcome;
        }
        match self.sql("ending a batch", end) {
            Ok(()) => outcome,
            Err(error) if outcome.error().is_none() => outcome.failed(error),
            Err(_) => outcome,
        }
    }

    fn run_work(&self, work: Work) -> Outcome {
        let connection = &self.connection;
        let sorted = |error| match error {
            StoreError::Sql { doing, source } => StoreError::write(doing, source, &self.state),
            other => other,
        };
        match work {
            Work::Accept(inbound, event, reply) => Outcome::Accept(
                apply::accept(connection, &inbound, &event).map_err(sorted),
                reply,
            ),
            Work::Commit(ops, reply) => Outcome::Commit(
                ops.iter()
                    .try_for_each(|op| apply::apply(connection, op))
                    .map_err(sorted),
                reply,
            ),
            Work::Lazy(ops) => Outcome::Lazy(
                ops.iter()
                    .try_for_each(|op| apply::apply(connection, op))
                    .map_err(sorted),
            ),
            Work::Maintain(now, keep, reply) => Outcome::Maintain(
                maintain::maintain(connection, now, keep).map_err(sorted),
                reply,
            ),
            Work::Close(reply) => Outcome::Commit(Ok(()), reply),
        }
    }

    /// Runs fixed statements: from the cache if it is one, else as a script.
    fn sql(&self, doing: &'static str, sql: &'static str) -> Result<(), StoreError> {
        let run = if sql.contains(';') {
            self.connection.execute_batch(sql)
        } else {
            self.connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute([]))
                .map(drop)
        };
        run.map_err(|source| StoreError::write(doing, source, &self.state))
    }

    fn keep_log_short(&mut self) {
        let pages = self.shared.log_pages.load(Ordering::Relaxed);
        if pages < self.length {
            self.copy_at = WAL_PAGES_COPY;
        }
        self.length = pages;
        if self.shared.copied.swap(false, Ordering::AcqRel) && pages > WAL_PAGES_COPY {
            // The copier has been here and commits went on: finish the copy in this pause.
            checkpoint(&self.connection, &self.shared);
            self.copy_at = pages.saturating_add(WAL_PAGES_COPY);
        }
        self.copy_when_longer_than(self.copy_at);
    }

    fn copy_when_longer_than(&self, pages: i32) {
        if self.shared.log_pages.load(Ordering::Relaxed) > pages
            && !self.shared.copying.swap(true, Ordering::AcqRel)
            && let Err(TrySendError::Disconnected(())) = self.copier.try_send(())
        {
            tracing::error!("the thread that copies the log has ended");
        }
    }
}
