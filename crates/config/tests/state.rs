//! The state folder, its lock, and files that are written whole.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use instar_config::{StateDir, StateError, write_atomically};

use crate::support::{mode, state_in};

fn locate(profile: Option<&str>, variables: &[(&str, &str)]) -> Result<StateDir, StateError> {
    let env = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    StateDir::locate(profile, &env)
}

#[test]
fn the_folder_follows_profile_and_variables() {
    let root = |profile, variables: &[_]| {
        let state = locate(profile, variables).unwrap();
        (state.root().to_owned(), state.config_file().to_owned())
    };
    let pair = |root: &str, config: &str| (root.into(), config.into());
    let home = ("HOME", "/h");
    assert_eq!(
        root(None, &[home]),
        pair("/h/.instar", "/h/.instar/instar.json")
    );
    assert_eq!(root(Some("x"), &[home]).0, Path::new("/h/.instar-x"));
    assert_eq!(root(Some("default"), &[home]).0, Path::new("/h/.instar"));
    assert_eq!(
        root(None, &[home, ("INSTAR_PROFILE", "y")]).0,
        Path::new("/h/.instar-y")
    );
    assert_eq!(
        root(Some("x"), &[home, ("INSTAR_STATE_DIR", "~/s")]).0,
        Path::new("/h/s")
    );
    assert_eq!(
        root(
            None,
            &[
                ("INSTAR_STATE_DIR", "/s"),
                ("INSTAR_CONFIG_PATH", "/c.json")
            ]
        ),
        pair("/s", "/c.json")
    );
    assert!(matches!(locate(None, &[]), Err(StateError::NoHome)));
    for bad in ["../x", "a/b", "", "a b"] {
        assert!(
            matches!(locate(Some(bad), &[home]), Err(StateError::Profile(_))),
            "{bad}"
        );
    }
}

#[test]
fn a_newer_folder_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_in(folder.path());
    std::fs::create_dir(state.root()).unwrap();
    std::fs::set_permissions(state.root(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(state.root().join("format"), "99\n").unwrap();
    let error = state.prepare().unwrap_err();
    assert!(
        matches!(
            error,
            StateError::Newer {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(mode(state.root()), 0o755);
    assert_eq!(std::fs::read_dir(state.root()).unwrap().count(), 1);
    std::fs::write(state.root().join("format"), "soon").unwrap();
    assert!(matches!(state.prepare(), Err(StateError::Stamp { .. })));
}

#[test]
fn loose_modes_are_tightened() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_in(folder.path());
    std::fs::create_dir(state.root()).unwrap();
    std::fs::write(state.config_file(), "{}").unwrap();
    std::fs::set_permissions(state.root(), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(state.config_file(), PermissionsExt::from_mode(0o666)).unwrap();
    state.prepare().unwrap();
    assert_eq!(
        (mode(state.root()), mode(state.config_file())),
        (0o700, 0o600)
    );
}

/// Runs in a child process, because the umask belongs to the whole process.
const CHILD: &str = "INSTAR_TEST_UMASK_CHILD";

#[test]
fn modes_hold_under_any_umask() {
    if let Ok(root) = std::env::var(CHILD) {
        let state = state_in(Path::new(&root));
        state.prepare().unwrap();
        let _lock = state.lock().unwrap();
        write_atomically(&state.root().join("file"), b"x").unwrap();
        return;
    }
    for umask in ["000", "022", "777"] {
        let folder = tempfile::tempdir().unwrap();
        let test = std::env::current_exe().unwrap();
        let status = Command::new("sh")
            .args([
                "-c",
                "umask $1; exec \"$2\" --exact state::modes_hold_under_any_umask",
                "sh",
                umask,
            ])
            .arg(test)
            .env(CHILD, folder.path())
            .output()
            .unwrap();
        assert!(status.status.success(), "{umask}: {status:?}");
        let state = state_in(folder.path());
        assert_eq!(mode(state.root()), 0o700, "{umask}");
        assert_eq!(mode(&state.root().join("logs")), 0o700, "{umask}");
        for file in ["file", "format"] {
            assert_eq!(mode(&state.root().join(file)), 0o600, "{umask} {file}");
        }
        assert_eq!(
            mode(&state.root().join("gateway.lock")) & 0o177,
            0,
            "{umask}"
        );
    }
}

#[test]
fn the_second_gateway_learns_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_in(folder.path());
    state.prepare().unwrap();
    let first = state.lock().unwrap();
    match state.lock() {
        Err(StateError::Locked { pid, .. }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    }
    drop(first);
    // What stays in the file is no obstacle, whoever has that pid now.
    std::fs::write(state.root().join("gateway.lock"), "1\n").unwrap();
    let _second = state.lock().unwrap();
}

#[test]
fn a_linked_lock_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_in(folder.path());
    state.prepare().unwrap();
    let target = folder.path().join("precious");
    std::fs::write(&target, "keep").unwrap();
    symlink(&target, state.root().join("gateway.lock")).unwrap();
    assert!(matches!(state.lock(), Err(StateError::LinkedLock { .. })));
    std::fs::remove_file(state.root().join("gateway.lock")).unwrap();
    std::fs::hard_link(&target, state.root().join("gateway.lock")).unwrap();
    assert!(matches!(state.lock(), Err(StateError::LinkedLock { .. })));
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "keep");
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_in(folder.path());
    std::fs::create_dir(state.root()).unwrap();
    if std::os::unix::fs::chown(state.root(), Some(65_534), None).is_err() {
        // Only root can give a folder away; without that right `/` stands in for a foreign one.
        let env = |name: &str| (name == "INSTAR_STATE_DIR").then(|| "/".to_owned());
        let error = StateDir::locate(None, &env).unwrap().prepare().unwrap_err();
        assert!(matches!(error, StateError::Foreign { owner: 0, .. }));
        return;
    }
    let error = state.prepare().unwrap_err();
    assert!(
        matches!(error, StateError::Foreign { owner: 65_534, .. }),
        "{error}"
    );
    std::os::unix::fs::chown(
        state.root(),
        Some(rustix::process::geteuid().as_raw()),
        None,
    )
    .unwrap();
    state.prepare().unwrap();
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("file");
    write_atomically(&target, b"old").unwrap();
    std::fs::set_permissions(&target, PermissionsExt::from_mode(0o644)).unwrap();
    write_atomically(&target, b"new").unwrap();
    assert_eq!(
        (std::fs::read(&target).unwrap(), mode(&target)),
        (b"new".to_vec(), 0o600)
    );
    let occupied = folder.path().join("folder");
    std::fs::create_dir_all(occupied.join("inside")).unwrap();
    assert!(write_atomically(&occupied, b"x").is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn looking_at_the_lock_tells_its_holder_and_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_in(folder.path());
    state.prepare().unwrap();
    let own = std::process::id();
    assert!(!state.is_held_by(own).unwrap());
    assert!(!state.root().join("gateway.lock").exists());
    let lock = state.lock().unwrap();
    assert!(state.is_held_by(own).unwrap());
    assert!(!state.is_held_by(own.wrapping_add(1)).unwrap());
    assert!(state.is_held_by(own).unwrap());
    drop(lock);
    // The pid still stands in the file; nobody holds the lock.
    assert!(!state.is_held_by(own).unwrap());
    let _lock = state.lock().unwrap();
}
