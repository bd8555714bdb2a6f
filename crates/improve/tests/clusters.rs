//! The miner: what becomes one group, what stays apart, and that it stays bounded.

use instar_improve::cluster::{GROUPS_MAX, Miner};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The templates that these messages come to.
fn templates(messages: &[&str]) -> BTreeSet<String> {
    let mut miner = Miner::default();
    for message in messages {
        miner.add(message);
    }
    let kept = miner.keep();
    kept.iter()
        .filter_map(|kept| miner.template(kept.group))
        .collect()
}

fn check(messages: &[&str], expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(templates(messages), expected, "{messages:?}");
}

#[test]
fn values_are_known_by_their_form() {
    check(
        &[
            "fetch of https://a.example/x?y=1 took 12 ms",
            "fetch of https://b.example/other took 7.5 s",
        ],
        &["fetch of <*> took <*> <*>"],
    );
    check(
        &[
            "host db.internal:5432 refused at 2026-01-02 10:11:12",
            "host cache.internal:6379 refused at Sat Jan  3 10:11:13 2026",
        ],
        &["host <*> refused at <*>"],
    );
    check(
        &[
            r#"lock=1, tag="View Lock", by=Source{10, 11}"#,
            r#"lock=22, tag="x", by=null"#,
        ],
        &["lock=<*>, tag=<*>, by=<*>"],
    );
    check(
        &["read 0xdeadbeef from /var/lib/a", "read 0x1 from ./b"],
        &["read <*> from <*>"],
    );
    check(
        &["mac aa:bb:cc:00:11:22 gone", "mac 00:11:22:33:44:55 gone"],
        &["mac <*> gone"],
    );
}

#[test]
fn forms_that_logs_of_any_kind_have_are_values() {
    // Addresses with zeros left out, and names that only look like them.
    check(
        &[
            "login from ::1 failed",
            "login from fe80::1ff:fe23:4567:890a failed",
            "login from [::1]:22 failed",
        ],
        &["login from <*> failed", "login from [<*>]:<*> failed"],
    );
    check(
        &["std::add failed", "dead::beef failed"],
        &["std::add failed", "dead::beef failed"],
    );
    // Units glued to numbers, percentages, sizes, times.
    check(
        &[
            "disk 91.5% of 20GB (18.3GiB used) in 5ms at 10MB/s",
            "disk 7% of 1.5TB (100MiB used) in 1m3s at 7KB/s",
        ],
        &["disk <*> of <*> (<*> used) in <*> at <*>"],
    );
    check(
        &[
            "at 2026-01-02T03:04:05.678Z done",
            "at 2026-01-02T03:04:05+01:00 done",
            "at 02/Jan/2026:03:04:05 done",
        ],
        &["at <*> done"],
    );
    // Nested brackets, numbers in them, what was hidden, less than so many.
    check(
        &[
            "skip Token{df0798e in=Token{78af589 Record{3b04890 u0}}} now",
            "skip Token{1a in=Token{7 Record{3b04 u0}}} now",
        ],
        &["skip Token{<*> in=<*>} now"],
    );
    check(
        &["switch<0>(0x0) up", "switch<12>(0xff) up"],
        &["switch<<*>>(<*>) up"],
    );
    check(
        &["speeds 3552 3534 of fan", "speeds **** 3515 of fan"],
        &["speeds <*> <*> of fan"],
    );
    check(&["took <1 sec", "took 12 sec"], &["took <*> sec"]);
    check(
        &[
            r"open C:\Users\a\b.txt",
            r"open \\server\share\x",
            "open ../up/one",
        ],
        &["open <*>"],
    );
}

#[test]
fn lists_of_any_length_are_one_value() {
    check(
        &["ports 1, 2, 3 are taken", "ports 8080 are taken"],
        &["ports <*>, <*>, <*> are taken"],
    );
}

#[test]
fn words_that_vary_are_learnt_and_words_that_do_not_stay_apart() {
    check(
        &[
            "job of anna is late",
            "job of berta is late",
            "job of carl is late",
            "job of dora is late",
            "job of emil is late",
        ],
        &["job of <*> is late"],
    );
    check(
        &["cache opened for writing", "cache closed for writing"],
        &["cache opened for writing", "cache closed for writing"],
    );
}

#[test]
fn a_word_where_others_have_a_value_is_one() {
    check(
        &["cannot enter /home/a today", "cannot enter home today"],
        &["cannot enter <*> today"],
    );
    check(
        &["cannot enter home today", "cannot enter /home/a today"],
        &["cannot enter <*> today"],
    );
}

#[test]
fn other_scripts_are_read() {
    check(&["连接超时 3 次", "连接超时 12 次"], &["连接超时 <*> 次"]);
    check(
        &["ошибка 404 в файле /a/b", "ошибка 500 в файле /c"],
        &["ошибка <*> в файле <*>"],
    );
}

#[test]
fn groups_that_were_joined_are_told() {
    let mut miner = Miner::default();
    let ids: Vec<u32> = ["ann", "ben", "cid", "dan", "eve"]
        .iter()
        .map(|name| miner.add(&format!("login by {name} was refused")))
        .collect();
    let joins = miner.take_joins();
    let kept = ids.last().copied();
    assert_eq!(joins.len(), 4, "{joins:?}");
    assert!(
        joins.iter().all(|join| Some(join.kept) == kept),
        "{joins:?}"
    );
    assert!(miner.take_joins().is_empty());
}

#[test]
fn another_miner_goes_on_where_one_stopped() {
    let mut one = Miner::default();
    for name in ["ann", "ben", "cid", "dan", "eve"] {
        one.add(&format!("login by {name} was refused"));
    }
    let group = one.add("disk 3 is full");
    let mut two = Miner::resume(&one.keep());
    assert_eq!(two.add("disk 17 is full"), group);
    assert_eq!(two.len(), 2);
    let by_fred = two.add("login by fred was refused");
    assert_eq!(Some(by_fred), one.keep().first().map(|kept| kept.group));
    assert_eq!(two.len(), 2);
    assert!(two.add("something else entirely") > group);
}

#[test]
fn memory_is_bounded_however_many_kinds_come() {
    let mut miner = Miner::default();
    let letters = |mut number: usize| {
        let mut word = String::new();
        for _ in 0..4 {
            word.push(char::from(b'a' + u8::try_from(number % 26).unwrap()));
            number /= 26;
        }
        word
    };
    for number in 0..3 * GROUPS_MAX {
        // Another skeleton each time, so that nothing is alike.
        let marks = "(".repeat(number % 90) + &"!".repeat(number / 90 % 90);
        miner.add(&format!(
            "{} {marks} {}",
            letters(number),
            letters(number / 7)
        ));
        miner.add("the usual complaint");
        assert!(miner.len() <= GROUPS_MAX);
    }
    let usual = miner.add("the usual complaint");
    assert_eq!(usual, 1, "what comes often is not forgotten");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_has_a_group_and_the_same_text_the_same(lines in proptest::collection::vec("\\PC{0,80}", 1..40)) {
        let mut miner = Miner::default();
        for line in &lines {
            let group = miner.add(line);
            prop_assert!(miner.template(group).is_some());
            prop_assert_eq!(miner.add(line), group);
        }
        let mut again = Miner::resume(&miner.keep());
        for line in &lines {
            again.add(line);
        }
        prop_assert!(again.len() <= miner.len() + 1);
    }

    #[test]
    fn numbers_never_tell_messages_apart(one in 0_u64.., two in 0_u64..) {
        let mut miner = Miner::default();
        let first = miner.add(&format!("task {one} failed after {two} tries"));
        prop_assert_eq!(miner.add(&format!("task {two} failed after {one} tries")), first);
    }
}
