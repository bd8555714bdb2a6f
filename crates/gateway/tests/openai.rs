//! The endpoints of OpenAI clients: the official clients against a running gateway, and what they
//! cannot show: a caller that goes away, and the notes about delivery.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::api_house::House;
use crate::api_http::read_until;

/// The clients are done in seconds; this is for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(180);

async fn check(house: &House, mut command: Command) {
    let output = command
        .env(
            "INSTAR_BASE_URL",
            format!("http://{}", house.endpoint.authority),
        )
        .env("INSTAR_KEY", &house.endpoint.key)
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .unwrap()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("all checks passed"),
        "{out}\n{err}"
    );
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

#[expect(clippy::print_stdout, reason = "the test run counts these lines")]
fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_python_client_works() {
    let python = std::env::var("INSTAR_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import openai"])
        .output()
        .await;
    if !found.is_ok_and(|output| output.status.success()) {
        return skipped("no Python with the openai package; set INSTAR_TEST_PYTHON");
    }
    let house = House::start().await;
    let mut command = Command::new(python);
    command.arg(script("openai_client.py"));
    check(&house, command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_javascript_client_works() {
    let modules = std::env::var("INSTAR_TEST_NODE_MODULES")
        .map(PathBuf::from)
        .ok();
    let Some(modules) = modules.filter(|modules| modules.join("openai").is_dir()) else {
        return skipped("no openai package for Node.js; set INSTAR_TEST_NODE_MODULES");
    };
    let house = House::start().await;
    let mut command = Command::new("node");
    command
        .arg(script("openai_client.mjs"))
        .env("INSTAR_TEST_NODE_MODULES", modules);
    check(&house, command).await;
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_own_run_with_it() {
    let house = House::start().await;
    let api = &house.endpoint;
    let json = "content-type: application/json\r\n";
    let body = |stream: bool| {
        let messages = json!([{"role": "user", "content": "forever"}]);
        json!({"model": "instar", "stream": stream, "messages": messages}).to_string()
    };
    let mut socket = api
        .open("POST", "/v1/chat/completions", json, Some(body(true)))
        .await;
    let _said = read_until(&mut socket, "wait").await;
    drop(socket);
    house
        .until("the streamed run was stopped", async || {
            turns(&house, "aborted").await == 1
        })
        .await;

    let socket = api
        .open("POST", "/v1/chat/completions", json, Some(body(false)))
        .await;
    house
        .until("the second run began", async || {
            house.mirror.seen.lock().unwrap().len() == 2
        })
        .await;
    drop(socket);
    house
        .until("the second run was stopped", async || {
            turns(&house, "aborted").await == 2
        })
        .await;
}

#[tokio::test]
async fn an_answer_that_was_handed_over_is_not_uncertain() {
    let house = House::start().await;
    for stream in [false, true] {
        let messages = json!([{"role": "user", "content": "hello"}]);
        let body = json!({"model": "instar", "stream": stream, "messages": messages});
        let answer = house.endpoint.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200);
    }
    let open = async || house.store().unfinished().await.unwrap().outbox.len();
    house
        .until("both answers are noted as delivered", async || {
            open().await == 0
        })
        .await;
    assert_eq!(house.store().uncertain(10).await.unwrap().len(), 0);
}

async fn turns(house: &House, outcome: &str) -> usize {
    let turns = house.endpoint.get("/api/v1/events?kind=turn").await.json();
    let turns = turns.as_array().unwrap();
    turns
        .iter()
        .filter(|turn| turn["outcome"] == outcome)
        .count()
}
