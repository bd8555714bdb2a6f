//! What lies in the folders for skills and in releases of them, as people are told of it.

use instar_agent::skills::{FOLDER, Reading, read, read_one};
use instar_config::StateDir;
use instar_protocol::AgentId;
use instar_protocol::api::{Finding, Severity};
use instar_release::skill::scan::{Found, Names, is_refused, scan};
use instar_release::{Release, Skill, skill_shown};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::behaviour;
use crate::config::InstarConfig;

/// Places that one finding names.
const NAMED_MAX: usize = 5;

/// The folder of one agent's skills, as it is now.
pub(crate) struct Looked {
    pub(crate) agent: AgentId,
    pub(crate) folder: PathBuf,
    pub(crate) reading: Reading,
}

impl Looked {
    /// What is left out, a line each.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = String> + '_ {
        let told = |place: &str, why: &str| format!("{}: {why}", self.folder.join(place).display());
        let all = self.reading.left_out.iter();
        all.map(move |one| told(&one.place, &one.why))
    }

    /// What the rules found in those that count, a line each.
    pub(crate) fn held(&self) -> impl Iterator<Item = String> + '_ {
        let counts = move |name: &String| self.reading.skills.contains_key(name);
        let found = self
            .reading
            .found
            .iter()
            .filter(move |(name, _)| counts(name));
        found.flat_map(move |(name, all)| {
            let folder = self.folder.join(name);
            let line = move |one: &Found| format!("{}: {one}", folder.display());
            all.iter().map(line)
        })
    }
}

/// Reads the skills of every agent.
pub(crate) fn look(
    config: &InstarConfig,
    state: &StateDir,
    tools: &BTreeSet<String>,
) -> Vec<Looked> {
    let agents = config.agent_config().agents().into_iter();
    let one = |agent: instar_agent::AgentSettings| {
        let workspace = behaviour::folder(config, state, &agent.id);
        Looked {
            reading: read(&workspace, agent.skills.as_deref(), tools),
            folder: workspace.join(FOLDER),
            agent: agent.id,
        }
    };
    agents.map(one).collect()
}

/// Whether all that lies there for skills is part of the behaviour. Reads files.
#[must_use]
pub fn finding(config: &InstarConfig, state: &StateDir, tools: &BTreeSet<String>) -> Finding {
    let looked = look(config, state, tools);
    let left_out: Vec<String> = looked.iter().flat_map(Looked::left_out).collect();
    let count: usize = looked.iter().map(|one| one.reading.skills.len()).sum();
    let (severity, message, next_step) = if left_out.is_empty() {
        (Severity::Fine, format!("{count} skills are read"), None)
    } else {
        let more = left_out.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let named = left_out[..left_out.len().min(NAMED_MAX)].join("; ");
        (
            Severity::Warning,
            format!("left out of the skills: {named}{more}"),
            Some("`instar skill scan FOLDER` tells what is wrong with one".to_owned()),
        )
    };
    Finding {
        check: "skills".to_owned(),
        severity,
        message,
        next_step,
    }
}

/// A release with its skills summed up: what each is for, and its digest.
#[derive(Debug, Serialize)]
pub struct ShownRelease {
    #[serde(flatten)]
    pub release: Release,
    /// By agent and name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, BTreeMap<String, Value>>,
}

impl ShownRelease {
    #[must_use]
    pub fn of(release: Release) -> Self {
        let mut skills = BTreeMap::new();
        for (agent, of) in &release.behaviour.agents {
            let shown = |(name, skill): (&String, &Skill)| (name.clone(), skill_shown(skill));
            if !of.skills.is_empty() {
                skills.insert(agent.clone(), of.skills.iter().map(shown).collect());
            }
        }
        Self { release, skills }
    }
}

/// One folder, looked at before it is put among the skills of an agent.
#[derive(Debug, Serialize)]
pub struct Scanned {
    pub name: String,
    pub description: String,
    pub digest: String,
    pub files: Vec<String>,
    pub left_out: Vec<Place>,
    pub findings: Vec<Found>,
    pub verdict: Verdict,
    /// Why it cannot be a skill, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Place {
    pub place: String,
    pub why: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing was found.
    Fine,
    /// A person should look.
    Hold,
    /// It would be left out.
    Refuse,
}

impl Verdict {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
        }
    }
}

/// Looks at a folder as a release would that is made with it.
#[must_use]
pub fn scanned(folder: &Path) -> Scanned {
    // `.` has a name as well.
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = whole
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let (skill, left_out) = read_one(&whole);
    let names = Names {
        skills: BTreeSet::new(),
        tools: built_in(),
    };
    let findings = scan(&name, &skill, &names);
    let problem = skill.problem(&name);
    let verdict = match &findings {
        found if problem.is_some() || is_refused(found) => Verdict::Refuse,
        found if found.is_empty() => Verdict::Fine,
        _ => Verdict::Hold,
    };
    let left_out = left_out.into_iter().map(|one| Place {
        place: one.place,
        why: one.why,
    });
    Scanned {
        description: skill.description(),
        digest: skill.digest(),
        left_out: left_out.collect(),
        files: skill.files.into_keys().collect(),
        name,
        findings,
        verdict,
        problem,
    }
}

/// The names of the tools that there are without a running gateway.
#[must_use]
pub fn built_in() -> BTreeSet<String> {
    instar_tools::built_in_names().map(str::to_owned).collect()
}
