//! `instar gene` and `instar heal`.

use instar_gateway::api::healing::Trying;
use instar_gateway::healing::GeneAsked;
use instar_improve::gene::Gene as Recipe;
use instar_improve::heal::{self, Told};
use instar_protocol::lab::{Case, Foreign, ForeignKind, Proposed};
use serde_json::{Value, json};
use std::path::Path;

use super::brought;
use super::events::escape;
use super::models::text;
use super::offline;
use super::release::short;
use crate::args::{Gene, Heal};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style, visible};

/// A recipe is no longer than this.
const GENE_BYTES_MAX: u64 = 16 * 1024;

pub(crate) async fn gene(command: &Gene, run: &Context) -> anyhow::Result<()> {
    match command {
        Gene::List => {
            let foreign = match offline::live(run).await? {
                Some(client) => client.get("/api/v1/lab/foreign").await?,
                None => offline::foreign(run).await?,
            };
            list(&case(run, "main").await?, &foreign, run.out)
        }
        Gene::Show { gene } => show(&case(run, "main").await?, gene, run.out),
        Gene::Add {
            file: Some(file), ..
        } => {
            let recipe = read(file)?;
            let asked = GeneAsked {
                gene: Some(serde_json::to_value(&recipe)?),
                ..word(&recipe.id, false)
            };
            said(&keep(run, asked).await?, "is there", run.out)
        }
        Gene::Add {
            skill, agent, yes, ..
        } => {
            let skill = skill.as_deref().unwrap_or_default();
            brought::add(skill, agent, *yes, run).await
        }
        Gene::Ban { gene } => {
            known(&case(run, "main").await?, gene)?;
            said(&keep(run, word(gene, true)).await?, "is banned", run.out)
        }
        Gene::Allow { gene } => said(&keep(run, word(gene, false)).await?, "is allowed", run.out),
    }
}

pub(crate) async fn heal(command: &Heal, run: &Context) -> anyhow::Result<()> {
    match command {
        Heal::Status => status(&trials(run).await?, run.out),
        Heal::Explain { fault, agent } => {
            let (id, told) = explained(&case(run, agent).await?, fault)?;
            explain(&id, &told, run.out)?;
            if !run.out.json() {
                counts(&id, &trials(run).await?, run.out);
                super::note_edits::of_fault(&id, run).await?;
            }
            Ok(())
        }
        Heal::Rehearse { fault, gene, agent } => {
            let case = case(run, agent).await?;
            let (id, told) = explained(&case, fault)?;
            let calls = heal::wrong_calls(&case, &id);
            rehearse(&id, &told, gene.as_deref(), &calls, run).await
        }
        Heal::Try { fault, gene, agent } => propose(fault, gene.as_deref(), agent, run).await,
    }
}

async fn case(run: &Context, agent: &str) -> anyhow::Result<Case> {
    match offline::live(run).await? {
        Some(client) => {
            let path = format!("/api/v1/healing/case?agent={}", escape(agent));
            client.get(&path).await
        }
        None => offline::case(run, agent).await,
    }
}

async fn trials(run: &Context) -> anyhow::Result<Value> {
    match offline::live(run).await? {
        Some(client) => client.get("/api/v1/healing").await,
        None => offline::trials(run).await,
    }
}

pub(super) async fn keep(run: &Context, asked: GeneAsked) -> anyhow::Result<Value> {
    match offline::live(run).await? {
        Some(client) => client.post("/api/v1/healing/genes", &asked).await,
        None => offline::keep_gene(run, asked).await,
    }
}

pub(super) fn word(gene: &str, banned: bool) -> GeneAsked {
    GeneAsked {
        id: gene.to_owned(),
        gene: None,
        banned,
        from: None,
    }
}

fn read(file: &Path) -> anyhow::Result<Recipe> {
    let failed = |why: String| {
        let message = format!("{}: {why}", file.display());
        Failure::new(Code::Usage, message)
            .next("`instar gene show ID` prints one; change a copy of it")
    };
    let size = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?;
    if size.len() > GENE_BYTES_MAX {
        return Err(failed("longer than 16 KiB".to_owned()).into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    Ok(Recipe::read(&text).map_err(|error| failed(error.to_string()))?)
}

fn known(case: &Case, gene: &str) -> anyhow::Result<Recipe> {
    let catalogue = heal::catalogue(case)?;
    let found = catalogue.get(gene).cloned();
    Ok(found.map_err(|error| Failure::new(Code::NotFound, error.to_string()))?)
}

fn list(case: &Case, foreign: &[Foreign], out: Out) -> anyhow::Result<()> {
    let catalogue = heal::catalogue(case)?;
    // Kept of other engines and allowed by nobody yet.
    let waiting = foreign.iter().filter(|one| {
        one.what == ForeignKind::Gene && !case.genes.iter().any(|gene| gene["id"] == one.id)
    });
    let own = |id: &str| case.genes.iter().any(|gene| gene["id"] == id);
    let from = |id: &str| {
        let mut brought = case.brought.iter();
        let found = brought.find(|one| one.gene == id && one.rests.is_none());
        found.map(|one| format!("skill:{}", one.skill))
    };
    let resting = case.brought.iter().filter(|one| one.rests.is_some());
    if out.json() {
        let row = |gene: &Recipe| {
            let banned = catalogue.is_banned(&gene.id);
            let own = own(&gene.id);
            json!({ "gene": gene, "banned": banned, "own": own, "from": from(&gene.id) })
        };
        let resting = resting.map(|one| json!({ "resting": one }));
        let proposed = waiting.map(|one| json!({ "proposed": one, "usable": one.gene.is_some() }));
        return out.value(
            &catalogue
                .genes()
                .map(row)
                .chain(resting)
                .chain(proposed)
                .collect::<Vec<_>>(),
        );
    }
    for gene in catalogue.genes() {
        let mark = match (catalogue.is_banned(&gene.id), own(&gene.id)) {
            (true, _) => "banned  ".to_owned(),
            (false, true) => format!("{}  ", from(&gene.id).as_deref().unwrap_or("yours")),
            (false, false) => String::new(),
        };
        let id = out.paint(Style::Strong, &gene.id);
        out.line(&format!("{id}  {mark}{}", visible(&gene.title)));
    }
    for one in resting {
        let id = out.paint(Style::Faint, &visible(&one.gene));
        let why = one.rests.as_deref().unwrap_or_default();
        out.line(&format!(
            "{id}  rests  skill:{}: {why}",
            visible(&one.skill)
        ));
    }
    for one in waiting {
        let mark = match one.gene {
            Some(_) => "proposed",
            None => "prose only",
        };
        let id = out.paint(Style::Faint, &visible(&one.id));
        out.line(&format!("{id}  {mark}  {}", visible(&one.summary)));
    }
    Ok(())
}

fn show(case: &Case, gene: &str, out: Out) -> anyhow::Result<()> {
    let recipe = known(case, gene)?;
    out.value(&recipe)?;
    if !out.json() {
        out.note(&format!("SHA-256 {}", recipe.hash()?));
    }
    Ok(())
}

fn said(kept: &Value, what: &str, out: Out) -> anyhow::Result<()> {
    if out.json() {
        return out.value(kept);
    }
    out.line(&format!("{} {what}", text(kept, "id")));
    Ok(())
}

fn explained(case: &Case, fault: &str) -> anyhow::Result<(String, Vec<Told>)> {
    let mut fitting = case.faults.iter().filter(|one| one.id.starts_with(fault));
    let id = fitting.next().map_or(fault, |one| one.id.as_str());
    let told = heal::explain(case, id);
    let told = told.map_err(|error| Failure::new(Code::NotFound, error.to_string()))?;
    Ok((id.to_owned(), told))
}

fn explain(fault: &str, told: &[Told], out: Out) -> anyhow::Result<()> {
    if out.json() {
        return out.value(&told);
    }
    out.line(&format!("fault {fault}"));
    let (able, rest): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|one| one.would.is_some());
    for one in able {
        let class = one
            .class
            .map_or(String::new(), |class| format!("class {class:?}"));
        let believed = one.believed.unwrap_or_default();
        let id = out.paint(Style::Strong, &one.gene);
        out.line(&format!(
            "{id}  helps with a chance of {believed:.2}, {class}"
        ));
        out.line(&format!(
            "  would {}",
            visible(one.would.as_deref().unwrap_or_default())
        ));
        match one.nearest {
            Some(nearest) => out.line(&format!("  the nearest earlier cases say {nearest:.2}")),
            None => out.line("  too few earlier cases are like it to say more"),
        }
        if !one.tried.is_empty() {
            out.line(&format!(
                "  tried about this fault: {}",
                one.tried.join(", ")
            ));
        }
    }
    for one in rest {
        let why = one.why_not.as_deref().unwrap_or_default();
        if why != "it is for other faults" {
            out.line(&format!("{}  nothing: {}", one.gene, visible(why)));
        }
    }
    out.note(&format!(
        "`instar heal try {fault}` proposes the first as a candidate"
    ));
    Ok(())
}

/// Units of the trials about a fault: those that happened, and apart from them those that were made up.
fn counts(fault: &str, trials: &Value, out: Out) {
    let rows = trials.as_array().map_or(&[][..], Vec::as_slice);
    for row in rows.iter().filter(|row| row["fault"] == fault) {
        let stage = row["verdict"].as_str().or(row["stage"].as_str());
        let (kind, other) = if row["synthetic"] == true {
            ("made up, no proof", "without")
        } else if row["without_coin"] == true {
            ("no coin, support at most", "before")
        } else {
            ("happened", "without")
        };
        out.line(&format!(
            "{}: {} ({kind}: {} with the fix, {} {other})",
            text(row, "mitigation"),
            stage.unwrap_or_default(),
            row["treated"][0],
            row["control"][0]
        ));
    }
}

/// The first recipe that does anything about the fault, or the one that is asked for.
fn able<'a>(
    fault: &str,
    told: &'a [Told],
    gene: Option<&str>,
) -> anyhow::Result<(&'a Told, Value)> {
    let wanted = |one: &&Told| gene.is_none_or(|gene| one.gene == gene);
    let found = told.iter().filter(wanted).find(|one| one.delta.is_some());
    let found = found.and_then(|one| Some((one, one.delta.clone()?)));
    found.ok_or_else(|| {
        let message = format!("no recipe does anything about {fault}");
        Failure::new(Code::NotFound, message)
            .next(format!("`instar heal explain {fault}` says why"))
            .into()
    })
}

/// What can be rehearsed, of which the first is if none is named. The gateway says why the others cannot.
const PLAYED: [&str; 5] = [
    "arguments",
    "retry",
    "route_first",
    "model_retry",
    "model_patience",
];

async fn rehearse(
    fault: &str,
    told: &[Told],
    gene: Option<&str>,
    calls: &[Value],
    run: &Context,
) -> anyhow::Result<()> {
    let acts = |one: &&Told| {
        let delta = one.delta.as_ref();
        let act = delta.map(|delta| &delta["set_mitigation"]["mitigation"]["act"]);
        act.is_some_and(|act| PLAYED.iter().any(|of| act[of].is_object()))
    };
    let first = told.iter().find(acts).map(|one| one.gene.as_str());
    let (one, delta) = able(fault, told, gene.or(first))?;
    let set = &delta["set_mitigation"];
    let asked = json!({"agent": set["agent"], "mitigation": set["mitigation"], "calls": calls});
    let made: Value = run
        .client()?
        .post("/api/v1/healing/rehearse", &asked)
        .await?;
    if run.out.json() {
        return run.out.value(&made);
    }
    run.out
        .line(&format!("{}, rehearsed: {}", one.gene, played(&made)));
    counts(fault, &json!([made]), run.out);
    run.out.note(
        "what was not lived through is counted apart: it can support a fix and never prove one",
    );
    Ok(())
}

/// `3 recorded calls, played again`
fn played(made: &Value) -> String {
    let count = |of: &str| made[of].as_u64().unwrap_or(0);
    match count("recorded") {
        0 => format!("{} made-up calls, as none was kept", count("made_up")),
        recorded => format!("{recorded} recorded calls, played again behind walls"),
    }
}

async fn propose(
    fault: &str,
    gene: Option<&str>,
    agent: &str,
    run: &Context,
) -> anyhow::Result<()> {
    let made: Value = match offline::live(run).await? {
        Some(client) => {
            let asked = Trying {
                fault: fault.to_owned(),
                gene: gene.map(str::to_owned),
                agent: Some(agent.to_owned()),
            };
            client.post("/api/v1/healing/try", &asked).await?
        }
        None => {
            let (id, told) = explained(&case(run, agent).await?, fault)?;
            let (one, delta) = able(&id, &told, gene)?;
            let proposed = Proposed {
                fault: id,
                gene: one.gene.clone(),
                delta,
                because: vec![one.title.clone()],
            };
            offline::try_fix(run, agent, proposed).await?
        }
    };
    if run.out.json() {
        return run.out.value(&made);
    }
    let id = short(&made, "id");
    let class = text(&made, "class");
    run.out.line(&format!(
        "candidate {id}, class {class}: {}",
        visible(&text(&made, "reason"))
    ));
    run.out.note(&format!(
        "`instar candidate diff {id}` shows it; `instar rollout start {id}` serves it, and half of the units \
         have the fix while it is on trial"
    ));
    Ok(())
}

fn status(trials: &Value, out: Out) -> anyhow::Result<()> {
    if out.json() {
        return out.value(trials);
    }
    let rows = trials.as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        out.note("nothing is on trial; `instar heal try FAULT` proposes a fix");
    }
    for row in rows {
        let stage = row["verdict"].as_str().or(row["stage"].as_str());
        let name = out.paint(Style::Strong, &text(row, "mitigation"));
        let made_up = if row["synthetic"] == true {
            " (made up, no proof)"
        } else if row["without_coin"] == true {
            " (no coin, support at most)"
        } else {
            ""
        };
        out.line(&format!(
            "{name}  {}{made_up}  fault {}, share {:.2}",
            stage.unwrap_or_default(),
            text(row, "fault"),
            row["share"].as_f64().unwrap_or_default()
        ));
        let arm = |of: &str| format!("{} bad of {}", row[of][1], row[of][0]);
        let number = |of: &str| row[of].as_f64().unwrap_or_default();
        let (treated, control, evidence) = if row["without_coin"] == true {
            let evidence = format!("supported {:.2}", number("evidence_supported"));
            ("after the change", "before", evidence)
        } else {
            let evidence = format!(
                "proven {:.2}, failed {:.2}, harmful {:.2}",
                number("evidence_proven"),
                number("evidence_failed"),
                number("evidence_harmful")
            );
            ("with the fix", "without", evidence)
        };
        let (with, before) = (arm("treated"), arm("control"));
        out.line(&format!("  {treated} {with}, {control} {before}"));
        let bound = number("bound");
        out.line(&format!("  evidence: {evidence}; decided at {bound:.0}"));
        if let Some(units) = row["unknown"].as_u64().filter(|units| *units > 0) {
            let held = if row["held"].is_null() {
                ""
            } else {
                ", too many or too uneven for anything to be proven"
            };
            out.line(&format!(
                "  {units} units did not end and count as bad{held}"
            ));
        }
        for change in row["changes"].as_array().into_iter().flatten() {
            let what: Vec<&str> = change["what"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            out.line(&format!(
                "  opened again: {} changed",
                visible(&what.join(", "))
            ));
        }
        if let Some(classic) = row["classic"].as_str() {
            out.line(&format!("  three clean ones, five to fail: {classic}"));
        }
    }
    Ok(())
}
