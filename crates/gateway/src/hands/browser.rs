//! The browsers of the agents: below the state folder, with the one way out, until the gateway ends.

use instar_browser::{BrowserConfig, Browsers, Parts};
use instar_config::StateDir;
use instar_egress::Egress;
use instar_sandbox::native::Native;
use instar_tools::Toolbox;
use instar_tools::browser::{BROWSER_PREFIX, BrowserPort};
use instar_tools::files::FilesPort;
use std::sync::Arc;

use super::files::WorkspaceFiles;
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

/// Puts the browser's tools into the toolbox as it is configured: all of them, those that run no scripts, none.
pub(crate) fn offer(
    toolbox: &Toolbox,
    browsers: &Browsers,
    files: &WorkspaceFiles,
    settings: &BrowserConfig,
) {
    let tools = if settings.enabled {
        let browser: Arc<dyn BrowserPort> = Arc::new(browsers.clone());
        let files: Arc<dyn FilesPort> = Arc::new(files.clone());
        instar_tools::browser::tools(&browser, &files, settings.evaluate_enabled)
    } else {
        Vec::new()
    };
    let left_out = toolbox.replace(BROWSER_PREFIX, tools);
    if !left_out.is_empty() {
        tracing::error!(?left_out, "tools of the browser cannot be checked");
    }
}

/// Ends browsers that nobody uses, and all of them when the gateway ends.
pub(crate) async fn tend(app: AppState) {
    let _closing = app.closing.run_until_cancelled(app.browsers.tend()).await;
    app.browsers.stop().await;
}
