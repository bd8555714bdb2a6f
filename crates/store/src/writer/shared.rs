//! What the writer tells about itself: its counters, and why it takes no writes at present.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use instar_protocol::Timestamp;
use instar_protocol::time::{Clock as _, SystemClock};

use super::files::Files;
use crate::error::StoreError;

/// The upper ends of the classes that the times of commits are counted in; one more is without end.
pub const FLUSH_BOUNDS_MICROS: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000,
];

/// What the writer tells about itself. Shared with the handles.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) commits: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) flush_nanos: AtomicU64,
    pub(crate) flushes: [AtomicU64; FLUSH_BOUNDS_MICROS.len() + 1],
    pub(crate) checkpoints: AtomicU64,
    problem: Mutex<Option<WriteProblem>>,
    files: OnceLock<Files>,
    /// Pages in the log after the last commit.
    pub(super) log_pages: AtomicI32,
    /// A copy was asked for and has not ended.
    pub(super) copying: AtomicBool,
    /// A copy has ended since the writer last looked.
    pub(super) copied: AtomicBool,
}

/// Why the store does not take writes at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteProblem {
    pub message: String,
    pub next_step: &'static str,
    pub since: Timestamp,
}

impl Shared {
    pub(super) fn note_flush(&self, nanos: u64) {
        self.flush_nanos.fetch_add(nanos, Ordering::Relaxed);
        let class = FLUSH_BOUNDS_MICROS.partition_point(|bound| bound * 1_000 < nanos);
        if let Some(counter) = self.flushes.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From now on, writes are refused while these files are not where they were.
    pub(super) fn watch(&self, files: Files) {
        self.files.get_or_init(|| files);
    }

    /// What is wrong with the files, if something is.
    pub(crate) fn files_problem(&self) -> Option<StoreError> {
        self.files.get().and_then(Files::problem)
    }

    /// Copies the log into the database, unless the files are not ours any more.
    pub(super) fn while_copying<T>(&self, copy: impl FnOnce() -> T) -> Option<T> {
        match self.files.get() {
            Some(files) => files.while_copying(copy),
            None => Some(copy()),
        }
    }

    /// Looks at the files, too: a store that nobody writes to at present is no less lost.
    pub(crate) fn problem(&self) -> Option<WriteProblem> {
        if let Some(error) = self.files_problem() {
            self.note(Some(&error));
        }
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn note(&self, error: Option<&StoreError>) {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => {
                if problem.take().is_some() {
                    tracing::info!("the store takes writes again");
                }
            }
            Some(error) if error.is_disk() => {
                let since = problem
                    .as_ref()
                    .map_or_else(|| SystemClock.now(), |known| known.since);
                if problem.is_none() {
                    tracing::error!(%error, "the store does not take writes");
                    if let (StoreError::Overwritten, Some(files)) = (error, self.files.get()) {
                        files.leave_mark();
                    }
                }
                *problem = Some(WriteProblem {
                    message: error.to_string(),
                    next_step: error.next_step(),
                    since,
                });
            }
            Some(_) => {}
        }
    }
}

/// Says that writes fail, for good, when the writer's thread ends by a panic.
pub(super) struct Watch(pub(super) Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the thread that writes the store panicked");
            let mut problem = self
                .0
                .problem
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *problem = Some(WriteProblem {
                message: "the thread that writes has failed".to_owned(),
                next_step: "restart the gateway",
                since: SystemClock.now(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_panics_is_a_problem_and_one_that_ends_is_none() {
        let watched = |body: fn()| {
            let shared = Arc::new(Shared::default());
            let watch = Watch(Arc::clone(&shared));
            let ended = thread::spawn(move || {
                let _watch = watch;
                body();
            });
            let panicked = ended.join().is_err();
            (panicked, shared.problem().is_some())
        };
        assert_eq!(watched(|| ()), (false, false));
        assert_eq!(watched(|| panic!("a fault of ours")), (true, true));
    }
}
