//! A thread that swaps a folder for a link outwards, while every kind of access goes through it.

use instar_sandbox::root::{Inside, Replace, Root};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often each access is tried; `cargo xtask soak` asks for more.
fn tries() -> u32 {
    std::env::var("INSTAR_RACE_TRIES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100_000)
}

#[test]
fn a_swapping_thread_leads_no_access_out_of_the_root() {
    let home = tempfile::tempdir().unwrap();
    let (inside, outside) = (home.path().join("root"), home.path().join("outside"));
    for folder in [&inside, &outside] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::create_dir(inside.join("folder")).unwrap();
    std::fs::write(inside.join("folder/secret"), "inside").unwrap();
    for name in ["secret", "victim"] {
        std::fs::write(outside.join(name), "outside").unwrap();
    }
    symlink(&outside, inside.join("link")).unwrap();
    let root = Root::open(&inside).unwrap();
    let stop = AtomicBool::new(false);
    let (reached, refused) = std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{RenameFlags, renameat_with};
            while !stop.load(Ordering::Relaxed) {
                let swapped = renameat_with(&root, "folder", &root, "link", RenameFlags::EXCHANGE);
                assert_eq!(swapped, Ok(()));
            }
        });
        let counts = attack(&root);
        stop.store(true, Ordering::Relaxed);
        counts
    });
    assert!(
        reached > 0 && refused > 0,
        "no race: {reached} reached, {refused} refused"
    );
    let mut left: Vec<_> = std::fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["secret", "victim"]);
    for name in ["secret", "victim"] {
        assert_eq!(
            std::fs::read_to_string(outside.join(name)).unwrap(),
            "outside"
        );
    }
}

/// Tries each access in turn; tells how many went in and how many were refused.
fn attack(root: &Root) -> (u64, u64) {
    let [secret, made, victim, moved]: [Inside; 4] = [
        "folder/secret",
        "folder/made",
        "folder/victim",
        "folder/moved",
    ]
    .map(|name| name.parse().unwrap());
    let plain: Inside = "plain".parse().unwrap();
    let (mut reached, mut refused) = (0, 0);
    let mut count = |worked: bool| {
        if worked { reached += 1 } else { refused += 1 }
    };
    for turn in 0..tries() {
        match turn % 8 {
            0..=2 => {
                let read = root.read(&secret, 100);
                count(read.is_ok());
                assert_ne!(read.unwrap_or_default(), b"outside");
            }
            3 => count(root.write(&made, b"made").is_ok()),
            4 => count(root.create(&made, b"made").is_ok()),
            5 => {
                count(root.remove(&victim).is_ok());
                count(root.remove(&made).is_ok());
            }
            6 => {
                let _there = root.write(&plain, b"x");
                count(root.rename(&plain, &moved, Replace::Files).is_ok());
            }
            _ => count(root.list(&"folder".parse().unwrap(), 100).is_ok()),
        }
    }
    (reached, refused)
}
