//! Faults that come more often again although something that was found to help is in service.

use instar_release::trial::Moved;

use super::{HealingError, keep, keeper};
use crate::app::AppState;
use crate::lab;

/// Opens again what was found about faults whose rate has risen since. Called when they were counted.
pub(crate) async fn look(app: &AppState) -> Result<Vec<Moved>, HealingError> {
    let _one_at_a_time = app.healing.folding.lock().await;
    let mut keeper = keeper(&app.store).await?;
    let trusted = keeper.trials().filter_map(|kept| {
        let since = kept.trusted_since()?;
        Some((kept.experiment.clone(), kept.fault.clone(), since))
    });
    let trusted: Vec<_> = trusted.collect();
    if trusted.is_empty() {
        return Ok(Vec::new());
    }
    let faults = lab::list(&app.store).await.unwrap_or_default();
    let now = app.clock.now();
    let mut moved = Vec::new();
    for (experiment, fault, since) in trusted {
        let view = faults
            .iter()
            .find(|view| view.fault.id == fault || view.members.contains(&fault));
        if view.is_some_and(|view| lab::has_risen(view, since)) {
            moved.extend(keeper.rose(&experiment, now));
        }
    }
    if !moved.is_empty() {
        keep(app, &mut keeper, &moved, Vec::new(), now).await?;
    }
    Ok(moved)
}
