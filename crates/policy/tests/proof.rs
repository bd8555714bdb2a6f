//! The proof that rules let through nothing more, with a real solver. Without one on this machine the
//! tests that need it say so and show nothing.
#![expect(clippy::print_stderr, reason = "says when it shows nothing")]

use instar_policy::cedar::{RuleFile, Rules};
use instar_policy::proof::{Proof, Reading};
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::cedar::{any_own, domain, file, strictness, text_of};

fn rules(text: &str) -> Rules {
    if text.is_empty() {
        return Rules::default();
    }
    Rules::read(vec![file(text)]).unwrap()
}

/// The solver's answer, outside walls: the scripts are ours.
fn solve(script: &str) -> Option<String> {
    let mut child = Command::new("cvc5")
        .args(["--lang", "smt", "--tlimit-per=20000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().unwrap();
    let script = script.to_owned();
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A solver that ended early did not read all of it; its answer shows that.
    drop(writer.join().unwrap());
    Some(String::from_utf8(output.stdout).unwrap())
}

fn has_solver() -> bool {
    let there = solve("").is_some();
    if !there {
        eprintln!("SKIPPED: there is no cvc5 here, which proves changes of rules");
    }
    there
}

/// What the proof says of a change, and the sentence where it is refused.
fn prove(before: &Rules, after: &Rules) -> (Reading, String) {
    let proof = Proof::of(before, after).unwrap();
    let reading = proof.read(&solve(&proof.script()).unwrap());
    let words = match &reading {
        Reading::Fails(which) => {
            let script = proof.counter_script(*which).unwrap();
            let answer = solve(&script).unwrap();
            proof.counterexample(*which, &answer).unwrap()
        }
        _ => String::new(),
    };
    (reading, words)
}

const CAREFUL: &str = "@rule(\"no-mail\")\nforbid (principal, action == Action::\"send\", resource)\n\
                       when { context.domains.contains(\"example.com\") };\n";

#[test]
fn rules_that_say_the_same_need_no_solver() {
    let same = Proof::of(&rules(CAREFUL), &rules(CAREFUL)).unwrap();
    assert!(same.is_plain());
    assert_eq!(same.read(""), Reading::Holds);
    // Written another way is another text, and a question.
    let other = CAREFUL.replace("when {", "when { true && ");
    let other = Proof::of(&rules(CAREFUL), &rules(&other)).unwrap();
    assert!(!other.is_plain() && !other.script().is_empty());
}

#[test]
fn a_stricter_rule_is_proved_and_what_newly_passes_is_told_in_words() {
    if !has_solver() {
        return;
    }
    let (reading, _) = prove(&Rules::default(), &rules(CAREFUL));
    assert_eq!(reading, Reading::Holds);
    // The same rule in other words, which no comparison of texts sees.
    let rewritten = "@rule(\"no-mail\")\nforbid (principal, action in [Action::\"send\"], resource)\n\
                     unless { !context.domains.contains(\"example.com\") };\n";
    let (reading, _) = prove(&rules(CAREFUL), &rules(rewritten));
    assert_eq!(reading, Reading::Holds);
    // Taken back.
    let (reading, words) = prove(&rules(CAREFUL), &Rules::default());
    assert!(matches!(reading, Reading::Fails(_)));
    assert!(words.contains("effect send"), "{words}");
    assert!(
        words.contains("denied by the rule no-mail in mine.cedar:1"),
        "{words}"
    );
    assert!(words.contains("in the domain example.com"), "{words}");
    // A permit of the owner's lets through what asked.
    let permit = "@rule(\"may-fetch\")\n@words(\"Fetching is free.\")\n\
                  permit (principal is Owner, action == Action::\"fetch\", resource == Tool::\"web_fetch\");\n";
    let (reading, words) = prove(&Rules::default(), &rules(permit));
    assert!(matches!(reading, Reading::Fails(_)));
    for part in [
        "a call with the effect fetch by the tool web_fetch for the owner",
        "would be let through by the rule may-fetch in mine.cedar:1 (Fetching is free)",
        "until now it is asked for by the built-in rule",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    // And one for whom it changes nothing, as reading was free before.
    let idle = "permit (principal is Owner, action == Action::\"read\", resource);\n";
    assert_eq!(prove(&Rules::default(), &rules(idle)).0, Reading::Holds);
}

#[test]
fn whatever_is_no_plain_no_proves_nothing() {
    let proof = Proof::of(&rules(CAREFUL), &Rules::default()).unwrap();
    let count = proof.questions();
    assert!(count > 0);
    let all = |word: &str| format!("{word}\n").repeat(count);
    assert_eq!(proof.read(&all("unsat")), Reading::Holds);
    assert!(matches!(proof.read(&all("sat")), Reading::Fails(_)));
    let one_more = all("unsat") + "unsat\n";
    let one_less = "unsat\n".repeat(count - 1);
    for answer in [
        "",
        &one_less,
        &one_more,
        &all("unknown"),
        &all("(error \"out of memory\")"),
        "cvc5 interrupted by timeout.\n",
        &"u".repeat(2_000_000),
    ] {
        assert!(
            matches!(proof.read(answer), Reading::Unknown(_)),
            "{answer:.40}"
        );
    }
    // What it says instead is told, as far as anybody reads.
    let why = |answer: &str| match proof.read(&all(answer)) {
        Reading::Unknown(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(why("(error \"out of memory\")").contains("out of memory"));
    let long = why(&"no ".repeat(500));
    assert!(long.contains("no no") && long.len() < 300, "{long}");
    // The longest answer that is read, and one that is longer.
    let room = 1_048_576 - all("unsat").len();
    let longest = all("unsat") + &" ".repeat(room);
    assert_eq!(proof.read(&longest), Reading::Holds);
    assert!(matches!(
        proof.read(&(longest + " ")),
        Reading::Unknown(why) if why.contains("too long")
    ));
    // An answer that fits no question is no example.
    let Reading::Fails(which) = proof.read(&all("sat")) else {
        unreachable!("it was answered so")
    };
    assert!(
        proof
            .counterexample(which, "sat\n(\nnonsense\n)\n")
            .is_err()
    );
    let example = |bytes: usize| {
        let answer = format!("sat\n{}", "x".repeat(bytes));
        let refused = proof.counterexample(which, &answer).unwrap_err();
        refused.to_string().contains("too long")
    };
    assert!(!example(1_048_576) && example(1_048_577));
}

#[test]
fn a_rule_that_could_fail_is_not_proved() {
    let sums = "forbid (principal, action, resource) when { context.done + 1 > 3 };";
    for (before, after) in [("", sums), (sums, "")] {
        let refused = Proof::of(&rules(before), &rules(after)).unwrap_err();
        assert!(refused.to_string().contains("computes"), "{refused}");
    }
}

#[test]
fn a_rule_for_one_person_or_tool_is_no_wider_for_others() {
    if !has_solver() {
        return;
    }
    let alice = "@answer(\"ask\")\nforbid (principal == Contact::\"alice\", action in Action::\"effect\", resource);\n\
                 @rule(\"more\")\n@answer(\"yield\")\nforbid (principal is Stranger, action, resource == Tool::\"act\");";
    assert_eq!(prove(&Rules::default(), &rules(alice)).0, Reading::Holds);
    let (reading, words) = prove(&rules(alice), &Rules::default());
    assert!(matches!(reading, Reading::Fails(_)));
    assert!(
        words.contains("for the contact alice") || words.contains("tool act"),
        "{words}"
    );
    // Each head by itself, in every way in which one can be written.
    for (head, told) in [
        (
            "principal is Contact in Contact::\"alice\", action == Action::\"send\", resource",
            "for the contact alice",
        ),
        (
            "principal in Contact::\"alice\", action == Action::\"send\", resource",
            "for the contact alice",
        ),
        (
            "principal, action == Action::\"send\", resource is Tool in Tool::\"act\"",
            "tool act",
        ),
        (
            "principal, action == Action::\"send\", resource in Tool::\"act\"",
            "tool act",
        ),
        (
            "principal, action == Action::\"send\", resource is Tool",
            "effect send",
        ),
    ] {
        let own = rules(&format!("forbid ({head});"));
        assert_eq!(prove(&Rules::default(), &own).0, Reading::Holds, "{head}");
        let (reading, words) = prove(&own, &Rules::default());
        assert!(matches!(reading, Reading::Fails(_)), "{head}");
        assert!(words.contains(told), "{head}: {words}");
    }
}

#[test]
fn hundreds_of_rules_are_not_too_many() {
    let many: Vec<RuleFile> = (0..20)
        .map(|file| RuleFile {
            name: format!("{file}.cedar"),
            text: (0..15)
                .map(|rule| {
                    format!(
                        "@answer(\"yield\") forbid (principal, action == Action::\"send\", resource) \
                         when {{ context.agent == \"a{file}-{rule}\" }};\n"
                    )
                })
                .collect(),
        })
        .collect();
    let many = Rules::read(many).unwrap();
    let proof = Proof::of(&Rules::default(), &many).unwrap();
    assert!(proof.questions() <= 8, "{}", proof.questions());
    if has_solver() {
        assert_eq!(prove(&Rules::default(), &many).0, Reading::Holds);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_is_proved_has_no_exception_among_all_cases(
        was in prop::collection::vec(any_own(), 0..3),
        more in prop::collection::vec(any_own(), 0..3),
        keep in any::<bool>(),
    ) {
        let mut is = more;
        if keep {
            is.extend(was.iter().cloned());
        }
        let read = |own: &[_]| match own {
            [] => Ok(Rules::default()),
            own => Rules::read(vec![file(&text_of(own))]),
        };
        if let (Ok(was), Ok(is)) = (read(&was), read(&is)) && has_solver() {
            let (reading, words) = prove(&was, &is);
            let wider = domain().into_iter().find(|case| strictness(&is, case) < strictness(&was, case));
            match reading {
                Reading::Holds => {
                    prop_assert!(wider.is_none(), "proved, and newly passes: {:?}", wider);
                }
                Reading::Fails(_) => {
                    // The sentence was put through both sets of rules.
                    prop_assert!(words.contains("would be"), "{}", words);
                }
                Reading::Unknown(why) => prop_assert!(false, "{why}"),
            }
        }
    }
}
