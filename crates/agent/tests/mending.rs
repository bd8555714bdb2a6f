//! Mitigations in a running agent: what they do to a fault, what is noted of it, and what they leave alone.

use crate::support::{Fault as Breaks, Home, Reply, config, home, home_with, last_text, outcome};
use instar_agent::Thrown;
use instar_policy::{Profile, Role};
use instar_protocol::event::EventKind;
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::live::OutcomeStatus;
use instar_protocol::principal::Via;
use instar_protocol::{Clock as _, Principal, Standing};
use instar_release::mitigation::{Act, ArgumentFix, Lesson, Mitigation, Reach, Toss};
use instar_store::EventFilter;
use serde_json::{Value, json};
use std::sync::Arc;

fn mitigation(id: &str, act: Act) -> Mitigation {
    Mitigation {
        id: id.to_owned(),
        gene: "test@0".to_owned(),
        fault: "f1".to_owned(),
        reach: Reach::Everybody,
        trial: None,
        act,
    }
}

pub(crate) fn on_trial(id: &str, act: Act, share_permille: u16) -> Mitigation {
    Mitigation {
        trial: Some(Toss {
            unit: act.unit(),
            share_permille,
            chapter: 1,
        }),
        ..mitigation(id, act)
    }
}

/// Puts these into the release in service.
pub(crate) async fn mitigate(home: &Home, mitigations: Vec<Mitigation>) {
    let mut behaviour = home.releases.stable().unwrap().behaviour.clone();
    let main = behaviour.agents.get_mut("main").unwrap();
    main.mitigations = mitigations;
    home.releases
        .adopt(behaviour, "test", "mitigated", home.clock.now(), [1; 10])
        .await
        .unwrap();
}

/// Asks for one search and gives back the line of its result.
async fn result(home: &Home, arguments: Value) -> String {
    home.script
        .then(Reply::named("search", arguments))
        .says("done");
    home.say("search").await;
    let lines = home.transcript().await;
    lines[lines.len() - 2].clone()
}

async fn exposures(home: &Home) -> Vec<EventKind> {
    let filter = EventFilter {
        limit: 1_000,
        ..EventFilter::default()
    };
    let mut events = home.store.events(filter).await.unwrap();
    events.reverse();
    let kinds = events.into_iter().map(|event| event.kind);
    let tells = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::Exposure { .. } | EventKind::ExposureEnd { .. }
        )
    };
    kinds.filter(tells).collect()
}

fn retry(again: u8) -> Act {
    Act::Retry {
        tool: "search".to_owned(),
        again,
        pause_ms: 1,
    }
}

#[tokio::test]
async fn a_call_that_failed_is_made_again_where_that_is_to_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let fails_twice = || {
        let mut faults = home.search.lock().unwrap();
        faults
            .next
            .extend([Some(Breaks::Fails), Some(Breaks::Fails)]);
        faults.seen.clear();
    };
    fails_twice();
    let plain = result(&home, json!({"query": "x"})).await;
    assert!(plain.contains("the search failed"), "{plain}");
    home.search.lock().unwrap().next.clear();
    mitigate(&home, vec![mitigation("again", retry(2))]).await;
    fails_twice();
    let mended = result(&home, json!({"query": "x"})).await;
    assert!(mended.contains("found"), "{mended}");
    assert_eq!(home.search.lock().unwrap().seen.len(), 3);
    assert_eq!(exposures(&home).await, [], "nothing is on trial");
}

#[tokio::test]
async fn arguments_are_put_right_before_they_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let wrong = json!({"query": "x", "limit": "12", "tags": "a, b"});
    let plain = result(&home, wrong.clone()).await;
    assert!(plain.contains("bad arguments"), "{plain}");
    let fixes = vec![
        ArgumentFix::Number {
            argument: "limit".to_owned(),
        },
        ArgumentFix::Split {
            argument: "tags".to_owned(),
        },
    ];
    let act = Act::Arguments {
        tool: "search".to_owned(),
        fixes,
    };
    mitigate(&home, vec![mitigation("shape", act)]).await;
    let mended = result(&home, wrong).await;
    assert!(mended.contains("found"), "{mended}");
    let seen = home.search.lock().unwrap().seen.clone();
    assert_eq!(
        seen,
        [json!({"query": "x", "limit": 12, "tags": ["a", "b"]})]
    );
}

#[tokio::test]
async fn the_exposure_is_noted_by_what_the_coin_said_and_the_outcome_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    mitigate(&home, vec![on_trial("again", retry(1), 500)]).await;
    let runs = 24;
    for _ in 0..runs {
        home.search.lock().unwrap().next = [Some(Breaks::Fails)].into();
        let _line = result(&home, json!({"query": "x"})).await;
    }
    let told = exposures(&home).await;
    assert_eq!(told.len(), 2 * runs);
    let mut with = 0;
    for pair in told.chunks(2) {
        let [
            EventKind::Exposure {
                experiment,
                unit,
                with_fix,
                share_permille: 500,
                fault,
                ..
            },
            EventKind::ExposureEnd {
                experiment: same,
                unit: its,
                bad,
            },
        ] = pair
        else {
            panic!("{pair:?}");
        };
        assert_eq!((experiment, unit), (same, its));
        assert_eq!(
            (experiment.as_str(), fault.as_str()),
            ("fix/main/again/1", "f1")
        );
        // The fault goes away at the second call: the fix, and nothing else, makes the difference.
        assert_eq!(*bad, Some(!with_fix));
        with += usize::from(*with_fix);
    }
    assert!((1..runs).contains(&with), "{with} of {runs}");
}

#[tokio::test]
async fn two_calls_of_one_turn_are_one_exposure() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    mitigate(&home, vec![on_trial("again", retry(1), 500)]).await;
    home.script
        .then(Reply::named("search", json!({"query": "x"})))
        .then(Reply::named("search", json!({"query": "y"})))
        .says("done");
    home.say("search twice").await;
    assert_eq!(exposures(&home).await.len(), 2);
    home.script.says("nothing was searched");
    home.say("hello").await;
    assert_eq!(exposures(&home).await.len(), 2, "the path was not entered");
}

#[derive(Debug)]
struct Taken;

impl instar_agent::TrialsPort for Taken {
    fn share_permille(&self, experiment: &str) -> Option<u16> {
        (experiment == "fix/main/again/1").then_some(0)
    }
}

#[tokio::test]
async fn a_fix_that_was_taken_back_acts_no_more_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    mitigate(&home, vec![on_trial("again", retry(1), 999)]).await;
    home.sessions
        .judge_trials(Arc::new(Taken), Thrown::default());
    home.search.lock().unwrap().always = Some(Breaks::Fails);
    let _line = result(&home, json!({"query": "x"})).await;
    assert_eq!(home.search.lock().unwrap().seen.len(), 1);
    assert_eq!(exposures(&home).await, []);
}

#[tokio::test]
async fn a_fault_of_strangers_is_not_mended_for_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let outside = Mitigation {
        reach: Reach::Outsiders,
        ..mitigation("again", retry(1))
    };
    mitigate(&home, vec![outside]).await;
    home.search.lock().unwrap().always = Some(Breaks::Fails);
    let _line = result(&home, json!({"query": "x"})).await;
    assert_eq!(home.search.lock().unwrap().seen.len(), 1, "the owner's own");
}

/// Says something as somebody, and waits for the answer.
async fn says(home: &Home, principal: Principal) {
    let mut message = home.message("search");
    message.principal = principal;
    outcome(home.sessions.submit(message).await.unwrap()).await;
}

/// What the failing calls so far would count as, all in one fault.
async fn fault(home: &Home) -> Fault {
    let filter = EventFilter {
        limit: 1_000,
        ..EventFilter::default()
    };
    let events = home.store.events(filter).await.unwrap();
    let id = "f1".to_owned();
    let kind = SignalKind::ToolError;
    let mut fault = Fault::new(id, kind, "tool:search".to_owned(), home.clock.now());
    for event in &events {
        if matches!(event.kind, EventKind::ToolCall { is_error: true, .. }) {
            fault.happened(event, "");
        }
    }
    fault
}

#[tokio::test]
async fn whose_fault_it_is_is_told_by_who_asked_and_not_by_what_a_tool_brought() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.search.lock().unwrap().always = Some(Breaks::Fails);
    let mut behaviour = home.releases.stable().unwrap().behaviour.clone();
    for role in [Role::Contact, Role::Automation] {
        let tools = ["search".to_owned()].into();
        behaviour.authority.profiles.insert(role, Profile { tools });
    }
    let now = home.clock.now();
    let releases = &home.releases;
    releases
        .adopt(behaviour, "test", "for guests", now, [2; 10])
        .await
        .unwrap();
    let guest = || Principal::Contact {
        id: "ann".to_owned(),
    };
    // A call that fails, and one that is refused before it is made.
    home.script
        .then(Reply::named("search", json!({"query": "x"})))
        .then(Reply::named("no_such_tool", json!({})))
        .says("done");
    says(&home, guest()).await;
    let theirs = fault(&home).await;
    assert_eq!(theirs.failures, 2);
    assert_eq!(theirs.blast.askers, [(Standing::Contact, 2)].into());
    assert!(theirs.blast.is_outside() && theirs.blast.is_tainted());

    // What is done about it is done for contacts; not for the owner.
    let outside = Mitigation {
        reach: Reach::Outsiders,
        ..mitigation("again", retry(1))
    };
    mitigate(&home, vec![outside]).await;
    for (principal, calls) in [
        (guest(), 2),
        (Principal::Owner { via: Via::Token }, 1),
        (
            Principal::Automation {
                source: "heartbeat".to_owned(),
            },
            1,
        ),
    ] {
        home.search.lock().unwrap().seen.clear();
        home.script
            .then(Reply::named("search", json!({"query": "x"})))
            .says("done");
        let who = format!("{principal:?}");
        says(&home, principal).await;
        let made = home.search.lock().unwrap().seen.len();
        assert_eq!(made, calls, "{who}: {:?}", home.transcript().await);
    }
    assert!(!fault(&home).await.blast.is_outside(), "the owner's, too");
}

#[tokio::test]
async fn a_tool_that_keeps_failing_is_left_alone_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let act = Act::Breaker {
        tool: "search".to_owned(),
        failures: 2,
        open_seconds: 60,
    };
    mitigate(&home, vec![mitigation("breaker", act)]).await;
    home.search.lock().unwrap().always = Some(Breaks::Fails);
    for _ in 0..4 {
        let _line = result(&home, json!({"query": "x"})).await;
    }
    assert_eq!(home.search.lock().unwrap().seen.len(), 2);
    let line = result(&home, json!({"query": "x"})).await;
    assert!(line.contains("left alone"), "{line}");
    home.search.lock().unwrap().always = None;
    home.clock.advance(std::time::Duration::from_secs(61));
    let line = result(&home, json!({"query": "x"})).await;
    assert!(line.contains("found"), "{line}");
}

/// How the units of a trial ended: with the fix, and whether it was bad.
async fn ended(home: &Home) -> Vec<(bool, Option<bool>)> {
    let mut with = std::collections::BTreeMap::new();
    let mut ended = Vec::new();
    for kind in exposures(home).await {
        match kind {
            EventKind::Exposure { unit, with_fix, .. } => {
                with.insert(unit, with_fix);
            }
            EventKind::ExposureEnd { unit, bad, .. } => ended.push((with[&unit], bad)),
            _ => {}
        }
    }
    ended
}

/// A fix that keeps calls from being made would otherwise look as if it had mended them.
#[tokio::test]
async fn a_call_that_a_pace_or_a_breaker_keeps_back_is_a_failure_of_the_arm_that_has_it() {
    let pace = Act::Pace {
        tool: "search".to_owned(),
        per_minute: 1,
    };
    let breaker = Act::Breaker {
        tool: "search".to_owned(),
        failures: 2,
        open_seconds: 600,
    };
    for (act, share_permille) in [(&pace, 999), (&pace, 1), (&breaker, 999), (&breaker, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path()).await;
        // The first five minutes of a block are left out.
        let into_block = home.clock.now().millis() / 60_000 % 30;
        let minutes = (30 + 6 - into_block) % 30;
        home.clock
            .advance(std::time::Duration::from_secs(60 * minutes));
        let is_on = share_permille == 999;
        mitigate(&home, vec![on_trial("back", act.clone(), share_permille)]).await;
        let fails = matches!(act, Act::Breaker { .. });
        home.search.lock().unwrap().always = fails.then_some(Breaks::Fails);
        for _ in 0..3 {
            let _line = result(&home, json!({"query": "x"})).await;
        }
        let calls = home.search.lock().unwrap().seen.len();
        let told = ended(&home).await;
        let name = format!("{act:?} {share_permille}: {told:?}");
        assert_eq!(told.len(), 3, "{name}");
        assert!(told.iter().all(|(with, _)| *with == is_on), "{name}");
        // Without the fix it is the tool that says how it went; with it a call that was kept back failed.
        let last = told[2].1;
        match (fails, is_on) {
            (true, _) => assert_eq!(last, Some(true), "{name}"),
            (false, on) => assert_eq!(last, Some(on), "{name}"),
        }
        let kept_back = match (fails, is_on) {
            (true, true) => 1,
            (false, true) => 2,
            (_, false) => 0,
        };
        assert_eq!(calls, 3 - kept_back, "{name}");
    }
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_sooner_and_calls_keep_their_pace() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let patience = Act::Patience {
        tool: "search".to_owned(),
        seconds: 1,
    };
    let pace = Act::Pace {
        tool: "other_search".to_owned(),
        per_minute: 2,
    };
    let all = vec![mitigation("pace", pace), mitigation("patience", patience)];
    mitigate(&home, all).await;
    home.search.lock().unwrap().next = [Some(Breaks::Hangs)].into();
    let line = result(&home, json!({"query": "x"})).await;
    assert!(line.contains("took longer than 1 s"), "{line}");
    for number in 0..3 {
        home.script
            .then(Reply::named("other_search", json!({"query": "x"})))
            .says("done");
        home.say("search elsewhere").await;
        let seen = home.other_search.lock().unwrap().seen.len();
        assert_eq!(seen, 2.min(number + 1));
    }
}

#[tokio::test]
async fn a_lesson_stands_in_the_prompt_and_a_worse_tool_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let lesson = Act::Lesson(Lesson::AtMost {
        tool: "search".to_owned(),
        argument: "limit".to_owned(),
        most: 20,
    });
    let prefer = Act::Prefer {
        tool: "search".to_owned(),
        over: "other_search".to_owned(),
    };
    let all = vec![mitigation("lesson", lesson), mitigation("prefer", prefer)];
    mitigate(&home, all).await;
    home.say("hello").await;
    let request = home.script.requests().pop().unwrap();
    let system: Vec<&str> = request.system.iter().map(|one| one.text.as_str()).collect();
    assert!(
        system
            .last()
            .unwrap()
            .ends_with("Ask search for at most 20 in limit at a time."),
        "{system:?}"
    );
    let tools: Vec<&str> = request
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert!(tools.contains(&"search") && !tools.contains(&"other_search"));
}

#[tokio::test]
async fn a_model_that_breaks_off_is_asked_again_and_one_that_is_silent_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let route = json!({"agents": {"defaults": {"model": "test/one"}}});
    let home = home_with(folder.path(), config(route)).await;
    home.script.then(Reply::Silent).says("second");
    let act = Act::ModelPatience { seconds: 1 };
    let mut behaviour = home.releases.stable().unwrap().behaviour.clone();
    let main = behaviour.agents.get_mut("main").unwrap();
    main.route.fallbacks = vec!["test/two".to_owned()];
    main.mitigations = vec![mitigation("patience", act)];
    home.releases
        .adopt(behaviour, "test", "mitigated", home.clock.now(), [1; 10])
        .await
        .unwrap();
    let answer = home.say("hello").await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (OutcomeStatus::Ok, "second")
    );
    assert_eq!(last_text(&home.script.requests()[1]), "hello");
}
