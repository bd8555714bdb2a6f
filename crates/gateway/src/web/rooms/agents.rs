//! Agents as the release in service has them.

use axum::extract::State;
use instar_release::AgentBehaviour;
use maud::{Markup, html};

use crate::app::AppState;
use crate::behaviour;
use crate::door::Caller;
use crate::web::frame::{Frame, Tab, coded, number};
use crate::web::words::{Reader, Words};

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
) -> Markup {
    let default = app.default_agent();
    let folders = behaviour::folders(&app.config.current().value, &app.state_dir);
    let release = app.releases.stable();
    let agents = release.iter().flat_map(|release| &release.behaviour.agents);
    let specs = app.toolbox.specs();
    let tools: Vec<&str> = release.as_ref().map_or_else(Vec::new, |_| {
        specs.iter().map(|spec| spec.name.as_str()).collect()
    });
    let body = html! {
        p class="soft lead" { (coded(words.agents_do)) }
        @for (name, agent) in agents {
            section class="sheet-of" {
                h2 { (name) @if name == default.as_str() { " " span class="mark" { (words.default) } } }
                (facts(words, agent, &tools))
            }
        }
        section {
            h2 { (words.workspace) }
            ul { @for folder in &folders { li { code { (folder.display()) } } } }
        }
    };
    Frame::new(&app, words, Tab::Agents).await.around(&body)
}

fn facts(words: &Words, agent: &AgentBehaviour, tools: &[&str]) -> Markup {
    html! {
        dl class="facts" {
            div { dt { (words.route) } dd {
                code { (agent.route.primary) }
                @for next in &agent.route.fallbacks { " " (words.fallbacks) " " code { (next) } }
            } }
            div { dt { (words.limits) } dd {
                (agent.limits.model_calls_max) " " (words.model_calls) ", " (agent.limits.tool_calls_max) " " (words.tool_calls)
                ", " (agent.limits.timeout_seconds) " " (words.seconds)
            } }
            div { dt { (words.tools) } dd { @for tool in tools { code { (tool) } " " } } }
        }
        h3 { (words.files) }
        @if agent.prompt.is_empty() { p class="soft" { (words.none) } }
        @for (file, text) in &agent.prompt {
            details class="file" {
                summary { code { (file) } " " span class="soft" {
                    (number(u64::try_from(text.text.chars().count()).unwrap_or(u64::MAX))) " " (words.characters)
                    @if text.cut_chars > 0 { ", " (words.cut) " " (number(text.cut_chars)) }
                } }
                pre { (text.text) }
            }
        }
    }
}
