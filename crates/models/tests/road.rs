//! The road: what happens to a call when things go well and when they do not.

use crate::server::{
    CANARY, Caller, End, House, Reply, Server, config, house, house_with, model, said,
};
use instar_models::ModelError;
use instar_protocol::event::ErrorClass;
use instar_protocol::model::{
    Attempt, LocalModel, ModelEvent, ModelReply, ModelRequest, StopReason, Usage,
};
use instar_protocol::{Label, Readers};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn provider(server: &Server) -> Value {
    json!({
        "baseUrl": server.url(),
        "apiKey": {"source": "store", "id": "key"},
        "models": [{"id": "m", "cost": {"input": 1.0, "output": 10.0}}],
    })
}

fn one(server: &Server) -> House {
    house(
        json!({"providers": {"one": provider(server)}, "retry": {"maxAttempts": 3, "baseMs": 1, "maxMs": 50}}),
    )
}

fn two(first: &Server, second: &Server) -> House {
    house(json!({
        "providers": {"one": provider(first), "two": provider(second)},
        "retry": {"maxAttempts": 2, "baseMs": 1, "maxMs": 50},
        "stallSeconds": 1,
    }))
}

async fn ask(house: &House, caller: &Caller) -> (Result<ModelReply, ModelError>, Vec<ModelEvent>) {
    let mut events = vec![];
    let answer = house
        .models
        .call(caller.call(), &mut |event| events.push(event.clone()))
        .await;
    (answer, events)
}

#[tokio::test]
async fn an_answer_is_priced_booked_and_its_connection_used_again() {
    let server = Server::start(vec![said("Hi"), said("again")]).await;
    let house = one(&server);
    let caller = Caller::new(&["one/m"]);
    let (reply, events) = ask(&house, &caller).await;
    let reply = reply.unwrap();
    assert_eq!((reply.text.as_str(), reply.stop), ("Hi", StopReason::Stop));
    // 1000 tokens at 1 dollar and 100 at 10 dollars per million
    assert_eq!(Attempt::spent(&reply.attempts), (reply.usage, 2000));
    assert_eq!(reply.attempts.len(), 1);
    assert!(matches!(events.last(), Some(ModelEvent::Finish { .. })));
    assert_eq!(house.books.records.lock().unwrap()[0].cost_micros, 2000);
    let head = server.requests.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("POST /v1/chat/completions HTTP/1.1"),
        "{head}"
    );
    assert!(head.contains(&format!("authorization: Bearer {CANARY}")));
    assert!(head.contains("user-agent: Instar/test"));
    ask(&house, &caller).await.0.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn rate_limits_and_server_errors_are_retried_before_anything_was_shown() {
    let server = Server::start(vec![
        Reply::status(429, "{\"error\":{\"message\":\"slow down\"}}").header("retry-after-ms: 5"),
        Reply::status(503, "busy"),
        said("third time"),
    ])
    .await;
    let house = one(&server);
    let reply = ask(&house, &Caller::new(&["one/m"])).await.0.unwrap();
    assert_eq!(reply.text, "third time");
    let reasons: Vec<bool> = reply
        .attempts
        .iter()
        .map(|attempt| attempt.failure.is_some())
        .collect();
    assert_eq!(reasons, [true, true, false]);
    assert!(
        reply.attempts[0]
            .failure
            .as_deref()
            .unwrap()
            .starts_with("rate:")
    );
}

#[tokio::test]
async fn a_pause_beyond_the_bound_goes_to_the_next_model_at_once() {
    let first = Server::start(vec![Reply::status(429, "{}").header("retry-after: 3600")]).await;
    let second = Server::start(vec![said("from two")]).await;
    let house = two(&first, &second);
    let reply = ask(&house, &Caller::new(&["one/m", "two/m"]))
        .await
        .0
        .unwrap();
    assert_eq!((reply.model.as_str(), first.count()), ("two/m", 1));
}

#[tokio::test]
async fn errors_of_the_account_fall_back_without_a_retry_and_without_the_key() {
    let body = format!(
        "{{\"error\":{{\"message\":\"Incorrect API key provided: {CANARY}\",\"code\":\"invalid_api_key\"}}}}"
    );
    let first = Server::start(vec![Reply::status(401, &body), Reply::status(401, &body)]).await;
    let second = Server::start(vec![said("from two")]).await;
    let house = two(&first, &second);
    let reply = ask(&house, &Caller::new(&["one/m", "two/m"]))
        .await
        .0
        .unwrap();
    assert_eq!(first.count(), 1);
    assert!(!format!("{reply:?}").contains(CANARY));
    let error = ask(&house, &Caller::new(&["one/m"])).await.0.unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(
        error.user.next_step.contains("instar secrets set one"),
        "{:?}",
        error.user
    );
    assert!(!format!("{error:?} {error}").contains(CANARY));
}

#[tokio::test]
async fn secrets_in_streams_headers_and_addresses_stay_out_of_errors() {
    let echo = format!(
        "data: {{\"error\":{{\"message\":\"{CANARY} and other-canary-77\",\"code\":500}}}}\n\n"
    );
    let server = Server::start(vec![
        Reply::ok(echo),
        Reply::status(400, "other-canary-77 is wrong"),
    ])
    .await;
    let mut config = provider(&server);
    config["baseUrl"] = json!(format!("{}?key=query-canary-3", server.url()));
    config["headers"] = json!({"x-house": "other-canary-77"});
    let house = house(json!({"providers": {"one": config}, "retry": {"maxAttempts": 1}}));
    for _ in 0..2 {
        let error = ask(&house, &Caller::new(&["one/m"])).await.0.unwrap_err();
        let said = format!("{error} {error:?} {:?}", house.models.list());
        assert!(!said.contains("canary"), "{said}");
    }
    let head = server.requests.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("POST /v1/chat/completions?key=query-canary-3 ")
            && head.contains("x-house: other-canary-77")
    );
}

#[tokio::test]
async fn a_refusal_is_not_argued_with_elsewhere() {
    let first = Server::start(vec![Reply::status(
        400,
        "{\"error\":{\"code\":\"content_filter\",\"message\":\"no\"}}",
    )])
    .await;
    let second = Server::start(vec![said("yes")]).await;
    let house = two(&first, &second);
    let error = ask(&house, &Caller::new(&["one/m", "two/m"]))
        .await
        .0
        .unwrap_err();
    assert_eq!((error.class, second.count()), (ErrorClass::Refusal, 0));
}

#[tokio::test]
async fn after_text_was_shown_nothing_is_tried_again() {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half\"}}]}\n\n";
    for end in [End::Whole, End::Cut, End::Hang] {
        let first = Server::start(vec![Reply::ok(half).end(end), said("twice")]).await;
        let second = Server::start(vec![said("other")]).await;
        let house = two(&first, &second);
        let (answer, events) = ask(&house, &Caller::new(&["one/m", "two/m"])).await;
        let error = answer.unwrap_err();
        assert_eq!(error.partial, "Half", "{end:?}");
        assert_eq!((first.count(), second.count()), (1, 0), "{end:?}");
        assert_eq!(events.len(), 1);
        let class = if end == End::Hang {
            ErrorClass::Timeout
        } else {
            ErrorClass::Network
        };
        assert_eq!(error.class, class, "{end:?}");
    }
}

#[tokio::test]
async fn garbage_and_silence_go_to_the_next_model() {
    for reply in [
        Reply::ok("data: <html>\n\n"),
        Reply::ok("data: [DONE]\n\n"),
        Reply::ok("").end(End::Hang),
        Reply::status(404, "{\"error\":{\"message\":\"no such model\"}}"),
    ] {
        let first = Server::start(vec![reply.clone()]).await;
        let second = Server::start(vec![said("other")]).await;
        let house = two(&first, &second);
        let answer = ask(&house, &Caller::new(&["one/m", "two/m"]))
            .await
            .0
            .unwrap();
        assert_eq!(
            (answer.text.as_str(), first.count()),
            ("other", 1),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_without_end_is_cut() {
    let comment = format!(": {}\n\n", "x".repeat(64 * 1024));
    let server = Server::start(vec![Reply::ok(comment).end(End::Forever)]).await;
    let house = one(&server);
    let mut caller = Caller::new(&["one/m"]);
    caller.deadline = Duration::from_secs(60);
    let error = ask(&house, &caller).await.0.unwrap_err();
    assert_eq!(error.class, ErrorClass::Malformed);
}

#[tokio::test]
async fn deadline_and_stop_end_a_call() {
    let server = Server::start(vec![
        Reply::ok("").end(End::Hang),
        Reply::ok("").end(End::Hang),
    ])
    .await;
    let house = one(&server);
    let mut caller = Caller::new(&["one/m", "one/other"]);
    caller.deadline = Duration::from_millis(100);
    let error = ask(&house, &caller).await.0.unwrap_err();
    assert_eq!(error.class, ErrorClass::Timeout);
    let caller = Caller::new(&["one/m", "one/other"]);
    let stop = caller.cancel.clone();
    let seen = server.requests.clone();
    let stopper = async {
        while seen.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let ((answer, _), ()) = tokio::join!(ask(&house, &caller), stopper);
    assert_eq!(answer.unwrap_err().class, ErrorClass::Cancelled);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_paid_by_what_the_vendor_said_or_by_an_estimate() {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half an answer\"}}]}\n\n";
    let told = format!(
        "{half}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1000,\"completion_tokens\":200}}}}\n\n"
    );
    for (body, end, estimated) in [
        (told.as_str(), End::Cut, false),
        (half, End::Cut, true),
        (half, End::Whole, true),
        (half, End::Hang, true),
    ] {
        let server = Server::start(vec![Reply::ok(body).end(end)]).await;
        let house = two(&server, &server);
        let error = ask(&house, &Caller::new(&["one/m"])).await.0.unwrap_err();
        let booked = house.books.records.lock().unwrap().clone();
        assert_eq!(booked.len(), 1, "{end:?}");
        let (usage, cost_micros) = Attempt::spent(&error.attempts);
        assert_eq!(booked[0].cost_micros, cost_micros);
        assert_eq!(booked[0].input_tokens, usage.input_tokens);
        assert_eq!(error.attempts[0].estimated, estimated, "{end:?}");
        if estimated {
            assert!(usage.input_tokens > 0, "{usage:?}");
            assert_eq!(usage.output_tokens, 4);
        } else {
            // 1000 tokens at 1 dollar and 200 at 10 dollars per million
            assert_eq!(cost_micros, 3000);
        }
    }
}

#[tokio::test]
async fn aborting_does_not_get_round_a_budget() {
    let server = Server::start(vec![Reply::ok("").end(End::Hang), said("never")]).await;
    let house = house(json!({
        "providers": {"one": provider(&server)},
        "budget": {"perDayUsd": 0.000_001},
    }));
    let caller = Caller::new(&["one/m"]);
    let mut call = Box::pin(ask(&house, &caller));
    while server.count() == 0 {
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(call);
    assert_eq!(house.books.records.lock().unwrap().len(), 1);
    let error = ask(&house, &caller).await.0.unwrap_err();
    assert_eq!((error.class, server.count()), (ErrorClass::Budget, 1));
}

#[tokio::test]
async fn what_was_never_answered_costs_nothing_and_what_broke_off_counts_to_the_answer() {
    let server = Server::start(vec![
        Reply::status(503, "busy"),
        Reply::ok(
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":0}}\n\n",
        )
        .end(End::Cut),
        said("third time"),
    ])
    .await;
    let house = one(&server);
    let reply = ask(&house, &Caller::new(&["one/m"])).await.0.unwrap();
    let costs: Vec<u64> = reply
        .attempts
        .iter()
        .map(|tried| tried.cost_micros)
        .collect();
    assert_eq!(costs, [0, 1000, 2000]);
    let (usage, cost_micros) = Attempt::spent(&reply.attempts);
    assert_eq!(*house.books.spent.lock().unwrap(), cost_micros);
    let booked = house.books.records.lock().unwrap().clone();
    assert_eq!(
        (
            usage.input_tokens,
            booked.iter().map(|row| row.input_tokens).sum()
        ),
        (2000, 2000),
        "tokens and cost are of the same attempts"
    );
    assert_eq!(reply.usage.input_tokens, 1000, "the answer's own");
}

#[tokio::test]
async fn calls_at_the_same_time_pass_a_limit_by_one_call_at_most() {
    let server = Server::start((0..20).map(|_| said("a")).collect()).await;
    let mut priced = provider(&server);
    // What is set aside for a call is a little more than it will cost.
    priced["models"][0]["maxTokens"] = json!(200);
    let house = house(json!({
        "providers": {"one": priced},
        "budget": {"perDayUsd": 0.0065},
    }));
    let caller = Caller::new(&["one/m"]);
    let calls = (0..20).map(|_| ask(&house, &caller));
    let answers = futures_util::future::join_all(calls).await;
    let done = answers.iter().filter(|(answer, _)| answer.is_ok()).count();
    let refused = answers
        .iter()
        .filter(|(answer, _)| matches!(answer, Err(error) if error.class == ErrorClass::Budget));
    // 2000 a call: the fourth begins below the limit of 6500 and ends above it.
    assert_eq!((done, refused.count()), (4, 16));
    assert_eq!(*house.books.spent.lock().unwrap(), 8_000);
}

#[tokio::test]
async fn a_call_that_waits_for_its_share_of_the_budget_can_be_stopped() {
    let server = Server::start(vec![Reply::ok("").end(End::Hang)]).await;
    let house = house(json!({
        "providers": {"one": provider(&server)},
        "budget": {"perDayUsd": 0.000_1},
    }));
    let (caller, second) = (Caller::new(&["one/m"]), Caller::new(&["one/m"]));
    let mut first = Box::pin(ask(&house, &caller));
    while server.count() == 0 {
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let mut waiting = Box::pin(ask(&house, &second));
    for _ in 0..100 {
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(server.count(), 1, "the second waits for the first");
    second.cancel.cancel();
    assert_eq!(waiting.await.0.unwrap_err().class, ErrorClass::Cancelled);
}

#[tokio::test]
async fn a_budget_does_not_hold_a_model_without_a_price_and_says_so() {
    let server = Server::start(vec![]).await;
    let mut unpriced = provider(&server);
    unpriced["models"][0]
        .as_object_mut()
        .unwrap()
        .remove("cost");
    let providers = json!({"one": unpriced, "two": provider(&server)});
    let house = house(json!({"providers": providers, "budget": {"perDayUsd": 1}}));
    let escapes = |name: &str| house.models.escapes_budget(&model(name));
    assert!(escapes("one/m") && escapes("two/unknown"));
    assert!(!escapes("two/m") && !escapes("ollama/qwen3"));
    house
        .models
        .reload(config(json!({"providers": {"one": provider(&server)}})))
        .unwrap();
    assert!(
        !house.models.escapes_budget(&model("one/unknown")),
        "no limit is set"
    );
}

#[tokio::test]
async fn the_warning_comes_again_with_the_ledger_s_day_and_not_with_that_of_utc() {
    let server = Server::start(vec![said("a"), said("b"), said("c")]).await;
    let house = house(json!({
        "providers": {"one": provider(&server)},
        "budget": {"perDayUsd": 1, "warnAt": 0.001},
    }));
    *house.books.day.lock().unwrap() = Some("2026-11-21".to_owned());
    let caller = Caller::new(&["one/m"]);
    ask(&house, &caller).await.0.unwrap();
    house.clock.0.fetch_add(86_400_000, Ordering::SeqCst);
    ask(&house, &caller).await.0.unwrap();
    assert_eq!(house.books.warnings.lock().unwrap().len(), 1);
    *house.books.day.lock().unwrap() = Some("2026-11-22".to_owned());
    ask(&house, &caller).await.0.unwrap();
    assert_eq!(house.books.warnings.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn the_budget_stops_calls_and_warns_once_a_day() {
    let server = Server::start(vec![said("a"), said("b"), said("c")]).await;
    let house = house(json!({
        "providers": {"one": provider(&server)},
        "budget": {"perTurnUsd": 0.01, "perDayUsd": 0.0045, "warnAt": 0.4},
    }));
    let mut caller = Caller::new(&["one/m"]);
    for _ in 0..3 {
        ask(&house, &caller).await.0.unwrap();
    }
    assert_eq!(*house.books.warnings.lock().unwrap(), ["day"]);
    let error = ask(&house, &caller).await.0.unwrap_err();
    assert_eq!((error.class, server.count()), (ErrorClass::Budget, 3));
    assert!(
        error.user.message.contains("per day"),
        "{}",
        error.user.message
    );
    let free = Server::start(vec![said("free")]).await;
    let mut local = provider(&free);
    local["models"][0]["cost"] = json!({});
    let config = json!({"providers": {"one": provider(&server), "free": local}, "budget": {"perDayUsd": 0.0045}});
    house.models.reload(crate::server::config(config)).unwrap();
    let reply = ask(&house, &Caller::new(&["one/m", "free/m"]))
        .await
        .0
        .unwrap();
    assert_eq!((reply.model.as_str(), server.count()), ("free/m", 3));
    let config = json!({"providers": {"one": provider(&server)}, "budget": {"perTurnUsd": 0.01}});
    house.models.reload(crate::server::config(config)).unwrap();
    caller.turn_spent = 10_000;
    let error = ask(&house, &caller).await.0.unwrap_err();
    assert!(error.user.message.contains("per turn"));
}

#[tokio::test]
async fn a_sick_model_is_left_alone_and_tried_again_later() {
    let mut replies = vec![Reply::status(500, "sick"); 6];
    replies.push(said("well"));
    let server = Server::start(replies).await;
    let house = one(&server);
    let caller = Caller::new(&["one/m"]);
    ask(&house, &caller).await.0.unwrap_err();
    ask(&house, &caller).await.0.unwrap_err();
    assert_eq!(server.count(), 5, "open after five failures in a row");
    ask(&house, &caller).await.0.unwrap_err();
    assert_eq!(server.count(), 5);
    house.clock.0.fetch_add(15_000, Ordering::SeqCst);
    ask(&house, &caller).await.0.unwrap_err();
    assert_eq!(server.count(), 6, "one trial");
    house.clock.0.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(ask(&house, &caller).await.0.unwrap().text, "well");
}

#[tokio::test]
async fn identical_deterministic_calls_are_answered_from_the_cache() {
    let server = Server::start(vec![said("one"), said("two"), said("three")]).await;
    let house = house(
        json!({"providers": {"one": provider(&server)}, "cache": {"enabled": true, "ttlSeconds": 60}}),
    );
    let mut caller = Caller::new(&["one/m"]);
    caller.request.sampling.temperature = Some(0.0);
    ask(&house, &caller).await.0.unwrap();
    let (reply, events) = ask(&house, &caller).await;
    let reply = reply.unwrap();
    assert_eq!(
        (
            reply.text.as_str(),
            Attempt::spent(&reply.attempts).1,
            server.count()
        ),
        ("one", 0, 1)
    );
    assert_eq!(events.len(), 2);
    caller.agent = instar_protocol::AgentId::parse("other").unwrap();
    assert_eq!(
        ask(&house, &caller).await.0.unwrap().text,
        "two",
        "agents do not share"
    );
    house.clock.0.fetch_add(61_000, Ordering::SeqCst);
    assert_eq!(
        ask(&house, &caller).await.0.unwrap().text,
        "three",
        "answers grow old"
    );
}

#[tokio::test]
async fn a_reload_leaves_calls_under_way_alone() {
    let first = Server::start(vec![said("old")]).await;
    let second = Server::start(vec![said("new")]).await;
    let house = one(&first);
    let caller = Caller::new(&["one/m"]);
    let mut reloaded = false;
    let models = house.models.clone();
    let answer = house
        .models
        .call(caller.call(), &mut |_| {
            if !reloaded {
                reloaded = true;
                models
                    .reload(config(json!({"providers": {"one": provider(&second)}})))
                    .unwrap();
            }
        })
        .await;
    assert_eq!(answer.unwrap().text, "old");
    assert_eq!(ask(&house, &caller).await.0.unwrap().text, "new");
    let wrong = config(json!({"providers": {"mine": {}}}));
    assert!(
        house
            .models
            .reload(wrong)
            .unwrap_err()
            .contains("models.providers.mine.baseUrl")
    );
    assert_eq!(house.models.context_window(&model("one/m")), 128_000);
}

#[tokio::test]
async fn what_is_for_its_owner_alone_goes_to_no_provider_that_is_cleared_for_less() {
    let (vendor, own) = (
        Server::start(vec![said("public")]).await,
        Server::start(vec![said("mine")]).await,
    );
    let mut for_anybody = provider(&vendor);
    for_anybody["clearance"] = json!("public");
    let house = house(json!({"providers": {"one": for_anybody, "two": provider(&own)}}));
    let told = |server: &Server| server.requests.lock().unwrap().len();
    let mut caller = Caller::new(&["one/m", "two/m"]);
    caller.request.label = Label::owner();
    let reply = ask(&house, &caller).await.0.unwrap();
    assert_eq!((reply.text.as_str(), told(&vendor)), ("mine", 0));
    // Where no other is left, it is said why.
    caller.chain.truncate(1);
    let error = ask(&house, &caller).await.0.unwrap_err();
    assert_eq!(error.class, ErrorClass::Config);
    assert!(
        error
            .user
            .message
            .contains("models.providers.one.clearance"),
        "{}",
        error.user.message
    );
    let texts = ["a word of his".to_owned()];
    let refused = house
        .models
        .embed(&caller.chain[0], &texts, &caller.agent, &caller.session)
        .await;
    assert!(refused.unwrap_err().why.contains("clearance"));
    assert_eq!(told(&vendor), 0);
    // A secret goes nowhere, and what anybody may read everywhere.
    caller.chain = vec![model("two/m")];
    caller.request.label.readers = Readers::Secret;
    assert_eq!(
        ask(&house, &caller).await.0.unwrap_err().class,
        ErrorClass::Config
    );
    caller.chain = vec![model("one/m")];
    caller.request.label = Label::stranger(Readers::Public);
    assert_eq!(ask(&house, &caller).await.0.unwrap().text, "public");
}

#[tokio::test]
async fn a_provider_nobody_knows_and_a_missing_key_say_what_to_do() {
    let house = house(json!({}));
    let error = ask(&house, &Caller::new(&["nobody/x"]))
        .await
        .0
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.user.message.contains("nobody"));
    let error = ask(&house, &Caller::new(&["openai/gpt-5"]))
        .await
        .0
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.user.message.contains("no key"));
    assert!(error.user.next_step.contains("instar secrets set openai"));
    let error = ask(&house, &Caller::new(&[])).await.0.unwrap_err();
    assert_eq!(error.class, ErrorClass::Config);
}

#[derive(Debug)]
struct Parrot;
impl LocalModel for Parrot {
    fn answer(&self, model: &str, _: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        let text = ModelEvent::Text {
            delta: format!("I am {model}"),
        };
        let end = ModelEvent::Finish {
            stop: StopReason::Stop,
            usage: Usage::default(),
        };
        if model == "mute" {
            vec![(0, text)]
        } else {
            vec![(1, text), (0, end)]
        }
    }
    fn models(&self) -> Vec<(String, String)> {
        vec![("guide".into(), "a parrot".into())]
    }
}

#[tokio::test]
async fn a_model_in_this_process_takes_the_same_road() {
    let local: BTreeMap<String, Arc<dyn LocalModel>> =
        BTreeMap::from([("demo".to_owned(), Arc::new(Parrot) as _)]);
    let house = house_with(json!({}), local, |_| None);
    let reply = ask(&house, &Caller::new(&["demo/guide"])).await.0.unwrap();
    assert_eq!(
        (reply.text.as_str(), Attempt::spent(&reply.attempts).1),
        ("I am guide", 0)
    );
    assert_eq!(house.books.records.lock().unwrap().len(), 1);
    let error = ask(&house, &Caller::new(&["demo/mute"]))
        .await
        .0
        .unwrap_err();
    assert_eq!(
        (error.class, error.partial.as_str()),
        (ErrorClass::Malformed, "I am mute")
    );
    assert!(
        house
            .models
            .list()
            .iter()
            .any(|info| info.id == "demo/guide" && info.configured)
    );
    assert!(house.models.probe(&model("demo/guide")).await.ok);
}
