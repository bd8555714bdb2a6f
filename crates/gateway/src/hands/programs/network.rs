//! The network of one run: a broker's socket in a folder of its own, gone when the run has ended.

use instar_egress::{Broker, Hosts};
use instar_sandbox::spec::BrokerSocket;
use instar_tools::{Caller, ToolError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use tokio::net::UnixListener;

use super::Inner;

/// The folder of such sockets in the state folder.
const FOLDER: &str = "sockets";

/// A broker at work for one run. Dropped, it takes its socket along.
pub(super) struct Way {
    pub(super) socket: BrokerSocket,
    path: PathBuf,
    _broker: Broker,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "the socket of a run could not be removed");
        }
    }
}

/// Opens the way to these hosts, as far as the caller's principal may go there.
pub(super) fn open(inner: &Inner, caller: &Caller, hosts: &[String]) -> Result<Way, ToolError> {
    let wrong = |why: String| ToolError::Failed(format!("the network of the program: {why}"));
    let hosts = Hosts::parse(Some(hosts), &[]).map_err(wrong)?;
    let rights = inner.egress.rights(&caller.principal).narrowed(hosts);
    let folder = inner.state.root().join(FOLDER);
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(&folder);
    made.map_err(|why| wrong(why.to_string()))?;
    let path = folder.join(hex::encode(crate::random::ten()));
    let listener = UnixListener::bind(&path).map_err(|why| wrong(why.to_string()))?;
    let private = std::fs::Permissions::from_mode(0o600);
    let closed = std::fs::set_permissions(&path, private);
    let run = caller.run.clone();
    let broker = inner.egress.broker(listener, rights, move |passage| {
        let refused = passage.refused.as_deref().unwrap_or_default();
        tracing::info!(%run, host = passage.host, port = passage.port, refused, "a program went out");
    });
    let socket = closed.and_then(|()| BrokerSocket::new(&path));
    let socket = socket.map_err(|why| wrong(why.to_string()))?;
    Ok(Way {
        socket,
        path,
        _broker: broker,
    })
}
