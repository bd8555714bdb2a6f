//! Names from outside, before they become paths.

use super::FileError;
use crate::memory::entries::FOLDER;

const PATH_BYTES_MAX: usize = 1_024;
const PART_BYTES_MAX: usize = 255;

/// Files and folders at the top of a workspace that shape the agent: its prompt, its skills, its notes,
/// what it may do. A model that could write them would write its own instructions. Notes are written by
/// `memory_note`, which keeps who wrote each of them.
const GUARDED: [&str; 17] = [
    "agents.md",
    "soul.md",
    "identity.md",
    "user.md",
    "tools.md",
    "heartbeat.md",
    "bootstrap.md",
    "boot.md",
    "memory.md",
    "memory",
    "skills",
    "policy",
    "hooks",
    ".agents",
    ".instar",
    "instar.json",
    "secrets",
];

/// The path as parts joined by `/`, without `.` and empty parts; empty for the workspace itself.
pub fn relative(path: &str) -> Result<String, FileError> {
    let wrong = |why| {
        Err(FileError::Path {
            path: path.chars().take(80).collect(),
            why,
        })
    };
    if path.len() > PATH_BYTES_MAX {
        return wrong("it is too long");
    }
    if path.contains('\0') {
        return wrong("it has a NUL in it");
    }
    if path.starts_with('/') || path.starts_with('~') {
        return wrong("give it relative to the workspace, like notes/today.md");
    }
    if path.contains("://") {
        return wrong("that is an address, not a file");
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return wrong("`..` leads out of it"),
            part if part.len() > PART_BYTES_MAX => return wrong("a name in it is too long"),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// True for what no tool writes. Letter case does not matter: on some file systems it makes no
/// other file.
#[must_use]
pub fn guarded(relative: &str) -> bool {
    let mut parts = relative.split('/');
    let first = parts.next().unwrap_or_default().to_lowercase();
    // Configuration and hooks of version control make programs run.
    GUARDED.contains(&first.as_str())
        || relative
            .split('/')
            .any(|part| part.eq_ignore_ascii_case(".git"))
}

/// True for the folder of notes and what is in it.
fn is_memory(relative: &str) -> bool {
    let first = relative.split('/').next().unwrap_or_default();
    first.eq_ignore_ascii_case(FOLDER)
}

/// A path that a tool may write.
pub(super) fn writable(path: &str) -> Result<String, FileError> {
    let relative = relative(path)?;
    if relative.is_empty() {
        return Err(FileError::Folder("the workspace".to_owned()));
    }
    if is_memory(&relative) {
        return Err(FileError::Memory(relative));
    }
    if guarded(&relative) {
        return Err(FileError::Guarded(relative));
    }
    Ok(relative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_parts_are_left() {
        for (given, meant) in [
            ("a.md", "a.md"),
            ("./a//b/./c/", "a/b/c"),
            (".", ""),
            ("", ""),
            ("..a/b..", "..a/b.."),
            ("a\\..\\b", "a\\..\\b"),
        ] {
            assert_eq!(relative(given).as_deref(), Ok(meant), "{given}");
        }
        let long = "a".repeat(PART_BYTES_MAX + 1);
        let longer = "a/".repeat(PATH_BYTES_MAX);
        for given in [
            "/etc/passwd",
            "~/.ssh/id",
            "..",
            "a/../../b",
            "a\0b",
            "file:///etc/passwd",
            &long,
            &longer,
        ] {
            assert!(relative(given).is_err(), "{given}");
        }
    }

    #[test]
    fn what_shapes_the_agent_is_guarded_in_every_spelling() {
        for path in [
            "AGENTS.md",
            "agents.MD",
            "skills/x/SKILL.md",
            "Skills",
            "policy/own.cedar",
            ".git/config",
            "sub/.git/hooks/pre-commit",
            "sub/.GIT/config",
            "instar.json",
            "memory",
            "Memory/2026-11-21.md",
        ] {
            assert!(guarded(path), "{path}");
            assert!(writable(path).is_err());
        }
        for path in ["notes/AGENTS.md", "notes/memory/2026-11-21.md", "a.md"] {
            assert!(writable(path).is_ok(), "{path}");
        }
    }
}
