use super::*;
use instar_testkit::AccessTeam;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: u64 = 86_400;

fn access(team: &AccessTeam) -> Access {
    let config = AccessConfig {
        team_domain: team.address.clone(),
        audience: "f00d".to_owned(),
        allow_users: vec!["owner@example.org".to_owned()],
    };
    Access::new(&config, &Egress::new("test")).unwrap()
}

fn seconds() -> u64 {
    NOW.millis() / 1_000
}

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// Claims that are good for a week, with one of them changed.
fn claims(team: &AccessTeam, name: &str, value: Value) -> Value {
    let mut claims = json!({
        "iss": team.address, "aud": ["f00d"], "email": "owner@example.org", "exp": seconds() + 7 * DAY,
    });
    claims[name] = value;
    claims
}

/// A statement that says nothing but what is right.
fn good(team: &AccessTeam) -> String {
    team.statement(&claims(team, "sub", json!("7"))).unwrap()
}

/// A statement of just this length.
fn of_length(team: &AccessTeam, length: usize) -> String {
    let with = |head: usize, body: usize| {
        let head = json!({ "alg": "RS256", "kid": "key-0", "pad": "x".repeat(head) });
        let claims = claims(team, "pad", json!("x".repeat(body)));
        team.signed(&head, &claims, 0).unwrap()
    };
    // Four letters stand for three bytes.
    let body = (length - with(0, 0).len()) * 3 / 4 - 6;
    let mut tries = (0..3).flat_map(|head| (body..body + 12).map(move |body| (head, body)));
    tries
        .find_map(|(head, body)| Some(with(head, body)).filter(|text| text.len() == length))
        .unwrap()
}

#[tokio::test]
async fn a_statement_is_good_from_its_beginning_to_its_end_and_clocks_may_differ() {
    let team = AccessTeam::start().await.unwrap();
    let access = access(&team);
    for (name, value, lets_in) in [
        ("nbf", seconds(), true),
        ("nbf", seconds() + 30, true),
        ("nbf", seconds() + 31, false),
        ("exp", seconds() + 1, true),
        ("exp", seconds(), false),
        ("exp", u64::MAX, false),
    ] {
        let statement = team.statement(&claims(&team, name, json!(value))).unwrap();
        let answer = access.verify(&statement, NOW).await;
        assert_eq!(answer.is_ok(), lets_in, "{name} {value}: {answer:?}");
    }
    let ends = access.verify(&good(&team), NOW).await;
    assert_eq!(ends, Ok(after(7 * DAY)));
}

#[tokio::test]
async fn the_application_is_the_one_or_among_several() {
    let team = AccessTeam::start().await.unwrap();
    let access = access(&team);
    for (audience, lets_in) in [
        (json!("f00d"), true),
        (json!(["beef", "f00d"]), true),
        (json!("beef"), false),
        (json!(["beef"]), false),
    ] {
        let claims = claims(&team, "aud", audience.clone());
        let answer = access.verify(&team.statement(&claims).unwrap(), NOW).await;
        assert_eq!(answer.is_ok(), lets_in, "{audience}: {answer:?}");
    }
}

#[tokio::test]
async fn a_statement_has_a_greatest_length() {
    let team = AccessTeam::start().await.unwrap();
    let access = access(&team);
    let longest = of_length(&team, 8_192);
    assert!(access.verify(&longest, NOW).await.is_ok());
    let longer = of_length(&team, 8_193);
    assert_eq!(access.verify(&longer, NOW).await, Err(Doubt::Wrong));
}

#[tokio::test]
async fn a_key_that_is_known_is_asked_for_once_an_hour() {
    let team = AccessTeam::start().await.unwrap();
    let access = access(&team);
    let statement = good(&team);
    for (at, fetches) in [
        (0, 1),
        (61, 1),
        (3_599, 1),
        (3_600, 2),
        (7_199, 2),
        (7_200, 3),
    ] {
        assert!(access.verify(&statement, after(at)).await.is_ok(), "{at}");
        assert_eq!(team.fetches(), fetches, "{at}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_known_is_asked_for_once_a_minute() {
    let team = AccessTeam::start().await.unwrap();
    let access = access(&team);
    let head = json!({ "alg": "RS256", "kid": "key-9" });
    let unknown = team.signed(&head, &claims(&team, "sub", json!("7")), 0);
    let unknown = unknown.unwrap();
    for (at, fetches) in [(0, 1), (1, 1), (59, 1), (60, 2), (119, 2), (120, 3)] {
        let answer = access.verify(&unknown, after(at)).await;
        assert_eq!(answer, Err(Doubt::Wrong), "{at}");
        assert_eq!(team.fetches(), fetches, "{at}");
    }
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_again_are_good_for_a_day() {
    let team = AccessTeam::start().await.unwrap();
    let access = access(&team);
    let statement = good(&team);
    assert!(access.verify(&statement, NOW).await.is_ok());
    team.answer(Some((503, json!({}))));
    for at in [3_600, DAY / 2, DAY - 1] {
        assert!(access.verify(&statement, after(at)).await.is_ok(), "{at}");
    }
    // Within the minute of the last try, and when it is tried again.
    for at in [DAY, DAY + 60] {
        let answer = access.verify(&statement, after(at)).await;
        assert!(matches!(answer, Err(Doubt::NoKeys(_))), "{at}: {answer:?}");
    }
    team.answer(None);
    let answer = access.verify(&statement, after(DAY + 120)).await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn only_a_whole_set_that_was_given_for_good_is_one() {
    let team = AccessTeam::start().await.unwrap();
    let statement = good(&team);
    let keys = |pad: usize| {
        let mut keys = team.keys();
        keys["pad"] = json!("x".repeat(pad));
        keys
    };
    for (answer, lets_in) in [
        ((200, keys(0)), true),
        ((200, keys(60_000)), true),
        ((200, keys(65_536)), false),
        ((201, keys(0)), false),
        ((500, keys(0)), false),
        ((200, json!([])), false),
        ((200, json!("keys")), false),
    ] {
        let told = format!("{} {:.80}", answer.0, answer.1.to_string());
        team.answer(Some(answer));
        // Nothing is known yet.
        let answer = access(&team).verify(&statement, NOW).await;
        assert_eq!(answer.is_ok(), lets_in, "{told}: {answer:?}");
        if !lets_in {
            assert!(matches!(answer, Err(Doubt::NoKeys(_))), "{told}");
        }
    }
}

#[tokio::test]
async fn a_key_of_another_kind_or_rule_verifies_nothing() {
    let team = AccessTeam::start().await.unwrap();
    let statement = good(&team);
    for (name, value, lets_in) in [
        ("alg", json!("RS256"), true),
        ("alg", Value::Null, true),
        ("alg", json!("RS512"), false),
        ("alg", json!("none"), false),
        ("kty", json!("EC"), false),
        ("kty", json!("oct"), false),
        ("kid", json!("key-1"), false),
        ("n", json!("?"), false),
        ("e", json!("?"), false),
    ] {
        let mut keys = team.keys();
        keys["keys"][0][name] = value.clone();
        team.answer(Some((200, keys)));
        let answer = access(&team).verify(&statement, NOW).await;
        assert_eq!(answer.is_ok(), lets_in, "{name} {value}: {answer:?}");
        if !lets_in {
            assert_eq!(answer, Err(Doubt::Wrong), "{name} {value}");
        }
    }
}
