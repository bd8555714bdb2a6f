//! Every gene of the house against its fault, all the way: the agent fails, its events are read, the gene
//! writes a change, the change becomes a release, and the same agent does not fail any more.

use crate::support::{Fault, Home, Reply, config, home_with};
use instar_improve::gene::{Catalogue, Symptom};
use instar_improve::signal::{Sign, Watch};
use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::tool::ToolCall;
use instar_protocol::{Clock as _, Label};
use instar_release::Class;
use instar_release::class::assess;
use instar_release::mitigation::{Act, Mitigation};
use instar_store::EventFilter;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

struct Planted {
    _folder: tempfile::TempDir,
    home: Home,
}

/// A house whose agent asks two models in turn.
async fn planted() -> Planted {
    planted_with(600).await
}

async fn planted_with(timeout_seconds: u32) -> Planted {
    let folder = tempfile::tempdir().unwrap();
    let settings = json!({
        "learning": {"content": "redacted"},
        "agents": {"defaults": {"timeoutSeconds": timeout_seconds}},
    });
    let home = home_with(folder.path(), config(settings)).await;
    let mut behaviour = home.releases.stable().unwrap().behaviour.clone();
    let main = behaviour.agents.get_mut("main").unwrap();
    main.route.fallbacks = vec!["test/two".to_owned()];
    home.releases
        .adopt(behaviour, "test", "two models", home.clock.now(), [1; 10])
        .await
        .unwrap();
    Planted {
        _folder: folder,
        home,
    }
}

/// Different each time: the clock stands still.
fn random() -> [u8; 10] {
    static NEXT: AtomicU8 = AtomicU8::new(10);
    [NEXT.fetch_add(1, Ordering::Relaxed); 10]
}

impl Planted {
    /// The signs in everything that happened so far.
    async fn signs(&self) -> Vec<Sign> {
        let filter = EventFilter {
            limit: 1_000,
            ..EventFilter::default()
        };
        let mut events = self.home.store.events(filter).await.unwrap();
        events.reverse();
        let mut watch = Watch::default();
        events.iter().flat_map(|event| watch.take(event)).collect()
    }

    /// What the gene writes about the first sign that it fits.
    async fn written(&self, gene: &str) -> Mitigation {
        let catalogue = Catalogue::built_in().unwrap();
        let stable = self.home.releases.stable().unwrap();
        let signs = self.signs().await;
        for sign in &signs {
            let symptom = Symptom {
                fault: "planted".to_owned(),
                kind: sign.kind,
                also: sign.also.iter().copied().collect(),
                place: sign.place.clone(),
                detail: sign.detail.clone(),
                text: sign.text.clone(),
                is_outside: false,
                environment: String::new(),
            };
            let all = catalogue.propose(&symptom, "main", &stable.behaviour);
            let mut all = all.unwrap().into_iter();
            let found = all.find(|(one, answer)| one.id == gene && answer.is_ok());
            if let Some((_, Ok(proposal))) = found {
                return proposal.mitigation;
            }
        }
        panic!("{gene} writes nothing about {signs:?}");
    }

    /// Puts what the gene writes into service, for every unit.
    async fn mend(&self, gene: &str) -> Mitigation {
        let written = self.written(gene).await;
        self.serve(written, gene).await
    }

    async fn serve(&self, written: Mitigation, gene: &str) -> Mitigation {
        let mitigation = Mitigation {
            trial: None,
            ..written
        };
        let stable = self.home.releases.stable().unwrap();
        let delta = instar_release::Delta::SetMitigation {
            agent: "main".to_owned(),
            id: mitigation.id.clone(),
            mitigation: Some(Box::new(mitigation.clone())),
        };
        let behaviour = instar_release::build(&stable.behaviour, &[delta]).unwrap();
        let now = self.home.clock.now();
        self.home
            .releases
            .adopt(behaviour, "gene", gene, now, random())
            .await
            .unwrap();
        mitigation
    }

    /// A turn with one call of this tool; the line of its result.
    async fn calls(&self, tool: &str, arguments: Value) -> String {
        self.home
            .script
            .then(Reply::Calls(vec![ToolCall {
                id: "call-1".to_owned(),
                name: tool.to_owned(),
                arguments,
            }]))
            .says("done");
        self.home.say("search").await;
        let lines = self.home.transcript().await;
        lines[lines.len() - 2].clone()
    }

    async fn searches(&self) -> String {
        self.calls("search", json!({"query": "x"})).await
    }

    fn fail_next(&self, faults: &[Fault]) {
        let next = faults.iter().cloned().map(Some).collect();
        self.home.search.lock().unwrap().next = next;
    }

    async fn asks(&self) -> Arc<Outcome> {
        self.home.say("hello").await
    }

    fn searched(&self) -> usize {
        self.home.search.lock().unwrap().seen.len()
    }
}

/// A call whose arguments are refused without the gene and taken with it.
async fn of_shape(gene: &str, wrong: Value, right: Value) {
    let planted = planted().await;
    let before = planted.calls("search", wrong.clone()).await;
    let refused = ["bad arguments", "must be one JSON object"];
    assert!(
        refused.iter().any(|words| before.contains(words)),
        "{gene}: {before}"
    );
    planted.mend(gene).await;
    let after = planted.calls("search", wrong).await;
    assert!(after.contains("found"), "{gene}: {after}");
    let seen = planted.home.search.lock().unwrap().seen.clone();
    assert_eq!(seen, [right], "{gene}");
}

#[tokio::test]
async fn arguments_of_the_wrong_shape_are_mended_by_four_genes() {
    of_shape(
        "reshape-argument",
        json!({"query": "x", "limit": "12"}),
        json!({"query": "x", "limit": 12}),
    )
    .await;
    of_shape(
        "keep-argument-in-bounds",
        json!({"query": "x", "limit": 500}),
        json!({"query": "x", "limit": 50}),
    )
    .await;
    of_shape(
        "drop-unknown-argument",
        json!({"query": "x", "page": 2}),
        json!({"query": "x"}),
    )
    .await;
    of_shape(
        "unwrap-arguments",
        json!("{\"query\": \"x\"}"),
        json!({"query": "x"}),
    )
    .await;
}

#[tokio::test]
async fn a_read_that_fails_now_and_then_is_made_again() {
    let planted = planted().await;
    planted.fail_next(&[Fault::Fails]);
    assert!(planted.searches().await.contains("the search failed"));
    planted.mend("retry-flaky-read").await;
    planted.fail_next(&[Fault::Fails]);
    assert!(planted.searches().await.contains("found"));
}

#[tokio::test]
async fn a_read_that_ran_into_a_limit_waits_and_is_made_again() {
    let planted = planted().await;
    planted.fail_next(&[Fault::Limited]);
    assert!(planted.searches().await.contains("429"));
    let mut written = planted.written("retry-slow-down").await;
    let Act::Retry { pause_ms, .. } = &mut written.act else {
        panic!("{written:?}");
    };
    // Two seconds are none here.
    assert_eq!(std::mem::replace(pause_ms, 1), 2_000);
    planted.serve(written, "retry-slow-down").await;
    planted.fail_next(&[Fault::Limited]);
    assert!(planted.searches().await.contains("found"));
}

#[tokio::test]
async fn a_tool_with_a_limit_keeps_its_pace() {
    let planted = planted().await;
    planted.fail_next(&[Fault::Limited]);
    assert!(planted.searches().await.contains("429"));
    planted.mend("keep-the-pace").await;
    let before = planted.searched();
    for _ in 0..12 {
        planted.searches().await;
    }
    assert_eq!(planted.searched() - before, 10, "ten in a minute");
    planted.home.clock.advance(Duration::from_secs(61));
    assert!(planted.searches().await.contains("found"));
}

#[tokio::test]
async fn a_tool_that_is_down_is_left_alone_or_another_one_is_shown() {
    let planted = planted().await;
    planted.home.search.lock().unwrap().always = Some(Fault::Fails);
    assert!(planted.searches().await.contains("the search failed"));
    planted.mend("leave-alone-failing-tool").await;
    for _ in 0..6 {
        planted.searches().await;
    }
    assert_eq!(planted.searched(), 1 + 4, "four failures open it");
    planted.mend("use-other-tool").await;
    planted.home.say("which tools are there").await;
    let request = planted.home.script.requests().pop().unwrap();
    let shown: Vec<&str> = request
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert!(
        shown.contains(&"other_search") && !shown.contains(&"search"),
        "{shown:?}"
    );
    let line = planted.calls("other_search", json!({"query": "x"})).await;
    assert!(line.contains("found"), "{line}");
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_sooner_and_more_time_is_for_a_person() {
    let planted = planted().await;
    planted.fail_next(&[Fault::TimedOut]);
    assert!(planted.searches().await.contains("took longer than 60 s"));
    let longer = planted.written("wait-longer").await;
    let delta = instar_release::Delta::SetMitigation {
        agent: "main".to_owned(),
        id: longer.id.clone(),
        mitigation: Some(Box::new(longer)),
    };
    let stable = planted.home.releases.stable().unwrap();
    let after = delta.apply(&stable.behaviour).unwrap();
    let assessed = assess(&stable.behaviour, &[delta], &after, &Label::system());
    assert_eq!(assessed.class, Class::C);
    let mut written = planted.written("give-up-hanging-call").await;
    let Act::Patience { seconds, .. } = &mut written.act else {
        panic!("{written:?}");
    };
    // Twenty seconds are one here.
    assert_eq!(std::mem::replace(seconds, 1), 20);
    planted.serve(written, "give-up-hanging-call").await;
    planted.fail_next(&[Fault::Hangs]);
    assert!(planted.searches().await.contains("took longer than 1 s"));
}

#[tokio::test]
async fn a_model_that_breaks_off_is_asked_once_more_and_another_first_where_it_keeps_failing() {
    let planted = planted().await;
    planted.home.script.then(Reply::Broken);
    assert_eq!(planted.asks().await.status, OutcomeStatus::Failed);
    let again = planted.mend("ask-model-again").await;
    assert!(again.fault == "planted" && again.gene.starts_with("ask-model-again@"));
    planted.home.script.then(Reply::Cut).says("at last");
    let mended = planted.asks().await;
    assert_eq!(
        (mended.status, mended.text.as_str()),
        (OutcomeStatus::Ok, "at last")
    );
    assert_eq!(mended.model.as_ref().unwrap().as_str(), "test/one");
}

#[tokio::test]
async fn a_silent_model_is_given_up_and_another_one_is_asked_first() {
    let hasty = planted_with(1).await;
    hasty.home.script.then(Reply::Silent);
    // The second model answers, late: the first has used up the time of the turn.
    assert_eq!(hasty.asks().await.status, OutcomeStatus::Ok);
    let mut patience = hasty.written("give-up-silent-model").await;
    let first = hasty.written("ask-other-model-first").await;
    let Act::ModelPatience { seconds } = &mut patience.act else {
        panic!("{patience:?}");
    };
    // Thirty seconds are one here.
    assert_eq!(std::mem::replace(seconds, 1), 30);
    let planted = planted().await;
    planted.serve(patience, "give-up-silent-model").await;
    planted.home.script.then(Reply::Silent).says("the second");
    let answer = planted.asks().await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (OutcomeStatus::Ok, "the second")
    );
    planted.serve(first, "ask-other-model-first").await;
    planted.home.script.says("at once");
    let answer = planted.asks().await;
    assert_eq!(answer.model.as_ref().unwrap().as_str(), "test/two");
}

#[tokio::test]
async fn a_habit_of_the_model_is_answered_by_a_sentence() {
    let planted = planted().await;
    let line = planted.calls("search", json!({"limit": 3})).await;
    assert!(line.contains("is missing"), "{line}");
    planted.mend("say-what-is-needed").await;
    // A model that reads its prompt: it names what the prompt says is needed.
    planted.home.say("search").await;
    let request = planted.home.script.requests().pop().unwrap();
    let says = |words: &str| request.system.iter().any(|one| one.text.contains(words));
    assert!(says("A call of search always needs query."));

    let planted = self::planted().await;
    planted.home.search.lock().unwrap().always = Some(Fault::Fails);
    for number in 0..6 {
        // Other words each time, or the guard against circles would end the turn.
        planted.home.script.then(Reply::Calls(vec![ToolCall {
            id: "call-1".to_owned(),
            name: "search".to_owned(),
            arguments: json!({"query": format!("y{number}")}),
        }]));
    }
    planted.home.script.says("stuck");
    planted.home.say("search").await;
    planted.mend("say-not-twice").await;
    planted.home.say("search").await;
    let request = planted.home.script.requests().pop().unwrap();
    let says = |words: &str| request.system.iter().any(|one| one.text.contains(words));
    assert!(says("do not call it again with the same arguments"));
}
