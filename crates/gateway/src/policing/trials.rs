//! An owner's tests of his rules: `policy/tests/*.json` and `*.toml` in the state folder.

use instar_config::StateDir;
use instar_policy::Authority;
use instar_policy::suppose::Trials;
use instar_protocol::approval::visible;
use instar_protocol::policy::{PolicyCase, PolicyTests};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::behaviour;

/// Files of cases, and bytes of each.
const FILES_MAX: usize = 100;
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Cases that are tried.
const CASES_MAX: usize = 2_000;

/// Reads the rules and the cases as they lie on the disk, and tries each case. Reads files: not for a
/// thread that others wait for.
#[must_use]
pub fn test(state: &StateDir, last: &Authority) -> PolicyTests {
    let mut tests = PolicyTests::default();
    let mut authority = last.clone();
    match behaviour::rules(state) {
        Ok(rules) => authority.rules = rules,
        Err(error) => {
            // Cases over other rules than those that are written would say nothing.
            tests.problems = behaviour::problems(error);
            return tests;
        }
    }
    tests.rule_files = authority.rules.files().len();
    tests.rules = authority.rules.all().count();
    let folder = behaviour::rules_folder(state).join("tests");
    let files = match case_files(&folder) {
        Ok(files) => files,
        Err(error) => {
            let problem = format!("{} cannot be read: {error}", folder.display());
            tests.problems.push(problem);
            return tests;
        }
    };
    for path in files.iter().take(FILES_MAX) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match read(path) {
            Ok(trials) => {
                let left = CASES_MAX.saturating_sub(tests.cases.len());
                let cases = trials.cases.iter().take(left);
                tests.cases.extend(cases.map(|trial| {
                    let tried = trial.run(&authority);
                    PolicyCase {
                        file: visible(&name),
                        name: visible(&trial.name),
                        passed: tried.passed,
                        expected: tried.expected,
                        found: tried.found,
                        why: tried.why.iter().map(|line| visible(line)).collect(),
                    }
                }));
                if trials.cases.len() > left {
                    tests.problems.push(format!(
                        "{name}: there are more than {CASES_MAX} cases; the rest was not tried"
                    ));
                }
            }
            Err(problem) => tests
                .problems
                .push(visible(&format!("tests/{name}: {problem}"))),
        }
    }
    if files.len() > FILES_MAX {
        let problem =
            format!("there are more than {FILES_MAX} files of cases; the rest was not read");
        tests.problems.push(problem);
    }
    tests
}

fn case_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in listing {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("json" | "toml")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Trials, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("the file is longer than {FILE_BYTES_MAX} bytes"));
    }
    if path.extension().is_some_and(|ending| ending == "toml") {
        return toml::from_str(&text).map_err(|error| error.to_string().trim().replace('\n', " "));
    }
    let mut reader = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| error.to_string())
}
