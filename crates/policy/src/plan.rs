//! The plan of a run: which effects the owner's words ask for. It narrows and never allows.

use instar_protocol::tool::Effect;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::canonical;
use crate::evidence::texts;
use crate::typed::{Kind, normal};
use crate::words::Words;

/// Steps beyond which the owner is asked before anything is done.
pub const STEPS_MAX: usize = 10;
/// Calls of one tool that a plan may ask for.
const TIMES_MAX: u32 = 100;

/// What a request needs, made by a call that saw the owner's words and nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub tool: String,
    /// The most calls of it.
    #[serde(default = "once")]
    pub times: u32,
    /// Values of which an argument must have one; a call without the argument is another call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, Vec<String>>,
    /// Tools whose results may go along here. Where none is named, those of the plan's own steps may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub release: Vec<String>,
    /// Which of the things that were listed an argument is to be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pick: BTreeMap<String, Pick>,
}

/// One thing out of a list, by a number or a time of it. Code finds it, not the model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pick {
    /// The name of the field, as `size`.
    pub field: String,
    /// The largest or latest; else the smallest or earliest.
    pub most: bool,
}

impl Step {
    /// So many calls of a tool, with whatever values.
    #[must_use]
    pub fn of(tool: impl Into<String>, times: u32) -> Self {
        Self {
            tool: tool.into(),
            times,
            only: BTreeMap::new(),
            release: Vec::new(),
            pick: BTreeMap::new(),
        }
    }
}

fn once() -> u32 {
    1
}

/// What is known about the plan of a run.
#[derive(Clone, Copy, Debug)]
pub enum Planned<'a> {
    /// This is it.
    Is(&'a Plan),
    /// There was an owner's request, and no plan could be had for it.
    Unknown,
    /// Nobody asked for this run: every effect asks.
    Nobody,
}

/// Why a call is not in the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffPlan {
    /// The plan does not have the tool.
    Tool,
    /// It has it, but not so often.
    Times,
    /// It has it with another value.
    Value,
    /// It is wider than one may act on without a question.
    Wide,
}

impl Plan {
    /// Digest of the plan, for the record.
    #[must_use]
    pub fn digest(&self) -> String {
        canonical::of(self)
            .map_or_else(|_| String::new(), |text| canonical::sha256(text.as_bytes()))
    }

    /// Drops what the planner had no business to say: unknown tools, endless counts.
    #[must_use]
    pub fn tidy(mut self, knows: impl Fn(&str) -> bool) -> Self {
        self.steps.retain(|step| knows(&step.tool));
        for step in &mut self.steps {
            step.times = step.times.clamp(1, TIMES_MAX);
        }
        self
    }

    /// The step that one more call of this tool with these arguments is.
    pub fn step(&self, tool: &str, arguments: &Value, done: u32) -> Result<&Step, OffPlan> {
        if self.steps.len() > STEPS_MAX {
            return Err(OffPlan::Wide);
        }
        let steps: Vec<&Step> = self.steps.iter().filter(|step| step.tool == tool).collect();
        if steps.is_empty() {
            return Err(OffPlan::Tool);
        }
        let times = steps
            .iter()
            .fold(0_u32, |sum, step| sum.saturating_add(step.times));
        if done >= times {
            return Err(OffPlan::Times);
        }
        let fitting = steps.into_iter().find(|step| step.admits(arguments));
        fitting.ok_or(OffPlan::Value)
    }

    /// Whether what this tool read may go along in a step.
    #[must_use]
    pub fn releases(&self, step: &Step, source: &str) -> bool {
        if step.release.is_empty() {
            return self.steps.iter().any(|own| own.tool == source);
        }
        step.release.iter().any(|tool| tool == source)
    }
}

impl Step {
    fn admits(&self, arguments: &Value) -> bool {
        self.only.iter().all(|(name, values)| {
            let given = at(arguments, name);
            let is_among = |text: &String| values.iter().any(|value| is_same(value, text));
            // What is left out may mean anybody. A command is said as one text and given as its words.
            !given.is_empty() && given.iter().all(is_among) || is_among(&given.join(" "))
        })
    }
}

/// The texts of an argument, or of a part of one: `body.attendees.email`.
fn at(arguments: &Value, name: &str) -> Vec<String> {
    if let Some(value) = arguments.get(name) {
        return texts(value);
    }
    match (arguments, name.split_once('.')) {
        (Value::Array(items), _) => items.iter().flat_map(|item| at(item, name)).collect(),
        (_, Some((outer, inner))) => match arguments.get(outer) {
            Some(value) => at(value, inner),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// True if two spellings say the same value.
fn is_same(one: &str, two: &str) -> bool {
    one == two
        || [
            Kind::Address,
            Kind::Url,
            Kind::Phone,
            Kind::Amount,
            Kind::Path,
            Kind::Name,
        ]
        .into_iter()
        .any(|kind| {
            normal(kind, one)
                .zip(normal(kind, two))
                .is_some_and(|(one, two)| one == two)
        })
}

/// Verbs that ask for an effect that cannot be undone.
const VERBS: [(Effect, &[&str]); 4] = [
    (
        Effect::Destroy,
        &[
            "delete",
            "remove",
            "erase",
            "cancel",
            "drop",
            "clear",
            "clean",
            "trash",
            "unsubscribe",
            "kick",
            "revoke",
            "lösche",
            "entferne",
            "supprime",
            "efface",
            "borra",
            "elimina",
            "удали",
            "удалить",
            "сотри",
            "отмени",
            "убери",
            "删除",
            "取消",
            "移除",
        ],
    ),
    (
        Effect::Spend,
        &[
            "pay",
            "buy",
            "order",
            "book",
            "transfer",
            "send",
            "purchase",
            "reserve",
            "refund",
            "subscribe",
            "donate",
            "wire",
            "schedule",
            "payment",
            // What guards doors and accounts is changed, not paid.
            "change",
            "update",
            "set",
            "adjust",
            "modify",
            "renew",
            "ändere",
            "modifie",
            "cambia",
            "измени",
            "обнови",
            "更改",
            "修改",
            "bezahle",
            "überweise",
            "kaufe",
            "buche",
            "paie",
            "achète",
            "réserve",
            "paga",
            "compra",
            "reserva",
            "оплати",
            "купи",
            "закажи",
            "переведи",
            "支付",
            "购买",
            "转账",
            "预订",
        ],
    ),
    (
        Effect::Execute,
        &[
            "run",
            "execute",
            "start",
            "build",
            "test",
            "install",
            "compile",
            "launch",
            "check",
            "try",
            "fix",
            "debug",
            "lint",
            "format",
            "benchmark",
            "measure",
            "deploy",
            "starte",
            "teste",
            "baue",
            "lance",
            "exécute",
            "ejecuta",
            "prueba",
            "запусти",
            "выполни",
            "собери",
            "проверь",
            "运行",
            "执行",
            "构建",
            "测试",
            "安装",
        ],
    ),
    (
        Effect::Grant,
        &[
            "share",
            "invite",
            "add",
            "grant",
            "give",
            "allow",
            "teile",
            "lade",
            "partage",
            "ajoute",
            "comparte",
            "invita",
            "añade",
            "поделись",
            "пригласи",
            "добавь",
            "дай",
            "разреши",
            "分享",
            "邀请",
            "添加",
            "授权",
        ],
    ),
];

impl Words {
    /// True if the words ask for this effect by a verb. Other effects need none.
    #[must_use]
    pub fn asks_for(&self, effect: Effect) -> bool {
        VERBS
            .iter()
            .find(|(named, _)| *named == effect)
            .is_none_or(|(_, verbs)| self.has_verb(verbs))
    }

    fn any_form_of(&self, verbs: &[&str]) -> bool {
        let is_form = |token: &str| {
            let stems = ENDINGS
                .iter()
                .filter_map(|ending| token.strip_suffix(ending));
            // `deleting` has lost the end of `delete`.
            let mut stems = stems.flat_map(|stem| [stem.to_owned(), format!("{stem}e")]);
            stems.any(|stem| verbs.contains(&stem.as_str()))
        };
        self.tokens().iter().any(|token| is_form(token))
    }

    fn has_verb(&self, verbs: &[&str]) -> bool {
        self.any_of(verbs)
            || self.any_form_of(verbs)
            || verbs
                .iter()
                .filter(|verb| !verb.is_ascii())
                .any(|verb| self.text().to_lowercase().contains(verb))
    }
}

/// What an English verb may end in: `tests`, `tested`, `testing`, `fixes`, `deleted`.
const ENDINGS: [&str; 6] = ["s", "es", "ed", "d", "ing", "e"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> Plan {
        Plan {
            steps: vec![
                Step {
                    only: [("to".to_owned(), vec!["bob@example.com".to_owned()])].into(),
                    ..Step::of("send", 2)
                },
                Step::of("read", 1),
            ],
        }
    }

    #[test]
    fn a_plan_has_tools_counts_and_values_and_nothing_else() {
        let why = |plan: &Plan, tool: &str, arguments: &Value, done| {
            plan.step(tool, arguments, done).err()
        };
        let to = |address: &str| json!({ "to": [address] });
        assert_eq!(why(&plan(), "send", &to("Bob@Example.com"), 0), None);
        assert_eq!(why(&plan(), "send", &to("bob@example.com"), 1), None);
        assert_eq!(
            why(&plan(), "send", &to("bob@example.com"), 2),
            Some(OffPlan::Times)
        );
        assert_eq!(
            why(&plan(), "send", &to("eve@example.com"), 0),
            Some(OffPlan::Value)
        );
        for nobody in [json!({}), json!({ "to": [] }), json!({ "to": null })] {
            assert_eq!(why(&plan(), "send", &nobody, 0), Some(OffPlan::Value));
        }
        assert_eq!(why(&plan(), "delete", &json!({}), 0), Some(OffPlan::Tool));
        let mut inner = plan();
        inner.steps[0].only = [(
            "body.guests.email".to_owned(),
            vec!["ann@example.com".to_owned()],
        )]
        .into();
        let guests = |email: &str| json!({ "body": { "guests": [{ "email": email }] } });
        assert_eq!(why(&inner, "send", &guests("ann@example.com"), 0), None);
        let other = why(&inner, "send", &guests("eve@example.com"), 0);
        assert_eq!(other, Some(OffPlan::Value));
        let mut run = plan();
        run.steps[0].only = [("command".to_owned(), vec!["cargo test".to_owned()])].into();
        let command = |words: &[&str]| json!({ "command": words });
        assert_eq!(why(&run, "send", &command(&["cargo", "test"]), 0), None);
        assert_eq!(
            why(&run, "send", &command(&["cargo", "publish"]), 0),
            Some(OffPlan::Value)
        );
        let wide = Plan {
            steps: vec![plan().steps[1].clone(); STEPS_MAX + 1],
        };
        assert_eq!(why(&wide, "read", &json!({}), 0), Some(OffPlan::Wide));
    }

    #[test]
    fn what_cannot_be_undone_is_asked_for_by_a_verb() {
        let words = Words::of("Please delete the largest file");
        assert!(words.asks_for(Effect::Destroy) && words.asks_for(Effect::Send));
        assert!(!words.asks_for(Effect::Spend) && !words.asks_for(Effect::Execute));
        for text in ["are the tests green?", "fixing it", "he tried testing"] {
            assert!(Words::of(text).asks_for(Effect::Execute), "{text}");
        }
        assert!(Words::of("I am deleting mails").asks_for(Effect::Destroy));
        assert!(Words::of("bitte lösche die Datei").asks_for(Effect::Destroy));
        assert!(!Words::of("a nice runner").asks_for(Effect::Execute));
        assert!(Words::of("удали этот файл").asks_for(Effect::Destroy));
        assert!(Words::of("请删除文件").asks_for(Effect::Destroy));
    }
    #[test]
    fn a_step_lets_along_what_it_names_and_else_what_the_plan_itself_reads() {
        let mut plan = plan();
        assert!(plan.releases(&plan.steps[0], "read") && !plan.releases(&plan.steps[0], "notes"));
        plan.steps[0].release = vec!["notes".to_owned()];
        assert!(!plan.releases(&plan.steps[0], "read") && plan.releases(&plan.steps[0], "notes"));
    }
}
