//! The stories of `instar demo`, told to their end.

use crate::support::{Instar, Setup};

#[test]
fn the_story_of_improvement_is_told_to_its_end_and_leaves_nothing_behind() {
    let instar = Instar::prepare(Setup::default());
    let scratch = instar.home().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let words = ["demo", "improve", "--no-stay"].map(str::to_owned);
    let told = instar
        .command(&[], &words)
        .env("TMPDIR", &scratch)
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    for line in [
        "promoted: it is the stable release now",
        "taken back: the evidence that it is worse reached its bound",
        "policy: fail",
        "may not go as far as stable",
        "do not have that hash",
        "release rollback: ",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
}
