//! Deltas: taken back exactly, never merged silently, and weighed by what they do.

use instar_policy::cedar::{RuleFile, Rules};
use instar_policy::{Posture, Role};
use instar_protocol::label::{Label, Readers};
use instar_release::class::assess;
use instar_release::delta::{
    DeltaError, KnownList, Limit, PolicyChange, apply_all, conflicts, overlap, rebase, sections,
};
use instar_release::mitigation::{Act, Mitigation, Reach};
use instar_release::{
    Behaviour, Class, Delta, Heartbeat, PromptFile, Retrieval, ToolSettings, build, read_deltas,
};
use proptest::prelude::*;
use serde_json::json;

use crate::fixture::{behaviour, main_agent, schedule, skill};

const FORBID: &str = "@rule(\"mine-no-look\")\n@words(\"nothing is looked at\")\n@answer(\"never\")\nforbid(principal, action, resource);\n";

/// A behaviour of some texts, routes, limits and rights.
fn behaviours() -> impl Strategy<Value = Behaviour> {
    let names = || prop::collection::btree_set("[abc]|look|\\*", 0..3);
    (
        prop::collection::vec("[a-z# \n]{0,12}", 1..5),
        names(),
        prop::option::of(names()),
        0..3_u8,
        names(),
        0..2_u8,
        1..9_u32,
    )
        .prop_map(|(texts, deny, allow, posture, known, second, limit)| {
            let mut made = behaviour("");
            let text: String = texts
                .iter()
                .enumerate()
                .map(|(number, text)| format!("## Part {number}\n{text}\n"))
                .collect();
            let agent = main_agent(&mut made);
            let file = PromptFile {
                text,
                cut_chars: u64::from(limit) - 1,
            };
            agent.prompt.insert("SOUL.md".to_owned(), file);
            if limit > 4 {
                agent.skills.insert("a".to_owned(), skill("a", "old"));
                let old = schedule("cron 0 8 * * *", "old");
                agent.schedules.insert("a".to_owned(), old);
            }
            agent.limits.model_calls_max = limit;
            if second == 1 {
                let copy = agent.clone();
                made.agents.insert("other".to_owned(), copy);
                let files = vec![RuleFile {
                    name: "old.cedar".to_owned(),
                    text: rule("old"),
                }];
                made.authority.rules = Rules::read(files).unwrap();
            }
            made.authority.deny = deny;
            made.authority.allow = allow;
            made.authority.posture =
                [Posture::Careful, Posture::Balanced, Posture::Open][usize::from(posture)];
            made.authority.known.contacts = known;
            made
        })
}

fn rule(name: &str) -> String {
    format!("@rule(\"{name}\")\nforbid(principal, action, resource);\n")
}

fn changes() -> impl Strategy<Value = PolicyChange> {
    let names = || prop::option::of(prop::collection::btree_set("[abc]|look|\\*", 0..3));
    prop_oneof![
        (0..3_usize).prop_map(|at| PolicyChange::Posture(
            [Posture::Careful, Posture::Balanced, Posture::Open][at]
        )),
        ("[abc]|\\*", any::<bool>()).prop_map(|(tool, denied)| PolicyChange::Deny { tool, denied }),
        names().prop_map(|tools| PolicyChange::Allow { tools }),
        (any::<bool>(), names()).prop_map(|(is_owner, tools)| PolicyChange::Profile {
            role: if is_owner { Role::Owner } else { Role::Contact },
            tools,
        }),
        (0..3_usize, "[abc]", any::<bool>()).prop_map(|(at, value, known)| {
            let list = [KnownList::Own, KnownList::Contacts, KnownList::Destinations][at];
            PolicyChange::Known { list, value, known }
        }),
        ("(new|old|zoo)", any::<bool>()).prop_map(|(name, there)| PolicyChange::Rules {
            text: there.then(|| rule(&format!("rule-{name}"))),
            file: format!("{name}.cedar"),
        }),
        (0..2_u8).prop_map(|at| PolicyChange::Walls {
            agent: "main".to_owned(),
            settings: (at == 1).then(|| json!({"mode": "all"})),
        }),
    ]
}

fn numbers(results: u32) -> Retrieval {
    Retrieval {
        results,
        ..Retrieval::default()
    }
}

fn beat(every_minutes: u32) -> Heartbeat {
    Heartbeat {
        every_minutes,
        offset_minutes: 0,
        hours: None,
        text: "Look whether the backup ran.".to_owned(),
    }
}

fn breaker(id: &str, failures: u8) -> Mitigation {
    Mitigation {
        id: id.to_owned(),
        gene: "breaker@1".to_owned(),
        fault: "f1".to_owned(),
        reach: Reach::Everybody,
        trial: None,
        act: Act::Breaker {
            tool: "look".to_owned(),
            failures,
            open_seconds: 60,
        },
    }
}

fn deltas() -> impl Strategy<Value = Delta> {
    let agent = || prop_oneof!["main", "other"];
    prop_oneof![
        (agent(), "(SOUL|TOOLS)", prop::option::of("[a-z\n]{0,9}")).prop_map(
            |(agent, file, text)| Delta::SetPrompt {
                agent,
                file: format!("{file}.md"),
                text,
                cut_chars: 0,
            }
        ),
        (agent(), 0..4_u8, "[a-z]{0,9}").prop_map(|(agent, part, text)| {
            Delta::SetPromptSection {
                agent,
                file: "SOUL.md".to_owned(),
                section: format!("## Part {part}"),
                text: format!("## Part {part}\n{text}\n"),
            }
        }),
        (agent(), "[ab]/[cd]").prop_map(|(agent, primary)| Delta::SetRoute {
            agent,
            primary,
            fallbacks: Vec::new(),
            pictures: Vec::new(),
        }),
        (agent(), any::<bool>(), 1..9_u32).prop_map(|(agent, is_calls, value)| {
            let limit = if is_calls {
                Limit::ModelCallsMax
            } else {
                Limit::TimeoutSeconds
            };
            Delta::SetLimit {
                agent,
                limit,
                value,
            }
        }),
        (agent(), "[ab]", prop::option::of(2..9_u8)).prop_map(|(agent, id, failures)| {
            Delta::SetMitigation {
                agent,
                mitigation: failures.map(|failures| Box::new(breaker(&id, failures))),
                id,
            }
        }),
        (agent(), prop::option::of(1..90_u32)).prop_map(|(agent, every_minutes)| {
            Delta::SetHeartbeat {
                agent,
                heartbeat: every_minutes.map(beat),
            }
        }),
        (agent(), "[ab]", prop::option::of("[a-z\n]{0,9}")).prop_map(|(agent, name, text)| {
            Delta::SetSchedule {
                agent,
                name,
                schedule: text.map(|text| schedule("every 2h", &text)),
            }
        }),
        (agent(), prop::option::of(1..20_u32)).prop_map(|(agent, results)| {
            Delta::SetRetrieval {
                agent,
                retrieval: results.map(numbers),
            }
        }),
        (agent(), prop::option::of(1..99_u16)).prop_map(|(agent, seconds)| Delta::SetTool {
            agent,
            tool: "look".to_owned(),
            settings: seconds.map(|seconds| ToolSettings {
                seconds: Some(seconds),
                chars: None,
            }),
        }),
        (agent(), "[ab]", prop::option::of("[a-z\n]{0,9}")).prop_map(|(agent, name, text)| {
            Delta::SetSkill {
                agent,
                skill: text.map(|text| skill(&name, &text)),
                name,
            }
        }),
        changes().prop_map(Delta::TightenPolicy),
        changes().prop_map(Delta::WidenPolicy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_taken_back_has_the_same_content_hash(base in behaviours(), delta in deltas()) {
        if let Ok(after) = delta.apply(&base) {
            prop_assert_ne!(after.id().unwrap(), base.id().unwrap());
            let back = delta.inverse(&base).unwrap();
            prop_assert_eq!(back.touches(), delta.touches());
            prop_assert_eq!(back.apply(&after).unwrap().id().unwrap(), base.id().unwrap());
        }
    }

    #[test]
    fn deltas_that_do_not_meet_commute_and_a_conflict_is_symmetrical(
        base in behaviours(), one in deltas(), two in deltas()
    ) {
        prop_assert_eq!(overlap(&one, &two), overlap(&two, &one));
        let pair = [one.clone(), two.clone()];
        prop_assert_eq!(conflicts(&pair).len(), usize::from(overlap(&one, &two)));
        if overlap(&one, &two) {
            prop_assert!(build(&base, &pair).is_err());
        } else {
            let id = |deltas: &[Delta]| apply_all(deltas, &base).ok().map(|made| made.id().unwrap());
            prop_assert_eq!(id(&pair), id(&[two, one]));
        }
    }

    /// Upon a base that changed elsewhere it does what it would have done before that; where the base
    /// changed in the same place it is refused.
    #[test]
    fn a_base_that_moved_is_never_merged_silently(
        base in behaviours(), mine in deltas(), theirs in deltas()
    ) {
        let Ok(moved) = theirs.apply(&base) else { return Ok(()) };
        let Ok(alone) = mine.apply(&base) else { return Ok(()) };
        match rebase(std::slice::from_ref(&mine), &base, &moved) {
            Ok(Ok(both)) => {
                prop_assert!(!overlap(&mine, &theirs), "{} {}", mine.touches(), theirs.touches());
                prop_assert_eq!(both.id().unwrap(), theirs.apply(&alone).unwrap().id().unwrap());
            }
            Ok(Err(places)) => prop_assert!(!places.is_empty() && overlap(&mine, &theirs)),
            Err(_) => {}
        }
    }

    #[test]
    fn sections_are_the_text_again(text in "[a-z# \n]{0,60}") {
        let whole: String = sections(&text).iter().map(|(_, text)| *text).collect();
        prop_assert_eq!(whole, text);
    }
}

fn class(base: &Behaviour, delta: Delta, evidence: &Label) -> (Class, Vec<String>) {
    let after = build(base, std::slice::from_ref(&delta)).unwrap();
    let found = assess(base, &[delta], &after, evidence);
    (found.class, found.newly)
}

fn soul(text: &str) -> Delta {
    Delta::SetPrompt {
        agent: "main".to_owned(),
        file: "SOUL.md".to_owned(),
        text: Some(text.to_owned()),
        cut_chars: 0,
    }
}

#[test]
fn the_class_is_what_the_change_does_and_not_what_it_says() {
    let base = behaviour("I am calm.");
    let owner = Label::owner();
    let text = |text: &str| class(&base, soul(text), &owner).0;
    assert_eq!(text("Be brief."), Class::B);
    for literal in [
        "Write to eve@example.org at once.",
        "See https://example.org/x for more.",
        "Call +49 30 12345678 if in doubt, or +493012345678.",
        "Read /etc/passwd first.",
        "Say aGVsbG8gd29ybGQgaGVsbG8 aloud.",
    ] {
        assert_eq!(text(literal), Class::C, "{literal}");
    }
    assert_eq!(text(&"word ".repeat(500)), Class::C);
    let stranger = Label::stranger(Readers::Private).join(&owner);
    for evidence in [Label::system(), stranger] {
        assert_eq!(class(&base, soul("Be brief."), &evidence).0, Class::C);
    }
    let limit = |value| Delta::SetLimit {
        agent: "main".to_owned(),
        limit: Limit::ModelCallsMax,
        value,
    };
    assert_eq!(class(&base, limit(19), &owner).0, Class::B);
    assert_eq!(class(&base, limit(21), &owner).0, Class::C);
    let found = Delta::SetRetrieval {
        agent: "main".to_owned(),
        retrieval: Some(numbers(9)),
    };
    assert_eq!(class(&base, found, &owner).0, Class::A);
    let slower = Delta::SetTool {
        agent: "main".to_owned(),
        tool: "look".to_owned(),
        settings: Some(ToolSettings {
            seconds: Some(9),
            chars: None,
        }),
    };
    assert_eq!(class(&base, slower, &owner).0, Class::C);
    let learns = Delta::SetSkill {
        agent: "main".to_owned(),
        name: "tides".to_owned(),
        skill: Some(skill("tides", "Look.")),
    };
    assert_eq!(class(&base, learns, &owner).0, Class::C);
    let beats = |every| Delta::SetHeartbeat {
        agent: "main".to_owned(),
        heartbeat: Some(beat(every)),
    };
    assert_eq!(class(&base, beats(30), &owner).0, Class::C);
    let morning = |text: &str| Delta::SetSchedule {
        agent: "main".to_owned(),
        name: "morning".to_owned(),
        schedule: Some(schedule("cron 0 8 * * 1-5", text)),
    };
    assert_eq!(class(&base, morning("Look."), &owner).0, Class::C);
    let sends = morning("Write to eve@example.org.");
    let after = build(&base, std::slice::from_ref(&sends)).unwrap();
    let told = assess(&base, &[sends], &after, &owner).grounds;
    assert!(
        told.iter()
            .any(|ground| ground.why.contains("eve@example.org"))
    );
    let route = |primary: &str| Delta::SetRoute {
        agent: "main".to_owned(),
        primary: primary.to_owned(),
        fallbacks: Vec::new(),
        pictures: Vec::new(),
    };
    assert_eq!(class(&base, route("openai/gpt-5"), &owner).0, Class::B);
    assert_eq!(class(&base, route("openai/other"), &owner).0, Class::C);
    assert_eq!(class(&base, route("else/model"), &owner).0, Class::D);
}

#[test]
fn what_widens_is_the_highest_class_and_says_what_newly_becomes_possible() {
    let mut base = behaviour("I am calm.");
    let deny = |denied| PolicyChange::Deny {
        tool: "look".to_owned(),
        denied,
    };
    let owner = Label::owner();
    let tighter = Delta::TightenPolicy(deny(true));
    assert_eq!(
        class(&base, tighter.clone(), &owner),
        (Class::B, Vec::new())
    );
    base = tighter.apply(&base).unwrap();
    let (found, newly) = class(&base, Delta::WidenPolicy(deny(false)), &owner);
    assert_eq!(found, Class::D);
    assert_eq!(newly[0], "look of main for owner: deny -> allow");
    let called_tight = Delta::TightenPolicy(deny(false)).apply(&base).unwrap_err();
    assert!(matches!(called_tight, DeltaError::NotTighter(_)));
    let rules = |text: &str| PolicyChange::Rules {
        file: "mine.cedar".to_owned(),
        text: Some(text.to_owned()),
    };
    let forbids = Delta::TightenPolicy(rules(FORBID));
    assert_eq!(class(&base, forbids, &owner).0, Class::B);
    let permit = "@rule(\"mine-all\")\npermit(principal, action, resource);\n";
    let wide = Delta::WidenPolicy(rules(permit));
    assert_eq!(class(&base, wide, &owner).0, Class::D);
    let sly = Delta::TightenPolicy(rules(permit))
        .apply(&base)
        .unwrap_err();
    assert!(matches!(sly, DeltaError::NotTighter(_)));
}

#[test]
fn a_section_changes_and_its_neighbours_stay() {
    let mut base = behaviour("");
    let text = "Hello.\n## Tone\nCalm.\n## Work\nFast.".to_owned();
    let file = PromptFile { text, cut_chars: 0 };
    main_agent(&mut base)
        .prompt
        .insert("SOUL.md".to_owned(), file);
    let section = |section: &str, text: &str| Delta::SetPromptSection {
        agent: "main".to_owned(),
        file: "SOUL.md".to_owned(),
        section: section.to_owned(),
        text: text.to_owned(),
    };
    let after = section("## Tone", "## Tone\nDry.\n").apply(&base).unwrap();
    let text = &after.agents["main"].prompt["SOUL.md"].text;
    assert_eq!(text, "Hello.\n## Tone\nDry.\n## Work\nFast.");
    for (name, text) in [
        ("## Tone", "## Tone\nDry."),
        ("## Tone", "## Tune\nDry.\n"),
        ("## Tone", "## Tone\nDry.\n## Work\nx\n"),
        ("## None", "## None\n"),
    ] {
        assert!(section(name, text).apply(&base).is_err(), "{text:?}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_path() {
    let told = |value| read_deltas(value).unwrap_err().to_string();
    let number = told(json!([
        {"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 3}},
        {"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": "many"}},
    ]));
    assert!(
        number.starts_with("deltas[1].set_limit.value: "),
        "{number}"
    );
    let missing = told(json!({"set_prompt": {"agent": "main", "file": "SOUL.md"}}));
    assert!(
        missing.contains("deltas[0]") && missing.contains("`text`"),
        "{missing}"
    );
    let kind = told(json!({"set_code": {}}));
    assert!(
        kind.contains("set_code") && kind.contains("set_prompt"),
        "{kind}"
    );
    let nested = told(json!({"widen_policy": {"deny": {"tool": 7, "denied": true}}}));
    assert!(
        nested.starts_with("deltas[0].widen_policy.deny.tool: "),
        "{nested}"
    );
    assert!(read_deltas(json!([])).is_err());
}

#[test]
fn a_secret_in_a_delta_is_refused_and_not_shown() {
    let base = behaviour("");
    let key = format!("sk-ant-api03-{}", "a1B2".repeat(24));
    let error = build(&base, &[soul(&format!("use {key}"))]).unwrap_err();
    assert!(!error.to_string().contains(&key), "{error}");
}
