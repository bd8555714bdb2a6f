//! Calls that are only thought of: what is supposed of them is what is decided over, and nothing else.

use instar_policy::cedar::InPlan;
use instar_policy::suppose::{
    Expected, ExpectedAnswer, PlanWord, Seen, Supposed, SupposedPlan, SupposedRead, Trial, at_most,
    right,
};
use instar_policy::{
    Annotation, Authority, Explanation, Kind, ListOf, Posture, Profile, Reach, Recorded, Role,
    SlotRole, Step, ToolList,
};
use instar_protocol::tool::Effect;
use instar_protocol::{AgentId, Label, Origin, Readers};
use serde_json::{Value, json};

use crate::cedar::rules;
use crate::facts::{annotation, set};
use crate::graded::search;
use crate::grades::slot;

/// A tool that reads, one that finds mails of others, one that sends.
fn authority() -> Authority {
    let send = Annotation {
        connector: "mail".to_owned(),
        slots: [("to".to_owned(), slot(SlotRole::Who, Kind::Address))].into(),
        ..annotation(Effect::Send)
    };
    let own = Profile {
        tools: set(&["look", "mail"]),
    };
    Authority {
        posture: Posture::Balanced,
        profiles: [
            (Role::Contact, own.clone()),
            (Role::Stranger, own.clone()),
            (Role::Automation, own),
        ]
        .into(),
        lists: vec![ToolList {
            of: ListOf::Agent("other".to_owned()),
            allow: None,
            deny: set(&["mail"]),
        }],
        ..Authority::over(
            [
                ("look".to_owned(), annotation(Effect::Read)),
                ("find_mails".to_owned(), search()),
                ("mail".to_owned(), send),
            ]
            .into(),
        )
    }
}

fn told(supposed: &Supposed) -> Explanation {
    supposed.explain(&authority(), &Seen::nothing(Vec::new()))
}

fn says(supposed: &Supposed) -> String {
    let found = told(supposed);
    format!("{} {}", found.outcome, found.rule)
}

fn facts(supposed: &Supposed) -> Recorded {
    *told(supposed).recorded.unwrap()
}

fn read_of(text: &str) -> Supposed {
    serde_json::from_str(text).unwrap()
}

/// A mail to Ann with something changed.
fn mail(change: impl FnOnce(&mut Supposed)) -> Supposed {
    let mut supposed = Supposed::call("mail", json!({ "to": "ann@work.example" }));
    change(&mut supposed);
    supposed
}

#[test]
fn what_is_left_out_is_as_in_a_run_of_the_owner_s_that_has_read_nothing() {
    let supposed = read_of(r#"{"tool": "look"}"#);
    assert_eq!(supposed, Supposed::call("look", json!({})));
    assert_eq!(says(&supposed), "allow profile-reads");
    let found = facts(&supposed);
    assert_eq!((found.role, found.agent.as_str()), (Role::Owner, "main"));
    assert_eq!(found.plan, InPlan::Unknown);
    assert_eq!(found.context, Label::owner());
    let read = read_of(r#"{"tool": "look", "read": [{"tool": "look", "result": []}]}"#);
    assert_eq!(read.read[0].arguments, json!({}));
}

#[test]
fn a_call_is_that_of_whoever_is_supposed() {
    for (role, person, expected) in [
        (Role::Contact, None, "contact"),
        (Role::Contact, Some("c1"), "c1"),
        (Role::Stranger, None, "stranger"),
        (Role::Stranger, Some("s1"), "s1"),
        (Role::Automation, None, "schedule"),
        (Role::Automation, Some("heartbeat"), "heartbeat"),
    ] {
        let found = facts(&mail(|mail| {
            mail.role = role;
            mail.person = person.map(str::to_owned);
        }));
        assert_eq!((found.role, found.person.as_str()), (role, expected));
    }
    let other = mail(|mail| mail.agent = Some(AgentId::parse("other").unwrap()));
    assert_eq!(says(&other), "deny not-on-its-list");
}

#[test]
fn a_plan_is_supposed_of_the_owner_s_runs_alone() {
    let step = |tool: &str| SupposedPlan::Steps(vec![Step::of(tool, 1)]);
    let tools = |tool: &str| SupposedPlan::Tools(vec![tool.to_owned()]);
    for (role, plan, done, expected) in [
        (Role::Owner, None, 0, InPlan::Unknown),
        (
            Role::Owner,
            Some(SupposedPlan::Word(PlanWord::Unknown)),
            0,
            InPlan::Unknown,
        ),
        (
            Role::Owner,
            Some(SupposedPlan::Word(PlanWord::Nobody)),
            0,
            InPlan::Nobody,
        ),
        (Role::Owner, Some(tools("mail")), 0, InPlan::Inside),
        (Role::Owner, Some(tools("mail")), 1, InPlan::Outside),
        (Role::Owner, Some(tools("look")), 0, InPlan::Outside),
        (Role::Owner, Some(step("mail")), 0, InPlan::Inside),
        (Role::Owner, Some(step("look")), 0, InPlan::Outside),
        (Role::Contact, Some(tools("mail")), 0, InPlan::Nobody),
        (Role::Automation, None, 0, InPlan::Nobody),
    ] {
        let supposed = mail(|mail| {
            mail.role = role;
            mail.plan.clone_from(&plan);
            mail.done = done;
        });
        assert_eq!(
            facts(&supposed).plan,
            expected,
            "{role:?} {plan:?} after {done}"
        );
    }
}

#[test]
fn a_yes_is_one_to_the_question_that_would_have_been_asked() {
    let careful = |mail: &mut Supposed| mail.posture = Some(Posture::Careful);
    assert_eq!(says(&mail(careful)), "ask posture-careful");
    let approved = mail(|mail| {
        careful(mail);
        mail.approved = true;
    });
    assert_eq!(says(&approved), "allow owner-approved");
    assert!(facts(&approved).approved);
    // Where nothing would have been asked there is nothing to say yes to.
    let denied = mail(|mail| {
        mail.approved = true;
        mail.secret = true;
    });
    assert_eq!(says(&denied), "deny secret");
    assert!(!facts(&denied).approved);
    assert_eq!(says(&mail(|mail| mail.refused = 2)), "deny refused-twice");
}

#[test]
fn what_was_read_is_whose_it_is_supposed_to_be() {
    let read = |tool: &str, origin: Option<Origin>| {
        mail(|mail| {
            mail.read.push(SupposedRead {
                tool: tool.to_owned(),
                arguments: json!({}),
                result: json!("see https://shop.example/a"),
                origin,
            });
        })
    };
    for (tool, origin, tainted) in [
        ("look", None, false),
        ("look", Some(Origin::Stranger), true),
        ("find_mails", None, true),
        ("find_mails", Some(Origin::System), false),
        // What a tool is not known of is anybody's text.
        ("unknown", None, true),
        ("unknown", Some(Origin::Owner), false),
    ] {
        let told = told(&read(tool, origin.clone()));
        assert_eq!(told.is_tainted, tainted, "{tool} {origin:?}");
    }
    assert!(!told(&mail(|_| {})).is_tainted);
    assert!(told(&mail(|mail| mail.tainted = true)).is_tainted);
    let secret = facts(&mail(|mail| mail.secret = true));
    assert_eq!(secret.context.readers, Readers::Secret);
    // The text itself goes along with what its writer is worth.
    for (origin, foreign) in [(None, true), (Some(Origin::System), false)] {
        let mut supposed = read("find_mails", origin.clone());
        supposed.arguments["text"] = json!("https://shop.example/a");
        assert_eq!(facts(&supposed).foreign, foreign, "{origin:?}");
    }
}

#[test]
fn values_of_a_result_are_worth_more_than_its_text() {
    let eve = "eve@shop.example";
    let after = |result: Value| {
        let mut supposed = Supposed::call("mail", json!({ "to": eve }));
        supposed.read.push(SupposedRead {
            tool: "find_mails".to_owned(),
            arguments: json!({}),
            result,
            origin: None,
        });
        facts(&supposed).grade
    };
    let unread = facts(&Supposed::call("mail", json!({ "to": eve }))).grade;
    let row = json!([{ "id": "1", "from": eve, "title": "Lunch", "body": "at one" }]);
    let (text, row) = (after(json!(format!("from {eve}"))), after(row));
    assert!(unread <= text && text < row, "{unread} {text} {row}");
}

#[test]
fn whom_the_owner_knows_and_what_he_says_is_supposed_beside_what_is_known() {
    let ann = || set(&["ann@work.example"]);
    let worth = |supposed: &Supposed| {
        let told = told(supposed);
        (told.recorded.unwrap().grade, told.values[0].is_known)
    };
    let plain = worth(&mail(|_| {}));
    assert_eq!(plain, (0, false));
    for (change, of) in [
        (
            &(|mail: &mut Supposed| mail.own = ann()) as &dyn Fn(&mut Supposed),
            "own",
        ),
        (&|mail| mail.contacts = ann(), "contacts"),
        (&|mail| mail.destinations = ann(), "destinations"),
        (
            &|mail| mail.words = vec!["write to ann@work.example".to_owned()],
            "words",
        ),
    ] {
        let found = worth(&mail(change));
        assert!(found > plain, "{of}: {found:?}");
    }
}

#[test]
fn a_tool_that_nobody_knows_is_as_it_is_supposed() {
    let supposed = Supposed::call("new", json!({}));
    assert_eq!(says(&supposed), "deny not-annotated");
    let known = Supposed {
        annotation: Some(annotation(Effect::Read)),
        ..supposed
    };
    assert_eq!(says(&known), "allow profile-reads");
}

#[test]
fn a_trial_passes_with_its_answer_by_its_rule() {
    let careful = mail(|mail| mail.posture = Some(Posture::Careful));
    for (answer, rule, passed, expected) in [
        (ExpectedAnswer::Ask, None, true, "ask"),
        (
            ExpectedAnswer::Ask,
            Some("posture-careful"),
            true,
            "ask by posture-careful",
        ),
        (
            ExpectedAnswer::Ask,
            Some("not-in-plan"),
            false,
            "ask by not-in-plan",
        ),
        (
            ExpectedAnswer::Deny,
            Some("posture-careful"),
            false,
            "deny by posture-careful",
        ),
        (ExpectedAnswer::Allow, None, false, "allow"),
    ] {
        let trial = Trial {
            name: "a mail".to_owned(),
            given: careful.clone(),
            expect: Expected {
                answer,
                rule: rule.map(str::to_owned),
            },
        };
        let tried = trial.run(&authority());
        assert_eq!(
            (tried.passed, tried.expected.as_str()),
            (passed, expected),
            "{tried:?}"
        );
        assert_eq!(tried.found, "ask by posture-careful");
    }
}

#[test]
fn a_right_is_that_of_the_agent_the_role_the_posture_and_what_was_read() {
    let mut authority = authority();
    authority.rules = rules(
        "@rule(\"no-strangers\") @answer(\"never\") forbid (principal, action, resource) when { context.tainted };",
    );
    let main = AgentId::main();
    let other = AgentId::parse("other").unwrap();
    for (agent, role, posture, tainted, expected) in [
        (
            &main,
            Role::Owner,
            Posture::Careful,
            false,
            "ask posture-careful",
        ),
        (
            &main,
            Role::Owner,
            Posture::Open,
            false,
            "allow posture-open",
        ),
        (&main, Role::Owner, Posture::Open, true, "deny no-strangers"),
        (
            &other,
            Role::Owner,
            Posture::Open,
            false,
            "deny not-on-its-list",
        ),
        (
            &main,
            Role::Contact,
            Posture::Open,
            false,
            "ask nobody-asked",
        ),
    ] {
        let right = right(&authority, "mail", agent, role, posture, tainted);
        let found = format!("{} {}", right.outcome, right.rule);
        assert_eq!(found, expected, "{role:?} {posture:?} {tainted}");
    }
}

#[test]
fn a_tool_s_row_tells_the_most_that_it_does() {
    let declared = |effect: Effect, people: Option<Effect>, reach: Reach| Annotation {
        people,
        reach,
        ..annotation(effect)
    };
    for (effect, people, reach, most) in [
        (Effect::Read, None, Reach::Own, Effect::Read),
        (Effect::Read, None, Reach::Closed, Effect::Read),
        (Effect::Read, None, Reach::Outside, Effect::Fetch),
        (Effect::Read, None, Reach::Public, Effect::Fetch),
        (Effect::Spend, None, Reach::Public, Effect::Spend),
        (Effect::Write, Some(Effect::Send), Reach::Own, Effect::Send),
        (Effect::Send, Some(Effect::Write), Reach::Own, Effect::Send),
    ] {
        let found = at_most(&declared(effect, people, reach));
        assert_eq!(found, (most, reach), "{effect:?} {people:?}");
    }
}
