//! Answers to identical deterministic calls, kept for a while. Bounded in number and bytes.

use crate::config::CacheConfig;
use instar_protocol::model::{ModelReply, ModelRequest};
use instar_protocol::{AgentId, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

const BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) type CacheKey = [u8; 32];

#[derive(Debug)]
struct Kept {
    reply: ModelReply,
    bytes: usize,
    at: Timestamp,
    used: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    kept: BTreeMap<CacheKey, Kept>,
    bytes: usize,
    /// Counts uses; the entry with the smallest count goes first.
    clock: u64,
}

/// The key of a call that may be answered from the cache: only calls that the vendor is asked to
/// answer the same way each time, and whose answer cannot do anything. The agent is part of it, so
/// no agent learns what another asked.
pub(crate) fn key(
    config: &CacheConfig,
    agent: &AgentId,
    model: &str,
    address: &str,
    request: &ModelRequest,
) -> Option<CacheKey> {
    let still =
        request.sampling.temperature.is_some_and(|heat| heat == 0.0) && request.tools.is_empty();
    if !(config.enabled && still) {
        return None;
    }
    let canonical = serde_json::to_vec(&(agent.as_str(), model, address, request)).ok()?;
    Some(Sha256::digest(canonical).into())
}

impl Cache {
    pub(crate) fn get(
        &mut self,
        config: &CacheConfig,
        key: &CacheKey,
        now: Timestamp,
    ) -> Option<ModelReply> {
        self.clock += 1;
        let clock = self.clock;
        let kept = self.kept.get_mut(key)?;
        if now.since(kept.at) > Duration::from_secs(config.ttl_seconds) {
            self.remove(&key.clone());
            return None;
        }
        kept.used = clock;
        Some(kept.reply.clone())
    }

    pub(crate) fn put(
        &mut self,
        config: &CacheConfig,
        key: CacheKey,
        reply: ModelReply,
        now: Timestamp,
    ) {
        let bytes = reply.text.len()
            + reply
                .reasoning
                .as_ref()
                .map_or(0, |reasoning| reasoning.text.len())
            + 512;
        if bytes > BYTES_MAX / 8 {
            return;
        }
        self.remove(&key);
        self.clock += 1;
        self.bytes += bytes;
        self.kept.insert(
            key,
            Kept {
                reply,
                bytes,
                at: now,
                used: self.clock,
            },
        );
        while self.kept.len() > config.max_entries || self.bytes > BYTES_MAX {
            let Some(oldest) = self
                .kept
                .iter()
                .min_by_key(|(_, kept)| kept.used)
                .map(|(key, _)| *key)
            else {
                return;
            };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &CacheKey) {
        if let Some(gone) = self.kept.remove(key) {
            self.bytes -= gone.bytes;
        }
    }
}
