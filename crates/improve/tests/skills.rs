//! Faults that came with another text of a skill, what is proposed about them, and what only looks so.

use instar_improve::heal::{Told, choose, explain};
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::Case;
use instar_protocol::reads::{Reads, SkillText};
use instar_protocol::{AgentId, ReleaseId, Timestamp};
use instar_release::skill::Skill;
use instar_release::{AgentBehaviour, Behaviour};
use serde_json::json;
use std::collections::BTreeMap;

const GENE: &str = "restore-skill";
const OLD: &str = "old";
const NOW: &str = "now";

fn skill(name: &str, last: &str) -> Skill {
    let text = format!("---\nname: {name}\ndescription: Reads {name}.\n---\n{last}\n");
    Skill {
        files: [("SKILL.md".to_owned(), text)].into(),
    }
}

fn text(name: &str, last: &str) -> SkillText {
    SkillText {
        name: name.to_owned(),
        digest: skill(name, last).digest(),
    }
}

/// Turns that read these, and how many of them failed.
type Row<'a> = (&'a [(&'a str, &'a str)], u64, u64);

/// The agent has the skills `moon` and `tides` in the texts of now.
fn case(rows: &[Row<'_>]) -> Case {
    let (mut all, mut failed) = (Reads::default(), Reads::default());
    let release = ReleaseId::from_hex("1");
    for (at, (read, turns, bad)) in (1..).zip(rows) {
        let read: Vec<SkillText> = read.iter().map(|(name, last)| text(name, last)).collect();
        let at = Timestamp::from_millis(at);
        for turn in 0..*turns {
            all.take(&read, &release, at);
            if turn < *bad {
                failed.take(&read, &release, at);
            }
        }
    }
    let mut fault = Fault::new(
        "flt_1".to_owned(),
        SignalKind::NotFound,
        "tool:read".to_owned(),
        Timestamp::from_millis(1),
    );
    fault.failures = failed.turns;
    fault.reads = BTreeMap::from([(AgentId::main(), failed)]);
    let skills = ["moon", "tides"].map(|name| (name.to_owned(), skill(name, NOW)));
    let agent = AgentBehaviour {
        skills: skills.into(),
        ..AgentBehaviour::default()
    };
    let behaviour = Behaviour {
        agents: BTreeMap::from([("main".to_owned(), agent)]),
        ..Behaviour::default()
    };
    Case {
        agent: "main".to_owned(),
        behaviour: serde_json::to_value(behaviour).unwrap(),
        faults: vec![fault],
        reads: all,
        strategy: "repair-only".to_owned(),
        most: 3,
        ..Case::default()
    }
}

fn told(case: &Case) -> Told {
    let all = explain(case, "flt_1").unwrap();
    all.into_iter().find(|one| one.gene == GENE).unwrap()
}

const TIDES_OLD: &[(&str, &str)] = &[("tides", OLD)];
const TIDES: &[(&str, &str)] = &[("tides", NOW)];

#[test]
fn a_fault_that_came_with_a_text_takes_the_skill_back_and_a_person_decides_it() {
    let case = case(&[(TIDES_OLD, 20, 0), (TIDES, 20, 5), (&[], 90, 0)]);
    let one = told(&case);
    assert_eq!(one.class, Some(instar_release::Class::C), "{one:?}");
    let would = one.would.unwrap();
    assert!(
        would.contains("0 of 20 turns that read it failed so, and 5 of 20"),
        "{would}"
    );
    // By its digest: the lab has no text of it.
    let digest = text("tides", OLD).digest;
    let asked = json!({"agent": "main", "name": "tides", "digest": digest});
    assert_eq!(one.delta, Some(json!({ "restore_skill": asked })));
    let chosen = choose(&case).unwrap();
    assert!(chosen.proposed.iter().all(|one| one.gene != GENE));
}

#[test]
fn of_several_earlier_texts_the_latest_comes_back_that_went_well() {
    let texts: &[Row<'_>] = &[
        (TIDES_OLD, 30, 0),
        (&[("tides", "older but read since")], 40, 1),
        (&[("tides", "as bad")], 40, 10),
        (TIDES, 20, 10),
    ];
    let digest = text("tides", "older but read since").digest;
    let delta = told(&case(texts)).delta.unwrap();
    assert_eq!(delta["restore_skill"]["digest"], json!(digest));
}

#[test]
fn what_only_looks_like_a_bad_text_takes_nothing_back() {
    let moon_and_tides: &[(&str, &str)] = &[("moon", NOW), ("tides", NOW)];
    let both_before: &[(&str, &str)] = &[("moon", OLD), ("tides", OLD)];
    let alike: &[(&str, &[Row<'_>], &str)] = &[
        (
            "the same with both texts",
            &[(TIDES_OLD, 40, 10), (TIDES, 40, 10)],
            "no earlier text",
        ),
        (
            "in turns that read no skill",
            &[(TIDES_OLD, 40, 0), (TIDES, 40, 10), (&[], 40, 10)],
            "for other faults",
        ),
        (
            "a skill that was always so",
            &[(TIDES, 40, 20)],
            "no earlier text",
        ),
        (
            "an earlier text that was hardly read",
            &[(TIDES_OLD, 19, 0), (TIDES, 40, 20)],
            "no earlier text",
        ),
        (
            "too few failures",
            &[(TIDES_OLD, 40, 0), (TIDES, 4, 4)],
            "for other faults",
        ),
        (
            "seldom in the turns that read it",
            &[(TIDES_OLD, 40, 0), (TIDES, 60, 6)],
            "no earlier text",
        ),
        (
            "with a text that is gone",
            &[(TIDES_OLD, 40, 20), (&[("tides", "older")], 40, 0)],
            "no earlier text",
        ),
        (
            "with two skills at once",
            &[(both_before, 40, 0), (moon_and_tides, 20, 10)],
            "more than one skill",
        ),
    ];
    for (name, rows, why) in alike {
        let one = told(&case(rows));
        assert!(one.delta.is_none(), "{name}: {one:?}");
        let told = one.why_not.unwrap();
        assert!(told.contains(why), "{name}: {told}");
    }
}
