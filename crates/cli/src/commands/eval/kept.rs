//! Reports and answers that are kept in the state folder.

use instar_evals::{Folder, Report};
use serde::Serialize;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::failure::{Code, Failure};

/// Reports that are listed, and looked through for a name.
const LISTED_MAX: usize = 500;
/// The most bytes of a report that is read.
const REPORT_BYTES_MAX: u64 = 64 << 20;

/// A line of the list.
#[derive(Debug, Serialize)]
pub(super) struct Kept {
    pub(super) digest: String,
    pub(super) suite: String,
    pub(super) arms: Vec<String>,
    pub(super) passed: usize,
    pub(super) total: usize,
}

/// The folder for it; nothing where there is no state folder yet.
fn folder(run: &Context, name: &str) -> anyhow::Result<Option<PathBuf>> {
    let state = run.state()?;
    let root = state.root();
    Ok(root.is_dir().then(|| root.join("evals").join(name)))
}

pub(super) fn cache(run: &Context) -> anyhow::Result<Option<Folder>> {
    Ok(folder(run, "answers")?.map(|folder| Folder::at(&folder)))
}

/// Keeps a report under its content address: equal runs are one report.
pub(super) fn keep(report: &Report, run: &Context) -> anyhow::Result<()> {
    let Some(folder) = folder(run, "reports")? else {
        return Ok(());
    };
    let file = folder.join(format!("{}.json", report.digest()));
    std::fs::create_dir_all(&folder)?;
    let beside = file.with_extension("new");
    std::fs::write(&beside, serde_json::to_vec(report)?)?;
    std::fs::rename(beside, file)?;
    sweep(&folder)
}

/// Removes the oldest reports beyond those that are listed.
fn sweep(folder: &Path) -> anyhow::Result<()> {
    let mut reports: Vec<_> = std::fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    reports.sort();
    let beyond = reports.len().saturating_sub(LISTED_MAX);
    for (_, file) in reports.into_iter().take(beyond) {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

fn files(run: &Context) -> anyhow::Result<Vec<PathBuf>> {
    let Some(folder) = folder(run, "reports")? else {
        return Ok(Vec::new());
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .take(LISTED_MAX)
        .collect();
    files.sort();
    Ok(files)
}

pub(super) fn list(run: &Context) -> anyhow::Result<Vec<Kept>> {
    let reports = files(run)?.into_iter().filter_map(|file| read(&file).ok());
    let line = |report: Report| {
        let counts = report.counts(0);
        Kept {
            digest: report.digest(),
            arms: report.arms.iter().map(|arm| arm.name.clone()).collect(),
            passed: counts.passed,
            total: counts.total(),
            suite: report.suite,
        }
    };
    Ok(reports.map(line).collect())
}

/// The report whose address begins so. What is read has to have its address.
pub(super) fn open(name: &str, run: &Context) -> anyhow::Result<Report> {
    let name = name.strip_prefix("sha256:").unwrap_or(name);
    let begins = |path: &PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        name.len() >= 4 && stem.is_some_and(|stem| stem.starts_with(name))
    };
    let found: Vec<_> = files(run)?.into_iter().filter(begins).collect();
    let [file] = found.as_slice() else {
        let message = match found.len() {
            0 => format!("there is no report {name:?}"),
            _ => format!("several reports begin with {name:?}"),
        };
        return Err(Failure::new(Code::NotFound, message)
            .next("`instar eval list` shows them")
            .into());
    };
    let report = read(file)?;
    let digest = report.digest();
    if file.file_stem().and_then(|stem| stem.to_str()) != Some(&digest) {
        let message = format!(
            "{} was changed: its content is sha256:{digest}",
            file.display()
        );
        return Err(Failure::new(Code::Refused, message)
            .next("run the suite again")
            .into());
    }
    Ok(report)
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let size = file.metadata()?.len();
    anyhow::ensure!(size <= REPORT_BYTES_MAX, "{} is too long", file.display());
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}
