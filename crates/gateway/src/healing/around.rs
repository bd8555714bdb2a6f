//! What the world around the trials asks for: those that rest on something which has changed are opened
//! again, and fixes that came to nothing leave the release.

use instar_protocol::Timestamp;
use instar_protocol::tool::ToolSpec;
use instar_release::Release;
use instar_release::trial::{Keeper, Moved, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::HealingError;
use crate::app::AppState;

const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// What there is now: releases and tools.
pub(super) struct Around {
    pub(super) stable: Arc<Release>,
    let_out: Option<Arc<Release>>,
    schemas: BTreeMap<String, Value>,
}

impl Around {
    pub(super) fn of(app: &AppState) -> Option<Self> {
        let specs = app.toolbox.specs();
        let takes = |spec: &Arc<ToolSpec>| (spec.name.clone(), spec.parameters.clone());
        Some(Self {
            stable: app.releases.stable()?,
            let_out: app.releases.let_out(),
            schemas: specs.iter().map(takes).collect(),
        })
    }

    pub(super) fn world(&self) -> World<'_> {
        World {
            behaviour: &self.stable.behaviour,
            let_out: self.let_out.as_ref().map(|release| &release.behaviour),
            schemas: &self.schemas,
            program: PROGRAM,
        }
    }
}

pub(super) fn look(app: &AppState, keeper: &mut Keeper, now: Timestamp) -> Vec<Moved> {
    if keeper.trials().next().is_none() {
        return Vec::new();
    }
    let around = Around::of(app);
    around.map_or_else(Vec::new, |around| keeper.look_around(&around.world(), now))
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
