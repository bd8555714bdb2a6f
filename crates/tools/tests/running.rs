//! The dispatch function: what it checks, bounds, joins and survives.

use crate::fixture::{Act, Stub, built_in, caller, permit, run, with};
use futures_util::future::BoxFuture;
use instar_protocol::tool::Effect;
use instar_protocol::{AgentId, Label, Origin, Readers, SessionId};
use instar_tools::{
    Caller, OUTPUT_CHARS_MAX, OutputsPort, RegisterError, SkillsPort, ToolError, Toolbox,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn an_output_carries_every_label_it_touched() {
    let output = run(&with(Stub::new("t", Act::Say("hello"))), "t", json!({})).await;
    assert_eq!((output.text.as_str(), output.is_error), ("hello", false));
    for origin in [
        Origin::Contact("c1".to_owned()),
        Origin::System,
        Origin::Owner,
    ] {
        assert!(output.label.origins.contains(&origin), "{origin:?}");
    }
    assert_eq!(output.label.readers, Readers::Private);
}

#[tokio::test]
async fn a_long_output_is_cut_visibly() {
    let output = run(&with(Stub::new("t", Act::SayMuch)), "t", json!({})).await;
    assert!(output.text.chars().count() <= OUTPUT_CHARS_MAX);
    assert!(output.text.contains("characters left out") && output.text.ends_with("ab"));
}

/// Keeps one output in memory, for the conversation that it belongs to.
#[derive(Debug, Default)]
struct Kept(Mutex<Option<(SessionId, String, Label)>>);

impl OutputsPort for Kept {
    fn keep<'a>(
        &'a self,
        caller: &'a Caller,
        text: String,
        label: &'a Label,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        *self.0.lock().unwrap() = Some((caller.session.clone(), text, label.clone()));
        Box::pin(async { Ok("out_1".to_owned()) })
    }

    fn kept<'a>(
        &'a self,
        caller: &'a Caller,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<(String, Label), ToolError>> {
        let kept = self.0.lock().unwrap().clone();
        Box::pin(async move {
            kept.filter(|(session, _, _)| handle == "out_1" && session == &caller.session)
                .map(|(_, text, label)| (text, label))
                .ok_or_else(|| ToolError::Failed("no such output".to_owned()))
        })
    }
}

#[tokio::test]
async fn what_is_cut_can_be_paged_through_with_its_label() {
    let mut toolbox = with(Stub::new("t", Act::SayMuch));
    toolbox.keep_outputs(Arc::new(Kept::default())).unwrap();
    let first = run(&toolbox, "t", json!({})).await;
    let offset = first.text.split_once("handle out_1, offset ").unwrap().1;
    let mut offset: usize = offset.split(' ').next().unwrap().parse().unwrap();
    let mut whole: String = first.text.chars().take(offset).collect();
    loop {
        let arguments = json!({"handle": "out_1", "offset": offset});
        let page = run(&toolbox, "output_page", arguments).await;
        assert!(!page.is_error, "{}", page.text);
        assert!(
            page.label
                .origins
                .contains(&Origin::Contact("c1".to_owned()))
        );
        let Some((text, note)) = page.text.split_once("\n[characters ") else {
            whole.push_str(&page.text);
            break;
        };
        whole.push_str(text);
        offset = note
            .rsplit(' ')
            .next()
            .unwrap()
            .trim_end_matches(']')
            .parse()
            .unwrap();
    }
    assert_eq!(whole, "ab".repeat(100_000));
    let gone = run(&toolbox, "output_page", json!({"handle": "out_2"})).await;
    assert!(
        gone.is_error && gone.text == "no such output",
        "{}",
        gone.text
    );
}

#[tokio::test]
async fn a_failure_is_told_in_the_tools_words() {
    let output = run(&with(Stub::new("t", Act::Fail)), "t", json!({})).await;
    assert_eq!(
        (output.text.as_str(), output.is_error),
        ("no such thing; look elsewhere", true)
    );
    assert!(output.label.join(&Label::owner()) == output.label);
}

#[tokio::test]
async fn a_panic_is_an_output() {
    let toolbox = with(Stub::new("t", Act::Panic));
    let output = run(&toolbox, "t", json!({})).await;
    assert!(
        output.is_error && output.text.contains("failed inside"),
        "{}",
        output.text
    );
    assert!(!output.text.contains("own fault"));
    assert!(run(&toolbox, "t", json!({})).await.is_error);
}

#[tokio::test]
async fn a_tool_that_never_ends_is_stopped() {
    let toolbox = with(Stub::new("t", Act::Hang)).with_timeout(std::time::Duration::ZERO);
    let output = run(&toolbox, "t", json!({})).await;
    assert!(
        output.is_error && output.text.contains("was stopped"),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn arguments_are_checked_before_the_tool_runs() {
    let (toolbox, sessions) = built_in();
    for (name, arguments, why) in [
        ("session_status", json!({"approved": true}), "must be empty"),
        ("sessions_list", json!({"limit": 0}), "at least 1"),
        ("sessions_list", json!({"limit": "5"}), "a whole number"),
        (
            "sessions_list",
            json!({"permit": {}, "limit": 5}),
            "no field \"permit\"",
        ),
        ("sessions_history", json!({}), "session is missing"),
        (
            "sessions_history",
            json!({"session": "main", "owner": true}),
            "no field \"owner\"",
        ),
    ] {
        let output = run(&toolbox, name, arguments).await;
        assert!(
            output.is_error && output.text.contains(why),
            "{name}: {}",
            output.text
        );
    }
    assert!(sessions.asked.lock().unwrap().is_empty());
}

/// One skill of the main agent's.
#[derive(Debug)]
struct Shelf(BTreeMap<String, String>);

impl SkillsPort for Shelf {
    fn names(&self, _agent: &AgentId) -> Vec<String> {
        vec!["tides".to_owned()]
    }

    fn files<'a>(&'a self, agent: &AgentId, name: &str) -> Option<&'a BTreeMap<String, String>> {
        (agent == &AgentId::main() && name == "tides").then_some(&self.0)
    }
}

#[tokio::test]
async fn a_skill_is_read_from_what_serves_the_turn_and_is_its_owners_text() {
    let (toolbox, _sessions) = built_in();
    let files = [("SKILL.md", "Look it up."), ("notes/a.md", "Low at noon.")];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let caller = Caller {
        skills: Some(Arc::new(Shelf(files.into()))),
        ..caller()
    };
    let read = async |arguments| {
        let permit = permit(&toolbox, "skill", arguments);
        toolbox.run(permit, &caller).await
    };
    let first = read(json!({"name": "tides"})).await;
    assert_eq!(
        first.text,
        "Look it up.\n[further files of tides: notes/a.md]"
    );
    assert!(!first.is_error && !first.label.is_tainted());
    assert_eq!(first.label.readers, Readers::Private);
    let second = read(json!({"name": "tides", "file": "notes/a.md"})).await;
    assert_eq!(second.text, "Low at noon.");
    for (arguments, why) in [
        (
            json!({"name": "moon"}),
            "there is no skill moon; there is: tides",
        ),
        (
            json!({"name": "tides", "file": "../x"}),
            "there is no file ../x",
        ),
        (json!({"name": "tides", "path": "x"}), "no field \"path\""),
    ] {
        let output = read(arguments).await;
        assert!(
            output.is_error && output.text.contains(why),
            "{}",
            output.text
        );
    }
    let none = run(&toolbox, "skill", json!({"name": "tides"})).await;
    assert!(
        none.is_error && none.text.ends_with("there is: none"),
        "{}",
        none.text
    );
}

#[tokio::test]
async fn a_permit_does_not_outlive_what_it_was_given_for() {
    let given = permit(&with(Stub::new("t", Act::Say("x"))), "t", json!({}));
    let gone = Toolbox::default().run(given, &caller()).await;
    assert!(
        gone.is_error && gone.text.contains("not available"),
        "{}",
        gone.text
    );

    let given = permit(&with(Stub::new("t", Act::Say("x"))), "t", json!({}));
    let schema = json!({"type": "object"});
    let other = with(Stub::with("t", Act::Say("x"), Effect::Execute, schema));
    let changed = other.run(given, &caller()).await;
    assert!(
        changed.is_error && changed.text.contains("not what it was"),
        "{}",
        changed.text
    );
}

#[test]
fn a_tool_that_cannot_be_checked_or_told_apart_is_refused() {
    let (toolbox, _sessions) = built_in();
    let twice = toolbox.register(Arc::new(Stub::new("sessions_list", Act::Panic)));
    assert_eq!(
        twice,
        Err(RegisterError::Duplicate("sessions_list".to_owned()))
    );
    let schema = json!({"type": "object", "properties": {"a": {"anyOf": []}}});
    let unchecked = toolbox.register(Arc::new(Stub::with("x", Act::Panic, Effect::Read, schema)));
    assert!(matches!(unchecked, Err(RegisterError::Schema { .. })));
    assert_eq!(toolbox.specs().len(), 5);
}
