//! What every session shares: the parts it is built from, the settings in force, time and chance.

use instar_protocol::EventId;
use instar_protocol::Timestamp;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::redact::{self, ContentMode};
use instar_store::Op;
use jiff::tz::TimeZone;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::answers::Judges;
use crate::asking::Asking;
use crate::config::Config;
use crate::errands::Errands;
use crate::heartbeat::Heart;
use crate::letters::Letters;
use crate::looking::Looks;
use crate::mending::Mends;
use crate::schedule::Clock;
use crate::sessions::Parts;
use crate::tally::Tally;
use crate::tokens;

/// A configuration with what follows from it.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) zone: Arc<TimeZone>,
}

impl Settings {
    fn new(config: Config) -> Self {
        let zone = config
            .agents
            .defaults
            .user_timezone
            .as_deref()
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or_else(TimeZone::system);
        Self {
            config,
            zone: Arc::new(zone),
        }
    }
}

#[derive(Debug)]
pub(crate) struct House {
    pub(crate) parts: Parts,
    settings: RwLock<Arc<Settings>>,
    pub(crate) tally: Tally,
    pub(crate) asking: Asking,
    pub(crate) letters: Letters,
    pub(crate) errands: Errands,
    pub(crate) heart: Heart,
    pub(crate) schedules: Clock,
    pub(crate) specs: tokens::Specs,
    pub(crate) looks: Looks,
    /// What is done about faults, as far as it remembers.
    pub(crate) mends: Mends,
    pub(crate) judges: Judges,
    /// Turns that run now.
    pub(crate) running: AtomicUsize,
    /// Bounds the turns that run at once.
    pub(crate) turns: Arc<Semaphore>,
    /// The same for turns of sub-agents, so that nobody who waits for one keeps it from running.
    pub(crate) child_turns: Arc<Semaphore>,
    /// Turns that a candidate answers beside them.
    pub(crate) shadows: Arc<Semaphore>,
    /// Set when the process ends: no turn begins any more.
    pub(crate) closing: CancellationToken,
    /// Cuts every turn.
    pub(crate) cut: CancellationToken,
}

impl House {
    pub(crate) fn new(parts: Parts, config: Config) -> Self {
        let turns = config.agents.defaults.max_concurrent.map_or_else(
            || std::thread::available_parallelism().map_or(8, |cores| (4 * cores.get()).max(8)),
            |turns| usize::try_from(turns).unwrap_or(8),
        );
        let children = config.agents.defaults.subagents.max_concurrent;
        let children = usize::try_from(children).unwrap_or(1);
        Self {
            asking: Asking::new(parts.store.clone(), Arc::clone(&parts.clock)),
            letters: Letters::new(parts.store.clone(), Arc::clone(&parts.clock)),
            parts,
            errands: Errands::default(),
            heart: Heart::default(),
            schedules: Clock::default(),
            specs: tokens::Specs::default(),
            looks: Looks::default(),
            mends: Mends::default(),
            judges: Judges::default(),
            settings: RwLock::new(Arc::new(Settings::new(config))),
            tally: Tally::default(),
            running: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(turns)),
            child_turns: Arc::new(Semaphore::new(children)),
            shadows: Arc::new(Semaphore::new(1)),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn reload(&self, config: Config) {
        let settings = Arc::new(Settings::new(config));
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// How far from the owner a conversation may be.
    pub(crate) fn depth_max(&self) -> u8 {
        self.settings()
            .config
            .agents
            .defaults
            .subagents
            .max_spawn_depth
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(crate) fn random(&self) -> [u8; 10] {
        random()
    }

    /// The local calendar day, as spending is booked.
    pub(crate) fn today(&self) -> String {
        let millis = i64::try_from(self.now().millis()).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        let zone = TimeZone::clone(&self.settings().zone);
        time.to_zoned(zone).date().to_string()
    }

    /// The content of a message as the event log may keep it.
    pub(crate) fn content(&self, text: &str) -> Option<String> {
        redact::content(self.content_mode(), text)
    }

    /// How much is kept of what people, tools and models say.
    pub(crate) fn content_mode(&self) -> ContentMode {
        self.settings().config.learning.content
    }

    /// Writes down a fact that belongs to no session. It may be lost in a crash.
    pub(crate) fn note(&self, kind: EventKind) {
        let at = self.now();
        let event = Event::of_house(EventId::new(at, self.random()), at, kind);
        if let Err(error) = self.parts.store.enqueue(vec![Op::AppendEvent(event)]) {
            tracing::warn!(%error, "an event could not be stored");
        }
    }
}

/// Ten random bytes for an id. Should the system have none, a counter keeps ids apart.
fn random() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    if getrandom::fill(&mut bytes).is_err() {
        bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    }
    bytes
}
