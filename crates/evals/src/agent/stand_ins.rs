//! What a case has in the place of the world: a model that is a script, a clock that begins at a morning, and nothing else.

use futures_util::future::BoxFuture;
use instar_demo::{Ask, Player};
use instar_models::{Ledger, ObjectSource, SpendRecord};
use instar_protocol::model::{LocalModel, ModelEvent, ModelRequest};
use instar_protocol::secret::SecretRef;
use instar_protocol::{Clock, ObjectHash, Secret, SecretSource, Timestamp};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Characters of a request that are kept for assertions.
const SEEN_CHARS_MAX: usize = 20_000;

/// The model of a case: a script that goes by the names of all models, and remembers what it was asked.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) player: Player,
    pub(super) names: Vec<String>,
    pub(super) seen: Mutex<Vec<Value>>,
}

impl LocalModel for Scripted {
    fn answer(&self, model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        let ask = Ask::of(model, request);
        let cut = |text: &str| text.chars().take(SEEN_CHARS_MAX).collect::<String>();
        let results: Vec<_> = ask.results.iter().map(|one| cut(&one.text)).collect();
        let seen = json!({
            "model": ask.model, "system": cut(&ask.system), "text": cut(&ask.text), "results": results,
            "tools": ask.tools,
        });
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
        self.player.answer(model, request)
    }

    fn models(&self) -> Vec<(String, String)> {
        self.names
            .iter()
            .map(|name| (name.clone(), String::new()))
            .collect()
    }
}

/// Time that stands at a morning and moves with the machine, so that nothing expires and nothing repeats.
#[derive(Debug)]
pub(super) struct Morning {
    pub(super) began: std::time::Instant,
}

/// 2026-01-05 09:00 UTC.
const MORNING: u64 = 1_767_603_600_000;

impl Clock for Morning {
    fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or_default();
        Timestamp::from_millis(MORNING + passed)
    }
}

/// Nothing is kept for a case: no secrets, no objects, no budget.
#[derive(Debug)]
pub(super) struct Nothing;

impl SecretSource for Nothing {
    fn secret(&self, _reference: &SecretRef) -> Result<Secret, String> {
        Err("an agent case has no secrets".to_owned())
    }
}

impl ObjectSource for Nothing {
    fn object<'a>(&'a self, _hash: &'a ObjectHash) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async { Err("an agent case has no objects".to_owned()) })
    }
}

impl Ledger for Nothing {
    fn spent(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, _spend: SpendRecord) {}
}
