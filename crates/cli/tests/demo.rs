//! The stories of `instar demo`, told to their end.

use crate::support::{Instar, Setup};

/// Tells a story in a scratch folder of its own, which is empty again at the end.
fn story(name: &str) -> String {
    let instar = Instar::prepare(Setup::default());
    let scratch = instar.home().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let words = ["demo", name, "--no-stay"].map(str::to_owned);
    let told = instar
        .command(&[], &words)
        .env("TMPDIR", &scratch)
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    String::from_utf8(told.stdout).unwrap()
}

fn tells(told: &str, lines: &[&str]) {
    for line in lines {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn the_story_of_improvement_is_told_to_its_end_and_leaves_nothing_behind() {
    let told = story("improve");
    let lines = [
        "promoted: it is the stable release now",
        "taken back: the evidence that it is worse reached its bound",
        "policy: fail",
        "may not go as far as stable",
        "do not have that hash",
        "release rollback: ",
    ];
    tells(&told, &lines);
}

#[test]
fn the_story_of_healing_tells_a_fix_that_works_from_one_that_harms_and_from_luck() {
    let told = story("heal");
    let lines = [
        "by lab: reshape-argument",
        "by lab: drop-unknown-argument",
        "read: proven. with the fix 0 bad of",
        "grep: taken back",
        "is without it, and 2 are in service",
        "glob: undecided. with the fix 0 bad of",
        "three clean ones prove, says of it: proven",
    ];
    tells(&told, &lines);
}
