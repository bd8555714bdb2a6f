use super::*;
use instar_testkit::TailscaleDaemon;
use serde_json::{Value, json};

const PEER: &str = "100.64.0.7";

struct Tailnet {
    folder: tempfile::TempDir,
    daemon: TailscaleDaemon,
}

impl Tailnet {
    fn start(own: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("tailscaled.sock");
        let daemon = TailscaleDaemon::start(&socket, own.parse().unwrap()).unwrap();
        Self { folder, daemon }
    }

    fn config(&self) -> TailscaleConfig {
        let socket = self.folder.path().join("tailscaled.sock");
        TailscaleConfig {
            // The configuration does not say that a name is one.
            allow_users: vec!["Owner@example.org".to_owned(), String::new()],
            socket: Some(socket.display().to_string()),
        }
    }

    async fn admits(&self) -> Result<bool, String> {
        let peer = SocketAddr::new(PEER.parse().unwrap(), 4_711);
        Tailscale::new(&self.config()).admits(peer).await
    }
}

#[test]
fn only_tailnet_addresses_are_asked_about() {
    for address in [
        "100.64.0.1",
        "100.127.255.254",
        "::ffff:100.100.1.1",
        "fd7a:115c:a1e0::1",
    ] {
        assert!(is_tailnet(address.parse().unwrap()), "{address}");
    }
    for address in [
        "127.0.0.1",
        "100.63.0.1",
        "100.128.0.1",
        "10.0.0.1",
        "::1",
        "fd7b::1",
    ] {
        assert!(!is_tailnet(address.parse().unwrap()), "{address}");
    }
    let six: SocketAddr = "[fd7a:115c:a1e0::1]:80".parse().unwrap();
    assert_eq!(escape(six), "%5Bfd7a:115c:a1e0::1%5D:80");
}

#[tokio::test]
async fn the_owner_s_own_machines_are_admitted_and_no_others() {
    let tailnet = Tailnet::start("100.64.0.1");
    assert_eq!(tailnet.admits().await, Ok(false), "an address of nobody");
    for (login, tags, admitted) in [
        ("owner@example.org", &[][..], true),
        ("OWNER@example.org", &[], true),
        ("owner@example.org", &["tag:server"], false),
        ("stranger@example.org", &[], false),
        ("", &[], false),
        ("", &["tag:server"], false),
    ] {
        tailnet.daemon.know(PEER.parse().unwrap(), login, tags);
        assert_eq!(tailnet.admits().await, Ok(admitted), "{login} {tags:?}");
    }
}

#[tokio::test]
async fn nobody_is_admitted_by_an_answer_that_is_none() {
    let tailnet = Tailnet::start("100.64.0.1");
    let good = json!({ "Node": {}, "UserProfile": { "LoginName": "owner@example.org" } });
    for (status, body, admitted) in [
        (200, good.clone(), Some(true)),
        (404, good.clone(), Some(false)),
        (403, good.clone(), None),
        (500, good.clone(), None),
        (200, json!({ "Node": {} }), None),
        (200, Value::Null, None),
    ] {
        let told = format!("{status} {body}");
        tailnet.daemon.answer(Some((status, body)));
        assert_eq!(tailnet.admits().await.ok(), admitted, "{told}");
    }
    std::fs::remove_file(tailnet.folder.path().join("tailscaled.sock")).unwrap();
    assert!(tailnet.admits().await.is_err(), "nobody is there");
}

#[tokio::test]
async fn this_machine_s_address_is_one_of_a_tailnet_that_is_connected() {
    for (own, found) in [
        ("100.64.0.1", true),
        ("fd7a:115c:a1e0::1", true),
        ("192.168.0.1", false),
    ] {
        let address = own_address(&Tailnet::start(own).config()).await;
        assert_eq!(address.ok(), found.then(|| own.parse().unwrap()));
    }
    let tailnet = Tailnet::start("100.64.0.1");
    let status = |state: &str, addresses: Value| json!({ "BackendState": state, "Self": { "TailscaleIPs": addresses } });
    let both = json!(["192.168.0.1", "100.64.0.9"]);
    for (code, body, found) in [
        (200, status("Running", both.clone()), Some("100.64.0.9")),
        (200, status("Stopped", both.clone()), None),
        (500, status("Running", both), None),
        (200, status("Running", Value::Null), None),
        (200, json!({}), None),
    ] {
        let told = format!("{code} {body}");
        tailnet.daemon.answer(Some((code, body)));
        let address = own_address(&tailnet.config()).await;
        let found: Option<IpAddr> = found.map(|text| text.parse().unwrap());
        assert_eq!(address.ok(), found, "{told}");
    }
}
