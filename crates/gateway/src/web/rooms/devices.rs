//! Devices of the control plane: the ones that wait for the owner, and the ones that were approved.

use axum::extract::State;
use maud::{Markup, html};
use serde_json::Value;

use crate::app::AppState;
use crate::control::methods::devices::listed;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::frame::{Frame, Tab, empty, moment, short};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};
use instar_protocol::Timestamp;

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
) -> Result<Markup, Refused> {
    let list = listed(&app).await.map_err(|refusal| {
        tracing::error!(why = refusal.message, "the devices cannot be read");
        ApiProblem::internal()
    })?;
    let rows = |name: &str| list[name].as_array().cloned().unwrap_or_default();
    let (pending, paired) = (rows("pending"), rows("paired"));
    let body = html! {
        @if pending.is_empty() && paired.is_empty() { (empty(words.no_devices, words.no_devices_do)) }
        @if !pending.is_empty() {
            section {
                h2 { (words.waiting_devices) }
                @for row in &pending { (waiting(words, &forms, row)) }
            }
        }
        @if !paired.is_empty() {
            section {
                h2 { (words.paired_devices) }
                div class="wide" tabindex="0" { table class="rows" {
                    thead { tr { th scope="col" { (words.name) } th scope="col" { (words.may) }
                        th scope="col" { (words.last_seen) } th scope="col" { span class="sr" { (words.what) } } } }
                    tbody { @for row in &paired { (line(words, &forms, row)) } }
                } }
            }
        }
    };
    Ok(Frame::new(&app, words, Tab::Devices).await.around(&body))
}

fn told(row: &Value) -> String {
    let names = ["operatorLabel", "displayName", "clientId"];
    let name = names.iter().find_map(|name| row[*name].as_str());
    let platform = row["platform"].as_str().unwrap_or("");
    format!("{} {platform}", name.unwrap_or("?"))
        .trim()
        .to_owned()
}

fn scopes(row: &Value) -> String {
    let names = row["scopes"].as_array().into_iter().flatten();
    let names = names.filter_map(Value::as_str);
    let names: Vec<&str> = names
        .map(|name| name.trim_start_matches("operator."))
        .collect();
    names.join(", ")
}

/// A change after which the page is shown again.
fn change<'a>(method: &'static str, path: &'a str) -> Act<'a> {
    Act {
        method,
        path,
        then: "/devices",
        script: "reload",
    }
}

fn waiting(words: &Words, forms: &Forms, row: &Value) -> Markup {
    let id = |name: &str| row[name].as_str().unwrap_or("").to_owned();
    let request = format!("/api/v1/devices/requests/{}", id("requestId"));
    let (approve, reject) = (format!("{request}/approve"), format!("{request}/reject"));
    html! {
        article class="card wait" {
            h3 { (told(row)) }
            dl class="facts" {
                div { dt { (words.key) } dd { (short(&id("deviceId"))) } }
                div { dt { (words.may) } dd { (scopes(row)) } }
                div { dt { (words.address) } dd { (id("remoteIp")) } }
            }
            div class="acts" {
                (forms.form(change("POST", &approve), &html! { button class="primary" { (words.approve) } }))
                (forms.form(change("POST", &reject), &html! { button { (words.reject) } }))
            }
        }
    }
}

fn line(words: &Words, forms: &Forms, row: &Value) -> Markup {
    let id = row["deviceId"].as_str().unwrap_or("");
    let path = format!("/api/v1/devices/{id}");
    let seen = row["lastSeenAtMs"].as_u64().map(Timestamp::from_millis);
    html! {
        tr {
            td class="main" { (told(row)) @if row["connected"] == true { " " span class="mark" { (words.connected) } }
                div class="soft key" { (short(id)) } }
            td { (scopes(row)) }
            td { @match seen { Some(at) => (moment(at)), None => (words.never) } }
            td class="acts" {
                (forms.form(change("DELETE", &path), &html! { button class="bad" { (words.revoke) } }))
            }
        }
    }
}
