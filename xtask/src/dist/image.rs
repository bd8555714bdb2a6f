//! The container files: they are not built here, for that needs an engine; what can be seen without
//! one is checked.

use anyhow::bail;

use crate::run::{root, say};

/// What the compose file has to say so that the container is as closed as the service is.
const CLOSED: [&str; 5] = [
    "read_only: true",
    "cap_drop: [ALL]",
    "no-new-privileges:true",
    "pids_limit:",
    "mem_limit:",
];

pub(super) fn check() -> anyhow::Result<()> {
    let folder = root().join("packaging");
    let docker = std::fs::read_to_string(folder.join("Dockerfile"))?;
    let compose = std::fs::read_to_string(folder.join("compose.yaml"))?;
    let user = docker.lines().rfind(|line| line.starts_with("USER "));
    if user.is_none_or(|line| line.contains("root") || line == "USER 0") {
        bail!("packaging/Dockerfile runs as root");
    }
    for copied in docker.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let mut words = copied
            .split_whitespace()
            .filter(|word| !word.starts_with("--"));
        let from = words.next().unwrap_or_default();
        if !copied.starts_with("--from") && !root().join(from).exists() {
            bail!("packaging/Dockerfile copies {from}, which is not there");
        }
    }
    for words in CLOSED {
        if !compose.contains(words) {
            bail!("packaging/compose.yaml lacks `{words}`");
        }
    }
    say("container files: checked as text; not built, that needs an engine");
    Ok(())
}
