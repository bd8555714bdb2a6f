//! A gateway at work, and its end.

use instar_config::{StateLock, write_atomically};
use instar_protocol::api::RunFile;
use instar_protocol::event::{EventKind, GatewayFact};
use instar_protocol::{Secret, Timestamp};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::app::AppState;
use crate::health::Phase;
use crate::http::Listening;

/// How long work that outlives its request may take beyond the grace period.
const TASKS_GRACE: Duration = Duration::from_secs(5);

/// A gateway that takes messages. Dropping it without [`Running::shutdown`] is like a crash.
#[derive(Debug)]
pub struct Running {
    app: AppState,
    listening: Listening,
    address: SocketAddr,
    run_file: RunFileGuard,
    lock: Option<StateLock>,
    made: Option<Secret>,
}

impl Running {
    pub(super) fn new(
        app: AppState,
        listening: Listening,
        address: SocketAddr,
        run_file: RunFileGuard,
        lock: Option<StateLock>,
        made: Option<Secret>,
    ) -> Self {
        Self {
            app,
            listening,
            address,
            run_file,
            lock,
            made,
        }
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where people reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        self.app.url()
    }

    /// The subsystems.
    #[must_use]
    pub fn app(&self) -> &AppState {
        &self.app
    }

    /// The API token, if this start made it. It is kept nowhere: show it now or never.
    pub fn take_new_token(&mut self) -> Option<Secret> {
        self.made.take()
    }

    /// A link that signs one browser in, once, within a minute.
    pub fn sign_in_link(&self) -> Result<(String, Timestamp), getrandom::Error> {
        self.app.sign_in_link()
    }

    /// Ends in order: no more connections, requests and turns finish within the grace period, what
    /// is left is cut and written down, the store is flushed and closed.
    pub async fn shutdown(self) {
        let Self {
            app,
            listening,
            run_file,
            lock,
            ..
        } = self;
        app.conditions.enter(Phase::Draining);
        tracing::info!("the gateway is stopping");
        app.note(EventKind::Gateway {
            what: GatewayFact::Stopping,
        });
        app.closing.cancel();
        let seconds = app.config.current().value.gateway.shutdown_grace_seconds;
        let grace = Duration::from_secs(seconds.into());
        tokio::join!(
            app.sessions.shutdown(grace),
            listening.stop(grace + TASKS_GRACE)
        );
        app.programs.close().await;
        let _now_closed = app.tasks.close();
        if tokio::time::timeout(TASKS_GRACE, app.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(left = app.tasks.len(), "tasks did not end in time");
        }
        if let Err(error) = app.store.close().await {
            tracing::error!(%error, "the store could not be closed in order");
        }
        drop(run_file);
        drop(lock);
    }
}

/// The run file, removed when the gateway ends in order.
#[derive(Debug)]
pub(super) struct RunFileGuard(PathBuf);

impl RunFileGuard {
    pub(super) fn write(
        path: PathBuf,
        url: String,
        local: &Secret,
        fingerprint: Option<String>,
    ) -> io::Result<Self> {
        let run = RunFile {
            pid: std::process::id(),
            url,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            local_secret: local.expose().to_owned(),
            fingerprint,
        };
        write_atomically(&path, &serde_json::to_vec(&run)?)?;
        Ok(Self(path))
    }
}

impl Drop for RunFileGuard {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, "the run file could not be removed");
        }
    }
}
