//! The built-in demo model `demo/guide`: a script that makes the first minute useful without any
//! language model, and says so.

mod texts;

use instar_protocol::model::LocalModel;
use serde_json::json;
use std::sync::Arc;

use crate::ask::Writing;
use crate::play::Player;
use crate::script::{Answer, ModelRow, Pace, Script, Split, Step, When};

/// The id of the guide's model; its route is `demo/guide`.
pub const GUIDE: &str = "guide";

/// The pause before each word, about as fast as a person reads.
const WORD_PAUSE_MS: u64 = 12;

/// The demo model as it is shipped.
#[must_use]
pub fn guide() -> Arc<dyn LocalModel> {
    guide_with_pause(WORD_PAUSE_MS)
}

/// The demo model with another pause before each word; zero for tests.
#[must_use]
pub fn guide_with_pause(pause_ms: u64) -> Arc<dyn LocalModel> {
    let script = script(pause_ms.min(crate::script::PAUSE_MS_MAX));
    #[expect(
        clippy::expect_used,
        reason = "the script is a constant that a test checks"
    )]
    let player = Player::new(script).expect("the built-in script is sound");
    Arc::new(player)
}

/// True if a text says that a script wrote it; for tests of whatever shows the guide.
#[must_use]
pub fn is_scripted_notice(text: &str) -> bool {
    ["scripted", "сценари", "脚本"]
        .iter()
        .any(|word| text.to_lowercase().contains(word))
}

fn script(pause_ms: u64) -> Script {
    let mut script = Script {
        models: vec![ModelRow {
            id: GUIDE.to_owned(),
            about: "Scripted, offline, no language model: shows what Instar does.".to_owned(),
        }],
        pace: Pace {
            split: Split::Words,
            pause_ms,
        },
        otherwise: Answer::text(texts::FALLBACK),
        ..Script::default()
    };
    script = tool_results(script);
    script = tool_calls(script);
    for (phrases, text) in texts::TOPICS {
        script = script.rule(says(phrases), Answer::text(*text));
    }
    script
        .rule(says(texts::LONG_ASKED), long_answer())
        .rule(
            When {
                has_image: Some(true),
                ..When::default()
            },
            Answer::text(texts::IMAGE),
        )
        .rule(says(texts::GREETING_ASKED), Answer::text(texts::GREETING))
        .rule(writes(Writing::Cyrillic), Answer::text(texts::FALLBACK_RU))
        .rule(writes(Writing::Han), Answer::text(texts::FALLBACK_ZH))
}

/// What is told once a tool has answered, or has been refused.
fn tool_results(script: Script) -> Script {
    let of = |tool: &str, failed: bool| When {
        result_of: Some(tool.to_owned()),
        result_failed: Some(failed),
        ..When::default()
    };
    script
        .rule(
            of("sessions_list", false),
            Answer::text(texts::SESSIONS_TOLD),
        )
        .rule(
            of("session_status", false),
            Answer::text(texts::STATUS_TOLD),
        )
        .rule(of(NOBODYS_TOOL, true), Answer::text(texts::REFUSAL_TOLD))
        .rule(
            When {
                result_failed: Some(true),
                ..When::default()
            },
            Answer::text(texts::FAILURE_TOLD),
        )
        .rule(
            When {
                result_failed: Some(false),
                ..When::default()
            },
            Answer::text(texts::RESULT_TOLD),
        )
}

/// A tool that nobody has. Its name stands in [`texts::DELETION_OPENING`] too.
const NOBODYS_TOOL: &str = "delete_everything";

fn tool_calls(script: Script) -> Script {
    let mut script = script;
    for (phrases, tool, arguments, opening) in [
        (
            texts::DELETION_ASKED,
            NOBODYS_TOOL,
            json!({"command": "{{text}}"}),
            texts::DELETION_OPENING,
        ),
        (
            texts::SESSIONS_ASKED,
            "sessions_list",
            json!({"limit": 10}),
            texts::SESSIONS_OPENING,
        ),
        (
            texts::STATUS_ASKED,
            "session_status",
            json!({}),
            texts::STATUS_OPENING,
        ),
    ] {
        // That one is asked for where nobody offers it: the refusal is what is to be seen.
        let offers = (tool != NOBODYS_TOOL).then(|| tool.to_owned());
        let asked = When {
            offers,
            has_tools: Some(true),
            no_result: true,
            ..says(phrases)
        };
        let mut answer = Answer::call(tool, arguments);
        answer.say.insert(0, Step::Text(opening.to_owned()));
        script = script
            .rule(asked, answer)
            .rule(says(phrases), Answer::text(texts::NO_TOOLS));
    }
    script
}

fn long_answer() -> Answer {
    Answer::of([
        Step::Text(texts::LONG_OPENING.to_owned()),
        Step::Repeat {
            text: texts::LONG_PARAGRAPH.to_owned(),
            count: 12,
        },
        Step::Text(texts::LONG_CLOSING.to_owned()),
    ])
}

fn says(phrases: &[&str]) -> When {
    When {
        says: phrases.iter().map(|&phrase| phrase.to_owned()).collect(),
        ..When::default()
    }
}

fn writes(writing: Writing) -> When {
    When {
        writing: Some(writing),
        ..When::default()
    }
}
