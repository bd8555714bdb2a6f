//! When a page is first painted: asked of Chromium, as a person's browser would tell it. A machine
//! without it, or without the npm packages that the tests install, measures everything else.

use anyhow::Context;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::load::TOKEN;
use crate::machine::quantile;
use crate::report::progress;

const SCRIPT: &str = include_str!("paint.mjs");
/// Visits of each page, each with an empty cache.
const VISITS: usize = 7;

/// The median of each page in milliseconds; nothing if there is no browser to ask.
pub(crate) fn first_paints(
    address: &str,
    pages: &[&str],
) -> anyhow::Result<Option<BTreeMap<String, f64>>> {
    let (Some(node), Some(chromium), Some(modules)) =
        (on_path("node"), on_path("chromium"), modules())
    else {
        progress(
            "no first paint: node, chromium and playwright-core are needed (`cargo xtask test` installs them)",
        );
        return Ok(None);
    };
    let folder = tempfile::tempdir().context("a folder for the browser")?;
    let script = folder.path().join("paint.mjs");
    std::fs::write(&script, SCRIPT).context("writing the browser's script")?;
    let input = json!({
        "modules": modules, "chromium": chromium, "origin": format!("http://{address}"),
        "token": TOKEN, "pages": pages, "visits": VISITS,
    });
    let output = Command::new(node)
        .arg(&script)
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .env("INSTAR_BENCH_INPUT", input.to_string())
        .output()
        .context("running node")?;
    anyhow::ensure!(
        output.status.success(),
        "the browser failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let times: BTreeMap<String, Vec<f64>> =
        serde_json::from_slice(&output.stdout).context("reading the browser's times")?;
    let medians = times
        .into_iter()
        .map(|(page, mut times)| (page, quantile(&mut times, 0.5)));
    Ok(Some(medians.collect()))
}

fn modules() -> Option<PathBuf> {
    let modules = match std::env::var_os("INSTAR_TEST_NODE_MODULES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&std::env::var_os("HOME")?).join(".cache/instar/node/node_modules"),
    };
    let there = modules.join("playwright-core/package.json").exists();
    there.then_some(modules)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
}
