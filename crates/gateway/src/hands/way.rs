//! The network of one program: a broker's socket in a folder of its own, gone when the program has ended.

use instar_config::StateDir;
use instar_egress::{Broker, Egress, Hosts, Rights};
use instar_sandbox::spec::BrokerSocket;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use tokio::net::UnixListener;

/// The folder of such sockets in the state folder.
const FOLDER: &str = "sockets";

/// A broker at work for one program. Dropped, it takes its socket along.
pub(super) struct Way {
    pub(super) socket: BrokerSocket,
    path: PathBuf,
    _broker: Broker,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "the socket of a program could not be removed");
        }
    }
}

/// Opens the way to these hosts, as far as the rights go there. `who` is whom the log names.
pub(super) fn open_way(
    egress: &Egress,
    state: &StateDir,
    rights: Rights,
    hosts: &[String],
    who: String,
) -> Result<Way, String> {
    let hosts = Hosts::parse(Some(hosts), &[])?;
    let folder = state.root().join(FOLDER);
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(&folder);
    made.map_err(|why| why.to_string())?;
    let path = folder.join(hex::encode(crate::random::ten()));
    let listener = UnixListener::bind(&path).map_err(|why| why.to_string())?;
    let private = std::fs::Permissions::from_mode(0o600);
    let closed = std::fs::set_permissions(&path, private);
    let broker = egress.broker(listener, rights.narrowed(hosts), move |passage| {
        let refused = passage.refused.as_deref().unwrap_or_default();
        let (host, port) = (&passage.host, passage.port);
        tracing::info!(who, host, port, refused, "a program went out");
    });
    let socket = closed.and_then(|()| BrokerSocket::new(&path));
    let socket = socket.map_err(|why| why.to_string())?;
    Ok(Way {
        socket,
        path,
        _broker: broker,
    })
}
