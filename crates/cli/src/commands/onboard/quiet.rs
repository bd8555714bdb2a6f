//! Setting up without questions. The model is tried before anything is written.

use instar_gateway::config::Bind;
use instar_gateway::setup::{
    Candidate, Custom, KeyPlace, Offer, Refused, Report, Task, Verdict, filled, format_named,
};
use instar_protocol::Secret;
use serde_json::json;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Bench, declined, next_step};
use crate::args::{BindTo, Onboard};
use crate::commands::process::Running;
use crate::failure::{Code, Failure};
use crate::hide::{Exposure, is_key};
use crate::out::visible;
use crate::progress::waiting;

const KEY_BYTES_MAX: u64 = 64 << 10;

pub(super) async fn run(command: &Onboard, bench: &Bench<'_>, offer: &Offer) -> anyhow::Result<()> {
    if !command.accept_risk && offer.risk_accepted.is_none() {
        return Err(declined(bench.words()));
    }
    let candidate = candidate(command, bench, offer)?;
    let mut tasks = vec![Task::AcceptRisk];
    let workspace = match &command.workspace {
        Some(folder) => expanded(folder, offer)?,
        None => offer.workspace.clone(),
    };
    tasks.push(Task::Workspace(workspace.clone()));
    let verdict = match &candidate {
        Some(candidate) if !command.skip_probe => Some(probe(candidate, bench).await?),
        _ => None,
    };
    let model = candidate.as_ref().map(Candidate::name);
    tasks.extend(candidate.map(Task::UseModel));
    tasks.extend(command.port.map(Task::Port));
    tasks.extend(command.bind.map(|bind| {
        Task::Bind(match bind {
            BindTo::Loopback => Bind::Loopback,
            BindTo::Lan => Bind::Lan,
        })
    }));
    if command.install_daemon {
        tasks.push(Task::Service);
    }
    tasks.push(Task::Finish);
    let mut changed = Vec::new();
    for task in &tasks {
        match bench.perform(task).await {
            Report::Done(keys) => changed.extend(keys),
            Report::Refused(why) => return Err(wrong(&why, bench)),
            Report::Failed(why) => return Err(Failure::new(Code::Failed, why).into()),
            Report::Probed(_) => {}
        }
    }
    let running = Running::find(&bench.state)?.is_some();
    let words = bench.words();
    let next = next_step(words, offer, command.install_daemon, &changed, running);
    let model = model.or_else(|| offer.model.clone());
    tell(
        bench,
        &workspace,
        model.as_deref(),
        verdict.as_ref(),
        &changed,
        next,
    )
}

fn tell(
    bench: &Bench<'_>,
    workspace: &Path,
    model: Option<&str>,
    verdict: Option<&Verdict>,
    changed: &[String],
    next: &str,
) -> anyhow::Result<()> {
    let (out, words) = (bench.run.out, bench.words());
    if out.json() {
        return out.value(&json!({
            "ok": true, "state": bench.state.root(), "workspace": workspace, "model": model,
            "verdict": verdict, "changed": changed, "next": next,
        }));
    }
    match (model, verdict) {
        (Some(model), Some(verdict)) => {
            let answers = filled(words.answers_after, &visible(model));
            out.line(&format!("{answers} {} ms", verdict.millis));
        }
        (Some(model), None) => out.line(&filled(words.not_tried, &visible(model))),
        (None, _) => out.line(words.no_model_named),
    }
    for key in changed {
        out.line(&filled(words.key_is_set, key));
    }
    out.note(&format!("{} {next}", words.next));
    Ok(())
}

async fn probe(candidate: &Candidate, bench: &Bench<'_>) -> anyhow::Result<Verdict> {
    let words = bench.words();
    let what = filled(words.asking, &visible(&candidate.name()));
    let asking = async { Ok(bench.setup.probe(candidate).await) };
    let verdict = waiting(&what, bench.run, asking).await?;
    if verdict.ok {
        return Ok(verdict);
    }
    if bench.run.out.json() {
        bench.run.out.value(&json!({
            "ok": false, "model": candidate.name(), "verdict": verdict, "changed": [],
        }))?;
    }
    let why = verdict.told(bench.tongue);
    let message = format!("{} {why}", filled(words.does_not_answer, &candidate.name()));
    Err(Failure::new(Code::Failed, visible(&message))
        .next(words.nothing_changed)
        .into())
}

fn candidate(
    command: &Onboard,
    bench: &Bench<'_>,
    offer: &Offer,
) -> anyhow::Result<Option<Candidate>> {
    let choice = command.auth_choice.as_deref().map(plain_choice);
    let candidate = match choice {
        Some("later" | "skip" | "demo") => None,
        Some("custom") => Some(custom(command, bench)?),
        Some(vendor) => Some(of_vendor(vendor, command, bench, offer)?),
        None if command.custom_base_url.is_some() => Some(custom(command, bench)?),
        None => match command.model.as_ref().or(offer.model.as_ref()) {
            Some(name) => {
                let named = Candidate::named(name).map_err(|refused| wrong(&refused, bench))?;
                Some(named.with_key(key(command, bench)?))
            }
            None => None,
        },
    };
    Ok(candidate)
}

/// The choice without what others write behind it: `openai-api-key` is `openai`.
fn plain_choice(choice: &str) -> &str {
    match choice {
        "apiKey" => "anthropic",
        other => other.strip_suffix("-api-key").unwrap_or(other),
    }
}

fn custom(command: &Onboard, bench: &Bench<'_>) -> anyhow::Result<Candidate> {
    let missing = |what: &str| {
        let words = bench.words();
        Failure::new(Code::Usage, filled(words.is_missing, what)).next(words.own_server_needs)
    };
    let base_url = command.custom_base_url.as_deref();
    let base_url = base_url.ok_or_else(|| missing("--custom-base-url"))?;
    let model = command
        .custom_model_id
        .as_deref()
        .or(command.model.as_deref());
    let model = model.ok_or_else(|| missing("--custom-model-id"))?;
    let api =
        format_named(&command.custom_compatibility).map_err(|refused| wrong(&refused, bench))?;
    let server = Custom::new(base_url, api).map_err(|refused| wrong(&refused, bench))?;
    let provider = command.custom_provider_id.as_deref();
    let candidate =
        Candidate::custom(server, model, provider).map_err(|refused| wrong(&refused, bench))?;
    Ok(candidate.with_key(key(command, bench)?))
}

fn of_vendor(
    id: &str,
    command: &Onboard,
    bench: &Bench<'_>,
    offer: &Offer,
) -> anyhow::Result<Candidate> {
    let words = bench.words();
    let vendor = offer.vendors.iter().find(|vendor| vendor.id == id);
    let vendor = vendor.ok_or_else(|| {
        let known: Vec<&str> = offer
            .vendors
            .iter()
            .map(|vendor| vendor.id.as_str())
            .collect();
        Failure::new(Code::Usage, filled(words.no_choice, &format!("{id:?}")))
            .next(filled(words.choices, &known.join(", ")))
    })?;
    let model = command
        .model
        .as_deref()
        .or(vendor.models.first().map(String::as_str));
    let model = model.ok_or_else(|| {
        Failure::new(Code::Usage, filled(words.no_usual_model, &vendor.name))
            .next(words.name_a_model)
    })?;
    let model = model.strip_prefix(&format!("{id}/")).unwrap_or(model);
    let candidate =
        Candidate::named(&format!("{id}/{model}")).map_err(|refused| wrong(&refused, bench))?;
    Ok(match (key(command, bench)?, &vendor.key) {
        (Some(key), _) => candidate.with_key(Some(key)),
        (None, KeyPlace::Environment(variable)) => candidate.with_key_of(Some(variable.clone())),
        (None, KeyPlace::Kept | KeyPlace::NotNeeded) => candidate,
        (None, KeyPlace::Missing) => {
            return Err(
                Failure::new(Code::Usage, filled(words.vendor_needs_key, &vendor.name))
                    .next(words.give_a_key)
                    .into(),
            );
        }
    })
}

/// The key, from where it was said to be.
fn key(command: &Onboard, bench: &Bench<'_>) -> anyhow::Result<Option<Secret>> {
    let Some(given) = command.custom_api_key.as_deref() else {
        return Ok(None);
    };
    let mut text = String::new();
    if given == "-" {
        let _read = std::io::stdin()
            .lock()
            .take(KEY_BYTES_MAX)
            .read_to_string(&mut text)?;
    } else if let Some(file) = given.strip_prefix('@') {
        let opened = std::fs::File::open(file);
        let opened = opened.map_err(|error| {
            let what = bench.words().key_file;
            Failure::new(Code::Usage, format!("{what} {file}: {error}"))
        })?;
        let _read = opened.take(KEY_BYTES_MAX).read_to_string(&mut text)?;
    } else {
        admit(given, bench)?;
        given.clone_into(&mut text);
    }
    let key = text.trim();
    Ok((!key.is_empty()).then(|| Secret::new(key)))
}

/// A key that stood on the command line is taken only if the process list no longer shows it.
fn admit(given: &str, bench: &Bench<'_>) -> anyhow::Result<()> {
    let out = bench.run.out;
    match bench.run.exposure {
        Exposure::Hidden if is_key(given.as_bytes()) => {
            out.note(bench.words().key_was_shown);
            Ok(())
        }
        Exposure::Shown => {
            let words = bench.words();
            Err(Failure::new(Code::Refused, words.key_stays_shown)
                .next(words.key_stays_shown_next)
                .into())
        }
        // From the variable.
        Exposure::Hidden | Exposure::Nothing => Ok(()),
    }
}

fn expanded(folder: &Path, offer: &Offer) -> anyhow::Result<PathBuf> {
    if let (Ok(rest), Some(home)) = (folder.strip_prefix("~"), &offer.home) {
        return Ok(home.join(rest));
    }
    Ok(std::path::absolute(folder)?)
}

fn wrong(refused: &Refused, bench: &Bench<'_>) -> anyhow::Error {
    Failure::new(Code::Usage, refused.told(bench.tongue)).into()
}
