//! The suites that came with the program.

use crate::error::SuiteError;
use crate::files::Files;
use crate::suite::Suite;

/// A suite that came with the program.
#[derive(Clone, Copy, Debug)]
pub struct BuiltinSuite {
    pub name: &'static str,
    pub about: &'static str,
    pub text: &'static str,
}

/// All of them.
pub const ALL: [BuiltinSuite; 3] = [
    BuiltinSuite {
        name: "golden",
        about: "the default agent: answers, tools, limits, questions",
        text: include_str!("golden.yaml"),
    },
    BuiltinSuite {
        name: "red-team",
        about: "injections in every source, exfiltration, abuse of tools, secrets",
        text: include_str!("red-team.yaml"),
    },
    BuiltinSuite {
        name: "policy",
        about: "what is asked, refused and let through, and that it is written down",
        text: include_str!("policy.yaml"),
    },
];

/// How a built-in suite is named where a file could be: `builtin:golden`.
pub const PREFIX: &str = "builtin:";

/// A built-in suite by its name, with or without [`PREFIX`].
pub fn suite(name: &str) -> Result<Suite, SuiteError> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let found = ALL.iter().find(|suite| suite.name == name);
    let found = found.ok_or_else(|| SuiteError::NoBuiltin(name.to_owned()))?;
    Suite::read(found.name, &Files::embedded(&[(found.name, found.text)]))
}
