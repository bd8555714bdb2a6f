//! The bill of materials, CycloneDX 1.6: every crate that is linked into the binary, with the sum
//! that the lock file names, and the C library that one of them brings.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Release;
use crate::run::{cargo, output, root};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    description: Option<String>,
    repository: Option<String>,
    /// Absent for the crates of this workspace.
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `null` for what is linked; `dev` and `build` for the rest.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Writes it beside the other artefacts.
pub(super) fn write(release: &Release) -> anyhow::Result<PathBuf> {
    let text = output(cargo().args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        &release.triple,
    ]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo's metadata")?;
    let lock: Lock = toml::from_str(&std::fs::read_to_string(root().join("Cargo.lock"))?)?;
    let time = output(release.command("date").args([
        "--utc",
        "--date",
        &format!("@{}", release.epoch),
        "+%Y-%m-%dT%H:%M:%SZ",
    ]))?;
    let bill = bill(&metadata, &lock, &release.version, time.trim())?;
    let path = release.out.join(format!("{}.cdx.json", release.name()));
    std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&bill)?))?;
    Ok(path)
}

fn bill(metadata: &Metadata, lock: &Lock, version: &str, time: &str) -> anyhow::Result<Value> {
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let packages: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|one| (one.id.as_str(), one))
        .collect();
    let binary = metadata
        .packages
        .iter()
        .find(|package| package.name == "instar-cli")
        .context("there is no package instar-cli")?;
    let linked = linked(&binary.id, &nodes);
    let reference = |id: &str| -> anyhow::Result<String> {
        let package = packages
            .get(id)
            .with_context(|| format!("no package {id}"))?;
        Ok(if id == binary.id {
            "instar".to_owned()
        } else {
            purl(package)
        })
    };
    let mut components = BTreeMap::new();
    let mut edges = BTreeMap::new();
    for id in &linked {
        let package = packages
            .get(id)
            .with_context(|| format!("no package {id}"))?;
        let name = reference(id)?;
        let mut uses = BTreeSet::new();
        for used in nodes.get(id).map_or(&[][..], |node| &node.deps) {
            if used.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                uses.insert(reference(&used.pkg)?);
            }
        }
        if package.name == "libsqlite3-sys" {
            let (sqlite, component) = sqlite(package)?;
            components.insert(sqlite.clone(), component);
            edges.insert(sqlite.clone(), BTreeSet::new());
            uses.insert(sqlite);
        }
        if *id != binary.id {
            components.insert(name.clone(), component(package, &name, lock));
        }
        edges.insert(name, uses);
    }
    let edges: Vec<Value> = edges
        .into_iter()
        .map(|(name, uses)| json!({ "ref": name, "dependsOn": uses }))
        .collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "lifecycles": [{ "phase": "build" }],
            "component": {
                "type": "application", "bom-ref": "instar", "name": "instar", "version": version,
                "description": "A self-hosted gateway for a personal AI agent",
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            },
        },
        "components": components.into_values().collect::<Vec<Value>>(),
        "dependencies": edges,
    }))
}

/// The packages whose code is in the binary: what is reached without build and test edges.
fn linked<'a>(from: &'a str, nodes: &BTreeMap<&'a str, &'a Node>) -> BTreeSet<&'a str> {
    let mut linked = BTreeSet::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        if !linked.insert(id) {
            continue;
        }
        let used = nodes.get(id).map_or(&[][..], |node| &node.deps);
        open.extend(
            used.iter()
                .filter(|used| used.dep_kinds.iter().any(|kind| kind.kind.is_none()))
                .map(|used| used.pkg.as_str()),
        );
    }
    linked
}

fn component(package: &Package, reference: &str, lock: &Lock) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "scope": "required",
    });
    if package.source.is_some() {
        component["purl"] = json!(reference);
    }
    if let Some(description) = &package.description {
        let words: Vec<&str> = description.split_whitespace().collect();
        component["description"] = json!(words.join(" "));
    }
    if let Some(license) = &package.license {
        // The older way of writing an alternative is no expression.
        let expression = license.replace('/', " OR ");
        let words: Vec<&str> = expression.split_whitespace().collect();
        component["licenses"] = json!([{ "expression": words.join(" ") }]);
    }
    let sum = lock
        .package
        .iter()
        .find(|locked| locked.name == package.name && locked.version == package.version)
        .and_then(|locked| locked.checksum.as_ref());
    if let Some(sum) = sum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    if let Some(repository) = package
        .repository
        .as_ref()
        .filter(|url| url.starts_with("https://"))
    {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

fn purl(package: &Package) -> String {
    // A plus sign stands for itself nowhere but in a version.
    format!(
        "pkg:cargo/{}@{}",
        package.name,
        package.version.replace('+', "%2B")
    )
}

/// The database's own source, which a crate compiles in.
fn sqlite(package: &Package) -> anyhow::Result<(String, Value)> {
    let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
    let header = std::fs::read_to_string(folder.join("sqlite3/sqlite3.h"))?;
    let version = header
        .lines()
        .find_map(|line| line.strip_prefix("#define SQLITE_VERSION "))
        .map(|rest| rest.trim().trim_matches('"').to_owned())
        .context("sqlite3.h does not say its version")?;
    let reference = format!("pkg:generic/sqlite@{version}");
    let component = json!({
        "type": "library", "bom-ref": reference, "purl": reference, "name": "sqlite",
        "version": version, "scope": "required",
        "description": "SQLite, compiled in by libsqlite3-sys",
        "licenses": [{ "license": { "name": "Public domain" } }],
    });
    Ok((reference, component))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_listed_and_every_reference_leads_somewhere() {
        let package = |name: &str, source: bool| {
            json!({
                "id": name, "name": name, "version": "1.0.0+x", "license": "MIT/Apache-2.0",
                "description": null, "repository": null, "manifest_path": "/x/Cargo.toml",
                "source": source.then_some("registry"),
            })
        };
        let edge = |name: &str, kind: Option<&str>| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata: Metadata = serde_json::from_value(json!({
            "packages": [package("instar-cli", false), package("used", true), package("built", true)],
            "resolve": { "nodes": [
                { "id": "instar-cli", "deps": [edge("used", None), edge("built", Some("build"))] },
                { "id": "used", "deps": [] },
                { "id": "built", "deps": [] },
            ]},
        }))
        .unwrap();
        let lock = Lock { package: vec![] };
        let bill = bill(&metadata, &lock, "0.1.0", "2026-01-01T00:00:00Z").unwrap();
        let names: Vec<&Value> = bill["components"].as_array().unwrap().iter().collect();
        assert_eq!(names.len(), 1, "{bill:#}");
        assert_eq!(names[0]["purl"], json!("pkg:cargo/used@1.0.0%2Bx"));
        assert_eq!(
            names[0]["licenses"][0]["expression"],
            json!("MIT OR Apache-2.0")
        );
        assert_eq!(
            bill["dependencies"][0],
            json!({ "ref": "instar", "dependsOn": ["pkg:cargo/used@1.0.0%2Bx"] })
        );
    }
}
