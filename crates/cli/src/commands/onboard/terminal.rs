//! The questions on a terminal: numbered options and typed lines, which every terminal and every
//! screen reader can do.

use instar_gateway::setup::{
    Answer, Now, Offer, Refused, Report, Step, StepKind, Task, Tongue, Wizard, filled,
};
use instar_protocol::Secret;
use instar_protocol::api::SignInCode;
use serde_json::Value;
use std::io::IsTerminal as _;

use super::{Bench, declined, next_step};
use crate::args::Onboard;
use crate::client::Client;
use crate::commands::process::Running;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::keyboard::Keyboard;
use crate::out::{Out, Style, visible};
use crate::progress::waiting;

const BACK: &str = "<";

pub(super) async fn run(command: &Onboard, bench: &Bench<'_>, offer: Offer) -> anyhow::Result<()> {
    let out = bench.run.out;
    let (tongue, words) = (bench.tongue, bench.words());
    if out.json() || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::new(Code::Usage, words.needs_terminal)
            .next(words.needs_terminal_next)
            .into());
    }
    if command.custom_base_url.is_some() || command.auth_choice.is_some() {
        return Err(Failure::new(Code::Usage, words.asked_anyway)
            .next(words.asked_anyway_next)
            .into());
    }
    out.line(&out.paint(Style::Strong, words.terminal_title));
    out.line(&out.paint(Style::Faint, words.terminal_keys));
    let found = offer.clone();
    let mut keyboard = Keyboard::open()?;
    let mut wizard = Wizard::new(offer, tongue);
    loop {
        match wizard.now() {
            Now::Ask(step) => ask(&mut wizard, &step, &mut keyboard, (out, tongue)).await?,
            Now::Work(task) => {
                let task = task.clone();
                let report = work(&task, bench, tongue).await?;
                wizard.report(report);
            }
            Now::Declined => return Err(declined(words)),
            Now::Done(_) => break,
        }
    }
    if let Now::Done(summary) = wizard.now() {
        out.line("");
        out.line(&out.paint(Style::Good, words.all_set));
        let row = |name: &str, value: &str| {
            let name = out.paint(Style::Faint, &format!("{name:<10}"));
            out.line(&format!("  {name} {}", visible(value)));
        };
        row("workspace", &summary.workspace.display().to_string());
        let model = summary.model.as_deref();
        row("model", model.unwrap_or(words.decided_later));
        if let Some(port) = summary.port {
            row("port", &port.to_string());
        }
        let running = Running::find(&bench.state)?.is_some();
        if let Some(link) = link(bench).await {
            row("open", &link);
            row("", words.link_once);
        }
        row(
            "next",
            next_step(
                words,
                &found,
                summary.service && running,
                &summary.changed,
                running,
            ),
        );
    }
    Ok(())
}

/// A link into the gateway that runs, if one does.
async fn link(bench: &Bench<'_>) -> Option<String> {
    let client = Client::find(&bench.state).ok()??;
    let nothing = serde_json::json!({});
    let made = client.post::<SignInCode>("/api/v1/sign-in-codes", &nothing);
    // Setting up has succeeded with or without it.
    made.await.ok().map(|code| code.url)
}

/// Shows a question until an answer to it is taken.
async fn ask(
    wizard: &mut Wizard,
    step: &Step,
    keyboard: &mut Keyboard,
    (out, tongue): (Out, Tongue),
) -> anyhow::Result<()> {
    show(step, out);
    loop {
        out.ask(&prompt(step, tongue));
        let line = keyboard.line(step.sensitive).await?;
        let line = line.ok_or_else(|| stopped(tongue))?;
        let taken = if line.trim() == BACK {
            wizard.back()
        } else {
            read(step, line).and_then(|answer| wizard.answer(answer))
        };
        match taken {
            Ok(()) => return Ok(()),
            Err(refused) => complain(&refused.told(tongue), out),
        }
    }
}

fn show(step: &Step, out: Out) {
    out.line("");
    out.line(&out.paint(Style::Strong, &visible(&step.title)));
    if let Some(message) = &step.message {
        for line in visible(message).lines() {
            let indent = if line.starts_with("- ") { "  " } else { "" };
            for (index, part) in wrapped(line, 88).iter().enumerate() {
                let indent = if index == 0 { "" } else { indent };
                out.line(format!("  {indent}{part}").trim_end());
            }
        }
    }
    if let Some(problem) = &step.problem {
        complain(problem, out);
    }
    let width = step
        .options
        .iter()
        .map(|one| one.label.chars().count())
        .max();
    for (index, option) in step.options.iter().enumerate() {
        let label = visible(&option.label);
        let pad = width.unwrap_or(0).saturating_sub(label.chars().count());
        let hint = option.hint.as_deref().map(visible);
        let hint = hint.map_or(String::new(), |hint| out.paint(Style::Faint, &hint));
        let line = format!("  {:>2}  {label}{:pad$}  {hint}", index + 1, "");
        out.line(line.trim_end());
    }
}

fn complain(why: &str, out: Out) {
    for part in wrapped(&visible(why), 88) {
        out.line(&format!("  {}", out.paint(Style::Bad, &part)));
    }
}

/// What stands before the answer.
fn prompt(step: &Step, tongue: Tongue) -> String {
    let initial = match (&step.kind, &step.initial_value) {
        (StepKind::Confirm, Some(Value::Bool(true))) => "Y/n".to_owned(),
        (StepKind::Confirm, _) => "y/N".to_owned(),
        (StepKind::Select, Some(Value::String(value))) => {
            let at = step.options.iter().position(|one| one.value == *value);
            at.map_or(String::new(), |at| (at + 1).to_string())
        }
        (StepKind::Text, Some(Value::String(text))) => visible(text),
        _ => String::new(),
    };
    match (&step.placeholder, initial.is_empty()) {
        (_, false) => format!("  [{initial}] > "),
        (Some(like), true) => {
            format!("  ({}) > ", filled(tongue.words().terminal_like, like))
        }
        (None, true) => "  > ".to_owned(),
    }
}

fn read(step: &Step, line: String) -> Result<Answer, Refused> {
    let typed = line.trim();
    if typed.is_empty() && !step.sensitive {
        return step.answer(None);
    }
    match step.kind {
        StepKind::Confirm => match typed.to_lowercase().as_str() {
            "y" | "yes" => Ok(Answer::Yes(true)),
            "n" | "no" => Ok(Answer::Yes(false)),
            _ => Err(Refused::new(|w| w.terminal_yes)),
        },
        StepKind::Select => {
            let at = typed.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
            let named = || {
                step.options
                    .iter()
                    .find(|one| one.label == typed || one.value == typed)
            };
            let option = at.and_then(|at| step.options.get(at)).or_else(named);
            let count = step.options.len();
            let wrong = || Refused::about(|w| w.terminal_number, count.to_string());
            step.typed(option.ok_or_else(wrong)?.value.clone())
        }
        StepKind::Text if step.sensitive => Ok(Answer::Secret(Secret::new(line))),
        StepKind::Text => step.typed(line),
    }
}

/// Does a task, and says what came of the ones that take long.
async fn work(task: &Task, bench: &Bench<'_>, tongue: Tongue) -> anyhow::Result<Report> {
    let out = bench.run.out;
    let what = match task {
        Task::Probe(candidate) => filled(tongue.words().asking, &visible(&candidate.name())),
        _ => "working".to_owned(),
    };
    if let Task::Probe(_) = task {
        out.line("");
        out.line(&out.paint(Style::Faint, &format!("  {what}, ≤ 20 s")));
    }
    let doing = async { Ok(bench.perform(task).await) };
    let report = interruptible(waiting(&what, bench.run, doing), bench.run, tongue).await?;
    if let (Task::Probe(candidate), Report::Probed(verdict)) = (task, &report)
        && verdict.ok
    {
        let good = out.paint(Style::Good, tongue.words().it_answers);
        let name = visible(&candidate.name());
        out.line(&format!("  {name}: {good}, {} ms", verdict.millis));
    }
    Ok(report)
}

async fn interruptible<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    run: &Context,
    tongue: Tongue,
) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => {
            run.out.line("");
            Err(stopped(tongue))
        }
    }
}

fn stopped(tongue: Tongue) -> anyhow::Error {
    Failure::new(Code::Failed, tongue.words().stopped)
        .next("`instar onboard` goes on with it")
        .into()
}

/// A text in lines of at most so many characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut();
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
