//! Questions to the owner over the gateway's own API: who may answer, and what an answer is bound to.

use instar_protocol::approval::{OfferedRule, Question, QuestionState, ShownArgument};
use instar_protocol::principal::Via;
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{
    AgentId, Label, Principal, QuestionId, ReleaseId, RunId, SessionId, SessionKey, Timestamp,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::house::{Answer, House, TOKEN, bearer};

/// An open question about a call whose arguments try to hide something.
pub(crate) fn question(number: u64, now: Timestamp) -> Question {
    let to = "bob\u{202e}moc.elpmaxe@\u{200b}";
    Question {
        id: QuestionId::from_stored(format!("ask_{number:04}")),
        digest: format!("{number:064x}"),
        session: SessionId::from_stored("ses_asks"),
        key: SessionKey::main(&AgentId::main()),
        run: RunId::from_stored("run_asks"),
        agent: AgentId::main(),
        principal: Principal::Owner { via: Via::Session },
        release: ReleaseId::from_hex("1".repeat(64)),
        call: ToolCall {
            id: "call_1".to_owned(),
            name: "message".to_owned(),
            arguments: json!({ "to": to, "text": "<b>hello</b>" }),
        },
        effect: Effect::Send,
        context: Label::owner(),
        arguments: vec![ShownArgument {
            path: "to".to_owned(),
            text: instar_protocol::approval::visible(to),
            grade: "G1".to_owned(),
            origin: "stranger".to_owned(),
            source: Some("call 3, emails[0].sender".to_owned()),
        }],
        touches: vec!["a message to somebody new".to_owned()],
        why: vec!["the address comes from a stranger's text".to_owned()],
        always: (number.is_multiple_of(2)).then(|| OfferedRule {
            words: "messages to bob@example.com without asking".to_owned(),
            rule: json!({ "tool": "message", "to": "bob@example.com" }),
        }),
        facts: Value::Null,
        asked_at: now,
        expires_at: Timestamp::from_millis(now.millis() + 600_000),
        state: QuestionState::Open,
        answer: None,
    }
}

/// Asks as a turn does: stored first, told then.
pub(crate) async fn ask(house: &House, question: &Question) {
    let app = house.running.app();
    let asking = app.sessions.asking();
    app.store.commit(asking.ask(question)).await.unwrap();
    asking.told(question.clone());
}

async fn asked(house: &House, number: u64) -> Question {
    let question = question(number, house.running.app().clock.now());
    ask(house, &question).await;
    question
}

async fn send(house: &House, who: &str, path: &str, body: &Value) -> Answer {
    let headers = format!("{who}content-type: application/json\r\n");
    house.ask("POST", path, &headers, &body.to_string()).await
}

fn to(question: &Question) -> String {
    format!("/api/v1/approvals/{}/answer", question.id)
}

fn says(question: &Question, answer: &str) -> Value {
    json!({ "digest": question.digest, "answer": answer })
}

/// The command line of the same user.
fn local(house: &House) -> String {
    bearer(&house.run_file().local_secret)
}

#[tokio::test]
async fn the_token_alone_sees_questions_and_answers_none() {
    let house = House::new().await;
    let question = asked(&house, 2).await;
    let listed = house.owner("/api/v1/approvals").await.json();
    assert_eq!(listed["open"], 1, "{listed}");
    assert_eq!(listed["questions"][0]["digest"], question.digest);
    let refused = send(
        &house,
        &bearer(TOKEN),
        &to(&question),
        &says(&question, "once"),
    )
    .await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let told = refused.json();
    let next = told["error"]["nextStep"].as_str().unwrap();
    assert!(next.contains("instar approvals"), "{told}");
    let rule = house
        .ask("DELETE", "/api/v1/rules/x", &bearer(TOKEN), "")
        .await;
    assert_eq!(rule.status, 403, "{rule:?}");
    let stored = house
        .running
        .app()
        .store
        .question(&question.id)
        .await
        .unwrap();
    assert_eq!(stored.unwrap().state, QuestionState::Open);
}

#[tokio::test]
async fn what_is_shown_hides_nothing_and_an_answer_is_bound_to_it() {
    let house = House::new().await;
    let question = asked(&house, 1).await;
    let path = format!("/api/v1/approvals/{}", question.id);
    let shown = house.owner(&path).await;
    for hidden in ['\u{202e}', '\u{200b}'] {
        assert!(!shown.body.contains(hidden), "{shown:?}");
    }
    let shown = shown.json();
    let call = shown["call"].as_str().unwrap();
    assert!(call.contains("bob⟦U+202E⟧moc.elpmaxe@⟦U+200B⟧"), "{call}");
    assert_eq!(
        shown["arguments"][0]["text"],
        "bob⟦U+202E⟧moc.elpmaxe@⟦U+200B⟧"
    );
    let who = local(&house);
    for (body, status) in [
        (json!({ "digest": "0", "answer": "once" }), 409),
        (json!({ "answer": "once" }), 400),
        (
            json!({ "digest": question.digest, "answer": "once", "approved": true }),
            400,
        ),
        (
            json!({ "digest": question.digest, "answer": "certainly" }),
            400,
        ),
        // No rule was offered with this one.
        (says(&question, "always"), 400),
    ] {
        let refused = send(&house, &who, &to(&question), &body).await;
        assert_eq!(refused.status, status, "{body} {refused:?}");
    }
    let answered = send(&house, &who, &to(&question), &says(&question, "once")).await;
    assert_eq!(answered.json()["state"], "approved", "{answered:?}");
    let again = send(&house, &who, &to(&question), &says(&question, "no")).await;
    assert_eq!(again.status, 409, "an answer is given once: {again:?}");
    let nobody = send(
        &house,
        &who,
        "/api/v1/approvals/ask_x/answer",
        &says(&question, "no"),
    )
    .await;
    assert_eq!(nobody.status, 404, "{nobody:?}");
}

#[tokio::test]
async fn always_keeps_a_rule_that_is_listed_and_revoked() {
    let house = House::new().await;
    let who = local(&house);
    for (number, word) in [(2, "always"), (4, "pinned")] {
        let question = asked(&house, number).await;
        let answered = send(&house, &who, &to(&question), &says(&question, word)).await;
        assert_eq!(answered.status, 200, "{answered:?}");
    }
    let listed = house.owner("/api/v1/rules").await.json();
    let rules = listed["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 2, "{listed}");
    let pinned = rules.iter().filter(|rule| rule["expiresAt"].is_null());
    assert_eq!(pinned.count(), 1, "{listed}");
    let path = format!("/api/v1/rules/{}", rules[0]["id"].as_str().unwrap());
    for changed in [true, false] {
        let done = house.ask("DELETE", &path, &who, "").await.json();
        assert_eq!(done["changed"], changed, "{done}");
    }
    let listed = house.owner("/api/v1/rules").await.json();
    assert_eq!(listed["rules"][0]["holds"], false, "{listed}");
    let none = house
        .ask("DELETE", "/api/v1/rules/rul_none", &who, "")
        .await;
    assert_eq!(none.status, 404, "{none:?}");
}

#[tokio::test]
async fn receipts_come_in_pages_and_their_chain_is_whole() {
    let house = House::new().await;
    let who = local(&house);
    for number in 1..=3 {
        let question = asked(&house, number).await;
        let _answered = send(&house, &who, &to(&question), &says(&question, "no")).await;
    }
    let first = house.owner("/api/v1/audit/receipts?limit=4").await.json();
    assert_eq!(first["receipts"].as_array().unwrap().len(), 4, "{first}");
    let path = format!("/api/v1/audit/receipts?limit=4&before={}", first["next"]);
    let last = house.owner(&path).await.json();
    assert_eq!(last["receipts"].as_array().unwrap().len(), 2, "{last}");
    assert!(last.get("next").is_none(), "{last}");
    let head = house.owner("/api/v1/audit/head").await.json();
    assert_eq!(head["seq"], 6, "{head}");
    let noted = format!("6:{}", head["hash"].as_str().unwrap());
    let path = format!("/api/v1/audit/chain?noted={noted}");
    let report = house.owner(&path).await.json();
    assert_eq!(
        (&report["receipts"], &report["problems"]),
        (&json!(6), &json!([]))
    );
    let false_note = format!("/api/v1/audit/chain?noted=6:{}", "0".repeat(64));
    let report = house.owner(&false_note).await.json();
    assert_eq!(report["problems"][0]["seq"], 6, "{report}");
    assert_eq!(house.owner("/api/v1/audit/chain?noted=6").await.status, 400);
}

#[tokio::test]
async fn answered_questions_are_found_by_their_state() {
    let house = House::new().await;
    let who = local(&house);
    let (open, other) = (asked(&house, 1).await, asked(&house, 3).await);
    let _answered = send(&house, &who, &to(&other), &says(&other, "no")).await;
    for (state, ids) in [
        ("open", vec![&open.id]),
        ("answered", vec![&other.id]),
        ("denied", vec![&other.id]),
        ("used", vec![]),
    ] {
        let path = format!("/api/v1/approvals?state={state}");
        let listed = house.owner(&path).await.json();
        let found: Vec<&str> = listed["questions"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        let ids: Vec<&str> = ids.into_iter().map(QuestionId::as_str).collect();
        assert_eq!(found, ids, "{state}: {listed}");
    }
    assert_eq!(
        house.owner("/api/v1/approvals?state=maybe").await.status,
        400
    );
}

#[tokio::test]
async fn a_stream_tells_how_many_wait_whenever_that_changes() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let house = House::new().await;
    let request = format!(
        "GET /api/v1/approvals HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{}\r\n",
        house.address(),
        bearer(TOKEN)
    );
    let mut stream = tokio::net::TcpStream::connect(house.address())
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut until = async |wanted: &str| {
        let began = Instant::now();
        while !heard.contains(wanted) {
            assert!(began.elapsed() < Duration::from_secs(20), "{heard}");
            let mut bytes = [0; 4_096];
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut bytes));
            let count = read.await.unwrap().unwrap();
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    until("\"open\":0").await;
    let question = asked(&house, 1).await;
    until("\"open\":1").await;
    let who = local(&house);
    let _answered = send(&house, &who, &to(&question), &says(&question, "once")).await;
    let began = Instant::now();
    // The body may be cut anywhere: the last word counts.
    while heard.matches("\"open\":0").count() < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "{heard}");
        let mut bytes = [0; 4_096];
        let count = stream.read(&mut bytes).await.unwrap();
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}
