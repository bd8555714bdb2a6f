//! `exec`: one program, behind walls.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_policy::{Annotation, Kind, Reach, SlotRole};
use instar_protocol::SessionKey;
use instar_protocol::tool::{Effect, ToolSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{INPUT_BYTES_MAX, Order, ProgramsPort, SECONDS_MAX, told};
use crate::annotate::{own, slots};
use crate::files::relative;
use crate::plain::{flag, spec, text};
use crate::tool::{Caller, Output, Tool, ToolError};

/// What a text for a shell is given to.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// Beyond the walls' own limit, for their end and for looking at what changed.
const GRACE: Duration = Duration::from_secs(120);

pub(super) struct Exec {
    port: Arc<dyn ProgramsPort>,
    spec: ToolSpec,
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exec")
    }
}

impl Exec {
    pub(super) fn new(port: Arc<dyn ProgramsPort>) -> Self {
        Self {
            port,
            spec: described(),
        }
    }
}

fn described() -> ToolSpec {
    spec(
        "exec",
        "Runs a program behind walls: it sees the system's programs and the workspace (as /work), nothing \
         else of this machine, and no network unless the owner named hosts. Give `command`, a list of words \
         that no shell reads; `shell` only where a shell is needed.",
        &json!({
            "command": { "type": "array", "maxItems": 256,
                "items": { "type": "string", "maxLength": 32_768 },
                "description": "The program and its arguments, each a word of its own." },
            "shell": { "type": "string", "minLength": 1, "maxLength": 32_768,
                "description": "Instead of command: a text for sh. It counts as arbitrary code." },
            "cwd": { "type": "string", "maxLength": 1024,
                "description": "The folder to run in, relative to the workspace." },
            "env": { "type": "array", "maxItems": 32, "items": { "type": "string", "maxLength": 1024 },
                "description": "NAME=value. A few names are handed on, such as LANG, TZ, CI; the answer \
                 names the others." },
            "timeout": { "type": "integer", "minimum": 1, "maximum": SECONDS_MAX,
                "description": "Seconds after which it is stopped." },
            "stdin": { "type": "string", "maxLength": INPUT_BYTES_MAX,
                "description": "What it reads from its standard input." },
            "background": { "type": "boolean",
                "description": "Go on without waiting; process shows how it is doing." },
        }),
        &[],
    )
}

/// What a program does is not known from its words, so each needs the owner's own; what is code by
/// itself (a text for a shell, an input) is evidenced by nothing.
fn annotation() -> Annotation {
    Annotation {
        effect: Effect::Execute,
        reach: Reach::Own,
        connector: "programs".to_owned(),
        slots: slots(&[
            ("command", SlotRole::Which, Kind::Text),
            ("shell", SlotRole::Which, Kind::Enum),
            ("stdin", SlotRole::Which, Kind::Enum),
            // What is in there decides what runs, as `PATH` does.
            ("env", SlotRole::Which, Kind::Enum),
            ("cwd", SlotRole::Where, Kind::Path),
            ("timeout", SlotRole::Plain, Kind::Number),
            ("background", SlotRole::Plain, Kind::Bool),
        ]),
        ..Annotation::reads(own())
    }
}

impl Tool for Exec {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        annotation()
    }

    fn environment<'a>(&'a self, arguments: &'a Value, caller: &'a Caller) -> BoxFuture<'a, Value> {
        async move {
            match order(arguments) {
                Ok(order) => self.port.bind(caller, &order).await,
                Err(why) => json!({ "cannot": why.to_string() }),
            }
        }
        .boxed()
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(SECONDS_MAX) + GRACE)
    }

    fn over(&self, session: &SessionKey) {
        self.port.over(session);
    }

    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>> {
        async move {
            let ran = self.port.run(caller, order(arguments)?).await?;
            Ok(told(ran))
        }
        .boxed()
    }
}

/// Reads the arguments; the schema has checked their types.
fn order(arguments: &Value) -> Result<Order, ToolError> {
    let wrong = |why: &str| Err(ToolError::Arguments(why.to_owned()));
    let words = strings(arguments.get("command"));
    let shell = text(arguments, "shell");
    let (words, is_shell) = match (words, shell) {
        (Some(words), None) => (words, false),
        (None, Some(code)) => {
            let words = SHELL.into_iter().chain([code]);
            (words.map(str::to_owned).collect(), true)
        }
        _ => return wrong("give either command, a list of words, or shell, a text"),
    };
    if words.first().is_none_or(String::is_empty) {
        return wrong(
            "the command is empty: give the program and its arguments as a list of words",
        );
    }
    if words.iter().any(|word| word.contains('\0')) {
        return wrong("a word of the command holds a NUL byte");
    }
    let folder = relative(text(arguments, "cwd").unwrap_or_default())?;
    let environment: BTreeMap<String, String> = strings(arguments.get("env"))
        .unwrap_or_default()
        .iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let input = text(arguments, "stdin").map(str::to_owned);
    let background = flag(arguments, "background");
    Ok(Order {
        words,
        is_shell,
        folder,
        environment,
        seconds: arguments.get("timeout").and_then(Value::as_u64),
        input,
        background,
    })
}

fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    let list = value?.as_array()?;
    list.iter()
        .map(|word| word.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_stays_a_list_and_a_text_is_given_to_a_shell_whole() {
        let words = ["printf", "%s\n", "a b; $(id) `id` && *", "-rf"];
        let given = order(&json!({ "command": words, "cwd": "./a/" })).unwrap();
        assert_eq!(
            (given.words, given.is_shell),
            (words.map(str::to_owned).to_vec(), false)
        );
        assert_eq!(given.folder, "a");
        let given = order(&json!({ "shell": "a 'b' | c" })).unwrap();
        assert_eq!(
            (given.words, given.is_shell),
            (
                vec!["/bin/sh".into(), "-c".into(), "a 'b' | c".into()],
                true
            )
        );
    }

    #[test]
    fn what_is_no_command_is_told() {
        for wrong in [
            json!({}),
            json!({ "command": ["a"], "shell": "b" }),
            json!({ "command": [""] }),
            json!({ "command": ["a", "b\u{0}c"] }),
            json!({ "command": ["a"], "cwd": "../x" }),
            json!({ "command": ["a"], "cwd": "/etc" }),
        ] {
            assert!(order(&wrong).is_err(), "{wrong}");
        }
    }
}
