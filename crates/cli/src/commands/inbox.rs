//! `instar inbox`.

use instar_protocol::Timestamp;
use instar_protocol::letter::{
    AnswerLetter, LetterKind, LetterList, LetterState, Said, ShownLetter,
};
use serde_json::json;

use super::events::escape;
use super::offline;
use crate::args::Inbox;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, span};

/// Letters that an id may be the beginning of.
const LOOKED_AT: usize = 500;

pub(crate) async fn run(command: &Inbox, run: &Context) -> anyhow::Result<()> {
    match command {
        Inbox::List { all, limit } => list(*all, *limit, run).await,
        Inbox::Show { letter } => {
            let letter = find(letter, run).await?;
            if run.out.json() {
                return run.out.value(&letter);
            }
            show(&letter, run);
            Ok(())
        }
        Inbox::Answer {
            letter,
            text,
            option,
        } => {
            let letter = find(letter, run).await?;
            let body = AnswerLetter {
                text: text.clone(),
                option: option.map(|number| json!(number)),
            };
            let told = match &letter.kind {
                LetterKind::Question => "answered: it goes into the conversation that asked",
                LetterKind::Message => "",
            };
            send(&letter, "answer", &body, told, run).await
        }
        Inbox::Close { letter } => {
            let letter = find(letter, run).await?;
            send(&letter, "close", &json!({}), "put aside", run).await
        }
    }
}

async fn read(state: &str, limit: usize, run: &Context) -> anyhow::Result<LetterList> {
    match offline::live(run).await? {
        Some(client) => {
            let path = format!("/api/v1/inbox?state={state}&limit={limit}");
            client.get(&path).await
        }
        None => offline::letters(run, state, limit).await,
    }
}

async fn list(all: bool, limit: usize, run: &Context) -> anyhow::Result<()> {
    let state = if all { "all" } else { "open" };
    let found = read(state, limit, run).await?;
    if run.out.json() {
        return run.out.value(&found);
    }
    if found.letters.is_empty() {
        run.out.note(if all {
            "nothing was ever left for you"
        } else {
            "nothing waits for you; `instar inbox list --all` shows older letters"
        });
        return Ok(());
    }
    let now = run.now();
    let rows: Vec<_> = found
        .letters
        .iter()
        .map(|one| {
            let (style, state) = state_of(one, now);
            let kind = match one.kind {
                LetterKind::Question => "asks",
                LetterKind::Message => "tells",
            };
            vec![
                (Style::Strong, one.id.to_string()),
                (style, state),
                (Style::Plain, format!("{} {kind}", one.agent)),
                (Style::Plain, first_line(&one.text)),
                (Style::Faint, one.session.to_string()),
            ]
        })
        .collect();
    run.out
        .table(&["letter", "state", "who", "what", "conversation"], &rows);
    if found.open > 0 {
        run.out.note(
            "`instar inbox show LETTER` shows one, `answer LETTER WORDS` answers it, `close LETTER` \
             puts it aside",
        );
    }
    Ok(())
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 60 {
        format!("{}…", line.chars().take(59).collect::<String>())
    } else {
        line.to_owned()
    }
}

fn state_of(letter: &ShownLetter, now: Timestamp) -> (Style, String) {
    match (letter.state, letter.expires_at) {
        (LetterState::Open, Some(end)) if now < end => {
            let left = span(end.since(now));
            (Style::Warn, format!("waits, {left} left"))
        }
        (LetterState::Open, Some(_)) | (LetterState::Expired, _) => {
            (Style::Faint, "expired".to_owned())
        }
        (LetterState::Open, None) => (Style::Warn, "new".to_owned()),
        (LetterState::Answered | LetterState::Delivered, _) => (Style::Good, "answered".to_owned()),
        (LetterState::Closed, _) => (Style::Faint, "closed".to_owned()),
    }
}

fn show(letter: &ShownLetter, run: &Context) {
    let out = run.out;
    let now = run.now();
    let (style, state) = state_of(letter, now);
    let line = |name: &str, text: &str| {
        let name = out.paint(Style::Faint, &format!("{name:<14}"));
        out.line(&format!("{name}{}", text.replace('\n', "\n              ")));
    };
    let head = match letter.kind {
        LetterKind::Question => format!("{} asks you, in its own words:", letter.agent),
        LetterKind::Message => format!("{} has something to tell, in its own words:", letter.agent),
    };
    out.line(&out.paint(Style::Strong, &head));
    line("", &letter.text);
    for (at, option) in letter.options.iter().enumerate() {
        line(&format!("option {}", at + 1), option);
    }
    line("read before", &letter.context);
    line("conversation", letter.session.as_str());
    line("when", &ago(letter.at, now));
    line("state", &out.paint(style, &state));
    if let Some(reply) = &letter.reply {
        let said = match &reply.said {
            Said::Typed(text) => text.clone(),
            Said::Picked(at) => letter.options.get(*at).cloned().unwrap_or_default(),
        };
        let told = format!("{said} ({}, {})", reply.by, ago(reply.at, now));
        line("answer", &told);
    }
    if letter.state == LetterState::Open {
        line("id", letter.id.as_str());
    }
}

async fn send(
    letter: &ShownLetter,
    what: &str,
    body: &impl serde::Serialize,
    told: &str,
    run: &Context,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/inbox/{}/{what}", escape(letter.id.as_str()));
    let settled: ShownLetter = run.client()?.post(&path, body).await?;
    if run.out.json() {
        return run.out.value(&settled);
    }
    run.out.note(told);
    Ok(())
}

/// The letter that is meant: by its id, or by a beginning that only one has.
async fn find(named: &str, run: &Context) -> anyhow::Result<ShownLetter> {
    let known = read("all", LOOKED_AT, run).await?.letters;
    if let Some(exact) = known.iter().find(|one| one.id.as_str() == named) {
        return Ok(exact.clone());
    }
    let mut fits = known
        .into_iter()
        .filter(|one| one.id.as_str().starts_with(named));
    let message = match (fits.next(), fits.next()) {
        (Some(only), None) => return Ok(only),
        (None, _) => format!("there is no letter {named}"),
        (Some(_), Some(_)) => format!("more than one letter fits {named}: say more of the id"),
    };
    Err(Failure::new(Code::NotFound, message)
        .next("`instar inbox list --all` shows them")
        .into())
}
