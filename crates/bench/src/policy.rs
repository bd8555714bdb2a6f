//! `cargo xtask bench policy`: what one decision costs, with labels, evidence and fifty rules of an
//! owner's beside the built-in ones.

use clap::Args;
use instar_policy::cedar::{RuleFile, Rules};
use instar_policy::{
    Annotation, Authority, Counts, Decision, Evidence, Families, Plan, Planned, Posture, Request,
    Server, Step, decide,
};
use instar_protocol::principal::Via;
use instar_protocol::tool::{ToolCall, ToolSpec};
use instar_protocol::{AgentId, Label, Principal, Readers, ReleaseId, SessionId};
use serde_json::{Value, json};
use std::time::Instant;

use crate::report::{row, say};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Decisions per figure
    #[arg(long, default_value_t = 20_000)]
    decisions: u32,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// What a decision may cost.
const BAR_US: f64 = 50.0;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let none = median(&authority("")?, options.decisions);
    let fifty = median(&authority(&rules(50))?, options.decisions);
    let whole = median(&authority(&rules_read_whole(50))?, options.decisions);
    let reading = Instant::now();
    let _read = authority(&rules(50))?;
    let read_ms = reading.elapsed().as_secs_f64() * 1e3;
    if options.json {
        let figures = json!({
            "decision_us": { "built_in": none, "fifty_rules": fifty, "fifty_read_whole": whole },
            "ratio": fifty / none,
            "reading_ms": read_ms,
            "bar_us": BAR_US,
        });
        say(&figures.to_string());
        return met(fifty);
    }
    row(
        "a decision, built-in rules",
        &format!("{none:.1} us"),
        "",
        None,
    );
    let figure = format!("{fifty:.1} us ({:.2} x)", fifty / none);
    let is_met = Some(fifty < BAR_US);
    row("a decision, 50 rules more", &figure, "< 50 us", is_met);
    row(
        "the same, each of them read whole",
        &format!("{whole:.1} us ({:.2} x)", whole / none),
        "",
        None,
    );
    row("reading 50 rules", &format!("{read_ms:.1} ms"), "", None);
    met(fifty)
}

fn met(fifty: f64) -> anyhow::Result<()> {
    anyhow::ensure!(
        fifty < BAR_US,
        "a bar is not met: a decision took {fifty:.1} us"
    );
    Ok(())
}

fn rules(count: usize) -> String {
    let rule = |at: usize| match at % 4 {
        0 => format!(
            "forbid (principal, action == Action::\"send\", resource) when {{ context.domains.contains(\"bad{at}.example\") }};\n"
        ),
        1 => format!(
            "permit (principal is Owner, action == Action::\"write\", resource) when {{ context.inFolders.contains(\"notes{at}\") }};\n"
        ),
        2 => format!(
            "@answer(\"ask\") forbid (principal, action, resource == Tool::\"tool{at}\") when {{ context.tainted && context.grade < 3 }};\n"
        ),
        _ => format!(
            "@answer(\"ask\") forbid (principal, action == Action::\"spend\", resource) when {{ context has amount && context.amount > {at}00 }};\n"
        ),
    };
    (0..count).map(rule).collect()
}

/// The same rules, each behind a condition that only Cedar can tell: what a decision costs where nothing
/// shows at once that a rule is not meant.
fn rules_read_whole(count: usize) -> String {
    rules(count).replace("when { ", "when { context.agent like \"m*\" && ")
}

fn authority(text: &str) -> anyhow::Result<Authority> {
    let files = match text {
        "" => Vec::new(),
        text => vec![RuleFile {
            name: "bench.cedar".to_owned(),
            text: text.to_owned(),
        }],
    };
    let read = Rules::read(files);
    let rules = read.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    Ok(Authority {
        posture: Posture::Balanced,
        rules,
        ..Authority::over([("send_email".to_owned(), annotation())].into())
    })
}

fn annotation() -> Annotation {
    let text = json!({ "type": "string" });
    let spec = ToolSpec {
        name: "send_email".to_owned(),
        description: String::new(),
        parameters: json!({
            "type": "object",
            "properties": { "recipients": { "type": "array", "items": text }, "subject": text, "body": text },
        }),
    };
    Families::built_in().infer(Server::open("mail"), &spec)
}

/// The median of batches, in microseconds.
fn median(authority: &Authority, decisions: u32) -> f64 {
    let call = ToolCall {
        id: "call".to_owned(),
        name: "send_email".to_owned(),
        arguments: json!({
            "recipients": ["bob@example.com"],
            "subject": "The minutes",
            "body": "Here are the minutes of the meeting, with all that was decided.",
        }),
    };
    let mut evidence = Evidence::of_words("Send the minutes to bob@example.com");
    let rows: Vec<Value> = (0..20)
        .map(|at| json!({ "id": at.to_string(), "sender": format!("p{at}@example.org"), "body": "see https://example.net/a" }))
        .collect();
    let readers = Readers::Private;
    evidence.result(
        "search_emails",
        &annotation(),
        &json!({}),
        &rows.into(),
        &readers,
    );
    let plan = Plan {
        steps: vec![Step::of("search_emails", 1), Step::of("send_email", 1)],
    };
    let (agent, session) = (AgentId::main(), SessionId::from_stored("ses_1"));
    let (release, counts) = (ReleaseId::from_hex("r1"), Counts::default());
    let context = Label::owner().join(&Label::stranger(Readers::Private));
    let request = Request {
        call: &call,
        principal: &Principal::Owner { via: Via::Token },
        agent: &agent,
        session: &session,
        release: &release,
        context: &context,
        evidence: &evidence,
        plan: Planned::Is(&plan),
        counts: &counts,
        standing: &[],
        approval: None,
        environment: &Value::Null,
    };
    let batch = (decisions / 20).max(1);
    let mut batches: Vec<f64> = (0..20)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..batch {
                let decision = decide(std::hint::black_box(&request), authority);
                debug_assert!(!matches!(decision, Decision::Deny(_)));
                std::hint::black_box(decision);
            }
            begin.elapsed().as_secs_f64() * 1e6 / f64::from(batch)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}
