//! What is wrong with a rule, and where.

use miette::Diagnostic;

/// A rule that cannot be taken. Nothing is loaded while one stands.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct RuleError {
    pub file: String,
    pub line: usize,
    pub problem: String,
}

impl RuleError {
    pub(super) fn new(file: &str, line: usize, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem: problem.into(),
        }
    }

    /// A finding of Cedar's about a rule that begins at this line, with Cedar's own advice.
    pub(super) fn found(file: &str, line: usize, text: &str, finding: &dyn Diagnostic) -> Self {
        let offset = finding
            .labels()
            .and_then(|mut labels| labels.next())
            .map_or(0, |label| label.offset());
        let before = text.as_bytes().get(..offset).unwrap_or_default();
        let down = before.iter().filter(|byte| **byte == b'\n').count();
        // Cedar begins with the rule's id, which nobody but us has given it.
        let said = finding.to_string();
        let said = said
            .strip_prefix("for policy ")
            .and_then(|rest| rest.split_once("`, "))
            .map_or(said.as_str(), |(_, rest)| rest);
        let mut problem = said.to_owned();
        if let Some(help) = finding.help() {
            problem = format!("{problem}; {help}");
        }
        Self::new(file, line + down, problem)
    }
}
