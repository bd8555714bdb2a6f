//! The browser against a small web that lies behind an owner's proxy: real Chromium, real walls.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod site;

mod walled;
mod working;

use instar_browser::{BrowserConfig, Browsers, Parts};
use instar_egress::{Egress, EgressConfig};
use instar_protocol::principal::Via;
use instar_protocol::{AgentId, Label, Principal, RunId, SessionId, SessionKey, Timestamp};
use instar_sandbox::native::Native;
use instar_testkit::web::Web;
use instar_tools::browser::{Action, BrowserPort as _, Page, Seen};
use instar_tools::{Caller, ToolError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A browser with its web and its folder.
struct House {
    browsers: Browsers,
    egress: Egress,
    web: Web,
    folder: tempfile::TempDir,
    /// The hosts of all requests, also of those that were refused.
    hosts: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn new() -> Self {
        Self::with(BrowserConfig::default())
    }

    fn with(config: BrowserConfig) -> Self {
        let web = Web::start(site::pages).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let egress = Egress::new("test");
        let proxied = EgressConfig {
            proxy: Some(web.proxy().to_owned()),
            ..EgressConfig::default()
        };
        egress.configure(&proxied, None).unwrap();
        let hosts: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&hosts);
        let browsers = Browsers::new(Parts {
            egress: egress.clone(),
            native: Native::of_this_binary()
                .with_binary(PathBuf::from(env!("CARGO_BIN_EXE_instar-browser-stage"))),
            folder: folder.path().join("browser"),
            settings: Box::new(move || config.clone()),
            note: Arc::new(move |_, passage| noted.lock().unwrap().push(passage.host.clone())),
        });
        Self {
            browsers,
            egress,
            web,
            folder,
            hosts,
        }
    }

    async fn act(&self, action: Action) -> Result<Seen, ToolError> {
        self.browsers.act(&owner(), action).await
    }

    async fn page(&self, action: Action) -> Page {
        match self.act(action.clone()).await {
            Ok(Seen::Page(page)) => page,
            other => panic!("{action:?}: {other:?}"),
        }
    }

    async fn open(&self, url: &str) -> Page {
        self.page(open(url)).await
    }

    async fn fails(&self, action: Action) -> String {
        match self.act(action.clone()).await {
            Err(error) => error.to_string(),
            Ok(seen) => panic!("{action:?}: {seen:?}"),
        }
    }
}

fn open(url: &str) -> Action {
    Action::Open {
        url: url.to_owned(),
        new_tab: false,
    }
}

fn owner() -> Caller {
    caller(Principal::Owner { via: Via::Token })
}

fn caller(principal: Principal) -> Caller {
    let at = Timestamp::from_millis(1_700_000_000_000);
    Caller {
        skills: None,
        agent: AgentId::parse("main").unwrap(),
        session: SessionId::new(at, [1; 10]),
        key: SessionKey::main(&AgentId::parse("main").unwrap()),
        run: RunId::new(at, [2; 10]),
        principal,
        context: Label::owner(),
        overlay: None,
    }
}

/// The reference of the element whose line has this.
fn reference(page: &Page, name: &str) -> String {
    let found = page.elements.iter().find(|one| one.name.contains(name));
    found
        .unwrap_or_else(|| panic!("no {name} in {page:#?}"))
        .reference
        .clone()
}
