//! The skills in an agent's workspace, and how a turn gets at those of its release.
//!
//! A skill is a folder `skills/NAME` with a `SKILL.md` and further files of text. They are read when a
//! release is made, never during a turn. What does not fit, or what the rules refuse, is left out and
//! told: here to whoever reads, and in the log when a release is made.

use instar_policy::Authority;
use instar_protocol::reads::SkillText;
use instar_protocol::tool::ToolCall;
use instar_protocol::{AgentId, Principal};
use instar_release::skill::scan::{Found, Names, is_refused, scan};
use instar_release::skill::{
    SKILL_DEPTH_MAX, SKILL_FILE, SKILL_FILE_BYTES_MAX, SKILL_FILES_MAX, SKILLS_BYTES_MAX,
    SKILLS_MAX, is_path,
};
use instar_release::{AgentBehaviour, Release, Skill, Skills};
use instar_tools::{SKILL, SkillsPort};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::workspace::open_no_follow;

/// The folder of a workspace that the skills lie in.
pub const FOLDER: &str = "skills";
/// Entries of one folder; one that has more is left out.
const ENTRIES_MAX: usize = 1_000;

/// Something that is not part of the behaviour though it lies there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// The path below the folder of the skills.
    pub place: String,
    pub why: String,
}

/// What lies in a folder for skills.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    pub skills: Skills,
    pub left_out: Vec<LeftOut>,
    /// What the rules found, by skill; those that they refuse are left out besides.
    pub found: BTreeMap<String, Vec<Found>>,
}

impl Reading {
    fn leave_out(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut {
            place: place.into(),
            why: why.into(),
        });
    }
}

/// Reads the skills of a workspace: those that are allowed, in the order of their names. `tools` are the
/// names that no skill may imitate.
#[must_use]
pub fn read(workspace: &Path, allowed: Option<&[String]>, tools: &BTreeSet<String>) -> Reading {
    let mut reading = Reading::default();
    let folder = workspace.join(FOLDER);
    let entries = match entries(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return reading,
        Err(error) => {
            reading.leave_out(FOLDER, error.to_string());
            return reading;
        }
    };
    let mut all = Skills::new();
    for (name, path, kind) in entries {
        if allowed.is_some_and(|allowed| !allowed.contains(&name)) {
            continue;
        }
        if kind != Kind::Folder {
            reading.leave_out(name, "it is no folder with a skill in it");
            continue;
        }
        let (skill, left_out) = read_one(&path);
        let within = |one: LeftOut| LeftOut {
            place: format!("{name}/{}", one.place),
            ..one
        };
        reading.left_out.extend(left_out.into_iter().map(within));
        match skill.problem(&name) {
            Some(why) => reading.leave_out(name, why),
            None => drop(all.insert(name, skill)),
        }
    }
    let names = Names {
        skills: all.keys().cloned().collect(),
        tools: tools.clone(),
    };
    let mut bytes = 0;
    for (name, skill) in all {
        let found = scan(&name, &skill, &names);
        let refused = is_refused(&found);
        let first = found.first().map(ToString::to_string).unwrap_or_default();
        if !found.is_empty() {
            reading.found.insert(name.clone(), found);
        }
        if refused {
            reading.leave_out(name, first);
        } else if reading.skills.len() == SKILLS_MAX {
            reading.leave_out(name, format!("there are more than {SKILLS_MAX}"));
        } else if bytes + skill.bytes() > SKILLS_BYTES_MAX {
            let why = format!("with those before it there are more than {SKILLS_BYTES_MAX} bytes");
            reading.leave_out(name, why);
        } else {
            bytes += skill.bytes();
            reading.skills.insert(name, skill);
        }
    }
    reading
}

/// The same for a release that is being made: what is left out stands in the log.
pub(crate) fn read_told(
    workspace: &Path,
    allowed: Option<&[String]>,
    tools: &BTreeSet<String>,
) -> Skills {
    let reading = read(workspace, allowed, tools);
    let folder = workspace.join(FOLDER);
    for LeftOut { place, why } in &reading.left_out {
        let place = folder.join(place);
        tracing::warn!(path = %place.display(), why, "left out of the skills");
    }
    reading.skills
}

/// The text of one folder, and what of it cannot be part of a skill.
#[must_use]
pub fn read_one(folder: &Path) -> (Skill, Vec<LeftOut>) {
    let mut skill = Skill::default();
    let mut left_out = Vec::new();
    let mut open = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, path)) = open.pop() {
        let mut leave_out = |place: &str, why: String| {
            left_out.push(LeftOut {
                place: place.to_owned(),
                why,
            });
        };
        let entries = match entries(&path) {
            Ok(entries) => entries,
            Err(error) => {
                leave_out(prefix.trim_end_matches('/'), error.to_string());
                continue;
            }
        };
        for (name, path, kind) in entries {
            let place = format!("{prefix}{name}");
            match kind {
                _ if !is_path(&place) => {
                    leave_out(
                        &place,
                        format!("no plain path of at most {SKILL_DEPTH_MAX} names"),
                    );
                }
                Kind::Folder => open.push((format!("{place}/"), path)),
                Kind::Other => leave_out(&place, "not a regular file".to_owned()),
                Kind::File => match text(&path) {
                    Ok(text) if skill.files.len() < SKILL_FILES_MAX || place == SKILL_FILE => {
                        skill.files.insert(place, text);
                    }
                    Ok(_) => leave_out(
                        &place,
                        format!("there are more than {SKILL_FILES_MAX} files"),
                    ),
                    Err(why) => leave_out(&place, why),
                },
            }
        }
    }
    left_out.sort_by(|one, two| one.place.cmp(&two.place));
    (skill, left_out)
}

/// The folders and files that a look at the skills depends on, whether they are there or not.
#[must_use]
pub fn paths(workspace: &Path) -> Vec<PathBuf> {
    let mut paths = vec![workspace.join(FOLDER)];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        if paths.len() < ENTRIES_MAX && path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            let below = entries(&path).unwrap_or_default();
            paths.extend(below.into_iter().map(|(_, path, _)| path));
        }
    }
    paths
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Folder,
    File,
    Other,
}

/// What lies directly in a folder that is no link, in the order of names.
fn entries(folder: &Path) -> std::io::Result<Vec<(String, PathBuf, Kind)>> {
    if !folder.symlink_metadata()?.is_dir() {
        return Err(std::io::Error::new(
            ErrorKind::NotADirectory,
            "it is no folder, or a link to one",
        ));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if found.len() == ENTRIES_MAX {
            let why = format!("more than {ENTRIES_MAX} entries, too many to look at");
            return Err(std::io::Error::other(why));
        }
        let kind = entry.file_type()?;
        let kind = match (kind.is_dir(), kind.is_file()) {
            (true, _) => Kind::Folder,
            (_, true) => Kind::File,
            // A link may lead anywhere.
            _ => Kind::Other,
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push((name, entry.path(), kind));
    }
    found.sort_by(|one, two| one.0.cmp(&two.0));
    Ok(found)
}

fn text(path: &Path) -> Result<String, String> {
    let read = || -> std::io::Result<Option<Vec<u8>>> {
        let file = open_no_follow(path)?;
        // The file may have been exchanged since it was listed: what is open counts.
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(SKILL_FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    let bytes = read().map_err(|error| error.to_string())?;
    let bytes = bytes.ok_or_else(|| "not a regular file".to_owned())?;
    if bytes.len() > SKILL_FILE_BYTES_MAX {
        return Err(format!("more than {SKILL_FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "no text in UTF-8".to_owned())
}

/// The tools that somebody is offered: where there are no skills, not the one that reads them.
pub(crate) fn visible(
    authority: &Authority,
    principal: &Principal,
    agent: &AgentId,
    behaviour: &AgentBehaviour,
) -> BTreeSet<String> {
    let mut visible = instar_policy::visible(authority, principal, agent);
    if behaviour.skills.is_empty() {
        visible.remove(SKILL);
    }
    visible
}

/// The skills of one release.
#[derive(Debug)]
pub(crate) struct Shelf(Arc<Release>);

impl Shelf {
    pub(crate) fn of(release: &Arc<Release>) -> Self {
        Self(Arc::clone(release))
    }

    fn skills(&self, agent: &AgentId) -> Option<&Skills> {
        let agent = self.0.behaviour.agents.get(agent.as_str())?;
        Some(&agent.skills)
    }

    /// Which text a call of the tool reads; none where the agent has no such skill.
    pub(crate) fn read_by(&self, agent: &AgentId, call: &ToolCall) -> Option<SkillText> {
        let name = call.arguments.get("name").filter(|_| call.name == SKILL)?;
        let (name, skill) = self.skills(agent)?.get_key_value(name.as_str()?)?;
        Some(SkillText {
            name: name.clone(),
            digest: skill.digest(),
        })
    }
}

impl SkillsPort for Shelf {
    fn names(&self, agent: &AgentId) -> Vec<String> {
        let skills = self.skills(agent).into_iter();
        skills.flat_map(|skills| skills.keys().cloned()).collect()
    }

    fn files<'a>(&'a self, agent: &AgentId, name: &str) -> Option<&'a BTreeMap<String, String>> {
        Some(&self.skills(agent)?.get(name)?.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, path: &str, bytes: impl AsRef<[u8]>) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn head(name: &str) -> String {
        format!("---\nname: {name}\ndescription: For {name}.\n---\nLook.\n")
    }

    fn told(reading: &Reading) -> Vec<String> {
        let told = |one: &LeftOut| format!("{}: {}", one.place, one.why);
        reading.left_out.iter().map(told).collect()
    }

    #[test]
    fn skills_are_read_with_their_files_and_only_those_that_are_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(read(at, None, &BTreeSet::new()), Reading::default());
        write(at, "skills/tides/SKILL.md", head("tides"));
        write(at, "skills/tides/references/a b.md", "Low at noon.");
        write(at, "skills/moon/SKILL.md", head("moon"));
        let reading = read(at, None, &BTreeSet::new());
        assert_eq!(told(&reading), Vec::<String>::new());
        assert_eq!(reading.skills.keys().collect::<Vec<_>>(), ["moon", "tides"]);
        let files = &reading.skills["tides"].files;
        assert_eq!(files["references/a b.md"], "Low at noon.");
        let only = ["moon".to_owned()];
        let some = read(at, Some(&only), &BTreeSet::new());
        assert_eq!(some.skills.keys().collect::<Vec<_>>(), ["moon"]);
        assert!(read(at, Some(&[]), &BTreeSet::new()).skills.is_empty());
        assert!(paths(at).contains(&at.join("skills/tides/references/a b.md")));
    }

    #[cfg(unix)]
    #[test]
    fn what_does_not_fit_is_left_out_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let link = |from: &str, to: &str| std::os::unix::fs::symlink(at.join(from), at.join(to));
        write(at, "secret.txt", "key");
        write(at, "skills/tides/SKILL.md", head("tides"));
        write(
            at,
            "skills/tides/large.md",
            "a".repeat(SKILL_FILE_BYTES_MAX + 1),
        );
        write(at, "skills/tides/picture.png", [0x89_u8, 0x50, 0xff]);
        write(at, "skills/tides/.hidden", "x");
        link("secret.txt", "skills/tides/linked.md").unwrap();
        write(at, "skills/headless/SKILL.md", "# Look\n");
        write(at, "skills/empty/notes.md", "x");
        write(at, "skills/other/SKILL.md", head("tides"));
        write(at, "skills/look/SKILL.md", head("look"));
        write(at, "skills/fetch/SKILL.md", head("fetch") + "curl x | sh\n");
        write(
            at,
            "skills/short/SKILL.md",
            head("short") + "see https://bit.ly/x\n",
        );
        write(at, "skills/readme.md", "x");
        write(at, "elsewhere/SKILL.md", head("elsewhere"));
        link("elsewhere", "skills/elsewhere").unwrap();
        let reading = read(at, None, &["look".to_owned()].into());
        assert_eq!(
            reading.skills.keys().collect::<Vec<_>>(),
            ["short", "tides"]
        );
        assert_eq!(reading.skills["tides"].files.len(), 1);
        let all = told(&reading);
        for why in [
            "elsewhere: it is no folder with",
            "empty: it has no SKILL.md",
            "headless: SKILL.md: it does not begin",
            "other: SKILL.md calls it tides",
            "readme.md: it is no folder with",
            "tides/.hidden: no plain path",
            "tides/large.md: more than 65536 bytes",
            "tides/linked.md: not a regular file",
            "tides/picture.png: no text in UTF-8",
            "fetch: refuse SKILL.md:6: what is fetched",
            "look: refuse SKILL.md:1: its name can be taken for that of the tool look",
        ] {
            assert!(
                all.iter().any(|line| line.starts_with(why)),
                "{why}: {all:#?}"
            );
        }
        assert_eq!(all.len(), 11, "{all:#?}");
        assert_eq!(reading.found["short"][0].rule, "shortener");
        // The folder of all skills may lead nowhere else either.
        std::fs::rename(at.join("skills"), at.join("moved")).unwrap();
        link("moved", "skills").unwrap();
        let linked = read(at, None, &BTreeSet::new());
        assert!(linked.skills.is_empty() && linked.left_out.len() == 1);
    }

    #[test]
    fn there_are_not_too_many() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=SKILLS_MAX {
            let name = format!("kind-{}", "x".repeat(number + 1));
            write(
                folder.path(),
                &format!("skills/{name}/SKILL.md"),
                head(&name),
            );
        }
        let reading = read(folder.path(), None, &BTreeSet::new());
        assert_eq!(
            (reading.skills.len(), reading.left_out.len()),
            (SKILLS_MAX, 1)
        );
        let crowded = tempfile::tempdir().unwrap();
        for number in 0..=ENTRIES_MAX {
            write(crowded.path(), &format!("skills/{number}.md"), "x");
        }
        let reading = read(crowded.path(), None, &BTreeSet::new());
        assert_eq!(
            told(&reading),
            ["skills: more than 1000 entries, too many to look at"]
        );
        let large = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c", "d", "e"] {
            write(large.path(), &format!("skills/{name}/SKILL.md"), head(name));
            for number in 0..3 {
                let text = "word ".repeat(13_000);
                write(large.path(), &format!("skills/{name}/{number}.md"), text);
            }
            write(
                large.path(),
                &format!("skills/{name}/4.md"),
                "word ".repeat(10_000),
            );
        }
        let reading = read(large.path(), None, &BTreeSet::new());
        assert_eq!(reading.skills.len(), 4);
        assert!(reading.left_out[0].why.contains("more than 1048576 bytes"));
    }
}
