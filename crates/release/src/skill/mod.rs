//! A skill: instructions that an agent looks up when a task is of their kind, as text.
//!
//! The text of a skill is part of the behaviour, so that a release is whole without the disk. What can be
//! read out of the text (its description, its digest) is never stored beside it. [`front`] reads the head
//! of `SKILL.md`; [`scan`] looks for what a skill should not say.

pub mod front;
pub mod scan;

use instar_policy::canonical;
use instar_protocol::redact::is_hidden;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

use front::Front;

/// The file that every skill has: its head names it, and its text says what to do.
pub const SKILL_FILE: &str = "SKILL.md";
/// The most skills of one agent.
pub const SKILLS_MAX: usize = 32;
/// The most files of one skill, and how deep they lie.
pub const SKILL_FILES_MAX: usize = 32;
pub const SKILL_DEPTH_MAX: usize = 4;
/// The most bytes of one file, of one skill, and of all skills of one agent.
pub const SKILL_FILE_BYTES_MAX: usize = 64 * 1024;
pub const SKILL_BYTES_MAX: usize = 256 * 1024;
pub const SKILLS_BYTES_MAX: usize = 1024 * 1024;
const NAME_CHARS_MAX: usize = 64;
const PATH_CHARS_MAX: usize = 160;

/// The skills of an agent by name.
pub type Skills = BTreeMap<String, Skill>;

/// The text of one skill.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// By the path inside its folder.
    pub files: BTreeMap<String, String>,
}

impl Skill {
    /// What it is for, as the head of its `SKILL.md` says.
    #[must_use]
    pub fn description(&self) -> String {
        let head = self.files.get(SKILL_FILE).map(|text| Front::read(text));
        match head {
            Some(Ok(front)) => front.description,
            Some(Err(_)) | None => String::new(),
        }
    }

    /// The hash of all of its text with its names.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut whole = String::new();
        for (path, text) in &self.files {
            // Lengths first: no text can be taken for the name of the next file.
            whole.push_str(&format!("{} {}\n{path}\n{text}\n", path.len(), text.len()));
        }
        canonical::sha256(whole.as_bytes())
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.files
            .iter()
            .map(|(path, text)| path.len() + text.len())
            .sum()
    }

    /// Why it cannot be served under this name.
    #[must_use]
    pub fn problem(&self, name: &str) -> Option<String> {
        if !is_name(name) {
            return Some(format!(
                "its name is not 1 to {NAME_CHARS_MAX} small letters, digits and single hyphens"
            ));
        }
        let Some(text) = self.files.get(SKILL_FILE) else {
            return Some(format!("it has no {SKILL_FILE}"));
        };
        match Front::read(text) {
            Err(why) => return Some(format!("{SKILL_FILE}: {why}")),
            Ok(front) if front.name != name => {
                let own = told(&front.name);
                return Some(format!(
                    "{SKILL_FILE} calls it {own}, and its folder {name}"
                ));
            }
            Ok(_) => {}
        }
        if self.files.len() > SKILL_FILES_MAX {
            return Some(format!("it has more than {SKILL_FILES_MAX} files"));
        }
        for (path, text) in &self.files {
            let shown = told(path);
            if !is_path(path) {
                return Some(format!("{shown} is no plain path inside its folder"));
            }
            if text.len() > SKILL_FILE_BYTES_MAX {
                return Some(format!(
                    "{shown} has more than {SKILL_FILE_BYTES_MAX} bytes"
                ));
            }
        }
        let bytes = self.bytes();
        (bytes > SKILL_BYTES_MAX)
            .then(|| format!("it has {bytes} bytes, more than {SKILL_BYTES_MAX}"))
    }
}

/// A name or a path from outside, fit to be shown.
pub(crate) fn told(text: &str) -> String {
    let visible = text.chars().map(|c| if is_hidden(c) { '?' } else { c });
    visible.take(PATH_CHARS_MAX).collect()
}

/// Small letters, digits and single hyphens between them.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.len() <= NAME_CHARS_MAX && name.split('-').all(is_part)
}

/// Plain names joined by `/`: nothing hidden, nothing that leads elsewhere.
#[must_use]
pub fn is_path(path: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ' | '+' | '@');
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with(['.', ' ']) && part.chars().all(is_plain)
    };
    path.len() <= PATH_CHARS_MAX
        && path.split('/').count() <= SKILL_DEPTH_MAX
        && path.split('/').all(is_part)
}

/// As it stands in a behaviour: no skill is an empty list, as it was before there were any, so that the
/// behaviour keeps its hash.
pub(crate) mod lock {
    use super::{Deserializer, MapAccess, SeqAccess, Serializer, Skills, Visitor, fmt};
    use serde::ser::SerializeSeq as _;
    use serde::{Serialize as _, de};

    pub(crate) fn serialize<S: Serializer>(skills: &Skills, to: S) -> Result<S::Ok, S::Error> {
        if skills.is_empty() {
            return to.serialize_seq(Some(0))?.end();
        }
        skills.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Skills, D::Error> {
        from.deserialize_any(Either)
    }

    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = Skills;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("skills by name")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Skills, A::Error> {
            match list.next_element::<de::IgnoredAny>()? {
                None => Ok(Skills::new()),
                Some(_) => Err(de::Error::custom(
                    "skills are by name, and these are a list",
                )),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skills, A::Error> {
            let mut skills = Skills::new();
            while let Some((name, skill)) = map.next_entry()? {
                skills.insert(name, skill);
            }
            Ok(skills)
        }
    }
}

/// What came of reading a behaviour's files and of what was promoted since: a skill is whole, so that of
/// two texts of one skill never a part of each is served.
pub(crate) fn merged(base: &Skills, stable: &Skills, files: &Skills) -> Skills {
    let mut whole = Skills::new();
    for name in stable.keys().chain(files.keys()) {
        let (old, mine, new) = (base.get(name), stable.get(name), files.get(name));
        // The owner's files hold where they changed; all the rest stays as it is served.
        let kept = if new == old { mine } else { new };
        if let Some(skill) = kept {
            whole.insert(name.clone(), skill.clone());
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(text: &str) -> Skill {
        let text = format!("---\nname: tides\ndescription: Reads tide tables.\n---\n{text}");
        Skill {
            files: [(SKILL_FILE.to_owned(), text)].into(),
        }
    }

    #[test]
    fn a_skill_says_its_name_and_fits() {
        let sound = skill("Look.");
        assert_eq!(sound.problem("tides"), None);
        assert_eq!(sound.description(), "Reads tide tables.");
        let why = |name: &str, skill: &Skill| skill.problem(name).unwrap();
        assert!(why("moon", &sound).contains("calls it tides"));
        assert!(why("Tides", &sound).contains("its name is not"));
        assert!(why("tides", &Skill::default()).contains("no SKILL.md"));
        let with = |path: &str, text: String| {
            let mut skill = sound.clone();
            skill.files.insert(path.to_owned(), text);
            skill
        };
        for path in [
            "../x.md",
            "/x.md",
            ".x",
            "a//b",
            "a/b/c/d/e",
            "a/../b",
            "x\u{202e}y",
        ] {
            assert!(
                why("tides", &with(path, String::new())).contains("no plain path"),
                "{path}"
            );
        }
        let long = "a".repeat(SKILL_FILE_BYTES_MAX);
        assert_eq!(
            with("references/a b.md", long.clone()).problem("tides"),
            None
        );
        assert!(why("tides", &with("a.md", long.clone() + "a")).contains("more than 65536 bytes"));
        let mut many = sound.clone();
        for number in 0..4 {
            many.files.insert(format!("{number}.md"), long.clone());
        }
        assert!(why("tides", &many).contains("more than 262144"));
        for number in 0..SKILL_FILES_MAX {
            many.files.insert(format!("{number}.md"), String::new());
        }
        assert!(why("tides", &many).contains("more than 32 files"));
    }

    #[test]
    fn the_digest_is_of_names_and_texts() {
        let of = |files: &[(&str, &str)]| {
            let files = files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
            Skill {
                files: files.collect(),
            }
            .digest()
        };
        assert_eq!(of(&[("a", "b")]), of(&[("a", "b")]));
        assert_ne!(of(&[("a", "b")]), of(&[("a", "c")]));
        assert_ne!(of(&[("a", "b\n1 1\nc\nd")]), of(&[("a", "b"), ("c", "d")]));
    }

    #[test]
    fn the_files_hold_where_they_changed_and_a_skill_stays_whole() {
        let named = |name: &str, text: &str| (name.to_owned(), skill(text));
        let base: Skills = [named("a", "1"), named("b", "1"), named("gone", "1")].into();
        let stable: Skills = [named("a", "2"), named("b", "2"), named("new", "2")].into();
        let files: Skills = [
            named("a", "1"),
            named("b", "3"),
            named("gone", "1"),
            named("own", "3"),
        ]
        .into();
        let found = merged(&base, &stable, &files);
        let expected: Skills = [
            named("a", "2"),
            named("b", "3"),
            named("new", "2"),
            named("own", "3"),
        ]
        .into();
        assert_eq!(found, expected);
        let without: Skills = [named("b", "1")].into();
        assert_eq!(
            merged(&base, &stable, &without).keys().collect::<Vec<_>>(),
            ["b", "new"]
        );
    }
}
