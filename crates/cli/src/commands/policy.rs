//! `instar policy`.

use instar_protocol::api::Done;
use instar_protocol::contact::{Contacts, ForgetContact};
use instar_protocol::policy::{
    Explained, PolicyAnswer, PolicyCase, PolicyReport, PolicyRight, PolicyTests, PostureReport,
    PostureWould,
};
use serde_json::{Value, json};
use std::io::Read as _;

use super::events::escape;
use super::offline;
use crate::args::{Asker, Explain, KnownPeople, Policy};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, visible};

/// A longer file of facts is not read.
const GIVEN_BYTES_MAX: u64 = 1024 * 1024;

pub(crate) async fn run(command: &Policy, run: &Context) -> anyhow::Result<()> {
    match command {
        Policy::Show { agent, asker } => show(agent.as_deref(), *asker, run).await,
        Policy::Rules => rules(run).await,
        Policy::Explain(asked) => explain(asked, run).await,
        Policy::Contacts { command: None } => contacts(run).await,
        Policy::Contacts {
            command: Some(KnownPeople::Forget { who }),
        } => forget(who, run).await,
        Policy::Test => test(run).await,
        Policy::Posture { days } => posture(*days, run).await,
    }
}

async fn report(agent: Option<&str>, asker: Asker, run: &Context) -> anyhow::Result<PolicyReport> {
    match offline::live(run).await? {
        Some(client) => {
            let agent = agent.map_or_else(String::new, |agent| format!("&agent={}", escape(agent)));
            let path = format!("/api/v1/policy?as={}{agent}", asker.name());
            client.get(&path).await
        }
        None => offline::policy(run, agent, asker.name()).await,
    }
}

async fn show(agent: Option<&str>, asker: Asker, run: &Context) -> anyhow::Result<()> {
    let report = report(agent, asker, run).await?;
    if run.out.json() {
        return run.out.value(&report);
    }
    run.out.line(&format!(
        "posture {}; change it with `instar config set policy.posture balanced`",
        run.out.paint(Style::Strong, &report.posture)
    ));
    problems(&report.problems, run);
    if report.rights.is_empty() {
        run.out
            .note("no tools are known before a gateway ran here once");
        return Ok(());
    }
    let rows: Vec<_> = report.rights.iter().map(right).collect();
    let head = ["tool", "does", "reaches", "careful", "balanced", "open"];
    run.out.table(&head, &rows);
    run.out.note(
        "each: without arguments, before anything was read / after text of a stranger was; `instar policy explain` \
         tells more",
    );
    Ok(())
}

fn right(right: &PolicyRight) -> Vec<(Style, String)> {
    let undoable = if right.undoable { ", undoable" } else { "" };
    let mut row = vec![
        (Style::Strong, right.tool.clone()),
        (Style::Plain, format!("{}{undoable}", right.effect)),
        (Style::Plain, right.reach.clone()),
    ];
    row.extend(right.answers.iter().map(answer));
    row
}

fn answer(answer: &PolicyAnswer) -> (Style, String) {
    let style = match (answer.outcome.as_str(), answer.tainted.as_str()) {
        ("allow", "allow") => Style::Good,
        ("deny", _) => Style::Faint,
        _ => Style::Warn,
    };
    (style, format!("{} / {}", answer.outcome, answer.tainted))
}

fn problems(problems: &[String], run: &Context) {
    for problem in problems {
        run.out.line(
            &run.out
                .paint(Style::Bad, &format!("not in force: {problem}")),
        );
    }
}

async fn rules(run: &Context) -> anyhow::Result<()> {
    let report = report(None, Asker::Owner, run).await?;
    if run.out.json() {
        return run
            .out
            .value(&json!({ "rules": report.rules, "problems": report.problems }));
    }
    problems(&report.problems, run);
    let rows: Vec<_> = report
        .rules
        .iter()
        .map(|rule| {
            let style = match rule.answer.as_str() {
                "permit" => Style::Good,
                "never" => Style::Bad,
                _ => Style::Warn,
            };
            vec![
                (Style::Strong, rule.rule.clone()),
                (style, does(&rule.answer).to_owned()),
                (Style::Faint, rule.place.clone()),
                (Style::Plain, rule.words.clone()),
            ]
        })
        .collect();
    run.out.table(&["rule", "answer", "where", "says"], &rows);
    run.out.note(
        "permits lift what asks as long as you have not said otherwise; the rest is never lifted by a permit",
    );
    Ok(())
}

fn does(answer: &str) -> &'static str {
    match answer {
        "permit" => "permits",
        "never" => "denies",
        "ask" => "asks",
        _ => "asks, unless a rule of yours permits",
    }
}

async fn explain(asked: &Explain, run: &Context) -> anyhow::Result<()> {
    let live = offline::live(run).await?;
    let told: Explained = match &asked.decision {
        Some(id) => match live {
            Some(client) => {
                let path = format!("/api/v1/policy/decisions/{}", escape(id));
                client.get(&path).await?
            }
            None => offline::decision(run, id).await?,
        },
        None => {
            let body = json!({ "given": given(asked)?, "session": asked.session });
            match live {
                Some(client) => client.post("/api/v1/policy/explain", &body).await?,
                None => offline::explain_call(run, body).await?,
            }
        }
    };
    if run.out.json() {
        return run.out.value(&told);
    }
    tell(&told, run);
    Ok(())
}

/// The call with its facts, from the file or from what was typed.
fn given(asked: &Explain) -> anyhow::Result<Value> {
    let mut given = match &asked.given {
        Some(path) => {
            let mut text = String::new();
            let read = if path.as_os_str() == "-" {
                std::io::stdin()
                    .take(GIVEN_BYTES_MAX)
                    .read_to_string(&mut text)
            } else {
                std::fs::File::open(path)
                    .and_then(|file| file.take(GIVEN_BYTES_MAX).read_to_string(&mut text))
            };
            read.map_err(|error| wrong(&format!("{} cannot be read: {error}", path.display())))?;
            json_of(&text, "the file")?
        }
        None => json!({
            "tool": asked.tool,
            "arguments": json_of(&asked.arguments, "ARGUMENTS")?,
        }),
    };
    let mut put = |name: &str, value: Value| given[name] = value;
    if let Some(asker) = asked.asker {
        put("as", json!(asker.name()));
    }
    if let Some(agent) = &asked.agent {
        put("agent", json!(agent));
    }
    if let Some(posture) = &asked.posture {
        put("posture", json!(posture));
    }
    if !asked.words.is_empty() {
        put("words", json!(asked.words));
    }
    if !asked.plan.is_empty() {
        put("plan", json!(asked.plan));
    }
    if asked.tainted {
        put("tainted", json!(true));
    }
    Ok(given)
}

fn json_of(text: &str, what: &str) -> anyhow::Result<Value> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| wrong(&format!("{what} is not JSON: {error}")))?;
    if value.is_object() {
        return Ok(value);
    }
    Err(wrong(&format!("{what} has to be a JSON object")).into())
}

fn wrong(message: &str) -> Failure {
    Failure::new(Code::Usage, message).next(
        "for example: instar policy explain write '{\"path\":\"notes/a.md\",\"content\":\"x\"}'",
    )
}

fn tell(told: &Explained, run: &Context) {
    let out = run.out;
    let style = match told.outcome.as_str() {
        "allow" => Style::Good,
        "ask" => Style::Warn,
        _ => Style::Bad,
    };
    let when = told
        .at
        .map_or_else(String::new, |at| format!(", {}", ago(at, run.now())));
    out.line(&format!(
        "{} {} by {} ({}{when})",
        out.paint(Style::Strong, &told.tool),
        out.paint(style, &told.outcome),
        out.paint(Style::Strong, &told.rule),
        told.of,
    ));
    for line in &told.why {
        out.line(&format!("  {line}"));
    }
    if !told.values.is_empty() {
        out.line("values");
    }
    for value in &told.values {
        let from = value
            .source
            .as_deref()
            .map_or_else(String::new, |source| format!(", {source}"));
        out.line(&format!(
            "  {} = {}  {}{from}",
            value.path, value.text, value.grade
        ));
    }
    if !told.facts.is_empty() {
        let facts: Vec<String> = told
            .facts
            .iter()
            .map(|fact| format!("{} {}", fact.name, fact.is))
            .collect();
        out.line("facts");
        out.line(&format!("  {}", facts.join(", ")));
    }
    if !told.rules.is_empty() {
        out.line("rules that hold");
    }
    for rule in &told.rules {
        out.line(&format!("  {} ({}): {}", rule.rule, rule.place, rule.words));
    }
    if !told.turns.is_empty() {
        out.line("it hangs on");
    }
    for turn in &told.turns {
        out.line(&format!(
            "  {}: {}; were it {}, the answer would be {} by {}",
            turn.fact, turn.is, turn.would_be, turn.outcome, turn.rule
        ));
    }
    for note in &told.notes {
        out.note(note);
    }
}

async fn test(run: &Context) -> anyhow::Result<()> {
    let tests: PolicyTests = match offline::live(run).await? {
        Some(client) => client.post("/api/v1/policy/test", &json!({})).await?,
        None => offline::policy_test(run).await?,
    };
    if run.out.json() {
        run.out.value(&tests)?;
    } else {
        for problem in &tests.problems {
            run.out
                .line(&run.out.paint(Style::Bad, &format!("problem: {problem}")));
        }
        for case in &tests.cases {
            tell_case(case, run);
        }
        let passed = tests.cases.iter().filter(|case| case.passed).count();
        run.out.line(&format!(
            "{} rules ({} files of yours), {passed} of {} cases as expected",
            tests.rules,
            tests.rule_files,
            tests.cases.len()
        ));
        if tests.cases.is_empty() {
            run.out
                .note("cases are files in policy/tests of the state folder; docs/policy.md has an example");
        }
    }
    if tests.passed() {
        return Ok(());
    }
    Err(
        Failure::new(Code::Failed, "the rules do not do what is expected of them")
            .next("mend the rules or the cases; `instar policy explain` shows which fact decides")
            .into(),
    )
}

fn tell_case(case: &PolicyCase, run: &Context) {
    let (style, word) = if case.passed {
        (Style::Good, "pass")
    } else {
        (Style::Bad, "FAIL")
    };
    let word = run.out.paint(style, word);
    run.out.line(&format!(
        "{word}  {}: {}: {}",
        case.file, case.name, case.found
    ));
    if !case.passed {
        run.out.line(&format!("      expected {}", case.expected));
        for line in &case.why {
            run.out.line(&format!("      {line}"));
        }
    }
}

async fn contacts(run: &Context) -> anyhow::Result<()> {
    let known: Contacts = match offline::live(run).await? {
        Some(client) => client.get("/api/v1/policy/contacts").await?,
        None => offline::contacts(run).await?,
    };
    if run.out.json() {
        return run.out.value(&known);
    }
    if known.contacts.is_empty() && known.entered.is_empty() {
        run.out.note(
            "nobody is known yet: whom you name in a message that then goes to him is known from then on; \
             `policy.contacts` names others",
        );
        return Ok(());
    }
    let now = run.now();
    let entered = known.entered.iter().map(|who| {
        vec![
            (Style::Strong, visible(who)),
            (Style::Plain, "policy.contacts".to_owned()),
            (Style::Faint, String::new()),
        ]
    });
    let met = known.contacts.iter().map(|one| {
        vec![
            (Style::Strong, one.text.clone()),
            (
                Style::Plain,
                format!("your message by {}", visible(&one.tool)),
            ),
            (Style::Faint, ago(one.at, now)),
        ]
    });
    run.out.table(
        &["who", "known by", "since"],
        &met.chain(entered).collect::<Vec<_>>(),
    );
    if !known.contacts.is_empty() {
        run.out
            .note("`instar policy contacts forget WHO` makes what goes there ask again");
    }
    Ok(())
}

async fn forget(who: &str, run: &Context) -> anyhow::Result<()> {
    let asked = ForgetContact {
        text: who.to_owned(),
    };
    let client = run.client()?;
    let done: Done = client
        .post("/api/v1/policy/contacts/forget", &asked)
        .await?;
    if run.out.json() {
        return run.out.value(&done);
    }
    run.out
        .note(&format!("{} is not known any more", visible(who)));
    Ok(())
}

async fn posture(days: u32, run: &Context) -> anyhow::Result<()> {
    let report: PostureReport = match offline::live(run).await? {
        Some(client) => {
            let path = format!("/api/v1/policy/posture?days={days}");
            client.get(&path).await?
        }
        None => offline::posture(run, days).await?,
    };
    if run.out.json() {
        return run.out.value(&report);
    }
    run.out.line(&format!(
        "posture {}; {} decisions in {} days",
        run.out.paint(Style::Strong, &report.posture),
        report.decisions,
        report.days
    ));
    let rows: Vec<_> = report
        .would
        .iter()
        .map(|would| row(would, &report))
        .collect();
    let head = [
        "posture",
        "lets through",
        "asks",
        "denies",
        "answers otherwise",
    ];
    run.out.table(&head, &rows);
    for would in &report.would {
        tell_would(would, run);
    }
    if report.unknown > 0 {
        run.out.note(&format!(
            "{} decisions are left out: their facts were not kept or were removed",
            report.unknown
        ));
    }
    if report.cut {
        run.out
            .note("there were more receipts than are gone through; these are the newest");
    }
    run.out
        .note("nothing was changed; `instar config set policy.posture balanced` changes it");
    Ok(())
}

fn row(would: &PostureWould, report: &PostureReport) -> Vec<(Style, String)> {
    let style = if would.posture == report.posture {
        Style::Strong
    } else {
        Style::Plain
    };
    let plan = match would.on_plan {
        0 => String::new(),
        on_plan => format!(" ({on_plan} of them if the plan has them)"),
    };
    vec![
        (style, would.posture.clone()),
        (Style::Plain, format!("{}{plan}", would.allow)),
        (Style::Plain, would.ask.to_string()),
        (Style::Plain, would.deny.to_string()),
        (Style::Plain, would.changed.to_string()),
    ]
}

fn tell_would(would: &PostureWould, run: &Context) {
    if let Some(why) = &would.refused {
        run.out.line(&format!("{}: {why}", would.posture));
    }
    if would.examples.is_empty() {
        return;
    }
    run.out.line(&format!("in {}:", would.posture));
    for change in &would.examples {
        let plan = if change.on_plan {
            ", if the plan has it"
        } else {
            ""
        };
        run.out.line(&format!(
            "  receipt {}, {} ({}), {}: {} instead of {} by {}{plan}",
            change.receipt,
            change.tool,
            change.effect,
            ago(change.at, run.now()),
            change.to,
            change.from,
            change.rule
        ));
    }
    let more = would.changed.saturating_sub(would.examples.len() as u64);
    if more > 0 {
        run.out.line(&format!("  and {more} more"));
    }
}
