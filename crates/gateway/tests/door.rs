//! Who gets in, and what changes nothing about it.

use crate::house::{House, TOKEN, bearer, options, start, write_config};
use instar_gateway::{Gateway, StartError};

/// What answers without a credential. A route that is added is refused unless it is named here.
const OPEN: [&str; 6] = [
    "/health",
    "/healthz",
    "/ready",
    "/readyz",
    "/sign-in",
    "/assets/{name}",
];

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// A path of the table as somebody would ask for it.
fn filled(path: &str) -> String {
    let word = |part: &str| if part.starts_with('{') { "main" } else { part }.to_owned();
    path.split('/').map(word).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn a5_every_route_refuses_without_a_credential() {
    let house = House::with("{gateway: {limits: {requestsPerMinute: 100000}}}").await;
    let routes = instar_gateway::paths();
    for known in ["/", "/metrics", "/api/v1/status", "/v1/responses/{id}"] {
        assert!(routes.iter().any(|path| path == known), "{routes:?}");
    }
    let guarded = routes
        .iter()
        .filter(|path| !OPEN.contains(&path.as_str()))
        .map(|path| filled(path))
        .chain(["/nothing/here", "/assets/../api/v1/status"].map(str::to_owned));
    for path in guarded {
        for method in METHODS {
            for headers in [
                "",
                "accept: text/html\r\n",
                "content-type: application/json\r\n",
            ] {
                let answer = house.ask(method, &path, headers, "").await;
                // 403: a change without an origin is refused before anybody looks who asks.
                assert!(
                    matches!(answer.status, 400 | 401 | 403),
                    "{method} {path}: {answer:?}"
                );
            }
        }
    }
    for path in OPEN {
        assert!(routes.iter().any(|known| known == path), "{path}");
        let answer = house.get(&path.replace("{name}", "app.css"), "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    assert_eq!(
        house.get("/health", "").await.json(),
        serde_json::json!({"ok": true, "status": "live"})
    );
    assert_eq!(house.owner("/api/v1/status").await.status, 200);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a5_the_process_listens_on_one_socket() {
    // TCP, UDP and Unix sockets, whoever opened them.
    let house = House::new().await;
    let mine: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.display().to_string();
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut ports = Vec::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        for line in std::fs::read_to_string(table)
            .unwrap_or_default()
            .lines()
            .skip(1)
        {
            let fields: Vec<_> = line.split_whitespace().collect();
            // 0A is the state of a listener.
            if fields[3] == "0A" && mine.iter().any(|inode| inode == fields[9]) {
                let (_, port) = fields[1].split_once(':').unwrap();
                ports.push(u16::from_str_radix(port, 16).unwrap());
            }
        }
    }
    let mut others = Vec::new();
    for table in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
        for line in std::fs::read_to_string(table)
            .unwrap_or_default()
            .lines()
            .skip(1)
        {
            let inode = line.split_whitespace().nth(9).unwrap();
            if mine.iter().any(|mine| mine == inode) {
                others.push(line.to_owned());
            }
        }
    }
    for line in std::fs::read_to_string("/proc/self/net/unix")
        .unwrap_or_default()
        .lines()
        .skip(1)
    {
        let fields: Vec<_> = line.split_whitespace().collect();
        // The flag that a listening socket carries.
        if fields[3] == "00010000" && mine.iter().any(|inode| inode == fields[6]) {
            others.push(line.to_owned());
        }
    }
    assert!(others.is_empty(), "{others:?}");
    // Other tests of one process may have their own gateway; under nextest each is alone.
    assert!(ports.contains(&house.address().port()));
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(ports.len(), 1, "{ports:?}");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn a5_no_listener_without_authentication() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token.sha256"), "not a digest").unwrap();
    write_config(&folder, "{}");
    let mut damaged = options(&folder);
    damaged.token = None;
    assert!(matches!(
        Gateway::start(damaged).await,
        Err(StartError::Token(_))
    ));
    assert!(!folder.path().join("gateway.run.json").exists());
}

#[tokio::test]
async fn c9_a_missing_secret_refuses_and_never_falls_back() {
    let folder = tempfile::tempdir().unwrap();
    write_config(
        &folder,
        r#"{gateway: {auth: {mode: "password", password: {source: "store", id: "gateway-password"}}}}"#,
    );
    assert!(matches!(start(&folder).await, Err(StartError::Auth(_))));
    write_config(&folder, r#"{gateway: {auth: {mode: "password"}}}"#);
    assert!(matches!(start(&folder).await, Err(StartError::Config(_))));
}

#[tokio::test]
async fn a11_beyond_loopback_needs_tls_or_a_private_overlay() {
    for (bind, more) in [
        ("lan", ""),
        ("custom", ""),
        ("custom", "privateOverlays: ['10.8.0.0/24'],"),
        ("custom", "privateOverlays: ['0.0.0.0/0'],"),
        ("lan", "privateOverlays: ['10.0.0.0/8'],"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config =
            format!(r#"{{gateway: {{{more} bind: "{bind}", customBindHost: "0.0.0.0"}}}}"#);
        write_config(&folder, &config);
        let Err(StartError::Config(error)) = start(&folder).await else {
            panic!("{bind} started");
        };
        assert!(
            error.problems().iter().any(|one| matches!(
                one.path.as_str(),
                "gateway.bind" | "gateway.privateOverlays"
            )),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a2_foreign_hosts_and_origins_are_refused() {
    let house = House::new().await;
    let address = house.address();
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
    ] {
        let answer = house
            .raw(&format!(
                "GET /health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert!(matches!(answer.status, 400 | 421), "{host}: {answer:?}");
    }
    let without = house
        .raw("GET /health HTTP/1.1\r\nconnection: close\r\n\r\n")
        .await;
    assert!(matches!(without.status, 400 | 421), "{without:?}");
    let twice = format!(
        "GET /health HTTP/1.1\r\nhost: {address}\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    );
    assert!(matches!(house.raw(&twice).await.status, 400 | 421));
    for origin in [
        "http://evil.example".to_owned(),
        "null".to_owned(),
        format!("https://{address}"),
        format!("http://{address}.evil.example"),
        "http://localhost:1".to_owned(),
        "file://".to_owned(),
    ] {
        let headers = format!("{}origin: {origin}\r\n", bearer(TOKEN));
        for path in ["/api/v1/status", "/health"] {
            assert_eq!(house.get(path, &headers).await.status, 403, "{origin}");
        }
    }
    let own = format!("{}origin: http://{address}\r\n", bearer(TOKEN));
    assert_eq!(house.get("/api/v1/status", &own).await.status, 200);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a2_b10_guessing_from_loopback_locks_out() {
    let house = House::new().await;
    let mut statuses = Vec::new();
    for n in 0..200 {
        statuses.push(
            house
                .get("/api/v1/status", &bearer(&format!("guess-{n}")))
                .await
                .status,
        );
    }
    assert!(
        statuses[..9].iter().all(|status| *status == 401),
        "{statuses:?}"
    );
    assert!(
        statuses[10..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
    let right = house.owner("/api/v1/status").await;
    assert_eq!(
        right.status, 429,
        "locked out means that nothing is compared"
    );
    assert!(right.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    house.running.shutdown().await;
}

#[tokio::test]
async fn b10_guessing_tokens_does_not_lock_out_the_owner_s_own_commands() {
    let house = House::new().await;
    let local = house.run_file().local_secret;
    let status = async |secret: &str| house.get("/api/v1/status", &bearer(secret)).await.status;
    for n in 0..12 {
        let _refused = status(&format!("guess-{n}")).await;
    }
    assert_eq!(status(TOKEN).await, 429, "the token's class is locked");
    assert_eq!(status(&local).await, 200);
    // Guesses of the local secret itself have their own limit, and lock nothing else.
    let house = House::new().await;
    let local = house.run_file().local_secret;
    let status = async |secret: &str| house.get("/api/v1/status", &bearer(secret)).await.status;
    let mut last = 0;
    for n in 0..12 {
        last = status(&format!("local_{n:064x}")).await;
    }
    assert_eq!((last, status(&local).await), (429, 429));
    assert_eq!(status(TOKEN).await, 200);
    house.running.shutdown().await;
}

#[tokio::test]
async fn b10_stale_cookies_lock_out_no_other_browser() {
    let house = House::new().await;
    let good = house.cookie().await;
    let mut seen = Vec::new();
    for n in 0..12 {
        let stale = format!("cookie: instar_session={n:064x}\r\n");
        seen.push(house.get("/api/v1/status", &stale).await.status);
    }
    assert!(seen[..9].iter().all(|status| *status == 401), "{seen:?}");
    assert_eq!(seen[11], 429);
    assert_eq!(house.get("/api/v1/status", &good).await.status, 200);
    // Not from memory alone: a second sign-in makes the gateway look the first one up again.
    let other = house.cookie().await;
    for cookie in [&good, &other] {
        assert_eq!(house.get("/api/v1/status", cookie).await.status, 200);
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn b10_every_secret_has_its_limit() {
    let house = House::new().await;
    let mut last = 0;
    for n in 0..12 {
        last = house.sign_in(&format!("code={n}")).await.status;
    }
    assert_eq!(last, 429, "codes");
    for n in 0..12 {
        last = house
            .get("/api/v1/status", &format!("cookie: instar_session={n}\r\n"))
            .await
            .status;
    }
    assert_eq!(last, 429, "cookies");
    for n in 0..12 {
        last = house.sign_in(&format!("secret={n}")).await.status;
    }
    assert_eq!(last, 429, "the token in the form");
    house.running.shutdown().await;
}

#[tokio::test]
async fn a2_missing_credentials_do_not_count() {
    let house = House::new().await;
    for _ in 0..50 {
        assert_eq!(house.get("/api/v1/status", "").await.status, 401);
    }
    assert_eq!(house.owner("/api/v1/status").await.status, 200);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a6_forwarded_headers_change_nothing() {
    let house = House::new().await;
    for header in [
        "x-forwarded-for: 127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "forwarded: for=127.0.0.1;proto=https",
        "x-forwarded-user: owner",
        "x-forwarded-host: evil.example",
        "x-remote-user: owner",
        "x-instar-principal: owner",
        "x-forwarded-proto: https",
        "via: 1.1 localhost",
    ] {
        let line = format!("{header}\r\n");
        assert_eq!(
            house.get("/api/v1/status", &line).await.status,
            401,
            "{header}"
        );
        let with = format!("{}{line}", bearer(TOKEN));
        assert_eq!(
            house.get("/api/v1/status", &with).await.status,
            200,
            "{header}"
        );
    }
    house.running.shutdown().await;
}

const PROXY: &str = r#"{gateway: {trustedProxies: ["PEER"], auth: {mode: "trusted-proxy",
    trustedProxy: {userHeader: "x-forwarded-user", requiredHeaders: ["x-proxy"], allowUsers: ["ann"]}}}}"#;

#[tokio::test]
async fn a6_the_user_header_counts_from_the_proxy_alone() {
    let house = House::with(&PROXY.replace("PEER", "127.0.0.1")).await;
    let ann = "x-forwarded-user: ann\r\nx-proxy: yes\r\n";
    assert_eq!(house.get("/api/v1/status", ann).await.status, 200);
    for bad in [
        "x-forwarded-user: ann\r\n",
        "x-forwarded-user: eve\r\nx-proxy: yes\r\n",
        "x-forwarded-user: ann\r\nx-forwarded-user: ann\r\nx-proxy: yes\r\n",
        "x-forwarded-user: Ann\r\nx-proxy: yes\r\n",
        "",
    ] {
        assert_eq!(house.get("/api/v1/status", bad).await.status, 401, "{bad}");
    }
    house.running.shutdown().await;
    let house = House::with(&PROXY.replace("PEER", "10.0.0.9")).await;
    assert_eq!(house.get("/api/v1/status", ann).await.status, 401);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a7_disguised_paths_reach_nothing() {
    let house = House::new().await;
    for path in [
        "/assets/../api/v1/status",
        "/assets/%2e%2e/api/v1/status",
        "/assets/..%2fapi/v1/status",
        "//api/v1/status",
        "/api//v1/status",
        "/api/v1/status/",
        "/api/v1/./status",
        "/assets%2f..%2fapi",
        "/health/%2e%2e/api/v1/status",
        "/api\\v1\\status",
        "/api/v1/status%00",
        "/%252e%252e/api/v1/status",
        "/sign-in/..;/api/v1/status",
        "/API/v1/status",
        "/health;/api/v1/status",
        "/%68ealth/../api/v1/status",
    ] {
        let answer = house.get(path, "").await;
        assert!(matches!(answer.status, 400 | 401), "{path}: {answer:?}");
    }
    // With a credential a disguised path is refused as well: it is never repaired.
    assert_eq!(house.owner("/api/v1/%2e/status").await.status, 400);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a7_a_model_s_id_may_carry_encoded_slashes() {
    let house = House::new().await;
    for path in ["/v1/models/test%2Fecho", "/v1/models/test/echo"] {
        let answer = house.owner(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.json()["id"], "test/echo");
        assert_eq!(house.get(path, "").await.status, 401, "{path}");
    }
    assert_eq!(house.owner("/v1/models/test%2Fnone").await.status, 404);
    for path in [
        "/v1/models/..%2F..%2Fapi%2Fv1%2Fstatus",
        "/v1/models/a%2F%2Fb",
        "/v1/models/a%252Fb",
        "/v1%2Fmodels/test",
        "/api/v1/sessions/a%2Fb",
    ] {
        assert_eq!(house.owner(path).await.status, 400, "{path}");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn a11_a_secret_in_the_address_is_refused() {
    let house = House::new().await;
    for name in ["token", "access_token", "Token", "password", "api-key"] {
        let path = format!("/api/v1/status?{name}={TOKEN}");
        assert_eq!(house.get(&path, "").await.status, 400, "{path}");
    }
    let (link, _) = house.running.sign_in_link().unwrap();
    assert!(!link.contains(TOKEN));
    assert!(!link.contains(&house.run_file().local_secret));
    house.running.shutdown().await;
}

#[tokio::test]
async fn a1_a_link_works_once_and_looking_spends_nothing() {
    let house = House::new().await;
    let code = house.code();
    for _ in 0..3 {
        let page = house.get(&format!("/sign-in?code={code}"), "").await;
        assert_eq!(page.status, 200);
        assert!(page.header("set-cookie").is_none());
    }
    let answer = house.sign_in(&format!("code={code}")).await;
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(house.sign_in(&format!("code={code}")).await.status, 401);
    let line = format!("cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(house.get("/api/v1/status", &line).await.status, 200);
    let origin = format!("{line}origin: http://{}\r\n", house.address());
    assert_eq!(
        house.ask("POST", "/sign-out", &origin, "").await.status,
        303
    );
    assert_eq!(house.get("/api/v1/status", &line).await.status, 401);
    house.running.shutdown().await;
}

#[tokio::test]
async fn browsers_beyond_the_bound_push_out_the_oldest_session() {
    let house = House::new().await;
    let first = house.cookie().await;
    let status = async |cookie: &str| house.get("/api/v1/status", cookie).await.status;
    assert_eq!(status(&first).await, 200);
    let mut last = String::new();
    for _ in 0..instar_store::WEB_SESSIONS_MAX {
        last = house.cookie().await;
    }
    assert_eq!(status(&last).await, 200);
    assert_eq!(status(&first).await, 401, "it made room");
    house.running.shutdown().await;
}

#[tokio::test]
async fn c8_requests_of_other_pages_change_nothing() {
    let house = House::new().await;
    let cookie = house.cookie().await;
    let address = house.address();
    let body = r#"{"text":"hello"}"#;
    let own = format!("origin: http://{address}\r\n");
    for (headers, why) in [
        (
            "origin: http://evil.example\r\ncontent-type: application/json\r\n".to_owned(),
            "foreign origin",
        ),
        ("content-type: application/json\r\n".to_owned(), "no origin"),
        (
            "sec-fetch-site: cross-site\r\ncontent-type: application/json\r\n".to_owned(),
            "cross-site",
        ),
        (
            "sec-fetch-site: same-site\r\ncontent-type: application/json\r\n".to_owned(),
            "same-site",
        ),
        (
            format!("{own}content-type: text/plain\r\n"),
            "a simple type",
        ),
        (
            format!("{own}content-type: application/x-www-form-urlencoded\r\n"),
            "a form",
        ),
    ] {
        let answer = house
            .ask(
                "POST",
                "/api/v1/messages",
                &format!("{cookie}{headers}"),
                body,
            )
            .await;
        assert_eq!(answer.status, 403, "{why}: {answer:?}");
    }
    assert_eq!(
        house.owner("/api/v1/sessions").await.json()["sessions"],
        serde_json::json!([])
    );
    let headers = format!("{cookie}{own}content-type: application/json\r\n");
    let answer = house.ask("POST", "/api/v1/messages", &headers, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    house.running.shutdown().await;
}

#[tokio::test]
async fn c2_c3_no_field_of_a_request_carries_authority() {
    let house = House::new().await;
    for field in [
        "approved",
        "principal",
        "owner",
        "isOwner",
        "senderIsOwner",
        "role",
        "via",
        "label",
        "permit",
        "admin",
        "release",
        "elevated",
    ] {
        let body = format!(r#"{{"text":"hello","{field}":true}}"#);
        let json = "content-type: application/json\r\n";
        let without = house.ask("POST", "/api/v1/messages", json, &body).await;
        assert_eq!(without.status, 401, "{field}");
        let with = format!("{}{json}", bearer(TOKEN));
        let answer = house.ask("POST", "/api/v1/messages", &with, &body).await;
        assert!(matches!(answer.status, 400 | 422), "{field}: {answer:?}");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn the_command_line_gets_in_with_the_run_file() {
    let house = House::new().await;
    let run = house.run_file();
    assert_eq!(run.pid, std::process::id());
    let answer = house
        .get("/api/v1/status", &bearer(&run.local_secret))
        .await;
    assert_eq!(answer.status, 200);
    let folder = house.folder.path().join("gateway.run.json");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o600
    );
    house.running.shutdown().await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn the_first_start_makes_a_token_and_keeps_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = options(&folder);
    first.token = None;
    let mut running = Gateway::start(first).await.unwrap();
    let token = running.take_new_token().unwrap();
    assert_eq!(token.expose().len(), 64);
    let house = House { folder, running };
    assert_eq!(
        house
            .get("/api/v1/status", &bearer(token.expose()))
            .await
            .status,
        200
    );
    let House { folder, running } = house;
    running.shutdown().await;
    let mut second = options(&folder);
    second.token = None;
    let mut running = Gateway::start(second).await.unwrap();
    assert!(running.take_new_token().is_none());
    let house = House { folder, running };
    assert_eq!(
        house
            .get("/api/v1/status", &bearer(token.expose()))
            .await
            .status,
        200
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn a_password_signs_in_and_gives_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "correct horse battery\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    write_config(
        &folder,
        r#"{gateway: {auth: {mode: "password", password: {source: "file", id: "password"}}}}"#,
    );
    let running = start(&folder).await.unwrap();
    let house = House { folder, running };
    assert_eq!(house.sign_in("secret=wrong").await.status, 401);
    assert_eq!(
        house.owner("/api/v1/status").await.status,
        401,
        "the token is no credential now"
    );
    let answer = house.sign_in("secret=correct+horse+battery").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let answer = house
        .get("/api/v1/status", &format!("cookie: {cookie}\r\n"))
        .await;
    assert_eq!(answer.status, 200);
    house.running.shutdown().await;
}
