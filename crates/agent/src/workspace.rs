//! The folder with an agent's identity files, and the behaviour that they make together with the
//! configuration.
//!
//! The files are read when a release is made, never during a turn: a turn is served by a release.
//! Only regular files count, and no more of one is read than could be used.

use instar_policy::Authority;
use instar_release::{AgentBehaviour, Behaviour, Limits, PromptFile, Route};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::config::{AgentSettings, Config};
use crate::skills;

/// The files that go into the prompt, in this order.
pub const FILES: [&str; 8] = [
    "AGENTS.md",
    "SOUL.md",
    "IDENTITY.md",
    "USER.md",
    "TOOLS.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
];

/// The files that a new workspace is given.
const SEEDS: [(&str, &str); 5] = [
    ("AGENTS.md", include_str!("seeds/AGENTS.md")),
    ("SOUL.md", include_str!("seeds/SOUL.md")),
    ("IDENTITY.md", include_str!("seeds/IDENTITY.md")),
    ("USER.md", include_str!("seeds/USER.md")),
    ("BOOTSTRAP.md", include_str!("seeds/BOOTSTRAP.md")),
];

/// The most bytes of one file that are looked at, whatever the limits say.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a workspace could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {path}")]
pub struct WorkspaceError {
    pub doing: &'static str,
    pub path: PathBuf,
    #[source]
    pub source: std::io::Error,
}

/// Makes the folder and its first files. A folder that has any identity file is left as it is: what
/// its owner deleted stays deleted.
pub fn seed(folder: &Path) -> Result<(), WorkspaceError> {
    let fail = |doing, path: &Path, source| WorkspaceError {
        doing,
        path: path.to_owned(),
        source,
    };
    make_private(folder).map_err(|error| fail("cannot make the workspace", folder, error))?;
    if FILES
        .iter()
        .any(|file| folder.join(file).symlink_metadata().is_ok())
    {
        return Ok(());
    }
    for (name, text) in SEEDS {
        let path = folder.join(name);
        write_new(&path, text).map_err(|error| fail("cannot write", &path, error))?;
    }
    Ok(())
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Reads the identity files, each cut to `chars_max` and together to `total_max` characters.
pub fn read(
    folder: &Path,
    chars_max: u32,
    total_max: u32,
) -> Result<BTreeMap<String, PromptFile>, WorkspaceError> {
    let mut room = usize::try_from(total_max).unwrap_or(usize::MAX);
    let each = usize::try_from(chars_max).unwrap_or(usize::MAX);
    let mut files = BTreeMap::new();
    for name in FILES {
        let Some(text) = file(folder, name)? else {
            continue;
        };
        let chars = text.chars().count();
        let kept = chars.min(each).min(room);
        room -= kept;
        let file = PromptFile {
            text: text.chars().take(kept).collect(),
            cut_chars: u64::try_from(chars - kept).unwrap_or(u64::MAX),
        };
        files.insert(name.to_owned(), file);
    }
    Ok(files)
}

/// One identity file as it is on disk, up to the bytes that could be used.
pub fn file(folder: &Path, name: &str) -> Result<Option<String>, WorkspaceError> {
    let path = folder.join(name);
    read_regular(&path).map_err(|source| WorkspaceError {
        doing: "cannot read",
        path,
        source,
    })
}

/// Puts a new text in the place of an identity file, whole or not at all. `draft` is a name beside it
/// that nothing else uses. A link or a folder of that name stays: what it leads to is not ours.
pub fn replace(folder: &Path, name: &str, draft: &str, text: &str) -> Result<(), WorkspaceError> {
    let path = folder.join(name);
    let fail = |doing, source| WorkspaceError {
        doing,
        path: path.clone(),
        source,
    };
    if !FILES.contains(&name) {
        let known = std::io::Error::new(ErrorKind::InvalidInput, "no identity file");
        return Err(fail("cannot write", known));
    }
    match path.symlink_metadata() {
        Ok(found) if !found.is_file() => {
            let other = std::io::Error::new(ErrorKind::InvalidInput, "not a regular file");
            return Err(fail("cannot write", other));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(fail("cannot look at", error));
        }
        Ok(_) | Err(_) => {}
    }
    make_private(folder).map_err(|error| fail("cannot make the folder of", error))?;
    let draft = folder.join(draft);
    let written = write_new(&draft, text).and_then(|()| std::fs::rename(&draft, &path));
    written.map_err(|error| {
        // What is left of the draft is of no use; the reason that is told is the first.
        drop(std::fs::remove_file(&draft));
        fail("cannot write", error)
    })
}

/// The text of a regular file; `None` if there is none of that name, or something else, such as
/// a symbolic link that could lead anywhere.
fn read_regular(path: &Path) -> std::io::Result<Option<String>> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !found.is_file() {
        tracing::warn!(path = %path.display(), "not a regular file: left out of the prompt");
        return Ok(None);
    }
    let file = open_no_follow(path)?;
    // The file may have been exchanged since: what is open counts.
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(unix)]
pub(crate) fn open_no_follow(path: &Path) -> std::io::Result<File> {
    // O_NOFOLLOW against a link put there after the look; O_NONBLOCK against a pipe.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true);
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    options.open(path)
}

#[cfg(not(unix))]
pub(crate) fn open_no_follow(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

/// The behaviour of one agent: its identity files, its skills, its route and its limits.
///
/// `tools` are the names that no skill may imitate; `discovered` is the model that is used where the configuration names none.
pub fn agent_behaviour(
    config: &Config,
    agent: &AgentSettings,
    folder: &Path,
    tools: &BTreeSet<String>,
    discovered: Option<&str>,
) -> Result<AgentBehaviour, WorkspaceError> {
    let defaults = &config.agents.defaults;
    let prompt = read(
        folder,
        defaults.bootstrap_max_chars,
        defaults.bootstrap_total_max_chars,
    )?;
    let route = match &agent.model {
        Some(choice) => Route {
            primary: choice.primary().to_owned(),
            fallbacks: choice.fallbacks().to_vec(),
            pictures: pictures(agent),
        },
        None => Route {
            primary: discovered.unwrap_or_default().to_owned(),
            fallbacks: Vec::new(),
            pictures: pictures(agent),
        },
    };
    Ok(AgentBehaviour {
        prompt,
        route,
        limits: Limits {
            model_calls_max: defaults.max_model_calls,
            tool_calls_max: defaults.max_tool_calls,
            timeout_seconds: defaults.timeout_seconds,
            output_tokens_max: defaults.max_output_tokens,
        },
        skills: skills::read_told(folder, agent.skills.as_deref(), tools),
        mitigations: Vec::new(),
        heartbeat: agent.heartbeat.clone(),
        schedules: agent.schedules.clone(),
        retrieval: None,
        tools: BTreeMap::new(),
    })
}

/// The models that look at pictures.
fn pictures(agent: &AgentSettings) -> Vec<String> {
    let choice = agent.image_model.iter();
    choice
        .flat_map(|choice| {
            let fallbacks = choice.fallbacks().iter().map(String::as_str);
            std::iter::once(choice.primary()).chain(fallbacks)
        })
        .map(str::to_owned)
        .collect()
}

/// The behaviour of all agents under one authority. `folder_of` says where an agent lives that
/// names no workspace of its own.
pub fn behaviour(
    config: &Config,
    authority: Authority,
    folder_of: &dyn Fn(&AgentSettings) -> PathBuf,
    discovered: Option<&str>,
) -> Result<Behaviour, WorkspaceError> {
    let tools = authority.annotations.keys().cloned().collect();
    let mut agents = BTreeMap::new();
    for agent in config.agents() {
        let folder = agent
            .workspace
            .as_ref()
            .map_or_else(|| folder_of(&agent), PathBuf::from);
        let behaviour = agent_behaviour(config, &agent, &folder, &tools, discovered)?;
        agents.insert(agent.id.to_string(), behaviour);
    }
    Ok(Behaviour { agents, authority })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_workspace_is_seeded_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workspace");
        seed(&path).unwrap();
        let files = read(&path, 20_000, 60_000).unwrap();
        assert_eq!(files.len(), SEEDS.len());
        assert!(
            files
                .values()
                .all(|file| file.cut_chars == 0 && file.text.len() > 80)
        );
        std::fs::remove_file(path.join("BOOTSTRAP.md")).unwrap();
        std::fs::write(path.join("SOUL.md"), "mine").unwrap();
        seed(&path).unwrap();
        let files = read(&path, 20_000, 60_000).unwrap();
        assert!(!files.contains_key("BOOTSTRAP.md"));
        assert_eq!(files["SOUL.md"].text, "mine");
    }

    #[test]
    fn long_files_are_cut_each_and_together() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("AGENTS.md"), "ä".repeat(150)).unwrap();
        std::fs::write(folder.path().join("SOUL.md"), "b".repeat(90)).unwrap();
        std::fs::write(folder.path().join("MEMORY.md"), "c".repeat(90)).unwrap();
        let files = read(folder.path(), 100, 220).unwrap();
        let sizes = |name: &str| (files[name].text.chars().count(), files[name].cut_chars);
        assert_eq!(sizes("AGENTS.md"), (100, 50));
        assert_eq!(sizes("SOUL.md"), (90, 0));
        assert_eq!(sizes("MEMORY.md"), (30, 60));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_stay_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "key").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), folder.path().join("USER.md"))
            .unwrap();
        std::fs::create_dir(folder.path().join("SOUL.md")).unwrap();
        assert!(read(folder.path(), 100, 100).unwrap().is_empty());
    }

    #[test]
    fn the_route_is_the_configured_one_or_what_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let config: Config = serde_json::from_str(
            r#"{"agents": {"defaults": {"maxToolCalls": 3}, "entries": {"main": {}, "b": {"model": "x/y"}}}}"#,
        )
        .unwrap();
        let path = folder.path().to_owned();
        let made = behaviour(
            &config,
            Authority::default(),
            &|_| path.clone(),
            Some("demo/guide"),
        )
        .unwrap();
        assert_eq!(made.agents["main"].route.primary, "demo/guide");
        assert_eq!(made.agents["b"].route.primary, "x/y");
        assert_eq!(made.agents["b"].limits.tool_calls_max, 3);
    }
}
