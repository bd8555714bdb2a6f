//! A whole gateway on a free port of this machine, with the mirror as its model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use instar_config::StateDir;
use instar_gateway::{Gateway, Options, Running};
use instar_protocol::Secret;
use instar_protocol::model::LocalModel;
use instar_store::Store;
use tempfile::TempDir;

use crate::api_http::Endpoint;
use crate::openai_model::Mirror;

/// Long enough for a busy machine; what is waited for comes in milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "a-token-that-only-this-test-knows";

/// The gateway and everything it owns.
pub(crate) struct House {
    pub(crate) endpoint: Endpoint,
    pub(crate) mirror: Arc<Mirror>,
    running: Running,
    _folder: TempDir,
}

impl House {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("state").display().to_string();
        let variable = |name: &str| (name == "INSTAR_STATE_DIR").then(|| root.clone());
        let state = StateDir::locate(None, &variable).unwrap();
        let mirror = Arc::new(Mirror::default());
        let local: Arc<dyn LocalModel> = mirror.clone();
        let mut options = Options::new(state, |_| None).unwrap();
        options.port = Some(0);
        options.token = Some(Secret::new(TOKEN));
        options.local_models = BTreeMap::from([("test".to_owned(), local)]);
        options.fallback_model = Some("test/mirror".to_owned());
        options.discover = false;
        options.logging = false;
        let running = Gateway::start(options).await.unwrap();
        Self {
            endpoint: Endpoint {
                authority: running.address().to_string(),
                key: TOKEN.to_owned(),
            },
            mirror,
            running,
            _folder: folder,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.running.app().store
    }

    /// Waits for something that happens beside the test.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let waited = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waited).await.is_ok();
        assert!(in_time, "it did not happen: {what}");
    }
}
