//! Races run for longer than the tests run them.

use crate::run::{cargo, must};

/// How often each race over files beneath a root is tried; the test run tries a tenth.
const RACE_TRIES: &str = "1000000";

pub(crate) fn run() -> anyhow::Result<()> {
    let mut race = cargo();
    race.args(["test", "-p", "instar-sandbox", "--test", "it", "race::"]);
    must(race.env("INSTAR_RACE_TRIES", RACE_TRIES))
}
