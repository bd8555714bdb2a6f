//! Text that the agent reads and its owner does not see: hidden characters and comments in files of
//! the workspace, and what lies in folders for skills.

use instar_protocol::api::Severity;
use instar_protocol::redact::is_hidden;
use instar_protocol::security::SecurityFinding;
use std::path::{Path, PathBuf};

use super::files::{beginning, entries, is_text, workspaces};
use super::{Subject, With as _, finding, fine};

pub(super) fn look(subject: &Subject) -> Vec<SecurityFinding> {
    let files = read_by_agents(subject);
    vec![hidden(&files), comments(&files), skills(subject)]
}

/// Markdown and text in the folders of the agents.
fn read_by_agents(subject: &Subject) -> Vec<PathBuf> {
    folders(subject)
        .iter()
        .flat_map(|folder| entries(folder))
        .filter(|path| is_text(path))
        .collect()
}

/// Every agent's folder, wherever it lies.
fn folders(subject: &Subject) -> Vec<PathBuf> {
    match &subject.config {
        Ok(config) => crate::behaviour::folders(config, &subject.state),
        Err(_) => workspaces(subject),
    }
}

fn hidden(files: &[PathBuf]) -> SecurityFinding {
    let id = "workspace.hidden-text";
    let mut seen = Vec::new();
    for path in files {
        let Some(text) = beginning(path) else {
            continue;
        };
        // A mark of the byte order at the very beginning is how some editors write.
        let text = text.trim_start_matches('\u{feff}');
        for (number, line) in (1..).zip(text.lines()) {
            let odd = line.chars().find(|c| is_hidden(*c) && !is_common(*c));
            if let Some(c) = odd {
                let code = u32::from(c);
                seen.push(format!("{}:{number}: U+{code:04X}", path.display()));
            }
        }
    }
    if seen.is_empty() {
        return fine(
            id,
            "no file of a workspace holds characters that cannot be seen",
        );
    }
    finding(
        id,
        Severity::Warning,
        "files that the agent reads hold characters that you cannot see",
        &["T-EVADE-001", "T-EVADE-002", "T-EXEC-002"],
    )
    .seen(seen)
    .fix("open the lines in an editor that shows them, and take out what you did not write")
}

/// Tabs and the like, and what joins emoji.
fn is_common(c: char) -> bool {
    matches!(c, '\t' | '\r' | '\u{200d}' | '\u{fe0f}' | '\u{fe0e}')
}

fn comments(files: &[PathBuf]) -> SecurityFinding {
    let id = "workspace.comments";
    let mut seen = Vec::new();
    for path in files.iter().filter(|path| ends_in(path, "md")) {
        let text = beginning(path).unwrap_or_default();
        let lines = (1..).zip(text.lines());
        let lines = lines.filter(|(_, line)| line.contains("<!--"));
        seen.extend(lines.map(|(number, _)| format!("{}:{number}", path.display())));
    }
    if seen.is_empty() {
        return fine(
            id,
            "no Markdown of a workspace has comments that a page would not show",
        );
    }
    finding(
        id,
        Severity::Notice,
        "Markdown that the agent reads has comments that a rendered page does not show",
        &["T-EXEC-002", "T-EVADE-002"],
    )
    .seen(seen)
    .fix("read them; the agent does")
}

fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

/// What the rules find in skills, what of them is left out, and what lies where none are read.
fn skills(subject: &Subject) -> SecurityFinding {
    let id = "skills.folder";
    let tools = match &subject.tools {
        Some(tools) => tools.keys().cloned().collect(),
        None => crate::skills::built_in(),
    };
    let looked = match &subject.config {
        Ok(config) => crate::skills::look(config, &subject.state, &tools),
        Err(_) => Vec::new(),
    };
    let mut places: Vec<PathBuf> = folders(subject)
        .iter()
        .map(|folder| folder.join(".agents/skills"))
        .collect();
    places.push(subject.state.root().join("skills"));
    let unread = places.iter().flat_map(|place| entries(place));
    let unread = unread
        .filter(|path| path.is_file())
        .map(|path| format!("{}: no skills are read from here", path.display()));
    let told = looked
        .iter()
        .flat_map(|one| one.left_out().chain(one.held()));
    let seen: Vec<String> = told.chain(unread).collect();
    if seen.is_empty() {
        let counts = looked.iter().map(|one| {
            let count = one.reading.skills.len();
            format!("{} has {count}", one.agent)
        });
        let counts: Vec<String> = counts.collect();
        return fine(
            id,
            format!(
                "the skills of the agents were looked through: {}",
                counts.join(", ")
            ),
        );
    }
    finding(
        id,
        Severity::Warning,
        "folders for skills hold what the rules hold or refuse, or what is not read",
        &["T-ACCESS-004", "T-PERSIST-001", "T-EXEC-005"],
    )
    .seen(seen)
    .fix("read the lines, and remove what you did not put there yourself; `instar skill scan FOLDER` looks again")
}
