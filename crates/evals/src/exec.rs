//! Programs of a suite that answer (`exec: python answer.py`), behind the walls that the caller brings, or not at all. Such a
//! program is somebody's: it is told the prompt as its argument, and what it writes is the answer.

use serde_json::{Value, json};
use std::sync::Arc;

use crate::error::Trouble;
use crate::provider::{Answer, Call, Language, Provider, Scripts};
use crate::suite::{Program, ProviderSpec};

const JAVASCRIPT: &str = include_str!("exec.js");
const PYTHON: &str = include_str!("exec.py");

/// Begins the names of such providers.
pub const EXEC: &str = "exec:";

/// The provider of that name; unsupported where scripts do not run, and where the command is anything else than an
/// interpreter and one file.
pub fn exec(
    spec: &ProviderSpec,
    scripts: Option<Arc<dyn Scripts>>,
) -> Result<Box<dyn Provider>, Trouble> {
    let Some(scripts) = scripts else {
        return Trouble::unsupported(format!(
            "{:?} where scripts do not run (`--scripts` lets them, inside walls)",
            spec.id
        ));
    };
    match &spec.program {
        Some(program) => Ok(Box::new(Exec {
            program: program.clone(),
            scripts,
        })),
        None => Trouble::unsupported(format!(
            "{:?}: only `python` or `node` and one file beside the suite are run",
            spec.id
        )),
    }
}

#[derive(Debug)]
struct Exec {
    program: Program,
    scripts: Arc<dyn Scripts>,
}

impl Provider for Exec {
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let options = json!({ "config": or_empty(&call.provider.config) });
        let context = json!({ "vars": call.vars });
        let told = json!({
            "name": self.program.name, "source": self.program.source,
            "arguments": [call.prompt, options.to_string(), context.to_string()],
        });
        let program = match self.program.language {
            Language::JavaScript => JAVASCRIPT,
            Language::Python => PYTHON,
        };
        let said = self
            .scripts
            .run(self.program.language, program, &told.to_string())?;
        match said.trim() {
            "" => Trouble::wrong(format!("{} said nothing", self.program.name)),
            said => Ok(Answer::text(said)),
        }
    }
}

fn or_empty(config: &Value) -> Value {
    if config.is_null() {
        json!({})
    } else {
        config.clone()
    }
}
