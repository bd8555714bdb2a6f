//! How people name releases.

use crate::fixture::{House, behaviour};
use instar_release::ReleaseError;

async fn named(house: &House, name: &str) -> String {
    match house.releases.get(name).await {
        Ok(release) => release.reason,
        Err(ReleaseError::Unknown(_)) => "unknown".to_owned(),
        Err(ReleaseError::Ambiguous { candidates, .. }) => candidates.join(" "),
        Err(other) => format!("{other:?}"),
    }
}

#[tokio::test]
async fn an_alias_its_past_an_id_and_a_prefix() {
    let house = House::new().await;
    let (one, _) = house.adopt(behaviour("one"), 1).await;
    let (two, _) = house.adopt(behaviour("two"), 2).await;
    house.adopt(behaviour("three"), 3).await;
    for (name, expected) in [
        ("stable", "edit 3"),
        ("stable~0", "edit 3"),
        ("stable~1", "edit 2"),
        ("stable~2", "edit 1"),
        ("stable~3", "unknown"),
        ("canary", "unknown"),
        (one.as_str(), "edit 1"),
        (&two.as_str()[..10], "edit 2"),
        ("0000000000", "unknown"),
        ("../../etc", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(named(&house, name).await, expected, "{name}");
    }
}

/// Behaviours are made until two ids begin alike; then that beginning names neither.
#[tokio::test]
async fn a_beginning_that_fits_two_is_answered_with_both() {
    let mut seen = std::collections::BTreeMap::new();
    let (a, b) = (0..)
        .find_map(|n: u32| {
            let text = format!("text {n}");
            let id = behaviour(&text).id().unwrap();
            let prefix = id.as_str()[..4].to_owned();
            seen.insert(prefix, text.clone())
                .map(|earlier| (earlier, text))
        })
        .unwrap();
    let house = House::new().await;
    let (one, _) = house.adopt(behaviour(&a), 1).await;
    let (two, _) = house.adopt(behaviour(&b), 2).await;
    let both = named(&house, &one.as_str()[..4]).await;
    assert!(
        both.contains(one.short()) && both.contains(two.short()),
        "{both}"
    );
    assert_eq!(named(&house, one.short()).await, "edit 1");
}

#[tokio::test]
async fn lists_are_newest_first() {
    let house = House::new().await;
    for n in 1..=4u8 {
        house.adopt(behaviour(&format!("text {n}")), n).await;
    }
    let reasons: Vec<String> = house
        .releases
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|r| r.reason)
        .collect();
    assert_eq!(reasons, ["edit 4", "edit 3", "edit 2", "edit 1"]);
    let two = house.releases.manifests(2).await.unwrap();
    assert_eq!(
        two.iter().map(|m| m.reason.as_str()).collect::<Vec<_>>(),
        ["edit 4", "edit 3"]
    );
}
