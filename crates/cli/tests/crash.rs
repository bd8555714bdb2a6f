//! `kill -9` at every write and every flush of the store, on the real binary under load.
//!
//! The gateway runs under `strace`, which kills it when its n-th such call begins. Then it is
//! started as usual, and every message that was acknowledged has to be there once, answered once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::Failed;
use crate::support::{Http, Instar, Setup, Stopped, is_echo, say, skipped, trace, until};

/// Clients that send messages, each to a conversation of its own and to one that they share.
const SENDERS: u32 = 3;
/// Messages of each.
const MESSAGES: u32 = 3;
const SHARED: &str = "agent:main:shared";
const OPENAI_USER: &str = "load";
const OPENAI_SESSION: &str = "agent:main:openai-user:load";
/// How long one series goes on.
const SERIES: Duration = Duration::from_secs(28);
/// Fewer kills than this show nothing.
const KILLS_MIN: u32 = 9;

#[test]
fn nothing_acknowledged_is_lost_when_killed_at_a_flush() {
    // The first threads reach their few flushes of the start early; the writer's follow.
    series(trace::FLUSHES, |n| n + 1);
}

#[test]
fn nothing_acknowledged_is_lost_when_killed_in_the_middle_of_a_write() {
    // A commit has several writes; every third falls into each place of it in turn.
    series("pwrite64", |n| n + 3);
}

#[test]
fn a_kill_during_the_very_first_start_is_mended_by_the_next() {
    if let Some(why) = trace::cannot_trace() {
        return skipped(&why);
    }
    let begun = Instant::now();
    let mut kills = 0;
    for calls in [trace::FLUSHES, "pwrite64"] {
        let mut nth = 1;
        while begun.elapsed() < SERIES {
            let mut instar = Instar::prepare(Setup::default());
            instar.under = trace::kill_at(calls, nth);
            let Err(stopped) = instar.try_launch() else {
                break;
            };
            assert!(was_killed(&stopped), "{stopped:?}");
            kills += 1;
            instar.under.clear();
            instar.launch();
            instar.chat("hello");
            assert_sound(&instar);
            nth += if calls == "pwrite64" { 7 } else { 1 };
        }
    }
    say(&format!("killed at {kills} points of the first start"));
    assert!(kills > 3, "only {kills} kill points");
}

/// Kills at one call after the other until a whole workload passes, or the time is over.
fn series(calls: &str, next: fn(u32) -> u32) {
    if let Some(why) = trace::cannot_trace() {
        return skipped(&why);
    }
    let begun = Instant::now();
    let (mut kills, mut starts, mut uncertain) = (0, 0, 0);
    let mut nth = 1;
    while begun.elapsed() < SERIES {
        let mut round = Round::new(calls, nth);
        match round.run() {
            Ended::AtStart => starts += 1,
            Ended::UnderLoad => kills += 1,
            Ended::Whole => break,
        }
        uncertain += round.check();
        nth = next(nth);
    }
    say(&format!(
        "{calls}: killed at {kills} points under load and {starts} of the start, up to the {nth}th \
         call; {uncertain} replies were left uncertain"
    ));
    assert!(kills >= KILLS_MIN, "only {kills} kill points under load");
}

enum Ended {
    AtStart,
    UnderLoad,
    /// The workload was through before the call came.
    Whole,
}

/// One life of a gateway that is killed, and the next one.
struct Round {
    instar: Instar,
    sent: Vec<Sent>,
    asked: Vec<Asked>,
}

/// A message to the gateway's own interface.
#[derive(Clone, Debug)]
struct Sent {
    session: String,
    text: String,
    key: String,
    /// The id it was acknowledged with.
    acknowledged: Option<String>,
}

/// A request of an OpenAI client.
#[derive(Clone, Debug)]
struct Asked {
    text: String,
    key: String,
    answered: bool,
}

impl Round {
    fn new(calls: &str, nth: u32) -> Self {
        let config = json!({ "messages": { "queue": { "mode": "followup", "cap": 100 } } });
        let mut instar = Instar::prepare(Setup::default().config(config));
        // The first start is another test's; here the state has been used before.
        instar.launch();
        instar.chat("before");
        let stopped = instar.terminate();
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
        instar.under = trace::kill_at(calls, nth);
        Self {
            instar,
            sent: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn run(&mut self) -> Ended {
        if let Err(stopped) = self.instar.try_launch() {
            assert!(was_killed(&stopped), "{stopped:?}");
            return Ended::AtStart;
        }
        (self.sent, self.asked) = load(&self.instar.http);
        let through = self.sent.iter().all(|sent| sent.acknowledged.is_some())
            && self.asked.iter().all(|asked| asked.answered)
            && self.all_answered();
        self.instar.ask_to_stop();
        let stopped = self.instar.wait();
        if stopped.code == Some(0) {
            assert!(
                through,
                "the gateway stopped in good order before the work was done"
            );
            return Ended::Whole;
        }
        assert!(was_killed(&stopped), "{stopped:?}");
        Ended::UnderLoad
    }

    /// Waits until every message is answered; false if the gateway dies meanwhile.
    fn all_answered(&self) -> bool {
        until("every message is answered", || {
            let done = self.sent.iter().try_fold(true, |done, sent| {
                let entries = self.instar.try_entries(&sent.session)?;
                Ok::<_, Failed>(done && count(&entries, "assistant", &sent.text) > 0)
            });
            match done {
                Ok(done) => done.then_some(true),
                Err(_) => Some(false),
            }
        })
    }

    /// Starts the gateway as usual and looks at what became of everything. Gives the number of
    /// replies of which nobody knows whether they arrived.
    fn check(&mut self) -> u64 {
        self.instar.under.clear();
        self.instar.launch();
        let known: Vec<Sent> = self
            .sent
            .iter()
            .filter(|sent| sent.acknowledged.is_some())
            .cloned()
            .collect();
        until("what was acknowledged is answered", || {
            known
                .iter()
                .all(|sent| answers(&self.instar, sent) > 0)
                .then_some(())
        });
        self.check_asked();
        let uncertain = self.check_uncertain();
        self.send_again();
        for sent in &self.sent {
            until("what was sent again is answered", || {
                (answers(&self.instar, sent) > 0).then_some(())
            });
        }
        until("the gateway rests", || {
            let status = self.instar.http.get("/api/v1/status").expect(200);
            (status["runningTurns"] == 0).then_some(())
        });
        self.check_sent();
        self.check_asked();
        assert_sound(&self.instar);
        assert_eq!(
            self.instar.http.get("/api/v1/status").json()["uncertain"],
            uncertain
        );
        uncertain
    }

    /// Sends every message again with its key: what was acknowledged is known and not run again.
    fn send_again(&self) {
        for sent in &self.sent {
            let answer = self
                .instar
                .http
                .post("/api/v1/messages", &sent.body())
                .expect(202);
            if let Some(inbound) = &sent.acknowledged {
                assert_eq!(answer["duplicate"], true, "{sent:?}: {answer}");
                assert_eq!(answer["inbound"], *inbound, "{sent:?}");
            }
        }
    }

    /// Each message is in its transcript once, and its answer right behind it, once.
    fn check_sent(&self) {
        let sessions: BTreeSet<&str> = self.sent.iter().map(|sent| &*sent.session).collect();
        for session in sessions {
            let entries = self.instar.entries(session);
            for sent in self.sent.iter().filter(|sent| sent.session == session) {
                assert_eq!(
                    count(&entries, "user", &sent.text),
                    1,
                    "{sent:?} in {entries:#?}"
                );
                assert_eq!(
                    count(&entries, "assistant", &sent.text),
                    1,
                    "{sent:?} in {entries:#?}"
                );
            }
            let mine = self
                .sent
                .iter()
                .filter(|sent| sent.session == session)
                .count();
            assert_eq!(entries.len(), 2 * mine, "{session}: {entries:#?}");
        }
    }

    /// A request that was answered is there once with its answer; one that was cut is not there,
    /// or answered once, or shown as interrupted.
    fn check_asked(&self) {
        let entries = self.instar.entries(OPENAI_SESSION);
        for asked in &self.asked {
            let questions = count(&entries, "user", &asked.text);
            let answers = count(&entries, "assistant", &asked.text);
            let at = entries
                .iter()
                .position(|entry| says(entry, "user", &asked.text));
            let next = at
                .and_then(|at| entries.get(at + 1))
                .map(|entry| &entry["body"]);
            let interrupted = next.is_some_and(|body| body["kind"] == "interrupted");
            match (asked.answered, questions, answers) {
                (_, 1, 1) | (false, 0, 0) => {}
                (false, 1, 0) if interrupted => {}
                _ => panic!("{asked:?}: {questions} times, {answers} answers: {entries:#?}"),
            }
        }
    }

    /// What is uncertain is counted where people look, and is what the start found.
    fn check_uncertain(&self) -> u64 {
        let status = self.instar.http.get("/api/v1/status").expect(200);
        let uncertain = status["uncertain"].as_u64().unwrap();
        assert!(
            uncertain <= self.asked.len().try_into().unwrap(),
            "{status:#}"
        );
        let doctor = self.instar.http.get("/api/v1/doctor").expect(200);
        let delivery = finding(&doctor, "delivery");
        let told = until("the event log tells what was found", || {
            let events = self
                .instar
                .http
                .get("/api/v1/events?kind=gateway&limit=100")
                .expect(200);
            let events = events.as_array().unwrap().iter();
            let told: Vec<u64> = events
                .filter_map(|event| event["what"]["uncertain"].as_u64())
                .collect();
            (uncertain == 0 || !told.is_empty()).then_some(told)
        });
        assert!(told.len() <= 1, "told more than once: {told:?}");
        assert_eq!(told.first().copied().unwrap_or(0), uncertain);
        let severity = if uncertain == 0 { "fine" } else { "warning" };
        assert_eq!(delivery["severity"], severity, "{delivery:#}");
        uncertain
    }
}

impl Sent {
    fn body(&self) -> Value {
        json!({ "session": self.session, "text": self.text, "idempotencyKey": self.key })
    }
}

/// All clients at once, each until it is through or the gateway is gone.
fn load(http: &Http) -> (Vec<Sent>, Vec<Asked>) {
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|client| scope.spawn(move || send(http, client)))
            .collect();
        let asker = scope.spawn(|| ask(http));
        let sent = senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect();
        (sent, asker.join().unwrap())
    })
}

fn send(http: &Http, client: u32) -> Vec<Sent> {
    let mut all = Vec::new();
    for number in 0..MESSAGES {
        for session in [format!("agent:main:own-{client}"), SHARED.to_owned()] {
            let name = session.rsplit(':').next().unwrap();
            let text = format!("message {number} of {client} to {name}");
            let key = format!("{client}-{number}-{name}");
            let mut sent = Sent {
                session,
                text,
                key,
                acknowledged: None,
            };
            let answer = http.try_post("/api/v1/messages", &sent.body());
            let gone = answer.is_err();
            if let Ok(answer) = answer {
                let accepted = answer.expect(202);
                assert_eq!(accepted["duplicate"], false, "{sent:?}");
                sent.acknowledged = Some(accepted["inbound"].as_str().unwrap().to_owned());
            }
            all.push(sent);
            if gone {
                return all;
            }
        }
    }
    all
}

fn ask(http: &Http) -> Vec<Asked> {
    let mut all = Vec::new();
    for number in 0..MESSAGES {
        let mut asked = Asked {
            text: format!("question {number}"),
            key: format!("openai-{number}"),
            answered: false,
        };
        let answer = http.send(
            "POST",
            "/v1/chat/completions",
            &[("idempotency-key", &asked.key)],
            Some(&asked.body()),
        );
        let gone = answer.is_err();
        if let Ok(answer) = answer {
            let answer = answer.expect(200);
            let said = &answer["choices"][0]["message"]["content"];
            assert!(is_echo(said, &asked.text), "{asked:?}: {answer:#}");
            asked.answered = true;
        }
        all.push(asked);
        if gone {
            break;
        }
    }
    all
}

impl Asked {
    fn body(&self) -> Value {
        json!({
            "model": "instar", "user": OPENAI_USER,
            "messages": [{ "role": "user", "content": self.text }],
        })
    }
}

/// How often a message was answered.
fn answers(instar: &Instar, sent: &Sent) -> usize {
    count(&instar.entries(&sent.session), "assistant", &sent.text)
}

/// How many entries of a kind say this, or are the model's answer to this.
fn count(entries: &[Value], kind: &str, text: &str) -> usize {
    entries
        .iter()
        .filter(|entry| says(entry, kind, text))
        .count()
}

fn says(entry: &Value, kind: &str, text: &str) -> bool {
    let body = &entry["body"];
    body["type"] == kind
        && match kind {
            "user" => body["parts"][0]["text"] == text,
            _ => is_echo(&body["text"], text),
        }
}

fn was_killed(stopped: &Stopped) -> bool {
    stopped.signal == Some(9) || stopped.code == Some(128 + 9)
}

fn finding(doctor: &Value, check: &str) -> Value {
    let all = doctor.as_array().unwrap();
    all.iter()
        .find(|one| one["check"] == check)
        .unwrap_or(&Value::Null)
        .clone()
}

/// Every page of the store is where it belongs, and the files are as the doctor wants them.
fn assert_sound(instar: &Instar) {
    let doctor = instar.http.get("/api/v1/doctor").expect(200);
    for check in ["store", "modes", "secrets", "config", "workspace"] {
        assert_eq!(
            finding(&doctor, check)["severity"],
            "fine",
            "{check} of {doctor:#}"
        );
    }
}
