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
    let allowed = table(&std::fs::read_to_string(root().join("ARCHITECTURE.md"))?)?;
    let actual = edges(&output(cargo().args([
        "metadata",
        "--format-version=1",
        "--no-deps",
    ]))?)?;
    let problems = compare(&allowed, &actual);
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

/// The rows of the table whose header begins with `| crate | may use |`.
fn table(text: &str) -> anyhow::Result<Edges> {
    let mut rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| crate | may use |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .peekable();
    rows.peek()
        .context("ARCHITECTURE.md has no table `| crate | may use |`")?;
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

/// Normal and build dependencies between our own crates; tests may use what they like.
fn edges(metadata: &str) -> anyhow::Result<Edges> {
    let metadata: Metadata = serde_json::from_str(metadata)?;
    let short = |name: &str| name.strip_prefix("instar-").unwrap_or(name).to_owned();
    Ok(metadata
        .packages
        .iter()
        .map(|package| {
            let uses = package
                .dependencies
                .iter()
                .filter(|one| one.path.is_some() && one.kind.as_deref() != Some("dev"))
                .map(|one| short(&one.name))
                .collect();
            (short(&package.name), uses)
        })
        .collect())
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
        let allowed = table(TABLE).unwrap();
        let fine = metadata(r#"{"name":"instar-a","kind":null,"path":"/a"}"#);
        assert_eq!(
            compare(&allowed, &edges(&fine).unwrap()),
            Vec::<String>::new()
        );
        let wrong = metadata(r#"{"name":"instar-c","kind":null,"path":"/c"}"#);
        assert_eq!(
            compare(&allowed, &edges(&wrong).unwrap()),
            ["b uses c, which its row does not allow"]
        );
        let for_tests = metadata(r#"{"name":"instar-c","kind":"dev","path":"/c"}"#);
        assert!(compare(&allowed, &edges(&for_tests).unwrap()).is_empty());
    }

    #[test]
    fn the_workspace_keeps_to_its_table() {
        check().unwrap();
    }
}
