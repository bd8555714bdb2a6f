//! From a case to what is proposed about it, and why.

use instar_protocol::Timestamp;
use instar_protocol::fault::Fault;
use instar_protocol::lab::{CASE_FAULTS_MAX, Case, Chosen, Known, PROPOSED_MAX, Proposed, Seen};
use instar_release::class::assess;
use instar_release::mitigation::Mitigation;
use instar_release::{Behaviour, Class, build};
use std::collections::BTreeSet;

use crate::choose::{Chance, Chooser, Intent, Outcome, Spent, Strategy, Trialable};
use crate::gene::{self, Catalogue, Change, Clock, Gene, GeneError, Pages, Proposal, Symptom};

/// What a rehearsal can come to at the most.
const REHEARSED: &str = "supported_synthetic";
/// What was found is of a world that is gone.
const REOPENED: &str = "reopened";
/// Ends of a trial after which nobody has the fix.
const IN_VAIN: [&str; 4] = ["undecided", "failed", "harmful", "harmed_later"];

#[derive(Debug, thiserror::Error)]
pub enum HealError {
    #[error(transparent)]
    Gene(#[from] GeneError),
    #[error("the behaviour in service cannot be read")]
    Behaviour(#[source] serde_json::Error),
    #[error("a change has no form")]
    Delta(#[source] serde_json::Error),
    #[error(transparent)]
    Asset(#[from] crate::asset::AssetError),
    #[error("there is no fault {0}; `instar fault list` shows all")]
    Fault(String),
}

/// One gene about one fault, told to people.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Told {
    pub gene: String,
    pub title: String,
    /// What it would do, where it can do anything.
    pub would: Option<String>,
    /// Why it does nothing.
    pub why_not: Option<String>,
    pub class: Option<Class>,
    /// The chance that it helps, as it is believed.
    pub believed: Option<f64>,
    /// What the nearest earlier cases say; none where there are too few.
    pub nearest: Option<f64>,
    /// How it ended when it was tried about this fault.
    pub tried: Vec<String>,
    pub delta: Option<serde_json::Value>,
}

/// The genes of the house with those of the owner's, and his bans.
pub fn catalogue(case: &Case) -> Result<Catalogue, GeneError> {
    let mut catalogue = Catalogue::built_in()?;
    for gene in &case.genes {
        catalogue.add(Gene::read(&gene.to_string())?)?;
    }
    for id in &case.banned {
        // A ban may outlive its gene.
        if catalogue.get(id).is_ok() {
            catalogue.ban(id)?;
        }
    }
    Ok(catalogue)
}

/// Chooses what is tried next, as often as the case lets it.
pub fn choose(case: &Case) -> Result<Chosen, HealError> {
    let catalogue = catalogue(case)?;
    let behaviour = behaviour(case)?;
    let chooser = learned(case, &catalogue);
    let mut options = options(case, &catalogue, &behaviour)?;
    let strategy = Strategy::from_name(&case.strategy).unwrap_or_default();
    let mut spent: Spent = serde_json::from_value(case.spent.clone()).unwrap_or_default();
    spent.cycles += 1;
    spent.in_vain = in_vain(case);
    spent.planned = Intent::ALL.map(|intent| strategy.share(intent, &spent));
    let mut chance = Chance::new(case.seed);
    let mut proposed = Vec::new();
    while proposed.len() < case.most.min(PROPOSED_MAX) {
        let Some(choice) = chooser.choose(&options, strategy, &mut spent, &mut chance) else {
            break;
        };
        let is_chosen = |one: &Trialable| {
            one.proposal.id == choice.mitigation && one.symptom.fault == choice.fault
        };
        let Some(at) = options.iter().position(is_chosen) else {
            break;
        };
        let option = options.remove(at);
        // One thing at a time about one fault.
        options.retain(|one| one.symptom.fault != choice.fault);
        proposed.push(Proposed {
            delta: option.proposal.asked().map_err(HealError::Delta)?,
            fault: choice.fault,
            gene: choice.gene,
            because: choice.because,
        });
    }
    let room = case.most.min(PROPOSED_MAX) - proposed.len();
    proposed.extend(notes(case, &options, room)?);
    Ok(Chosen {
        proposed,
        spent: serde_json::to_value(spent).map_err(HealError::Delta)?,
    })
}

/// What every gene would do about a fault, what is believed of it, and how it ended before.
pub fn explain(case: &Case, fault: &str) -> Result<Vec<Told>, HealError> {
    let catalogue = catalogue(case)?;
    let behaviour = behaviour(case)?;
    let chooser = learned(case, &catalogue);
    let found = case.faults.iter().find(|one| one.id == fault);
    let found = found.ok_or_else(|| HealError::Fault(fault.chars().take(60).collect()))?;
    let symptom = symptom(case, found);
    let mut told = Vec::new();
    for (gene, answer) in catalogue.propose(&symptom, &case.agent, &behaviour)? {
        let tried = case
            .known
            .iter()
            .filter(|known| known.fault == fault && name(&known.gene) == gene.id);
        let mut one = Told {
            gene: gene.id.clone(),
            title: gene.title.clone(),
            would: None,
            why_not: None,
            class: None,
            believed: None,
            nearest: None,
            tried: tried.map(|known| known.outcome.clone()).collect(),
            delta: None,
        };
        match answer {
            Err(why) => one.why_not = Some(why.to_string()),
            Ok(proposal) => {
                let proposal = next_chapter(case, proposal);
                one.class = Some(class(&behaviour, &proposal));
                one.would = Some(proposal.words());
                one.delta = Some(proposal.asked().map_err(HealError::Delta)?);
                let option = Trialable {
                    symptom: symptom.clone(),
                    family: gene.family,
                    purpose: gene.intent(),
                    failures: found.failures,
                    is_mitigated: false,
                    needs_person: false,
                    proposal,
                };
                let (posterior, nearest) = chooser.belief(&option);
                (one.believed, one.nearest) = (Some(posterior.mean()), nearest);
            }
        }
        told.push(one);
    }
    told.sort_by(|a, b| {
        b.believed
            .unwrap_or(-1.0)
            .total_cmp(&a.believed.unwrap_or(-1.0))
    });
    Ok(told)
}

fn behaviour(case: &Case) -> Result<Behaviour, HealError> {
    serde_json::from_value(case.behaviour.clone()).map_err(HealError::Behaviour)
}

fn options(
    case: &Case,
    catalogue: &Catalogue,
    behaviour: &Behaviour,
) -> Result<Vec<Trialable>, HealError> {
    let there: Vec<&Mitigation> = behaviour
        .agents
        .get(&case.agent)
        .map(|agent| agent.mitigations.iter().collect())
        .unwrap_or_default();
    let mut options = Vec::new();
    let told = case.faults.iter().take(CASE_FAULTS_MAX);
    for fault in told.filter(|fault| !case.waiting.contains(&fault.id)) {
        let symptom = symptom(case, fault);
        let here: Vec<_> = there.iter().filter(|one| one.fault == fault.id).collect();
        // While something is on trial about a fault, nothing else is begun about it.
        if here
            .iter()
            .any(|one| one.trial.is_some() && !is_over(case, &one.id))
        {
            continue;
        }
        for (gene, answer) in catalogue.propose(&symptom, &case.agent, behaviour)? {
            let Ok(proposal) = answer else { continue };
            if was_in_vain(case, &gene.id, fault) {
                continue;
            }
            let proposal = next_chapter(case, proposal);
            options.push(Trialable {
                family: gene.family,
                purpose: gene.intent(),
                failures: fault.failures,
                is_mitigated: !here.is_empty(),
                needs_person: class(behaviour, &proposal) > Class::B,
                symptom: symptom.clone(),
                proposal,
            });
        }
    }
    Ok(options)
}

fn symptom(case: &Case, fault: &Fault) -> Symptom {
    Symptom {
        notes: gene::notes(case, fault),
        ..Symptom::of(
            fault,
            environment(case, fault),
            Clock::of(case, fault),
            Pages::of(case, fault),
        )
    }
}

/// What there is now where the fault shows; nothing where nobody could tell.
fn environment<'a>(case: &'a Case, fault: &Fault) -> &'a str {
    let here = case.environments.get(&fault.place);
    here.map(String::as_str).unwrap_or_default()
}

/// What was found with the agent of the case. What others found only says what is to be expected.
fn own(case: &Case) -> impl Iterator<Item = &Known> {
    let is_own = |known: &&Known| known.agent.is_empty() || known.agent == case.agent;
    case.known.iter().filter(is_own)
}

/// The verdict of a trial is in, whichever it was. A rehearsal gives none, and one that was opened again
/// has none any more.
fn is_over(case: &Case, mitigation: &str) -> bool {
    let is_verdict = |known: &Known| known.outcome != REHEARSED && known.outcome != REOPENED;
    own(case).any(|known| known.mitigation == mitigation && is_verdict(known))
}

/// Trials in a row, up to the latest, of which none came to anything.
fn in_vain(case: &Case) -> u32 {
    let mut ends: Vec<(Timestamp, Outcome)> = case
        .known
        .iter()
        .filter(|known| known.outcome != REHEARSED)
        .filter_map(|known| Some((known.at, Outcome::of(&known.outcome)?)))
        .collect();
    ends.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let came_to_nothing =
        |(_, end): &&(Timestamp, Outcome)| matches!(end, Outcome::Hurt | Outcome::Unclear);
    u32::try_from(ends.iter().take_while(came_to_nothing).count()).unwrap_or(u32::MAX)
}

/// Calls that have what is wrong at a fault, made up; none where its text does not say.
pub fn wrong_calls(case: &Case, fault: &str) -> Vec<serde_json::Value> {
    let found = case.faults.iter().find(|one| one.id == fault);
    found.map_or_else(Vec::new, |fault| gene::wrong_calls(&symptom(case, fault)))
}

/// It was tried about this fault, in the world as it is, and came to nothing.
fn was_in_vain(case: &Case, gene: &str, fault: &Fault) -> bool {
    let now = environment(case, fault);
    let is_of_now = |known: &Known| {
        let then = known.seen.as_ref().map(|seen| seen.environment.as_str());
        now.is_empty() || then.is_none_or(|then| then.is_empty() || then == now)
    };
    own(case).any(|known| {
        known.fault == fault.id
            && name(&known.gene) == gene
            && IN_VAIN.contains(&known.outcome.as_str())
            && is_of_now(known)
    })
}

/// What was tried before is another chapter of the same trial when it is tried again.
fn next_chapter(case: &Case, mut proposal: Proposal) -> Proposal {
    let id = &proposal.id;
    let is_over = |known: &&Known| {
        let word = known.outcome.as_str();
        known.mitigation == *id && (word == REOPENED || IN_VAIN.contains(&word))
    };
    let before = own(case).filter(is_over);
    let before = u32::try_from(before.count()).unwrap_or(u32::MAX);
    if let Change::Mitigation(mitigation) = &mut proposal.change
        && let Some(toss) = &mut mitigation.trial
    {
        toss.chapter = toss.chapter.saturating_add(before);
    }
    proposal
}

/// Notes that could be taken away. A person decides about each, and none is on trial, so that they are proposed
/// beside what is chosen; one note once, whatever faults it is in.
fn notes(case: &Case, options: &[Trialable], room: usize) -> Result<Vec<Proposed>, HealError> {
    let mut seen = BTreeSet::new();
    let mut proposed = Vec::new();
    for option in options {
        let Some(one) = option.proposal.note() else {
            continue;
        };
        if proposed.len() >= room || !seen.insert(&one.note) {
            continue;
        }
        let (turns, corrected) = (one.turns, one.corrected);
        proposed.push(Proposed {
            fault: option.symptom.fault.clone(),
            gene: option.proposal.gene.clone(),
            delta: option.proposal.asked().map_err(HealError::Delta)?,
            because: vec![format!(
                "{corrected} of {turns} answers of {} that rest on it were corrected",
                case.agent
            )],
        });
    }
    Ok(proposed)
}

/// The class that the change would have if nothing spoke against it. About a skill and a note a person decides.
fn class(behaviour: &Behaviour, proposal: &Proposal) -> Class {
    let Some(delta) = proposal.delta() else {
        return Class::C;
    };
    let deltas = std::slice::from_ref(&delta);
    match build(behaviour, deltas) {
        Ok(after) => assess(behaviour, deltas, &after, &instar_protocol::Label::system()).class,
        Err(_) => Class::D,
    }
}

/// What the trials of this house taught, with what others say as a nudge.
pub(crate) fn learned(case: &Case, catalogue: &Catalogue) -> Chooser {
    let mut chooser = Chooser::default();
    for prior in &case.foreign {
        if let Ok(gene) = catalogue.get(&prior.gene) {
            chooser.prior.hear(&gene.id, prior.helped, prior.hurt);
        }
    }
    for known in &case.known {
        let Ok(gene) = catalogue.get(name(&known.gene)) else {
            continue;
        };
        let Some(outcome) = Outcome::of(&known.outcome) else {
            continue;
        };
        // What was learned stays when its fault is not among those that are told of any more.
        let fault = || case.faults.iter().find(|fault| fault.id == known.fault);
        let seen = known.seen.clone();
        let seen = seen.or_else(|| fault().map(|fault| Seen::of(fault, environment(case, fault))));
        let Some(seen) = seen else { continue };
        let symptom = Symptom::seen(&known.fault, &seen);
        chooser.learn(&gene.id, gene.family, &symptom, outcome);
    }
    chooser
}

/// The name of a gene without its hash.
pub(crate) fn name(reference: &str) -> &str {
    reference.split('@').next().unwrap_or(reference)
}
