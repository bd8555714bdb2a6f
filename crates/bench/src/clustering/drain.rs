//! Drain3 over the same messages, one thread, one setting for all systems.

use anyhow::Context;
use serde::Deserialize;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::data::System;
use super::score::Score;
use crate::report::progress;

const SCRIPT: &str = include_str!("drain.py");

#[derive(Deserialize)]
struct Answer {
    groups: Vec<u32>,
    templates: Vec<String>,
    seconds: f64,
}

/// Nothing where Drain3 is not installed.
pub(super) fn measure(systems: &[System]) -> anyhow::Result<Option<Vec<(String, Score)>>> {
    let python = python();
    let there = Command::new(&python)
        .args(["-c", "import drain3"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        progress("no drain3 in the tests' Python: its column is left out");
        return Ok(None);
    }
    let folder = tempfile::tempdir().context("a folder for the messages")?;
    let script = folder.path().join("drain.py");
    std::fs::write(&script, SCRIPT).context("writing the script")?;
    let mut scores = Vec::new();
    for system in systems {
        let lines = folder.path().join("lines.json");
        std::fs::write(&lines, serde_json::to_vec(&system.lines)?)
            .context("writing the messages")?;
        let output = Command::new(&python)
            .arg(&script)
            .arg(&lines)
            .output()
            .context("running Drain3")?;
        anyhow::ensure!(
            output.status.success(),
            "Drain3 failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answer: Answer =
            serde_json::from_slice(&output.stdout).context("reading its groups")?;
        let templates: Vec<&str> = answer.templates.iter().map(String::as_str).collect();
        let score = Score::of(&answer.groups, &templates, &system.truth);
        scores.push((
            system.name.clone(),
            score.timed(system.lines.len(), answer.seconds),
        ));
    }
    Ok(Some(scores))
}

fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("INSTAR_TEST_PYTHON") {
        return PathBuf::from(python);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache
        .map(|cache| cache.join("instar/python/bin/python"))
        .filter(|python| python.is_file())
        .unwrap_or_else(|| PathBuf::from("python3"))
}
