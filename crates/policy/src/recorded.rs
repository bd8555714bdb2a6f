//! The facts of one decision as they are kept: enough to judge it again, under another posture or
//! other rules, and to say which of them it hangs on.

use instar_protocol::approval::visible;
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use serde::{Deserialize, Serialize};

use crate::annotation::{Reach, SlotRole};
use crate::authority::{Posture, Role};
use crate::cedar::{Case, InPlan, Rules, Ruling};
use crate::typed::Typed;

/// Values beyond this number are not kept with a decision.
const VALUES_MAX: usize = 64;
/// Values that are left out, each alone, to see what the answer hangs on.
const VALUES_TURNED_MAX: usize = 16;
/// Bytes of values that are kept with a decision.
const VALUE_BYTES_MAX: usize = 4 * 1024;

/// The facts of one decision.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    pub role: Role,
    pub person: String,
    pub agent: String,
    pub tool: String,
    pub connector: String,
    pub effect: Effect,
    pub reach: Reach,
    pub undoable: bool,
    pub posture: Posture,
    pub context: Label,
    pub grade: u8,
    pub needed: u8,
    pub evidenced: bool,
    pub foreign: bool,
    pub cleared: bool,
    pub plan: InPlan,
    pub verb: bool,
    pub standing: bool,
    pub approved: bool,
    pub done: u32,
    pub refused: u32,
    pub values: Vec<(SlotRole, Typed)>,
    /// There were more values than are kept: rules that read values may answer otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// A fact that the answer hangs on: with it otherwise, and everything else as it is, the answer
/// would be another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Turn {
    pub fact: &'static str,
    pub is: String,
    pub would_be: String,
    /// `allow`, `ask` or `deny`.
    pub outcome: &'static str,
    pub rule: String,
}

impl Recorded {
    #[must_use]
    pub fn of(case: &Case<'_>) -> Self {
        let mut bytes = 0;
        let kept = case
            .values
            .iter()
            .take(VALUES_MAX)
            .take_while(|(_, value)| {
                bytes += value.form.len();
                bytes <= VALUE_BYTES_MAX
            });
        let values: Vec<_> = kept.cloned().collect();
        Self {
            role: case.role,
            person: case.person.to_owned(),
            agent: case.agent.to_owned(),
            tool: case.tool.to_owned(),
            connector: case.connector.to_owned(),
            effect: case.effect,
            reach: case.reach,
            undoable: case.undoable,
            posture: case.posture,
            context: case.context.clone(),
            grade: case.grade,
            needed: case.needed,
            evidenced: case.evidenced,
            foreign: case.foreign,
            cleared: case.cleared,
            plan: case.plan,
            verb: case.verb,
            standing: case.standing,
            approved: case.approved,
            done: case.done,
            refused: case.refused,
            cut: values.len() < case.values.len(),
            values,
        }
    }

    /// The case as rules see it.
    #[must_use]
    pub fn case(&self) -> Case<'_> {
        Case {
            role: self.role,
            person: &self.person,
            agent: &self.agent,
            tool: &self.tool,
            connector: &self.connector,
            effect: self.effect,
            reach: self.reach,
            undoable: self.undoable,
            posture: self.posture,
            context: &self.context,
            grade: self.grade,
            needed: self.needed,
            evidenced: self.evidenced,
            foreign: self.foreign,
            cleared: self.cleared,
            plan: self.plan,
            verb: self.verb,
            standing: self.standing,
            approved: self.approved,
            done: self.done,
            refused: self.refused,
            values: self.values.clone(),
        }
    }

    /// What these rules say of it.
    #[must_use]
    pub fn judge(&self, rules: &Rules) -> Ruling {
        rules.judge(&self.case())
    }

    /// The same call as it stood before anybody answered a question about it, in this posture.
    #[must_use]
    pub fn unanswered(&self, posture: Posture) -> Self {
        Self {
            posture,
            approved: false,
            ..self.clone()
        }
    }

    /// True if another posture would need to know the plan, and none was made.
    #[must_use]
    pub fn lacks_plan(&self) -> bool {
        self.plan == InPlan::Unknown && self.effect > Effect::Read
    }

    /// The facts with their names, in words.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let yes = |holds: bool| if holds { "yes" } else { "no" }.to_owned();
        let mut facts = vec![
            ("principal", word(&self.role)),
            ("effect", self.effect.name().to_owned()),
            ("reach", word(&self.reach)),
            ("posture", word(&self.posture)),
            ("tainted", yes(self.context.is_tainted())),
            ("readers", readers(&self.context)),
            ("grade", format!("G{}", self.grade)),
            ("needed", format!("G{}", self.needed)),
            ("evidenced", yes(self.evidenced)),
            ("foreign", yes(self.foreign)),
            ("cleared", yes(self.cleared)),
            ("plan", word(&self.plan)),
            ("verb", yes(self.verb)),
            ("standing", yes(self.standing)),
            ("approved", yes(self.approved)),
        ];
        for (name, count) in [("done", self.done), ("refused", self.refused)] {
            if count > 0 {
                facts.push((name, count.to_string()));
            }
        }
        facts
    }

    /// The facts that the answer hangs on, each changed alone.
    #[must_use]
    pub fn turns(&self, rules: &Rules) -> Vec<Turn> {
        let now = self.judge(rules);
        let before = self.facts();
        let told = |facts: &[(&'static str, String)], name: &str| {
            let found = facts.iter().find(|(own, _)| *own == name);
            found.map(|(_, word)| word.clone()).unwrap_or_default()
        };
        let mut turns = Vec::new();
        for (fact, other) in self.others() {
            let ruling = other.judge(rules);
            if ruling.outcome() != now.outcome() {
                turns.push(Turn {
                    fact,
                    is: told(&before, fact),
                    would_be: told(&other.facts(), fact),
                    outcome: ruling.outcome(),
                    rule: ruling.first().to_owned(),
                });
            }
        }
        turns.extend(self.value_turns(rules, &now));
        turns
    }

    /// The values that the answer hangs on: without each alone, it would be another one.
    fn value_turns(&self, rules: &Rules, now: &Ruling) -> Vec<Turn> {
        let without = |at: usize| {
            let mut other = self.clone();
            let (_, value) = other.values.remove(at);
            let ruling = other.judge(rules);
            (ruling.outcome() != now.outcome()).then(|| Turn {
                fact: "value",
                is: visible(&value.form),
                would_be: "not there".to_owned(),
                outcome: ruling.outcome(),
                rule: ruling.first().to_owned(),
            })
        };
        let looked = self.values.len().min(VALUES_TURNED_MAX);
        (0..looked).filter_map(without).collect()
    }

    /// The same facts with one of them otherwise.
    fn others(&self) -> Vec<(&'static str, Self)> {
        let mut others = Vec::new();
        let mut with = |fact: &'static str, change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            if other != *self {
                others.push((fact, other));
            }
        };
        for posture in [Posture::Careful, Posture::Balanced, Posture::Open] {
            with("posture", &|it| it.posture = posture);
        }
        let (clean, mixed) = (
            Label::owner(),
            self.context.join(&Label::stranger(Readers::Private)),
        );
        with("tainted", &|it| {
            it.context = if it.context.is_tainted() {
                clean.clone()
            } else {
                mixed.clone()
            };
        });
        if self.context.readers == Readers::Secret {
            with("readers", &|it| it.context.readers = Readers::Private);
        }
        with("evidenced", &|it| it.evidenced = !it.evidenced);
        with("foreign", &|it| it.foreign = !it.foreign);
        with("cleared", &|it| it.cleared = !it.cleared);
        for plan in [InPlan::Inside, InPlan::Outside] {
            with("plan", &|it| it.plan = plan);
        }
        with("verb", &|it| it.verb = !it.verb);
        with("standing", &|it| it.standing = !it.standing);
        with("approved", &|it| it.approved = !it.approved);
        with("refused", &|it| it.refused = 0);
        others
    }
}

/// The word that serde has for it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn readers(context: &Label) -> String {
    match &context.readers {
        Readers::Public => "public",
        Readers::Session(_) => "session",
        Readers::Private => "private",
        Readers::Secret => "secret",
    }
    .to_owned()
}
