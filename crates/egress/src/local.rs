//! Asking a daemon of this machine over its Unix socket.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// Asks for a path over a socket, within bounds of bytes and time. The socket's path comes from the
/// owner's configuration; nothing of it leaves the machine.
pub async fn ask_local(
    socket: &Path,
    host: &str,
    path: &str,
    bytes_max: usize,
    within: Duration,
) -> io::Result<(StatusCode, Bytes)> {
    let asking = async {
        let stream = UnixStream::connect(socket).await?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(io::Error::other)?;
        let request = Request::get(path)
            .header(header::HOST, host)
            .header(header::USER_AGENT, crate::user_agent())
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        // Owns the sender, so that a connection that is kept alive ends with the answer.
        let answer = async move {
            let response = sender.send_request(request).await;
            let response = response.map_err(io::Error::other)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), bytes_max)
                .collect()
                .await;
            Ok((status, body.map_err(io::Error::other)?.to_bytes()))
        };
        // The daemon may close the connection before its answer was taken in here: both are waited
        // for, and what went wrong with the connection shows in the answer.
        let (answer, _ended) = tokio::join!(answer, connection);
        answer
    };
    tokio::time::timeout(within, asking)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
