//! What a suite is known by.

use instar_policy::canonical;
use serde_json::json;

use super::{Case, Suite, providers};
use crate::error::SuiteError;

/// The digest of what a suite means: prompts, providers and cases, with all files read in.
pub(super) fn of(suite: &Suite) -> Result<String, SuiteError> {
    let prompts: Vec<_> = suite
        .prompts
        .iter()
        .map(|one| json!([one.raw, one.label]))
        .collect();
    let providers: Vec<_> = suite.providers.iter().map(providers::identity).collect();
    let derived: Vec<_> = suite
        .derived
        .iter()
        .map(|one| json!([one.name, one.formula]))
        .collect();
    let cases: Vec<_> = suite.cases.iter().map(Case::identity).collect();
    let whole = json!({
        "prompts": prompts, "providers": providers, "derived": derived, "cases": cases, "env": suite.env,
    });
    // Numbers too long to be exact cannot stand in the canonical form; they are kept as their text.
    let text = match canonical::write(&whole) {
        Ok(text) => text,
        Err(_) => whole.to_string(),
    };
    Ok(canonical::sha256(text.as_bytes()))
}
