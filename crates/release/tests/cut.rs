//! A store whose log is cut at every write of a rollout: what is found is the state before a move or after it, and
//! never a mixture.

use instar_release::rollout::{Plan, Stage};
use instar_release::{Releases, STABLE, Signer};
use instar_store::{CandidateState, Options, Store};
use std::path::Path;

use crate::traffic::{House, Rates, plan};

/// The header of a log, and of each of its frames; then comes a page.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

fn number(bytes: &[u8], at: usize) -> usize {
    let four: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    usize::try_from(u32::from_be_bytes(four)).unwrap()
}

/// Where each commit ends, and a place in the middle of the one after it.
fn cuts(log: &[u8]) -> Vec<usize> {
    let frame = FRAME_HEADER + number(log, 8);
    let mut cuts = vec![0];
    let mut commits = 0;
    for end in (HEADER + frame..=log.len()).step_by(frame) {
        if number(log, end - frame + 4) > 0 {
            cuts.push(end);
            commits += 1;
            // A write that is cut in the middle is none; now and then is enough to see that.
            if commits % 5 == 0 {
                cuts.push((end + frame / 2).min(log.len()));
            }
        }
    }
    cuts
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a store that was cut there says. None where it was cut before there was anything.
async fn found(folder: &Path, house: &House) -> Option<Stage> {
    let store = Store::open(folder, Options::default()).unwrap();
    let stable = store.alias(STABLE).await.unwrap()?;
    let signer = Signer::of_seed(&[1; 32]).unwrap();
    let now = instar_protocol::Timestamp::from_millis(house.now);
    let releases = Releases::open_signed(store.clone(), signer, now)
        .await
        .unwrap();
    releases.take_up_rollout(now, [7; 10]).await.unwrap();
    let signer = releases.signer().unwrap();
    let verified = releases.verify(signer, None, true, &[]).await.unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    let shown = releases.rollouts(1).await.unwrap().pop()?;
    let state = releases.candidate(&shown.candidate).await.unwrap().state;
    let stage = shown.view.stage.clone();
    let expected = match &stage {
        Stage::Promoted => (&shown.release, CandidateState::Promoted),
        Stage::RolledBack { .. } => (&shown.stable, CandidateState::RolledBack),
        _ => (&shown.stable, CandidateState::Open),
    };
    assert_eq!((&stable, state), expected, "{stage:?}");
    assert_eq!(shown.ended_at.is_none(), releases.rollout().is_some());
    // Each judged unit is in the machine, and the machine has no other.
    let units = releases.settled_units(&shown.id, 1_000).await.unwrap();
    assert_eq!(units.len() as u64, shown.view.settled);
    drop(releases);
    store.close().await.unwrap();
    Some(stage)
}

async fn cut_everywhere(rates: Rates) -> (Stage, usize) {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let mut plan = Plan { ..plan(0.5) };
    for metric in plan.metrics.values_mut() {
        metric.margin = 0.4;
    }
    house.start(&candidate, plan).await.unwrap();
    let ended = house.traffic(rates, 400).await.unwrap();
    let log = std::fs::read(house.folder.path().join("instar.sqlite-wal")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let (mut seen, mut before) = (0, 0);
    for (number, cut) in cuts(&log).into_iter().enumerate() {
        let folder = scratch.path().join(number.to_string());
        copy(house.folder.path(), &folder);
        let _gone = std::fs::remove_file(folder.join("instar.sqlite-shm"));
        std::fs::write(folder.join("instar.sqlite-wal"), &log[..cut]).unwrap();
        let stage = found(&folder, &house).await;
        if stage.as_ref() == Some(&ended) {
            seen += 1;
        } else {
            assert_eq!(seen, 0, "what was decided is not undone by a later write");
            before += 1;
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
    assert!(seen > 0, "the last write has the end");
    (ended, before)
}

#[tokio::test]
async fn cut_at_any_write_of_a_promotion_the_state_is_old_or_new() {
    let even = Rates {
        stable: 0.02,
        canary: 0.02,
    };
    let (ended, before) = cut_everywhere(even).await;
    assert_eq!(ended, Stage::Promoted);
    assert!(before > 10, "{before}");
}

#[tokio::test]
async fn cut_at_any_write_of_a_rollback_the_state_is_old_or_new() {
    let bad = Rates {
        stable: 0.02,
        canary: 0.9,
    };
    let (ended, before) = cut_everywhere(bad).await;
    assert!(matches!(ended, Stage::RolledBack { .. }), "{ended:?}");
    assert!(before > 10, "{before}");
}
