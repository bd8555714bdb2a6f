//! Faults of heartbeats that keep to certain hours, through the binary: found, the heartbeat moved with the
//! owner's yes, held against what was before, and opened again when the fault comes back.

use instar_demo::Script;
use instar_protocol::event::{Arm, Event, EventKind, TurnOutcome};
use instar_protocol::model::Usage;
use instar_protocol::time::SystemClock;
use instar_protocol::tool::ToolDecision;
use instar_protocol::{
    Clock as _, EventId, Label, RunId, SessionId, SessionKey, Standing, Timestamp,
};
use instar_store::{HealingRow, Op, Options, Store};
use serde_json::{Value, json};

use crate::rollouts::serve;
use crate::support::{Instar, Setup, until};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 1_440 * MINUTE_MS;

pub(crate) fn offline<T>(instar: &Instar, work: impl AsyncFnOnce(&Store) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let store = Store::open(&instar.state, Options::default()).unwrap();
        let done = work(&store).await;
        store.close().await.unwrap();
        done
    })
}

/// A heartbeat that made one call, as its turn would have told it.
fn beat(number: u64, at: Timestamp, session: &SessionId, is_error: bool) -> Vec<Op> {
    let random = |part: u8| {
        let mut random = [part; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        random
    };
    let run = RunId::new(at, random(9));
    let event = |part: u8, kind| {
        Op::AppendEvent(Event {
            id: EventId::new(at, random(part)),
            at,
            session: Some(session.clone()),
            run: Some(run.clone()),
            asker: Some(Standing::Nobody),
            release: None,
            arm: Arm::Stable,
            label: Label::system(),
            kind,
        })
    };
    let call = EventKind::ToolCall {
        tool: "read".to_owned(),
        decision: ToolDecision::Allowed {
            rule: "planted".to_owned(),
        },
        millis: 5,
        is_error,
        argument_names: vec!["path".to_owned()],
        skill: None,
        content: is_error.then(|| "429 too many requests: the quota is used up".to_owned()),
    };
    let turn = EventKind::Turn {
        outcome: TurnOutcome::Replied,
        millis: 9,
        model_calls: 1,
        tool_calls: 1,
        usage: Usage::default(),
        cost_micros: 0,
    };
    vec![event(1, call), event(2, turn)]
}

/// A house with a heartbeat each half hour, and the conversation of it.
fn house() -> (Instar, SessionId) {
    let heartbeat = json!({"every": "30m", "prompt": "Mind the tides."});
    let defaults = json!({"heartbeat": heartbeat, "userTimezone": "UTC"});
    let setup = Setup::scripted(Script::saying("HEARTBEAT_OK"));
    let mut instar = Instar::start(setup.config(json!({"agents": {"defaults": defaults}})));
    assert_eq!(instar.run(["heartbeat", "wake"]).code, 0);
    until("a beat", || {
        let told = instar.run(["heartbeat", "status", "--json"]).json();
        (told["last"]["status"] == "quiet").then_some(())
    });
    let _stopped = instar.terminate();
    let key = SessionKey::parse("agent:main:heartbeat").unwrap();
    let session = offline(&instar, async |store| {
        store.session_by_key(&key).await.unwrap().unwrap().id
    });
    (instar, session)
}

/// Six days of half hours until yesterday, failing in these hours.
fn days(instar: &Instar, session: &SessionId, fails: impl Fn(u64) -> bool) {
    let first = (SystemClock.now().millis() / DAY_MS - 7) * DAY_MS;
    let beats = (0..6 * 48).map(|number| {
        let at = Timestamp::from_millis(first + number * 30 * MINUTE_MS);
        (number, at, fails(number / 2 % 24))
    });
    offline(instar, async |store| {
        for (number, at, is_error) in beats {
            let ops = beat(number, at, session, is_error);
            store.commit(ops).await.unwrap();
        }
    });
}

fn cycle(instar: &Instar) {
    let told = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(told["outcome"], "done", "{told}");
}

fn limited(instar: &Instar) -> String {
    let list = instar.run(["fault", "list", "--json"]).json();
    let all = list.as_array().unwrap();
    let found = all.iter().find(|fault| fault["kind"] == "rate_limit");
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

fn withdraw_all(instar: &Instar) {
    let all = instar.run(["candidate", "list", "--json"]).json();
    for one in all.as_array().unwrap() {
        let id = one["id"].as_str().unwrap();
        instar.run(["candidate", "withdraw", id, "--json"]).json();
    }
}

fn moved(instar: &Instar) -> Option<Value> {
    let trials = instar.run(["heal", "status", "--json"]).json();
    let all = trials.as_array().unwrap();
    all.iter().find(|one| one["without_coin"] == true).cloned()
}

#[test]
fn a_quota_at_noon_moves_the_heartbeat_and_is_supported_at_the_most() {
    let (mut instar, session) = house();
    days(&instar, &session, |hour| (12..15).contains(&hour));
    instar.launch();
    cycle(&instar);
    withdraw_all(&instar);
    let fault = limited(&instar);
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(told.contains("from 15:00 until 12:00"), "{told}");
    let tried = ["heal", "try", &fault, "--gene", "move-heartbeat", "--json"];
    let made = instar.run(tried).json();
    // Nothing of it goes on without the owner.
    assert_eq!(made["class"], "C", "{made:#}");
    let id = made["id"].as_str().unwrap();
    serve(&instar, id);
    let status = instar.run(["heartbeat", "status", "--json"]).json();
    assert_eq!(status["agents"][0]["hours"], "15:00-12:00", "{status}");
    assert_eq!(status["agents"][0]["text"], "Mind the tides.");
    let begun = until("the time after it begins", || moved(&instar));
    assert_eq!(
        (&begun["stage"], &begun["control"], &begun["treated"]),
        (&json!("running"), &json!([288, 36.0]), &json!([0, 0.0])),
        "{begun:#}"
    );

    // Heartbeats after the move, none of which fails.
    let since = begun["begun"].as_u64().unwrap();
    let _stopped = instar.terminate();
    offline(&instar, async |store| {
        for number in 1..=160 {
            let at = Timestamp::from_millis(since + number);
            let ops = beat(1_000 + number, at, &session, false);
            store.commit(ops).await.unwrap();
        }
    });
    instar.launch();
    cycle(&instar);
    let over = moved(&instar).unwrap();
    assert_eq!(over["verdict"], "supported", "{over:#}");
    assert!(over["evidence_proven"].as_f64().unwrap() < 1e-9);
    assert!(over["evidence_supported"].as_f64().unwrap() >= 25.0);
    let shown = instar.run(["heal", "status"]).stdout;
    assert!(
        shown.contains("supported (no coin, support at most)"),
        "{shown}"
    );
    // There is no other arm: what it is held against is the time before.
    let page = instar.http.get(&format!("/faults/{fault}")).body;
    let article = page.split("class=\"card trial\"").nth(1).unwrap();
    let article = article.split("</article>").next().unwrap();
    assert!(
        article.contains("before") && !article.contains("without it"),
        "{article}"
    );
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(
        told.contains("supported (no coin, support at most: "),
        "{told}"
    );

    // Weeks later the fault comes back.
    let _stopped = instar.terminate();
    offline(&instar, async |store| {
        let long_ago = SystemClock.now().millis() - 12 * DAY_MS;
        let today = SystemClock.now().millis() / DAY_MS;
        let mut ops = Vec::new();
        for row in store.healing("trial").await.unwrap() {
            let mut body: Value = serde_json::from_str(&row.body).unwrap();
            if row.id.starts_with("window/") {
                body["moved_at"] = json!(long_ago);
            }
            let body = body.to_string();
            ops.push(Op::PutHealing(HealingRow { body, ..row }));
        }
        for mut row in store.faults().await.unwrap() {
            row.fault.days = (today - 5..today).map(|day| (day, 20)).collect();
            row.fault.days.insert(today - 30, 20);
            ops.push(Op::PutFault(Box::new(row)));
        }
        for mut row in store.occasions().await.unwrap() {
            row.days = (today - 30..today).map(|day| (day, 50)).collect();
            ops.push(Op::PutOccasions(row));
        }
        store.commit(ops).await.unwrap();
    });
    instar.launch();
    cycle(&instar);
    let again = moved(&instar).unwrap();
    assert_eq!(
        (
            &again["chapter"],
            &again["stage"],
            &again["changes"][0]["what"]
        ),
        (&json!(2), &json!("running"), &json!(["fault"])),
        "{again:#}"
    );
}

#[test]
fn a_fault_of_all_hours_moves_no_heartbeat() {
    let (mut instar, session) = house();
    days(&instar, &session, |hour| hour % 5 == 0);
    instar.launch();
    cycle(&instar);
    let fault = limited(&instar);
    let tried = ["heal", "try", &fault, "--gene", "move-heartbeat"];
    let refused = instar.run(tried);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(
        refused.stderr.contains("no recipe does anything"),
        "{refused:?}"
    );
    // Whose runs it was seen in is known.
    let list = instar.run(["fault", "list", "--json"]).json();
    assert_eq!(list[0]["agents"], json!({"main": 60}), "{list:#}");
}
