//! A few connections that only read, used on the blocking threads of the runtime.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::open;

/// How long a read waits for a free connection.
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Pool {
    state: PathBuf,
    free: Semaphore,
    idle: Mutex<Vec<Connection>>,
    closed: AtomicBool,
}

impl Pool {
    pub(crate) fn new(state: &Path, readers: usize) -> Self {
        Self {
            state: state.to_owned(),
            free: Semaphore::new(readers.clamp(1, 16)),
            idle: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
        }
    }

    /// Runs a read on a blocking thread. Dropping the future lets the read run out unheard.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let pool = Arc::clone(self);
        let place = tokio::time::timeout(WAIT_MAX, self.free.acquire())
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Closed)?;
        // Given back by the thread that reads, which may outlive this future.
        place.forget();
        tokio::task::spawn_blocking(move || {
            let _place = GiveBack(&pool);
            let connection = pool.take()?;
            let result = body(&connection);
            pool.put(connection);
            result
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }

    /// Lets go of the idle connections and refuses further reads.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.free.close();
        self.lock().clear();
    }

    /// Lets go of the idle connections and what they keep in memory; the next read opens one again.
    pub(crate) fn rest(&self) {
        let idle = std::mem::take(&mut *self.lock());
        drop(idle);
    }

    fn take(&self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.lock().pop() {
            return Ok(connection);
        }
        open::reader(&self.state).map_err(|source| StoreError::sql("opening a reader", source))
    }

    fn put(&self, connection: Connection) {
        let mut idle = self.lock();
        if !self.closed.load(Ordering::Acquire) {
            idle.push(connection);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct GiveBack<'a>(&'a Pool);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        self.0.free.add_permits(1);
    }
}
