//! What people read when they ask what changed.

use crate::fixture::{behaviour, main_agent, skill};
use instar_protocol::Label;
use instar_protocol::tool::Effect;
use instar_release::{Behaviour, PromptFile, canonical, diff};
use serde_json::json;

fn shown(old: &Behaviour, new: &Behaviour) -> String {
    let one = |value: &Option<serde_json::Value>| match value {
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    };
    let mut out = String::new();
    for change in diff(old, new) {
        let (before, after) = (one(&change.before), one(&change.after));
        out.push_str(&format!("{}: {before} -> {after}\n", change.path));
        out.push_str(change.text.as_deref().unwrap_or_default());
    }
    out
}

#[test]
fn equal_behaviours_have_no_difference() {
    assert_eq!(shown(&behaviour("a"), &behaviour("a")), "");
    assert_eq!(shown(&Behaviour::default(), &Behaviour::default()), "");
}

#[test]
fn changes_are_named_by_path_and_prompts_shown_as_text() {
    let old = behaviour("You are Instar.\nBe kind.\nBe short.\n");
    let mut new = behaviour("You are Instar.\nBe kind.\nBe brief.\n");
    let main = main_agent(&mut new);
    main.route.primary = "openai/gpt-5".to_owned();
    main.limits.tool_calls_max = 10;
    let soul = PromptFile {
        text: "calm\n".to_owned(),
        cut_chars: 7,
    };
    main.prompt.insert("SOUL.md".to_owned(), soul);
    new.authority.deny.insert("look".to_owned());
    insta::assert_snapshot!(shown(&old, &new), @r#"
    agents.main.limits.tool_calls_max: 40 -> 10
    agents.main.prompt.IDENTITY.md: {"chars":35,"cut_chars":0} -> {"chars":35,"cut_chars":0}
    --- IDENTITY.md
    +++ IDENTITY.md
    @@ -1,3 +1,3 @@
     You are Instar.
     Be kind.
    -Be short.
    +Be brief.
    agents.main.prompt.SOUL.md: nothing -> {"chars":5,"cut_chars":7}
    --- SOUL.md
    +++ SOUL.md
    @@ -0,0 +1 @@
    +calm
    agents.main.route.primary: "demo/guide" -> "openai/gpt-5"
    authority.deny: [] -> ["look"]
    "#);
}

#[test]
fn a_skill_is_one_change_with_the_text_of_its_files() {
    let mut old = behaviour("one");
    let mut new = old.clone();
    let mut tides = skill("tides", "Look.");
    main_agent(&mut old)
        .skills
        .insert("tides".to_owned(), tides.clone());
    tides
        .files
        .insert("notes/a.md".to_owned(), "Calm.\n".to_owned());
    tides.files.insert(
        "SKILL.md".to_owned(),
        "---\nname: tides\ndescription: Others.\n---\nLook.\n".to_owned(),
    );
    main_agent(&mut new)
        .skills
        .insert("tides".to_owned(), tides);
    insta::assert_snapshot!(shown(&old, &new), @r#"
    agents.main.skills.tides: {"description":"For tests of tides.","digest":"b097a6ab31f592d44c892d94695799fdd954c62069740b8b6f8aca12f69e40f1","files":1,"bytes":67} -> {"description":"Others.","digest":"fd94d227281840a3de13e271e0aed70111e6114ac157b563a315fd2d8a6f1245","files":2,"bytes":71}
    --- tides/SKILL.md
    +++ tides/SKILL.md
    @@ -1,5 +1,5 @@
     ---
     name: tides
    -description: For tests of tides.
    +description: Others.
     ---
     Look.
    --- tides/notes/a.md
    +++ tides/notes/a.md
    @@ -0,0 +1 @@
    +Calm.
    "#);
    let gone = shown(&new, &behaviour("one"));
    assert!(
        gone.starts_with("agents.main.skills.tides: {") && gone.contains("} -> nothing\n"),
        "{gone}"
    );
}

#[test]
fn what_is_gone_is_shown_as_gone() {
    let old = behaviour("one\n");
    let mut new = behaviour("one\n");
    new.agents.clear();
    new.authority.annotations.clear();
    insta::assert_snapshot!(shown(&old, &new), @r#"
    agents.main: {"route":{"primary":"demo/guide","fallbacks":["openai/gpt-5"]},"limits":{"model_calls_max":20,"tool_calls_max":40,"timeout_seconds":600,"output_tokens_max":4096},"skills":[],"mitigations":[],"schedules":{}} -> nothing
    agents.main.prompt.IDENTITY.md: {"chars":4,"cut_chars":0} -> nothing
    --- IDENTITY.md
    +++ IDENTITY.md
    @@ -1 +0,0 @@
    -one
    authority.annotations.look: {"effect":"read","reach":"own","output":{"origins":["system"],"readers":"public"}} -> nothing
    "#);
}

#[test]
fn a_wider_annotation_is_one_line() {
    let old = behaviour("one");
    let mut new = behaviour("one");
    let look = new.authority.annotations.get_mut("look").unwrap();
    look.effect = Effect::Execute;
    look.output = Label::owner();
    insta::assert_snapshot!(shown(&old, &new), @r#"
    authority.annotations.look.effect: "read" -> "execute"
    authority.annotations.look.output.origins: ["system"] -> ["owner"]
    authority.annotations.look.output.readers: "public" -> "private"
    "#);
}

#[test]
fn equal_values_have_equal_canonical_bytes() {
    assert_eq!(
        canonical(&json!({"b": 1.0, "a": [1e0]})).unwrap(),
        r#"{"a":[1],"b":1}"#
    );
    assert!(canonical(&json!(u64::MAX)).is_err());
    let (one, two) = (behaviour("x"), behaviour("y"));
    assert_eq!(one.id().unwrap(), behaviour("x").id().unwrap());
    assert_ne!(one.id().unwrap(), two.id().unwrap());
    let read: Behaviour = serde_json::from_str(&one.canonical().unwrap()).unwrap();
    assert_eq!(read, one);
}
