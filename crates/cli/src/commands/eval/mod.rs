//! `instar eval`.

mod arms;
mod kept;
mod run;
mod scripts;

use instar_evals::import::{Samples, import};
use instar_evals::{SuiteError, Trouble, builtin, output, record, to_yaml};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::args::{Eval, SampleKind};
use crate::commands::offline;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, visible};

/// The most bytes of a file of samples.
const SAMPLES_BYTES_MAX: u64 = 8 << 20;

const STARTER: &str = "\
# A suite: what is asked, and what has to hold of the answers.
# `instar eval run suite.yaml` runs it; docs/evals.md lists every assertion.
description: My first suite
prompts:
  - \"Answer in one word: what is the capital of {{country}}?\"
providers:
  # `gateway` asks your agent, `echo` gives the prompt back, `agent` plays whole conversations.
  - echo
tests:
  - vars: {country: [France, Spain]}
    assert:
      - {type: contains, value: \"{{country}}\"}
      - {type: word-count, value: {max: 20}}
  - description: a conversation with the whole agent, its tools made up
    vars: {country: France}
    assert:
      - {type: not-is-refusal}
";

pub(crate) async fn run(command: &Eval, run: &Context) -> anyhow::Result<()> {
    match command {
        Eval::Run(asked) => run::run(asked, run).await,
        Eval::List => list(run),
        Eval::Show { report } => show(report, run),
        Eval::Init { file } => init(file, run),
        Eval::Record { session, turn } => recorded(session, *turn, run).await,
        Eval::Import { file, kind } => imported(file, *kind, run),
    }
}

fn list(run: &Context) -> anyhow::Result<()> {
    let reports = kept::list(run)?;
    if run.out.json() {
        let suites: Vec<_> = builtin::ALL
            .iter()
            .map(|suite| json!({"name": format!("{}{}", builtin::PREFIX, suite.name), "about": suite.about}))
            .collect();
        return run
            .out
            .value(&json!({"suites": suites, "reports": reports}));
    }
    let suites: Vec<_> = builtin::ALL
        .iter()
        .map(|suite| {
            let name = format!("{}{}", builtin::PREFIX, suite.name);
            vec![
                (Style::Strong, name),
                (Style::Plain, suite.about.to_owned()),
            ]
        })
        .collect();
    run.out.table(&["suite", "about"], &suites);
    if reports.is_empty() {
        run.out
            .note("no reports are kept yet; `instar eval run builtin:golden` makes one");
        return Ok(());
    }
    let rows: Vec<_> = reports
        .iter()
        .map(|one| {
            vec![
                (Style::Strong, instar_release::short(&one.digest)),
                (Style::Plain, visible(&one.suite)),
                (Style::Plain, visible(&one.arms.join(" against "))),
                (Style::Plain, one.passed.to_string()),
                (Style::Plain, one.total.to_string()),
            ]
        })
        .collect();
    run.out
        .table(&["report", "suite", "arms", "passed", "of"], &rows);
    Ok(())
}

fn show(name: &str, run: &Context) -> anyhow::Result<()> {
    let report = kept::open(name, run)?;
    if run.out.json() {
        return run.out.value(&report.to_value());
    }
    run.out.piece(&output::markdown(&report));
    Ok(())
}

fn init(file: &Path, run: &Context) -> anyhow::Result<()> {
    let made =
        std::fs::File::create_new(file).and_then(|mut file| file.write_all(STARTER.as_bytes()));
    made.map_err(|error| {
        Failure::new(Code::Failed, format!("{}: {error}", file.display()))
            .next("name another file; none is written over")
    })?;
    if run.out.json() {
        return run.out.value(&json!({ "file": file }));
    }
    run.out.line(&format!("wrote {}", file.display()));
    run.out
        .note(&format!("run it with `instar eval run {}`", file.display()));
    Ok(())
}

async fn recorded(session: &str, turn: usize, run: &Context) -> anyhow::Result<()> {
    let detail = match offline::live(run).await? {
        Some(client) => {
            let path = format!(
                "/api/v1/sessions/{}",
                crate::commands::events::escape(session)
            );
            client.get(&path).await?
        }
        None => offline::session(run, session).await?,
    };
    let suite = record(&detail.entries, turn).map_err(|trouble| {
        Failure::new(Code::NotFound, trouble.to_string()).next(format!(
            "`instar sessions show {session}` shows what was said"
        ))
    })?;
    if run.out.json() {
        return run.out.value(&suite);
    }
    run.out.piece(&visible(&to_yaml(&suite)));
    run.out
        .note("read it before you share it: redaction is a net, not a proof");
    Ok(())
}

fn imported(file: &Path, kind: SampleKind, run: &Context) -> anyhow::Result<()> {
    let kind = match kind {
        SampleKind::OpenaiMatch => Samples::OpenAiMatch,
        SampleKind::OpenaiIncludes => Samples::OpenAiIncludes,
        SampleKind::OpenaiFuzzy => Samples::OpenAiFuzzy,
        SampleKind::OpenaiJson => Samples::OpenAiJson,
        SampleKind::Inspect => Samples::Inspect,
    };
    let mut text = String::new();
    let _read = std::fs::File::open(file)
        .and_then(|file| file.take(SAMPLES_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", file.display())))?;
    let suite = import(&text, kind).map_err(|error| wrong(&error))?;
    if run.out.json() {
        return run.out.value(&suite);
    }
    run.out.piece(&visible(&to_yaml(&suite)));
    Ok(())
}

fn refused(trouble: &Trouble) -> anyhow::Error {
    Failure::new(Code::Failed, trouble.to_string()).into()
}

/// A suite that cannot be run.
fn wrong(error: &SuiteError) -> anyhow::Error {
    Failure::new(Code::Failed, error.to_string())
        .next("docs/evals.md says what a suite may hold")
        .into()
}
