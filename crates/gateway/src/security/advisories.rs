//! Published faults of the crates that this program is made of. The list is the owner's to bring: a folder of
//! files in the OSV form, as RustSec publishes them. Nothing is fetched here.

use instar_protocol::api::Severity;
use instar_protocol::security::SecurityFinding;
use semver::Version;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Subject, With as _, finding, fine, not_looked};

/// Below the state folder.
const FOLDER: &str = "advisories";
/// Name and version of each crate, a line each.
const PARTS: &str = include_str!(concat!(env!("OUT_DIR"), "/parts.txt"));
const FILES_MAX: usize = 50_000;
const BYTES_MAX: u64 = 1 << 20;
const DEPTH_MAX: usize = 3;
const ID: &str = "dependencies.advisories";

/// A published fault, as far as it is read here.
#[derive(Deserialize, Debug)]
struct Advisory {
    id: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    affected: Vec<Affected>,
}

#[derive(Deserialize, Debug)]
struct Affected {
    package: Package,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    database_specific: Specific,
}

#[derive(Deserialize, Debug)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize, Debug)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<Turn>,
}

/// Where a range of faulty versions begins or ends.
#[derive(Deserialize, Debug)]
struct Turn {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
struct Specific {
    /// Not a fault: nobody looks after it any more, or the like.
    #[serde(default)]
    informational: Option<String>,
}

/// One of them in this program.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Hit {
    is_fault: bool,
    line: String,
}

pub(super) fn look(subject: &Subject) -> SecurityFinding {
    let folder = subject.state.root().join(FOLDER);
    let parts = parts(PARTS);
    if !folder.is_dir() {
        let message = format!(
            "no list of known faults is at hand for the {} crates of this program",
            parts.len()
        );
        return not_looked(ID, message).fix(&format!(
            "put files of the OSV form into {} (RustSec publishes them), and ask again",
            folder.display()
        ));
    }
    judged(&folder, &parts)
}

fn judged(folder: &Path, parts: &BTreeMap<&str, Vec<Version>>) -> SecurityFinding {
    let mut files = Vec::new();
    collect(folder, DEPTH_MAX, &mut files);
    let (mut read, mut broken, mut hits) = (0_usize, Vec::new(), Vec::new());
    for file in &files {
        match advisory(file) {
            Ok(advisory) => {
                read += 1;
                hits.extend(advisory.hits(parts));
            }
            Err(why) => broken.push(format!("{}: {why}", file.display())),
        }
    }
    hits.sort_by(|a, b| b.cmp(a));
    hits.dedup();
    if !broken.is_empty() || read == 0 || files.len() >= FILES_MAX {
        let message = format!("of the list of known faults {read} files were read, and not all");
        let severity = severity(&hits).max(Severity::Warning);
        return finding(ID, severity, message, &["T-PERSIST-002"])
            .seen(hits.into_iter().map(|hit| hit.line).chain(broken).collect())
            .fix("bring the folder anew; it holds files of the OSV form and nothing else");
    }
    let said = format!("{read} known faults{}", age(&files));
    if hits.is_empty() {
        let message = format!("{said}, none of them in the {} crates here", parts.len());
        return fine(ID, message);
    }
    let message = format!("{said}: {} are of crates in this program", hits.len());
    finding(ID, severity(&hits), message, &["T-PERSIST-002"])
        .seen(hits.into_iter().map(|hit| hit.line).collect())
        .fix("install a newer version of Instar; each line says since when it is mended")
}

fn severity(hits: &[Hit]) -> Severity {
    if hits.iter().any(|hit| hit.is_fault) {
        Severity::Error
    } else {
        Severity::Notice
    }
}

/// What the list says of its own age: a list that nobody brings anew says less from day to day.
fn age(files: &[PathBuf]) -> String {
    let newest = files
        .iter()
        .filter_map(|file| file.metadata().ok()?.modified().ok())
        .max();
    let old = newest.and_then(|at| at.elapsed().ok());
    old.map_or_else(String::new, |old| {
        format!(", the newest brought {} days ago", old.as_secs() / 86_400)
    })
}

fn parts(text: &str) -> BTreeMap<&str, Vec<Version>> {
    let mut parts: BTreeMap<&str, Vec<Version>> = BTreeMap::new();
    for (name, version) in text.lines().filter_map(|line| line.split_once(' ')) {
        if let Ok(version) = Version::parse(version) {
            parts.entry(name).or_default().push(version);
        }
    }
    parts
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if found.len() >= FILES_MAX {
            return;
        }
        // Links are not followed.
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(std::fs::FileType::is_dir) && depth > 0 {
            collect(&path, depth - 1, found);
        } else if kind.is_ok_and(|kind| kind.is_file())
            && path.extension().is_some_and(|end| end == "json")
        {
            found.push(path);
        }
    }
}

fn advisory(file: &Path) -> Result<Advisory, String> {
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    if size > BYTES_MAX {
        return Err("too long".to_owned());
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

impl Advisory {
    fn hits(&self, parts: &BTreeMap<&str, Vec<Version>>) -> Vec<Hit> {
        if self.withdrawn.is_some() {
            return Vec::new();
        }
        let ours = self.affected.iter().filter_map(|affected| {
            let package = &affected.package;
            let versions = parts.get(package.name.as_str())?;
            (package.ecosystem == "crates.io").then_some((affected, versions))
        });
        ours.flat_map(|(affected, versions)| {
            let faulty = versions.iter().filter(|version| affected.has(version));
            faulty.map(|version| Hit {
                is_fault: affected.database_specific.informational.is_none(),
                line: affected.line(&self.id, &self.summary, version),
            })
        })
        .collect()
    }
}

impl Affected {
    fn has(&self, version: &Version) -> bool {
        let named = self
            .versions
            .iter()
            .any(|one| Version::parse(one).is_ok_and(|one| one == *version));
        named
            || self
                .ranges
                .iter()
                .any(|range| range.kind == "SEMVER" && range.has(version))
    }

    fn line(&self, id: &str, summary: &str, version: &Version) -> String {
        let name = &self.package.name;
        let turns = self.ranges.iter().flat_map(|range| &range.events);
        let mended = turns
            .filter_map(|turn| turn.fixed.as_deref())
            .filter(|fixed| Version::parse(fixed).is_ok_and(|fixed| fixed > *version))
            .min_by_key(|fixed| Version::parse(fixed).ok());
        let since = mended.map_or_else(String::new, |fixed| format!(", mended in {fixed}"));
        format!("{id}: {name} {version}: {summary}{since}")
    }
}

impl Range {
    /// The turns in their order say whether a version is in: the last one at or before it decides.
    fn has(&self, version: &Version) -> bool {
        let at = |text: &str| match text {
            "0" => Version::parse("0.0.0-0").ok(),
            text => Version::parse(text).ok(),
        };
        let mut turns: Vec<(Version, u8)> = Vec::new();
        for turn in &self.events {
            let named = [
                (&turn.introduced, 2_u8),
                (&turn.fixed, 1),
                (&turn.last_affected, 0),
            ];
            let read = named
                .into_iter()
                .filter_map(|(text, kind)| Some((at(text.as_deref()?)?, kind)));
            turns.extend(read);
        }
        turns.sort();
        let mut is_in = false;
        for (from, kind) in turns {
            match kind {
                2 if *version >= from => is_in = true,
                1 if *version >= from => is_in = false,
                0 if *version > from => is_in = false,
                _ => {}
            }
        }
        is_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn hits(advisory: Value) -> Vec<Hit> {
        let parts = parts("left 1.4.2\nleft 2.0.0-rc.1\nright 0.3.0\n");
        serde_json::from_value::<Advisory>(advisory)
            .unwrap()
            .hits(&parts)
    }

    fn of(package: &str, events: &Value) -> Value {
        json!({"id": "RUSTSEC-2026-0001", "summary": "reads too far", "affected": [{
            "package": {"ecosystem": "crates.io", "name": package},
            "ranges": [{"type": "SEMVER", "events": events}],
        }]})
    }

    #[test]
    fn a_version_is_faulty_between_where_it_begins_and_where_it_is_mended() {
        let cases = [
            (
                json!([{"introduced": "0.0.0-0"}]),
                vec!["1.4.2", "2.0.0-rc.1"],
            ),
            (json!([{"introduced": "0"}, {"fixed": "1.4.2"}]), vec![]),
            (
                json!([{"introduced": "1.4.0"}, {"fixed": "1.4.3"}]),
                vec!["1.4.2"],
            ),
            (
                json!([{"introduced": "1.0.0"}, {"last_affected": "1.4.2"}]),
                vec!["1.4.2"],
            ),
            (
                json!([{"introduced": "1.0.0"}, {"last_affected": "1.4.1"}]),
                vec![],
            ),
            (
                json!([{"introduced": "0"}, {"fixed": "1.0.0"}, {"introduced": "2.0.0-rc.1"}, {"fixed": "2.0.0"}]),
                vec!["2.0.0-rc.1"],
            ),
        ];
        for (events, expected) in cases {
            let found = hits(of("left", &events));
            let found: Vec<&str> = found
                .iter()
                .filter_map(|hit| hit.line.split(' ').nth(2)?.strip_suffix(':'))
                .collect();
            assert_eq!(found, expected, "{events}");
        }
        assert!(hits(of("other", &json!([{"introduced": "0"}]))).is_empty());
    }

    #[test]
    fn what_was_withdrawn_is_of_elsewhere_or_is_no_fault_is_told_apart() {
        let every = json!([{"introduced": "0"}]);
        let mut gone = of("right", &every);
        gone["withdrawn"] = json!("2026-01-01T00:00:00Z");
        assert!(hits(gone).is_empty());
        let mut elsewhere = of("right", &every);
        elsewhere["affected"][0]["package"]["ecosystem"] = json!("npm");
        assert!(hits(elsewhere).is_empty());
        let mut notice = of("right", &every);
        notice["affected"][0]["database_specific"] = json!({"informational": "unmaintained"});
        assert!(!hits(notice)[0].is_fault);
        let fault = hits(of(
            "right",
            &json!([{"introduced": "0"}, {"fixed": "0.3.1"}]),
        ));
        assert!(fault[0].is_fault);
        assert_eq!(
            fault[0].line,
            "RUSTSEC-2026-0001: right 0.3.0: reads too far, mended in 0.3.1"
        );
    }

    #[test]
    fn the_program_knows_what_it_is_made_of() {
        let parts = parts(PARTS);
        assert!(parts.len() > 150, "{}", parts.len());
        for linked in ["axum", "tokio", "rusqlite", "cedar-policy"] {
            assert!(parts.contains_key(linked), "{linked}");
        }
        for of_tests in ["proptest", "instar-gateway"] {
            assert!(!parts.contains_key(of_tests), "{of_tests}");
        }
    }
}
