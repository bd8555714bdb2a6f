//! The browsers of the agents: below the state folder, with the one way out, until the gateway ends.

use instar_browser::{Browsers, Parts};
use instar_config::StateDir;
use instar_egress::Egress;
use instar_sandbox::native::Native;
use std::sync::Arc;

use crate::app::{AppState, ConfigHandle};

pub(crate) fn browsers(state: &StateDir, config: &ConfigHandle, egress: &Egress) -> Browsers {
    let config = config.clone();
    Browsers::new(Parts {
        egress: egress.clone(),
        native: Native::of_this_binary(),
        folder: state.root().join("browser"),
        settings: Box::new(move || config.current().value.browser.clone()),
        note: Arc::new(|agent, passage| {
            let (host, port) = (&passage.host, passage.port);
            match &passage.refused {
                None => tracing::debug!(%agent, host, port, "a browser's request"),
                Some(why) => {
                    tracing::info!(%agent, host, port, why, "a browser's request was refused")
                }
            }
        }),
    })
}

/// Ends browsers that nobody uses, and all of them when the gateway ends.
pub(crate) async fn tend(app: AppState, browsers: Browsers) {
    let _closing = app.closing.run_until_cancelled(browsers.tend()).await;
    browsers.stop().await;
}
