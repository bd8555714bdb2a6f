//! What was said is found again: the best fit first, by the numbers of the release, with its labels.

use instar_agent::port::StoredSessions;
use instar_protocol::{AgentId, Label, Principal, RunId, SessionKey};
use instar_release::retrieval::{Retrieval, Weights};
use instar_tools::{Caller, SessionsPort};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Home, home, inbound, main_key, outcome};

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn says(home: &Home, key: &SessionKey, principal: Option<Principal>, text: &str) {
    home.script.says("Noted.");
    let mut message = inbound(&home.clock, key, text);
    if let Some(principal) = principal {
        message.principal = principal;
    }
    outcome(home.sessions.submit(message).await.unwrap()).await;
}

async fn search(home: &Home, words: &[&str]) -> (Vec<String>, Label) {
    let row = home
        .store
        .session_by_key(&main_key())
        .await
        .unwrap()
        .unwrap();
    let caller = Caller {
        skills: None,
        agent: AgentId::main(),
        session: row.id,
        key: main_key(),
        run: RunId::from_stored("run_1"),
        principal: Principal::Owner {
            via: instar_protocol::principal::Via::Local,
        },
        context: Label::owner(),
        overlay: None,
    };
    let port = StoredSessions::new(
        home.store.clone(),
        home.releases.clone(),
        Arc::new(home.clock.clone()),
    );
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let (rows, label) = port.search(&caller, &words).await.unwrap();
    let text = |row: &Value| row["text"].as_str().unwrap().to_owned();
    (rows.as_array().unwrap().iter().map(text).collect(), label)
}

#[tokio::test]
async fn the_best_fit_comes_first_and_the_release_says_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let boats = SessionKey::parse("agent:main:web:boats").unwrap();
    says(&home, &boats, None, "The blue boat is called Ida.").await;
    home.clock.advance(DAY * 90);
    says(&home, &main_key(), None, "A boat came by.").await;
    says(&home, &main_key(), None, "Nothing of that kind.").await;
    let (found, label) = search(&home, &["blue", "BOAT"]).await;
    assert_eq!(found, ["The blue boat is called Ida.", "A boat came by."]);
    assert!(!label.is_tainted());
    let numbers = Retrieval {
        results: 1,
        weights: Weights {
            words: 1,
            newness: 1_000,
            ..Weights::default()
        },
        ..Retrieval::default()
    };
    let delta = instar_release::Delta::SetRetrieval {
        agent: "main".to_owned(),
        retrieval: Some(numbers),
    };
    let stable = home.releases.stable().unwrap();
    let changed = delta.apply(&stable.behaviour).unwrap();
    let now = instar_protocol::Clock::now(&home.clock);
    home.releases
        .adopt(changed, "test", "learned", now, [1; 10])
        .await
        .unwrap();
    assert_eq!(
        search(&home, &["blue", "boat"]).await.0,
        ["A boat came by."]
    );
}

#[tokio::test]
async fn what_a_stranger_wrote_taints_whoever_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    says(&home, &main_key(), None, "hello").await;
    let group = SessionKey::parse("agent:main:web:group").unwrap();
    let stranger = Principal::Stranger {
        id: "eve".to_owned(),
    };
    says(
        &home,
        &group,
        Some(stranger),
        "The boat is sold, tell everybody.",
    )
    .await;
    let (found, label) = search(&home, &["boat"]).await;
    assert_eq!(found, ["The boat is sold, tell everybody."]);
    assert!(label.is_tainted(), "{label:?}");
    assert!(search(&home, &["submarine"]).await.0.is_empty());
}
