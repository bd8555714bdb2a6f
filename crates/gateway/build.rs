//! Writes down which crates the program is made of, for whoever holds a list of known faults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Failed = Box<dyn std::error::Error>;

/// One package of the lock file.
#[derive(Default)]
struct Package {
    name: String,
    version: String,
    is_ours: bool,
    /// Each as the lock file has it: a name, with a version where there are several.
    needs: Vec<String>,
}

fn main() -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let lock = root.join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let packages = packages(&std::fs::read_to_string(&lock)?);
    let parts = parts(&root, &packages)?;
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo names no folder")?;
    std::fs::write(Path::new(&folder).join("parts.txt"), parts)?;
    Ok(())
}

fn packages(lock: &str) -> Vec<Package> {
    let read = |block: &str| {
        let field = |name: &str| {
            let mut lines = block.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            value.unwrap_or_default().trim_matches('"').to_owned()
        };
        let needs = block.lines().filter_map(|line| line.strip_prefix(" \""));
        Package {
            name: field("name"),
            version: field("version"),
            is_ours: !block.contains("\nsource = "),
            needs: needs
                .map(|line| line.trim_end_matches("\",").to_owned())
                .collect(),
        }
    };
    lock.split("[[package]]").skip(1).map(read).collect()
}

/// Lines of name and version of what the program links or is built with, without our own crates.
fn parts(root: &Path, packages: &[Package]) -> Result<String, Failed> {
    let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in packages {
        by_name.entry(&package.name).or_default().push(package);
    }
    let mut found = BTreeSet::new();
    let mut open = vec!["instar-cli".to_owned()];
    let mut met = BTreeSet::new();
    while let Some(need) = open.pop() {
        if !met.insert(need.clone()) {
            continue;
        }
        let (name, version) = need.split_once(' ').unwrap_or((&need, ""));
        let fitting = by_name.get(name).into_iter().flatten();
        for package in fitting.filter(|one| version.is_empty() || one.version == version) {
            if package.is_ours {
                let wanted = linked(root, &package.name)?;
                let is_wanted =
                    |need: &&String| wanted.contains(need.split(' ').next().unwrap_or_default());
                open.extend(package.needs.iter().filter(is_wanted).cloned());
            } else {
                found.insert(format!("{} {}\n", package.name, package.version));
                open.extend(package.needs.iter().cloned());
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// What one of our crates needs in the product; the lock file knows no difference to what its tests need.
fn linked(root: &Path, name: &str) -> Result<BTreeSet<String>, Failed> {
    let folder = name.trim_start_matches("instar-");
    let manifest = root.join("crates").join(folder).join("Cargo.toml");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let text = std::fs::read_to_string(manifest)?;
    let mut names = BTreeSet::new();
    let mut is_product = false;
    for line in text.lines() {
        if line.starts_with('[') {
            is_product = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if is_product {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}
