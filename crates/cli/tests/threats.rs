//! The threat model as data: every row is met by tests that exist, or by a written acceptance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Threats of the public model, by tactic, and how many of each there are.
const TACTICS: [(&str, usize); 8] = [
    ("RECON", 3),
    ("ACCESS", 6),
    ("EXEC", 6),
    ("PERSIST", 5),
    ("EVADE", 4),
    ("DISC", 4),
    ("EXFIL", 4),
    ("IMPACT", 5),
];
/// What the labels leave open.
const OPEN: [&str; 7] = [
    "O-CHOICE",
    "O-PAYLOAD",
    "O-ANSWER",
    "O-TIMING",
    "O-YES",
    "O-CONTACT",
    "O-JUDGE",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[derive(Debug, Default)]
struct Threat {
    fields: BTreeMap<String, String>,
}

impl Threat {
    fn list(&self, name: &str) -> Vec<&str> {
        let text = self.fields.get(name).map_or("", String::as_str);
        let inside = text.trim_start_matches('[').trim_end_matches(']');
        inside.split(", ").filter(|one| !one.is_empty()).collect()
    }
}

/// Reads the few forms of YAML that the file is written in, and refuses every other.
fn threats() -> BTreeMap<String, Threat> {
    let text = std::fs::read_to_string(root().join("security/threats.yaml")).unwrap();
    let mut all = BTreeMap::new();
    let mut last = String::new();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        if let Some(id) = line.strip_prefix("- id: ") {
            last = id.to_owned();
            let before = all.insert(last.clone(), Threat::default());
            assert!(before.is_none(), "{id} stands there twice");
            continue;
        }
        let field = line
            .strip_prefix("  ")
            .and_then(|line| line.split_once(": "));
        let (name, value) = field.unwrap_or_else(|| panic!("not readable: {line}"));
        let known = ["title", "atlas", "owasp", "tests", "accepted"];
        assert!(known.contains(&name), "{name} is no field");
        let threat = all
            .get_mut(&last)
            .unwrap_or_else(|| panic!("no row: {line}"));
        threat.fields.insert(name.to_owned(), value.to_owned());
    }
    all
}

/// Names of the tests in the files of a crate, with the module that each file is. A helper is no test.
fn functions(package: &str) -> BTreeSet<String> {
    let folder = root()
        .join("crates")
        .join(package.trim_start_matches("instar-"));
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.join("src"), folder.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let module = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or("");
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let mut is_test = false;
            for line in text.lines() {
                let line = line.trim_start().trim_start_matches("async ");
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                }
                if !line.starts_with("fn ") || !std::mem::take(&mut is_test) {
                    continue;
                }
                if let Some(name) = line
                    .strip_prefix("fn ")
                    .and_then(|rest| rest.split(['(', '<']).next())
                {
                    found.insert(format!("{module}::{name}"));
                }
            }
        }
    }
    found
}

#[test]
fn every_threat_is_met_by_a_test_that_exists_or_accepted_in_writing() {
    let all = threats();
    for (tactic, count) in TACTICS {
        for number in 1..=count {
            let id = format!("T-{tactic}-{number:03}");
            assert!(all.contains_key(&id), "{id} has no row");
        }
    }
    for id in OPEN {
        assert!(all.contains_key(id), "{id} has no row");
    }
    let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (id, threat) in &all {
        assert!(threat.fields.contains_key("title"), "{id}");
        let tests = threat.list("tests");
        let accepted = threat.fields.get("accepted");
        assert!(
            !tests.is_empty() || accepted.is_some_and(|text| text.len() > 20),
            "{id} is met by nothing"
        );
        for test in tests {
            let (package, name) = test
                .split_once(' ')
                .unwrap_or_else(|| panic!("{id}: {test}"));
            let functions = known.entry(package).or_insert_with(|| functions(package));
            // `module::tests::name` stands in the module's own file.
            let name = name.replace("::tests::", "::");
            let parts: Vec<&str> = name.rsplitn(3, "::").take(2).collect();
            let wanted = format!("{}::{}", parts[1], parts[0]);
            assert!(functions.contains(&wanted), "{id}: there is no test {test}");
        }
    }
    let risks: BTreeSet<&str> = all
        .values()
        .flat_map(|threat| threat.list("owasp"))
        .collect();
    let missed: Vec<String> = (1..=10)
        .map(|number| format!("ASI{number:02}"))
        .filter(|risk| !risks.contains(risk.as_str()))
        .collect();
    assert!(missed.is_empty(), "no row for {missed:?}");
}

#[test]
fn the_audit_names_threats_that_have_a_row() {
    let all = threats();
    let folder = root().join("crates/gateway/src/security");
    let mut named = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for part in text
            .split('"')
            .filter(|part| part.starts_with("T-") && part.len() < 20)
        {
            assert!(all.contains_key(part), "{part} has no row");
            named += 1;
        }
    }
    assert!(named > 15, "only {named} were found");
}
