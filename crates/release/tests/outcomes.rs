//! How bad an episode was, read from its events, one sign at a time.

use instar_protocol::event::{Arm, BranchReason, Event, EventKind, FeedbackVerdict, TurnOutcome};
use instar_protocol::model::Usage;
use instar_protocol::tool::ToolDecision;
use instar_protocol::{
    EntryId, EventId, InboundId, Label, QuestionId, RunId, SessionId, Standing, Timestamp,
};
use instar_release::rollout::{COST, Caps, LATENCY, Outcome, Plan, QUESTIONS, TASK, caps, outcome};

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(1_795_286_385_000 + 1_000 * second)
}

fn event(second: u64, kind: EventKind) -> Event {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&second.to_be_bytes());
    Event {
        session: Some(SessionId::from_stored("ses_1")),
        run: Some(RunId::from_stored("run_1")),
        arm: Arm::Canary,
        asker: Some(Standing::Owner),
        label: Label::owner(),
        ..Event::of_house(EventId::new(at(second), random), at(second), kind)
    }
}

fn turn(outcome: TurnOutcome, millis: u64, cost_micros: u64) -> EventKind {
    EventKind::Turn {
        outcome,
        millis,
        model_calls: 1,
        tool_calls: 0,
        usage: Usage::default(),
        cost_micros,
    }
}

fn said(surface: &str) -> EventKind {
    written(surface, None)
}

fn written(surface: &str, content: Option<&str>) -> EventKind {
    EventKind::MessageIn {
        inbound: InboundId::new(at(0), [1; 10]),
        surface: surface.to_owned(),
        bytes: 5,
        content: content.map(str::to_owned),
    }
}

/// Who says so means it.
fn corrects(text: &str) -> bool {
    text.contains("that is wrong")
}

fn word(run: &str, verdict: FeedbackVerdict) -> EventKind {
    EventKind::Feedback {
        run: RunId::from_stored(run),
        verdict,
        content: None,
    }
}

fn branch(why: BranchReason) -> EventKind {
    EventKind::Branch {
        why,
        from: None,
        to: None,
    }
}

fn tool(decision: ToolDecision, is_error: bool) -> EventKind {
    EventKind::ToolCall {
        tool: "look_up".to_owned(),
        decision,
        millis: 1,
        is_error,
        argument_names: Vec::new(),
        skill: None,
        content: None,
    }
}

fn allowed() -> ToolDecision {
    ToolDecision::Allowed {
        rule: "reads".to_owned(),
    }
}

/// A good turn that ended in the tenth second, what else was seen, and the end in the hundredth.
fn seen(more: Vec<(u64, EventKind)>) -> Outcome {
    let limits = Caps {
        cost_micros: Some(50),
        millis: Some(2_000),
    };
    let plan = Plan::over(&[0.5], 1, limits);
    let good = (10, turn(TurnOutcome::Replied, 2_000, 50));
    let events: Vec<Event> = std::iter::once(good)
        .chain(more)
        .map(|(second, kind)| event(second, kind))
        .collect();
    outcome(&events, at(100), &plan, corrects)
}

/// Bad by task, by cost, by latency and by questions, and whether anything was heard.
fn signs(more: Vec<(u64, EventKind)>) -> ([f64; 4], bool) {
    let seen = seen(more);
    let bad = [TASK, COST, LATENCY, QUESTIONS].map(|name| seen.bad[name].unwrap());
    (bad, seen.is_heard)
}

#[test]
fn each_sign_counts_for_its_own_metric_and_a_silent_success_is_none_of_them() {
    let none = [0.0; 4];
    let task = [1.0, 0.0, 0.0, 0.0];
    assert_eq!(signs(Vec::new()), (none, false), "nobody said a word");
    for ended in [
        TurnOutcome::Aborted,
        TurnOutcome::Failed,
        TurnOutcome::Interrupted,
    ] {
        assert_eq!(
            signs(vec![(20, turn(ended, 1, 1))]),
            (task, true),
            "{ended:?}"
        );
    }
    let handed = turn(TurnOutcome::Handed, 1, 1);
    assert_eq!(signs(vec![(20, handed)]), (none, false));
    let dear = turn(TurnOutcome::Replied, 2_000, 51);
    assert_eq!(signs(vec![(20, dear)]).0, [0.0, 1.0, 0.0, 0.0]);
    let slow = turn(TurnOutcome::Replied, 2_001, 50);
    assert_eq!(signs(vec![(20, slow)]).0, [0.0, 0.0, 1.0, 0.0]);
    for why in [BranchReason::Edit, BranchReason::Retry] {
        assert_eq!(signs(vec![(20, branch(why))]), (task, true), "{why:?}");
    }
    for why in [BranchReason::Switch, BranchReason::Fork] {
        assert_eq!(signs(vec![(20, branch(why))]), (none, false), "{why:?}");
    }
    assert_eq!(signs(vec![(9, tool(allowed(), true))]), (task, true));
    // A tool that worked is no word of anybody's.
    assert_eq!(signs(vec![(9, tool(allowed(), false))]), (none, false));
    let asked = ToolDecision::Asked {
        question: QuestionId::from_stored("que_1"),
        rule: "sends".to_owned(),
    };
    assert_eq!(signs(vec![(9, tool(asked, false))]).0, [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn a_word_counts_whenever_it_is_said_and_only_about_its_own_turns() {
    let bad = signs(vec![(5_000, word("run_1", FeedbackVerdict::Bad))]);
    assert_eq!(bad, ([1.0, 0.0, 0.0, 0.0], true));
    let good = signs(vec![(5_000, word("run_1", FeedbackVerdict::Good))]);
    assert_eq!(good, ([0.0; 4], true));
    let others = signs(vec![(5_000, word("run_2", FeedbackVerdict::Bad))]);
    assert_eq!(others, ([0.0; 4], false));
    // What happens after the end is no part of it.
    let late = turn(TurnOutcome::Failed, 1, 1);
    assert_eq!(signs(vec![(101, late)]), ([0.0; 4], false));
}

#[test]
fn who_writes_again_has_been_heard_and_what_writes_by_itself_has_not() {
    assert!(signs(vec![(11, said("web"))]).1);
    assert!(
        !signs(vec![(9, said("web"))]).1,
        "that is the question itself"
    );
    for surface in ["heartbeat", "session", "approval"] {
        let again = vec![(11, said(surface)), (12, turn(TurnOutcome::Replied, 1, 1))];
        assert!(!signs(again).1, "{surface}");
    }
}

#[test]
fn the_owner_who_says_in_words_that_an_answer_was_wrong_is_understood() {
    let says = |second, surface, text| signs(vec![(second, written(surface, Some(text)))]);
    let task = [1.0, 0.0, 0.0, 0.0];
    assert_eq!(says(11, "web", "No, that is wrong."), (task, true));
    assert_eq!(says(11, "web", "And tomorrow?"), ([0.0; 4], true));
    assert_eq!(
        says(9, "web", "that is wrong"),
        ([0.0; 4], false),
        "what he asked was no word about the answer to it"
    );
    assert_eq!(
        says(101, "web", "that is wrong"),
        ([0.0; 4], false),
        "what comes after the end is of another episode"
    );
    // Nobody said it.
    assert_eq!(says(11, "heartbeat", "that is wrong"), ([0.0; 4], false));
    // Who is not the owner cannot talk a candidate down.
    let stranger = Event {
        asker: Some(Standing::Stranger),
        ..event(11, written("web", Some("that is wrong")))
    };
    let events = [event(10, turn(TurnOutcome::Replied, 1, 1)), stranger];
    let plan = Plan::over(&[0.5], 1, Caps::default());
    assert_eq!(
        outcome(&events, at(100), &plan, corrects).bad[TASK],
        Some(0.0)
    );
}

/// Back to an entry of this second, or to the root.
fn rewind(to: Option<u64>) -> EventKind {
    EventKind::Rewind {
        from: None,
        to: to.map(|second| EntryId::new(at(second), [7; 10])),
    }
}

#[test]
fn a_turn_is_abandoned_where_its_owner_stops_it_or_goes_back_to_before_it() {
    let (none, task) = ([0.0; 4], [1.0, 0.0, 0.0, 0.0]);
    // The turn took two seconds and ended in the tenth.
    assert_eq!(signs(vec![(20, rewind(Some(7)))]), (task, true));
    assert_eq!(signs(vec![(20, rewind(None))]), (task, true));
    // He may think better of it after the episode has ended, too.
    assert_eq!(signs(vec![(5_000, rewind(Some(7)))]), (task, true));
    // What was answered stands: a summary that came after it, or a later turn of another episode, was taken away.
    assert_eq!(signs(vec![(20, rewind(Some(9)))]), (none, false));
    let later = vec![
        (200, turn(TurnOutcome::Replied, 2_000, 50)),
        (300, rewind(Some(150))),
    ];
    assert_eq!(signs(later), (none, false));
    // It was asked in the conversation as it stood after going back.
    assert_eq!(signs(vec![(5, rewind(Some(3)))]), (none, false));
    assert_eq!(
        signs(vec![(20, turn(TurnOutcome::Aborted, 1, 1))]),
        (task, true)
    );
}

#[test]
fn a_question_that_nobody_answered_is_no_sign_of_how_the_work_went() {
    let asked = ToolDecision::Asked {
        question: QuestionId::from_stored("que_1"),
        rule: "sends".to_owned(),
    };
    // Whoever asked him is told that nobody answered, which is no error, and nothing is heard.
    for left in [tool(asked, false), tool(allowed(), false)] {
        let (bad, is_heard) = signs(vec![(9, left)]);
        assert_eq!((bad[0], is_heard), (0.0, false));
    }
}

#[test]
fn an_episode_without_a_turn_is_not_known() {
    let plan = Plan::over(&[0.5], 1, Caps::default());
    let seen = outcome(&[event(1, said("web"))], at(100), &plan, corrects);
    assert_eq!((seen.turns, seen.bad[TASK]), (0, None));
}

#[test]
fn what_is_dear_and_slow_is_what_one_turn_in_twenty_was_before() {
    let turns = |count: u64| -> Vec<Event> {
        let one = |n: u64| event(n, turn(TurnOutcome::Replied, 10 * n, n));
        (1..=count).map(one).collect()
    };
    assert_eq!(caps(&turns(19)), Caps::default(), "too few to say");
    let known = caps(&turns(100));
    assert_eq!((known.millis, known.cost_micros), (Some(950), Some(95)));
    let free: Vec<Event> = (1..=40)
        .map(|n| event(n, turn(TurnOutcome::Replied, n, 0)))
        .collect();
    assert_eq!(
        caps(&free).cost_micros,
        None,
        "what costs nothing is never dear"
    );
}
