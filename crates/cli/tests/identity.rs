//! Other people's word on who the owner is, and tokens that change by themselves, through the binary.

use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use instar_testkit::{AccessTeam, TailscaleDaemon};

use crate::support::{Instar, Setup, skipped, until};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_statement_of_cloudflare_access_is_believed_if_it_is_signed_and_names_the_owner() {
    let runtime = runtime();
    let team = runtime.block_on(AccessTeam::start()).unwrap();
    let access = json!({ "teamDomain": team.address, "audience": "f00d", "allowUsers": ["owner@example.org"] });
    let config = json!({ "gateway": { "auth": { "cloudflareAccess": access } } });
    let instar = Instar::start(Setup::default().config(config));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let ask = |email: &str, issuer: &str, signer: usize| {
        let claims = json!({ "iss": issuer, "aud": ["f00d"], "email": email, "nbf": now - 5, "exp": now + 600 });
        let head = json!({ "alg": "RS256", "kid": "key-0" });
        let statement = team.signed(&head, &claims, signer).unwrap();
        let header = format!("cf-access-jwt-assertion: {statement}");
        let mut command = std::process::Command::new("curl");
        let _args = command
            .args([
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ])
            .args(["--header", &header]);
        let url = format!("{}/api/v1/status", instar.url());
        let output = command.arg(url).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask("owner@example.org", &team.address, 0), "200");
    assert_eq!(ask("stranger@example.org", &team.address, 0), "401");
    assert_eq!(
        ask("owner@example.org", "https://other.cloudflareaccess.com", 0),
        "401"
    );
    assert_eq!(
        ask("owner@example.org", &team.address, 1),
        "401",
        "signed by another key"
    );
    drop(instar);
}

/// In a network of its own, where nothing but loopback has a route, a gateway on an address of the
/// tailnet answers a whole turn; who asks is told apart by the address alone.
#[test]
fn in_a_tailnet_the_daemon_says_who_asks_and_a_turn_needs_no_other_way_out() {
    let probe = std::process::Command::new("unshare")
        .args(["--net", "--map-root-user", "ip", "link", "set", "lo", "up"])
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return skipped("this machine gives no network namespaces");
    }
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tailscaled.sock");
    let daemon = {
        let _inside = runtime.enter();
        TailscaleDaemon::start(&socket, "100.64.0.1".parse().unwrap()).unwrap()
    };
    daemon.know("100.64.0.7".parse().unwrap(), "owner@example.org", &[]);
    daemon.know("100.64.0.8".parse().unwrap(), "stranger@example.org", &[]);
    daemon.know(
        "100.64.0.9".parse().unwrap(),
        "owner@example.org",
        &["tag:server"],
    );
    let config = json!({
        "agents": { "defaults": { "model": { "primary": "demo/guide" } } },
        "gateway": { "bind": "tailnet", "auth": {
            "allowTailscale": true,
            "tailscale": { "allowUsers": ["owner@example.org"], "socket": socket },
        } },
    });
    let instar = Instar::prepare(Setup {
        config_text: Some(config.to_string()),
        ..Setup::default()
    });
    let script = r#"
        ip link set lo up
        for n in 1 7 8 9; do ip address add 100.64.0.$n/32 dev lo; done
        "$0" gateway run --port 18789 > /dev/null 2>&1 &
        for n in $(seq 300); do "$0" health > /dev/null 2>&1 && break; sleep 0.1; done
        for n in 7 8 9; do
            curl --silent --output /dev/null --write-out "$n %{http_code}\n" --interface 100.64.0.$n \
                --header 'x-forwarded-for: 100.64.0.7' http://100.64.0.1:18789/api/v1/status
        done
        "$0" agent --message hello > /dev/null && echo answered
        kill $!
    "#;
    let under = ["unshare", "--net", "--map-root-user", "sh", "-c", script].map(str::to_owned);
    let output = instar.command(&under, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "7 200\n8 401\n9 401\nanswered\n", "{output:?}");
}

#[test]
fn a_token_that_is_due_is_changed_and_its_owner_takes_the_new_one_once() {
    let config = json!({ "gateway": { "auth": { "rotateEveryDays": 30 } } });
    let setup = Setup::default()
        .config(config)
        .env("INSTAR_GATEWAY_TOKEN", "");
    let mut instar = Instar::prepare(setup);
    let token = instar.run(["token", "rotate", "--json"]).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(instar.run(["token", "take"]).code, 0);
    let file = std::fs::File::options()
        .write(true)
        .open(instar.state.join("token.sha256"))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(31 * 86_400))
        .unwrap();
    instar.launch();
    let status = |token: &str| instar.http.with_token(token).get("/api/v1/status").status;
    until("the old token is over", || {
        (status(&token) == 401).then_some(())
    });
    let fresh = instar.run(["token", "take", "--json"]).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(fresh, token);
    until("the new token is good", || {
        (status(&fresh) == 200).then_some(())
    });
    assert_ne!(instar.run(["token", "take"]).code, 0, "shown once");
}
