//! Model names of the HTTP API: they choose an agent, or name a configured model directly.

use instar_models::Models;
use instar_protocol::model::ModelRef;
use instar_protocol::session::{AgentId, MAIN_AGENT};

use std::sync::OnceLock;

use super::problem::{Problem, shorten, unknown_agent};

/// What a request's `model` stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) agent: AgentId,
    /// Set if a model was named directly instead of an agent.
    pub(crate) model: Option<ModelRef>,
}

/// The agents and models that may be named.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The first one is the default agent.
    pub(crate) agents: Vec<AgentId>,
    pub(crate) models: Listed,
}

/// Ids of configured models, `provider/model`. Gathered when first asked for: it looks for every
/// vendor's key, and most requests name an agent.
#[derive(Default)]
pub(crate) struct Listed {
    ids: OnceLock<Vec<String>>,
    models: Option<Models>,
}

impl Listed {
    pub(crate) fn of(models: Models) -> Self {
        Self {
            ids: OnceLock::new(),
            models: Some(models),
        }
    }

    fn iter(&self) -> std::slice::Iter<'_, String> {
        let gather = || {
            let list = self.models.iter().flat_map(Models::list);
            list.filter(|model| model.configured)
                .map(|model| model.id)
                .collect()
        };
        self.ids.get_or_init(gather).iter()
    }
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listed").field(&self.ids).finish()
    }
}

#[cfg(test)]
impl From<Vec<String>> for Listed {
    fn from(ids: Vec<String>) -> Self {
        Self {
            ids: OnceLock::from(ids),
            models: None,
        }
    }
}

/// The valid forms, for refusals.
pub(crate) const FORMS: &str = "`instar`, `instar/default`, `instar/<agentId>`, or the `provider/model` id of a configured model";

impl Known {
    pub(crate) fn default_agent(&self) -> AgentId {
        self.agents.first().cloned().unwrap_or_else(AgentId::main)
    }

    /// The agent with this id if there is one.
    pub(crate) fn agent(&self, id: &str) -> Result<AgentId, Problem> {
        self.agents
            .iter()
            .find(|agent| agent.as_str() == id)
            .cloned()
            .ok_or_else(|| unknown_agent(id))
    }

    /// A model that is configured.
    pub(crate) fn model(&self, param: &str, name: &str) -> Result<ModelRef, Problem> {
        self.models
            .iter()
            .find(|id| id.as_str() == name)
            .and_then(|id| ModelRef::parse(id))
            .ok_or_else(|| {
                Problem::invalid(
                    param,
                    format!(
                        "model '{}' is not configured; `instar models list` shows what is",
                        shorten(name)
                    ),
                )
            })
    }

    /// Reads the `model` field.
    pub(crate) fn target(&self, name: &str) -> Result<Target, Problem> {
        let agent = |agent| Target { agent, model: None };
        if matches!(name, "instar" | "openclaw") {
            return Ok(agent(self.default_agent()));
        }
        let id = ["instar/", "openclaw/", "openclaw:", "instar:", "agent:"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        match id {
            Some("default") => Ok(agent(self.default_agent())),
            // The main agent is reachable by its name even if another is the default.
            Some(id) if id == MAIN_AGENT && self.agents.is_empty() => Ok(agent(AgentId::main())),
            Some(id) => self.agent(id).map(agent),
            None if self.models.iter().any(|known| known == name) => Ok(Target {
                agent: self.default_agent(),
                model: ModelRef::parse(name),
            }),
            None => Err(Problem::invalid(
                "model",
                format!(
                    "model '{}' is not known; valid forms are {FORMS}",
                    shorten(name)
                ),
            )
            .with_code("model_not_found")),
        }
    }

    /// The names that `/v1/models` lists.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec!["instar".to_owned(), "instar/default".to_owned()];
        names.extend(self.agents.iter().map(|agent| format!("instar/{agent}")));
        names.extend(self.models.iter().cloned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            agents: vec![AgentId::main(), AgentId::parse("work").unwrap()],
            models: vec!["demo/guide".to_owned(), "openrouter/a/b".to_owned()].into(),
        }
    }

    #[test]
    fn names_choose_an_agent_or_a_configured_model() {
        let known = known();
        for name in [
            "instar",
            "instar/default",
            "instar/main",
            "openclaw",
            "agent:main",
        ] {
            assert_eq!(
                known.target(name),
                Ok(Target {
                    agent: AgentId::main(),
                    model: None
                }),
                "{name}"
            );
        }
        for name in [
            "instar/work",
            "openclaw/work",
            "openclaw:work",
            "agent:work",
        ] {
            assert_eq!(known.target(name).unwrap().agent.as_str(), "work", "{name}");
        }
        let direct = known.target("openrouter/a/b").unwrap();
        assert_eq!(direct.model.unwrap().as_str(), "openrouter/a/b");
    }

    #[test]
    fn other_names_are_refused_with_the_valid_forms() {
        let known = known();
        for name in ["", "gpt-4o", "openai/gpt-5", "demo/other", "instar:"] {
            let problem = known.target(name).unwrap_err();
            assert_eq!(problem.status, 400, "{name}");
            assert_eq!(problem.param.as_deref(), Some("model"), "{name}");
        }
        assert!(
            known
                .target("gpt-4o")
                .unwrap_err()
                .message
                .contains("instar/<agentId>")
        );
        assert_eq!(
            known.target("instar/nobody").unwrap_err().message,
            "Unknown agent 'nobody'."
        );
    }
}
