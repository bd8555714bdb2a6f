//! What a question to the owner says: why it is put, what the call would do, and what an answer leaves.

use instar_policy::cedar::{RuleFile, Rules};
use instar_policy::{
    Annotation, Approval, Authority, Decision, Draft, Kind, OPEN_MAX, Pick, Plan, Planned, Posture,
    Reach, STEPS_MAX, SlotRole, Step, decide,
};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use serde_json::{Value, json};

use crate::facts::{Place, call, outcome, owner};
use crate::grades::{outward, rows, seen, slot};

/// One call and everything around it that the tests change.
struct Asking {
    place: Place,
    authority: Authority,
    steps: Option<Vec<Step>>,
    arguments: Value,
}

impl Asking {
    /// A call of `do` in the balanced posture after the files were read, as the plan has it.
    fn new(words: &str, effect: Effect, arguments: Value) -> Self {
        let mut place = Place::new();
        place.evidence = seen(words, &json!({}), &rows());
        place.context = Label::stranger(Readers::Private);
        let tool = Annotation {
            slots: [
                ("to".to_owned(), slot(SlotRole::Who, Kind::Address)),
                ("file".to_owned(), slot(SlotRole::Which, Kind::Id)),
                ("guest".to_owned(), slot(SlotRole::Who, Kind::Address)),
                ("guest.email".to_owned(), slot(SlotRole::Who, Kind::Address)),
            ]
            .into(),
            ..outward(effect, Reach::Outside)
        };
        let mut authority = Authority::over([("do".to_owned(), tool)].into());
        authority.posture = Posture::Balanced;
        Self {
            place,
            authority,
            steps: Some(vec![Step::of("list_files", 1), Step::of("do", 2)]),
            arguments,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn rules(&mut self, text: &str) {
        let file = RuleFile {
            name: "mine.cedar".to_owned(),
            text: text.to_owned(),
        };
        self.authority.rules = Rules::read(vec![file]).unwrap();
    }

    fn decision(&self) -> Decision {
        let (call, owner) = (call("do", self.arguments.clone()), owner());
        let mut request = self.place.request(&call, &owner);
        let plan = self.steps.clone().map(|steps| Plan { steps });
        request.plan = plan.as_ref().map_or(Planned::Nobody, Planned::Is);
        decide(&request, &self.authority)
    }

    fn draft(&self) -> Draft {
        match self.decision() {
            Decision::Ask(draft) => *draft,
            other => unreachable!("not asked: {other:?}"),
        }
    }
}

fn to(to: &str) -> Value {
    json!({ "to": to })
}

#[test]
fn a_question_says_why_it_is_put() {
    use Effect::{Destroy, Send, Write};
    let named = "send it to bob@work.example";
    let bob = || Asking::new(named, Send, to("bob@work.example"));
    let mine = |text: &'static str| bob().with(|asking| asking.rules(text));
    let steps = |steps: Vec<Step>| bob().with(|asking| asking.steps = Some(steps));
    let other = |name: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Step {
            only: [(name.to_owned(), values)].into(),
            ..Step::of("do", 1)
        }
    };
    for (asking, rule, why) in [
        (
            bob().with(|asking| asking.authority.posture = Posture::Careful),
            "posture-careful",
            vec!["in the careful posture every effect asks: this one would send"],
        ),
        (
            bob().with(|asking| asking.steps = None),
            "nobody-asked",
            vec!["no message of yours asked for this run"],
        ),
        (
            steps(vec![Step::of("else", 1)]),
            "not-in-plan",
            vec!["what you asked for does not need do"],
        ),
        (
            bob().with(|asking| {
                asking.place.counts.done.insert("do".to_owned(), 2);
            }),
            "not-in-plan",
            vec!["what you asked for needs do 2 times at the most"],
        ),
        (
            steps(vec![other("to", &["ann@work.example"])]),
            "not-in-plan",
            vec!["what you asked for needs do with other values"],
        ),
        (
            steps(vec![Step::of("do", 1); STEPS_MAX + 1]),
            "not-in-plan",
            vec!["what you asked for takes more steps than go without a question"],
        ),
        (
            Asking::new("file 12?", Destroy, json!({ "file": "12" })),
            "not-asked-by-verb",
            vec!["no word of yours asks to destroy"],
        ),
        (
            Asking::new("send it", Send, to("eve@trap.example")),
            "weak-evidence",
            vec!["to is of grade G1, send needs G3: found in [].owner of list_files"],
        ),
        (
            Asking::new("send it", Send, to("eve@else.example")),
            "weak-evidence",
            vec!["to is of grade G0, send needs G3: it stands in no place that could vouch for it"],
        ),
        (
            Asking::new("send file 12", Send, json!({ "file": "12" })),
            "weak-evidence",
            vec!["nothing says whom or what this would send"],
        ),
        (
            Asking::new("note it", Write, json!({ "file": "99" })),
            "weak-place",
            vec![
                "file is of grade G0, write needs G2: it stands in no place that could vouch for it",
            ],
        ),
        (
            bob().with(|asking| {
                asking.arguments["text"] = json!("see https://trap.example/x");
            }),
            "foreign-payload",
            vec![
                "text would pass on trap.example, which somebody else wrote",
                "text would pass on trap.example/x, which somebody else wrote",
            ],
        ),
        (
            bob().with(|asking| {
                asking.arguments["text"] = json!("so much");
                asking.steps = Some(vec![Step::of("do", 1)]);
            }),
            "not-cleared",
            vec!["what was read in drive would go to drive"],
        ),
        // A rule of the owner's in his own words, and where he finds it.
        (
            mine(
                "@answer(\"ask\")\n@words(\"No letters.\")\nforbid (principal, action, resource);",
            ),
            "mine.cedar:1",
            vec!["your rule mine.cedar:1 (mine.cedar:1): No letters."],
        ),
        (
            mine("@answer(\"ask\")\nforbid (principal, action, resource);"),
            "mine.cedar:1",
            vec!["your rule mine.cedar:1 (mine.cedar:1)"],
        ),
        // It may have a name of its own.
        (
            mine(
                "@rule(\"my-own\")\n@answer(\"ask\")\n@words(\"No letters.\")\nforbid (principal, action, resource);",
            ),
            "my-own",
            vec!["your rule my-own (mine.cedar:1): No letters."],
        ),
    ] {
        let draft = asking.draft();
        assert_eq!(draft.rule, rule, "{why:?}");
        // What else speaks against it is told behind that.
        let told: Vec<&str> = draft.why.iter().map(String::as_str).collect();
        assert!(told.starts_with(&why), "{rule}: {told:?}");
    }
}

#[test]
fn whether_it_was_asked_for_is_told_before_what_goes_along() {
    let asking = Asking::new(
        "send it to bob@work.example",
        Effect::Send,
        to("bob@work.example"),
    )
    .with(|asking| {
        asking.arguments["text"] = json!("so much");
        asking.steps = Some(vec![Step::of("else", 1)]);
    });
    let draft = asking.draft();
    assert_eq!(draft.rule, "not-in-plan");
    let about: Vec<&str> = draft.why.iter().map(|line| &line[..8]).collect();
    assert_eq!(about, ["what you", "what was"]);
}

#[test]
fn a_denial_says_which_rule_denies_and_what_to_do_instead() {
    let bob = || {
        Asking::new(
            "send it to bob@work.example",
            Effect::Send,
            to("bob@work.example"),
        )
    };
    for (asking, rule, reason, advice) in [
        (
            bob().with(|asking| asking.place.context.readers = Readers::Secret),
            "secret",
            "Nothing is done with what nobody may see.",
            "tell the user so",
        ),
        (
            bob().with(|asking| asking.place.counts.refused = 2),
            "refused-twice",
            "After two refusals the run does nothing more.",
            "The owner refused twice",
        ),
        (
            bob().with(|asking| asking.rules("@words(\"No letters.\")\nforbid (principal, action, resource);")),
            "mine.cedar:1",
            "your rule mine.cedar:1 (mine.cedar:1): No letters.",
            "Go on without it",
        ),
        (
            bob().with(|asking| {
                asking.place.counts.done.insert("do".to_owned(), 2);
                asking.rules("forbid (principal, action, resource)\nwhen { context.done * 9223372036854775807 > 5 };");
            }),
            "rule-error",
            "A rule could not be judged",
            "look at the gateway's log",
        ),
        (
            bob().with(|asking| {
                asking.steps = None;
                asking.place.counts.open = OPEN_MAX;
            }),
            "questions-wait",
            "3 questions wait already (nobody-asked: no message of yours asked for this run)",
            "Several questions wait",
        ),
    ] {
        let Decision::Deny(denial) = asking.decision() else {
            unreachable!("{rule}");
        };
        assert_eq!(denial.rule, rule);
        assert!(denial.reason.contains(reason), "{rule}: {}", denial.reason);
        assert!(denial.advice.contains(advice), "{rule}: {}", denial.advice);
    }
}

#[test]
fn a_yes_counts_for_exactly_the_call_that_was_shown() {
    let mut asking = Asking::new("send it", Effect::Send, to("eve@trap.example"));
    let draft = asking.draft();
    let approved = |digest: &str| {
        let digest = digest.to_owned();
        Some(Approval { digest })
    };
    asking.place.approval = approved(&draft.digest);
    let Decision::Allow(permit) = asking.decision() else {
        unreachable!("the owner said yes");
    };
    assert_eq!(
        (permit.rule(), permit.digest()),
        ("owner-approved", draft.digest.as_str())
    );
    assert_eq!(permit.environment(), &Value::Null);
    asking.place.approval = approved("another");
    assert_eq!(outcome(&asking.decision()), "?weak-evidence");
    asking.place.approval = approved(&draft.digest);
    asking.arguments = to("eve@else.example");
    assert_eq!(outcome(&asking.decision()), "?weak-evidence");
}

#[test]
fn a_permit_holds_the_call_and_what_it_was_judged_to_run_in() {
    let environment = json!({ "executable": "/bin/x" });
    let asking = Asking::new(
        "send to bob@work.example",
        Effect::Send,
        to("bob@work.example"),
    )
    .with(|asking| asking.place.environment = environment.clone());
    let Decision::Allow(permit) = asking.decision() else {
        unreachable!("he named him");
    };
    assert_eq!(permit.environment(), &environment);
    assert_eq!(permit.call().arguments, to("bob@work.example"));
    assert_eq!((permit.rule(), permit.effect()), ("evidence", Effect::Send));
}

#[test]
fn every_argument_is_shown_with_its_grade_and_where_it_was_found() {
    let words = "what of bob@work.example and the 'Minutes of June'?";
    let arguments = json!({
        "to": ["bob@work.example", "ann@work.example", "eve@trap.example", "eve@else.example"],
        "file": "12",
        "guest": { "email": "me@home.example" },
        "text": "so\u{200b}much",
        "count": 3,
        "list": [{ "x": "eve" }],
    });
    let draft = Asking::new(words, Effect::Send, arguments).draft();
    let mut shown: Vec<String> = draft
        .arguments
        .iter()
        .map(|one| {
            let source = one.source.as_deref().unwrap_or("nowhere");
            format!(
                "{} = {} | {} {} {source}",
                one.path, one.text, one.grade, one.origin
            )
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "count = 3 |  stranger nowhere",
            "file = 12 | G2 system [].id of list_files",
            "guest = {\"email\":\"me@home.example\"} |  stranger nowhere",
            "guest.email = me@home.example | G3 owner your list",
            "list = [{\"x\":\"eve\"}] |  stranger nowhere",
            "list[0].x = eve | G0 stranger nowhere",
            "text = so⟦U+200B⟧much |  stranger nowhere",
            "to[0] = bob@work.example | G3 owner your words",
            "to[1] = ann@work.example | G1 contact [].owner of list_files",
            "to[2] = eve@trap.example | G1 stranger [].owner of list_files",
            "to[3] = eve@else.example | G0 stranger nowhere",
        ]
    );
    assert_eq!((draft.effect, draft.reach), (Effect::Send, Reach::Outside));
    assert_eq!(draft.digest.len(), 64);
    // What it would touch is its targets, each on a line.
    assert_eq!(draft.touches.len(), 7);
    assert!(draft.touches.contains(&"file: 12".to_owned()));
}

#[test]
fn what_names_no_target_tells_how_much_it_says_and_what_it_would_run() {
    let arguments = json!({ "text": ["a", "b\u{202e}"], "count": 3 });
    let mut asking = Asking::new("do it", Effect::Execute, arguments);
    assert_eq!(asking.draft().touches, ["execute (3 arguments)"]);
    asking.place.environment = json!({ "tells": ["it opens a\u{202e} network", "it ends"] });
    let expected = [
        "execute (3 arguments)",
        "it opens a⟦U+202E⟧ network",
        "it ends",
    ];
    assert_eq!(asking.draft().touches, expected);
}

#[test]
fn what_always_would_keep_is_said_in_words() {
    let words = "bob@work.example, ann@work.example and file 12";
    let both = json!({ "to": ["bob@work.example", "ann@work.example"], "file": "12", "text": "x" });
    for (arguments, environment, expected) in [
        (
            both,
            Value::Null,
            "Agent main may call do with file = 12; to = bob@work.example, ann@work.example",
        ),
        (
            to("bob@work.example"),
            json!({ "executable": "/bin/\u{200b}x" }),
            "Agent main may call do with to = bob@work.example, running /bin/⟦U+200B⟧x",
        ),
    ] {
        let asking = Asking::new(words, Effect::Send, arguments).with(|asking| {
            asking.place.environment = environment;
            asking.authority.posture = Posture::Careful;
        });
        assert_eq!(asking.draft().always.unwrap().words, expected);
    }
}

#[test]
fn what_the_words_select_is_told_before_what_the_plan_has_picked() {
    for (words, expected) in [
        ("what of the 'Minutes of June'?", "[].id of list_files"),
        (
            "what takes the most room?",
            "the largest size of list_files",
        ),
    ] {
        let pick = Pick {
            field: "size".to_owned(),
            most: true,
        };
        let picking = Step {
            pick: [("file".to_owned(), pick)].into(),
            ..Step::of("do", 1)
        };
        let arguments = json!({ "file": "12" });
        let asking = Asking::new(words, Effect::Destroy, arguments)
            .with(|asking| asking.steps = Some(vec![Step::of("list_files", 1), picking]));
        let shown = asking.draft().arguments;
        assert_eq!(shown[0].grade, "G2", "{words}");
        assert_eq!(shown[0].source.as_deref(), Some(expected), "{words}");
    }
}
