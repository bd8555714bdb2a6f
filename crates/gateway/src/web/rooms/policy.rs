//! What may be done here: the rights of each kind of caller, and one call explained. It asks the same
//! decision that every call of a turn goes through, and lets nothing run.

use axum::extract::{Query, State};
use instar_policy::{Annotation, Authority, Posture};
use instar_protocol::Principal;
use instar_protocol::principal::Via;
use instar_protocol::tool::ToolCall;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::AppState;
use crate::door::Caller;
use crate::judged::{Judged, Outcome, judged};
use crate::web::frame::{Frame, Tab};
use crate::web::words::{Reader, Words};

/// A longer text of arguments is not looked at.
const ARGUMENTS_BYTES_MAX: usize = 16 * 1024;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    tool: String,
    arguments: String,
    role: String,
}

/// The kinds of callers that rights differ by.
fn roles(words: &Words) -> [(&'static str, &'static str, Principal); 4] {
    let owner = Principal::Owner { via: Via::Session };
    let (contact, stranger) = ("contact".to_owned(), "stranger".to_owned());
    let automation = Principal::Automation {
        source: "schedule".to_owned(),
    };
    [
        ("owner", words.role_owner, owner),
        (
            "contact",
            words.role_contact,
            Principal::Contact { id: contact },
        ),
        (
            "stranger",
            words.role_stranger,
            Principal::Stranger { id: stranger },
        ),
        ("automation", words.role_automation, automation),
    ]
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Markup {
    let release = app.releases.stable();
    let authority = release.map(|release| release.behaviour.authority.clone());
    let authority = authority.unwrap_or_default();
    let body = html! {
        p class="soft lead" { (words.policy_about) }
        p { (words.posture) ": " strong { (posture(words, authority.posture)) } }
        (rights(words, &app, &authority))
        (form(words, &authority, &asked))
        @if !asked.tool.is_empty() { (answer(words, &app, &authority, &asked)) }
    };
    Frame::new(&app, words, Tab::Policy).await.around(&body)
}

fn posture(words: &Words, posture: Posture) -> &'static str {
    match posture {
        Posture::Careful => words.posture_careful,
        Posture::Balanced => words.posture_balanced,
        Posture::Open => words.posture_open,
    }
}

fn rights(words: &Words, app: &AppState, authority: &Authority) -> Markup {
    let agents: Vec<String> = app.agents().iter().map(ToString::to_string).collect();
    html! {
        section {
            h2 { (words.rights) }
            p class="soft" { (words.agents) ": " (agents.join(", ")) ". " (words.rights_note) }
            div class="wide" tabindex="0" { table class="rows even" {
                thead { tr { th scope="col" { (words.tool) } th scope="col" { (words.does) }
                    @for (_, name, _) in roles(words) { th scope="col" { (name) } } } }
                tbody { @for (tool, annotation) in &authority.annotations { (right(words, app, authority, tool, annotation)) } }
            } }
        }
    }
}

fn right(
    words: &Words,
    app: &AppState,
    authority: &Authority,
    tool: &str,
    annotation: &Annotation,
) -> Markup {
    html! {
        tr {
            td { code { (tool) } }
            td { (words.effect(annotation.effect)) }
            @for (_, name, principal) in roles(words) {
                @let found = judged(app, authority, &principal, &call(tool, json!({})));
                td data-name=(name) { (mark(words, &found)) div class="soft key" { (found.rule) } }
            }
        }
    }
}

fn call(tool: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: "explained".to_owned(),
        name: tool.to_owned(),
        arguments,
    }
}

fn mark(words: &Words, found: &Judged) -> Markup {
    let (class, told) = match found.outcome {
        Outcome::Allow => ("mark", words.outcome_allow),
        Outcome::Ask => ("mark warning", words.outcome_ask),
        Outcome::Deny => ("mark wrong", words.outcome_deny),
    };
    html! { span class=(class) { (told) } }
}

fn form(words: &Words, authority: &Authority, asked: &Asked) -> Markup {
    html! {
        section {
            h2 id="explain" { (words.explain_call) }
            form class="change-form" method="get" action="/policy#explain" {
                label for="tool" { (words.tool) }
                input id="tool" name="tool" list="tools" required value=(asked.tool);
                datalist id="tools" { @for name in authority.annotations.keys() { option value=(name) {} } }
                label for="arguments" { (words.explain_arguments) }
                textarea id="arguments" name="arguments" rows="4" spellcheck="false" { (if asked.arguments.is_empty() { "{}" } else { asked.arguments.as_str() }) }
                label for="role" { (words.explain_for) }
                select id="role" name="role" { @for (value, name, _) in roles(words) {
                    option value=(value) selected[value == asked.role] { (name) }
                } }
                div class="acts" { button class="primary" { (words.explain) } }
            }
        }
    }
}

fn answer(words: &Words, app: &AppState, authority: &Authority, asked: &Asked) -> Markup {
    let short = asked.arguments.len() <= ARGUMENTS_BYTES_MAX;
    let arguments: Option<Value> = if asked.arguments.trim().is_empty() {
        Some(json!({}))
    } else {
        serde_json::from_str(&asked.arguments)
            .ok()
            .filter(|_| short)
    };
    let Some(arguments) = arguments else {
        return html! { div class="trouble" role="alert" { (words.not_json) } };
    };
    let all = roles(words);
    let role = all.iter().find(|(value, ..)| *value == asked.role);
    let principal = role.map_or(&all[0].2, |(.., principal)| principal);
    let found = judged(app, authority, principal, &call(&asked.tool, arguments));
    html! {
        div class="card wait" role="status" data-explained="" {
            p { (mark(words, &found)) " " (words.rule) " " code { (found.rule) } }
            ul { @for line in &found.why { li { (line) } } }
        }
    }
}
