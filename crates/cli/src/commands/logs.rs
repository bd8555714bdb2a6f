//! `instar logs`: from the running gateway, or from the file when none runs.

use anyhow::Context as _;
use http::Method;
use instar_config::StateDir;
use instar_gateway::config::InstarConfig;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use crate::args::Logs;
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::out::{Out, Style, visible};

pub(crate) async fn run(command: &Logs, run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    let client = match Client::find(&state)? {
        Some(client) if client.alive().await => Some(client),
        _ => None,
    };
    let path = format!("/api/v1/logs?lines={}", command.lines);
    if !command.follow {
        let lines = match &client {
            Some(client) => client.get(&path).await?,
            None => last_lines(&log_file(&state), command.lines)?,
        };
        for line in &lines {
            show(line, run.out);
        }
        return Ok(());
    }
    let client = client.ok_or_else(|| {
        Failure::new(
            Code::NoGateway,
            "no gateway runs, so no new lines will come",
        )
        .next("start one with `instar up`")
    })?;
    let mut stream = client.stream(Method::GET, &path, None).await?;
    while let Some(line) = stream.next().await? {
        show(&line, run.out);
    }
    Ok(())
}

/// The file that the configuration names; with a configuration that cannot be read, the usual one.
fn log_file(state: &StateDir) -> PathBuf {
    instar_config::load::<InstarConfig>(state.config_file(), &environment)
        .ok()
        .and_then(|loaded| loaded.value.logging.file)
        .map_or_else(|| state.log_file(), PathBuf::from)
}

fn last_lines(path: &std::path::Path, count: usize) -> anyhow::Result<VecDeque<String>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
    };
    let mut kept = VecDeque::new();
    for line in BufReader::new(file).lines() {
        kept.push_back(line?);
        if kept.len() > count {
            let _oldest = kept.pop_front();
        }
    }
    Ok(kept)
}

fn show(line: &str, out: Out) {
    if out.json() {
        out.json_text(line);
        return;
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else {
        out.line(&visible(line));
        return;
    };
    let mut take = |name: &str| match fields.shift_remove(name) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (time, level, target, message) = (
        take("timestamp"),
        take("level"),
        take("target"),
        take("message"),
    );
    let style = match level.as_str() {
        "ERROR" => Style::Bad,
        "WARN" => Style::Warn,
        _ => Style::Plain,
    };
    let rest = if fields.is_empty() {
        String::new()
    } else {
        Value::Object(fields).to_string()
    };
    let level = out.paint(style, &format!("{:<5}", visible(&level)));
    let time = out.paint(Style::Faint, &visible(&time));
    let text = visible(&format!("{target}: {message} {rest}"));
    out.line(&format!("{time} {level} {}", text.trim_end()));
}
