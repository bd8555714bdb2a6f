//! `process`: the programs in the background of a conversation; `process_write`: their input.
//!
//! Looking reads. Ending one undoes nothing and reaches nobody: it takes away what an earlier permit let
//! run, so it needs no more than looking does. Writing to a program is running code with it, so that is
//! judged as running.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_policy::{Annotation, Field, FieldRole, Kind, Reach, SlotRole};
use instar_protocol::Label;
use instar_protocol::tool::{Effect, ToolSpec};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

use super::{INPUT_BYTES_MAX, Job, ProgramsPort};
use crate::annotate::{field, own, slots};
use crate::plain::{Plain, flag, spec, text};
use crate::tool::{Caller, Output, Tool, ToolError};

pub(super) fn look(port: Arc<dyn ProgramsPort>) -> Plain<dyn ProgramsPort> {
    Plain {
        spec: spec(
            "process",
            "The programs that exec left running in the background of this conversation: list them, poll one \
             for what it wrote since the last look, or kill it.",
            &json!({
                "action": { "type": "string", "enum": ["list", "poll", "kill"] },
                "job": { "type": "string", "maxLength": 40, "description": "For poll and kill." },
            }),
            &["action"],
        ),
        annotation: Annotation {
            connector: "programs".to_owned(),
            slots: slots(&[
                ("action", SlotRole::Plain, Kind::Enum),
                ("job", SlotRole::Which, Kind::Id),
            ]),
            fields: fields(),
            ..Annotation::reads(own())
        },
        port,
        run: |port, arguments, caller| looked(port, arguments, caller).boxed(),
    }
}

fn fields() -> Vec<Field> {
    vec![
        field("[].job", Kind::Id, FieldRole::System),
        field("[].seconds", Kind::Number, FieldRole::System),
    ]
}

async fn looked(
    port: &dyn ProgramsPort,
    arguments: &Value,
    caller: &Caller,
) -> Result<Output, ToolError> {
    let job = text(arguments, "job");
    match (text(arguments, "action"), job) {
        (Some("list"), _) => {
            let jobs = port.jobs(caller).await;
            let label = jobs.iter().fold(own(), |label, job| label.join(&job.label));
            let rows = jobs.iter().map(row).collect();
            Ok(Output::structured(Value::Array(rows), label))
        }
        (Some("poll"), Some(job)) => {
            let (job, news, lost) = port.news(caller, job).await?;
            Ok(polled(&job, &news, lost))
        }
        (Some("kill"), Some(job)) => {
            let ran = port.kill(caller, job).await?;
            let told = if ran {
                "was ended"
            } else {
                "had ended by itself"
            };
            Ok(Output::system(format!("{job} {told}")))
        }
        _ => Err(ToolError::Arguments(
            "poll and kill need job; list shows the jobs".to_owned(),
        )),
    }
}

fn row(job: &Job) -> Value {
    json!({
        "job": job.id,
        "command": job.command,
        "state": job.end.map_or_else(|| json!("running"), super::How::as_value),
        "seconds": job.seconds.round(),
        "bytes": job.bytes,
    })
}

fn polled(job: &Job, news: &str, lost: u64) -> Output {
    let mut line = match job.end {
        Some(how) => how.words(job.seconds),
        None => format!("runs for {:.1} s", job.seconds),
    };
    if lost > 0 {
        line.push_str(&format!("; {lost} bytes in the middle were not kept"));
    }
    let text = match (news.is_empty(), job.end) {
        (true, None) => format!("[{line}; nothing new]"),
        (true, Some(_)) => format!("[{line}; nothing more]"),
        (false, _) => format!("[{line}]\n{news}"),
    };
    Output::words(text, job.label.clone())
}

pub(super) struct Write {
    port: Arc<dyn ProgramsPort>,
    spec: ToolSpec,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Write")
    }
}

impl Write {
    pub(super) fn new(port: Arc<dyn ProgramsPort>) -> Self {
        let spec = spec(
            "process_write",
            "Writes to the standard input of a program that runs in the background of this conversation.",
            &json!({
                "job": { "type": "string", "minLength": 1, "maxLength": 40 },
                "input": { "type": "string", "maxLength": INPUT_BYTES_MAX },
                "close": { "type": "boolean", "description": "End the input after this." },
            }),
            &["job", "input"],
        );
        Self { port, spec }
    }
}

impl Tool for Write {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        Annotation {
            effect: Effect::Execute,
            reach: Reach::Own,
            connector: "programs".to_owned(),
            slots: slots(&[
                ("job", SlotRole::Which, Kind::Id),
                ("input", SlotRole::Which, Kind::Enum),
                ("close", SlotRole::Plain, Kind::Bool),
            ]),
            ..Annotation::reads(own())
        }
    }

    fn environment<'a>(&'a self, arguments: &'a Value, caller: &'a Caller) -> BoxFuture<'a, Value> {
        async move {
            let id = text(arguments, "job").unwrap_or_default();
            let jobs = self.port.jobs(caller).await;
            // Never a rule: what a program makes of its input is not known from either.
            match jobs.iter().find(|job| job.id == id && job.end.is_none()) {
                Some(job) => json!({
                    "open": "it runs what its input says",
                    "tells": [format!("writes to {}: {}", job.id, job.command)],
                }),
                None => json!({ "cannot": format!("no program {id} runs in this conversation") }),
            }
        }
        .boxed()
    }

    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>> {
        async move {
            let job = text(arguments, "job").unwrap_or_default();
            let input = text(arguments, "input").unwrap_or_default().to_owned();
            let bytes = input.len();
            let close = flag(arguments, "close");
            self.port.write(caller, job, input, close).await?;
            let label = Label::system();
            Ok(Output::words(format!("{bytes} bytes went to {job}"), label))
        }
        .boxed()
    }
}
