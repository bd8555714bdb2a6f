//! The `heartbeat` sections: when an agent looks after things by itself, and after what.

use instar_release::{Heartbeat, Hours, heartbeat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an agent is told where the owner wrote nothing else.
const TEXT: &str = "\
Look at what you agreed with your owner to keep an eye on: HEARTBEAT.md, if it stands in your prompt, \
and open tasks of yours. Do not repeat what you told him before.";

/// A `heartbeat` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// The time between two looks: minutes, hours or days, as `30m`, `2h` or `1d`. `0m` is never.
    /// Without it there are none.
    pub every: Option<String>,
    /// How much later than the even times a look comes, in the same form, so that it can keep out of
    /// the way of what others do on the hour.
    pub offset: Option<String>,
    /// The hours of the owner's day in which there are looks. When absent: all.
    pub active_hours: Option<ActiveHours>,
    /// What the agent is told to look after.
    pub prompt: Option<String>,
}

/// A span of the day in `agents.defaults.userTimezone`. It may go over midnight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActiveHours {
    /// `08:00`.
    pub start: String,
    /// The first minute that is no longer in it, `22:30`; `24:00` is midnight.
    pub end: String,
}

impl ActiveHours {
    fn hours(&self) -> Option<Hours> {
        Hours::parse(&self.start, &self.end)
    }
}

impl HeartbeatConfig {
    /// The heartbeat of an agent whose section this is, with that of the defaults.
    pub(super) fn over(&self, defaults: &Self) -> Option<Heartbeat> {
        let span = |of: fn(&Self) -> &Option<String>| {
            let text = of(self).as_ref().or_else(|| of(defaults).as_ref());
            text.and_then(|text| minutes(text)).unwrap_or(0)
        };
        let every_minutes = span(|config| &config.every);
        if every_minutes == 0 {
            return None;
        }
        let hours = self
            .active_hours
            .as_ref()
            .or(defaults.active_hours.as_ref());
        let text = self.prompt.as_ref().or(defaults.prompt.as_ref());
        Some(Heartbeat {
            every_minutes,
            // One from the defaults may be longer than this agent's own time between two.
            offset_minutes: span(|config| &config.offset) % every_minutes,
            hours: hours.and_then(ActiveHours::hours),
            text: text.map_or_else(|| TEXT.to_owned(), |text| text.trim().to_owned()),
        })
    }

    /// What is wrong: the key and what was expected there.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (key, value) in [("every", &self.every), ("offset", &self.offset)] {
            let is_wrong = |text: &String| {
                minutes(text).is_none_or(|minutes| minutes > heartbeat::EVERY_MINUTES_MAX)
            };
            if value.as_ref().is_some_and(is_wrong) {
                let why = "minutes, hours or days up to a week: 30m, 2h or 1d; 0m is never";
                found.push((key, why.to_owned()));
            }
        }
        if self
            .active_hours
            .as_ref()
            .is_some_and(|hours| hours.hours().is_none())
        {
            let why = "two different times of a day: {\"start\": \"08:00\", \"end\": \"22:30\"}";
            found.push(("activeHours", why.to_owned()));
        }
        let is_wrong = |text: &String| {
            text.trim().is_empty() || text.chars().count() > heartbeat::TEXT_CHARS_MAX
        };
        if self.prompt.as_ref().is_some_and(is_wrong) {
            let why = format!("a text of 1 to {} characters", heartbeat::TEXT_CHARS_MAX);
            found.push(("prompt", why));
        }
        found
    }
}

/// `30m`, `2h`, `1d` in minutes.
fn minutes(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let scale = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u32>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> HeartbeatConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_agent_beats_as_the_defaults_say_where_it_says_nothing() {
        let defaults = config(r#"{"every": "2h", "offset": "5m", "prompt": "Look. "}"#);
        let own = config(r#"{"every": "3m", "activeHours": {"start": "22:00", "end": "06:00"}}"#);
        assert_eq!(
            HeartbeatConfig::default().over(&own).unwrap().every_minutes,
            3
        );
        let beat = own.over(&defaults).unwrap();
        assert_eq!((beat.every_minutes, beat.offset_minutes), (3, 2));
        assert_eq!(beat.text, "Look.");
        assert!(beat.hours.is_some_and(|hours| hours.holds(0)));
        assert_eq!(config(r#"{"every": "0m"}"#).over(&defaults), None);
        assert_eq!(config("{}").over(&config("{}")), None);
        assert!(
            config(r#"{"every": "1d"}"#)
                .over(&own)
                .unwrap()
                .text
                .contains("HEARTBEAT.md")
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_its_key() {
        let keys = |json: &str| -> Vec<&str> {
            config(json)
                .problems()
                .into_iter()
                .map(|(key, _)| key)
                .collect()
        };
        for span in [
            "",
            "m",
            "30",
            "-3m",
            "1w",
            "8d",
            "99999999999d",
            "½h",
            "1.5h",
        ] {
            assert_eq!(
                keys(&format!(r#"{{"every": "{span}"}}"#)),
                ["every"],
                "{span}"
            );
        }
        assert_eq!(keys(r#"{"offset": "x"}"#), ["offset"]);
        assert_eq!(keys(r#"{"prompt": " "}"#), ["prompt"]);
        assert_eq!(
            keys(r#"{"activeHours": {"start": "08:00", "end": "8"}}"#),
            ["activeHours"]
        );
        assert!(keys(r#"{"every": "7d", "offset": "0m", "prompt": "p"}"#).is_empty());
    }
}
