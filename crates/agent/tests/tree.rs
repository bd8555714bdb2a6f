//! The transcript as a tree: answered once more, written anew, gone over to another branch.

use crate::support::{
    Home, Reply, Script, call, config, home, home_at, line, main_key, outcome, undated,
};
use instar_agent::{RewindError, SubmitError, Submitted};
use instar_protocol::live::{LiveEvent, Outcome, OutcomeStatus};
use instar_protocol::message::{Entry, EntryBody, Inbound, Place};
use instar_protocol::model::{ModelMessage, ModelRequest};
use instar_protocol::{EntryId, Principal, SessionKey};
use instar_store::EventFilter;
use instar_testkit::Seeded;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn placed(home: &Home, text: &str, place: Place) -> Inbound {
    let mut message = home.message(text);
    message.overrides.place = Some(place);
    message
}

fn under(parent: Option<&EntryId>) -> Place {
    Place::Under {
        parent: parent.cloned(),
    }
}

async fn edit(home: &Home, text: &str, parent: Option<&EntryId>) -> Arc<Outcome> {
    outcome(submit_edit(home, text, parent).await).await
}

async fn submit_edit(home: &Home, text: &str, parent: Option<&EntryId>) -> Submitted {
    let message = placed(home, text, under(parent));
    home.sessions.submit(message).await.unwrap()
}

async fn retry(home: &Home, entry: &EntryId) -> Result<Arc<Outcome>, SubmitError> {
    let place = Place::Again {
        entry: entry.clone(),
    };
    let submitted = home.sessions.submit(placed(home, "", place)).await?;
    Ok(outcome(submitted).await)
}

/// The path to the session's end, oldest first.
async fn path(home: &Home) -> Vec<Entry> {
    let row = home.row().await;
    let Some(leaf) = row.leaf else {
        return Vec::new();
    };
    let mut path = home
        .store
        .branch(&row.id, Some(leaf), 10_000)
        .await
        .unwrap();
    path.reverse();
    path
}

async fn shown(home: &Home) -> Vec<String> {
    path(home).await.iter().map(line).collect()
}

/// Why the conversation went over to other branches, oldest first.
async fn reasons(home: &Home) -> Vec<String> {
    let filter = EventFilter {
        kind: Some("branch".to_owned()),
        limit: 100,
        ..EventFilter::default()
    };
    let events = home.store.events(filter).await.unwrap();
    let told = |event| {
        serde_json::to_value(event).unwrap()["why"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    events.into_iter().rev().map(told).collect()
}

#[tokio::test]
async fn a_message_is_answered_once_more_and_written_anew_and_both_ways_stay() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.script.says("one").says("two").says("three");
    home.say("first").await;
    let before = path(&home).await;
    // Asked of the answer, it is the question that is answered once more.
    assert_eq!(retry(&home, &before[1].id).await.unwrap().text, "two");
    assert_eq!(shown(&home).await, ["user: first", "agent: two"]);
    assert_eq!(edit(&home, "second", None).await.text, "three");
    assert_eq!(shown(&home).await, ["user: second", "agent: three"]);
    let requests = home.script.requests();
    assert_eq!(requests[0].messages, requests[1].messages);
    assert_eq!(requests[2].messages.len(), 1);

    let row = home.row().await;
    let all = vec![None, Some(before[0].id.clone())];
    let forks = home.store.forks(&row.id, all).await.unwrap();
    assert_eq!(
        forks
            .iter()
            .map(|fork| fork.children.len())
            .collect::<Vec<_>>(),
        [2, 2]
    );
    // The newest branch through the first message is the second answer.
    assert!(home.sessions.switch(&row.id, &before[0].id).await.unwrap());
    assert!(!home.sessions.switch(&row.id, &before[0].id).await.unwrap());
    assert_eq!(shown(&home).await, ["user: first", "agent: two"]);
    assert!(home.sessions.switch(&row.id, &before[1].id).await.unwrap());
    assert_eq!(shown(&home).await, ["user: first", "agent: one"]);
    assert!(home.sessions.rewind(&row.id, None).await.unwrap());
    assert_eq!(shown(&home).await, [""; 0]);
    home.say("third").await;
    assert_eq!(shown(&home).await, ["user: third", "agent: echo third"]);
    assert_eq!(home.entries().await.len(), 7);
    assert_eq!(reasons(&home).await, ["retry", "edit", "switch", "switch"]);
}

#[tokio::test]
async fn a_wrong_place_is_refused_before_anything_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.say("here").await;
    let other = SessionKey::parse("agent:main:explicit:other").unwrap();
    let elsewhere = crate::support::inbound(&home.clock, &other, "there");
    outcome(home.sessions.submit(elsewhere).await.unwrap()).await;
    let row = home.store.session_by_key(&other).await.unwrap().unwrap();
    let strange = [EntryId::from_stored("ent_none"), row.leaf.unwrap()];
    let count = home.entries().await.len();
    let mine = home.row().await;
    for entry in &strange {
        let refused = retry(&home, entry).await;
        assert!(
            matches!(refused, Err(SubmitError::UnknownEntry(_))),
            "{refused:?}"
        );
        let message = placed(&home, "x", under(Some(entry)));
        let refused = home.sessions.submit(message).await;
        assert!(
            matches!(refused, Err(SubmitError::UnknownEntry(_))),
            "{refused:?}"
        );
        let refused = home.sessions.switch(&mine.id, entry).await;
        assert!(
            matches!(refused, Err(RewindError::UnknownEntry(_))),
            "{refused:?}"
        );
        let refused = home.sessions.rewind(&mine.id, Some(entry)).await;
        assert!(
            matches!(refused, Err(RewindError::UnknownEntry(_))),
            "{refused:?}"
        );
    }
    let refused = home
        .sessions
        .submit(placed(&home, "/new", under(None)))
        .await;
    assert!(
        matches!(refused, Err(SubmitError::Misplaced(_))),
        "{refused:?}"
    );
    // Somebody else cannot have the owner's words run, nor with the owner's rights.
    let mut foreign = placed(
        &home,
        "",
        Place::Again {
            entry: mine.leaf.unwrap(),
        },
    );
    foreign.principal = Principal::Contact { id: "c".to_owned() };
    let refused = home.sessions.submit(foreign).await;
    assert!(
        matches!(refused, Err(SubmitError::Misplaced(_))),
        "{refused:?}"
    );
    assert_eq!(home.entries().await.len(), count);
    assert!(home.store.unfinished().await.unwrap().inbox.is_empty());
}

#[tokio::test]
async fn words_of_another_keep_their_standing_when_the_owner_asks_again() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let mut foreign = home.message("from outside");
    let contact = Principal::Contact { id: "c".to_owned() };
    foreign.principal = contact.clone();
    outcome(home.sessions.submit(foreign).await.unwrap()).await;
    let leaf = home.row().await.leaf.unwrap();
    let place = Place::Again { entry: leaf };
    let again = home
        .sessions
        .submit(placed(&home, "", place))
        .await
        .unwrap();
    let id = again.inbound.clone();
    outcome(again).await;
    let stored = home.store.inbound(&id).await.unwrap().unwrap();
    assert_eq!(stored.inbound.principal, contact);
}

#[tokio::test]
async fn what_waits_keeps_its_place_over_a_crash_and_is_answered_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.say("one").await;
    home.say("two").await;
    let before = path(&home).await;
    home.script.then(Reply::Stall("par".to_owned()));
    let mut live = submit_edit(&home, "two, better", before[2].parent.as_ref())
        .await
        .live;
    while !matches!(&*live.recv().await.unwrap(), LiveEvent::Text { .. }) {}
    let clock = home.clock.clone();
    home.store.close().await.unwrap();
    drop(home);
    let script = Arc::new(Script::default());
    let home = home_at(folder.path(), config(json!({})), clock, script).await;
    // Nothing of the turn was stored: the session is where it was.
    assert_eq!(path(&home).await, before);
    assert_eq!(home.sessions.recover().await.unwrap(), (1, 0, 0));
    while !home.store.unfinished().await.unwrap().inbox.is_empty() {
        tokio::task::yield_now().await;
    }
    let expected = [
        "user: one",
        "agent: echo one",
        "user: two, better",
        "agent: echo two, better",
    ];
    assert_eq!(shown(&home).await, expected);
    assert_eq!(home.script.calls(), 1);
}

#[tokio::test]
async fn an_old_place_starts_nothing_over_and_a_stopped_edit_leaves_a_branch() {
    let folder = tempfile::tempdir().unwrap();
    let settings = json!({"session": {"reset": {"mode": "idle", "idleMinutes": 5}}});
    let home = crate::support::home_with(folder.path(), config(settings)).await;
    home.say("one").await;
    home.say("two").await;
    let before = path(&home).await;
    home.clock.advance(Duration::from_secs(3_600));
    retry(&home, &before[3].id).await.unwrap();
    assert_eq!(home.script.requests()[2].messages.len(), 3);
    home.script.then(Reply::Stall("half".to_owned()));
    let mut edited = submit_edit(&home, "other", Some(&before[1].id)).await;
    while !matches!(&*edited.live.recv().await.unwrap(), LiveEvent::Text { .. }) {}
    // While the turn runs nothing else moves the session.
    let row = home.row().await;
    let busy = home.sessions.switch(&row.id, &before[3].id).await;
    assert!(matches!(busy, Err(RewindError::Busy)), "{busy:?}");
    assert!(home.sessions.stop(&main_key()).await);
    assert_eq!(outcome(edited).await.status, OutcomeStatus::Aborted);
    let lines = shown(&home).await;
    assert_eq!(lines[..2], ["user: one", "agent: echo one"]);
    assert_eq!(lines[2..4], ["user: other", "agent, cut: half"]);
    assert_eq!(home.entries().await.len(), 4 + 1 + 3);
}

#[tokio::test]
async fn a_branch_becomes_a_conversation_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    for n in 1..=5 {
        home.say(&format!("turn {n}")).await;
    }
    home.say("/compact").await;
    home.say("last").await;
    let before = path(&home).await;
    let row = home.row().await;
    let last = before
        .iter()
        .rev()
        .find(|entry| line(entry) == "user: last")
        .unwrap();
    let key = SessionKey::parse("agent:main:explicit:fork").unwrap();
    let forked = home.sessions.fork(&row.id, &last.id, &key).await.unwrap();
    assert_eq!(forked.cut_before.as_ref(), Some(last));
    let mut copy = home.store.branch(&forked.session, None, 100).await.unwrap();
    copy.reverse();
    let place = before.iter().position(|entry| entry.id == last.id).unwrap();
    let lines = |entries: &[Entry]| entries.iter().map(line).collect::<Vec<_>>();
    assert_eq!(lines(&copy), lines(&before[..place]));
    assert_eq!(path(&home).await, before, "the other one stays as it is");
    // The same words there lead to the same question, with the summary and what it kept.
    let message = crate::support::inbound(&home.clock, &key, "last");
    outcome(home.sessions.submit(message).await.unwrap()).await;
    let requests = home.script.requests();
    let [.., first, second] = requests.as_slice() else {
        panic!("two requests")
    };
    assert_eq!(first.messages.len(), second.messages.len());
    let all: Vec<EntryId> = before.iter().map(|entry| entry.id.clone()).collect();
    assert!(copy.iter().all(|entry| !all.contains(&entry.id)));

    let (first, leaf) = (&before[0].id, &before[1].id);
    for (n, (entry, lines)) in [(first, 0), (leaf, 2)].into_iter().enumerate() {
        let key = SessionKey::parse(&format!("agent:main:explicit:fork{n}")).unwrap();
        let forked = home.sessions.fork(&row.id, entry, &key).await.unwrap();
        let found = home.store.session_by_key(&key).await.unwrap().unwrap();
        assert_eq!((found.id, found.entries), (forked.session, lines));
    }
}

/// Random acts upon one conversation, over crashes; after each the tree is whole.
#[tokio::test]
async fn whatever_is_done_to_a_transcript_its_path_is_whole_and_nothing_is_lost() {
    for game in 0..8 {
        let mut chance = Seeded::new(3_301 + game);
        let folder = tempfile::tempdir().unwrap();
        let mut home = home(folder.path()).await;
        let mut known: BTreeMap<EntryId, Entry> = BTreeMap::new();
        home.say("begin").await;
        for _ in 0..60 {
            act(&mut chance, &home, &known).await;
            known = check(&home, &known).await;
            if chance.chance(5) {
                let clock = home.clock.clone();
                home.store.close().await.unwrap();
                drop(home);
                let script = Arc::new(Script::default());
                home = home_at(folder.path(), config(json!({})), clock, script).await;
                home.sessions.recover().await.unwrap();
            }
        }
        assert!(known.len() > 40, "the game was played: {}", known.len());
    }
}

async fn act(chance: &mut Seeded, home: &Home, known: &BTreeMap<EntryId, Entry>) {
    match chance.below(4) {
        0 => drop(
            home.script
                .then(Reply::Calls(vec![call("a", "look", 1), call("b", "no", 2)])),
        ),
        1 if chance.chance(30) => drop(home.script.then(Reply::Broken)),
        _ => {}
    }
    let all: Vec<&Entry> = known.values().collect();
    let Some(entry) = chance.pick(&all).copied() else {
        return;
    };
    let row = home.row().await;
    match chance.below(7) {
        0 | 1 => {
            let text =
                ["hello", "/help", "/compact", "/new"][usize::try_from(chance.below(4)).unwrap()];
            home.say(text).await;
        }
        2 => match retry(home, &entry.id).await {
            Ok(_) | Err(SubmitError::Misplaced(_)) => {}
            Err(error) => panic!("{error}"),
        },
        3 => drop(edit(home, "written anew", entry.parent.as_ref()).await),
        4 => drop(edit(home, "hung under", Some(&entry.id)).await),
        5 => {
            let to = chance.chance(80).then_some(&entry.id);
            home.sessions.rewind(&row.id, to).await.unwrap();
        }
        _ => {
            home.sessions.switch(&row.id, &entry.id).await.unwrap();
            let leaf = home.row().await.leaf.unwrap();
            let under: Vec<_> = known
                .values()
                .filter(|one| one.parent.as_ref() == Some(&leaf))
                .collect();
            assert!(under.is_empty(), "a branch ends where nothing hangs under");
        }
    }
    for request in home.script.seen.lock().unwrap().drain(..) {
        check_request(&request);
    }
}

/// Every entry that there was is there still; every one hangs under one stored before it.
async fn check(home: &Home, known: &BTreeMap<EntryId, Entry>) -> BTreeMap<EntryId, Entry> {
    let entries = home.entries().await;
    let mut all: BTreeMap<EntryId, Entry> = BTreeMap::new();
    for entry in entries {
        if let Some(parent) = &entry.parent {
            assert!(all.contains_key(parent), "{} hangs in the air", entry.id);
        }
        all.insert(entry.id.clone(), entry);
    }
    for (id, entry) in known {
        assert_eq!(all.get(id), Some(entry), "{id} was changed or lost");
    }
    let row = home.row().await;
    assert_eq!(row.entries, all.len() as u64);
    let mut next = row.leaf;
    let mut steps = 0;
    while let Some(id) = next.take() {
        next.clone_from(&all[&id].parent);
        steps += 1;
        assert!(steps <= all.len(), "the path ends");
    }
    for (id, entry) in &all {
        if let EntryBody::ToolResult { .. } = entry.body {
            let parent = &all[entry.parent.as_ref().unwrap()];
            let follows = matches!(
                parent.body,
                EntryBody::Assistant { .. } | EntryBody::ToolResult { .. }
            );
            assert!(follows, "{id} is the result of nothing");
        }
    }
    all
}

/// What the model was sent is what every vendor takes: a person's words last or a result, each call
/// with its results behind it, no result without its call.
fn check_request(request: &ModelRequest) {
    let mut open: Vec<String> = Vec::new();
    for message in &request.messages {
        match message {
            ModelMessage::User { .. } => assert!(open.is_empty(), "{open:?} have no result"),
            ModelMessage::Assistant { tool_calls, .. } => {
                assert!(open.is_empty(), "{open:?} have no result");
                open = tool_calls.iter().map(|call| call.id.clone()).collect();
            }
            ModelMessage::Tool { call_id, .. } => {
                let place = open.iter().position(|id| id == call_id);
                open.remove(place.unwrap_or_else(|| panic!("{call_id} was not called")));
            }
        }
    }
    assert!(open.is_empty(), "{open:?} have no result");
    let last = request.messages.last().unwrap();
    match last {
        ModelMessage::User { parts } => assert!(!undated(parts).is_empty()),
        ModelMessage::Tool { .. } => {}
        ModelMessage::Assistant { .. } => panic!("nobody asks: {last:?}"),
    }
}
