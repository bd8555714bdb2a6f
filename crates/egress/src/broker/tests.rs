//! What a run may move, and when a silent tunnel ends.

use super::*;
use crate::config::EgressConfig;
use tokio::io::duplex;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_run_moves_its_share_and_not_a_byte_more() {
    let share = usize::try_from(RUN_BYTES_MAX).unwrap();
    let moved = AtomicU64::new(0);
    assert!(count(&moved, share - 1));
    assert!(count(&moved, 1));
    assert!(!count(&moved, 1));
    assert!(!count(&moved, 0), "what was too much stays too much");
}

#[tokio::test]
async fn what_is_beyond_the_share_does_not_leave_a_tunnel() {
    let (here, moved) = (AtomicU64::new(0), AtomicU64::new(RUN_BYTES_MAX - 3));
    let counts = Counts {
        here: &here,
        moved: &moved,
    };
    let (mut program, mut inside) = duplex(64);
    let (mut outside, mut server) = duplex(64);
    let talking = async {
        program.write_all(b"abc").await.unwrap();
        let mut first = [0; 3];
        server.read_exact(&mut first).await.unwrap();
        program.write_all(b"d").await.unwrap();
        first
    };
    let (ended, first) = tokio::join!(
        async {
            let ended = pump(&mut inside, &mut outside, counts).await;
            drop(outside);
            ended
        },
        talking
    );
    assert_eq!(&first, b"abc");
    assert!(ended.unwrap_err().to_string().contains("as many bytes"));
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_ends_when_both_sides_are_silent_and_not_when_one_is() {
    let (here, moved) = (AtomicU64::new(0), AtomicU64::new(0));
    let counts = Counts {
        here: &here,
        moved: &moved,
    };
    let (silent, mut one) = duplex(64);
    let (mut speaking, mut other) = duplex(64);
    let (mut to_one, mut to_other) = (tokio::io::sink(), tokio::io::sink());
    let began = Instant::now();
    let speaker = async {
        for _ in 0..3 {
            sleep(100 * SECOND).await;
            speaking.write_all(b"x").await.unwrap();
        }
    };
    let tunnel = async {
        tokio::try_join!(
            pump(&mut one, &mut to_other, counts),
            pump(&mut other, &mut to_one, counts),
        )
    };
    let (ended, ()) = tokio::join!(timeout(1_000 * SECOND, tunnel), speaker);
    let error = ended.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), 300 + IDLE_TIMEOUT.as_secs());
    drop((silent, speaking));
}

/// A socket whose run has moved so many bytes, before a pretended outside that answers with ten.
async fn open(moved: u64) -> (tempfile::TempDir, DropGuard) {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = EgressConfig {
        proxy: Some(format!("http://{}", proxy.local_addr().unwrap())),
        ..EgressConfig::default()
    };
    drop(tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = proxy.accept().await {
            for answer in ["", "content-length: 10\r\n"] {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let text = format!("HTTP/1.1 200 OK\r\n{answer}\r\n");
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            stream.write_all(b"0123456789").await.unwrap();
            kept.push(stream);
        }
    }));
    let egress = Egress::new("test");
    egress.configure(&config, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("egress.sock")).unwrap();
    let end = CancellationToken::new();
    let desk = Desk {
        egress,
        rights: Rights::default(),
        note: Arc::new(|_| ()),
        moved: Arc::new(AtomicU64::new(moved)),
        end: end.clone(),
    };
    let connections = TaskTracker::new();
    drop(connections.spawn(accept(listener, desk, connections.clone())));
    (folder, end.drop_guard())
}

async fn ask(folder: &tempfile::TempDir, content: &str) -> String {
    let mut stream = UnixStream::connect(folder.path().join("egress.sock"))
        .await
        .unwrap();
    let request = format!(
        "POST http://8.8.8.8/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{content}",
        content.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _cut = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn requests_and_answers_end_where_the_share_of_the_run_does() {
    let (folder, _end) = open(RUN_BYTES_MAX - 11).await;
    let whole = ask(&folder, "q").await;
    assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
    assert!(whole.ends_with("0123456789\r\n0\r\n\r\n"), "{whole}");
    let (at_its_end, beyond) = (open(RUN_BYTES_MAX).await, open(RUN_BYTES_MAX - 1).await);
    for ((folder, _end), content) in [(at_its_end, ""), (beyond, "qq")] {
        let refused = ask(&folder, content).await;
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
        assert!(refused.contains("as many bytes as it may"), "{refused}");
    }
    let (folder, _end) = open(RUN_BYTES_MAX - 10).await;
    let cut = ask(&folder, "q").await;
    assert!(!cut.contains("0123456789"), "{cut}");
}
