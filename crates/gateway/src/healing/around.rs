//! What the world around the trials asks for: those that rest on something which has changed are opened
//! again, and fixes that came to nothing leave the release.

use instar_protocol::Timestamp;
use instar_release::trial::{Keeper, Moved, World};
use serde_json::Value;
use std::collections::BTreeMap;

use super::HealingError;
use crate::app::AppState;

const PROGRAM: &str = env!("CARGO_PKG_VERSION");

pub(super) fn look(app: &AppState, keeper: &mut Keeper, now: Timestamp) -> Vec<Moved> {
    let Some(stable) = app.releases.stable() else {
        return Vec::new();
    };
    if keeper.trials().next().is_none() {
        return Vec::new();
    }
    let specs = app.toolbox.specs();
    let takes = |spec: &std::sync::Arc<instar_protocol::tool::ToolSpec>| {
        (spec.name.clone(), spec.parameters.clone())
    };
    let schemas: BTreeMap<String, Value> = specs.iter().map(takes).collect();
    let let_out = app.releases.let_out();
    let world = World {
        behaviour: &stable.behaviour,
        let_out: let_out.as_ref().map(|release| &release.behaviour),
        schemas: &schemas,
        program: PROGRAM,
    };
    keeper.look_around(&world, now)
}

/// A share of nothing is not gone: the next release is made without it. What was found is remembered.
pub(super) async fn take_out(
    app: &AppState,
    keeper: &Keeper,
    now: Timestamp,
) -> Result<(), HealingError> {
    let spent: Vec<String> = keeper.spent().map(str::to_owned).collect();
    if spent.is_empty() {
        return Ok(());
    }
    if let Some(release) = app.releases.take_out(&spent, now, app.random()).await? {
        tracing::info!(%release, "fixes that came to nothing were taken out");
    }
    Ok(())
}
