//! The gates that measure: suites on the candidate and on what is stable, run by a confined job. What it
//! says is data from a stranger; here it becomes a finding.

use instar_protocol::judge::{
    FILES_MAX as TOLD_FILES_MAX, Judged, NAMED_MAX, ROLE, SUITES_MAX, Said, SuiteText, Verdict,
    Work,
};
use instar_release::Behaviour;
use instar_release::gate::{Finding, Gate, Outcome};
use instar_release::lineage::{Material, MaterialKind};
use instar_sandbox::confined::{Bounds, Confined, JobError, Starter};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The folder of the owner's own suites, and the part of it that attacks.
const FOLDER: &str = "suites";
const RED_TEAM: &str = "red-team";
/// Suites that came with the program and hold for every behaviour. The golden conversations are none: they
/// are about the identity files of a fresh installation, which a candidate may change.
const BUILTIN: [&str; 1] = ["builtin:policy"];
const BUILTIN_ATTACKS: [&str; 1] = ["builtin:red-team"];
/// How often each case is asked: what differs from time to time is flaky and counts for nothing.
const REPEAT: u32 = 2;
const FILES_MAX: usize = 200;
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
const DEPTH_MAX: usize = 4;

/// What a measuring gate asks for.
#[derive(Debug)]
pub(crate) struct Sitting {
    suites: Vec<SuiteText>,
}

/// The two gates with their suites: those of the program, and the owner's own.
pub(crate) fn sittings(state: &Path) -> Vec<(Gate, Result<Sitting, String>)> {
    let folder = state.join(FOLDER);
    let of = |gate, builtin: &[&str], folder: PathBuf| {
        let own = suites(&folder);
        let sitting = own.map(|own| Sitting {
            suites: builtin
                .iter()
                .map(|name| SuiteText {
                    name: (*name).to_owned(),
                    files: BTreeMap::new(),
                })
                .chain(own)
                .take(SUITES_MAX)
                .collect(),
        });
        (gate, sitting)
    };
    vec![
        of(Gate::Evals, &BUILTIN, folder.clone()),
        of(Gate::RedTeam, &BUILTIN_ATTACKS, folder.join(RED_TEAM)),
    ]
}

/// Every `*.yaml` right in the folder is a suite; all files beneath it can be named by one.
fn suites(folder: &Path) -> Result<Vec<SuiteText>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = BTreeMap::new();
    gather(folder, "", DEPTH_MAX, &mut files)?;
    let is_suite =
        |name: &&String| !name.contains('/') && (name.ends_with(".yaml") || name.ends_with(".yml"));
    let names: Vec<String> = files.keys().filter(is_suite).cloned().collect();
    Ok(names
        .into_iter()
        .map(|name| SuiteText {
            name,
            files: files.clone(),
        })
        .collect())
}

fn gather(
    folder: &Path,
    beneath: &str,
    depth: usize,
    files: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{beneath}{name}");
        let kind = entry.file_type().map_err(told)?;
        if name.starts_with('.') || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            // The attacks are suites of their own.
            if depth > 0 && path != RED_TEAM {
                gather(&entry.path(), &format!("{path}/"), depth - 1, files)?;
            }
            continue;
        }
        if files.len() >= FILES_MAX {
            return Err(format!(
                "{} holds more than {FILES_MAX} files",
                folder.display()
            ));
        }
        let mut text = String::new();
        let file = std::fs::File::open(entry.path()).map_err(told)?;
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
        // What is no text is named by no suite.
        if read.is_ok() && text.len() as u64 <= FILE_BYTES_MAX {
            let _none = files.insert(path, text);
        }
    }
    Ok(())
}

/// Runs the suites of a gate in a job of its own. Blocks for as long as they take, or until the gateway
/// closes.
pub(crate) fn judged(
    sitting: &Sitting,
    candidate: &Behaviour,
    stable: &Behaviour,
    closing: &CancellationToken,
) -> Finding {
    match sat(sitting, candidate, stable, closing) {
        Ok(said) => finding(sitting, &said),
        Err(why) => Finding::no_data(format!("the judge gave no answer: {why}")),
    }
}

/// A job with the judge's walls and bounds: it has an empty folder of its own, and nothing else of the machine.
pub fn job(role: &str) -> Result<Confined, JobError> {
    let bounds = Bounds {
        cpu_seconds: 300,
        ..Bounds::default()
    };
    Starter::default().with_scratch().start(role, bounds)
}

fn sat(
    sitting: &Sitting,
    candidate: &Behaviour,
    stable: &Behaviour,
    closing: &CancellationToken,
) -> Result<Vec<Said>, String> {
    let value =
        |behaviour: &Behaviour| serde_json::to_value(behaviour).map_err(|error| error.to_string());
    let work = Work {
        suites: sitting.suites.clone(),
        candidate: value(candidate)?,
        baseline: value(stable)?,
        repeat: REPEAT,
        seed: 0,
    };
    let told = |error: JobError| error.to_string();
    let mut job = job(ROLE).map_err(told)?;
    let ender = job.ender();
    let _watch = AbortOnDropHandle::new(tokio::runtime::Handle::current().spawn({
        let closing = closing.clone();
        async move {
            closing.cancelled().await;
            ender.end();
        }
    }));
    job.tell(&work).map_err(told)?;
    let mut all = Vec::new();
    loop {
        match job.hear::<Said>().map_err(told)? {
            Said::Done => return Ok(all),
            said if all.len() < sitting.suites.len() => all.push(said),
            _ => return Err("it says more than it was asked".to_owned()),
        }
    }
}

/// Every suite that was asked for has to have an answer of its own, and none of them may be bad.
fn finding(sitting: &Sitting, said: &[Said]) -> Finding {
    let (mut outcome, mut first, mut evidence) = (Outcome::Pass, String::new(), Vec::new());
    let mut note = |found: Outcome, words: String| {
        let is_worse = match (outcome, found) {
            (Outcome::Fail, _) | (_, Outcome::Pass) => false,
            (_, Outcome::Fail) => true,
            (now, Outcome::NoData) => now == Outcome::Pass,
        };
        if is_worse {
            outcome = found;
            first.clone_from(&words);
        }
        evidence.push(words);
    };
    let (mut materials, mut reach) = (Vec::new(), Vec::new());
    let (mut pairs, mut suites) = (0, 0);
    for (asked, said) in sitting.suites.iter().zip(said) {
        match said {
            Said::Judged(judged) if judged.suite == asked.name && is_sound(judged) => {
                suites += 1;
                pairs += judged.pairs;
                materials.extend(measured_with(judged));
                for new in judged.reach.iter().take(NAMED_MAX) {
                    reach.push(format!(
                        "{}: it asks for {new}, and stable does not",
                        judged.suite
                    ));
                }
                let (found, words) = words(judged);
                note(found, words);
                for case in judged.worse.iter().take(NAMED_MAX) {
                    note(Outcome::Fail, format!("{}: {}", case.name, case.reason));
                }
            }
            Said::Unable { why, .. } => {
                note(
                    Outcome::NoData,
                    format!("{} was not run: {why}", asked.name),
                );
            }
            Said::Judged(_) | Said::Done => {
                note(
                    Outcome::NoData,
                    format!("what was said of {} does not fit it", asked.name),
                );
            }
        }
    }
    if said.len() < sitting.suites.len() {
        note(Outcome::NoData, "not every suite was run".to_owned());
    }
    let why = match outcome {
        Outcome::Pass => format!("no case got worse, of {pairs} in {suites} suites"),
        Outcome::Fail | Outcome::NoData => first,
    };
    Finding {
        outcome,
        why,
        evidence,
        materials,
        reach,
    }
}

/// The suite, the files of its cases and the report, each under its content address.
fn measured_with(judged: &Judged) -> impl Iterator<Item = Material> {
    let of = |kind, digest| Material::new(kind, &judged.suite, digest);
    let files = judged
        .datasets
        .iter()
        .map(|file| Material::new(MaterialKind::Dataset, &file.name, &file.digest));
    [
        of(MaterialKind::Suite, &judged.suite_digest),
        of(MaterialKind::Report, &judged.report_digest),
    ]
    .into_iter()
    .chain(files)
}

/// What the numbers say has to fit the verdict: a judge that was talked round counts for nothing.
fn is_sound(judged: &Judged) -> bool {
    let numbers = [judged.difference, judged.low, judged.high];
    let finite = numbers
        .iter()
        .all(|one| one.is_finite() && one.abs() <= 1.0);
    let is_worse = matches!(judged.verdict, Verdict::Worse | Verdict::Regressed);
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    finite
        && is_worse != judged.worse.is_empty()
        && (judged.verdict == Verdict::NoData) == (judged.pairs == 0)
        && judged.passed <= judged.pairs
        && hex(&judged.report_digest)
        && hex(&judged.suite_digest)
        && judged.datasets.len() <= TOLD_FILES_MAX
        && judged.datasets.iter().all(|file| hex(&file.digest))
}

fn words(judged: &Judged) -> (Outcome, String) {
    let name = &judged.suite;
    let rest = format!(
        "{} of {} cases pass, {} got better, {} are flaky; difference {:+.3} ({:+.3} to {:+.3}); suite {:.12}, report \
         {:.12}",
        judged.passed,
        judged.pairs,
        judged.better,
        judged.flaky,
        judged.difference,
        judged.low,
        judged.high,
        judged.suite_digest,
        judged.report_digest,
    );
    match judged.verdict {
        Verdict::NoData => (
            Outcome::NoData,
            format!("{name}: no case was decided by both, so nothing is known"),
        ),
        Verdict::Worse | Verdict::Regressed => {
            let first = judged.worse.first();
            let case = first.map_or_else(String::new, |case| format!(", first {:?}", case.name));
            let words = format!(
                "{name}: {} of {} cases got worse{case}; {rest}",
                judged.worse.len(),
                judged.pairs
            );
            (Outcome::Fail, words)
        }
        // What could not be asked was not passed.
        Verdict::Better | Verdict::NoRegression if judged.undecided > 0 => (
            Outcome::NoData,
            format!(
                "{name}: {} cases were decided by neither, so nothing is known of them; {rest}",
                judged.undecided
            ),
        ),
        Verdict::Better | Verdict::NoRegression => {
            (Outcome::Pass, format!("{name}: no case got worse; {rest}"))
        }
    }
}
