//! The owner's desk: what waits for an answer, what was answered, and the rules that were kept.
//!
//! Everything that is shown of a question is in its visible form already; the answer names the
//! digest of what was drawn here.

use axum::extract::State;
use axum::response::Redirect;
use instar_protocol::Timestamp;
use instar_protocol::approval::{QuestionState, ShownArgument};
use instar_protocol::approvals::{QuestionList, RuleList, ShownQuestion, ShownRule};
use maud::{Markup, html};

use super::{encoded, letters};
use crate::api::in_force;
use crate::api::records::{self, QuestionsQuery};
use crate::app::AppState;
use crate::door::Caller;
use crate::policing;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::frame::{Frame, Tab, empty, moment};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Answered questions that the page shows.
const ANSWERED: usize = 50;

const PAGE: &str = "/approvals";

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
) -> Result<Markup, Refused> {
    let now = app.clock.now();
    let open = read(&app, None, None, now).await?;
    let answered = read(&app, Some("answered"), Some(ANSWERED), now).await?;
    let agreed = policing::often_agreed(&app.store, &in_force(&app), now).await?;
    let rules = records::rules(&app.store, now).await;
    let rules = rules.map_err(ApiProblem::from)?;
    let letters = letters::open(&app, now).await?;
    let before = letters::settled(&app, now).await?;
    let body = html! {
        p class="soft lead" { (words.approvals_about) }
        div data-questions="" data-words-gone=(words.question_gone) {
            (letters::cards(words, &forms, &letters))
            (waiting(words, &forms, &open.questions, !letters.is_empty(), now))
        }
        @if let Some(count) = agreed { (offer(words, count)) }
        (standing(words, &forms, &rules))
        (history(words, &answered, now))
        (letters::before(words, &before))
    };
    Ok(Frame::new(&app, words, Tab::Approvals).await.around(&body))
}

/// The address that clients are told leads to the page, where the question stands.
pub(super) async fn one(State(_app): State<AppState>, _caller: Caller) -> Redirect {
    Redirect::to(PAGE)
}

/// The open questions alone, for the page's script.
pub(super) async fn open(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
) -> Result<Markup, ApiProblem> {
    let now = app.clock.now();
    let open = read(&app, None, None, now).await?;
    let letters = letters::open(&app, now).await?;
    Ok(html! {
        (letters::cards(words, &forms, &letters))
        (waiting(words, &forms, &open.questions, !letters.is_empty(), now))
    })
}

async fn read(
    app: &AppState,
    state: Option<&str>,
    limit: Option<usize>,
    now: Timestamp,
) -> Result<QuestionList, ApiProblem> {
    let query = QuestionsQuery {
        state: state.map(str::to_owned),
        limit,
    };
    Ok(records::questions(&app.store, &query, now).await?)
}

fn waiting(
    words: &Words,
    forms: &Forms,
    open: &[ShownQuestion],
    has_letters: bool,
    now: Timestamp,
) -> Markup {
    html! {
        @if open.is_empty() && !has_letters { (empty(words.no_questions, words.no_questions_do)) }
        @for question in open { (card(words, forms, question, now)) }
    }
}

fn card(words: &Words, forms: &Forms, question: &ShownQuestion, now: Timestamp) -> Markup {
    let id = question.id.as_str();
    let title = format!("title-{id}");
    html! {
        article class="card wait ask" data-question=(id) aria-labelledby=(title) {
            h2 id=(title) { (words.may_it) " " code { (question.tool) } "?"
                " " span class="mark warning" { (words.effect(question.effect)) } }
            p class="soft" {
                (words.agent) " " strong { (question.agent) } " · "
                a href={ "/chat?session=" (encoded(question.session.as_str())) } { (question.session) } " · "
                (moment(question.asked_at)) " · "
                span class="left" data-until=(question.expires_at.millis()) data-words=(words.minutes_left) {
                    (left(words, question, now))
                }
            }
            @if !question.touches.is_empty() {
                h3 { (words.touches) }
                ul { @for line in &question.touches { li { (line) } } }
            }
            @if !question.arguments.is_empty() { (arguments(words, &question.arguments)) }
            details open[question.arguments.is_empty()] {
                summary { (words.exact_call) }
                pre class="exact" tabindex="0" dir="ltr" { (question.call) }
            }
            h3 { (words.why_asked) }
            ul { @for line in &question.why { li { (line) } }
                li { (words.read_before) " " strong { (words.origin(&question.context)) } } }
            (answers(words, forms, question))
        }
    }
}

fn left(words: &Words, question: &ShownQuestion, now: Timestamp) -> String {
    let minutes = question.expires_at.since(now).as_secs().div_ceil(60);
    format!("{minutes} {}", words.minutes_left)
}

/// Each argument exactly, with where it came from.
fn arguments(words: &Words, arguments: &[ShownArgument]) -> Markup {
    html! {
        div class="wide" tabindex="0" { table class="rows" {
            thead { tr { th scope="col" { (words.argument) } th scope="col" { (words.exact_value) }
                th scope="col" { (words.comes_from) } } }
            tbody { @for one in arguments { tr {
                td { code { (one.path) } }
                td class="main" { pre class="exact" dir="ltr" { (one.text) } }
                td class="from" {
                    @if !one.grade.is_empty() { span class="mark" title=(words.grade) { (one.grade) } " " }
                    (words.origin(&one.origin))
                    @if let Some(source) = &one.source { div class="soft" { (source) } }
                }
            } } }
        } }
    }
}

/// No comes first: who presses the first button by mistake has allowed nothing.
fn answers(words: &Words, forms: &Forms, question: &ShownQuestion) -> Markup {
    let path = format!("/api/v1/approvals/{}/answer", question.id);
    let act = Act {
        method: "POST",
        path: &path,
        then: PAGE,
        script: "reload",
    };
    let digest = html! { input type="hidden" name="digest" value=(question.digest); };
    html! {
        div class="acts" {
            (forms.form(act, &html! { (digest)
                button name="answer" value="no" { (words.answer_no) }
                button name="answer" value="once" { (words.answer_once) }
            }))
            @if let Some(rule) = &question.always {
                details class="act" {
                    summary { (words.answer_always) }
                    (forms.form(act, &html! { (digest)
                        p { (words.rule_would_be) " " strong { (rule) } }
                        button name="answer" value="always" { (words.keep_for_a_time) }
                        button name="answer" value="pinned" { (words.keep_for_ever) }
                    }))
                }
            }
        }
        @if question.always.is_none() { p class="soft" { (words.always_not_offered) } }
    }
}

fn standing(words: &Words, forms: &Forms, known: &RuleList) -> Markup {
    html! {
        section {
            h2 { (words.standing_rules) }
            @if known.rules.is_empty() { p class="soft" { (words.no_rules) } } @else {
                div class="wide" tabindex="0" { table class="rows" {
                    thead { tr { th scope="col" { (words.rule_says) } th scope="col" { (words.state) }
                        th scope="col" { (words.made_by) } th scope="col" { span class="sr" { (words.what) } } } }
                    tbody { @for rule in &known.rules { (rule_row(words, forms, rule)) } }
                } }
            }
        }
    }
}

fn rule_row(words: &Words, forms: &Forms, rule: &ShownRule) -> Markup {
    let path = format!("/api/v1/rules/{}", rule.id);
    let act = Act {
        method: "DELETE",
        path: &path,
        then: PAGE,
        script: "reload",
    };
    html! {
        tr {
            td class="main" { (rule.words) }
            td {
                @if !rule.holds { span class="mark notice" { (words.rule_over) } }
                @else if let Some(end) = rule.expires_at { (words.rule_until) " " (moment(end)) }
                @else { span class="mark" { (words.rule_pinned) } }
            }
            td { (rule.created_by) div class="soft" { (moment(rule.created_at)) } }
            td class="acts" { @if rule.holds {
                (forms.form(act, &html! { button class="bad" { (words.take_back) } }))
            } }
        }
    }
}

/// Another posture is offered and never chosen here.
fn offer(words: &Words, count: usize) -> Markup {
    html! {
        p class="card" data-offer="" {
            strong { (count) } " " (words.posture_offer) " "
            a href="/policy?compare=1#compare" { (words.posture_offer_look) }
        }
    }
}

fn history(words: &Words, answered: &QuestionList, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { (words.answered_before) }
            @if answered.questions.is_empty() { p class="soft" { (words.none) } } @else {
                div class="wide" tabindex="0" { table class="rows" {
                    thead { tr { th scope="col" { (words.when) } th scope="col" { (words.what) }
                        th scope="col" { (words.state) } th scope="col" { (words.made_by) } } }
                    tbody { @for one in &answered.questions { (answered_row(words, one, now)) } }
                } }
            }
        }
    }
}

fn answered_row(words: &Words, one: &ShownQuestion, now: Timestamp) -> Markup {
    let class = match one.state {
        QuestionState::Approved | QuestionState::Used => "mark",
        QuestionState::Denied => "mark wrong",
        QuestionState::Open | QuestionState::Expired | QuestionState::Void => "mark notice",
    };
    let at = one
        .answer
        .as_ref()
        .map_or(one.expires_at.min(now), |answer| answer.at);
    html! {
        tr {
            td { (moment(at)) }
            td class="main" {
                details { summary { code { (one.tool) } " " @if let Some(line) = one.touches.first() { (line) } }
                    pre class="exact" dir="ltr" { (one.call) }
                    p class="soft" { (one.session) }
                }
            }
            td { span class=(class) { (words.question_state(one.state)) } }
            td { @if let Some(answer) = &one.answer { (answer.by) } }
        }
    }
}
