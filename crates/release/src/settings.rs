//! What a tool is set to for one agent.

use instar_policy::Authority;
use serde::{Deserialize, Serialize};

/// Seconds that a call may be given.
const SECONDS_MAX: u16 = 900;
/// Characters that the model is shown of what came of a call; the rest it asks for in pages.
const CHARS: std::ops::RangeInclusive<u32> = 500..=16_000;

/// What is not said is as the tool has it by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolSettings {
    /// How long a call may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u16>,
    /// How much of its result is shown at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chars: Option<u32>,
}

impl ToolSettings {
    /// Why these cannot be served for this tool.
    pub(crate) fn problem(&self, tool: &str, authority: &Authority) -> Option<String> {
        if !authority.annotations.contains_key(tool) {
            return Some("there is no such tool".to_owned());
        }
        if *self == Self::default() {
            return Some("nothing is set".to_owned());
        }
        if self
            .seconds
            .is_some_and(|seconds| !(1..=SECONDS_MAX).contains(&seconds))
        {
            return Some(format!("seconds is 1 to {SECONDS_MAX}"));
        }
        if self.chars.is_some_and(|chars| !CHARS.contains(&chars)) {
            return Some(format!("chars is {} to {}", CHARS.start(), CHARS.end()));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_policy::Annotation;
    use instar_protocol::Label;

    #[test]
    fn settings_are_bounded_and_of_a_tool_that_there_is() {
        let look = Annotation::reads(Label::system());
        let authority = Authority::over([("look".to_owned(), look)].into());
        let set = |seconds, chars| ToolSettings { seconds, chars };
        let problem = |settings: ToolSettings| settings.problem("look", &authority);
        assert_eq!(problem(set(Some(1), Some(500))), None);
        assert_eq!(problem(set(None, Some(16_000))), None);
        for wrong in [
            set(None, None),
            set(Some(0), None),
            set(Some(901), None),
            set(None, Some(499)),
            set(None, Some(16_001)),
        ] {
            assert!(problem(wrong).is_some(), "{wrong:?}");
        }
        assert!(set(Some(1), None).problem("gone", &authority).is_some());
    }
}
