//! Forks, ends and the newest branch under an entry, also against a plain model.

use instar_protocol::EntryId;
use instar_protocol::message::{Entry, EntryBody, Part, plain_text};
use instar_protocol::principal::{Principal, Via};
use instar_store::{Branch, Fork, Op, SessionPatch, Store};
use proptest::prelude::*;

use crate::given::{entry, entry_id, reset, session, session_id, store};

fn user(number: u64, parent: Option<u64>) -> Entry {
    Entry {
        body: EntryBody::User {
            parts: vec![Part::text(format!("said {number}"))],
            principal: Principal::Owner { via: Via::Token },
            inbound: None,
            surface: "web".to_owned(),
        },
        ..entry(1, number, parent)
    }
}

async fn put(store: &Store, entries: Vec<Entry>, leaf: Option<u64>) {
    let mut ops = vec![Op::PutSession(session(1)), Op::PutSession(session(2))];
    ops.extend(entries.into_iter().map(Op::AppendEntry));
    let patch = SessionPatch {
        leaf: Some(leaf.map(entry_id)),
        ..SessionPatch::default()
    };
    let id = session_id(1);
    ops.push(Op::PatchSession { id, patch });
    store.commit(ops).await.unwrap();
}

/// Leaf, messages, the last words, and whether it is the active one.
fn told(branch: &Branch) -> (EntryId, u64, Option<String>, bool) {
    let said = branch.said.as_ref().map(|entry| match &entry.body {
        EntryBody::User { parts, .. } => plain_text(parts),
        other => format!("{other:?}"),
    });
    (branch.leaf.clone(), branch.messages, said, branch.is_active)
}

#[tokio::test]
async fn a_transcript_tells_its_forks_and_its_branches() {
    let (_folder, store) = store();
    let entries = vec![
        user(1, None),
        entry(1, 2, Some(1)),
        user(3, Some(2)),
        user(4, Some(2)),
        user(5, None),
        reset(1, 6, Some(3)),
        user(7, Some(6)),
        entry(2, 8, None),
    ];
    put(&store, entries, Some(2)).await;
    let parents = vec![
        None,
        Some(entry_id(1)),
        Some(entry_id(2)),
        Some(entry_id(8)),
    ];
    let forks = store.forks(&session_id(1), parents).await.unwrap();
    let fork = |parent: Option<u64>, children: [u64; 2]| Fork {
        parent: parent.map(entry_id),
        children: children.map(entry_id).to_vec(),
    };
    assert_eq!(forks, [fork(None, [1, 5]), fork(Some(2), [3, 4])]);

    let found = store.branches(&session_id(1), 10).await.unwrap();
    let said = |number: u64| Some(format!("said {number}"));
    let expected = [
        (entry_id(7), 1, said(7), false),
        (entry_id(5), 1, said(5), false),
        (entry_id(4), 2, said(4), false),
        (entry_id(2), 1, said(1), true),
    ];
    assert_eq!(
        found.branches.iter().map(told).collect::<Vec<_>>(),
        expected
    );
    assert!(!found.is_cut);
    let two = store.branches(&session_id(1), 2).await.unwrap();
    assert_eq!((two.branches.len(), two.is_cut), (2, true));

    for (from, newest) in [
        (1, Some(7)),
        (3, Some(7)),
        (4, Some(4)),
        (8, None),
        (99, None),
    ] {
        let found = store.newest_under(&session_id(1), &entry_id(from)).await;
        assert_eq!(found.unwrap(), newest.map(entry_id), "under {from}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ends_and_newest_branches_are_those_of_a_plain_tree(
        shape in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        // Each entry hangs under the root or an earlier one.
        let parents: Vec<Option<u64>> = shape
            .iter()
            .enumerate()
            .map(|(made, index)| index.index(made + 1).checked_sub(1))
            .map(|above| above.map(|above| above as u64 + 1))
            .collect();
        let count = parents.len() as u64;
        let entries = (1..).zip(&parents).map(|(n, parent)| user(n, *parent)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, store) = store();
            put(&store, entries, None).await;
            let under = |n: u64| (1..).zip(&parents).filter(move |(_, parent)| **parent == Some(n));
            let mut ends: Vec<EntryId> =
                (1..=count).filter(|n| under(*n).next().is_none()).map(entry_id).collect();
            ends.reverse();
            let found = store.branches(&session_id(1), 1_000).await.unwrap();
            let found: Vec<EntryId> = found.branches.into_iter().map(|one| one.leaf).collect();
            assert_eq!(found, ends);
            let descends = |mut n: u64, from: u64| loop {
                if n == from {
                    return true;
                }
                match parents[usize::try_from(n).unwrap() - 1] {
                    Some(above) => n = above,
                    None => return false,
                }
            };
            for from in 1..=count {
                let newest = (from..=count).rev().find(|n| descends(*n, from)).map(entry_id);
                let found = store.newest_under(&session_id(1), &entry_id(from)).await.unwrap();
                assert_eq!(found, newest);
            }
            let all: Vec<Option<EntryId>> =
                std::iter::once(None).chain((1..=count).map(|n| Some(entry_id(n)))).collect();
            let forks = store.forks(&session_id(1), all).await.unwrap();
            let known: usize = forks.iter().map(|fork| fork.children.len()).sum();
            let single = (1..=count).filter(|n| under(*n).count() == 1).count()
                + usize::from(parents.iter().filter(|parent| parent.is_none()).count() == 1);
            assert_eq!(known + single, parents.len());
        });
    }
}
