//! Questions to the owner about a call, and what became of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{QuestionId, ReleaseId, RuleId, RunId, SessionId};
use crate::label::Label;
use crate::principal::Principal;
use crate::session::{AgentId, SessionKey};
use crate::time::Timestamp;
use crate::tool::{Effect, ToolCall};

/// A question as it is stored. Everything that is shown is written by code from the bound bytes;
/// no word of it comes from the model but the arguments themselves.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Question {
    pub id: QuestionId,
    /// What an answer is bound to: the digest of exactly this call in exactly this place.
    pub digest: String,
    pub session: SessionId,
    pub key: SessionKey,
    pub run: RunId,
    pub agent: AgentId,
    /// On whose behalf the call would be made.
    pub principal: Principal,
    pub release: ReleaseId,
    pub call: ToolCall,
    pub effect: Effect,
    /// The join of everything that the model had read when it asked.
    pub context: Label,
    pub arguments: Vec<ShownArgument>,
    /// What the call would touch, a line each.
    pub touches: Vec<String>,
    /// Why it is asked: rules and facts, a line each.
    pub why: Vec<String>,
    /// The rule that "always" would keep; `None` where "always" is not offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<OfferedRule>,
    /// Facts that the decision needs again when the answer comes: opaque here.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub facts: Value,
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
    pub state: QuestionState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// One argument with where it came from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShownArgument {
    /// `to[0]`, `path`.
    pub path: String,
    /// The exact value, hidden and bidirectional characters made visible, nothing cut.
    pub text: String,
    /// The grade of evidence, `G0` to `G3`; empty for what says neither who nor where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub grade: String,
    /// The worst origin, in a word.
    pub origin: String,
    /// Where it was found, if anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A rule that "always" would keep, in words and as data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OfferedRule {
    pub words: String,
    pub rule: Value,
}

/// Where a question stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionState {
    Open,
    /// Answered with yes; the call did not run yet.
    Approved,
    /// The one call that the answer was for was let through.
    Used,
    Denied,
    /// Nobody answered in time: no.
    Expired,
    /// What it was asked about is no more: another release, another conversation.
    Void,
}

impl QuestionState {
    /// Every state by its stored name.
    pub const NAMES: [(&str, Self); 6] = [
        ("open", Self::Open),
        ("approved", Self::Approved),
        ("used", Self::Used),
        ("denied", Self::Denied),
        ("expired", Self::Expired),
        ("void", Self::Void),
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Used => "used",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Void => "void",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find_map(|(known, state)| (*known == name).then_some(*state))
    }

    /// True if it can go over from here to there. An answer is given once; nothing opens again.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Open => !matches!(next, Self::Open | Self::Used),
            Self::Approved => matches!(next, Self::Used | Self::Void | Self::Expired),
            Self::Used | Self::Denied | Self::Expired | Self::Void => false,
        }
    }
}

/// Who answered, where and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub approved: bool,
    /// The owner's access: `web`, `token`, `device:…`.
    pub by: String,
    pub at: Timestamp,
    /// The standing rule that was kept along with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
}

/// A standing rule as it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StandingRule {
    pub id: RuleId,
    pub words: String,
    pub rule: Value,
    pub created_at: Timestamp,
    pub created_by: String,
    /// `None` for one that the owner pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl StandingRule {
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Makes every character that a reader would not see, or that would change what he sees, visible
/// by its number. Line breaks stay, marked. What is visible already stays as it is.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if shown.ends_with('\u{23ce}') => shown.push('\n'),
            '\n' => shown.push_str("\u{23ce}\n"),
            '\t' => shown.push('\u{2409}'),
            c if is_hidden(c) => shown.push_str(&format!("⟦U+{:04X}⟧", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// Controls, format characters (bidirectional marks, joiners, tags), odd spaces, fillers, variation
/// selectors, combining marks that stack, private use and what is no character.
fn is_hidden(c: char) -> bool {
    let n = u32::from(c);
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(n,
            0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x2800 | 0x3164
            | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A | 0xE000..=0xF8FF | 0xE0000..=0xE0FFF | 0xF0000..=0x10_FFFF
            | 0x0300..=0x036F | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF)
        || n & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_in_what_is_shown() {
        let tricky = "pay\u{202e}gnp\u{200b}.exe\u{7}\u{e0041}x\u{301}\u{a0}y\r\nz\u{feff}";
        let shown = visible(tricky);
        assert_eq!(
            shown,
            "pay⟦U+202E⟧gnp⟦U+200B⟧.exe⟦U+0007⟧⟦U+E0041⟧x⟦U+0301⟧⟦U+00A0⟧y⟦U+000D⟧\u{23ce}\nz⟦U+FEFF⟧"
        );
        assert_eq!(visible(&shown), shown);
        assert_eq!(
            visible("Zürich, 你好, привет 🙂"),
            "Zürich, 你好, привет 🙂"
        );
    }

    #[test]
    fn an_answer_is_given_once_and_nothing_opens_again() {
        for (_, from) in QuestionState::NAMES {
            assert!(!from.may_become(QuestionState::Open));
            assert_eq!(QuestionState::parse(from.name()), Some(from));
            if !matches!(from, QuestionState::Open) {
                assert!(!from.may_become(QuestionState::Approved));
                assert!(!from.may_become(QuestionState::Denied));
            }
            let uses = from.may_become(QuestionState::Used);
            assert_eq!(uses, from == QuestionState::Approved);
        }
    }
}
