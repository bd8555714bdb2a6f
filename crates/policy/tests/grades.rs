//! How well a value is evidenced, what that is enough for, and which rule an answer may leave behind.

use instar_policy::{
    Annotation, Authority, Decision, Evidence, Field, FieldRole, Grade, Kind, OPEN_MAX, OwnRow,
    Plan, Planned, Posture, Reach, Rule, Slot, SlotRole, Step, decide,
};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use serde_json::{Value, json};

use crate::facts::{Place, annotation, call, outcome, owner};

pub(crate) fn slot(role: SlotRole, kind: Kind) -> Slot {
    Slot { role, kind }
}

fn field(path: &str, kind: Kind, role: FieldRole) -> Field {
    Field {
        path: path.to_owned(),
        kind,
        role,
        author: None,
    }
}

/// Lists files; rows are the owner's own where they say so.
pub(crate) fn list() -> Annotation {
    Annotation {
        connector: "drive".to_owned(),
        slots: [("query".to_owned(), slot(SlotRole::Plain, Kind::Text))].into(),
        fields: vec![
            field("[].id", Kind::Id, FieldRole::System),
            field("[].size", Kind::Number, FieldRole::System),
            field("[].owner", Kind::Address, FieldRole::Party),
            field("[].name", Kind::Name, FieldRole::Text),
        ],
        own: Some(OwnRow {
            by: Vec::new(),
            path: "owner".to_owned(),
            equals: Vec::new(),
        }),
        output: Label::stranger(Readers::Private),
        ..annotation(Effect::Read)
    }
}

pub(crate) fn rows() -> Value {
    json!([
        { "id": "11", "size": 10, "owner": "ann@work.example", "name": "Minutes of May" },
        { "id": "12", "size": 30, "owner": "me@home.example", "name": "Minutes of June" },
        { "id": "13", "size": 20, "owner": "eve@trap.example", "name": "Prices" },
    ])
}

/// What was seen after a request with these words and one call of `list_files`.
pub(crate) fn seen(words: &str, arguments: &Value, rows: &Value) -> Evidence {
    let mut evidence = Evidence::of_words(words);
    evidence.own(Kind::Address, "me@home.example");
    evidence.contact(Kind::Address, "ann@work.example");
    evidence.result("list_files", &list(), arguments, rows, &Readers::Private);
    evidence
}

fn id(words: &str, arguments: &Value, rows: &Value, text: &str) -> Grade {
    let slot = slot(SlotRole::Which, Kind::Id);
    let evidence = seen(words, arguments, rows);
    evidence.grade("drive", "file", slot, text).grade
}

#[test]
fn one_row_that_the_words_select_is_more_than_a_member_of_a_list() {
    let all = json!({});
    for (words, text, grade) in [
        ("delete file 12", "12", Grade::G3),
        ("delete the 'Minutes of June'", "12", Grade::G2),
        ("delete the 'Minutes of June'", "11", Grade::G1),
        ("delete what ann@work.example owns", "11", Grade::G2),
        ("delete the largest file", "12", Grade::G2),
        ("delete the largest file", "13", Grade::G1),
        ("delete the smallest file", "11", Grade::G2),
        // Two rows answer to the words as well as each other.
        ("delete the minutes", "11", Grade::G1),
        (
            "delete 'Minutes of May' or 'Minutes of June'",
            "12",
            Grade::G1,
        ),
        // The word speaks of something else.
        (
            "what was my largest mistake? Delete a file",
            "12",
            Grade::G1,
        ),
        ("delete the largest files", "12", Grade::G1),
        ("delete the file", "12", Grade::G1),
        ("delete the file", "99", Grade::G0),
    ] {
        assert_eq!(id(words, &all, &rows(), text), grade, "{words}: {text}");
    }
    // As large as another: neither of them is the largest.
    let mut tied = rows();
    tied[2]["size"] = json!(30);
    let words = "delete the largest file";
    assert_eq!(id(words, &all, &tied, "12"), Grade::G1);
    // Out of a part of them it is the largest of that part.
    let part = json!({ "query": "minutes" });
    assert_eq!(id(words, &part, &rows(), "12"), Grade::G1);
    // Somebody else said what to look for: what was found is what he chose.
    let steered = json!({ "query": "prices of eve" });
    let named = "delete the 'Minutes of June'";
    assert_eq!(id(named, &steered, &rows(), "12"), Grade::G1);
    let said = json!({ "query": "Minutes of June" });
    assert_eq!(id(named, &said, &rows(), "12"), Grade::G2);
    // What stands in free text is no evidence, and an id of another connector is none.
    let evidence = seen(words, &all, &rows());
    let at = |connector: &str, kind: Kind, text: &str| {
        let slot = slot(SlotRole::Which, kind);
        evidence.grade(connector, "x", slot, text).grade
    };
    assert_eq!(at("drive", Kind::Name, "Prices"), Grade::G0);
    assert_eq!(at("mail", Kind::Id, "12"), Grade::G0);
}

/// A tool with a person and a thing, as `share` and `send` have.
pub(crate) fn outward(effect: Effect, reach: Reach) -> Annotation {
    Annotation {
        reach,
        connector: "drive".to_owned(),
        slots: [
            ("to".to_owned(), slot(SlotRole::Who, Kind::Address)),
            ("file".to_owned(), slot(SlotRole::Which, Kind::Id)),
        ]
        .into(),
        ..annotation(effect)
    }
}

/// The decision over a call after the list was read, in the balanced posture with a plan that has it.
fn decided(words: &str, tool: Annotation, arguments: Value) -> String {
    let steps = vec![Step::of("list_files", 1), Step::of("do", 1)];
    decided_by(&Plan { steps }, words, tool, arguments)
}

/// The same with this plan.
pub(crate) fn decided_by(plan: &Plan, words: &str, tool: Annotation, arguments: Value) -> String {
    let mut place = Place::new();
    place.evidence = seen(words, &json!({}), &rows());
    place.context = Label::stranger(Readers::Private);
    let mut authority = Authority::over([("do".to_owned(), tool)].into());
    authority.posture = Posture::Balanced;
    let (call, owner) = (call("do", arguments), owner());
    let mut request = place.request(&call, &owner);
    request.plan = Planned::Is(plan);
    outcome(&decide(&request, &authority))
}

#[test]
fn each_effect_takes_the_evidence_that_is_enough_for_it() {
    let send = || outward(Effect::Send, Reach::Outside);
    let to = |to: &str, file: &str| json!({ "to": to, "file": file });
    let by_name = "send it for 'Minutes of May' and delete, share";
    let own_row = "send it for 'Minutes of June' and delete, share";
    for (words, tool, arguments, expected) in [
        // A person of the row that the words select, whom the owner knows.
        (by_name, send(), to("ann@work.example", "11"), "+evidence"),
        // One whom he does not know, of a row that is not his.
        (
            "send the 'Prices'",
            send(),
            to("eve@trap.example", "13"),
            "?weak-evidence",
        ),
        // Himself, whatever row it stands in.
        (own_row, send(), to("me@home.example", "12"), "+evidence"),
        // A member of the list, and what stands nowhere.
        (
            "send it",
            send(),
            to("ann@work.example", "11"),
            "?weak-evidence",
        ),
        (
            "send it",
            send(),
            to("eve@else.example", "11"),
            "?weak-evidence",
        ),
        // The thing along with it has to exist.
        (
            "send to bob@work.example",
            send(),
            to("bob@work.example", "11"),
            "+evidence",
        ),
        (
            "send to bob@work.example",
            send(),
            to("bob@work.example", "99"),
            "?weak-evidence",
        ),
        // To let somebody in from outside takes his name.
        (
            by_name,
            outward(Effect::Grant, Reach::Outside),
            to("ann@work.example", "11"),
            "?weak-evidence",
        ),
        (
            "share with bob@work.example",
            outward(Effect::Grant, Reach::Outside),
            to("bob@work.example", "11"),
            "+evidence",
        ),
        // Inside one closed workspace a member is enough.
        (
            "send it",
            outward(Effect::Send, Reach::Closed),
            to("ann@work.example", "11"),
            "+evidence",
        ),
        (
            "send it",
            outward(Effect::Send, Reach::Closed),
            to("eve@else.example", "11"),
            "?weak-evidence",
        ),
        // What cannot be undone: the one thing that the words select.
        (
            "delete the largest file",
            outward(Effect::Destroy, Reach::Own),
            json!({ "file": "12" }),
            "+evidence",
        ),
        (
            "delete the largest file",
            outward(Effect::Destroy, Reach::Own),
            json!({ "file": "13" }),
            "?weak-evidence",
        ),
        (
            "what about the largest file?",
            outward(Effect::Destroy, Reach::Own),
            json!({ "file": "12" }),
            "?not-asked-by-verb",
        ),
    ] {
        let found = decided(words, tool, arguments.clone());
        assert_eq!(found, expected, "{words}: {arguments}");
    }
}

#[test]
fn no_fourth_question_is_asked_while_three_wait() {
    let mut place = Place::new();
    let authority = Authority::over([("do".to_owned(), annotation(Effect::Write))].into());
    let call = call("do", json!({}));
    for (open, expected) in [
        (OPEN_MAX - 1, "?posture-careful"),
        (OPEN_MAX, "-questions-wait"),
    ] {
        place.counts.open = open;
        let found = outcome(&place.decide(&call, &owner(), &authority));
        assert_eq!(found, expected);
    }
}

#[test]
fn a_run_that_nobody_asked_for_asks_in_every_posture() {
    let place = Place::new();
    let mut authority = Authority::over([("do".to_owned(), annotation(Effect::Write))].into());
    let call = call("do", json!({}));
    let owner = owner();
    let mut request = place.request(&call, &owner);
    for (posture, unknown, nobody) in [
        (Posture::Balanced, "+own-words", "?nobody-asked"),
        (Posture::Open, "+posture-open", "?nobody-asked"),
    ] {
        authority.posture = posture;
        request.plan = Planned::Unknown;
        assert_eq!(outcome(&decide(&request, &authority)), unknown);
        request.plan = Planned::Nobody;
        assert_eq!(outcome(&decide(&request, &authority)), nobody);
    }
}

/// What a question about this call offers to keep.
fn offered(words: &str, effect: Effect, arguments: Value, environment: Value) -> Option<Rule> {
    let mut place = Place::new();
    place.evidence = seen(words, &json!({}), &rows());
    place.environment = environment;
    let tool = outward(effect, Reach::Outside);
    let authority = Authority::over([("do".to_owned(), tool)].into());
    let decision = place.decide(&call("do", arguments), &owner(), &authority);
    let Decision::Ask(draft) = decision else {
        unreachable!("not asked: {decision:?}");
    };
    draft.always.map(|kept| Rule::read(&kept.rule).unwrap())
}

#[test]
fn always_keeps_what_the_owner_named_and_nothing_that_a_rule_must_not_cover() {
    use Effect::{Destroy, Execute, Fetch, Grant, Send, Spend, Write};
    let said = "bob@work.example and the 'Minutes of June'";
    let named = || json!({ "to": "bob@work.example", "file": "12" });
    let hashed = || json!({ "executable": "/bin/x", "sha256": "00" });
    for (effect, arguments, environment, is_offered) in [
        (Fetch, named(), Value::Null, true),
        (Write, named(), Value::Null, true),
        (Send, named(), Value::Null, true),
        // Of grade G1 and G0.
        (
            Send,
            json!({ "to": "bob@work.example", "file": "13" }),
            Value::Null,
            false,
        ),
        (
            Send,
            json!({ "to": "eve@else.example", "file": "12" }),
            Value::Null,
            false,
        ),
        // Neither who nor where: that would be everything that the tool can do.
        (Write, json!({ "text": "x" }), Value::Null, false),
        (Send, json!({}), Value::Null, false),
        (Execute, json!({}), hashed(), false),
        (Grant, named(), Value::Null, false),
        (Destroy, named(), Value::Null, false),
        (Spend, named(), Value::Null, false),
        (Execute, named(), Value::Null, false),
        (Execute, named(), hashed(), true),
        (
            Execute,
            json!({ "to": "eve@else.example" }),
            hashed(),
            false,
        ),
        (Execute, json!({ "file": "13" }), hashed(), false),
        (
            Execute,
            named(),
            json!({ "sha256": "00", "open": "a network" }),
            false,
        ),
        (Send, named(), json!({ "cannot": "no" }), false),
    ] {
        let case = format!("{effect:?} {arguments} {environment}");
        let found = offered(said, effect, arguments, environment);
        assert_eq!(found.is_some(), is_offered, "{case}");
    }
}

#[test]
fn a_kept_rule_fits_the_same_targets_in_the_same_place_and_nothing_else() {
    let words = "bob@work.example, file 11";
    let hashed = json!({ "executable": "/bin/x", "sha256": "00" });
    let named = json!({ "to": ["bob@work.example"], "file": "11", "text": "one" });
    let rule = offered(words, Effect::Execute, named.clone(), hashed.clone()).unwrap();
    let tool = outward(Effect::Execute, Reach::Outside);
    let authority = Authority::over(
        ["do", "else"]
            .map(|name| (name.to_owned(), tool.clone()))
            .into(),
    );
    let with = |name: &str, arguments: Value, environment: &Value, agent: &str| {
        let mut place = Place::new();
        place.context = Label::stranger(Readers::Public);
        place.standing = vec![rule.clone()];
        place.environment = environment.clone();
        place.agent = instar_protocol::AgentId::parse(agent).unwrap();
        let found = place.decide(&call(name, arguments), &owner(), &authority);
        outcome(&found).starts_with("+standing-rule")
    };
    assert!(with("do", named.clone(), &hashed, "main"));
    let other_text = json!({ "to": ["bob@work.example"], "file": "11", "text": "two" });
    assert!(
        with("do", other_text, &hashed, "main"),
        "content is not what it is about"
    );
    for (name, arguments, environment, agent) in [
        ("else", named.clone(), hashed.clone(), "main"),
        ("do", named.clone(), hashed.clone(), "other"),
        ("do", named.clone(), Value::Null, "main"),
        (
            "do",
            named.clone(),
            json!({ "executable": "/bin/x", "sha256": "01" }),
            "main",
        ),
        (
            "do",
            json!({ "to": ["bob@work.example"], "file": "12" }),
            hashed.clone(),
            "main",
        ),
        (
            "do",
            json!({ "to": ["bob@work.example"] }),
            hashed.clone(),
            "main",
        ),
        (
            "do",
            json!({ "to": ["bob@work.example", "x@y.example"], "file": "11" }),
            hashed.clone(),
            "main",
        ),
        ("do", json!({}), hashed, "main"),
    ] {
        let case = format!("{name} {arguments} {environment} {agent}");
        assert!(!with(name, arguments, &environment, agent), "{case}");
    }
}
