//! Faults, fixes and the lab over the socket: what the API has, under the names of methods.

use instar_protocol::AgentId;
use instar_protocol::fault::FaultEdit;
use instar_protocol::lab::Takeover;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::faults::RunAsked;
use crate::api::queries::{PAGE, PAGE_MAX, QueryError, page};
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::healing::{self, GeneAsked};
use crate::lab::{self, LabError, MergeWord};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "fault.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(list(call)),
    },
    Method {
        name: "fault.show",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(show(call)),
    },
    Method {
        name: "fault.log",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(edits(call)),
    },
    Method {
        name: "fault.edit",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(edit(call)),
    },
    Method {
        name: "fault.merges",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(merges(call)),
    },
    Method {
        name: "fault.merge",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(merge_word(call)),
    },
    Method {
        name: "heal.status",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(trials(call)),
    },
    Method {
        name: "heal.case",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(case(call)),
    },
    Method {
        name: "heal.explain",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(explain(call)),
    },
    Method {
        name: "heal.try",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(attempt(call)),
    },
    Method {
        name: "heal.gene",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(gene(call)),
    },
    Method {
        name: "lab.run",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(run(call)),
    },
    Method {
        name: "lab.log",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(log(call)),
    },
    Method {
        name: "lab.ledger",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(ledger(call)),
    },
    Method {
        name: "lab.foreign",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(foreign(call)),
    },
    Method {
        name: "lab.import",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(take_over(call)),
    },
    Method {
        name: "lab.forget",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(forget(call)),
    },
];

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Named {
    /// The id of a fault or the beginning of it.
    name: String,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
struct OfAgent {
    agent: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct About {
    /// The id of a fault or the beginning of it.
    name: String,
    #[serde(default)]
    gene: Option<String>,
    #[serde(default)]
    agent: Option<String>,
}

async fn list(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(json!({ "faults": lab::list(&call.app.store).await? }))
}

async fn show(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    Ok(json!({ "fault": lab::one(&call.app.store, &named.name).await? }))
}

async fn edits(call: Call) -> Result<Value, Refusal> {
    let asked: Page = call.params()?;
    let limit = page("limit", asked.limit, PAGE, PAGE_MAX)?;
    Ok(json!({ "edits": lab::edits(&call.app.store, limit).await? }))
}

async fn edit(call: Call) -> Result<Value, Refusal> {
    let asked: FaultEdit = call.params()?;
    let edited = lab::edit(&call.app.store, asked, call.app.clock.now());
    Ok(json!({ "fault": edited.await? }))
}

async fn merges(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(json!({ "merges": lab::merges(&call.app.store).await? }))
}

async fn merge_word(call: Call) -> Result<Value, Refusal> {
    let word: MergeWord = call.params()?;
    let merged = lab::merge_word(&call.app.store, word, call.app.clock.now());
    Ok(json!({ "fault": merged.await? }))
}

async fn trials(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    healing::fold(&call.app).await.map_err(QueryError::from)?;
    let trials = healing::trials(&call.app.store).await;
    Ok(json!({ "trials": trials.map_err(QueryError::from)? }))
}

fn agent(named: Option<String>) -> String {
    named.unwrap_or_else(|| AgentId::main().to_string())
}

async fn case(call: Call) -> Result<Value, Refusal> {
    let asked: OfAgent = call.params()?;
    let agent = agent(asked.agent);
    let case = healing::case(&call.app.store, &call.app.releases, &agent).await;
    Ok(json!({ "case": case.map_err(QueryError::from)? }))
}

async fn explain(call: Call) -> Result<Value, Refusal> {
    let asked: About = call.params()?;
    let (fault, told) = lab::explain(&call.app, &asked.name, &agent(asked.agent)).await?;
    Ok(json!({ "fault": fault.id, "recipes": told }))
}

async fn attempt(call: Call) -> Result<Value, Refusal> {
    let asked: About = call.params()?;
    let (gene, agent) = (asked.gene.as_deref(), agent(asked.agent));
    let made = lab::attempt(&call.app, &asked.name, gene, &agent);
    Ok(json!({ "candidate": made.await? }))
}

async fn gene(call: Call) -> Result<Value, Refusal> {
    let asked: GeneAsked = call.params()?;
    let house = (&call.app.store, &call.app.releases);
    let kept = healing::keep_gene(house, asked, call.app.clock.now());
    Ok(json!({ "gene": kept.await? }))
}

async fn run(call: Call) -> Result<Value, Refusal> {
    let asked: RunAsked = call.params()?;
    match Box::pin(lab::cycle(&call.app, asked.at_any_load)).await {
        Ok(cycle) => Ok(json!({ "cycle": cycle })),
        Err(LabError::Busy) => Err(Refusal::invalid("a cycle of the lab is under way")),
        Err(LabError::Store(error)) => Err(QueryError::from(error).into()),
    }
}

async fn log(call: Call) -> Result<Value, Refusal> {
    let asked: Page = call.params()?;
    let limit = page("limit", asked.limit, PAGE, PAGE_MAX)?;
    let cycles = lab::log(&call.app.store, limit).await;
    Ok(json!({ "cycles": cycles.map_err(QueryError::from)? }))
}

async fn ledger(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(json!({ "ledger": lab::ledger(&call.app.store, &call.app.releases).await? }))
}

async fn foreign(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(json!({ "assets": lab::foreign(&call.app.store).await? }))
}

async fn take_over(call: Call) -> Result<Value, Refusal> {
    let asked: Takeover = call.params()?;
    let kept = lab::take_over(&call.app.store, asked, call.app.clock.now());
    Ok(json!({ "kept": kept.await? }))
}

async fn forget(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(json!({ "gone": lab::forget(&call.app.store).await? }))
}
