//! Which gene is tried on which fault.
//!
//! What is known of a gene for a family of faults in an environment is a distribution and not a score
//! ([`Prior`]); a draw from it decides ([`Chooser::choose`]), so that what is uncertain is tried now and
//! then and what is known to be useless hardly ever. The nearest earlier cases are one feature beside it
//! ([`Predictor`]), and silent where there are none. How much goes into repair, into second tries and into
//! what was never tried is a budget ([`Strategy`]). What a person has to decide is never tried by itself.

mod predict;
mod prior;
mod strategy;

use instar_protocol::fault::SignalKind;
use serde::{Deserialize, Serialize};

pub use predict::{Case, Predictor};
pub use prior::{Chance, Outcome, Posterior, Prior};
pub use strategy::{Intent, Spent, Strategy};

use crate::gene::{Family, Proposal, Symptom};

/// How much the nearest cases weigh, in cases.
const PREDICTOR_WEIGHT: f64 = 2.0;

/// One thing that could be tried.
#[derive(Clone, PartialEq, Debug)]
pub struct Trialable {
    pub symptom: Symptom,
    pub proposal: Proposal,
    pub family: Family,
    /// What its gene is for.
    pub purpose: Intent,
    /// How often the fault showed itself lately.
    pub failures: u64,
    /// Something is in service against this fault already.
    pub is_mitigated: bool,
    /// A person or a key has to decide about it.
    pub needs_person: bool,
}

/// What was chosen, and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Choice {
    pub intent: Intent,
    pub fault: String,
    pub gene: String,
    pub mitigation: String,
    pub because: Vec<String>,
}

/// Where an outcome counts: the gene, what it is for, and the environment (model, tools, release) that it
/// was found in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Key {
    pub gene: String,
    pub family: Family,
    pub environment: String,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Chooser {
    pub prior: Prior,
    pub predictor: Predictor,
}

impl Chooser {
    /// Takes in how a trial ended.
    pub fn learn(&mut self, gene: &str, family: Family, symptom: &Symptom, outcome: Outcome) {
        let key = key(gene, family, symptom);
        self.prior.learn(&key, outcome);
        self.predictor.learn(Case::of(symptom, gene, outcome));
    }

    /// What is believed of one option before a draw.
    #[must_use]
    pub fn belief(&self, option: &Trialable) -> (Posterior, Option<f64>) {
        let key = key(&option.proposal.gene, option.family, &option.symptom);
        let predicted = self
            .predictor
            .predict(&option.symptom, &option.proposal.gene);
        let posterior = self.prior.posterior(&key);
        let posterior = match predicted {
            Some(likely) => {
                posterior.with(likely * PREDICTOR_WEIGHT, (1.0 - likely) * PREDICTOR_WEIGHT)
            }
            None => posterior,
        };
        (posterior, predicted)
    }

    /// Chooses one of the options, if there is one that may be tried without a person. The budget says for
    /// what; where there is nothing of that kind, the next one that is behind its share.
    pub fn choose(
        &self,
        options: &[Trialable],
        strategy: Strategy,
        spent: &mut Spent,
        chance: &mut Chance,
    ) -> Option<Choice> {
        let allowed: Vec<&Trialable> = options.iter().filter(|one| !one.needs_person).collect();
        for intent in spent.in_turn(strategy) {
            let of_kind: Vec<&Trialable> = allowed
                .iter()
                .copied()
                .filter(|one| self.intent(one) == intent)
                .collect();
            if let Some(choice) = self.draw(&of_kind, intent, strategy, chance) {
                spent.count(intent);
                return Some(choice);
            }
        }
        None
    }

    /// What an option would be an instance of.
    #[must_use]
    pub fn intent(&self, option: &Trialable) -> Intent {
        let key = key(&option.proposal.gene, option.family, &option.symptom);
        let is_tried = self.prior.tried(&key);
        match option.purpose {
            _ if option.is_mitigated => Intent::Optimize,
            Intent::Optimize => Intent::Optimize,
            // Another way that was gone before is one that is known.
            Intent::Innovate if !is_tried => Intent::Innovate,
            Intent::Repair | Intent::Innovate if is_tried => Intent::Repair,
            Intent::Repair if is_plain(option.symptom.kind) => Intent::Repair,
            Intent::Repair | Intent::Innovate => Intent::Innovate,
        }
    }

    fn draw(
        &self,
        options: &[&Trialable],
        intent: Intent,
        strategy: Strategy,
        chance: &mut Chance,
    ) -> Option<Choice> {
        let drawn = options.iter().map(|option| {
            let (posterior, predicted) = self.belief(option);
            let drawn = posterior.draw(chance);
            // What it may spare: the failures that would have been, by the part that it may take away.
            let worth = drawn * float(option.failures).ln_1p();
            (worth, drawn, posterior, predicted, *option)
        });
        let (_, drawn, posterior, predicted, option) = drawn.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let mut because = vec![
            format!(
                "the budget of {} had {} left",
                strategy.name(),
                intent.name()
            ),
            format!("the fault showed itself {} times lately", option.failures),
            format!(
                "{} is believed to help with a chance of {:.2} (from {:.1} for and {:.1} against), drawn {:.2}, \
                 the most of {} it could be",
                option.proposal.gene,
                posterior.mean(),
                posterior.with,
                posterior.against,
                drawn,
                options.len()
            ),
        ];
        because.push(match predicted {
            Some(likely) => format!("the nearest earlier cases say {likely:.2}"),
            None => "there are too few earlier cases like it to say more".to_owned(),
        });
        Some(Choice {
            intent,
            fault: option.symptom.fault.clone(),
            gene: option.proposal.gene.clone(),
            mitigation: option.proposal.id.clone(),
            because,
        })
    }
}

fn key(gene: &str, family: Family, symptom: &Symptom) -> Key {
    Key {
        gene: gene.to_owned(),
        family,
        environment: symptom.environment.clone(),
    }
}

/// Signs whose remedy is known well enough that a first try is no experiment.
fn is_plain(kind: SignalKind) -> bool {
    matches!(
        kind,
        SignalKind::ArgumentShape
            | SignalKind::Timeout
            | SignalKind::Network
            | SignalKind::RateLimit
            | SignalKind::HttpStatus
            | SignalKind::ProviderError
    )
}

#[expect(clippy::cast_precision_loss, reason = "a count of failures")]
fn float(count: u64) -> f64 {
    count as f64
}
