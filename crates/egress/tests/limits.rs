//! Bounds in time and bytes.

use crate::server::{Server, egress, ok, outgoing};
use instar_egress::{EgressError, Origin, Purpose};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn bodies_are_bounded() {
    let server = Server::plain(|_| ok(&"x".repeat(1000))).await;
    let answer = egress().send(server.call("/")).await.unwrap();
    assert!(matches!(
        answer.read(999, SECOND).await,
        Err(EgressError::TooLong { max: 999 })
    ));
    let answer = egress().send(server.call("/")).await.unwrap();
    assert_eq!(answer.read(1000, SECOND).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn silence_is_bounded_before_and_inside_the_body() {
    let silent = Server::plain(|_| String::new()).await;
    let mut call = silent.call("/");
    call.head_timeout = Duration::from_millis(50);
    assert!(matches!(
        egress().send(call).await,
        Err(EgressError::Timeout { .. })
    ));
    let stalls =
        Server::plain(|_| "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive!".into()).await;
    let mut answer = egress().send(stalls.call("/")).await.unwrap();
    assert_eq!(&answer.chunk(SECOND).await.unwrap().unwrap()[..], b"five!");
    assert!(matches!(
        answer.chunk(Duration::from_millis(50)).await,
        Err(EgressError::Timeout { .. })
    ));
}

#[tokio::test]
async fn a_closed_port_is_a_failed_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url::Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let purpose = Purpose::Model {
        local: Origin::of(&url),
    };
    let error = egress().send(outgoing(purpose, url)).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_serves_later_calls_also_when_others_came_between() {
    let server = Server::plain(|_| ok("x")).await;
    let egress = egress();
    let calls = 200;
    for number in 0..calls {
        let mut call = server.call("/");
        call.connect_timeout = SECOND * (1 + number % 2);
        let answer = egress.send(call).await.unwrap();
        assert_eq!(answer.read(1, SECOND).await.unwrap().len(), 1);
    }
    // A call that comes at once may find the connection of the last one not given back yet.
    let opened = server.connections();
    assert!(opened < server.heads().len(), "{opened}");
    assert_eq!(server.heads().len(), usize::try_from(calls).unwrap());
}
