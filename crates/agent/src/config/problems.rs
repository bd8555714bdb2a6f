//! What types alone cannot refuse: values out of their ranges, and names that are not well formed.

use instar_protocol::AgentId;
use instar_protocol::model::ModelRef;
use instar_release::Limits;

use super::{
    Config, HeartbeatConfig, ModelChoice, SandboxConfig, ScheduleConfigs, container, sandbox,
    schedule,
};

impl Config {
    /// What is wrong with the values: path below the root and what was expected there.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Problems::default();
        let defaults = &self.agents.defaults;
        let at = |key: &str| format!("agents.defaults.{key}");
        found.range(
            at("bootstrapMaxChars"),
            defaults.bootstrap_max_chars,
            100,
            20_000,
        );
        found.range(
            at("bootstrapTotalMaxChars"),
            defaults.bootstrap_total_max_chars,
            100,
            60_000,
        );
        let limits = [
            (
                "timeoutSeconds",
                defaults.timeout_seconds,
                Limits::TIMEOUT_SECONDS,
            ),
            (
                "maxModelCalls",
                defaults.max_model_calls,
                Limits::MODEL_CALLS,
            ),
            ("maxToolCalls", defaults.max_tool_calls, Limits::TOOL_CALLS),
            (
                "maxOutputTokens",
                defaults.max_output_tokens,
                Limits::OUTPUT_TOKENS,
            ),
        ];
        for (key, value, (least, most)) in limits {
            found.range(at(key), value, least, most);
        }
        if let Some(turns) = defaults.max_concurrent {
            found.range(at("maxConcurrent"), turns, 1, 1_024);
        }
        let subagents = &defaults.subagents;
        let depth = u32::from(subagents.max_spawn_depth);
        found.range(at("subagents.maxSpawnDepth"), depth, 0, 5);
        let children = subagents.max_children_per_agent;
        found.range(at("subagents.maxChildrenPerAgent"), children, 1, 20);
        found.range(
            at("subagents.maxConcurrent"),
            subagents.max_concurrent,
            1,
            64,
        );
        if let Some(model) = &subagents.model
            && ModelRef::parse(model).is_none()
        {
            found.add(at("subagents.model"), "a model as provider/model");
        }
        let compaction = &defaults.compaction;
        found.range(
            at("compaction.keepRecentTokens"),
            compaction.keep_recent_tokens,
            0,
            1_000_000,
        );
        found.range(
            at("compaction.reserveTokens"),
            compaction.reserve_tokens,
            0,
            1_000_000,
        );
        found.model(&at("model"), defaults.model.as_ref());
        found.model(&at("imageModel"), defaults.image_model.as_ref());
        found.sandbox(&at("sandbox"), &defaults.sandbox, &SandboxConfig::default());
        found.heartbeat(&at("heartbeat"), &defaults.heartbeat);
        found.schedules(&at("schedules"), &defaults.schedules);
        if let Some(zone) = &defaults.user_timezone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            found.add(at("userTimezone"), "a time zone such as Europe/Berlin");
        }
        for (id, entry) in &self.agents.entries {
            let path = format!("agents.entries.{id}");
            if let Err(problem) = AgentId::parse(id) {
                found.add(path.clone(), &problem.to_string());
            }
            found.model(&format!("{path}.model"), entry.model.as_ref());
            found.sandbox(
                &format!("{path}.sandbox"),
                &entry.sandbox,
                &defaults.sandbox,
            );
            found.heartbeat(&format!("{path}.heartbeat"), &entry.heartbeat);
            found.schedules(&format!("{path}.schedules"), &entry.schedules);
            let tools = entry.tools.iter();
            for (path, why) in tools.flat_map(|tools| tools.problems(&format!("{path}.tools"))) {
                found.0.push((path, why));
            }
        }
        if self
            .agents
            .entries
            .values()
            .filter(|entry| entry.default)
            .count()
            > 1
        {
            found.add(
                "agents.entries".to_owned(),
                "at most one agent with default: true",
            );
        }
        found.range(
            "session.reset.atHour".to_owned(),
            u32::from(self.session.reset.at_hour),
            0,
            23,
        );
        found.range(
            "session.reset.idleMinutes".to_owned(),
            self.session.reset.idle_minutes,
            1,
            525_600,
        );
        let prune = self.session.maintenance.prune_after_days;
        found.range(
            "session.maintenance.pruneAfterDays".to_owned(),
            prune,
            1,
            3_650,
        );
        found.range(
            "messages.queue.cap".to_owned(),
            self.messages.queue.cap,
            1,
            200,
        );
        found.range(
            "messages.queue.debounceMs".to_owned(),
            self.messages.queue.debounce_ms,
            0,
            60_000,
        );
        found.0
    }
}

#[derive(Default)]
struct Problems(Vec<(String, String)>);

impl Problems {
    fn add(&mut self, path: String, expected: &str) {
        self.0.push((path, expected.to_owned()));
    }

    fn range(&mut self, path: String, value: u32, low: u32, high: u32) {
        if !(low..=high).contains(&value) {
            self.0
                .push((path, format!("a number from {low} to {high}")));
        }
    }

    fn heartbeat(&mut self, path: &str, config: &HeartbeatConfig) {
        for (key, expected) in config.problems() {
            self.add(format!("{path}.{key}"), &expected);
        }
    }

    fn schedules(&mut self, path: &str, all: &ScheduleConfigs) {
        for (below, expected) in schedule::problems(all) {
            self.add(format!("{path}{below}"), &expected);
        }
    }

    fn sandbox(&mut self, path: &str, config: &SandboxConfig, defaults: &SandboxConfig) {
        for (key, expected) in container::wrong(config, defaults) {
            self.add(format!("{path}.docker.{key}"), expected);
        }
        if let Some((key, expected)) = sandbox::beyond_components(config, defaults) {
            self.add(format!("{path}.{key}"), expected);
        }
        for (key, low, high) in sandbox::out_of_range(config) {
            self.0.push((
                format!("{path}.{key}"),
                format!("a number from {low} to {high}"),
            ));
        }
        if config
            .limits
            .cpus
            .is_some_and(|cpus| !sandbox::is_share(cpus))
        {
            self.add(format!("{path}.limits.cpus"), "a number from 0.01 to 1024");
        }
    }

    fn model(&mut self, path: &str, choice: Option<&ModelChoice>) {
        let Some(choice) = choice else { return };
        let names =
            std::iter::once(choice.primary()).chain(choice.fallbacks().iter().map(String::as_str));
        for name in names {
            if ModelRef::parse(name).is_none() {
                self.add(path.to_owned(), "provider/model, for example openai/gpt-5");
            }
        }
    }
}
