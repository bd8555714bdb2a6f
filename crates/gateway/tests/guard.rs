//! What the guard in front of every handler tells apart.

use serde_json::json;

use crate::control::client::{Socket, hello_with};
use crate::house::{Answer, House, TOKEN, bearer};

const JSON: &str = "content-type: application/json\r\n";
const PAGE: &str = "accept: text/html\r\n";
const CHAT: &str = r#"{"model":"instar","messages":[{"role":"user","content":"hi"}]}"#;

/// True if the answer says that the owner has switched this part off.
fn is_off(answer: &Answer) -> bool {
    answer.status == 404 && answer.body.contains("switched off")
}

/// Every part, asked for as the owner would, and its name in the configuration.
async fn parts(house: &House) -> Vec<(&'static str, &'static str, Answer)> {
    let own = format!("{}{JSON}", bearer(TOKEN));
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut parts = Vec::new();
    for (part, method, path, body) in [
        ("chatCompletions", "POST", "/v1/chat/completions", CHAT),
        (
            "responses",
            "POST",
            "/v1/responses",
            r#"{"model":"instar","input":"hi"}"#,
        ),
        ("responses", "GET", "/v1/responses/resp_none", ""),
        ("mcp", "POST", "/mcp", ping),
        ("controlUi", "GET", "/chat", ""),
        ("controlUi", "GET", "/policy", ""),
        ("controlUi", "GET", "/sign-in", ""),
        ("controlUi", "GET", "/assets/app.css", ""),
        ("nothing", "GET", "/v1/models", ""),
        ("nothing", "GET", "/api/v1/status", ""),
        ("nothing", "GET", "/metrics", ""),
        ("nothing", "GET", "/health", ""),
        ("nothing", "GET", "/readyz", ""),
    ] {
        parts.push((part, path, house.ask(method, path, &own, body).await));
    }
    parts
}

#[tokio::test]
async fn what_is_switched_off_is_not_there_and_everything_else_is() {
    for off in [
        "nothing",
        "chatCompletions",
        "responses",
        "mcp",
        "controlUi",
    ] {
        let config = match off {
            "nothing" => json!({}),
            "controlUi" => json!({ "gateway": { "controlUi": { "enabled": false } } }),
            part => {
                json!({ "gateway": { "http": { "endpoints": { part: { "enabled": false } } } } })
            }
        };
        let house = House::with(&config.to_string()).await;
        for (part, path, answer) in parts(&house).await {
            let wanted = part == off && off != "nothing";
            assert_eq!(is_off(&answer), wanted, "{off} off, {path}: {answer:?}");
        }
        // The socket is there without the pages beside which it lies.
        let (mut socket, _) = Socket::challenged(&house, "").await;
        socket.ask("connect", hello_with(TOKEN)).await.ok();
        house.running.shutdown().await;
    }
}

#[tokio::test]
async fn who_browses_is_led_to_the_sign_in_and_a_program_is_told() {
    let house = House::new().await;
    let is_page = |answer: &Answer| {
        let kind = answer.header("content-type").unwrap_or_default();
        kind.starts_with("text/html")
    };
    let told = house.get("/chat", PAGE).await;
    assert!(is_page(&told) || told.status == 303, "{told:?}");
    let own = format!("origin: http://{}\r\n", house.address());
    for (method, headers) in [
        ("GET", String::new()),
        ("GET", "accept: application/json\r\n".to_owned()),
        ("POST", format!("{own}{PAGE}{JSON}")),
    ] {
        let told = house.ask(method, "/chat", &headers, "").await;
        assert_eq!(told.status, 401, "{method} {headers}: {told:?}");
        assert_eq!(told.json()["error"]["type"], "unauthorized", "{told:?}");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn who_guesses_too_often_is_told_so_and_gets_no_page() {
    let house = House::with("{gateway: {auth: {rateLimit: {maxAttempts: 2}}}}").await;
    let wrong = format!("{}{PAGE}", bearer("a-wrong-token-0123456789abcdef"));
    for _ in 0..2 {
        let _refused = house.get("/chat", &wrong).await;
    }
    let locked = house.get("/chat", &wrong).await;
    assert_eq!(locked.status, 429, "{locked:?}");
    assert!(locked.header("retry-after").is_some(), "{locked:?}");
    house.running.shutdown().await;
}

#[tokio::test]
async fn another_page_may_lead_here_and_not_act_here() {
    let house = House::new().await;
    // What a browser sends that leaves the origin out.
    let cross = "sec-fetch-site: cross-site\r\n";
    let linked = house.get("/sign-in", cross).await;
    assert_eq!(linked.status, 200, "a link may be followed: {linked:?}");
    let form = format!("{cross}content-type: application/x-www-form-urlencoded\r\n");
    let code = format!("code={}", house.code());
    let sent = house.ask("POST", "/sign-in", &form, &code).await;
    assert_eq!(sent.status, 403, "{sent:?}");
    let own = format!("{cross}{}{JSON}", bearer(TOKEN));
    let asked = house.ask("POST", "/v1/chat/completions", &own, CHAT).await;
    assert_eq!(asked.status, 403, "{asked:?}");
    house.running.shutdown().await;
}

#[tokio::test]
async fn a_form_counts_with_its_token_and_from_our_page() {
    let house = House::new().await;
    let cookie = house.cookie().await;
    let page = house.get("/chat", &format!("{cookie}{PAGE}")).await;
    assert_eq!(page.status, 200, "{page:?}");
    let token = page.body.split("name=\"form\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let send = async |origin: &str, token: &str| {
        let headers = format!("{cookie}{origin}{form}");
        let body = format!("form={token}&session=agent%3Amain%3Amain&text=hello");
        house.ask("POST", "/chat/say", &headers, &body).await
    };
    let own = format!("origin: http://{}\r\n", house.address());
    for (origin, token) in [
        ("", token),
        ("sec-fetch-site: none\r\n", token),
        ("sec-fetch-site: same-site\r\n", token),
        ("origin: null\r\n", token),
        (own.as_str(), "0"),
    ] {
        let refused = send(origin, token).await;
        assert_eq!(refused.status, 403, "{origin}: {refused:?}");
    }
    // A page without a referrer says `null`; the browser says beside it whose page it is.
    let quiet = "origin: null\r\nsec-fetch-site: same-origin\r\n";
    for origin in [own.as_str(), quiet] {
        let taken = send(origin, token).await;
        assert!(matches!(taken.status, 200..400), "{origin}: {taken:?}");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn the_host_in_the_address_is_the_one_in_the_header() {
    let house = House::new().await;
    let address = house.address();
    for (named, status) in [
        (address.to_string(), 200),
        ("evil.example".to_owned(), 421),
        (format!("localhost:{}", address.port()), 421),
    ] {
        let request = format!(
            "GET http://{named}/health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        );
        let answer = house.raw(&request).await;
        assert_eq!(answer.status, status, "{named}: {answer:?}");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn answers_are_counted_by_their_class() {
    let house = House::new().await;
    let count = async |class: &str| {
        let page = house.owner("/metrics").await.body;
        let series = format!("instar_http_responses_total{{class=\"{class}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap().parse::<u64>().unwrap()
    };
    let (fine, wrong) = (count("2xx").await, count("4xx").await);
    for _ in 0..3 {
        assert_eq!(house.get("/api/v1/status", "").await.status, 401);
    }
    assert_eq!(count("4xx").await, wrong + 3);
    // Each look at the page was one more of the other kind: two before, one between.
    assert_eq!(count("2xx").await, fine + 3);
    assert_eq!(count("5xx").await, 0);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a_turn_of_a_second_is_no_request_of_none() {
    let house = House::with("{agents: {defaults: {timeoutSeconds: 1}}}").await;
    assert_eq!(house.owner("/api/v1/status").await.status, 200);
    house.running.shutdown().await;
}
