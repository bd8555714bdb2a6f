//! Releases, candidates and rollouts in the state folder.

use instar_config::SecretStore;
use instar_gateway::api::candidates::{self, NewCandidate};
use instar_gateway::api::{RollBack, RolledBack, queries, rollouts};
use instar_gateway::signing::{self, Endorse, Endorsed, Import, Imported, VerifyQuery};
use instar_gateway::skills::ShownRelease;
use instar_release::{Bundle, KeyShown, Releases, Spoken};
use serde_json::Value;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{Folder, explain, opened};
use crate::args::{Candidate, ReleaseView};
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};

pub(crate) async fn release(run: &Context, asked: &ReleaseView) -> anyhow::Result<Value> {
    let (folder, releases) = opened(run).await?;
    let answer = match asked {
        ReleaseView::List => {
            serde_json::to_value(queries::releases(&releases, None).await.map_err(explain)?)?
        }
        ReleaseView::Log => serde_json::to_value(
            queries::release_log(&releases, None, None)
                .await
                .map_err(explain)?,
        )?,
        ReleaseView::Show { release } => {
            let found = queries::release(&releases, release).await;
            serde_json::to_value(ShownRelease::of(found.map_err(explain)?))?
        }
        ReleaseView::Verify { all, noted } => {
            let query = VerifyQuery {
                noted: noted.clone(),
                all: *all,
            };
            let secrets = SecretStore::open(&run.state()?, &environment)?;
            let signer = signing::signer(&secrets, &folder.store).await?;
            let found =
                signing::verify(&releases, &signer, &signing::owners(&run.state()?)?, &query).await;
            serde_json::to_value(found.map_err(explain)?)?
        }
        ReleaseView::Provenance { release } => {
            let secrets = SecretStore::open(&run.state()?, &environment)?;
            let signer = signing::signer(&secrets, &folder.store).await?;
            let owners = signing::owners(&run.state()?)?;
            let now = run.now();
            let found = signing::lineage(&releases, release, &signer, &owners, now).await;
            serde_json::to_value(found.map_err(explain)?)?
        }
        ReleaseView::Diff { from, to } => serde_json::to_value(
            queries::release_diff(&releases, from, to)
                .await
                .map_err(explain)?,
        )?,
    };
    drop(releases);
    folder.close().await?;
    Ok(answer)
}

pub(crate) async fn release_keys(run: &Context) -> anyhow::Result<Vec<KeyShown>> {
    let (folder, releases) = opened(run).await?;
    let secrets = SecretStore::open(&run.state()?, &environment)?;
    let shown = signing::signer(&secrets, &folder.store).await?.shown_keys();
    drop(releases);
    folder.close().await?;
    Ok(shown)
}

pub(crate) async fn export(run: &Context, name: &str) -> anyhow::Result<Bundle> {
    let (folder, releases) = opened(run).await?;
    let bundle = signing::export(&releases, name).await.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(bundle)
}

pub(crate) async fn import(run: &Context, asked: Import) -> anyhow::Result<Imported> {
    let (folder, releases) = signed(run).await?;
    let taken = signing::import(&releases, asked, run.now()).await;
    let taken = taken.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(taken)
}

/// The folder with its releases, opened as a gateway would.
async fn signed(run: &Context) -> anyhow::Result<(Folder, Releases)> {
    let state = run.state()?;
    let folder = Folder::open(&state)?;
    let secrets = SecretStore::open(&state, &environment)?;
    let signer = signing::signer(&secrets, &folder.store).await?;
    let releases = Releases::open_signed(folder.store.clone(), signer, run.now()).await?;
    Ok((folder, releases))
}

pub(crate) async fn statement(run: &Context, name: &str) -> anyhow::Result<Spoken> {
    let (folder, releases) = signed(run).await?;
    let spoken = signing::statement(&releases, name).await.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(spoken)
}

pub(crate) async fn endorse(
    run: &Context,
    name: &str,
    asked: &Endorse,
) -> anyhow::Result<Endorsed> {
    let (folder, releases) = signed(run).await?;
    let owners = signing::owners(&run.state()?)?;
    let made = signing::endorse(&releases, name, asked, &owners, run.now()).await;
    let endorsed = made.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(endorsed)
}

/// Signs what is stable again; the folder's lock is held meanwhile.
pub(crate) async fn sign(run: &Context) -> anyhow::Result<String> {
    let state = run.state()?;
    let folder = Folder::open(&state)?;
    let secrets = SecretStore::open(&state, &environment)?;
    let signer = signing::signer(&secrets, &folder.store).await?;
    let random = random()?;
    let id = Releases::sign_again(&folder.store, &signer, run.now(), random).await?;
    folder.close().await?;
    Ok(id.to_string())
}

/// Hands over to a new signing key; the folder's lock is held meanwhile.
pub(crate) async fn rotate(run: &Context) -> anyhow::Result<Vec<KeyShown>> {
    let state = run.state()?;
    let folder = Folder::open(&state)?;
    let secrets = SecretStore::open(&state, &environment)?;
    let random = random()?;
    let keys = signing::rotate(&secrets, &folder.store, run.now(), random).await?;
    folder.close().await?;
    Ok(keys)
}

/// Goes back with no gateway running; the next start serves it.
pub(crate) async fn roll_back(run: &Context, asked: &RollBack) -> anyhow::Result<RolledBack> {
    let (folder, releases) = signed(run).await?;
    let random = random()?;
    let reason = match asked.reason.as_str() {
        "" => "the owner went back",
        reason => reason,
    };
    let to = asked.to.as_deref();
    let went = releases
        .roll_back(to, "owner", reason, run.now(), random)
        .await?;
    drop(releases);
    folder.close().await?;
    Ok(RolledBack {
        from: went.from,
        to: went.to,
    })
}

pub(crate) async fn candidate(
    run: &Context,
    command: &Candidate,
    asked: Option<NewCandidate>,
) -> anyhow::Result<Value> {
    let (folder, releases) = opened(run).await?;
    let now = run.now();
    let answer = match (command, asked) {
        (Candidate::List, _) => {
            serde_json::to_value(candidates::list(&releases, None).await.map_err(explain)?)?
        }
        (_, Some(asked)) => serde_json::to_value(
            candidates::new(&releases, asked, now)
                .await
                .map_err(explain)?,
        )?,
        (Candidate::Withdraw { candidate }, _) => {
            let gone = candidates::withdraw(&releases, candidate, now).await;
            serde_json::to_value(gone.map_err(explain)?)?
        }
        (Candidate::Show { candidate } | Candidate::Diff { candidate }, _) => serde_json::to_value(
            candidates::one(&releases, candidate)
                .await
                .map_err(explain)?,
        )?,
        (Candidate::New { .. }, None) => anyhow::bail!("the deltas were not read"),
        (Candidate::Check { .. } | Candidate::Approve { .. } | Candidate::Rebase { .. }, None) => {
            let message = "gates are asked by a running gateway";
            return Err(Failure::new(Code::NoGateway, message)
                .next("start one with `instar up`")
                .into());
        }
    };
    drop(releases);
    folder.close().await?;
    Ok(answer)
}

/// One rollout, or all of them.
pub(crate) async fn rollout(run: &Context, name: Option<&str>) -> anyhow::Result<Value> {
    let (folder, releases) = opened(run).await?;
    let answer = match name {
        Some(name) => serde_json::to_value(rollouts::one(&releases, name).await.map_err(explain)?)?,
        None => serde_json::to_value(rollouts::list(&releases, None).await.map_err(explain)?)?,
    };
    drop(releases);
    folder.close().await?;
    Ok(answer)
}

/// Moves the rollout that is under way, as a gateway would.
pub(crate) async fn rollout_move(run: &Context, what: rollouts::Move) -> anyhow::Result<Value> {
    let (folder, releases) = signed(run).await?;
    let seed = random()?;
    let drawn = AtomicU8::new(seed[0]);
    let random = || {
        let mut bytes = seed;
        bytes[0] = drawn.fetch_add(1, Ordering::Relaxed);
        bytes
    };
    releases.take_up_rollout(run.now(), random()).await?;
    let moved = rollouts::act(&releases, what, run.now(), &random).await;
    let moved = moved.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(serde_json::to_value(moved)?)
}

fn random() -> anyhow::Result<[u8; 10]> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(random)
}
