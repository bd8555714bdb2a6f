//! What may be done here: rights in every posture, the rules in words, one call or decision explained,
//! and what another posture would have changed. It asks the same decision that every call of a turn
//! goes through, and lets nothing run.

use axum::extract::{Query, State};
use instar_policy::suppose::Supposed;
use instar_policy::{Posture, Role};
use instar_protocol::AgentId;
use instar_protocol::policy::{
    Explained, PolicyAnswer, PolicyReport, PolicyRight, PolicyRule, PostureReport, PostureWould,
};
use instar_protocol::tool::Effect;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::known;
use crate::api::{in_force, policy_report, replayed};
use crate::app::AppState;
use crate::door::Caller;
use crate::policing::{self, ExplainCall};
use crate::web::act::Forms;
use crate::web::frame::{Frame, Tab, coded, moment, number};
use crate::web::pages::Refused;
use crate::web::rules;
use crate::web::words::{Reader, Words};

/// A longer text of arguments is not looked at.
const ARGUMENTS_BYTES_MAX: usize = 16 * 1024;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    tool: String,
    arguments: String,
    role: String,
    agent: String,
    words: String,
    tainted: Option<String>,
    /// The receipt, question or call of a decision.
    decision: String,
    /// `1`: compare postures over the last days.
    compare: Option<String>,
}

impl Asked {
    fn role(&self) -> Role {
        serde_json::from_value(Value::from(self.role.as_str())).unwrap_or(Role::Owner)
    }
}

const ROLES: [&str; 4] = ["owner", "contact", "stranger", "automation"];

fn role_name(words: &Words, role: &str) -> &'static str {
    match role {
        "contact" => words.role_contact,
        "stranger" => words.role_stranger,
        "automation" => words.role_automation,
        _ => words.role_owner,
    }
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms_of: Forms,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let agent = AgentId::parse(&asked.agent).unwrap_or_else(|_| app.default_agent());
    let report = policy_report(&app, agent.clone(), asked.role()).await?;
    let compared = match asked.compare.as_deref() {
        Some("1") => Some(replayed(&app, None).await?),
        _ => None,
    };
    let told = told(words, &app, &asked).await;
    let known = policing::contacts(&app.store, &in_force(&app)).await?;
    let body = html! {
        p class="soft lead" { (words.policy_about) }
        @if !report.problems.is_empty() {
            div class="trouble" role="alert" {
                strong { (words.rules_wrong) }
                ul { @for problem in &report.problems { li { code { (problem) } } } }
            }
        }
        p { (words.posture) ": " strong { (posture(words, &report.posture)) } }
        (offer(words, compared.as_ref()))
        (rights(words, &app, &report, &agent, &asked))
        (rule_table(words, &report.rules))
        (known::people(words, &forms_of, &known))
        (forms(words, &report, &asked))
        @match told {
            None => {},
            Some(Ok(told)) => (answer(words, &told)),
            Some(Err(why)) => div class="trouble" role="alert" { (why) },
        }
    };
    Ok(Frame::new(&app, words, Tab::Policy).await.around(&body))
}

/// What the reader asked to have explained, if anything.
async fn told(words: &Words, app: &AppState, asked: &Asked) -> Option<Result<Explained, String>> {
    let authority = in_force(app);
    let now = app.clock.now();
    let found = if !asked.decision.trim().is_empty() {
        policing::decision(&app.store, &authority, asked.decision.trim()).await
    } else if asked.tool.trim().is_empty() {
        return None;
    } else {
        let Some(given) = supposed(asked) else {
            return Some(Err(words.not_json.to_owned()));
        };
        let call = ExplainCall {
            given,
            session: None,
        };
        policing::explain(&app.store, &authority, &call, now).await
    };
    Some(found.map_err(|error| error.to_string()))
}

/// `None` where the arguments are no JSON, or too long to be looked at.
fn supposed(asked: &Asked) -> Option<Supposed> {
    let text = match asked.arguments.trim() {
        "" => "{}",
        text => text,
    };
    let short = Some(text).filter(|text| text.len() <= ARGUMENTS_BYTES_MAX);
    let arguments: Value = serde_json::from_str(short?).ok()?;
    let words = Some(asked.words.trim().to_owned()).filter(|words| !words.is_empty());
    Some(Supposed {
        role: asked.role(),
        agent: AgentId::parse(&asked.agent).ok(),
        words: words.into_iter().collect(),
        tainted: asked.tainted.is_some(),
        ..Supposed::call(asked.tool.trim(), arguments)
    })
}

fn posture(words: &Words, posture: &str) -> &'static str {
    let read = serde_json::from_value(json!(posture));
    match read.unwrap_or(Posture::Careful) {
        Posture::Careful => words.posture_careful,
        Posture::Balanced => words.posture_balanced,
        Posture::Open => words.posture_open,
    }
}

/// What another posture would have changed. It is never chosen here: that is one key of the
/// configuration.
fn offer(words: &Words, compared: Option<&PostureReport>) -> Markup {
    html! {
        section id="compare" {
            h2 { (words.other_posture) }
            p class="soft" { (coded(words.compare_note)) }
            @match compared {
                None => p { a class="button" href="/policy?compare=1#compare" { (words.compare_run) } },
                Some(report) => {
                    p { (words.compare_decisions) ": " (number(report.decisions))
                        @if report.unknown > 0 { "; " (words.compare_unknown) ": " (number(report.unknown)) } }
                    div class="wide" tabindex="0" { table class="rows" data-compared="" {
                        thead { tr { th scope="col" { (words.posture) } th scope="col" { (words.outcome_allow) }
                            th scope="col" { (words.outcome_ask) } th scope="col" { (words.outcome_deny) }
                            th scope="col" { (words.compare_changed) } } }
                        tbody { @for would in &report.would { (would_row(words, would)) } }
                    } }
                    @for would in &report.would { (examples(words, would)) }
                }
            }
        }
    }
}

fn would_row(words: &Words, would: &PostureWould) -> Markup {
    html! {
        tr {
            td { code { (would.posture) } }
            td { (number(would.allow))
                @if would.on_plan > 0 { div class="soft" { (number(would.on_plan)) " " (words.compare_plan) } } }
            td { (number(would.ask)) }
            td { (number(would.deny)) }
            td { (number(would.changed))
                @if let Some(why) = &would.refused { div class="soft" { (why) } } }
        }
    }
}

fn examples(words: &Words, would: &PostureWould) -> Markup {
    html! {
        @if !would.examples.is_empty() {
            details {
                summary { code { (would.posture) } " — " (words.compare_changed) }
                ul { @for change in &would.examples {
                    li {
                        a href={ "/policy?decision=" (change.receipt) "#explain" } { "№ " (change.receipt) }
                        " " (moment(change.at)) " " code { (change.tool) } ": "
                        (mark(words, &change.to)) " ← " (mark(words, &change.from))
                        " " span class="soft key" { (change.rule) }
                    }
                } }
            }
        }
    }
}

fn rights(
    words: &Words,
    app: &AppState,
    report: &PolicyReport,
    agent: &AgentId,
    asked: &Asked,
) -> Markup {
    let agents = app.agents();
    html! {
        section id="rights" {
            h2 { (words.rights) }
            p class="soft" { (words.rights_note) }
            form class="tools" method="get" action="/policy#rights" {
                label for="for-agent" { (words.agents) }
                select id="for-agent" name="agent" { @for one in &agents {
                    option value=(one) selected[one == agent] { (one) }
                } }
                label for="for-role" { (words.explain_for) }
                select id="for-role" name="role" { @for role in ROLES {
                    option value=(role) selected[role == asked.role] { (role_name(words, role)) }
                } }
                button { (words.show) }
            }
            div class="wide" tabindex="0" { table class="rows even" {
                thead { tr { th scope="col" { (words.tool) } th scope="col" { (words.does) }
                    @for name in ["careful", "balanced", "open"] {
                        th scope="col" aria-current=[(name == report.posture).then_some("true")] {
                            (name) @if name == report.posture { " ●" }
                        }
                    } } }
                tbody { @for one in &report.rights { (right(words, one)) } }
            } }
        }
    }
}

fn right(words: &Words, right: &PolicyRight) -> Markup {
    html! {
        tr {
            td { code { (right.tool) } }
            td { (effect(words, &right.effect)) }
            @for one in &right.answers { (cell(words, one)) }
        }
    }
}

/// The answer before and after somebody else's text was read.
fn cell(words: &Words, one: &PolicyAnswer) -> Markup {
    html! {
        td data-name=(one.posture) {
            (mark(words, &one.outcome)) div class="soft key" { (one.rule) }
            @if (&one.outcome, &one.rule) != (&one.tainted, &one.tainted_rule) {
                div class="then" { span class="soft" { (words.after_others) } " " (mark(words, &one.tainted)) }
                div class="soft key" { (one.tainted_rule) }
            }
        }
    }
}

fn effect(words: &Words, name: &str) -> &'static str {
    let read: Result<Effect, _> = serde_json::from_value(json!(name));
    words.effect(read.unwrap_or(Effect::Destroy))
}

fn mark(words: &Words, outcome: &str) -> Markup {
    let (class, told) = match outcome {
        "allow" => ("mark", words.outcome_allow),
        "ask" => ("mark warning", words.outcome_ask),
        _ => ("mark wrong", words.outcome_deny),
    };
    html! { span class=(class) { (told) } }
}

fn rule_table(words: &Words, all: &[PolicyRule]) -> Markup {
    html! {
        section id="rules" {
            h2 { (words.rules) }
            p class="soft" { (coded(words.rules_note)) }
            div class="wide" tabindex="0" { table class="rows" {
                thead { tr { th scope="col" { (words.rule_name) } th scope="col" { (words.answer) }
                    th scope="col" { (words.says) } th scope="col" { (words.place) } } }
                tbody { @for rule in all { (rule_row(words, rule)) } }
            } }
        }
    }
}

fn rule_row(words: &Words, rule: &PolicyRule) -> Markup {
    let (class, told) = match rule.answer.as_str() {
        "permit" => ("mark", words.answer_permit),
        "never" => ("mark wrong", words.answer_never),
        "ask" => ("mark warning", words.answer_ask),
        _ => ("mark warning", words.answer_yield),
    };
    let says = if rule.owners {
        rule.words.as_str()
    } else {
        rules::told(words, &rule.rule).unwrap_or(rule.words.as_str())
    };
    html! {
        tr data-owners[rule.owners] {
            td { code { (rule.rule) } }
            td { span class=(class) { (told) } }
            td class="main" { (says) }
            td { code { (rule.place) } }
        }
    }
}

fn forms(words: &Words, report: &PolicyReport, asked: &Asked) -> Markup {
    html! {
        section {
            h2 id="explain" { (words.explain_call) }
            form class="change-form" method="get" action="/policy#explained" data-call="" {
                label for="tool" { (words.tool) }
                input id="tool" name="tool" list="tools" required value=(asked.tool);
                datalist id="tools" { @for right in &report.rights { option value=(right.tool) {} } }
                label for="arguments" { (words.explain_arguments) }
                textarea id="arguments" name="arguments" rows="4" spellcheck="false" { (if asked.arguments.is_empty() { "{}" } else { asked.arguments.as_str() }) }
                label for="said" { (words.explain_words) }
                textarea id="said" name="words" rows="2" { (asked.words) }
                label for="role" { (words.explain_for) }
                select id="role" name="role" { @for role in ROLES {
                    option value=(role) selected[role == asked.role] { (role_name(words, role)) }
                } }
                label { input type="checkbox" name="tainted" value="1" checked[asked.tainted.is_some()]; " " (words.explain_tainted) }
                div class="acts" { button class="primary" { (words.explain) } }
            }
            form class="change-form" method="get" action="/policy#explained" data-decision="" {
                label for="decision" { (words.explain_decision) }
                input id="decision" name="decision" required value=(asked.decision);
                div class="acts" { button class="primary" { (words.explain) } }
            }
        }
    }
}

fn answer(words: &Words, told: &Explained) -> Markup {
    html! {
        div id="explained" class="card wait" role="status" data-explained="" {
            p { (mark(words, &told.outcome)) " " code { (told.tool) } " · " (words.rule) " " code { (told.rule) }
                @if let Some(at) = told.at { " · " (told.of) " · " (moment(at)) } }
            ul { @for line in &told.why { li { (line) } } }
            @if !told.values.is_empty() { ul class="key" { @for value in &told.values {
                li { code { (value.path) } " " (value.text) " " strong { (value.grade) }
                    @if let Some(source) = &value.source { span class="soft" { " " (source) } } }
            } } }
            @if !told.turns.is_empty() {
                h3 { (words.hangs_on) }
                ul { @for turn in &told.turns {
                    li { code { (turn.fact) ": " (turn.is) " → " (turn.would_be) } " " (mark(words, &turn.outcome))
                        " " span class="soft key" { (turn.rule) } }
                } }
            }
            @if !told.facts.is_empty() {
                details { summary { (words.facts) }
                    ul class="key" { @for fact in &told.facts { li { code { (fact.name) } " " (fact.is) } } } }
            }
            @for note in &told.notes { p class="soft" { (note) } }
        }
    }
}
