//! Every gene of the house against its fault, all the way: the agent fails, its events are read, the gene
//! writes a change, the change becomes a release, and the same agent does not fail any more.

use crate::support::{Fault, Home, Nature, Reply, config, home_with};
use instar_improve::gene::{Catalogue, Clock, Pages, Symptom};
use instar_improve::signal::{Sign, Watch};
use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::model::ModelRequest;
use instar_protocol::{Clock as _, Label};
use instar_release::Class;
use instar_release::class::assess;
use instar_release::mitigation::{Act, Mitigation};
use instar_store::EventFilter;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

pub(crate) struct Planted {
    _folder: tempfile::TempDir,
    pub(crate) home: Home,
}

/// A house whose agent asks two models in turn.
pub(crate) async fn planted() -> Planted {
    planted_with(600).await
}

pub(crate) async fn planted_with(timeout_seconds: u32) -> Planted {
    planted_of(timeout_seconds, &["test/two"]).await
}

pub(crate) async fn planted_of(timeout_seconds: u32, fallbacks: &[&str]) -> Planted {
    let folder = tempfile::tempdir().unwrap();
    let settings = json!({
        "learning": {"content": "redacted"},
        "agents": {"defaults": {"timeoutSeconds": timeout_seconds}},
    });
    let home = home_with(folder.path(), config(settings)).await;
    let mut behaviour = home.releases.stable().unwrap().behaviour.clone();
    let main = behaviour.agents.get_mut("main").unwrap();
    main.route.fallbacks = fallbacks.iter().map(|&model| model.to_owned()).collect();
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
pub(crate) fn random() -> [u8; 10] {
    static NEXT: AtomicU8 = AtomicU8::new(10);
    [NEXT.fetch_add(1, Ordering::Relaxed); 10]
}

impl Planted {
    /// The signs in everything that happened so far.
    pub(crate) async fn signs(&self) -> Vec<Sign> {
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
    pub(crate) async fn written(&self, gene: &str) -> Mitigation {
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
                clock: Clock::default(),
                pages: Pages::default(),
                notes: Vec::new(),
            };
            let all = catalogue.propose(&symptom, "main", &stable.behaviour);
            let mut all = all.unwrap().into_iter();
            let found = all.find(|(one, answer)| one.id == gene && answer.is_ok());
            if let Some((_, Ok(proposal))) = found {
                return proposal.mitigation().unwrap().clone();
            }
        }
        panic!("{gene} writes nothing about {signs:?}");
    }

    /// Puts what the gene writes into service, for every unit.
    pub(crate) async fn mend(&self, gene: &str) -> Mitigation {
        let written = self.written(gene).await;
        self.serve(written, gene).await
    }

    pub(crate) async fn serve(&self, written: Mitigation, gene: &str) -> Mitigation {
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
    pub(crate) async fn calls(&self, tool: &str, arguments: Value) -> String {
        self.home
            .script
            .then(Reply::named(tool, arguments))
            .says("done");
        self.home.say("search").await;
        let lines = self.home.transcript().await;
        lines[lines.len() - 2].clone()
    }

    /// A turn of a model that reads what it is shown; the line of its result.
    pub(crate) async fn reads(&self, read: fn(&ModelRequest) -> Reply) -> String {
        self.home.script.then(Reply::Reads(read)).says("done");
        self.home.say("search").await;
        let lines = self.home.transcript().await;
        lines[lines.len() - 2].clone()
    }

    /// So many searches with so much time between them, and what came of each.
    pub(crate) async fn searches_for(&self, calls: usize, apart: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..calls {
            lines.push(self.searches().await);
            self.home.clock.advance(apart);
        }
        lines
    }

    pub(crate) async fn searches(&self) -> String {
        self.calls("search", json!({"query": "x"})).await
    }

    pub(crate) fn fail_next(&self, faults: &[Fault]) {
        let next = faults.iter().cloned().map(Some).collect();
        self.home.search.lock().unwrap().next = next;
    }

    pub(crate) async fn asks(&self) -> Arc<Outcome> {
        self.home.say("hello").await
    }

    pub(crate) fn searched(&self) -> usize {
        self.home.search.lock().unwrap().seen.len()
    }
}

/// The prompt says this.
pub(crate) fn says(request: &ModelRequest, words: &str) -> bool {
    request.system.iter().any(|one| one.text.contains(words))
}

/// How many of these lines have the words.
pub(crate) fn count(lines: &[String], words: &str) -> usize {
    lines.iter().filter(|line| line.contains(words)).count()
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
async fn arguments_of_the_wrong_shape_are_mended_by_six_genes() {
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
        "rename-argument",
        json!({"query": "x", "limits": 3}),
        json!({"query": "x", "limit": 3}),
    )
    .await;
    // What is missing was given under another name.
    of_shape("rename-argument", json!({"q": "x"}), json!({"query": "x"})).await;
    of_shape(
        "tidy-word",
        json!({"query": "x", "sort": "\" New \""}),
        json!({"query": "x", "sort": "new"}),
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
    planted.home.search.lock().unwrap().nature = Some(Nature::PerMinute(10));
    // The eleventh call comes a fifth of a second before the first is a minute old.
    let apart = Duration::from_millis(5_980);
    let before = planted.searches_for(11, apart).await;
    assert_eq!(count(&before, "429"), 1, "{before:?}");
    planted.mend("keep-the-pace").await;
    planted.home.clock.advance(Duration::from_secs(120));
    let clock = planted.home.clock.clone();
    let ticks = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            clock.advance(Duration::from_millis(10));
        }
    });
    let after = planted.searches_for(11, apart).await;
    ticks.abort();
    assert_eq!(count(&after, "found"), 11, "{after:?}");
}

#[tokio::test]
async fn a_tool_that_is_down_is_left_alone() {
    let planted = planted().await;
    // It comes back only if nobody calls it for two minutes.
    planted.home.search.lock().unwrap().nature = Some(Nature::Sulks(120));
    let apart = Duration::from_secs(30);
    let before = planted.searches_for(16, apart).await;
    assert_eq!(count(&before, "found"), 0, "{before:?}");
    planted.mend("leave-alone-failing-tool").await;
    let made = planted.searched();
    let after = planted.searches_for(16, apart).await;
    assert!(count(&after, "found") > 0, "{after:?}");
    assert!(planted.searched() - made < 16);
}

#[tokio::test]
async fn another_tool_is_shown_where_one_keeps_failing() {
    let planted = planted().await;
    planted.home.search.lock().unwrap().always = Some(Fault::Fails);
    let takes_what_is_shown = |request: &ModelRequest| {
        let is_shown = request.tools.iter().any(|tool| tool.name == "search");
        let tool = if is_shown { "search" } else { "other_search" };
        Reply::named(tool, json!({"query": "x"}))
    };
    let before = planted.reads(takes_what_is_shown).await;
    assert!(before.contains("the search failed"), "{before}");
    planted.mend("use-other-tool").await;
    let after = planted.reads(takes_what_is_shown).await;
    assert!(after.contains("found"), "{after}");
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_before_the_turn_is() {
    let planted = planted_with(3).await;
    planted.fail_next(&[Fault::TimedOut]);
    assert!(planted.searches().await.contains("took longer than 60 s"));
    let hangs = async || {
        planted.fail_next(&[Fault::Hangs]);
        planted
            .home
            .script
            .then(Reply::named("search", json!({"query": "x"})))
            .says("without it");
        let outcome = planted.home.say("search").await;
        planted.home.script.replies.lock().unwrap().clear();
        (outcome.status, outcome.text.clone())
    };
    assert_ne!(hangs().await.0, OutcomeStatus::Ok);
    let mut written = planted.written("give-up-hanging-call").await;
    let Act::Patience { seconds, .. } = &mut written.act else {
        panic!("{written:?}");
    };
    // Twenty seconds are one here.
    assert_eq!(std::mem::replace(seconds, 1), 20);
    planted.serve(written, "give-up-hanging-call").await;
    assert_eq!(hangs().await, (OutcomeStatus::Ok, "without it".to_owned()));
}

#[tokio::test]
async fn a_call_that_is_slow_gets_more_time_and_a_person_decides_it() {
    let planted = planted().await;
    let mut behaviour = planted.home.releases.stable().unwrap().behaviour.clone();
    // A minute is a second here.
    let settings = instar_release::ToolSettings {
        seconds: Some(1),
        ..instar_release::ToolSettings::default()
    };
    let main = behaviour.agents.get_mut("main").unwrap();
    main.tools.insert("search".to_owned(), settings);
    let now = planted.home.clock.now();
    let releases = &planted.home.releases;
    releases
        .adopt(behaviour, "test", "hasty", now, random())
        .await
        .unwrap();
    planted.home.search.lock().unwrap().nature = Some(Nature::Takes(1_300));
    let before = planted.searches().await;
    assert!(before.contains("took longer than 1 s"), "{before}");
    let longer = planted.written("wait-longer").await;
    let delta = instar_release::Delta::SetMitigation {
        agent: "main".to_owned(),
        id: longer.id.clone(),
        mitigation: Some(Box::new(longer.clone())),
    };
    let stable = releases.stable().unwrap();
    let after = delta.apply(&stable.behaviour).unwrap();
    let assessed = assess(&stable.behaviour, &[delta], &after, &Label::system());
    assert_eq!(assessed.class, Class::C);
    planted.serve(longer, "wait-longer").await;
    let after = planted.searches().await;
    assert!(after.contains("found"), "{after}");
}

#[tokio::test]
async fn text_that_came_escaped_is_read() {
    let planted = planted().await;
    let escaped = json!({"query": "high%20water"});
    let before = planted.calls("search", escaped.clone()).await;
    assert!(
        before.contains("nothing is called high%20water"),
        "{before}"
    );
    planted.mend("read-escaped-text").await;
    let after = planted.calls("search", escaped).await;
    assert!(
        after.contains("found") && after.contains("high water"),
        "{after}"
    );
}
