//! Random trees of links and missing parts: whatever is asked, nothing outside the root changes.

use instar_sandbox::root::{Entry, Go, Inside, Kind, Replace, Root, RootError, WalkLimits, now};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const SECRET: &[u8] = b"outside";

#[derive(Clone, Debug)]
enum Plant {
    File(Vec<u8>),
    Folder,
    Link(&'static str),
}

#[derive(Clone, Debug)]
enum Act {
    Read,
    Create,
    Write,
    RenameTo(String),
    Remove,
    RemoveTree,
    CreateFolder,
    List,
    Walk,
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
        .prop_map(|parts| parts.join("/"))
}

fn plant() -> impl Strategy<Value = Plant> {
    prop_oneof![
        Just(Plant::File(b"inside".to_vec())),
        Just(Plant::Folder),
        prop::sample::select(vec![
            "..",
            "../outside",
            "../outside/secret",
            "/proc/self/root",
            "/proc/self/cwd",
            "a",
            "b",
            "../root",
            "../outside/new",
            ".",
        ])
        .prop_map(Plant::Link),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Read),
        Just(Act::Create),
        Just(Act::Write),
        name().prop_map(Act::RenameTo),
        Just(Act::Remove),
        Just(Act::RemoveTree),
        Just(Act::CreateFolder),
        Just(Act::List),
        Just(Act::Walk),
    ]
}

fn lay(root: &Path, plants: &[(String, Plant)]) {
    for (name, plant) in plants {
        // A clash with what was planted before is as good a tree as any.
        let path = root.join(name);
        let inside = path
            .parent()
            .and_then(|above| {
                std::fs::create_dir_all(above).ok()?;
                above.canonicalize().ok()
            })
            .is_some_and(|above| above.starts_with(root));
        if !inside {
            continue;
        }
        let _clash = match plant {
            Plant::File(bytes) => {
                if path.symlink_metadata().is_err() {
                    std::fs::write(&path, bytes).ok()
                } else {
                    None
                }
            }
            Plant::Folder => std::fs::create_dir(&path).ok(),
            Plant::Link(to) => symlink(to, &path).ok(),
        };
    }
}

fn play(root: &Root, name: &Inside, act: &Act) -> Result<Vec<u8>, RootError> {
    match act {
        Act::Read => return root.read(name, 100),
        Act::Create => root.create(name, b"made")?,
        Act::Write => root.write(name, b"written")?,
        Act::RenameTo(to) => root.rename(name, &to.parse()?, Replace::Files)?,
        Act::Remove => root.remove(name)?,
        Act::RemoveTree => root.remove_tree(name)?,
        Act::CreateFolder => root.create_folder(name)?,
        Act::List => drop(root.list(name, 100)?),
        Act::Walk => {
            root.walk(name, WalkLimits::default(), &mut |found| {
                assert!(!found.name.to_string().contains("secret"), "{found:?}");
                Go::On
            })?;
        }
    }
    Ok(Vec::new())
}

/// Everything below a folder: path, and bytes or the target of a link.
fn picture(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut seen = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            seen.extend(picture(&path));
            seen.insert(path, b"folder".to_vec());
        } else {
            let bytes = std::fs::read(&path).unwrap();
            seen.insert(path, bytes);
        }
    }
    seen
}

/// The names beside the root.
fn beside(home: &Path) -> BTreeSet<std::ffi::OsString> {
    let entries = std::fs::read_dir(home).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_outside_the_root_is_read_or_changed(
        plants in prop::collection::vec((name(), plant()), 0..8),
        acts in prop::collection::vec((name(), act()), 1..10),
    ) {
        let home = tempfile::tempdir().unwrap();
        let (root_path, outside) = (home.path().join("root"), home.path().join("outside"));
        std::fs::create_dir(&root_path).unwrap();
        std::fs::create_dir(&outside).unwrap();
        for name in ["secret", "b"] {
            std::fs::write(outside.join(name), SECRET).unwrap();
        }
        lay(&root_path.canonicalize().unwrap(), &plants);
        // A link that was planted early leads later plants outside, too.
        let before = (picture(&outside), beside(home.path()));
        let root = Root::open(&root_path).unwrap();
        for (name, act) in &acts {
            let name: Inside = name.parse().unwrap();
            if let Ok(bytes) = play(&root, &name, act) {
                prop_assert_ne!(bytes, SECRET, "{:?} {}", act, name);
            }
        }
        prop_assert_eq!(before, (picture(&outside), beside(home.path())));
    }
}

fn fresh() -> (tempfile::TempDir, Root) {
    let home = tempfile::tempdir().unwrap();
    let root = Root::open(home.path()).unwrap();
    (home, root)
}

fn at(name: &str) -> Inside {
    name.parse().unwrap()
}

#[test]
fn files_are_made_read_changed_and_removed() {
    let (home, root) = fresh();
    root.create(&at("a/b/note"), b"one").unwrap();
    assert!(matches!(
        root.create(&at("a/b/note"), b"x"),
        Err(RootError::Exists)
    ));
    assert_eq!(root.read(&at("a/b/note"), 3).unwrap(), b"one");
    assert!(matches!(
        root.read(&at("a/b/note"), 2),
        Err(RootError::TooLarge { limit: 2 })
    ));
    let file = home.path().join("a/b/note");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4755)).unwrap();
    root.write(&at("a/b/note"), b"two").unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
        0o755
    );
    let stat = root.stat(&at("a/b/note")).unwrap();
    assert_eq!((stat.kind, stat.bytes), (Kind::File, 3));
    root.create(&at("c"), b"three").unwrap();
    let refused = root.rename(&at("a/b/note"), &at("c"), Replace::Never);
    assert!(matches!(refused, Err(RootError::Exists)));
    root.rename(&at("a/b/note"), &at("c"), Replace::Files)
        .unwrap();
    assert_eq!(root.read(&at("c"), 9).unwrap(), b"two");
    let entry = |name: &str, kind| Entry {
        name: name.to_owned(),
        kind,
    };
    assert_eq!(
        root.list(&Inside::root(), 2).unwrap(),
        [entry("a", Kind::Folder), entry("c", Kind::File)]
    );
    assert!(matches!(
        root.list(&Inside::root(), 1),
        Err(RootError::TooMany { .. })
    ));
    assert!(matches!(root.remove(&at("a")), Err(RootError::NotEmpty)));
    root.remove_tree(&at("a")).unwrap();
    root.remove(&at("c")).unwrap();
    assert_eq!(root.list(&Inside::root(), 1).unwrap(), []);
    for refused in [
        root.remove(&Inside::root()),
        root.write(&Inside::root(), b""),
    ] {
        assert!(matches!(refused, Err(RootError::TheRoot)));
    }
}

#[test]
fn a_link_is_told_replaced_and_removed_but_never_followed() {
    let (home, root) = fresh();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), SECRET).unwrap();
    symlink(outside.path(), home.path().join("link")).unwrap();
    symlink("/tmp", home.path().join("folder")).unwrap();
    assert!(matches!(root.read(&at("link"), 100), Err(RootError::Link)));
    assert_eq!(root.stat(&at("link")).unwrap().kind, Kind::Link);
    assert!(root.stat(&at("folder/x")).is_err());
    assert!(root.create(&at("folder/x"), b"").is_err());
    root.write(&at("link"), b"mine").unwrap();
    assert_eq!(std::fs::read(outside.path()).unwrap(), SECRET);
    assert_eq!(root.read(&at("link"), 100).unwrap(), b"mine");
    root.remove(&at("folder")).unwrap();
    assert!(Path::new("/tmp").is_dir());
}

#[test]
fn a_link_on_the_way_is_not_followed_wherever_it_leads() {
    let (home, root) = fresh();
    let outside = tempfile::tempdir().unwrap();
    for folder in [outside.path(), home.path()] {
        std::fs::create_dir(folder.join("real")).unwrap();
        std::fs::write(folder.join("real/file"), SECRET).unwrap();
    }
    symlink(outside.path(), home.path().join("away")).unwrap();
    symlink(".", home.path().join("here")).unwrap();
    symlink("/proc/self/root", home.path().join("machine")).unwrap();
    for name in ["away/real/file", "here/real/file", "machine/etc/passwd"] {
        for refused in [
            root.read(&at(name), 9_999).map(drop),
            root.stat(&at(name)).map(drop),
            root.remove(&at(name)),
        ] {
            assert!(
                matches!(refused, Err(RootError::Link)),
                "{name}: {refused:?}"
            );
        }
    }
    for name in ["away/real", "here/real"] {
        for refused in [
            root.list(&at(name), 9).map(drop),
            root.sub(&at(name)).map(drop),
        ] {
            assert!(
                matches!(refused, Err(RootError::Link)),
                "{name}: {refused:?}"
            );
        }
    }
    assert_eq!(root.read(&at("real/file"), 9).unwrap(), SECRET);
}

#[test]
fn pipes_and_devices_are_not_opened_and_do_not_hold_the_caller() {
    let (home, root) = fresh();
    let made = std::process::Command::new("mkfifo")
        .arg(home.path().join("pipe"))
        .status();
    assert!(made.unwrap().success());
    let _listener = std::os::unix::net::UnixListener::bind(home.path().join("socket")).unwrap();
    for name in ["pipe", "socket"] {
        assert!(
            matches!(root.read(&at(name), 9), Err(RootError::NotAFile)),
            "{name}"
        );
        assert!(
            matches!(root.write(&at(name), b""), Err(RootError::NotAFile)),
            "{name}"
        );
        assert_eq!(root.stat(&at(name)).unwrap().kind, Kind::Other);
        root.remove(&at(name)).unwrap();
    }
}

#[test]
fn a_walk_keeps_its_limits_and_says_so() {
    let (home, root) = fresh();
    for name in ["a/one", "a/two", "b/c/three"] {
        root.create(&at(name), b"").unwrap();
    }
    symlink("..", home.path().join("b/up")).unwrap();
    let mut seen = Vec::new();
    let mut walk = |limits: WalkLimits, past: &str| {
        seen.clear();
        let whole = root
            .walk(&Inside::root(), limits, &mut |found| {
                seen.push(found.name.to_string());
                if found.name.name() == Some(past) {
                    Go::Past
                } else {
                    Go::On
                }
            })
            .unwrap();
        (whole, seen.join(" "))
    };
    let all = WalkLimits::default();
    assert_eq!(
        walk(all, ""),
        (true, "a a/one a/two b b/c b/c/three b/up".to_owned())
    );
    assert_eq!(walk(all, "a"), (true, "a b b/c b/c/three b/up".to_owned()));
    let shallow = WalkLimits { depth: 0, ..all };
    assert_eq!(walk(shallow, ""), (false, "a b".to_owned()));
    let short = WalkLimits { entries: 3, ..all };
    assert!(!walk(short, "").0);
}

#[test]
fn a_walk_looks_as_deep_and_at_as_many_as_it_may_and_stops_when_told() {
    let (_home, root) = fresh();
    for name in ["a/b/c/d", "e"] {
        root.create(&at(name), b"").unwrap();
    }
    let mut seen = Vec::new();
    let mut walk = |entries: usize, depth: usize, last: &str| {
        seen.clear();
        let limits = WalkLimits { entries, depth };
        let whole = root
            .walk(&Inside::root(), limits, &mut |found| {
                seen.push(found.name.to_string());
                if found.name.name() == Some(last) {
                    Go::Stop
                } else {
                    Go::On
                }
            })
            .unwrap();
        (whole, seen.join(" "))
    };
    let told = |whole: bool, names: &str| (whole, names.to_owned());
    assert_eq!(walk(5, 3, ""), told(true, "a a/b a/b/c a/b/c/d e"));
    assert_eq!(walk(5, 2, ""), told(false, "a a/b a/b/c e"));
    assert_eq!(walk(5, 1, ""), told(false, "a a/b e"));
    assert_eq!(walk(4, 3, ""), told(false, "a a/b a/b/c"));
    assert_eq!(walk(5, 3, "b"), told(true, "a a/b"));
}

#[test]
fn what_is_no_folder_is_not_taken_for_one() {
    let (home, root) = fresh();
    root.create(&at("file"), b"").unwrap();
    let file = home.path().join("file");
    for refused in [
        Root::open(&file).map(drop),
        root.sub(&at("file")).map(drop),
        root.create_folder(&at("file")),
        root.list(&at("file"), 1).map(drop),
        root.remove_tree(&at("file")),
    ] {
        assert!(matches!(refused, Err(RootError::NotAFolder)), "{refused:?}");
    }
    root.create_folder(&at("a/b")).unwrap();
    assert!(home.path().join("a/b").is_dir());
}

#[test]
fn what_fails_leaves_no_draft_behind() {
    let (_home, root) = fresh();
    root.create(&at("file"), b"one").unwrap();
    root.create_folder(&at("folder")).unwrap();
    assert!(root.create(&at("file"), b"two").is_err());
    assert!(root.create(&at("folder"), b"two").is_err());
    let names: Vec<String> = root
        .list(&Inside::root(), 9)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["file", "folder"]);
}

#[test]
fn a_tree_with_more_entries_than_one_round_is_removed_whole() {
    let (home, root) = fresh();
    let folder = home.path().join("many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..10_002 {
        std::fs::write(folder.join(number.to_string()), "").unwrap();
    }
    root.remove_tree(&at("many")).unwrap();
    assert!(!folder.exists());
}

#[test]
fn a_file_tells_its_rights_and_when_it_changed() {
    let (home, root) = fresh();
    let seconds = |time: std::time::SystemTime| {
        let since = time.duration_since(std::time::SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    let before = now();
    root.create(&at("file"), b"").unwrap();
    let path = home.path().join("file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1640)).unwrap();
    let stat = root.stat(&at("file")).unwrap();
    let after = now() + 1_000_000_000;
    assert_eq!(stat.mode, 0o1640);
    assert!((before..=after).contains(&stat.changed), "{stat:?}");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(seconds(stat.modified), seconds(modified));
    let whole = |nanos: u64| nanos / 1_000_000_000;
    assert!((whole(before)..=whole(after)).contains(&seconds(modified)));
    let (_, dated) = root.read_dated(&at("file"), 1).unwrap();
    assert_eq!(dated, stat.changed);
}
