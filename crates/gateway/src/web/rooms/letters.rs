//! What agents left for the owner, on the page of approvals: questions to answer in words, messages to
//! read.
//!
//! The text is a model's: it is drawn as plain text, with no link and no picture, and it is said whose
//! it is.

use instar_protocol::Timestamp;
use instar_protocol::letter::{LetterKind, LetterState, Said, ShownLetter};
use maud::{Markup, html};

use super::encoded;
use crate::api::records::{self, LettersQuery};
use crate::app::AppState;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::frame::moment;
use crate::web::words::Words;

const PAGE: &str = "/approvals";
/// Letters of before that the page shows.
const BEFORE: usize = 20;

/// What waits, the newest first.
pub(super) async fn open(app: &AppState, now: Timestamp) -> Result<Vec<ShownLetter>, ApiProblem> {
    let all = records::letters(&app.store, &LettersQuery::default(), now).await?;
    Ok(all.letters)
}

/// What was answered or read.
pub(super) async fn settled(
    app: &AppState,
    now: Timestamp,
) -> Result<Vec<ShownLetter>, ApiProblem> {
    let query = LettersQuery {
        state: Some("settled".to_owned()),
        limit: Some(BEFORE),
    };
    Ok(records::letters(&app.store, &query, now).await?.letters)
}

pub(super) fn cards(words: &Words, forms: &Forms, letters: &[ShownLetter]) -> Markup {
    html! { @for letter in letters { (card(words, forms, letter)) } }
}

fn card(words: &Words, forms: &Forms, letter: &ShownLetter) -> Markup {
    let id = letter.id.as_str();
    let title = format!("title-{id}");
    let asks = letter.kind == LetterKind::Question;
    html! {
        article class="card wait ask" data-question=(id) aria-labelledby=(title) {
            h2 id=(title) { @if asks { (words.agent_asks) } @else { (words.agent_tells) } }
            p class="soft" {
                (words.agent) " " strong { (letter.agent) } " · "
                a href={ "/chat?session=" (encoded(letter.session.as_str())) } { (letter.session) } " · "
                (moment(letter.at))
            }
            pre class="exact" dir="auto" { (letter.text) }
            p class="soft" { (words.its_own_words) " " (words.read_before) " "
                strong { (words.origin(&letter.context)) } }
            @if asks { (answers(words, forms, letter)) } @else { (closing(words, forms, letter)) }
        }
    }
}

fn answers(words: &Words, forms: &Forms, letter: &ShownLetter) -> Markup {
    let path = format!("/api/v1/inbox/{}/answer", letter.id);
    let act = Act {
        method: "POST",
        path: &path,
        then: PAGE,
        script: "reload",
    };
    let field = format!("answer-{}", letter.id);
    html! {
        @if !letter.options.is_empty() {
            (forms.form(act, &html! {
                @for (at, option) in letter.options.iter().enumerate() {
                    button name="option" value=(at + 1) { (option) } " "
                }
            }))
        }
        (forms.form(act, &html! {
            label for=(field) { (words.your_answer) }
            textarea id=(field) name="text" rows="2" maxlength="4000" required {}
            button class="primary" { (words.send_answer) }
        }))
        (closing(words, forms, letter))
    }
}

fn closing(words: &Words, forms: &Forms, letter: &ShownLetter) -> Markup {
    let path = format!("/api/v1/inbox/{}/close", letter.id);
    let act = Act {
        method: "POST",
        path: &path,
        then: PAGE,
        script: "reload",
    };
    let word = match letter.kind {
        LetterKind::Question => words.put_aside,
        LetterKind::Message => words.have_read,
    };
    forms.form(act, &html! { button { (word) } })
}

pub(super) fn before(words: &Words, letters: &[ShownLetter]) -> Markup {
    html! {
        @if !letters.is_empty() {
            section {
                h2 { (words.letters_before) }
                div class="wide" tabindex="0" { table class="rows" {
                    thead { tr { th scope="col" { (words.when) } th scope="col" { (words.what) }
                        th scope="col" { (words.state) } th scope="col" { (words.made_by) } } }
                    tbody { @for one in letters { (row(words, one)) } }
                } }
            }
        }
    }
}

fn row(words: &Words, letter: &ShownLetter) -> Markup {
    let said = letter.reply.as_ref().map(|reply| match &reply.said {
        Said::Typed(text) => text.as_str(),
        Said::Picked(at) => letter.options.get(*at).map_or("", String::as_str),
    });
    let state = match (letter.state, letter.kind) {
        (LetterState::Open, _) => words.state_open,
        (LetterState::Answered | LetterState::Delivered, _) => words.was_answered,
        (LetterState::Closed, LetterKind::Message) => words.was_read,
        (LetterState::Closed, LetterKind::Question) => words.was_put_aside,
        (LetterState::Expired, _) => words.was_late,
    };
    html! {
        tr {
            td { (moment(letter.at)) }
            td class="main" {
                details { summary { (first_line(&letter.text)) }
                    pre class="exact" dir="auto" { (letter.text) }
                    @if let Some(said) = said { p { strong { (words.your_answer) } ": " (said) } }
                    p class="soft" { (letter.session) }
                }
            }
            td { span class="mark notice" { (state) } }
            td { @if let Some(reply) = &letter.reply { (reply.by) } }
        }
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(80).collect();
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        cut
    }
}
