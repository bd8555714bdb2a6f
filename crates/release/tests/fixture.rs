//! A store in a folder of its own, and behaviours to put into it.

use instar_policy::{Annotation, Authority};
use instar_protocol::{AgentId, Label, ReleaseId, SessionId, Timestamp};
use instar_release::{
    AgentBehaviour, Behaviour, Cohort, Limits, PromptFile, ReleaseError, Releases, Route, Schedule,
    Skill, When,
};
use instar_store::{Options, Store};
use tempfile::TempDir;

pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) releases: Releases,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap()).await.unwrap()
    }

    pub(crate) async fn over(folder: TempDir) -> Result<Self, ReleaseError> {
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let releases = Releases::open(store.clone()).await?;
        Ok(Self {
            folder,
            store,
            releases,
        })
    }

    /// The same folder after a restart.
    pub(crate) async fn again(self) -> Result<Self, ReleaseError> {
        self.store.close().await.unwrap();
        drop((self.releases, self.store));
        Self::over(self.folder).await
    }

    pub(crate) async fn adopt(&self, behaviour: Behaviour, n: u8) -> (ReleaseId, bool) {
        self.try_adopt(behaviour, n).await.unwrap()
    }

    pub(crate) async fn try_adopt(
        &self,
        behaviour: Behaviour,
        n: u8,
    ) -> Result<(ReleaseId, bool), ReleaseError> {
        let at = Timestamp::from_millis(1_000 + u64::from(n));
        let reason = format!("edit {n}");
        self.releases
            .adopt(behaviour, "owner", &reason, at, [n; 10])
            .await
    }
}

/// A sound behaviour of one agent whose identity is the given text.
pub(crate) fn behaviour(text: &str) -> Behaviour {
    let prompt = PromptFile {
        text: text.to_owned(),
        cut_chars: 0,
    };
    let agent = AgentBehaviour {
        prompt: [("IDENTITY.md".to_owned(), prompt)].into(),
        route: Route {
            pictures: Vec::new(),
            primary: "demo/guide".to_owned(),
            fallbacks: vec!["openai/gpt-5".to_owned()],
        },
        limits: Limits {
            model_calls_max: 20,
            tool_calls_max: 40,
            timeout_seconds: 600,
            output_tokens_max: 4096,
        },
        ..AgentBehaviour::default()
    };
    let look = Annotation::reads(Label::system());
    Behaviour {
        agents: [("main".to_owned(), agent)].into(),
        authority: Authority::over([("look".to_owned(), look)].into()),
    }
}

/// A sound skill with this text below its head.
pub(crate) fn skill(name: &str, text: &str) -> Skill {
    let whole = format!("---\nname: {name}\ndescription: For tests of {name}.\n---\n{text}\n");
    Skill {
        files: [("SKILL.md".to_owned(), whole)].into(),
    }
}

pub(crate) fn main_agent(behaviour: &mut Behaviour) -> &mut AgentBehaviour {
    behaviour.agents.get_mut("main").unwrap()
}

pub(crate) fn cohort() -> Cohort {
    Cohort {
        session: SessionId::from_stored("ses_1"),
        at: Timestamp::from_millis(2_000),
    }
}

/// The id of what the main agent is served.
pub(crate) fn served(releases: &Releases) -> Option<ReleaseId> {
    releases
        .resolve(&AgentId::main(), &cohort())
        .map(|served| served.release.id.clone())
}

pub(crate) fn schedule(when: &str, text: &str) -> Schedule {
    Schedule {
        when: When::parse(when).unwrap(),
        zone: None,
        text: text.to_owned(),
    }
}
