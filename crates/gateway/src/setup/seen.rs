//! What was settled in an earlier setting-up: `setup.json` in the state folder.

use instar_config::{StateDir, write_atomically};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

const BYTES_MAX: u64 = 16 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Seen {
    /// When the notice about risks was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) risk_accepted_at: Option<String>,
    /// When every question had been answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finished_at: Option<String>,
    /// When somebody chose to begin without answering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) put_off_at: Option<String>,
}

impl Seen {
    /// A missing file means that nothing is settled, and so does one that cannot be read as such:
    /// the questions are asked again.
    pub(super) fn read(state: &StateDir) -> Self {
        let read = || -> io::Result<Self> {
            let mut text = String::new();
            let file = std::fs::File::open(path(state))?;
            let _read = file.take(BYTES_MAX).read_to_string(&mut text)?;
            Ok(serde_json::from_str(&text)?)
        };
        read().unwrap_or_default()
    }

    pub(super) fn write(&self, state: &StateDir) -> io::Result<()> {
        write_atomically(&path(state), &serde_json::to_vec_pretty(self)?)
    }
}

fn path(state: &StateDir) -> std::path::PathBuf {
    state.root().join("setup.json")
}
