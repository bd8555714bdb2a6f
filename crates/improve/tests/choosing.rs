//! Choices: what is known is used, what is not is tried within a budget, and what needs a person is left.

use instar_improve::choose::{Chance, Chooser, Intent, Outcome, Spent, Strategy, Trialable};
use instar_improve::gene::{Change, Clock, Family, Pages, Proposal, Symptom};
use instar_protocol::fault::SignalKind;
use instar_release::mitigation::{Act, Mitigation, Reach};
use std::collections::{BTreeMap, BTreeSet};

fn symptom(kind: SignalKind, text: &str) -> Symptom {
    Symptom {
        fault: "f1".to_owned(),
        kind,
        also: BTreeSet::new(),
        place: "tool:search".to_owned(),
        detail: String::new(),
        text: text.to_owned(),
        is_outside: false,
        environment: String::new(),
        clock: Clock::default(),
        pages: Pages::default(),
        notes: Vec::new(),
    }
}

fn option(gene: &str, kind: SignalKind) -> Trialable {
    let act = Act::Retry {
        tool: "search".to_owned(),
        again: 1,
        pause_ms: 1,
    };
    let mitigation = Mitigation {
        id: format!("{gene}-f1"),
        gene: gene.to_owned(),
        fault: "f1".to_owned(),
        reach: Reach::Everybody,
        trial: None,
        act,
    };
    Trialable {
        symptom: symptom(kind, "connection reset by peer"),
        proposal: Proposal {
            gene: gene.to_owned(),
            agent: "main".to_owned(),
            id: mitigation.id.clone(),
            change: Change::Mitigation(Box::new(mitigation)),
        },
        family: Family::Transient,
        purpose: Intent::Repair,
        failures: 20,
        is_mitigated: false,
        needs_person: false,
    }
}

/// How often each gene is chosen of so many times.
fn chosen(chooser: &Chooser, options: &[Trialable], times: u64) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for seed in 0..times {
        let mut spent = Spent::default();
        let mut chance = Chance::new(seed * 7_919);
        let strategy = Strategy::RepairOnly;
        if let Some(choice) = chooser.choose(options, strategy, &mut spent, &mut chance) {
            *counts.entry(choice.gene).or_default() += 1;
        }
    }
    counts
}

#[test]
fn what_helped_is_tried_first_and_what_is_uncertain_now_and_then() {
    let mut chooser = Chooser::default();
    let faults = symptom(SignalKind::Network, "connection reset by peer");
    for _ in 0..6 {
        chooser.learn("good", Family::Transient, &faults, Outcome::Helped);
        chooser.learn("bad", Family::Transient, &faults, Outcome::Unclear);
    }
    let options = ["good", "bad", "new"].map(|gene| option(gene, SignalKind::Network));
    let counts = chosen(&chooser, &options, 500);
    let of = |gene: &str| counts.get(gene).copied().unwrap_or_default();
    assert!(of("good") > 350, "{counts:?}");
    assert!(of("new") > of("bad") && of("new") > 0, "{counts:?}");
}

#[test]
fn what_is_known_elsewhere_counts_for_something_and_less_than_what_is_known_here() {
    let mut chooser = Chooser::default();
    let faults = symptom(SignalKind::Network, "x");
    for _ in 0..8 {
        chooser.learn("gene", Family::Transient, &faults, Outcome::Helped);
    }
    let belief_in = |chooser: &Chooser, family, environment: &str| {
        let mut one = option("gene", SignalKind::NotFound);
        one.symptom.text = "nothing alike".to_owned();
        one.family = family;
        environment.clone_into(&mut one.symptom.environment);
        chooser.belief(&one).0.mean()
    };
    let belief = |chooser: &Chooser, family| belief_in(chooser, family, "");
    let (here, elsewhere) = (
        belief(&chooser, Family::Transient),
        belief(&chooser, Family::Down),
    );
    let nothing = belief(&Chooser::default(), Family::Down);
    assert!(
        here > elsewhere && elsewhere > nothing + 0.1,
        "{here} {elsewhere} {nothing}"
    );
    let moved = belief_in(&chooser, Family::Transient, "after the update");
    assert!(moved < here && moved > nothing, "{moved}");
}

#[test]
fn the_nearest_cases_speak_only_where_there_are_some() {
    let mut chooser = Chooser::default();
    let near = symptom(SignalKind::Network, "connection reset by peer");
    let one = option("gene", SignalKind::Network);
    assert_eq!(chooser.belief(&one).1, None);
    for _ in 0..4 {
        chooser.learn("gene", Family::Transient, &near, Outcome::Helped);
    }
    assert!(chooser.belief(&one).1.unwrap() > 0.9);
    let mut far = option("gene", SignalKind::CostSpike);
    far.symptom.text = "quite another thing".to_owned();
    assert_eq!(chooser.belief(&far).1, None, "it does not know");
}

#[test]
fn what_needs_a_person_is_never_tried_by_itself() {
    let mut option = option("wait-longer", SignalKind::Timeout);
    option.needs_person = true;
    let counts = chosen(&Chooser::default(), &[option], 50);
    assert!(counts.is_empty(), "{counts:?}");
}

#[test]
fn every_strategy_meets_its_shares() {
    let mut chooser = Chooser::default();
    let known = symptom(SignalKind::Exception, "x");
    chooser.learn("known", Family::Transient, &known, Outcome::Helped);
    // Something of each kind is there to be chosen.
    let mut second = option("second", SignalKind::Network);
    second.is_mitigated = true;
    let options = [
        option("known", SignalKind::Exception),
        second,
        option("new", SignalKind::Exception),
    ];
    for strategy in Strategy::ALL {
        let mut spent = Spent {
            cycles: 10,
            ..Spent::default()
        };
        let mut chance = Chance::new(11);
        for choices in 1..=400_u64 {
            let choice = chooser
                .choose(&options, strategy, &mut spent, &mut chance)
                .unwrap();
            assert!(choice.because.len() >= 4, "{choice:?}");
            for intent in Intent::ALL {
                let due = strategy.share(intent, &spent) * choices;
                let off = (100 * spent.on(intent)).abs_diff(due);
                assert!(off <= 100, "{} {}: {off}", strategy.name(), intent.name());
            }
        }
    }
}

#[test]
fn the_budget_that_a_choice_takes_from_follows_what_its_gene_is_for() {
    let mut chooser = Chooser::default();
    let mut of = option("gene", SignalKind::Network);
    for (purpose, first) in [
        (Intent::Repair, Intent::Repair),
        (Intent::Optimize, Intent::Optimize),
        (Intent::Innovate, Intent::Innovate),
    ] {
        of.purpose = purpose;
        assert_eq!(chooser.intent(&of), first);
    }
    // A repair of what nobody knows how to mend is new; a way that was gone before is not.
    of.purpose = Intent::Repair;
    of.symptom.kind = SignalKind::Exception;
    assert_eq!(chooser.intent(&of), Intent::Innovate);
    let seen = of.symptom.clone();
    chooser.learn("gene", Family::Transient, &seen, Outcome::Helped);
    of.purpose = Intent::Innovate;
    assert_eq!(chooser.intent(&of), Intent::Repair);
    of.is_mitigated = true;
    assert_eq!(chooser.intent(&of), Intent::Optimize);
    // Without a share for what is new, nothing new is tried.
    let mut new = option("new", SignalKind::Network);
    new.purpose = Intent::Innovate;
    let (mut spent, mut chance) = (Spent::default(), Chance::new(3));
    let none = chooser.choose(&[new], Strategy::RepairOnly, &mut spent, &mut chance);
    assert_eq!(none, None);
}

#[test]
fn auto_begins_carefully_and_ends_quietly() {
    let at = |cycles, in_vain| {
        Strategy::Auto.in_force(&Spent {
            cycles,
            in_vain,
            ..Spent::default()
        })
    };
    assert_eq!(at(0, 0), Strategy::EarlyStabilize);
    assert_eq!(at(20, 0), Strategy::Balanced);
    assert_eq!(at(20, 9), Strategy::SteadyState);
    for strategy in Strategy::ALL {
        assert_eq!(Strategy::from_name(strategy.name()), Some(strategy));
        let spent = Spent::default();
        let sum: u64 = Intent::ALL
            .iter()
            .map(|one| strategy.share(*one, &spent))
            .sum();
        assert_eq!(sum, 100);
    }
}

#[test]
fn what_was_learned_is_kept_as_it_was() {
    let mut chooser = Chooser::default();
    let faults = symptom(SignalKind::Network, "connection reset");
    chooser.learn("gene", Family::Transient, &faults, Outcome::Helped);
    let text = serde_json::to_string(&chooser.prior).unwrap();
    let back: instar_improve::choose::Prior = serde_json::from_str(&text).unwrap();
    assert_eq!(back, chooser.prior);
}
