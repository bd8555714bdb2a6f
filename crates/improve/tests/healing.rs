//! A case told to the lab, and what it proposes.

use instar_improve::gene::Catalogue;
use instar_improve::heal::{choose, explain};
use instar_improve::lab::Lab;
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::{Case, Known, Seen, ToLab};
use instar_protocol::{Label, Timestamp};
use instar_release::{AgentBehaviour, Behaviour, Delta, Route, build, read_deltas};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn behaviour() -> Behaviour {
    let agent = AgentBehaviour {
        route: Route {
            primary: "a/one".to_owned(),
            fallbacks: Vec::new(),
            pictures: Vec::new(),
        },
        ..AgentBehaviour::default()
    };
    let mut behaviour = Behaviour {
        agents: BTreeMap::from([("main".to_owned(), agent)]),
        ..Behaviour::default()
    };
    let read = json!({"effect": "read", "reach": "own", "output": Label::system()});
    let annotation = serde_json::from_value(read).unwrap();
    behaviour
        .authority
        .annotations
        .insert("search".to_owned(), annotation);
    behaviour
}

fn case() -> Case {
    let mut fault = Fault::new(
        "flt_1".to_owned(),
        SignalKind::Network,
        "tool:search".to_owned(),
        Timestamp::from_millis(1),
    );
    fault.template = "connection reset by peer".to_owned();
    fault.failures = 30;
    Case {
        agent: "main".to_owned(),
        behaviour: serde_json::to_value(behaviour()).unwrap(),
        faults: vec![fault],
        strategy: "repair-only".to_owned(),
        seed: 5,
        most: 3,
        ..Case::default()
    }
}

fn known(gene: &str, outcome: &str) -> Known {
    Known {
        agent: String::new(),
        gene: format!("{gene}@0123"),
        fault: "flt_1".to_owned(),
        mitigation: format!("{gene}-flt_1"),
        outcome: outcome.to_owned(),
        treated: (60, 1.0),
        control: (60, 12.0),
        evidence: 30.0,
        without_coin: false,
        classic: None,
        release: String::new(),
        at: Timestamp::from_millis(2),
        seen: None,
    }
}

#[test]
fn what_is_proposed_is_a_sound_change_with_its_reasons() {
    let chosen = choose(&case()).unwrap();
    assert_eq!(chosen.proposed.len(), 1, "one thing about one fault");
    let one = &chosen.proposed[0];
    assert!(one.because.len() >= 4, "{:?}", one.because);
    let deltas = read_deltas(one.delta.clone()).unwrap();
    let after = build(&behaviour(), &deltas).unwrap();
    let mitigation = &after.agents["main"].mitigations[0];
    assert!(mitigation.trial.is_some() && mitigation.fault == "flt_1");
    assert!(matches!(&deltas[0], Delta::SetMitigation { agent, .. } if agent == "main"));
}

#[test]
fn what_came_to_nothing_is_not_tried_again_and_while_one_runs_no_other_is_begun() {
    let first = choose(&case()).unwrap().proposed.remove(0);
    let mut again = case();
    again.known = vec![known(&first.gene, "undecided")];
    let second = choose(&again).unwrap();
    assert!(second.proposed.iter().all(|one| one.gene != first.gene));
    let mut running = case();
    let deltas = read_deltas(first.delta).unwrap();
    let after = build(&behaviour(), &deltas).unwrap();
    running.behaviour = serde_json::to_value(after).unwrap();
    assert_eq!(choose(&running).unwrap().proposed, []);
}

#[test]
fn nothing_is_proposed_about_a_fault_that_waits_and_what_could_be_is_still_told() {
    let mut waiting = case();
    waiting.waiting.insert("flt_1".to_owned());
    assert_eq!(choose(&waiting).unwrap().proposed, []);
    let could = explain(&waiting, "flt_1").unwrap();
    assert!(could.iter().any(|one| one.delta.is_some()));
    // Another fault is none the worse for it.
    let mut other = waiting.faults[0].clone();
    other.id = "flt_2".to_owned();
    waiting.faults.push(other);
    let chosen = choose(&waiting).unwrap().proposed;
    assert!(
        chosen.len() == 1 && chosen[0].fault == "flt_2",
        "{chosen:?}"
    );
}

#[test]
fn what_came_to_nothing_with_one_agent_may_be_tried_with_another() {
    let first = choose(&case()).unwrap().proposed.remove(0);
    let tried = |agent: &str| {
        let mut again = case();
        again.known = vec![Known {
            agent: agent.to_owned(),
            ..known(&first.gene, "undecided")
        }];
        let told = explain(&again, "flt_1").unwrap();
        let one = told.iter().find(|one| one.gene == first.gene).unwrap();
        let chapter = &one.delta.as_ref().unwrap()["set_mitigation"]["mitigation"]["trial"];
        chapter["chapter"].clone()
    };
    // With the same agent it would be another chapter of the same trial.
    assert_eq!((tried("main"), tried("other")), (json!(2), json!(1)));
}

/// What the fault of the case looked like once, somewhere.
fn seen(environment: &str) -> Option<Seen> {
    Some(Seen::of(&case().faults[0], environment))
}

fn believed(case: &Case) -> f64 {
    let told = explain(case, &case.faults[0].id).unwrap();
    let one = told.iter().find(|one| one.gene == "retry-flaky-read");
    one.unwrap().believed.unwrap()
}

#[test]
fn what_was_learned_stays_when_its_fault_is_told_of_no_more() {
    let mut case = case();
    let nothing = believed(&case);
    case.known = vec![known("retry-flaky-read", "proven")];
    case.known[0].seen = seen("");
    case.faults[0].id = "flt_2".to_owned();
    let learned = believed(&case);
    assert!(learned > nothing + 0.05, "{learned} {nothing}");
    // A verdict that was opened again speaks neither for nor against.
    case.known[0].outcome = "reopened".to_owned();
    assert!((believed(&case) - nothing).abs() < 1e-9);
    case.known[0].outcome = "undecided".to_owned();
    assert!(believed(&case) < nothing);
}

#[test]
fn what_was_learned_in_this_environment_counts_more_and_what_failed_in_another_may_be_tried_again()
{
    let mut case = case();
    case.environments = BTreeMap::from([("tool:search".to_owned(), "now".to_owned())]);
    case.known = vec![known("retry-flaky-read", "proven")];
    case.known[0].fault = "flt_9".to_owned();
    case.known[0].seen = seen("then");
    let elsewhere = believed(&case);
    case.known[0].seen = seen("now");
    assert!(believed(&case) > elsewhere + 0.01);

    let tries = |case: &Case| {
        let mut genes: Vec<String> = Vec::new();
        for seed in 0..40 {
            let mut case = case.clone();
            case.seed = seed * 7_919;
            genes.extend(
                choose(&case)
                    .unwrap()
                    .proposed
                    .into_iter()
                    .map(|one| one.gene),
            );
        }
        genes.contains(&"retry-flaky-read".to_owned())
    };
    case.known = vec![known("retry-flaky-read", "failed")];
    case.known[0].seen = seen("now");
    assert!(!tries(&case));
    case.known[0].seen = seen("then");
    assert!(tries(&case));
    // It is another chapter of the same trial.
    let told = explain(&case, "flt_1").unwrap();
    let one = told
        .iter()
        .find(|one| one.gene == "retry-flaky-read")
        .unwrap();
    let delta = one.delta.as_ref().unwrap().to_string();
    assert!(delta.contains("\"chapter\":2"), "{delta}");
}

#[test]
fn a_house_where_nothing_helps_any_more_turns_quiet_by_itself() {
    let mut case = case();
    case.strategy = "auto".to_owned();
    case.spent = json!({"repair": 9, "optimize": 0, "innovate": 9, "cycles": 20, "in_vain": 0});
    let planned = |case: &Case| choose(case).unwrap().spent["planned"].clone();
    assert_eq!(planned(&case), json!([20, 30, 50]));
    for number in 0..8 {
        let mut one = known("keep-the-pace", "undecided");
        one.fault = format!("flt_{}", 100 + number);
        one.at = Timestamp::from_millis(10 + number);
        case.known.push(one);
    }
    assert_eq!(planned(&case), json!([60, 30, 10]), "eight in a row");
    assert_eq!(choose(&case).unwrap().spent["in_vain"], 8);
    // What was made up and what was opened again end no row; what helped does.
    let mut made_up = known("keep-the-pace", "supported_synthetic");
    made_up.at = Timestamp::from_millis(99);
    case.known.push(made_up);
    assert_eq!(planned(&case), json!([60, 30, 10]));
    let mut helped = known("retry-flaky-read", "proven");
    helped.fault = "flt_99".to_owned();
    helped.at = Timestamp::from_millis(100);
    case.known.push(helped);
    assert_eq!(planned(&case), json!([20, 30, 50]));
}

#[test]
fn a_ban_of_the_owner_s_and_a_gene_of_his_count() {
    let mut case = case();
    let all = Catalogue::built_in().unwrap();
    case.banned = all.genes().map(|gene| gene.id.clone()).collect();
    case.banned.push("gone-long-ago".to_owned());
    assert_eq!(choose(&case).unwrap().proposed, []);
    case.genes = vec![json!({
        "id": "mine", "version": 1, "title": "Leaves it alone", "family": "down",
        "fits": {"place": "tool", "kinds": ["network"]},
        "writes": {"breaker": {"failures": 3, "open_seconds": 60}},
    })];
    assert_eq!(choose(&case).unwrap().proposed[0].gene, "mine");
}

#[test]
fn every_gene_says_what_it_would_do_or_why_not() {
    let mut case = case();
    case.known = vec![known("retry-flaky-read", "proven")];
    let told = explain(&case, "flt_1").unwrap();
    assert_eq!(told[0].gene, "retry-flaky-read", "{told:?}");
    assert_eq!(told[0].tried, ["proven"]);
    assert!(told[0].believed.unwrap() > told[1].believed.unwrap());
    assert!(
        told.iter()
            .all(|one| one.would.is_some() != one.why_not.is_some())
    );
    assert!(explain(&case, "flt_2").is_err());
}

#[test]
fn the_lab_answers_a_case() {
    let said = Lab::default()
        .hear(ToLab::Choose(Box::new(case())))
        .unwrap();
    let said: Value = serde_json::to_value(said).unwrap();
    assert_eq!(said["proposed"].as_array().unwrap().len(), 1);
}
