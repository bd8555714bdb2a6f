//! Answers that are kept, so that a suite that is run again asks nobody twice.

use instar_policy::canonical;
use serde_json::json;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bounds::FILE_BYTES_MAX;
use crate::provider::{Answer, Call};

/// Keeps answers by key.
pub trait Cache: Sync + fmt::Debug {
    fn get(&self, key: &str) -> Option<Answer>;
    fn put(&self, key: &str, answer: &Answer);
}

/// The key of a call: equal calls to equal behaviour have equal keys. A repetition is a call of its own.
pub(crate) fn key(release: Option<&str>, call: &Call<'_>) -> String {
    let whole = json!({
        "release": release, "provider": call.provider.id, "config": call.provider.config,
        "prompt": call.prompt, "agent": call.case.agent, "repeat": call.repeat, "seed": call.seed.to_string(),
    });
    canonical::sha256(whole.to_string().as_bytes())
}

/// The most answers that a folder keeps; beyond them, new ones are not kept.
pub(crate) const KEPT_MAX: usize = 20_000;

/// A folder with one file for each answer. An answer that cannot be read or written is asked for again.
#[derive(Debug)]
pub struct Folder {
    folder: PathBuf,
    kept: AtomicUsize,
}

impl Folder {
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        let kept = std::fs::read_dir(folder).map_or(0, |files| files.take(KEPT_MAX).count());
        Self {
            folder: folder.to_owned(),
            kept: AtomicUsize::new(kept),
        }
    }
}

impl Cache for Folder {
    fn get(&self, key: &str) -> Option<Answer> {
        let path = self.folder.join(key);
        let small = path.metadata().ok()?.len() <= FILE_BYTES_MAX as u64;
        let text = small.then(|| std::fs::read(path).ok()).flatten()?;
        serde_json::from_slice(&text).ok()
    }

    fn put(&self, key: &str, answer: &Answer) {
        let Ok(text) = serde_json::to_vec(answer) else {
            return;
        };
        if self.kept.fetch_add(1, Ordering::Relaxed) >= KEPT_MAX {
            return;
        }
        // Written beside and moved into place: who reads sees all of it or nothing.
        let beside = self
            .folder
            .join(format!("{key}.{:?}", std::thread::current().id()));
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&beside, text))
            .and_then(|()| std::fs::rename(&beside, self.folder.join(key)));
        // An answer that is not kept is asked for again.
        drop(written);
    }
}
