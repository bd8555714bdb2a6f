//! Faults, the lab and its fixes, read from the state folder.

use instar_gateway::api::{healing, queries};
use instar_gateway::healing::{GeneAsked, chosen};
use instar_gateway::lab;
use instar_protocol::Clock;
use instar_protocol::lab::{Case, Foreign, Proposed, Takeover};
use instar_protocol::time::SystemClock;
use serde_json::Value;

use super::super::fault;
use super::{Folder, explain, opened};
use crate::context::Context;

/// The register of faults.
pub(crate) async fn fault(run: &Context, asked: fault::Asked) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let store = &folder.store;
    let answer = match asked {
        fault::Asked::All => lab::list(store).await.map(serde_json::to_value),
        fault::Asked::One(name) => lab::one(store, &name).await.map(serde_json::to_value),
        fault::Asked::Edits => lab::edits(store, queries::PAGE)
            .await
            .map(serde_json::to_value),
        fault::Asked::Edit(edit) => {
            let now = SystemClock.now();
            lab::edit(store, edit, now).await.map(serde_json::to_value)
        }
        fault::Asked::Merges => lab::merges(store).await.map(serde_json::to_value),
        fault::Asked::Word(word) => {
            let now = SystemClock.now();
            let said = lab::merge_word(store, word, now).await;
            said.map(serde_json::to_value)
        }
    };
    let answer = answer.map_err(explain)??;
    folder.close().await?;
    Ok(answer)
}

/// Cycles of the lab, the newest first.
pub(crate) async fn cycles(run: &Context, limit: usize) -> anyhow::Result<Vec<lab::Cycle>> {
    let folder = Folder::open(&run.state()?)?;
    let cycles = lab::log(&folder.store, limit).await?;
    folder.close().await?;
    Ok(cycles)
}

/// All that the files of the exchange are written from.
pub(crate) async fn ledger(run: &Context) -> anyhow::Result<Value> {
    let (folder, releases) = opened(run).await?;
    let ledger = lab::ledger(&folder.store, &releases).await;
    drop(releases);
    folder.close().await?;
    Ok(serde_json::to_value(ledger.map_err(explain)?)?)
}

/// What is kept of folders of other engines.
pub(crate) async fn foreign(run: &Context) -> anyhow::Result<Vec<Foreign>> {
    let folder = Folder::open(&run.state()?)?;
    let kept = lab::foreign(&folder.store).await;
    folder.close().await?;
    kept.map_err(explain)
}

/// Keeps more of it, or with nothing drops all; how many that were.
pub(crate) async fn take_over(run: &Context, asked: Option<Takeover>) -> anyhow::Result<usize> {
    let folder = Folder::open(&run.state()?)?;
    let count = match asked {
        Some(asked) => lab::take_over(&folder.store, asked, run.now()).await,
        None => lab::forget(&folder.store).await,
    };
    folder.close().await?;
    count.map_err(explain)
}

/// The trials of fixes, as they stand in the folder.
pub(crate) async fn trials(run: &Context) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let trials = healing::list(&folder.store).await.map_err(explain)?;
    folder.close().await?;
    Ok(serde_json::to_value(trials)?)
}

/// What choices of fixes are made from.
pub(crate) async fn case(run: &Context, agent: &str) -> anyhow::Result<Case> {
    let (folder, releases) = opened(run).await?;
    let case = healing::told(&folder.store, &releases, agent).await;
    drop(releases);
    folder.close().await?;
    case.map_err(explain)
}

/// A candidate of what a recipe would do about a fault.
pub(crate) async fn try_fix(run: &Context, agent: &str, one: Proposed) -> anyhow::Result<Value> {
    let (folder, releases) = opened(run).await?;
    let made = match lab::one(&folder.store, &one.fault).await {
        Ok(of) => chosen(&folder.store, &releases, agent, &of.fault, &one, run.now()).await,
        Err(error) => Err(error),
    };
    drop(releases);
    folder.close().await?;
    Ok(serde_json::to_value(made.map_err(explain)?)?)
}

pub(crate) async fn keep_gene(run: &Context, asked: GeneAsked) -> anyhow::Result<Value> {
    let (folder, releases) = opened(run).await?;
    let kept = healing::kept((&folder.store, &releases), asked, run.now()).await;
    drop(releases);
    folder.close().await?;
    Ok(serde_json::to_value(kept.map_err(explain)?)?)
}
