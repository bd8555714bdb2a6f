//! Scripts of suites, each behind walls of its own.

use instar_evals::{Language, Scripts, Trouble};
use instar_sandbox::AskError;
use instar_sandbox::native::Native;
use instar_sandbox::script::{self, Interpreter};

/// Runs scripts with what this machine has, and only where walls stand.
#[derive(Debug)]
pub(super) struct Walled(Native);

impl Default for Walled {
    fn default() -> Self {
        Self(Native::of_this_binary())
    }
}

impl Scripts for Walled {
    fn run(&self, language: Language, program: &str, told: &str) -> Result<String, Trouble> {
        let (language, name) = match language {
            Language::JavaScript => (script::Language::JavaScript, "node"),
            Language::Python => (script::Language::Python, "python3"),
        };
        let Some(interpreter) = Interpreter::find(language) else {
            let what = format!("scripts where no {name} is in /usr/bin or /usr/local/bin");
            return Err(Trouble::Unsupported(what));
        };
        interpreter
            .run(&self.0, program, told)
            .map_err(|error| match error {
                AskError::Start(_) => Trouble::Unsupported(format!("a script: {error}")),
                other => Trouble::Wrong(format!("the script came to no end of its own: {other}")),
            })
    }
}
