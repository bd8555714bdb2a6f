//! What a candidate may do next: one function of what the gates said, how weighty it is, and what its
//! owner lets go out by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Gate, Outcome, Row};
use crate::class::Class;

/// How far a candidate may go.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It serves nobody.
    #[default]
    Nothing,
    /// It answers beside the stable release, and nobody sees it.
    Shadow,
    /// It serves a share.
    Canary,
    /// It may become the stable release, if its rollout speaks for it.
    Stable,
}

impl Step {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Stable => "stable",
        }
    }
}

/// How far a candidate of each risk class may go without anybody being asked, when every gate has
/// passed. Class D has no key here: it always needs your own signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Autonomy {
    /// Learned numbers within their bounds.
    pub a: Step,
    /// Prompts of yours, lessons of fixed form, routes inside your list, limits down, policy tightened.
    pub b: Step,
    /// What a person should look at: text with evidence of others, limits up, new models.
    pub c: Step,
}

impl Default for Autonomy {
    fn default() -> Self {
        Self {
            a: Step::Shadow,
            b: Step::Shadow,
            c: Step::Nothing,
        }
    }
}

impl Autonomy {
    /// How far a candidate of this class goes without anybody being asked.
    #[must_use]
    pub fn of(self, class: Class) -> Step {
        match class {
            Class::A => self.a,
            Class::B => self.b,
            Class::C => self.c,
            Class::D => Step::Nothing,
        }
    }
}

/// What may come of a candidate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// How far it may go.
    pub may: Step,
    /// What is missing for more, a sentence each; empty if nothing is.
    pub needed: Vec<String>,
}

/// Decides. `endorsed`: a key of the owner's that this machine does not hold has signed the release.
///
/// - What a gate refuses goes nowhere, whoever wants it; policy alone can be overruled, by the owner's
///   signature: a wider authority is his to give.
/// - By itself a candidate goes as far as its class may, and only with every gate passed.
/// - With the owner's yes it may go all the way, also where evals and red team have no data: then it is
///   his word and the rollout that count, and the sentence says so.
/// - A gate whose word expired has to be asked again, whoever says yes: what it refused then is not forgotten by waiting.
#[must_use]
pub fn decide(rows: &[Row], class: Class, endorsed: bool, autonomy: Autonomy) -> Decision {
    let of = |gate: Gate| {
        let row = rows.iter().find(|row| row.gate == gate);
        row.map_or(Outcome::NoData, |row| row.finding.outcome)
    };
    let why = |gate: Gate| {
        let row = rows.iter().find(|row| row.gate == gate);
        row.map_or("it was not asked", |row| row.finding.why.as_str())
    };
    let was_asked = |gate: Gate| {
        let mut rows = rows.iter();
        rows.any(|row| row.gate == gate && row.at.is_some())
    };
    let mut needed = Vec::new();
    let mut stopped = false;
    for gate in Gate::ALL {
        let is_expired = rows.iter().any(|row| row.gate == gate && row.is_expired);
        let is_hard = match gate {
            Gate::Human => of(gate) == Outcome::Fail,
            _ if is_expired => true,
            Gate::WellFormed | Gate::Secrets => of(gate) != Outcome::Pass,
            // What it only holds is a person's to decide; whether it is asked is not.
            Gate::Skills => match of(gate) {
                Outcome::Pass => false,
                Outcome::Fail => true,
                Outcome::NoData => !was_asked(gate),
            },
            Gate::Reach | Gate::Evals | Gate::RedTeam => of(gate) == Outcome::Fail,
            Gate::Policy => of(gate) != Outcome::Pass && !endorsed,
        };
        if is_hard {
            stopped = true;
            let what = match gate {
                Gate::Policy if !is_expired => "a signature of your own, as the policy gate says",
                _ if of(gate) == Outcome::NoData => "an answer of the gate",
                _ => "another candidate, as the gate refuses this one:",
            };
            needed.push(match gate {
                Gate::Policy if !is_expired => format!("{what}: {}", why(gate)),
                _ => format!("{what} {}: {}", gate.name(), why(gate)),
            });
        }
    }
    if class == Class::D && !endorsed {
        stopped = true;
        needed.push(
            "class D needs your signature with a key that this machine does not hold: `instar release statement`, \
             sign the file elsewhere, `instar release endorse`"
                .to_owned(),
        );
    }
    if stopped {
        return Decision {
            may: Step::Nothing,
            needed,
        };
    }
    let approved = of(Gate::Human) == Outcome::Pass || endorsed;
    if approved {
        return Decision {
            may: Step::Stable,
            needed,
        };
    }
    let open: Vec<Gate> = Gate::ALL
        .into_iter()
        .filter(|gate| *gate != Gate::Human && of(*gate) != Outcome::Pass)
        .collect();
    for gate in &open {
        needed.push(format!("{} has no data: {}", gate.name(), why(*gate)));
    }
    let may = if open.is_empty() {
        autonomy.of(class)
    } else {
        Step::Nothing
    };
    if may < Step::Stable {
        let further = match may {
            Step::Nothing => "to be served at all",
            Step::Shadow => "to be served to anybody",
            Step::Canary | Step::Stable => "to become stable",
        };
        needed.push(format!(
            "your yes {further}: `instar candidate approve` (class {class:?} goes as far as {} by itself)",
            autonomy.of(class).name()
        ));
    }
    Decision { may, needed }
}
