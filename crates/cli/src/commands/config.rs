//! `instar config`: works on the file; a running gateway notices the change by itself.

use anyhow::Context;
use instar_config::{self as config, Author, ConfigError, StateDir};
use instar_gateway::config::InstarConfig;
use serde_json::Value;

use crate::args::Config;
use crate::context::{Context as Run, environment};
use crate::failure::{Code, Failure};

pub(crate) fn run(command: &Config, run: &Run) -> anyhow::Result<()> {
    match command {
        Config::Get { path } => get(path.as_deref(), run),
        Config::Set { path, value } => set(path, value, run),
        Config::Unset { path } => unset(path, run),
        Config::Validate => validate(run),
        Config::Schema { markdown: true } => {
            run.out.piece(&config::markdown::<InstarConfig>());
            Ok(())
        }
        Config::Schema { markdown: false } => run.out.value(&config::schema::<InstarConfig>()),
        Config::File if run.out.json() => run
            .out
            .value(&serde_json::json!({ "file": run.state()?.config_file() })),
        Config::File => {
            run.out
                .line(&run.state()?.config_file().display().to_string());
            Ok(())
        }
    }
}

/// What a start would refuse is refused when it is written.
pub(super) const RULES: config::Rules<'_, InstarConfig> = &|config| config.problems();

pub(crate) fn author() -> Author {
    Author {
        who: "instar config".to_owned(),
        pid: std::process::id(),
    }
}

fn get(path: Option<&str>, run: &Run) -> anyhow::Result<()> {
    let state = run.state()?;
    let loaded = config::load::<InstarConfig>(state.config_file(), &environment)
        .map_err(|error| explain(error, run))?;
    let effective = serde_json::to_value(&loaded.value).context("writing the configuration")?;
    let found = match path {
        None => Some(&effective),
        Some(path) => config::KeyPath::parse(path)?.find(&effective),
    };
    match (found, path) {
        (Some(Value::String(text)), _) if !run.out.json() => {
            run.out.line(text);
            Ok(())
        }
        (Some(value), _) => run.out.value(value),
        (None, path) => {
            let path = path.unwrap_or_default();
            let known = config::keys::<InstarConfig>();
            match nearest(path, known.iter().map(|key| key.path.as_str())) {
                Some(near) if near == path => {
                    run.out.note(&format!("{path} is not set"));
                    Ok(())
                }
                near => {
                    let failure = Failure::new(Code::NotFound, format!("there is no key {path}"));
                    Err(match near {
                        Some(near) => failure.next(format!("did you mean {near}?")),
                        None => failure.next("see all keys with `instar config schema --markdown`"),
                    }
                    .into())
                }
            }
        }
    }
}

/// The key closest to what was typed, if any is close.
fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|key| (strsim::jaro_winkler(typed, key), key))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|one, two| one.0.total_cmp(&two.0))
        .map(|(_, key)| key)
}

fn set(path: &str, text: &str, run: &Run) -> anyhow::Result<()> {
    let state = prepared(run)?;
    let changed = config::set_text_with(&state, path, text, &author(), &environment, RULES)
        .map_err(|error| explain(error, run))?;
    report(&changed, run)
}

fn unset(path: &str, run: &Run) -> anyhow::Result<()> {
    let state = prepared(run)?;
    let changed = config::unset_with(&state, path, &author(), &environment, RULES)
        .map_err(|error| explain(error, run))?;
    report(&changed, run)
}

fn report(changed: &[String], run: &Run) -> anyhow::Result<()> {
    if run.out.json() {
        let restart: Vec<&String> = changed
            .iter()
            .filter(|path| instar_gateway::config::needs_restart(path))
            .collect();
        return run
            .out
            .value(&serde_json::json!({ "changed": changed, "needsRestart": restart }));
    }
    if changed.is_empty() {
        run.out.note("nothing changed: it was so already");
    }
    for path in changed {
        let when = if instar_gateway::config::needs_restart(path) {
            "takes effect when the gateway is started again"
        } else {
            "a running gateway takes it within a second"
        };
        run.out.line(&format!("{path} changed; {when}"));
    }
    Ok(())
}

fn validate(run: &Run) -> anyhow::Result<()> {
    let state = run.state()?;
    let loaded = config::load_with(state.config_file(), &environment, InstarConfig::problems)
        .map_err(|error| explain(error, run))?;
    if run.out.json() {
        return run
            .out
            .value(&serde_json::json!({ "ok": true, "files": loaded.files }));
    }
    run.out
        .line(&format!("{} is fine", state.config_file().display()));
    Ok(())
}

/// Turns a configuration error into every problem with its place, and one exit code.
pub(crate) fn explain(error: ConfigError, run: &Run) -> anyhow::Error {
    match error {
        ConfigError::Invalid(problems) => {
            if run.out.json()
                && let Err(error) = run.out.value(&serde_json::json!({
                    "ok": false,
                    "problems": problems.iter().map(|one| serde_json::json!({
                        "file": one.file, "line": one.line, "column": one.column,
                        "path": one.path, "message": one.message,
                        "expected": one.expected, "hint": one.hint,
                    })).collect::<Vec<_>>(),
                }))
            {
                return error;
            }
            for problem in &problems {
                run.out.note(&config::render(problem));
            }
            let count = problems.len();
            let message = format!(
                "the configuration has {count} problem{}",
                if count == 1 { "" } else { "s" }
            );
            Failure::new(Code::Configuration, message)
                .next("mend the lines above; `instar config validate` checks again")
                .into()
        }
        ConfigError::UnknownKey { path, hint } => {
            let failure = Failure::new(Code::NotFound, format!("there is no key {path}"));
            match hint {
                Some(hint) => failure.next(hint).into(),
                None => failure.into(),
            }
        }
        other => anyhow::Error::new(other),
    }
}

fn prepared(run: &Run) -> anyhow::Result<StateDir> {
    let state = run.state()?;
    state.prepare()?;
    Ok(state)
}
