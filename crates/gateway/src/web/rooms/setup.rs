//! Setting up in the browser: one question a page, by plain forms. The questions and the work are
//! those of `instar onboard`; this file draws them. A key is sent once and shown nowhere.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::config::settle;
use crate::app::AppState;
use crate::config::needs_restart;
use crate::door::{Caller, FORM_FIELD, form_token};
use crate::problem::ApiProblem;
use crate::setup::{DeskError, Refused as NoAnswer, Setup, Step, StepKind, Summary, View};
use crate::web::frame::coded;
use crate::web::page::page;
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// What the forms send. The first field, the form's token, was checked at the door.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Sent {
    action: String,
    step: String,
    /// It may be a key: this type cannot be printed.
    value: Option<String>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Told {
    over: Option<String>,
    declined: Option<String>,
}

/// Who sets up, in which language, with which token for the next form.
struct Asker {
    app: AppState,
    words: &'static Words,
    token: String,
}

impl Asker {
    fn new(
        app: AppState,
        caller: &Caller,
        words: &'static Words,
        headers: &HeaderMap,
    ) -> Result<Self, ApiProblem> {
        if !caller.principal.is_owner() {
            return Err(ApiProblem::forbidden("only the owner can set things up"));
        }
        let token = form_token(headers).ok_or_else(ApiProblem::internal)?;
        Ok(Self { app, words, token })
    }

    fn page(&self, body: &Markup) -> Markup {
        let body = html! { main class="door setup" id="main" { (body) } };
        page(self.words, self.words.setup, "/assets/ui.js", &body)
    }

    /// The page for what has to happen now, or the way to it.
    async fn answered(&self, before: &str, view: &View) -> Response {
        match (&view.summary, view.status) {
            (Some(summary), _) => {
                if !summary.changed.is_empty() {
                    settle(&self.app, before).await;
                }
                self.page(&done(self.words, summary)).into_response()
            }
            (None, "cancelled") => Redirect::to("/setup?declined=1").into_response(),
            (None, _) => Redirect::to(&format!("/setup/{}", view.session_id)).into_response(),
        }
    }

    /// The question again, with why the answer does not do and what was typed, unless it is secret.
    async fn refused(
        &self,
        id: &str,
        sent: &Sent,
        refused: &NoAnswer,
    ) -> Result<Response, ApiProblem> {
        let view = self.app.desk.next(id, None).await?;
        let Some(mut step) = view.step else {
            return Ok(Redirect::to("/setup?over=1").into_response());
        };
        step.problem = Some(refused.told(self.words.tongue()));
        if step.kind == StepKind::Text && !step.sensitive && step.id == sent.step {
            step.initial_value = sent.value.clone().map(Value::String);
        }
        let body = question(self, id, &step);
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Ok((status, self.page(&body)).into_response())
    }

    /// What a person is shown where the desk refuses.
    async fn failed(&self, id: &str, sent: &Sent, error: DeskError) -> Result<Response, Refused> {
        Ok(match error {
            DeskError::Gone => Redirect::to("/setup?over=1").into_response(),
            DeskError::Refused(refused) => self.refused(id, sent, &refused).await?,
            // A form of a page that was left open: the question that stands is shown.
            DeskError::OtherStep(_) => Redirect::to(&format!("/setup/{id}")).into_response(),
            DeskError::Busy => self.page(&working(self.words, id)).into_response(),
            other => return Err(ApiProblem::from(other).into()),
        })
    }
}

/// The first page: what comes, and the way past it.
pub(super) async fn welcome(
    State(app): State<AppState>,
    caller: Caller,
    Reader(words): Reader,
    headers: HeaderMap,
    Query(told): Query<Told>,
) -> Result<Markup, Refused> {
    let asker = Asker::new(app, &caller, words, &headers)?;
    let finished = Setup::is_finished(&asker.app.state_dir);
    let body = html! {
        h1 { "Instar" }
        h2 { (words.setup) }
        @if told.over.is_some() { p class="wrong" role="alert" { (words.setup_over) } }
        @if told.declined.is_some() { p class="wrong" role="alert" { (words.setup_declined) } }
        p class="told" { (words.setup_about) }
        @if finished { p { (words.setup_asked_before) } }
        @else { p { (words.setup_until_then) " " code { (asker.app.default_model()) } } }
        form method="post" action="/setup" data-busy=(words.setup_busy) {
            input type="hidden" name=(FORM_FIELD) value=(asker.token);
            div class="acts" {
                button class="primary" name="action" value="begin" autofocus { (words.setup_begin) }
                button name="action" value="skip" { (words.setup_skip) }
            }
            p role="status" data-busy-note="" {}
        }
        p class="languages" {
            @for (name, own, other) in Words::ALL {
                a href={ "/language?to=" (name) "&back=/setup" } lang=(other.tag) hreflang=(other.tag)
                    aria-current=[(other.tag == words.tag).then_some("true")] { (own) }
            }
        }
    };
    Ok(asker.page(&body))
}

/// Begins, or puts it off.
pub(super) async fn begin(
    State(app): State<AppState>,
    caller: Caller,
    Reader(words): Reader,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Result<Response, Refused> {
    let asker = Asker::new(app, &caller, words, &headers)?;
    let setup = Setup::within(&asker.app, "web setup");
    if sent.action == "skip" {
        // Not written, it is only offered once more.
        if let Err(why) = setup.put_off().await {
            tracing::warn!(why, "that setting up was put off is not written down");
        }
        return Ok(Redirect::to("/chat").into_response());
    }
    let view = asker.app.desk.start(setup, words.tongue()).await;
    let view = view.map_err(ApiProblem::from)?;
    Ok(asker.answered("", &view).await)
}

/// The question that stands.
pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Reader(words): Reader,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let asker = Asker::new(app, &caller, words, &headers)?;
    let before = asker.app.config.current().hash.clone();
    match asker.app.desk.next(&id, None).await {
        Ok(View {
            step: Some(step), ..
        }) => Ok(asker.page(&question(&asker, &id, &step)).into_response()),
        Ok(view) => Ok(asker.answered(&before, &view).await),
        Err(error) => asker.failed(&id, &Sent::default(), error).await,
    }
}

/// Takes an answer, goes back, or leaves.
pub(super) async fn answer(
    State(app): State<AppState>,
    caller: Caller,
    Reader(words): Reader,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refused> {
    let asker = Asker::new(app, &caller, words, &headers)?;
    let desk = &asker.app.desk;
    let before = asker.app.config.current().hash.clone();
    let moved = match sent.action.as_str() {
        "leave" => {
            let _there = desk.cancel(&id);
            return Ok(Redirect::to("/chat").into_response());
        }
        "back" => desk.back(&id).await,
        _ => desk.next(&id, Some((&sent.step, value(&sent)))).await,
    };
    match moved {
        Ok(view) => Ok(asker.answered(&before, &view).await),
        Err(error) => asker.failed(&id, &sent, error).await,
    }
}

/// What was sent, as the question takes it: a box that is not ticked is not sent at all.
fn value(sent: &Sent) -> Option<Value> {
    let ticks = ["risk", "store-key", "service"];
    if ticks.contains(&sent.step.as_str()) {
        return Some(Value::Bool(sent.value.is_some()));
    }
    Some(Value::String(sent.value.clone().unwrap_or_default()))
}

fn question(asker: &Asker, id: &str, step: &Step) -> Markup {
    let words = asker.words;
    let described = match (&step.problem, &step.message) {
        (Some(_), Some(_)) => Some("problem about"),
        (Some(_), None) => Some("problem"),
        (None, Some(_)) => Some("about"),
        (None, None) => None,
    };
    html! {
        h1 { "Instar" }
        (progress(words, step.id))
        form method="post" action={ "/setup/" (id) } autocomplete="off" data-busy=(words.setup_busy) {
            input type="hidden" name=(FORM_FIELD) value=(asker.token);
            input type="hidden" name="step" value=(step.id);
            @match step.kind {
                StepKind::Confirm => (tick(words, step)),
                StepKind::Select => fieldset aria-describedby=[described] {
                    legend { h2 { (step.title) } }
                    (about(step))
                    @for (at, choice) in step.options.iter().enumerate() {
                        @let chosen = step.initial_value.as_ref().is_some_and(|one| *one == choice.value);
                        label class="option" {
                            input type="radio" name="value" value=(choice.value) checked[chosen] required autofocus[chosen || at == 0 && step.initial_value.is_none()];
                            span { (choice.label) }
                            @if let Some(hint) = &choice.hint { small { (hint) } }
                        }
                    }
                },
                StepKind::Text => {
                    h2 { label for="value" { (step.title) } }
                    (about(step))
                    (field(step, described))
                }
            }
            div class="acts" {
                button class="primary" name="action" value="answer" { (words.go_on) }
                @if !matches!(step.id, "risk" | "workspace" | "verdict") {
                    button name="action" value="back" formnovalidate { (words.setup_back) }
                }
            }
            p role="status" data-busy-note="" {}
        }
        form class="leave" method="post" action={ "/setup/" (id) } {
            input type="hidden" name=(FORM_FIELD) value=(asker.token);
            button name="action" value="leave" { (words.setup_leave) }
        }
    }
}

/// How far it is.
fn progress(words: &Words, id: &str) -> Markup {
    let at = match id {
        "risk" => 0,
        "workspace" => 1,
        "port" | "bind" | "service" => 3,
        _ => 2,
    };
    let parts = [
        words.setup_risks,
        words.setup_folder,
        words.model,
        words.setup_port,
    ];
    html! {
        ol class="steps" aria-label=(words.setup_steps) {
            @for (index, part) in parts.iter().enumerate() {
                li aria-current=[(index == at).then_some("step")] { (index + 1) ". " (part) }
            }
        }
    }
}

/// What is said beside a question, and why the last answer did not do.
fn about(step: &Step) -> Markup {
    let lines = step.message.as_deref().unwrap_or_default().lines();
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let wrong = step.id == "verdict";
    html! {
        @if let Some(problem) = &step.problem { p id="problem" class="wrong" role="alert" { (problem) } }
        @if !lines.is_empty() {
            div id="about" class=[wrong.then_some("wrong")] role=[wrong.then_some("alert")] {
                @for line in lines.iter().filter(|line| !line.starts_with("- ")) { p class="told" { (coded(line)) } }
                @if lines.iter().any(|line| line.starts_with("- ")) {
                    ul class="told" { @for line in &lines {
                        @if let Some(point) = line.strip_prefix("- ") { li { (coded(point)) } }
                    } }
                }
            }
        }
    }
}

fn tick(words: &Words, step: &Step) -> Markup {
    let initially = step.initial_value == Some(Value::Bool(true));
    let risk = step.id == "risk";
    html! {
        @if risk { h2 { (words.setup_risks) } }
        (about(step))
        label class="option" {
            input type="checkbox" name="value" value="yes" checked[initially] required[risk] autofocus;
            span { (step.title) }
        }
    }
}

fn field(step: &Step, described: Option<&str>) -> Markup {
    let now = step.initial_value.as_ref().and_then(Value::as_str);
    let kind = if step.sensitive { "password" } else { "text" };
    let mode = match step.id {
        "base-url" => Some("url"),
        "port" => Some("numeric"),
        _ => None,
    };
    html! {
        input id="value" name="value" type=(kind) value=[now.filter(|_| !step.sensitive)]
            placeholder=[step.placeholder.as_deref()] inputmode=[mode] autocomplete="off" autocapitalize="off"
            spellcheck="false" maxlength="16000" autofocus aria-describedby=[described]
            aria-invalid=[step.problem.as_ref().map(|_| "true")];
    }
}

fn working(words: &Words, id: &str) -> Markup {
    html! {
        h1 { "Instar" }
        p role="status" { (words.setup_working) }
        p { a href={ "/setup/" (id) } { (words.setup_look_again) } }
    }
}

/// What came of it.
fn done(words: &Words, summary: &Summary) -> Markup {
    let restart = summary.changed.iter().any(|path| needs_restart(path));
    html! {
        h1 { "Instar" }
        h2 { (words.setup_done) }
        dl class="facts" {
            div { dt { (words.workspace) } dd { code { (summary.workspace.display()) } } }
            div { dt { (words.model) } dd {
                @match &summary.model { Some(model) => code { (model) }, None => (words.setup_later) }
                @match &summary.verdict {
                    Some(verdict) if verdict.ok => { " · " (words.answered) " " (verdict.millis) " ms" },
                    Some(verdict) => div class="wrong" { (words.not_answered) " " (verdict.told(words.tongue())) },
                    None => {},
                }
            } }
            @if let Some(port) = summary.port { div { dt { (words.setup_port) } dd { (port) } } }
        }
        @if restart { p { (coded(words.setup_restart)) } }
        p { (coded(words.setup_service)) }
        div class="acts" { a class="button primary" href="/chat" autofocus { (words.setup_open) } }
    }
}
