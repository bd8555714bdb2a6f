//! The crate edges of the workspace against the table in `ARCHITECTURE.md`.

use anyhow::{Context, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

use crate::run::{cargo, output, root, say};

type Edges = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// Fails if a crate uses another that the table does not let it use, or if the table names a crate
/// that is not there or lacks one that is.
pub(crate) fn check() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let actual = edges(&metadata, Kind::Ours)?;
    let mut problems = compare(&table(&text, "| crate | may use |")?, &actual);
    let fences = table(&text, "| library | only in |")?;
    problems.extend(over_fences(&fences, &edges(&metadata, Kind::Others)?));
    if !problems.is_empty() {
        bail!(
            "crate edges and ARCHITECTURE.md disagree:\n  {}",
            problems.join("\n  ")
        );
    }
    say(&format!(
        "layering: {} crates keep to the table",
        actual.len()
    ));
    Ok(())
}

/// The rows of the table with this header.
fn table(text: &str, header: &str) -> anyhow::Result<Edges> {
    let mut rows = text
        .lines()
        .skip_while(|line| !line.starts_with(header))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .peekable();
    rows.peek()
        .with_context(|| format!("ARCHITECTURE.md has no table `{header}`"))?;
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let name = cells
            .next()
            .unwrap_or_default()
            .trim_matches('`')
            .to_owned();
        let uses = cells
            .next()
            .with_context(|| format!("no second cell in {row:?}"))?;
        let uses = uses
            .split(',')
            .map(|word| word.trim().trim_matches('`').to_owned())
            .filter(|word| !word.is_empty() && word != "-")
            .collect();
        Ok((name, uses))
    })
    .collect()
}

/// Which dependencies are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Others,
}

/// Normal and build dependencies by crate; tests may use what they like.
fn edges(metadata: &str, kind: Kind) -> anyhow::Result<Edges> {
    let metadata: Metadata = serde_json::from_str(metadata)?;
    let short = |name: &str| name.strip_prefix("instar-").unwrap_or(name).to_owned();
    Ok(metadata
        .packages
        .iter()
        .map(|package| {
            let uses = package
                .dependencies
                .iter()
                .filter(|one| one.path.is_some() == (kind == Kind::Ours))
                .filter(|one| one.kind.as_deref() != Some("dev"))
                .map(|one| short(&one.name))
                .collect();
            (short(&package.name), uses)
        })
        .collect())
}

/// Crates that link a library which is fenced into others.
fn over_fences(fences: &Edges, actual: &Edges) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, uses) in actual {
        for library in uses.iter().filter(|library| {
            fences
                .get(*library)
                .is_some_and(|only| !only.contains(name))
        }) {
            problems.push(format!(
                "{name} links {library}, which belongs into another crate"
            ));
        }
    }
    problems
}

fn compare(allowed: &Edges, actual: &Edges) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, uses) in actual {
        let Some(may) = allowed.get(name) else {
            problems.push(format!("{name} has no row"));
            continue;
        };
        for used in uses.difference(may) {
            problems.push(format!("{name} uses {used}, which its row does not allow"));
        }
    }
    for name in allowed.keys().filter(|name| !actual.contains_key(*name)) {
        problems.push(format!("{name} has a row and no crate"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "text\n| crate | may use |\n| --- | --- |\n| `a` | - |\n| `b` | `a` |\n\nmore";

    fn metadata(of_b: &str) -> String {
        format!(
            r#"{{"packages":[{{"name":"instar-a","dependencies":[]}},
            {{"name":"instar-b","dependencies":[{of_b}]}}]}}"#
        )
    }

    #[test]
    fn an_edge_outside_the_table_is_named() {
        let allowed = table(TABLE, "| crate | may use |").unwrap();
        let fine = metadata(r#"{"name":"instar-a","kind":null,"path":"/a"}"#);
        assert_eq!(
            compare(&allowed, &edges(&fine, Kind::Ours).unwrap()),
            Vec::<String>::new()
        );
        let wrong = metadata(r#"{"name":"instar-c","kind":null,"path":"/c"}"#);
        assert_eq!(
            compare(&allowed, &edges(&wrong, Kind::Ours).unwrap()),
            ["b uses c, which its row does not allow"]
        );
        let for_tests = metadata(r#"{"name":"instar-c","kind":"dev","path":"/c"}"#);
        assert!(compare(&allowed, &edges(&for_tests, Kind::Ours).unwrap()).is_empty());
    }

    #[test]
    fn a_fenced_library_stays_in_its_crate() {
        let fences = Edges::from([("sql".to_owned(), BTreeSet::from(["a".to_owned()]))]);
        let leaked = metadata(r#"{"name":"sql","kind":null}"#);
        assert_eq!(
            over_fences(&fences, &edges(&leaked, Kind::Others).unwrap()),
            ["b links sql, which belongs into another crate"]
        );
    }

    #[test]
    fn the_workspace_keeps_to_its_table() {
        check().unwrap();
    }
}
