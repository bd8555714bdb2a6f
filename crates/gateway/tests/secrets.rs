//! Secrets are compared in one place, in constant time, and each serves one purpose.

use crate::house::{House, TOKEN, bearer};
use instar_gateway::door::Digest;
use instar_protocol::Secret;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Does not compile if the type can be compared or printed: the call would have two meanings.
macro_rules! has_none_of {
    ($type:ty: $($bound:path),+) => {$({
        trait Ambiguous<A> {
            fn call() {}
        }
        struct Has;
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $bound> Ambiguous<Has> for T {}
        <$type as Ambiguous<_>>::call();
    })+};
}

#[test]
fn a10_secrets_and_digests_have_no_comparison() {
    has_none_of!(Secret: PartialEq, PartialOrd, std::hash::Hash, std::fmt::Display, serde::Serialize);
    has_none_of!(Digest: PartialEq, PartialOrd, std::hash::Hash, std::fmt::Display, serde::Serialize);
}

fn sources() -> Vec<(PathBuf, String)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .filter(|folder| folder.is_dir())
        .collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 100, "the sources were not found");
    found
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect()
}

/// Types that hold a secret or a digest of one, each with the lines from its attributes to its end.
fn holders(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let named = words(line);
        if !named.contains("struct") && !named.contains("enum") || line.starts_with([' ', '/']) {
            continue;
        }
        let begin = lines[..at]
            .iter()
            .rposition(|line| line.is_empty() || *line == "}" || line.ends_with(';'))
            .map_or(0, |before| before + 1);
        let end = if line.ends_with(';') {
            at
        } else {
            at + lines[at..]
                .iter()
                .position(|line| *line == "}")
                .unwrap_or(0)
        };
        let code = |line: &&&str| !line.trim_start().starts_with("//");
        let whole = lines[begin..=end].iter().filter(code);
        let whole = whole.copied().collect::<Vec<_>>().join("\n");
        let body: Vec<&str> = lines[at..=end].iter().filter(code).copied().collect();
        let body = body.join("\n");
        let body = body.split_once(['(', '{']).map_or("", |(_, fields)| fields);
        // The first word of a line names a field or a variant: it holds nothing.
        let named = |c: char| c.is_whitespace() || c.is_alphanumeric() || c == '_';
        let types = body.lines().enumerate().map(|(number, line)| match number {
            0 => line,
            _ => line.trim_start_matches(named),
        });
        let body = types.collect::<Vec<_>>().join("\n");
        let held = ["Secret", "Digest", "SlowHash", "Zeroizing"];
        if held.iter().any(|held| words(&body).contains(held)) {
            found.push(whole);
        }
    }
    found
}

#[test]
fn a10_the_source_compares_secrets_in_one_place() {
    let mut holding = 0;
    for (path, text) in sources() {
        for holder in holders(&text) {
            holding += 1;
            let named = words(&holder);
            for derived in ["PartialEq", "PartialOrd", "Hash", "Serialize"] {
                assert!(!named.contains(derived), "{}: {holder}", path.display());
            }
        }
        let is_door = path.ends_with("gateway/src/door/digest.rs");
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}: {line}", path.display(), number + 1);
            assert!(is_door || !line.contains("ct_eq"), "{}", place());
            let exposed = line.contains(".expose()") || line.contains("to_hex()");
            let compares = [
                "==",
                "!=",
                ".eq(",
                ".ne(",
                ".cmp(",
                ".starts_with(",
                ".ends_with(",
            ];
            assert!(
                !exposed || !compares.iter().any(|word| line.contains(word)),
                "{}",
                place()
            );
        }
    }
    assert!(
        holding >= 8,
        "the rule found {holding} types and has gone blind"
    );
}

/// A smoke check: were bytes compared one after the other, a late difference would take longer.
/// The best of many short measurements hardly knows the machine's load; what is asked is generous,
/// and once in twenty rounds is enough.
#[test]
fn a10_a_late_difference_takes_no_longer_than_an_early_one() {
    let token = "0123456789abcdef".repeat(4096);
    let digest = Digest::of(&token);
    let mut early = token.clone();
    early.replace_range(..1, "x");
    let mut late = token.clone();
    late.replace_range(token.len() - 1.., "x");
    let measure = |candidate: &str| {
        let began = Instant::now();
        assert!(!digest.matches(candidate));
        began.elapsed()
    };
    let round = || {
        let mut best = [Duration::MAX; 2];
        for _ in 0..20 {
            for (best, candidate) in best.iter_mut().zip([&early, &late]) {
                *best = measure(candidate).min(*best);
            }
        }
        let [early, late] = best;
        late < early * 2 && early < late * 2
    };
    assert!(
        (0..20).any(|_| round()),
        "the place of the difference shows"
    );
}

#[test]
fn c9_digests_are_the_standard_ones() {
    // FIPS 180-4 examples.
    for (text, hex) in [
        (
            "",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
    ] {
        assert_eq!(Digest::of(text).to_hex(), hex);
        assert!(Digest::from_hex(hex).unwrap().matches(text));
    }
    assert!(Digest::from_hex("ab").is_none());
}

#[tokio::test]
async fn c9_each_secret_opens_its_own_door_and_no_other() {
    let house = House::new().await;
    let local = house.run_file().local_secret;
    let cookie = house.cookie().await;
    let session = cookie.trim().split('=').nth(1).unwrap().to_owned();
    let as_bearer = async |secret: &str| house.get("/api/v1/status", &bearer(secret)).await.status;
    let as_cookie = async |secret: &str| {
        let line = format!("cookie: instar_session={secret}\r\n");
        house.get("/api/v1/status", &line).await.status
    };
    let as_code = async |secret: &str| house.sign_in(&format!("code={secret}")).await.status;
    let as_secret = async |secret: &str| house.sign_in(&format!("secret={secret}")).await.status;
    let code = house.code();
    for (secret, opens) in [
        (TOKEN, [true, false, false, true]),
        (&local, [true, false, false, false]),
        (&session, [false, true, false, false]),
    ] {
        let found = [
            as_bearer(secret).await == 200,
            as_cookie(secret).await == 200,
            as_code(secret).await == 303,
            as_secret(secret).await == 303,
        ];
        assert_eq!(found, opens);
    }
    assert_eq!(as_bearer(&code).await, 401);
    assert_eq!(as_cookie(&code).await, 401);
    assert_eq!(as_secret(&code).await, 401);
    // What is stored of a secret is no secret.
    assert_eq!(as_bearer(&Digest::of(TOKEN).to_hex()).await, 401);
    assert_eq!(as_cookie(&Digest::of(&session).to_hex()).await, 401);
    assert_eq!(
        as_code(&code).await,
        303,
        "it is still good where it belongs"
    );
    house.running.shutdown().await;
}
