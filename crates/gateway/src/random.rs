//! Random bytes for ids.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts up if the system has no randomness, so that ids of this process still differ.
static WITHOUT: AtomicU64 = AtomicU64::new(0);

/// Ten bytes for an id. Secrets never come from here.
pub(crate) fn ten() -> [u8; 10] {
    let mut bytes = [0; 10];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system gives no random bytes; ids are counted instead");
        let pid = std::process::id().to_be_bytes();
        let count = WITHOUT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes[..4].copy_from_slice(&pid);
        bytes[4..].copy_from_slice(&count[2..]);
    }
    bytes
}
