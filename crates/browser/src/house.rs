//! Who has which browser, and for how long.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_egress::{Egress, Passage};
use instar_protocol::{AgentId, SessionId};
use instar_sandbox::native::Native;
use instar_tools::browser::{Action, BrowserPort, Seen, Target};
use instar_tools::{Caller, ToolError};
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

use crate::config::BrowserConfig;
use crate::engine::{Engine, Start};
use crate::program;

/// Browsers at once; the one that was not used longest ends for one more.
const BROWSERS_MAX: usize = 3;
/// How often it is looked for browsers that nobody uses.
const LOOK_TIME: Duration = Duration::from_secs(20);
/// How long a browser may take to write down what it keeps.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Is told of the requests of an agent's browser.
pub type Noted = Arc<dyn Fn(&AgentId, &Passage) + Send + Sync>;

/// What browsers are started with.
pub struct Parts {
    pub egress: Egress,
    pub native: Native,
    /// Where profiles and sockets lie; it is made when it is needed.
    pub folder: PathBuf,
    /// The owner's choices, read anew for each call.
    pub settings: Box<dyn Fn() -> BrowserConfig + Send + Sync>,
    /// Is told of every request, let through or not.
    pub note: Noted,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Whose browser it is. The profile, with whatever it is signed in to, is the owner's alone; anybody
/// else has one for his conversation, of which nothing is kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    agent: AgentId,
    guest: Option<SessionId>,
}

impl Key {
    fn of(caller: &Caller) -> Self {
        Self {
            agent: caller.agent.clone(),
            guest: (!caller.principal.is_owner()).then(|| caller.session.clone()),
        }
    }
}

/// One place for a browser: one call at a time.
#[derive(Debug)]
struct Place {
    engine: tokio::sync::Mutex<Option<Arc<Engine>>>,
    /// The same for who only looks.
    seen: Mutex<Option<Arc<Engine>>>,
    used: Mutex<Instant>,
}

impl Place {
    fn new() -> Self {
        Self {
            engine: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
            used: Mutex::new(Instant::now()),
        }
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    fn show(&self, engine: Option<Arc<Engine>>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    fn shown(&self) -> Option<Arc<Engine>> {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct Inner {
    parts: Parts,
    places: Mutex<BTreeMap<Key, Arc<Place>>>,
    /// Makes the names of sockets different.
    started: AtomicU64,
}

/// The browsers of all agents. Dropped, every one ends.
#[derive(Clone, Debug)]
pub struct Browsers {
    inner: Arc<Inner>,
}

impl Browsers {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let inner = Arc::new(Inner {
            parts,
            places: Mutex::default(),
            started: AtomicU64::new(0),
        });
        Self { inner }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Place>>> {
        self.inner
            .places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends browsers that nobody uses; never comes back. To be run beside everything else.
    pub async fn tend(&self) {
        loop {
            tokio::time::sleep(LOOK_TIME).await;
            let minutes = (self.inner.parts.settings)().idle_minutes;
            self.close_idle(Duration::from_secs(u64::from(minutes) * 60))
                .await;
        }
    }

    /// Ends the browsers that were not used for so long.
    pub async fn close_idle(&self, limit: Duration) {
        let idle: Vec<_> = self
            .places()
            .iter()
            .filter(|(_, place)| place.idle() >= limit)
            .map(|(key, place)| (key.clone(), Arc::clone(place)))
            .collect();
        for (key, place) in idle {
            // One that is at work is not idle.
            let Ok(mut engine) = place.engine.try_lock() else {
                continue;
            };
            if let Some(engine) = engine.take() {
                place.show(None);
                engine.close(CLOSE_TIME).await;
            }
            drop(engine);
            let mut places = self.places();
            if places.get(&key).is_some_and(|now| Arc::ptr_eq(now, &place)) {
                let _gone = places.remove(&key);
            }
        }
    }

    /// Ends all of them in order.
    pub async fn stop(&self) {
        self.close_idle(Duration::ZERO).await;
    }

    /// The place of a caller; one that is taken away for it ends first.
    async fn place(&self, key: &Key) -> Arc<Place> {
        let (place, surplus) = {
            let mut places = self.places();
            let surplus = if places.contains_key(key) || places.len() < BROWSERS_MAX {
                None
            } else {
                let oldest = places.iter().max_by_key(|(_, place)| place.idle());
                let oldest = oldest.map(|(key, _)| key.clone());
                oldest.and_then(|key| places.remove(&key))
            };
            let place = places
                .entry(key.clone())
                .or_insert_with(|| Arc::new(Place::new()));
            (Arc::clone(place), surplus)
        };
        if let Some(surplus) = surplus
            && let Some(engine) = surplus.engine.lock().await.take()
        {
            surplus.show(None);
            engine.close(CLOSE_TIME).await;
        }
        place
    }

    async fn do_it(&self, caller: &Caller, action: Action) -> Result<Seen, ToolError> {
        let settings = (self.inner.parts.settings)();
        if !settings.enabled || (is_script(&action) && !settings.evaluate_enabled) {
            let why = "the owner has switched this off; go on without it";
            return Err(ToolError::Failed(why.to_owned()));
        }
        let key = Key::of(caller);
        let place = self.place(&key).await;
        place.touch();
        let mut held = place.engine.lock().await;
        let rights = self.inner.parts.egress.rights(&caller.principal);
        // A browser that has ended, or that may reach more or less than is allowed by now.
        if let Some(old) = held.take_if(|engine| engine.is_gone() || engine.rights != rights) {
            place.show(None);
            old.close(CLOSE_TIME).await;
        }
        let engine = match &*held {
            Some(engine) => Arc::clone(engine),
            None if matches!(action, Action::Open { .. }) => {
                let engine = self.start(&key, &settings, rights).await?;
                place.show(Some(Arc::clone(&engine)));
                *held = Some(Arc::clone(&engine));
                engine
            }
            None if action == Action::Tabs => return Ok(Seen::Tabs(Vec::new())),
            None => {
                let why = "no page is open; begin with browser_open";
                return Err(ToolError::Failed(why.to_owned()));
            }
        };
        let done = engine.act(action).await;
        place.touch();
        let is_empty = engine.tabs().len() == 0;
        if is_empty || engine.is_gone() {
            *held = None;
            place.show(None);
            engine.close(CLOSE_TIME).await;
        }
        done
    }

    async fn start(
        &self,
        key: &Key,
        settings: &BrowserConfig,
        rights: instar_egress::Rights,
    ) -> Result<Arc<Engine>, ToolError> {
        let parts = &self.inner.parts;
        let program =
            program::find(settings.executable_path.as_deref()).map_err(ToolError::Failed)?;
        let profile = match key.guest {
            None => Some(parts.folder.join(key.agent.as_str())),
            Some(_) => None,
        };
        make_folder(profile.as_deref().unwrap_or(&parts.folder)).map_err(|error| {
            tracing::error!(%error, "the folder of the browsers cannot be made");
            ToolError::Failed("the browser has no place for its files; tell the owner".to_owned())
        })?;
        let number = self.inner.started.fetch_add(1, Ordering::Relaxed);
        let (note, agent) = (Arc::clone(&parts.note), key.agent.clone());
        let start = Start {
            note: Box::new(move |passage| note(&agent, passage)),
            native: parts.native.clone(),
            egress: parts.egress.clone(),
            rights,
            program,
            profile,
            socket: parts.folder.join(format!("{number}.sock")),
        };
        Engine::start(start).await.map_err(|why| {
            tracing::warn!(why, agent = %key.agent, "a browser did not start");
            ToolError::Failed(why)
        })
    }

    fn look(&self, caller: &Caller, tab: Option<&str>, element: Option<&str>) -> Target {
        let place = self.places().get(&Key::of(caller)).cloned();
        let Some(engine) = place.and_then(|place| place.shown()) else {
            return Target::default();
        };
        let tabs = engine.tabs();
        let found = tabs.named(tab).and_then(|number| tabs.get(number));
        Target {
            page: found.map(|tab| tab.url.clone()),
            element: found
                .zip(element)
                .and_then(|(tab, element)| tab.elements.get(element).cloned()),
        }
    }
}

impl BrowserPort for Browsers {
    fn act<'a>(
        &'a self,
        caller: &'a Caller,
        action: Action,
    ) -> BoxFuture<'a, Result<Seen, ToolError>> {
        self.do_it(caller, action).boxed()
    }

    fn target<'a>(
        &'a self,
        caller: &'a Caller,
        tab: Option<&'a str>,
        element: Option<&'a str>,
    ) -> BoxFuture<'a, Target> {
        std::future::ready(self.look(caller, tab, element)).boxed()
    }
}

fn is_script(action: &Action) -> bool {
    matches!(action, Action::Evaluate { .. })
}

/// A folder that nobody else can look into, with those above it.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}
