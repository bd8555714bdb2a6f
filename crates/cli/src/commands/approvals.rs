//! `instar approvals`.

use instar_protocol::api::Done;
use instar_protocol::approvals::{OwnersWord, QuestionList, RuleList, ShownQuestion, ShownRule};
use std::io::IsTerminal as _;

use super::events::escape;
use super::offline;
use crate::args::{Approvals, Approve, Rules};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::keyboard::Keyboard;
use crate::out::Style;
use crate::question::{self, asks, facts, settled, state_of};

/// Questions that an id may be the beginning of.
const LOOKED_AT: usize = 500;

pub(crate) async fn run(command: &Approvals, run: &Context) -> anyhow::Result<()> {
    match command {
        Approvals::List { all, limit } => list(*all, *limit, run).await,
        Approvals::Show { question } => {
            let question = find(question, run).await?;
            if run.out.json() {
                return run.out.value(&question);
            }
            show(&question, run);
            Ok(())
        }
        Approvals::Approve(given) => approve(given, run).await,
        Approvals::Deny { question } => {
            let question = find(question, run).await?;
            answer(&question, OwnersWord::No, run).await
        }
        Approvals::Rules {
            command: None | Some(Rules::List),
        } => rules(run).await,
        Approvals::Rules {
            command: Some(Rules::Revoke { rule }),
        } => revoke(rule, run).await,
    }
}

async fn read(state: &str, limit: usize, run: &Context) -> anyhow::Result<QuestionList> {
    match offline::live(run).await? {
        Some(client) => {
            let path = format!("/api/v1/approvals?state={state}&limit={limit}");
            client.get(&path).await
        }
        None => offline::questions(run, state, limit).await,
    }
}

async fn list(all: bool, limit: usize, run: &Context) -> anyhow::Result<()> {
    let state = if all { "all" } else { "open" };
    let found = read(state, limit, run).await?;
    if run.out.json() {
        return run.out.value(&found);
    }
    if let Some(count) = found.agreed {
        run.out.note(&format!(
            "{count} questions of the last seven days got your yes; `instar policy posture` tells which of them \
             another posture would not ask"
        ));
    }
    if found.questions.is_empty() {
        run.out.note(if all {
            "nothing was ever asked"
        } else {
            "no question waits for you; `instar approvals list --all` shows older ones"
        });
        return Ok(());
    }
    let now = run.now();
    let rows: Vec<_> = found
        .questions
        .iter()
        .map(|one| {
            let (style, state) = state_of(one, now);
            vec![
                (Style::Strong, one.id.to_string()),
                (style, state),
                (Style::Plain, one.tool.clone()),
                (Style::Plain, first_line(one)),
                (Style::Faint, one.session.to_string()),
            ]
        })
        .collect();
    run.out.table(
        &["question", "state", "tool", "about", "conversation"],
        &rows,
    );
    if found.open > 0 {
        run.out
            .note("`instar approvals show QUESTION` shows one, `approve` or `deny` answers it");
    }
    Ok(())
}

/// What an argument or the touched things say, in one short line.
fn first_line(question: &ShownQuestion) -> String {
    let told = question.touches.first().cloned().unwrap_or_else(|| {
        let arguments = question.arguments.iter();
        let told: Vec<String> = arguments
            .map(|one| format!("{}={}", one.path, one.text))
            .collect();
        told.join(" ")
    });
    let line: String = told.lines().next().unwrap_or_default().to_owned();
    if line.chars().count() > 60 {
        format!("{}…", line.chars().take(59).collect::<String>())
    } else {
        line
    }
}

/// Everything that an answer should be based on. Nothing is cut.
fn show(question: &ShownQuestion, run: &Context) {
    let out = run.out;
    out.line(&out.paint(Style::Strong, &asks(question)));
    for fact in facts(question, run.now()) {
        let name = out.paint(Style::Faint, &format!("{:<14}", fact.name));
        let text = out.paint(fact.style, &fact.text);
        out.line(&format!("{name}{}", text.replace('\n', "\n              ")));
    }
}

async fn approve(given: &Approve, run: &Context) -> anyhow::Result<()> {
    let question = find(&given.question, run).await?;
    let word = match (given.always, given.pin) {
        (true, true) => OwnersWord::Pinned,
        (true, false) => OwnersWord::Always,
        (false, _) => OwnersWord::Once,
    };
    if word.keeps_a_rule() && !given.yes {
        let Some(words) = &question.always else {
            let message = format!("\"always\" is not offered for {}", question.id);
            return Err(Failure::new(Code::Refused, message)
                .next("answer this one call: `instar approvals approve QUESTION`")
                .into());
        };
        run.out
            .note("This rule would be kept, and you would not be asked again:");
        run.out.note(&format!("  {words}"));
        if !confirmed(run).await? {
            return Err(Failure::new(Code::Refused, "nothing was answered")
                .next("add --yes to keep the rule, or leave --always out")
                .into());
        }
    }
    answer(&question, word, run).await
}

async fn confirmed(run: &Context) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    run.out.ask("Keep it? [y/N] ");
    let line = Keyboard::open()?.line(false).await?.unwrap_or_default();
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

async fn answer(question: &ShownQuestion, word: OwnersWord, run: &Context) -> anyhow::Result<()> {
    let answered = question::answer(&run.client()?, question, word).await?;
    if run.out.json() {
        return run.out.value(&answered);
    }
    run.out.note(&settled(&answered, word));
    Ok(())
}

/// The question that is meant: by its id, or by a beginning that only one has.
async fn find(named: &str, run: &Context) -> anyhow::Result<ShownQuestion> {
    let known = read("all", LOOKED_AT, run).await?.questions;
    if let Some(exact) = known.iter().find(|one| one.id.as_str() == named) {
        return Ok(exact.clone());
    }
    let fits = known
        .into_iter()
        .filter(|one| one.id.as_str().starts_with(named));
    only(
        fits.collect(),
        "question",
        named,
        "`instar approvals list --all` shows them",
    )
}

fn only<T>(mut found: Vec<T>, what: &str, named: &str, next: &str) -> anyhow::Result<T> {
    let message = match found.len() {
        1 => return Ok(found.remove(0)),
        0 => format!("there is no {what} {named}"),
        many => format!("{many} fit {named}: say more of the id"),
    };
    Err(Failure::new(Code::NotFound, message).next(next).into())
}

async fn known_rules(run: &Context) -> anyhow::Result<RuleList> {
    match offline::live(run).await? {
        Some(client) => client.get("/api/v1/rules").await,
        None => offline::rules(run).await,
    }
}

async fn rules(run: &Context) -> anyhow::Result<()> {
    let known = known_rules(run).await?;
    if run.out.json() {
        return run.out.value(&known);
    }
    if known.rules.is_empty() {
        run.out
            .note("no standing rules; answering \"always\" keeps one");
        return Ok(());
    }
    let rows: Vec<_> = known.rules.iter().map(|one| rule_row(one, run)).collect();
    run.out.table(&["rule", "state", "kept by", "says"], &rows);
    Ok(())
}

fn rule_row(rule: &ShownRule, run: &Context) -> Vec<(Style, String)> {
    let now = run.now();
    let state = match (rule.holds, rule.revoked_at, rule.expires_at) {
        (true, _, None) => (Style::Good, "pinned".to_owned()),
        (true, _, Some(end)) => {
            let days = end.since(now).as_secs() / 86_400;
            (Style::Good, format!("{days} d left"))
        }
        (false, Some(_), _) => (Style::Faint, "revoked".to_owned()),
        (false, None, _) => (Style::Faint, "ended".to_owned()),
    };
    vec![
        (Style::Strong, rule.id.to_string()),
        state,
        (Style::Plain, rule.created_by.clone()),
        (Style::Plain, rule.words.clone()),
    ]
}

async fn revoke(named: &str, run: &Context) -> anyhow::Result<()> {
    let known = known_rules(run).await?.rules;
    let fits = known
        .into_iter()
        .filter(|one| one.id.as_str().starts_with(named));
    let next = "`instar approvals rules` shows them";
    let rule = only(fits.collect(), "rule", named, next)?;
    let path = format!("/api/v1/rules/{}", escape(rule.id.as_str()));
    let done: Done = run.client()?.delete(&path).await?;
    if run.out.json() {
        return run.out.value(&done);
    }
    run.out.note(if done.changed {
        "revoked: what it covered is asked about again"
    } else {
        "it was revoked before"
    });
    Ok(())
}
