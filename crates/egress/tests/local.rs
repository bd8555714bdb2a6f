//! Daemons of this machine, whether they close their connections or keep them.

use instar_egress::ask_local;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

const PATIENCE: Duration = Duration::from_secs(10);

/// Answers each connection once; then closes it, or keeps it.
fn daemon(socket: &Path, keeps: bool) {
    let listener = UnixListener::bind(socket).unwrap();
    drop(tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let text = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
            stream.write_all(text).await.unwrap();
            if keeps {
                kept.push(stream);
            }
        }
    }));
}

#[tokio::test]
async fn an_answer_is_taken_in_whatever_becomes_of_the_connection() {
    for keeps in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("daemon.sock");
        daemon(&socket, keeps);
        for _ in 0..50 {
            let (status, body) = ask_local(&socket, "daemon", "/", 100, PATIENCE)
                .await
                .unwrap();
            assert!(status == 200 && &body[..] == b"hello");
        }
        let long = ask_local(&socket, "daemon", "/", 4, PATIENCE).await;
        assert!(long.is_err());
    }
}
