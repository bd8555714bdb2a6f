//! The `schedules` sections: what an agent does by itself at times that were said beforehand; and `cron`,
//! how the gateway keeps them.

use instar_release::{Schedule, Schedules, When, schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `cron` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CronConfig {
    /// False to let no schedule come by itself.
    pub enabled: bool,
    /// True to leave out a time that passed while the gateway did not run. Otherwise one of `cron` or `at`
    /// is made up for, once, within a day.
    pub skip_missed_jobs: bool,
}

impl Default for CronConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            skip_missed_jobs: false,
        }
    }
}

/// The schedules of an agent by name.
pub type ScheduleConfigs = BTreeMap<String, ScheduleConfig>;

/// A schedule: exactly one of `cron`, `every` and `at`, and a `prompt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Five fields, minute, hour, day of the month, month and day of the week: `0 8 * * 1-5`.
    pub cron: Option<String>,
    /// The time between two runs: minutes, hours or days, as `30m`, `2h` or `1d`.
    pub every: Option<String>,
    /// One time, `2026-12-24T18:00`.
    pub at: Option<String>,
    /// The time zone of these times. When absent: `agents.defaults.userTimezone`.
    pub tz: Option<String>,
    /// What the agent is to do.
    pub prompt: String,
    /// False to leave it out.
    pub enabled: bool,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            cron: None,
            every: None,
            at: None,
            tz: None,
            prompt: String::new(),
            enabled: true,
        }
    }
}

impl ScheduleConfig {
    /// When it comes; the error has the key that is wrong, and what was expected there.
    fn when(&self) -> Result<When, (&'static str, String)> {
        let keyed = |key: &'static str| move |why: String| (key, why);
        match (&self.cron, &self.every, &self.at) {
            (Some(cron), None, None) => schedule::Cron::parse(cron)
                .map(When::Cron)
                .map_err(keyed("cron")),
            (None, Some(every), None) => When::every(every).map_err(keyed("every")),
            (None, None, Some(at)) => When::at(at).map_err(keyed("at")),
            _ => Err(("", "exactly one of cron, every and at".to_owned())),
        }
    }

    fn schedule(&self) -> Option<Schedule> {
        Some(Schedule {
            when: self.when().ok().filter(|_| self.enabled)?,
            zone: self.tz.clone(),
            text: self.prompt.trim().to_owned(),
        })
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found: Vec<_> = self.when().err().into_iter().collect();
        let is_unknown = |zone: &String| jiff::tz::TimeZone::get(zone).is_err();
        if self.tz.as_ref().is_some_and(is_unknown) {
            found.push(("tz", "a time zone such as Europe/Berlin".to_owned()));
        }
        let chars = self.prompt.chars().count();
        if self.prompt.trim().is_empty() || chars > schedule::TEXT_CHARS_MAX {
            let why = format!("a text of 1 to {} characters", schedule::TEXT_CHARS_MAX);
            found.push(("prompt", why));
        }
        found
    }
}

/// The schedules of an agent: those of the defaults, each in whose place it has one of that name its own.
pub(super) fn over(own: &ScheduleConfigs, defaults: &ScheduleConfigs) -> Schedules {
    let mut all = defaults.clone();
    all.extend(own.clone());
    all.iter()
        .filter_map(|(name, config)| Some((name.clone(), config.schedule()?)))
        .collect()
}

/// What is wrong: the key below the section and what was expected there.
pub(super) fn problems(all: &ScheduleConfigs) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if all.len() > schedule::SCHEDULES_MAX {
        let why = format!("at most {} schedules", schedule::SCHEDULES_MAX);
        found.push((String::new(), why));
    }
    for (name, config) in all {
        if !schedule::is_name(name) {
            let why = "a name of 1 to 40 small letters, digits and single hyphens".to_owned();
            found.push((format!(".{name}"), why));
        }
        // One that is switched off may only say so, to take away that of the defaults.
        let is_bare = !config.enabled
            && *config
                == ScheduleConfig {
                    enabled: false,
                    ..ScheduleConfig::default()
                };
        let wrong = config.problems().into_iter().filter(|_| !is_bare);
        found.extend(wrong.map(|(key, why)| match key {
            "" => (format!(".{name}"), why),
            key => (format!(".{name}.{key}"), why),
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(json: &str) -> ScheduleConfigs {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_agent_has_the_schedules_of_the_defaults_and_its_own_in_their_place() {
        let defaults = configs(
            r#"{"morning": {"cron": "0 8 * * *", "tz": "Europe/Berlin", "prompt": " Greet. "},
                "night": {"every": "1d", "prompt": "Tidy."}, "off": {"at": "2026-12-24T18:00",
                "prompt": "Sing.", "enabled": false}}"#,
        );
        let own = configs(
            r#"{"night": {"enabled": false}, "morning": {"every": "120m", "prompt": "Go."}}"#,
        );
        let shared = over(&ScheduleConfigs::new(), &defaults);
        assert_eq!(shared.keys().collect::<Vec<_>>(), ["morning", "night"]);
        let morning = &shared["morning"];
        assert_eq!(morning.when.to_string(), "cron 0 8 * * *");
        assert_eq!(morning.zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(morning.text, "Greet.");
        let made = over(&own, &defaults);
        assert_eq!(made.keys().collect::<Vec<_>>(), ["morning"]);
        assert_eq!(made["morning"].when.to_string(), "every 2h");
        assert_eq!(made["morning"].zone, None);
        assert!(problems(&defaults).is_empty() && problems(&own).is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_key() {
        for (json, keys) in [
            (r#"{"a": {"prompt": "p"}}"#, &[".a"][..]),
            (
                r#"{"a": {"cron": "0 8 * * *", "every": "2h", "prompt": "p"}}"#,
                &[".a"],
            ),
            (r#"{"a": {"cron": "0 8 * *", "prompt": "p"}}"#, &[".a.cron"]),
            (r#"{"a": {"every": "0m", "prompt": "p"}}"#, &[".a.every"]),
            (
                r#"{"a": {"at": "tomorrow", "prompt": " "}}"#,
                &[".a.at", ".a.prompt"],
            ),
            (
                r#"{"a": {"every": "2h", "tz": "Mars/Base", "prompt": "p"}}"#,
                &[".a.tz"],
            ),
            (r#"{"A b": {"every": "2h", "prompt": "p"}}"#, &[".A b"]),
            (
                r#"{"a": {"cron": "x", "enabled": false}}"#,
                &[".a.cron", ".a.prompt"],
            ),
        ] {
            let found = problems(&configs(json));
            let found: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(found, keys, "{json}");
        }
    }
}
