//! Escapes, tried by an ordinary user behind real walls, once for each maker of namespaces.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Belongs to nobody: made up for these tests.
const USER: &str = "61234";

/// Runs one case in the probe, as an ordinary user.
#[track_caller]
fn hold(case: &str, maker: &str) {
    let home = home();
    let ran = drive(case, maker, home.path());
    let (said, warned) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(
        ran.status.success(),
        "{case} with {maker}: {said}\n{warned}"
    );
}

/// The caller is killed in the middle of a run; what it has started must be gone soon after.
#[track_caller]
fn vanish(maker: &str) {
    let home = home();
    let ran = drive("vanish", maker, home.path());
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "started\n");
    let word = home.path().to_str().unwrap().to_owned();
    let left = || {
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(Result::ok)
            .any(|entry| {
                // Also what helps to build walls and was given no words.
                let program = std::fs::read_link(entry.path().join("exe"));
                if program.is_ok_and(|program| program.starts_with(home.path())) {
                    return true;
                }
                let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&words)
                    .split('\0')
                    .any(|one| one == word)
            })
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while left() {
        assert!(
            std::time::Instant::now() < deadline,
            "it outlives its caller"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn home() -> tempfile::TempDir {
    let home = tempfile::Builder::new()
        .prefix("walls")
        .tempdir_in("/var/tmp")
        .unwrap();
    let everyone = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(home.path(), everyone).unwrap();
    home
}

fn drive(case: &str, maker: &str, home: &Path) -> Output {
    let probe = home.join("probe");
    std::fs::copy(env!("CARGO_BIN_EXE_instar-walls-probe"), &probe).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
            .arg(&probe);
        command
    } else {
        Command::new(&probe)
    };
    // What must not be seen inside: a variable of the caller.
    command
        .args(["drive", case, maker])
        .arg(home)
        .env("CALLERS_SECRET", "the-bait-that-nobody-may-see")
        .output()
        .unwrap()
}

/// With our own set-up, built when asked for and standing ready, and with bubblewrap where that is installed.
macro_rules! cases {
    ($($name:ident: $case:literal),* $(,)?) => {
        const CASES: &[&str] = &["vanish", $($case),*];

        mod own {
            $(#[test] fn $name() { super::hold($case, "own"); })*

            #[test]
            fn nothing_outlives_a_caller_that_is_killed() {
                super::vanish("own");
            }
        }
        mod ready {
            $(#[test] fn $name() { super::hold($case, "ready"); })*

            #[test]
            fn nothing_outlives_a_caller_that_is_killed() {
                super::vanish("ready");
            }
        }
        mod bubblewrap {
            #[test]
            fn nothing_outlives_a_caller_that_is_killed() {
                if super::Path::new("/usr/bin/bwrap").exists() {
                    super::vanish("/usr/bin/bwrap");
                } else {
                    eprintln!("SKIPPED: bubblewrap is not installed (apt-get install bubblewrap)");
                }
            }

            $(#[test] fn $name() {
                let bwrap = "/usr/bin/bwrap";
                if super::Path::new(bwrap).exists() {
                    super::hold($case, bwrap);
                } else {
                    eprintln!("SKIPPED: bubblewrap is not installed (apt-get install bubblewrap)");
                }
            })*
        }
    };
}

cases! {
    the_words_arrive_as_they_are: "hello",
    a_program_that_is_not_there_is_told: "missing",
    a_signal_is_told: "signal",
    an_exit_code_is_told: "code",
    the_environment_is_the_allowed_projection: "environment",
    input_arrives: "input",
    output_is_bounded: "output-bound",
    a_flood_is_ended: "flood",
    time_is_bounded: "time",
    nothing_outlives_its_run: "orphans",
    a_workspace_can_be_written: "write",
    a_workspace_can_be_read_only: "write-read-only",
    the_system_cannot_be_written: "write-system",
    memory_is_bounded: "memory",
    files_in_memory_are_bounded: "tmp",
    what_is_shielded_cannot_be_written: "shield",
    two_runs_share_nothing: "twice",
    a_folder_that_changes_places_with_a_link_leads_nowhere_else: "swapped",
    ordinary_programs_run: "python",
    nothing_runs_without_landlock: "lack-landlock",
    nothing_runs_without_a_filter: "lack-filter",
    nothing_runs_where_rights_can_be_gained: "lack-no-new-rights",
    nothing_runs_without_limits: "lack-limits",
    calls_of_the_kernel_are_closed: "calls",
    namespaces_cannot_be_made: "namespaces",
    a_terminal_cannot_be_typed_into: "terminal",
    strange_sockets_cannot_be_opened: "sockets",
    no_descriptor_is_inherited: "descriptors",
    the_first_process_shows_nothing: "first-process",
    nobody_outside_can_be_signalled: "signals",
    files_outside_are_not_there: "files",
    links_lead_nowhere: "links",
    devices_cannot_be_made: "devices",
    identity_cannot_be_borrowed: "setuid",
    no_capability_is_left: "capabilities",
    forks_are_bounded: "forks",
    keys_of_the_caller_are_not_there: "keys",
    nobody_can_be_watched: "ptrace",
    sockets_without_a_file_are_not_reached: "abstract",
    no_network_is_reached: "network",
    the_broker_is_the_only_way: "broker",
    what_public_lists_try_leads_nowhere: "listed",
    a_process_reads_narrow_walls_of_itself: "status",
    the_kernel_plays_no_other_system: "personality",
    a_background_job_can_be_talked_to_and_ended: "talk",
    sort_writes_nothing_outside: "safe-sort",
    sort_starts_nothing_outside: "safe-sort-program",
    tee_writes_nothing_outside: "safe-tee",
    find_writes_nothing_outside: "safe-find",
    dd_writes_nothing_outside: "safe-dd",
    tar_starts_nothing_outside: "safe-tar",
    sed_writes_nothing_outside: "safe-sed",
}

/// Each thing that a public list tries is tried, and the page that names the lists names them all.
#[test]
fn every_line_of_a_public_list_is_tried() {
    let ran = Command::new(env!("CARGO_BIN_EXE_instar-walls-probe"))
        .arg("covered")
        .args(CASES)
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sandbox.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(said.lines().count() >= 8, "{said}");
    for address in said.lines() {
        assert!(
            page.contains(address),
            "{address} is not named in docs/sandbox.md"
        );
    }
}

/// Bubblewrap does both by itself, and has words of its own.
#[test]
fn nothing_runs_without_namespaces_or_while_rights_are_left() {
    for maker in ["own", "ready"] {
        hold("lack-namespaces", maker);
        hold("lack-rights", maker);
    }
}

/// In a process namespace of its own, where numbers can be given again.
#[test]
fn a_number_that_is_somebody_elses_by_now_is_not_signalled() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to become the user that owns a process namespace");
        return;
    }
    let home = home();
    let probe = home.path().join("probe");
    std::fs::copy(env!("CARGO_BIN_EXE_instar-walls-probe"), &probe).unwrap();
    let ran = Command::new("setpriv")
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .args(["unshare", "--user", "--map-current-user", "--keep-caps"])
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(&probe)
        .args(["drive", "reuse", "own"])
        .arg(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let warned = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{warned}");
}

#[test]
fn a_helper_that_dies_is_started_anew() {
    hold("helper", "ready");
}

#[test]
fn walls_that_stood_too_long_are_not_used() {
    hold("aged", "ready");
}

#[test]
fn many_runs_at_once_have_walls_of_their_own() {
    hold("many", "ready");
}

/// A control group as a service manager hands it over, for one test.
struct Handed(std::path::PathBuf);

impl Handed {
    /// None where the machine has none to give; that is said.
    fn new() -> Option<Self> {
        let skip = |why: &str| {
            eprintln!("SKIPPED: {why}");
            None
        };
        if !rustix::process::geteuid().is_root() {
            return skip("needs root to hand a control group over");
        }
        let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let is_tree = |place: &&&str| Path::new(**place).join("cgroup.controllers").is_file();
        let Some(place) = places.iter().find(is_tree) else {
            return skip("the machine has no control groups of version 2");
        };
        let folder = Path::new(place).join(format!("instar-test-{}", std::process::id()));
        if std::fs::create_dir(&folder).is_err() {
            return skip("control groups of version 2 are read only here");
        }
        let handed = Self(folder);
        std::fs::create_dir(handed.0.join("instar-gateway")).unwrap();
        let user: u32 = USER.parse().unwrap();
        for file in [
            "",
            "cgroup.procs",
            "cgroup.subtree_control",
            "instar-gateway/cgroup.procs",
        ] {
            std::os::unix::fs::chown(handed.0.join(file), Some(user), Some(user)).unwrap();
        }
        Some(handed)
    }

    fn has(&self, controller: &str) -> bool {
        let list = std::fs::read_to_string(self.0.join("cgroup.controllers")).unwrap();
        list.split_whitespace().any(|name| name == controller)
    }

    /// Runs a case inside, as an ordinary user.
    #[track_caller]
    fn hold(&self, case: &str, maker: &str) {
        let home = home();
        let probe = home.path().join("probe");
        std::fs::copy(env!("CARGO_BIN_EXE_instar-walls-probe"), &probe).unwrap();
        let script = "echo $$ > $0/instar-gateway/cgroup.procs && exec \"$@\"";
        let ran = Command::new("sh")
            .args(["-c", script])
            .arg(&self.0)
            .args([
                "setpriv",
                "--reuid",
                USER,
                "--regid",
                USER,
                "--clear-groups",
            ])
            .arg(&probe)
            .args(["drive", case, maker])
            .arg(home.path())
            .arg(&self.0)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let warned = String::from_utf8_lossy(&ran.stderr);
        assert!(
            ran.status.success(),
            "{case} with {maker}: {said}\n{warned}"
        );
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        let inner = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        for folder in inner.filter(|entry| entry.path().is_dir()) {
            let _gone = std::fs::remove_dir(folder.path());
        }
        std::fs::remove_dir(&self.0).unwrap();
    }
}

#[test]
fn each_run_has_a_control_group_of_its_own_which_goes_with_it() {
    let Some(handed) = Handed::new() else { return };
    for maker in ["own", "ready"] {
        handed.hold("group", maker);
    }
}

#[test]
fn memory_of_a_run_is_limited_together() {
    let Some(handed) = Handed::new() else { return };
    if !handed.has("memory") {
        eprintln!("SKIPPED: control groups of version 2 have no control over memory here");
        return;
    }
    for maker in ["own", "ready"] {
        handed.hold("group-memory", maker);
    }
}

#[test]
fn as_root_the_probe_shows_nothing_and_says_so() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to be refused as root");
        return;
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_instar-walls-probe"))
        .args(["drive", "hello", "own", "/nonexistent"])
        .output()
        .unwrap();
    assert!(!ran.status.success());
}
