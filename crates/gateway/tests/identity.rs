//! Who is let in by the word of others: Cloudflare Access and Tailscale. And what a version that is
//! too old, or a token that is due, does.

use crate::control::client::{Came, Socket, hello, hello_with};
use crate::house::{Answer, House, TOKEN, bearer, options, start, write_config};
use instar_gateway::{Gateway, StartError};
use instar_protocol::Clock as _;
use instar_protocol::time::SystemClock;
use instar_testkit::{AccessTeam, ManualClock, TailscaleDaemon};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(20);
const AUDIENCE: &str = "f00d";

async fn with_team(team: &AccessTeam, clock: &ManualClock) -> House {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "gateway": { "auth": {
        "rateLimit": { "maxAttempts": 1_000 },
        "cloudflareAccess": { "teamDomain": team.address, "audience": AUDIENCE, "allowUsers": ["Owner@example.org"] },
    } } });
    write_config(&folder, &config.to_string());
    let mut options = options(&folder);
    options.clock = Arc::new(clock.clone());
    let running = Gateway::start(options).await.unwrap();
    House { folder, running }
}

fn claims(team: &AccessTeam, now: u64) -> Value {
    json!({
        "iss": team.address, "aud": [AUDIENCE], "email": "owner@example.org", "sub": "7",
        "iat": now, "nbf": now, "exp": now + 3_600, "type": "app",
    })
}

fn seconds(clock: &ManualClock) -> u64 {
    clock.now().millis() / 1_000
}

async fn status(house: &House, statement: &str) -> u16 {
    let header = format!("cf-access-jwt-assertion: {statement}\r\n");
    house.get("/api/v1/status", &header).await.status
}

#[tokio::test]
async fn a_statement_of_cloudflare_access_lets_the_owner_in_and_nobody_else() {
    let team = AccessTeam::start().await.unwrap();
    let clock = ManualClock::at(SystemClock.now());
    let house = with_team(&team, &clock).await;
    let now = seconds(&clock);
    let good = claims(&team, now);
    assert_eq!(status(&house, &team.statement(&good).unwrap()).await, 200);
    let mut wrong = Vec::new();
    for (name, value) in [
        ("iss", json!("https://other.cloudflareaccess.com")),
        ("iss", json!(format!("{}/", team.address))),
        ("aud", json!(["beef"])),
        ("aud", json!([])),
        ("aud", json!("f00d0")),
        ("email", json!("stranger@example.org")),
        ("email", json!("")),
        ("email", Value::Null),
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!("later")),
        ("nbf", json!(now + 600)),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        wrong.push(team.statement(&claims).unwrap());
    }
    let right = team.statement(&good).unwrap();
    let (front, signature) = right.rsplit_once('.').unwrap();
    let head = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
    wrong.extend([
        // Not signed, signed with another key, signed by another rule, changed after it was signed.
        format!("{front}."),
        front.to_owned(),
        team.signed(&head("RS256", "key-0"), &good, 1).unwrap(),
        team.signed(&head("none", "key-0"), &good, 0).unwrap(),
        team.signed(&head("HS256", "key-0"), &good, 0).unwrap(),
        team.signed(&head("RS256", "key-9"), &good, 0).unwrap(),
        format!("{}x.{signature}", &front[..front.len() - 1]),
        "..".to_owned(),
        "x".repeat(9_000),
    ]);
    for statement in &wrong {
        assert_eq!(status(&house, statement).await, 401, "{statement}");
    }
    let twice = format!("cf-access-jwt-assertion: {right}\r\ncf-access-jwt-assertion: {right}\r\n");
    assert_eq!(house.get("/api/v1/status", &twice).await.status, 401);
    // A wrong statement is not saved by a good cookie.
    let cookie = house.cookie().await;
    let both = format!("{cookie}cf-access-jwt-assertion: {}\r\n", wrong[0]);
    assert_eq!(house.get("/api/v1/status", &both).await.status, 401);
    // What rides on a browser's sign-in changes nothing by itself.
    let forged = format!("cf-access-jwt-assertion: {right}\r\ncontent-type: application/json\r\n");
    assert_eq!(
        house
            .ask("POST", "/api/v1/messages", &forged, "{}")
            .await
            .status,
        403
    );
    house.running.shutdown().await;
}

/// The network's word opens the page's socket, as the page itself; a program proves itself besides.
#[tokio::test]
async fn a_statement_opens_the_socket_of_our_page_for_as_long_as_it_is_good() {
    let team = AccessTeam::start().await.unwrap();
    let clock = ManualClock::at(SystemClock.now());
    let house = with_team(&team, &clock).await;
    let good = claims(&team, seconds(&clock));
    let said = format!(
        "cf-access-jwt-assertion: {}\r\n",
        team.statement(&good).unwrap()
    );
    let ours = format!("origin: http://{}\r\n{said}", house.address());
    let (mut page, _) = Socket::challenged(&house, &ours).await;
    let hello_ok = page.ask("connect", hello()).await.ok();
    let scopes = hello_ok["auth"]["scopes"].as_array().unwrap();
    assert!(scopes.contains(&json!("operator.admin")), "{hello_ok}");
    let (mut program, _) = Socket::challenged(&house, &said).await;
    let refused = program.ask("connect", hello()).await;
    assert_eq!(refused.code(), "AUTH_TOKEN_MISSING");
    let (mut program, _) = Socket::challenged(&house, &said).await;
    program.ask("connect", hello_with(TOKEN)).await.ok();
    // Who shows a secret of his own besides was let in by that.
    let (mut by_secret, _) = Socket::challenged(&house, &ours).await;
    by_secret.ask("connect", hello_with(TOKEN)).await.ok();
    clock.advance(Duration::from_secs(3_000));
    page.ask("health", json!({})).await.ok();
    clock.advance(Duration::from_secs(601));
    assert!(matches!(page.end().await, Came::Close(1008, _)));
    program.ask("health", json!({})).await.ok();
    by_secret.ask("health", json!({})).await.ok();
    house.running.shutdown().await;
}

#[tokio::test]
async fn keys_are_fetched_when_they_change_and_not_more_often_than_once_a_minute() {
    let team = AccessTeam::start().await.unwrap();
    let clock = ManualClock::at(SystemClock.now());
    let house = with_team(&team, &clock).await;
    let statement = || team.statement(&claims(&team, seconds(&clock))).unwrap();
    let old = statement();
    for _ in 0..5 {
        assert_eq!(status(&house, &old).await, 200);
    }
    assert_eq!(team.fetches(), 1);
    team.rotate();
    // Within the minute of the first fetch nothing is asked again, however many unknown keys come.
    for _ in 0..5 {
        assert_eq!(status(&house, &statement()).await, 401);
    }
    assert_eq!(team.fetches(), 1);
    clock.advance(Duration::from_secs(61));
    assert_eq!(status(&house, &statement()).await, 200);
    assert_eq!(team.fetches(), 2);
    assert_eq!(status(&house, &old).await, 401, "its key is withdrawn");
    // A key that is withdrawn while nothing unknown comes goes within the hour.
    team.rotate();
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(status(&house, &statement()).await, 200);
    assert_eq!(team.fetches(), 3);
    house.running.shutdown().await;
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_by_a_statement() {
    let team = AccessTeam::start().await.unwrap();
    let clock = ManualClock::at(SystemClock.now());
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "gateway": { "auth": { "cloudflareAccess": {
        "teamDomain": "http://127.0.0.1:9", "audience": AUDIENCE, "allowUsers": ["owner@example.org"],
    } } } });
    write_config(&folder, &config.to_string());
    let running = start(&folder).await.unwrap();
    let house = House { folder, running };
    let statement = team.statement(&claims(&team, seconds(&clock))).unwrap();
    assert_eq!(status(&house, &statement).await, 503);
    assert_eq!(house.owner("/api/v1/status").await.status, 200);
    house.running.shutdown().await;
}

#[tokio::test]
async fn c9_identity_without_names_is_refused_in_the_configuration() {
    for auth in [
        "allowTailscale: true",
        "cloudflareAccess: {teamDomain: 'https://t.cloudflareaccess.com', audience: 'x'}",
        "cloudflareAccess: {teamDomain: 'https://t.cloudflareaccess.com', allowUsers: ['a@b']}",
        "cloudflareAccess: {teamDomain: 'http://t.cloudflareaccess.com', audience: 'x', allowUsers: ['a@b']}",
        "cloudflareAccess: {teamDomain: 'https://t.cloudflareaccess.com/x', audience: 'x', allowUsers: ['a@b']}",
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_config(&folder, &format!("{{gateway: {{auth: {{{auth}}}}}}}"));
        assert!(
            matches!(start(&folder).await, Err(StartError::Config(_))),
            "{auth}"
        );
    }
}

/// Asks from an address of this machine's own choosing.
async fn ask_from(house: &House, from: &str, headers: &str) -> Answer {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream: TcpStream = socket.connect(house.address()).await.unwrap();
    let request = format!(
        "GET /api/v1/status HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n",
        house.address()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _length = stream.read_to_end(&mut bytes).await.unwrap();
    Answer::read(&bytes)
}

fn tailnet_config(folder: &TempDir) -> String {
    let socket = folder.path().join("tailscaled.sock");
    json!({ "gateway": { "auth": {
        "allowTailscale": true,
        "tailscale": { "allowUsers": ["owner@example.org"], "socket": socket },
    } } })
    .to_string()
}

#[tokio::test]
async fn a6_no_header_makes_a_caller_one_of_the_tailnet() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, &tailnet_config(&folder));
    let daemon = TailscaleDaemon::start(
        &folder.path().join("tailscaled.sock"),
        "100.64.0.1".parse().unwrap(),
    );
    let daemon = daemon.unwrap();
    // Even if the daemon vouched for a loopback address, which no tailnet gives out.
    for address in ["127.0.0.1", "127.0.0.2", "100.64.0.7"] {
        daemon.know(address.parse().unwrap(), "owner@example.org", &[]);
    }
    let running = start(&folder).await.unwrap();
    let house = House { folder, running };
    for header in [
        "",
        "x-forwarded-for: 100.64.0.7\r\n",
        "x-real-ip: 100.64.0.7\r\n",
        "forwarded: for=100.64.0.7\r\n",
        "tailscale-user-login: owner@example.org\r\n",
    ] {
        for from in ["127.0.0.1", "127.0.0.2"] {
            let answer = ask_from(&house, from, header).await;
            assert_eq!(answer.status, 401, "{from} {header}");
        }
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn bind_tailnet_needs_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("nothing.sock");
    let config =
        json!({ "gateway": { "bind": "tailnet", "auth": { "tailscale": { "socket": socket } } } });
    write_config(&folder, &config.to_string());
    assert!(matches!(start(&folder).await, Err(StartError::Tailnet(_))));
}

#[tokio::test]
async fn h5_a_version_past_the_owner_s_limit_is_not_reached_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let origin = "https://agent.example.org";
    let limits = format!("maxVersionAgeDays: 30, publicOrigin: '{origin}'");
    write_config(&folder, &format!("{{gateway: {{{limits}}}}}"));
    let clock = ManualClock::at(SystemClock.now());
    let mut fresh = options(&folder);
    fresh.clock = Arc::new(clock.clone());
    let running = Gateway::start(fresh).await.unwrap();
    let house = House { folder, running };
    let elsewhere = async || {
        let host = "GET /health HTTP/1.1\r\nhost: agent.example.org\r\nconnection: close\r\n\r\n";
        house.raw(host).await.status
    };
    let age = |days: u64| Duration::from_secs(days * 86_400);
    let past = 31_u64.saturating_sub(instar_gateway::age::days(clock.now()));
    if past > 1 {
        assert_eq!(elsewhere().await, 200);
    }
    clock.advance(age(past));
    assert_eq!(elsewhere().await, 503);
    let here = house.owner("/api/v1/status").await;
    assert_eq!(here.status, 200, "{here:?}");
    assert!(
        here.json()["versionAgeDays"].as_u64().unwrap() >= 31,
        "{here:?}"
    );
    house.running.shutdown().await;
    // A start that would be reached from elsewhere is none.
    let limits = "maxVersionAgeDays: 30, bind: 'lan', tls: {enabled: true}";
    write_config(&house.folder, &format!("{{gateway: {{{limits}}}}}"));
    let mut old = options(&house.folder);
    old.clock = Arc::new(clock.clone());
    let refused = Gateway::start(old).await;
    assert!(
        matches!(refused, Err(StartError::TooOld { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_token_that_is_due_is_changed_and_waits_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "{gateway: {auth: {rotateEveryDays: 30}}}");
    let options = |clock: &ManualClock| {
        let mut options = options(&folder);
        options.token = None;
        options.clock = Arc::new(clock.clone());
        options
    };
    let clock = ManualClock::at(SystemClock.now());
    let state = options(&clock).state.clone();
    let mut running = Gateway::start(options(&clock)).await.unwrap();
    let token = running.take_new_token().unwrap();
    running.shutdown().await;
    let secrets = instar_config::SecretStore::open(&state, &|_| None).unwrap();
    assert!(instar_gateway::rotation::take(&secrets).unwrap().is_none());
    clock.advance(DAY * 31);
    let running = Gateway::start(options(&clock)).await.unwrap();
    let address = running.address();
    let ask = async |token: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = bearer(token);
        let request = format!(
            "GET /api/v1/doctor HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{head}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let _length = stream.read_to_end(&mut bytes).await.unwrap();
        Answer::read(&bytes)
    };
    let began = Instant::now();
    while ask(token.expose()).await.status != 401 {
        assert!(began.elapsed() < PATIENCE, "the old token stays good");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let fresh = instar_gateway::rotation::take(&secrets).unwrap().unwrap();
    let began = Instant::now();
    while ask(fresh.expose()).await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "the new token is not taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        instar_gateway::rotation::take(&secrets).unwrap().is_none(),
        "taken once"
    );
    running.shutdown().await;
}
