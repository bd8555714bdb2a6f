//! Questions to the owner and the chain of receipts, through the built binary.

use instar_protocol::approval::{OfferedRule, Question, QuestionState, ShownArgument, visible};
use instar_protocol::principal::Via;
use instar_protocol::time::SystemClock;
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{
    AgentId, Clock as _, Label, Principal, QuestionId, ReleaseId, RunId, SessionId, SessionKey,
    Timestamp,
};
use instar_store::{Op, Options, Store};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::support::{Instar, Setup};

/// Puts open questions into a state folder that no gateway runs on. The even ones offer a rule.
pub(crate) fn ask(instar: &Instar, numbers: impl IntoIterator<Item = u64>) {
    let ops = numbers.into_iter().map(|number| {
        let question = question(number, SystemClock.now());
        Op::PutQuestion(Box::new(question))
    });
    commit(instar, ops.collect());
}

fn commit(instar: &Instar, ops: Vec<Op>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let store = Store::open(&instar.state, Options::default()).unwrap();
        store.commit(ops).await.unwrap();
        store.close().await.unwrap();
    });
}

fn question(number: u64, now: Timestamp) -> Question {
    let to = format!("bob{number}\u{202e}moc.elpmaxe@");
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
            arguments: json!({ "to": to, "text": "<b>hello</b>\nsee <img src=x>" }),
        },
        effect: Effect::Send,
        context: Label::owner(),
        arguments: vec![
            ShownArgument {
                path: "to".to_owned(),
                text: visible(&to),
                grade: "G1".to_owned(),
                origin: "stranger".to_owned(),
                source: Some("call 3, emails[0].sender".to_owned()),
            },
            ShownArgument {
                path: "text".to_owned(),
                text: visible("<b>hello</b>\nsee <img src=x>"),
                grade: String::new(),
                origin: "model".to_owned(),
                source: None,
            },
        ],
        touches: vec![format!(
            "a message to bob{number}, who never got one before"
        )],
        why: vec!["rule send.stranger: the address comes from a stranger's text".to_owned()],
        always: number.is_multiple_of(2).then(|| OfferedRule {
            words: format!("messages to bob{number}@example.com without asking"),
            rule: json!({ "tool": "message", "to": format!("bob{number}@example.com") }),
        }),
        facts: Value::Null,
        asked_at: now,
        expires_at: Timestamp::from_millis(now.millis() + 3_600_000),
        state: QuestionState::Open,
        answer: None,
    }
}

/// A gateway that starts with open questions.
pub(crate) fn asked(numbers: impl IntoIterator<Item = u64>) -> Instar {
    let mut instar = Instar::prepare(Setup::default());
    ask(&instar, numbers);
    instar.launch();
    instar
}

#[test]
fn a_question_is_answered_once_by_the_owner_and_survives_a_restart() {
    let instar = asked(1..=3);
    let listed = instar.run(["approvals", "list", "--json"]).json();
    assert_eq!(listed["open"], 3, "{listed}");
    let shown = instar.run(["approvals", "show", "ask_0001"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for told in [
        "bob1⟦U+202E⟧moc.elpmaxe@",
        "G1, stranger: call 3",
        "<img src=x>",
        "send.stranger",
    ] {
        assert!(shown.stdout.contains(told), "{told}: {shown:?}");
    }
    assert!(!shown.stdout.contains('\u{202e}'), "{shown:?}");
    // The API token is what existing clients have: it is not the owner's word.
    let body = json!({ "digest": format!("{:064x}", 1), "answer": "once" });
    let refused = instar.http.post("/api/v1/approvals/ask_0001/answer", &body);
    assert_eq!(refused.status, 403);
    let yes = instar.run(["approvals", "approve", "ask_0001"]);
    assert_eq!(yes.code, 0, "{yes:?}");
    let again = instar.run(["approvals", "deny", "ask_0001"]);
    assert_eq!(again.code, 5, "an answer is given once: {again:?}");
    assert!(again.stderr.contains("next:"), "{again:?}");
    let no = instar.run(["approvals", "deny", "ask_0002"]);
    assert_eq!(no.code, 0, "{no:?}");
    let unclear = instar.run(["approvals", "approve", "ask_"]);
    assert_eq!(unclear.code, 6, "{unclear:?}");
    let stopped = instar.run(["gateway", "stop"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    // Without a gateway the folder itself is asked; nobody can answer then.
    let listed = instar.run(["approvals", "list", "--all", "--json"]).json();
    let answers = listed["questions"].as_array().unwrap().iter();
    let answers = answers.filter_map(|one| one["answer"]["approved"].as_bool());
    let (yes, no): (Vec<bool>, Vec<bool>) = answers.partition(|approved| *approved);
    assert_eq!((yes.len(), no.len()), (1, 1), "{listed}");
    assert_eq!(listed["open"], 1, "{listed}");
    let nobody = instar.run(["approvals", "approve", "ask_0003"]);
    assert_eq!(nobody.code, 4, "{nobody:?}");
}

#[test]
fn a_rule_is_shown_before_it_is_kept_and_can_be_taken_back() {
    let instar = asked([2, 3, 4]);
    let shown = instar.run(["approvals", "approve", "ask_0002", "--always"]);
    assert_eq!(shown.code, 5, "{shown:?}");
    assert!(
        shown
            .stderr
            .contains("messages to bob2@example.com without asking"),
        "{shown:?}"
    );
    let none = instar.run(["approvals", "rules", "--json"]).json();
    assert_eq!(none["rules"], json!([]), "nothing was kept yet: {none}");
    let kept = instar.run(["approvals", "approve", "ask_0002", "--always", "--yes"]);
    assert_eq!(kept.code, 0, "{kept:?}");
    let refused = instar.run(["approvals", "approve", "ask_0003", "--always", "--yes"]);
    assert_eq!(refused.code, 2, "always is not offered there: {refused:?}");
    let pinned = instar.run([
        "approvals",
        "approve",
        "ask_0004",
        "--always",
        "--pin",
        "--yes",
    ]);
    assert_eq!(pinned.code, 0, "{pinned:?}");
    let rules = instar.run(["approvals", "rules", "--json"]).json();
    let rules = rules["rules"].as_array().unwrap().clone();
    assert_eq!(rules.len(), 2, "{rules:?}");
    let ends = |rule: &&Value| !rule["expiresAt"].is_null();
    assert_eq!(rules.iter().filter(ends).count(), 1, "{rules:?}");
    let id = rules[0]["id"].as_str().unwrap();
    let revoked = instar.run(["approvals", "rules", "revoke", id]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    let after = instar.run(["approvals", "rules", "--json"]).json();
    let holding = after["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["holds"] == true);
    assert_eq!(holding.count(), 1, "{after}");
}

/// Who says yes again and again is shown where to look, and nothing moves by itself.
#[test]
fn another_posture_is_offered_to_who_often_agrees_and_chosen_for_nobody() {
    let instar = asked(1..=6);
    let offered = || {
        let page = instar.http.get("/approvals");
        assert_eq!(page.status, 200, "{page:?}");
        let listed = instar.run(["approvals", "list"]);
        assert_eq!(listed.code, 0, "{listed:?}");
        let told = listed.stderr.contains("instar policy posture");
        (page.body.contains("data-offer"), told)
    };
    let answer = |how: &str, number: u64| {
        let question = format!("ask_{number:04}");
        let answered = instar.run(["approvals", how, &question]);
        assert_eq!(answered.code, 0, "{answered:?}");
    };
    for number in 1..=4 {
        answer("approve", number);
    }
    answer("deny", 5);
    let nowhere = (false, false);
    assert_eq!(
        offered(),
        nowhere,
        "four times is not often, and a no is no yes"
    );
    answer("approve", 6);
    assert_eq!(offered(), (true, true));
    let compared = instar.http.get("/policy?compare=1");
    assert!(compared.body.contains("data-compared"), "{compared:?}");
    let posture = || {
        let shown = instar.run(["policy", "show", "--json"]).json();
        shown["posture"].as_str().unwrap().to_owned()
    };
    assert_eq!(posture(), "careful");
    let set = instar.run(["config", "set", "policy.posture", "balanced"]);
    assert_eq!(set.code, 0, "{set:?}");
    let began = Instant::now();
    while offered() != nowhere {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it is offered to who has it"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(posture(), "balanced");
}

#[test]
fn a_change_of_one_byte_in_the_chain_is_found() {
    let instar = asked(1..=4);
    for id in ["ask_0001", "ask_0002", "ask_0003"] {
        assert_eq!(instar.run(["approvals", "deny", id]).code, 0);
    }
    let well = instar.run(["audit", "verify"]);
    assert_eq!(well.code, 0, "{well:?}");
    assert!(well.stdout.contains("the chain is whole"), "{well:?}");
    let head = instar.run(["audit", "head"]);
    let head = head.stdout.trim().to_owned();
    assert!(head.starts_with("3:"), "{head}");
    let log = instar.run(["audit", "log", "--json"]).json();
    assert_eq!(log["receipts"][0]["kind"], "answer", "{log}");
    assert_eq!(instar.run(["approvals", "deny", "ask_0004"]).code, 0);
    let noted = instar
        .run(["audit", "verify", "--noted", head.as_str(), "--json"])
        .json();
    assert_eq!(noted["problems"], json!([]), "{noted}");
    assert_eq!(instar.run(["gateway", "stop"]).code, 0);
    // Offline, on the folder itself, before and after somebody wrote into it.
    assert_eq!(
        instar
            .run(["audit", "verify", "--noted", head.as_str()])
            .code,
        0
    );
    change_one_byte(&instar);
    let found = instar.run(["audit", "verify"]);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(
        found.stdout.contains("receipt 2: its content was changed"),
        "{found:?}"
    );
    assert!(found.stderr.contains("next:"), "{found:?}");
}

/// As somebody who can write to the state folder does: one letter of what the second receipt says.
fn change_one_byte(instar: &Instar) {
    let database = instar.state.join("instar.sqlite");
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1])\n\
        db.execute(\"UPDATE receipts SET body = replace(body, 'denied', 'Denied') WHERE seq = 2\")\n\
        db.commit()\n";
    let done = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&database)
        .status()
        .unwrap();
    assert!(done.success());
}

/// Every answer is checked against the published schema on its way.
#[test]
fn questions_have_the_shapes_of_the_published_protocol() {
    let instar = asked(1..=4);
    let calls = json!([
        ["exec.approval.list", {}],
        ["exec.approval.get", { "id": "ask_0001" }],
        ["approval.get", { "id": "ask_0001" }],
        ["approval.resolve", { "id": "ask_0001", "kind": "exec", "decision": "allow-once" }],
        ["approval.resolve", { "id": "ask_0002", "kind": "exec", "decision": "allow-always" }],
        ["exec.approval.resolve", { "id": "ask_0003", "decision": "deny" }],
        ["approval.get", { "id": "ask_0002" }],
        ["approval.get", { "id": "ask_0003" }],
        ["approval.history", { "limit": 2 }],
        ["approval.history", { "cursor": "$8.nextCursor" }],
        ["exec.approval.grants.list", {}],
        ["exec.approval.grants.revoke", { "grantId": "$10.grants.0.grantId" }],
        ["exec.approval.grants.list", {}],
        ["plugin.approval.list", {}],
        ["exec.approval.request", { "command": "true" }],
    ]);
    let Some((answers, all)) = crate::peers::call_all(&instar, &calls) else {
        return;
    };
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(
            answer.get("refused").is_some(),
            at == 14,
            "{at}: {answer:#}"
        );
    }
    assert_eq!(answers[0].as_array().unwrap().len(), 4, "{:#}", answers[0]);
    assert_eq!(
        answers[7]["approval"]["status"], "denied",
        "{:#}",
        answers[7]
    );
    let counts = [8, 9].map(|at| answers[at]["items"].as_array().unwrap().len());
    assert_eq!(counts, [2, 1], "{:#}", answers[9]);
    assert_eq!(answers[11]["outcome"], "revoked");
    assert!(
        !answers[12]["grants"][0]["revokedAtMs"].is_null(),
        "{:#}",
        answers[12]
    );
    let named = all["found"]["hello"]["features"]["methods"].to_string();
    assert!(
        named.contains("approval.history") && !named.contains("exec.approval.request\""),
        "{named}"
    );
}

#[test]
fn a_conversation_sees_that_a_question_waits_and_cannot_answer_it() {
    let instar = asked([2]);
    for said in ["/approve", "/approve ask_0002", "/deny ask_0002 allow-once"] {
        let told = instar.run(["agent", "--message", said]);
        assert!(
            told.stdout.contains("not answered in a conversation"),
            "{said}: {told:?}"
        );
    }
    let mut terminal =
        crate::support::terminal::Terminal::start(&instar.command(&[], &["chat".to_owned()]));
    terminal.shows("a question waits: F3 shows it");
    terminal.keys("/approve ask_0002\r");
    terminal.shows("not answered in a conversation");
    let listed = instar.run(["approvals", "list", "--json"]).json();
    assert_eq!(listed["open"], 1, "{listed}");
    // The owner's keyboard answers beside the conversation, which is told nothing.
    terminal.keys("\u{1b}OR");
    terminal.shows("bob2⟦U+202E⟧moc.elpmaxe@");
    for _ in 0..10 {
        terminal.keys("\u{1b}[6~");
    }
    terminal.shows("y yes, once, a always, n no");
    terminal.keys("n");
    terminal.shows("That question is settled. Nothing else waits for you.");
    let shown = instar
        .run(["approvals", "show", "ask_0002", "--json"])
        .json();
    assert_eq!(shown["state"], "denied", "{shown}");
    terminal.keys("\u{1b}");
    terminal.shows("scripted/x · ");
}
