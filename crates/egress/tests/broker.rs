//! The socket that programs behind walls get: what they reach through it, and what they do not.

use crate::outside::{Kind, Outside};
use crate::server::{Server, egress, ok, redirect};
use instar_egress::{Broker, Egress, Hosts, Passage, Rights};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

const PATIENCE: Duration = Duration::from_secs(10);

struct Socket {
    path: PathBuf,
    broker: Broker,
    passages: Arc<Mutex<Vec<Passage>>>,
    _folder: TempDir,
}

fn open(egress: &Egress, rights: Rights) -> Socket {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("egress.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let passages: Arc<Mutex<Vec<Passage>>> = Arc::default();
    let noted = Arc::clone(&passages);
    let broker = egress.broker(listener, rights, move |passage| {
        noted.lock().unwrap().push(passage.clone());
    });
    Socket {
        path,
        broker,
        passages,
        _folder: folder,
    }
}

impl Socket {
    /// Sends bytes and reads until the other side closes or `enough` is there.
    async fn ask(&self, request: &str, enough: &str) -> String {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        talk(&mut stream, request, enough).await
    }
}

async fn talk(stream: &mut UnixStream, request: &str, enough: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        loop {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(n) => got.extend_from_slice(&piece[..n]),
            }
            if String::from_utf8_lossy(&got).contains(enough) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    String::from_utf8(got).unwrap()
}

fn only(hosts: &[&str]) -> Rights {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    Rights::default().narrowed(Hosts::parse(Some(&hosts), &[]).unwrap())
}

#[tokio::test]
async fn requests_and_tunnels_reach_public_hosts_of_the_runs_rights() {
    let outside = Outside::new(Kind::Connect, |path| match path {
        "/away" => redirect(302, "http://127.0.0.1/"),
        _ => ok("outside"),
    })
    .await;
    let socket = open(&outside.egress(), only(&["8.8.8.8", "9.9.9.9"]));
    let answer = socket
        .ask(
            "GET http://8.8.8.8/x HTTP/1.1\r\nhost: evil.example\r\nproxy-connection: close\r\nx-own: 1\r\n\r\n",
            "outside",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let sent = outside
        .asked()
        .into_iter()
        .find(|head| head.starts_with("GET /x"))
        .unwrap();
    assert!(
        sent.contains("host: 8.8.8.8\r\n") && sent.contains("x-own: 1"),
        "{sent}"
    );
    assert!(
        !sent.contains("evil") && !sent.contains("proxy-connection"),
        "{sent}"
    );
    // A redirect is the program's to follow: through here again.
    let away = socket
        .ask(
            "GET http://8.8.8.8/away HTTP/1.1\r\nhost: x\r\n\r\n",
            "\r\n\r\n",
        )
        .await;
    assert!(away.starts_with("HTTP/1.1 302"), "{away}");

    let mut tunnel = UnixStream::connect(&socket.path).await.unwrap();
    let granted = talk(
        &mut tunnel,
        "CONNECT 9.9.9.9:8443 HTTP/1.1\r\nhost: x\r\n\r\n",
        "\r\n\r\n",
    )
    .await;
    assert!(granted.starts_with("HTTP/1.1 200"), "{granted}");
    let through = talk(
        &mut tunnel,
        "GET /tunnelled HTTP/1.1\r\nhost: y\r\n\r\n",
        "outside",
    )
    .await;
    assert!(through.contains("outside"), "{through}");
    assert!(
        outside
            .asked()
            .iter()
            .any(|ask| ask.starts_with("CONNECT 9.9.9.9:8443 "))
    );
    let moved = socket.broker.bytes_moved();
    assert!(moved > 50, "{moved}");
    let passages = socket.passages.lock().unwrap().clone();
    assert_eq!(passages.len(), 3);
    assert!(passages.iter().all(|one| one.refused.is_none()));
}

#[tokio::test]
async fn nothing_local_and_nothing_beyond_the_rights_is_reached_by_any_spelling() {
    let inner = Server::plain(|_| ok("secret")).await;
    let port = inner.url.port().unwrap();
    let outside = Outside::new(Kind::Connect, |_| ok("outside")).await;
    let socket = open(&outside.egress(), Rights::default());
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        for request in [
            format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: x\r\n\r\n"),
            format!("GET http://{host}:{port}/ HTTP/1.1\r\nhost: x\r\n\r\n"),
        ] {
            let answer = socket.ask(&request, "\r\n\r\n").await;
            // Some machines know no name with a dot at its end.
            let refused = ["HTTP/1.1 403", "HTTP/1.1 502"].map(|head| answer.starts_with(head));
            assert!(
                refused[0] || (refused[1] && host.ends_with('.')),
                "{request}: {answer}"
            );
        }
    }
    for request in [
        "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        "GET https://8.8.8.8/ HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET ftp://8.8.8.8/ HTTP/1.1\r\nhost: x\r\n\r\n",
        "CONNECT 8.8.8.8 HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let answer = socket.ask(request, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
    }
    for smuggled in ["GET http://u:p@8.8.8.8/", "CONNECT u:p@8.8.8.8:443"] {
        let request = format!("{smuggled} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = socket.ask(&request, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{smuggled}: {answer}");
    }
    assert!(inner.heads().is_empty() && outside.asked().is_empty());

    let narrow = open(&outside.egress(), only(&["8.8.8.8"]));
    for request in [
        "CONNECT 9.9.9.9:443 HTTP/1.1\r\nhost: 8.8.8.8\r\n\r\n",
        "CONNECT 8.8.8.8:25 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET http://9.9.9.9/ HTTP/1.1\r\nhost: 8.8.8.8\r\n\r\n",
    ] {
        let answer = narrow.ask(request, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{request}: {answer}");
    }
    assert!(
        narrow
            .passages
            .lock()
            .unwrap()
            .iter()
            .all(|one| one.refused.is_some())
    );
    assert!(outside.asked().is_empty());
}

#[tokio::test]
async fn the_end_of_a_run_ends_its_connections() {
    let outside = Outside::new(Kind::Connect, |_| ok("outside")).await;
    let socket = open(&outside.egress(), Rights::default());
    let mut tunnel = UnixStream::connect(&socket.path).await.unwrap();
    let granted = talk(
        &mut tunnel,
        "CONNECT 8.8.8.8:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        "\r\n\r\n",
    )
    .await;
    assert!(granted.starts_with("HTTP/1.1 200"));
    socket.broker.stop().await;
    // At once, before anything else had a turn.
    assert!(std::os::unix::net::UnixStream::connect(&socket.path).is_err());
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, tunnel.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty());
}

#[tokio::test]
async fn a_run_without_rights_reaches_nothing() {
    let socket = open(&egress(), Rights::nothing());
    let answer = socket
        .ask(
            "CONNECT 8.8.8.8:443 HTTP/1.1\r\nhost: x\r\n\r\n",
            "\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn what_a_program_sends_arrives_whole_and_is_counted() {
    let outside = Outside::new(Kind::Connect, |_| ok("outside")).await;
    let socket = open(&outside.egress(), Rights::default());
    // An end like that of a head, so that the pretended outside notes it.
    let content = "a=1&b=2\r\n\r\n";
    let request = format!(
        "POST http://8.8.8.8/x HTTP/1.1\r\nhost: x\r\nx-hop: 1\r\nconnection: x-hop, close\r\ncontent-length: {}\r\n\r\n{content}",
        content.len()
    );
    let answer = socket.ask(&request, "outside").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let asked = outside.asked();
    assert!(asked[1].starts_with("POST /x "), "{asked:?}");
    assert!(!asked[1].contains("x-hop"), "{asked:?}");
    let arrived = || outside.asked().get(2).cloned();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while arrived().is_none() && tokio::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(arrived().as_deref(), Some(content));
    let both = content.len() + "outside".len();
    assert_eq!(socket.broker.bytes_moved(), u64::try_from(both).unwrap());
}

#[tokio::test]
async fn what_may_not_be_reached_is_refused_before_its_content_is_taken_in() {
    let socket = open(&egress(), only(&["8.8.8.8", "127.0.0.1"]));
    for host in ["127.0.0.1", "9.9.9.9"] {
        let head =
            format!("POST http://{host}/ HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n");
        let answer = socket.ask(&head, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
    }
    assert_eq!(socket.broker.bytes_moved(), 0);
}
