//! Rules in Cedar: the built-in ones, and what an owner's can and cannot do beside them.

use instar_policy::cedar::{Answer, Case, InPlan, RuleFile, Rules, Ruling};
use instar_policy::{Kind, Posture, Reach, Role, SlotRole, Typed, normal};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A call of the owner's own, in the plan, with everything in order.
pub(crate) fn case(effect: Effect) -> Case<'static> {
    static OWN: std::sync::LazyLock<Label> = std::sync::LazyLock::new(Label::owner);
    Case {
        role: Role::Owner,
        person: "owner",
        agent: "main",
        tool: "act",
        connector: "mail",
        effect,
        reach: Reach::Outside,
        undoable: false,
        posture: Posture::Balanced,
        context: &OWN,
        grade: 3,
        needed: 3,
        evidenced: true,
        foreign: false,
        cleared: true,
        plan: InPlan::Inside,
        verb: true,
        standing: false,
        approved: false,
        done: 0,
        refused: 0,
        values: Vec::new(),
    }
}

fn tainted() -> &'static Label {
    static OF_OTHERS: std::sync::LazyLock<Label> =
        std::sync::LazyLock::new(|| Label::stranger(Readers::Private));
    &OF_OTHERS
}

pub(crate) fn file(text: &str) -> RuleFile {
    RuleFile {
        name: "mine.cedar".to_owned(),
        text: text.to_owned(),
    }
}

pub(crate) fn rules(text: &str) -> Rules {
    Rules::read(vec![file(text)]).unwrap()
}

fn errors(text: &str) -> Vec<String> {
    let errors = Rules::read(vec![file(text)]).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

fn typed(kind: Kind, text: &str) -> Typed {
    normal(kind, text).unwrap()
}

/// `+rule`, `?rule` or `-rule`.
fn says(rules: &Rules, case: &Case<'_>) -> String {
    let (mark, found) = match rules.judge(case) {
        Ruling::Allow(found) => ('+', found),
        Ruling::Ask(found) => ('?', found),
        Ruling::Never(found) => ('-', found),
    };
    format!("{mark}{}", found[0].rule)
}

/// 0 allows, 1 asks, 2 denies.
pub(crate) fn strictness(rules: &Rules, case: &Case<'_>) -> u8 {
    match rules.judge(case) {
        Ruling::Allow(_) => 0,
        Ruling::Ask(_) => 1,
        Ruling::Never(_) => 2,
    }
}

#[test]
fn the_built_in_rules_are_sound_and_say_what_they_do() {
    let base = Rules::default();
    assert!(base.all().count() >= 15);
    for rule in base.all() {
        assert!(!rule.words.is_empty() && !rule.is_owners, "{}", rule.rule);
    }
    for effect in Effect::ALL {
        let expected = if effect <= Effect::Read {
            "+profile-reads"
        } else {
            "+own-words"
        };
        assert_eq!(says(&base, &case(effect)), expected, "{effect:?}");
    }
}

#[test]
fn each_fact_has_its_rule() {
    let base = Rules::default();
    let with = |change: &dyn Fn(&mut Case<'static>)| {
        let mut case = case(Effect::Send);
        change(&mut case);
        says(&base, &case)
    };
    let secret: &'static Label = Box::leak(Box::new(Label {
        readers: Readers::Secret,
        ..Label::owner()
    }));
    assert_eq!(with(&|case| case.context = tainted()), "+evidence");
    assert_eq!(with(&|case| case.context = secret), "-secret");
    assert_eq!(with(&|case| case.refused = 2), "-refused-twice");
    assert_eq!(with(&|case| case.foreign = true), "?foreign-payload");
    assert_eq!(with(&|case| case.cleared = false), "?not-cleared");
    assert_eq!(with(&|case| case.plan = InPlan::Outside), "?not-in-plan");
    assert_eq!(with(&|case| case.plan = InPlan::Nobody), "?nobody-asked");
    assert_eq!(with(&|case| case.verb = false), "?not-asked-by-verb");
    assert_eq!(
        with(&|case| case.posture = Posture::Careful),
        "?posture-careful"
    );
    assert_eq!(with(&|case| case.posture = Posture::Open), "+posture-open");
    let weak = |case: &mut Case<'static>| {
        case.context = tainted();
        case.evidenced = false;
    };
    assert_eq!(with(&weak), "?weak-evidence");
    for posture in [Posture::Balanced, Posture::Careful, Posture::Open] {
        let asked = with(&|case| {
            weak(case);
            case.posture = posture;
        });
        assert_eq!(asked, "?weak-evidence", "{posture:?}");
    }
    assert_eq!(
        with(&|case| {
            weak(case);
            case.approved = true;
            case.refused = 5;
        }),
        "+owner-approved"
    );
    assert_eq!(
        with(&|case| {
            weak(case);
            case.standing = true;
        }),
        "+standing-rule"
    );
    assert_eq!(
        with(&|case| {
            case.standing = true;
            case.foreign = true;
        }),
        "?foreign-payload"
    );
    assert_eq!(
        with(&|case| {
            case.approved = true;
            case.context = secret;
        }),
        "-secret"
    );
    let mut write = case(Effect::Write);
    weak(&mut write);
    assert_eq!(says(&base, &write), "?weak-place");
    write.posture = Posture::Open;
    assert_eq!(says(&base, &write), "+posture-open");
}

#[test]
fn an_owner_forbids_what_he_likes() {
    let never =
        rules("@rule(\"no-mail\")\nforbid (principal, action == Action::\"send\", resource);");
    assert_eq!(says(&never, &case(Effect::Send)), "-no-mail");
    assert_eq!(says(&never, &case(Effect::Write)), "+own-words");
    let mut approved = case(Effect::Send);
    approved.approved = true;
    assert_eq!(says(&never, &approved), "-no-mail");

    let asks = rules(
        "@answer(\"ask\")\nforbid (principal, action, resource == Tool::\"act\")\n\
         when { context has amount && context.amount > 5000 };",
    );
    let mut paid = case(Effect::Spend);
    paid.values = vec![(SlotRole::Amount, typed(Kind::Amount, "50.00 EUR"))];
    assert_eq!(says(&asks, &paid), "+own-words");
    for text in ["50.01", "-70"] {
        paid.values = vec![(SlotRole::Amount, typed(Kind::Amount, text))];
        assert_eq!(says(&asks, &paid), "?mine.cedar:1", "{text}");
    }
    paid.approved = true;
    assert_eq!(says(&asks, &paid), "+owner-approved");
}

#[test]
fn an_owner_permits_only_what_the_hard_rules_leave_open() {
    let all = rules("permit (principal, action, resource);");
    let mut send = case(Effect::Send);
    send.posture = Posture::Careful;
    assert_eq!(says(&Rules::default(), &send), "?posture-careful");
    assert_eq!(says(&all, &send), "+mine.cedar:1");
    send.context = tainted();
    send.evidenced = false;
    assert_eq!(says(&all, &send), "?weak-evidence");
    send.evidenced = true;
    send.foreign = true;
    assert_eq!(says(&all, &send), "?foreign-payload");
    send.foreign = false;
    send.refused = 2;
    assert_eq!(says(&all, &send), "-refused-twice");
}

#[test]
fn a_rule_speaks_of_domains_and_folders() {
    let home = rules(
        "permit (principal, action == Action::\"send\", resource)\n\
         when { context.inDomains.contains(\"example.com\") };\n\
         permit (principal, action == Action::\"write\", resource)\n\
         when { context.inFolders.contains(\"notes\") };\n\
         @rule(\"no-ru\")\nforbid (principal, action, resource)\n\
         when { context.domains.contains(\"evil.example\") };",
    );
    let sends = |values: &[(Kind, &str)]| {
        let mut send = case(Effect::Send);
        send.posture = Posture::Careful;
        let value = |(kind, text): &(Kind, &str)| (SlotRole::Who, typed(*kind, text));
        send.values = values.iter().map(value).collect();
        says(&home, &send)
    };
    let (anna, bob) = (
        (Kind::Address, "anna@mail.example.com"),
        (Kind::Address, "bob@example.com"),
    );
    assert_eq!(sends(&[anna, bob]), "+mine.cedar:1");
    for other in [
        (Kind::Address, "eve@badexample.com"),
        (Kind::Address, "eve@example.com.org"),
        (Kind::Name, "everybody"),
    ] {
        assert_eq!(sends(&[anna, other]), "?posture-careful", "{other:?}");
    }
    assert_eq!(
        sends(&[anna, (Kind::Address, "x@a.evil.example")]),
        "-no-ru"
    );
    assert_eq!(sends(&[]), "?posture-careful");

    let writes = |path: &str| {
        let mut write = case(Effect::Write);
        write.posture = Posture::Careful;
        write.values = vec![(SlotRole::Where, typed(Kind::Path, path))];
        says(&home, &write)
    };
    assert_eq!(writes("notes/2026/a.md"), "+mine.cedar:3");
    for path in ["notes", "notes/../keys", "other/notes/a", "/notes/a"] {
        assert_eq!(writes(path), "?posture-careful", "{path}");
    }
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_what_to_do() {
    let one = |text: &str| {
        let found = errors(text);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let fine = "permit (principal, action, resource);\n\n";
    let at_5 = one(&format!(
        "{fine}// a note\nforbid (principal, action, resource)\nwhen {{ context.colour == \"red\" }};"
    ));
    assert!(
        at_5.starts_with("mine.cedar:5:") && at_5.contains("colour"),
        "{at_5}"
    );
    let typo = one(&format!(
        "{fine}forbid (principal, action == Action::\"writes\", resource);"
    ));
    assert!(
        typo.starts_with("mine.cedar:3:") && typo.contains("did you mean"),
        "{typo}"
    );
    let broken = one(&format!("{fine}forbid (principal, action resource);"));
    assert!(broken.starts_with("mine.cedar:3:"), "{broken}");
    let number = one("forbid (principal, action, resource)\nwhen {\n  context.done > \"3\"\n};");
    assert!(number.starts_with("mine.cedar:3:"), "{number}");
    let unfinished = one(&format!("{fine}permit (principal, action, resource)"));
    assert!(unfinished.starts_with("mine.cedar:3:"), "{unfinished}");
    for (text, says) in [
        (
            "@answers(\"ask\") forbid (principal, action, resource);",
            "@answers",
        ),
        (
            "@answer(\"maybe\") forbid (principal, action, resource);",
            "maybe",
        ),
        (
            "@answer(\"ask\") permit (principal, action, resource);",
            "forbid",
        ),
        (
            "@rule(\"A b\") permit (principal, action, resource);",
            "@rule",
        ),
        (
            "@rule(\"secret\") permit (principal, action, resource);",
            "already",
        ),
        ("permit (principal == ?principal, action, resource);", ""),
        ("permit (principal, action, resource) when { false };", ""),
        ("nonsense", ""),
    ] {
        let found = one(text);
        assert!(
            found.starts_with("mine.cedar:1:") && found.contains(says),
            "{found}"
        );
    }
    // All of them are told, each with its line.
    let many = errors("x;\npermit (principal, action, resource);\ny;");
    assert_eq!(many.len(), 2, "{many:?}");
    assert!(many[1].starts_with("mine.cedar:3:"), "{many:?}");
    let blank = |bytes: usize| Rules::read(vec![file(&" ".repeat(bytes))]);
    assert!(blank(65_536).is_ok() && blank(65_537).is_err());
    let twice = vec![file(""), file("")];
    assert!(Rules::read(twice).is_err());
}

/// Facts that no rule names are left out, so that whatever can be read has to be there.
#[test]
fn a_fact_is_there_however_its_name_is_written() {
    let written = [
        r#"context.grade == 3"#,
        r#"context["grade"] == 3"#,
        r#"context["gra\u{64}e"] == 3"#,
        "context\n  .\n  grade == 3",
        "!(context has amount) && context.grade > 2",
        r#"context.agent == "main" && [2, 3].contains(context.grade)"#,
    ];
    for condition in written {
        let forbid = format!("forbid (principal, action, resource) when {{ {condition} }};");
        let call = case(Effect::Send);
        assert_eq!(says(&rules(&forbid), &call), "-mine.cedar:1", "{condition}");
    }
    let amount =
        r#"@answer("ask") forbid (principal, action, resource) when { context has amount };"#;
    let mut call = case(Effect::Spend);
    assert_eq!(says(&rules(amount), &call), "+own-words");
    call.values
        .push((SlotRole::Amount, typed(Kind::Amount, "12.50 EUR")));
    assert_eq!(says(&rules(amount), &call), "?mine.cedar:1");
}

#[test]
fn an_error_while_judging_denies() {
    // Sums overflow only while they are judged: no check of the text can find it.
    let overflows = rules(
        "forbid (principal, action, resource)\n\
         when { context.done * 9223372036854775807 > 5 };",
    );
    let mut twice = case(Effect::Read);
    assert_eq!(says(&overflows, &twice), "+profile-reads");
    twice.done = 2;
    assert_eq!(says(&overflows, &twice), "-rule-error");
    twice.approved = true;
    assert_eq!(says(&overflows, &twice), "-rule-error");
}

#[test]
fn rules_are_stored_as_their_texts_and_checked_again_when_read() {
    let own =
        rules("@words(\"No mail\")\nforbid (principal, action == Action::\"send\", resource);");
    let stored = serde_json::to_value(&own).unwrap();
    let again: Rules = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(again, own);
    assert_eq!(says(&again, &case(Effect::Send)), "-mine.cedar:1");
    let mut broken = stored;
    broken[0]["text"] = "forbid (".into();
    let err = serde_json::from_value::<Rules>(broken).unwrap_err();
    assert!(err.to_string().contains("mine.cedar:1"), "{err}");
    assert_eq!(
        serde_json::to_value(Rules::default()).unwrap(),
        serde_json::json!([])
    );
}

#[test]
fn a_permit_that_holds_for_whatever_is_called_is_found() {
    let found = |text: &str| {
        let wide = instar_policy::wide(&rules(text));
        let told = wide.iter().map(|one| {
            let effects: Vec<&str> = one.effects.iter().map(|effect| effect.name()).collect();
            let anybody = if one.anybody { " anybody" } else { "" };
            format!("{}{anybody} {}", one.rule, effects.join(","))
        });
        told.collect::<Vec<_>>().join("; ")
    };
    let all = "fetch,write,send,grant,execute,spend,destroy";
    for (text, expected) in [
        (
            "@rule(\"a\") permit (principal, action, resource);",
            format!("a anybody {all}"),
        ),
        (
            "@rule(\"a\") permit (principal is Owner, action in Action::\"final\", resource) when { context.done < 3 };",
            "a execute,spend,destroy".to_owned(),
        ),
        (
            "@rule(\"a\") permit (principal is Owner, action, resource) when { context.tainted };",
            format!("a {all}"),
        ),
        (
            "@rule(\"a\") permit (principal is Owner, action, resource == Tool::\"write\");",
            String::new(),
        ),
        (
            "@rule(\"a\") permit (principal is Owner, action == Action::\"write\", resource)\n\
             when { context.inFolders.contains(\"notes\") };",
            String::new(),
        ),
        (
            "@rule(\"a\") permit (principal is Owner, action == Action::\"send\", resource) when { context.evidenced };",
            String::new(),
        ),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    assert!(instar_policy::wide(&Rules::default()).is_empty());
}

/// A rule over a finite set of facts, as a text and as a function.
#[derive(Clone, Debug)]
enum Test {
    Effect(usize),
    Tainted,
    Foreign,
    GradeBelow(u8),
    Posture(usize),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

const POSTURES: [(Posture, &str); 3] = [
    (Posture::Careful, "careful"),
    (Posture::Balanced, "balanced"),
    (Posture::Open, "open"),
];

impl Test {
    fn text(&self) -> String {
        match self {
            Self::Effect(at) => format!("action == Action::\"{}\"", Effect::ALL[*at].name()),
            Self::Tainted => "context.tainted".to_owned(),
            Self::Foreign => "context.foreign".to_owned(),
            Self::GradeBelow(grade) => format!("context.grade < {grade}"),
            Self::Posture(at) => format!("context.posture == \"{}\"", POSTURES[*at].1),
            Self::Not(test) => format!("!({})", test.text()),
            Self::And(one, two) => format!("(({}) && ({}))", one.text(), two.text()),
            Self::Or(one, two) => format!("(({}) || ({}))", one.text(), two.text()),
        }
    }

    fn holds(&self, case: &Case<'_>) -> bool {
        match self {
            Self::Effect(at) => case.effect == Effect::ALL[*at],
            Self::Tainted => case.context.is_tainted(),
            Self::Foreign => case.foreign,
            Self::GradeBelow(grade) => case.grade < *grade,
            Self::Posture(at) => case.posture == POSTURES[*at].0,
            Self::Not(test) => !test.holds(case),
            Self::And(one, two) => one.holds(case) && two.holds(case),
            Self::Or(one, two) => one.holds(case) || two.holds(case),
        }
    }
}

fn any_test() -> impl Strategy<Value = Test> {
    let leaf = prop_oneof![
        (0..Effect::ALL.len()).prop_map(Test::Effect),
        Just(Test::Tainted),
        Just(Test::Foreign),
        (1..4_u8).prop_map(Test::GradeBelow),
        (0..3_usize).prop_map(Test::Posture),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|test| Test::Not(Box::new(test))),
            (inner.clone(), inner.clone())
                .prop_map(|(one, two)| Test::And(Box::new(one), Box::new(two))),
            (inner.clone(), inner).prop_map(|(one, two)| Test::Or(Box::new(one), Box::new(two))),
        ]
    })
}

#[derive(Clone, Debug)]
pub(crate) struct Own {
    answer: Answer,
    head: usize,
    test: Test,
}

type Fits = fn(Effect) -> bool;

/// Heads of rules: what they are about, as a text and as the effects of `act` that they fit.
const HEADS: [(&str, Fits); 7] = [
    ("action, resource", |_| true),
    ("action == Action::\"send\", resource", |effect| {
        effect == Effect::Send
    }),
    ("action in Action::\"outward\", resource", |effect| {
        matches!(effect, Effect::Send | Effect::Grant)
    }),
    (
        "action in [Action::\"final\", Action::\"write\"], resource",
        |effect| {
            matches!(
                effect,
                Effect::Write | Effect::Execute | Effect::Spend | Effect::Destroy
            )
        },
    ),
    ("action in Action::\"effect\", resource", |effect| {
        effect > Effect::Read
    }),
    ("action, resource == Tool::\"act\"", |_| true),
    ("action, resource == Tool::\"other\"", |_| false),
];

impl Own {
    fn holds(&self, case: &Case<'_>) -> bool {
        HEADS[self.head].1(case.effect) && self.test.holds(case)
    }
}

pub(crate) fn any_own() -> impl Strategy<Value = Own> {
    let answer = prop_oneof![
        Just(Answer::Permit),
        Just(Answer::Never),
        Just(Answer::Ask),
        Just(Answer::Yield)
    ];
    (answer, 0..HEADS.len(), any_test()).prop_map(|(answer, head, test)| Own { answer, head, test })
}

pub(crate) fn text_of(own: &[Own]) -> String {
    let rule = |own: &Own| {
        let head = match own.answer {
            Answer::Permit => "permit",
            Answer::Never => "forbid",
            Answer::Ask => "@answer(\"ask\")\nforbid",
            Answer::Yield => "@answer(\"yield\")\nforbid",
        };
        format!(
            "{head} (principal, {}) when {{ {} }};\n",
            HEADS[own.head].0,
            own.test.text()
        )
    };
    own.iter().map(rule).collect()
}

/// Every combination of the facts that the random rules read.
pub(crate) fn domain() -> Vec<Case<'static>> {
    let mut all = Vec::new();
    for effect in Effect::ALL {
        for (posture, _) in POSTURES {
            for bits in 0..32_u8 {
                let mut case = case(effect);
                case.posture = posture;
                if bits & 1 > 0 {
                    case.context = tainted();
                }
                case.foreign = bits & 2 > 0;
                case.evidenced = bits & 4 == 0;
                case.grade = if bits & 8 > 0 { 1 } else { 3 };
                case.approved = bits & 16 > 0;
                all.push(case);
            }
        }
    }
    all
}

/// What the built-in rules must say of a case, written once more without Cedar.
struct BuiltIn {
    never: bool,
    /// Asks, whatever is permitted.
    hard: bool,
    /// Asks, unless the owner permits it.
    soft: bool,
    lets: bool,
}

impl BuiltIn {
    fn of(case: &Case<'_>) -> Self {
        let effect = case.effect > Effect::Read;
        if !effect {
            return Self {
                never: false,
                hard: false,
                soft: false,
                lets: true,
            };
        }
        let tainted = case.context.is_tainted();
        let (careful, balanced, open) = (
            case.posture == Posture::Careful,
            case.posture == Posture::Balanced,
            case.posture == Posture::Open,
        );
        let is_place = matches!(case.effect, Effect::Fetch | Effect::Write);
        let weak = tainted && !case.evidenced;
        let planned = !(balanced && (case.plan == InPlan::Outside || !case.verb));
        let asks_softly =
            careful || case.plan == InPlan::Nobody || !planned || (is_place && balanced && weak);
        Self {
            never: case.context.readers == Readers::Secret || (case.refused >= 2 && !case.approved),
            hard: (!is_place && weak && !case.standing)
                || case.foreign
                || (!case.cleared && (tainted || balanced)),
            soft: asks_softly && !case.standing,
            lets: case.approved || case.standing || open || case.evidenced || !tainted,
        }
    }
}

/// What all rules together must say.
fn expected(own: &[Own], case: &Case<'_>) -> u8 {
    let holds = |answer: Answer| {
        own.iter()
            .any(|own| own.answer == answer && own.holds(case))
    };
    let built_in = BuiltIn::of(case);
    if built_in.never || holds(Answer::Never) {
        2
    } else if case.approved {
        0
    } else if built_in.hard || holds(Answer::Ask) {
        1
    } else if built_in.soft || holds(Answer::Yield) || !built_in.lets {
        u8::from(!holds(Answer::Permit))
    } else {
        0
    }
}

/// Every combination of what the built-in rules read.
#[test]
fn the_built_in_rules_say_what_is_written_in_plain_words_of_every_case() {
    let secret = Label::stranger(Readers::Secret);
    let rules = Rules::default();
    let mut counts = [0_usize; 3];
    for base in domain().into_iter().filter(|case| case.grade == 3) {
        for plan in [
            InPlan::Inside,
            InPlan::Outside,
            InPlan::Unknown,
            InPlan::Nobody,
        ] {
            for bits in 0..16_u8 {
                let mut case = base.clone();
                case.plan = plan;
                case.standing = bits & 1 > 0;
                case.cleared = bits & 2 == 0;
                case.verb = bits & 4 == 0;
                case.refused = if bits & 8 > 0 { 2 } else { 1 };
                let found = strictness(&rules, &case);
                assert_eq!(found, expected(&[], &case), "{case:?}");
                counts[usize::from(found)] += 1;
            }
        }
        let mut hidden = base.clone();
        hidden.context = &secret;
        assert_eq!(
            strictness(&rules, &hidden),
            expected(&[], &hidden),
            "{hidden:?}"
        );
    }
    assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn for_random_rules_the_answer_is_that_of_an_exhaustive_check(
        own in prop::collection::vec(any_own(), 1..5)
    ) {
        // A rule that can never hold is refused by its author's check; such a set is no case here.
        if let Ok(rules) = Rules::read(vec![file(&text_of(&own))]) {
            for case in domain() {
                prop_assert_eq!(strictness(&rules, &case), expected(&own, &case), "{:?}", case);
            }
        }
    }

    #[test]
    fn a_forbid_more_never_allows_more(
        own in prop::collection::vec(any_own(), 0..4), test in any_test(), answer in 0..3_usize
    ) {
        let answer = [Answer::Never, Answer::Ask, Answer::Yield][answer];
        let forbid = Own { answer, head: test.text().len() % HEADS.len(), test };
        let more: Vec<Own> = own.iter().cloned().chain([forbid]).collect();
        let read = |own: &[Own]| Rules::read(vec![file(&text_of(own))]);
        if let (Ok(less), Ok(more)) = (read(&own), read(&more)) {
            for case in domain() {
                prop_assert!(strictness(&more, &case) >= strictness(&less, &case), "{:?}", case);
            }
        }
    }
}

#[test]
fn random_rules_are_mostly_such_as_can_be_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let readable = (0..40)
        .filter(|_| {
            let own = any_own().new_tree(&mut runner).unwrap().current();
            Rules::read(vec![file(&text_of(&[own]))]).is_ok()
        })
        .count();
    assert!(readable > 20, "{readable} of 40");
}
