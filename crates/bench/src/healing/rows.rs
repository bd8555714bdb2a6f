//! What is acted out through a real gateway: planted faults, and fixes whose effect is known to nobody but
//! the row.

use instar_demo::{Cause, Planted, Weather};
use serde_json::{Value, json};

/// The planted rate, which neither the gateway nor the trials are told.
const BASE: f64 = 0.5;
/// The rate between bursts.
const BURSTING: f64 = 0.2;
/// Where a rate that drifts ends, and after how many turns.
const DRIFTS_TO: f64 = 0.05;
const DRIFTS_TURNS: u64 = 150;
const TOOL: &str = "read";

/// A fault with a fix against it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Row {
    Right,
    Useless,
    /// Good calls fail with it, too.
    Harmful,
    /// The calls fail as before, in other words: who counts the text of the fault sees it gone.
    Gaming,
    /// One cause comes out with two texts, and the fix is for the cause.
    ManyTexts,
    /// Two causes have one text, and the fix is for one of them.
    TwoCauses,
    /// The fault is gone after some turns, whatever is done: the fix does nothing.
    Heals,
    /// Now and then all is four times as bad for a while, whatever is done, and the fix does nothing.
    Bursts,
    /// The fault becomes seldom, whatever is done, and the fix does nothing.
    Drifts,
    /// It becomes seldom, and the fix helps as long as there is something to help with.
    DriftsRight,
}

impl Row {
    pub(super) const ALL: [Self; 10] = [
        Self::Right,
        Self::Useless,
        Self::Harmful,
        Self::Gaming,
        Self::ManyTexts,
        Self::TwoCauses,
        Self::Heals,
        Self::Bursts,
        Self::Drifts,
        Self::DriftsRight,
    ];

    /// The id of its fix, too.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Useless => "useless",
            Self::Harmful => "harmful",
            Self::Gaming => "gaming",
            Self::ManyTexts => "one-cause-many-texts",
            Self::TwoCauses => "two-causes-one-text",
            Self::Heals => "heals-by-itself",
            Self::Bursts => "useless-in-bursts",
            Self::Drifts => "useless-while-it-drifts",
            Self::DriftsRight => "right-while-it-drifts",
        }
    }

    /// True if the fix is one that helps.
    pub(super) fn helps(self) -> bool {
        matches!(
            self,
            Self::Right | Self::ManyTexts | Self::TwoCauses | Self::DriftsRight
        )
    }

    pub(super) fn planted(self, seed: u64) -> Planted {
        let call = |more: Value| {
            let mut call = json!({"path": "note.md"});
            if let (Some(call), Some(more)) = (call.as_object_mut(), more.as_object()) {
                call.extend(more.clone());
            }
            call
        };
        let cause = |calls: &[Value]| Cause {
            calls: calls.iter().cloned().map(call).collect(),
        };
        let word = json!({"limit": "2"});
        let causes = match self {
            Self::ManyTexts => vec![cause(&[word, json!({"offset": "1"})])],
            // Both are refused with the same words; only one can be read as a number.
            Self::TwoCauses => vec![cause(&[word]), cause(&[json!({"limit": "two"})])],
            _ => vec![cause(&[word])],
        };
        Planted {
            seed,
            tool: TOOL.to_owned(),
            // Where an argument is given another name, good calls have none of that name.
            good: match self {
                Self::Gaming => call(json!({})),
                _ => call(json!({"limit": 2})),
            },
            rate: match self {
                Self::Bursts => BURSTING,
                _ => BASE,
            },
            weather: match self {
                Self::Heals => Weather::Heals { after: 12 },
                Self::Bursts => Weather::Bursts,
                Self::Drifts | Self::DriftsRight => Weather::Drift {
                    to: DRIFTS_TO,
                    turns: DRIFTS_TURNS,
                },
                _ => Weather::Steady,
            },
            causes,
        }
    }

    pub(super) fn mitigation(self) -> Value {
        let number = |argument: &str| json!({"number": {"argument": argument}});
        let fixes = match self {
            Self::Right | Self::TwoCauses | Self::DriftsRight => json!([number("limit")]),
            Self::ManyTexts => json!([number("limit"), number("offset")]),
            Self::Useless | Self::Heals | Self::Bursts | Self::Drifts => {
                json!([number("offset")])
            }
            Self::Harmful => json!([{"clamp": {"argument": "limit", "most": 0}}]),
            Self::Gaming => json!([{"rename": {"from": "limit", "to": Self::HIDING}}]),
        };
        json!({
            "id": self.name(), "gene": "bench", "fault": "planted", "reach": "everybody",
            "trial": {"unit": "exposure", "share_permille": 500, "chapter": 1},
            "act": {"arguments": {"tool": TOOL, "fixes": fixes}},
        })
    }

    /// The name that the argument has when the text of the fault is hidden: the tool knows none like it.
    pub(super) const HIDING: &'static str = "lines";
}
