//! What a command is made of, and programs that run beside their caller.

use instar_sandbox::bind::{BindError, Bound, bind};
use instar_sandbox::jobs::{Bounds, Jobs, JobsError};
use instar_sandbox::native::{Ended, Maker, Native};
use instar_sandbox::root::{Inside, Root};
use instar_sandbox::spec::{Access, Argv, Input, Job, Walls};
use std::os::unix::fs::{PermissionsExt, symlink};

struct Workspace {
    folder: tempfile::TempDir,
    root: Root,
}

fn workspace() -> Workspace {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, text) in [
        ("run.sh", "#!/bin/sh\necho one\n"),
        ("sub/run.sh", "echo two\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink("/usr/bin/id", folder.path().join("link")).unwrap();
    let root = Root::open(folder.path()).unwrap();
    Workspace { folder, root }
}

fn words(words: &[&str]) -> Argv {
    Argv::new(words.iter().map(|&word| word.to_owned()).collect()).unwrap()
}

fn bound(space: &Workspace, command: &[&str], folder: &str) -> Result<Bound, BindError> {
    let walls = Walls {
        workspace: Access::Write,
        ..Walls::default()
    };
    let folder = match folder {
        "" => Inside::root(),
        name => Inside::parse(name).unwrap(),
    };
    bind(&walls, &words(command), &folder, Some(&space.root))
}

#[test]
fn a_program_is_bound_by_its_content_and_so_is_the_script_that_it_runs() {
    let space = workspace();
    let plain = bound(&space, &["true", "run.sh"], "").unwrap();
    assert!(plain.executable.starts_with("/usr/") && plain.identity.is_some());
    assert!(plain.open.is_none() && plain.scripts.is_empty());

    let script = bound(&space, &["sh", "run.sh"], "").unwrap();
    assert_eq!(script.open, None);
    let other = bound(&space, &["sh", "run.sh"], "sub").unwrap();
    assert_ne!(script.scripts, other.scripts, "the folder says which one");
    let inside = bound(&space, &["sh", "/work/sub/run.sh"], "").unwrap();
    assert_eq!(inside.scripts, other.scripts);
    let own = bound(&space, &["./run.sh"], "").unwrap();
    std::fs::write(space.folder.path().join("run.sh"), "echo else\n").unwrap();
    assert_ne!(bound(&space, &["sh", "run.sh"], "").unwrap(), script);
    assert_ne!(bound(&space, &["./run.sh"], "").unwrap(), own);
}

/// Wrappers, applets, interpreters and their options: none of these says what runs.
#[test]
fn what_does_not_pin_down_what_runs_is_said_to_be_open() {
    let space = workspace();
    let commands: [&[&str]; 13] = [
        &["sh", "-c", "echo"],
        &["sh"],
        &["sh", "-x", "run.sh"],
        &["sh", "gone.sh"],
        &["sh", "/usr/bin/ldd"],
        &["sh", "link"],
        &["perl", "-e", "1"],
        &["env", "sh", "run.sh"],
        &["nice", "true"],
        &["xargs", "sh"],
        &["find", ".", "-exec", "sh"],
        &["timeout", "1", "sh"],
        &["./link"],
    ];
    for command in commands {
        let bound = bound(&space, command, "").unwrap();
        assert!(bound.open.is_some(), "{command:?}: {bound:?}");
    }
}

#[test]
fn what_programs_do_not_see_is_not_run() {
    let space = workspace();
    for command in [
        "no-such-program",
        "/etc/passwd",
        "/proc/self/exe",
        "./gone",
        "/work/gone",
        "sub/",
    ] {
        assert!(bound(&space, &[command], "").is_err(), "{command}");
    }
    // A folder of the system, and a file of it that is none to run.
    for command in ["/usr/lib", "/usr/lib/os-release"] {
        let found = bound(&space, &[command], "");
        assert!(
            matches!(found, Err(BindError::NotExecutable(_))),
            "{command}: {found:?}"
        );
    }
    let climbing = bound(&space, &["../../usr/bin/id"], "").unwrap();
    assert!(climbing.open.is_some() && climbing.identity.is_none());
    let nothing = Walls::default();
    let hidden = bind(
        &nothing,
        &words(&["./run.sh"]),
        &Inside::root(),
        Some(&space.root),
    );
    assert!(matches!(hidden, Err(BindError::NotShown(_))));
}

const BOUNDS: Bounds = Bounds {
    of_one: 2,
    in_all: 3,
    output_bytes: 1_000,
};

fn start(
    jobs: &Jobs<u8>,
    space: &Workspace,
    owner: &str,
    code: &str,
    input: Input,
) -> Result<String, JobsError> {
    let mut job = Job::new(Walls::default(), words(&["/bin/sh", "-c", code]));
    job.workspace = Some(space.root.try_clone().unwrap());
    job.input = input;
    // The walls have their own tests; this is about who holds what.
    let native = Native::of_this_binary().with_maker(Maker::Nobody);
    let started = jobs.start(&native, BOUNDS, owner, 7, job, Box::new(|_| ()))?;
    Ok(started.id().to_owned())
}

#[test]
fn jobs_are_bounded_and_are_their_owner_s_alone() {
    let (jobs, space) = (Jobs::default(), workspace());
    let sleep = || "sleep 100".to_owned();
    let first = start(&jobs, &space, "a", &sleep(), Input::Empty).unwrap();
    let _second = start(&jobs, &space, "a", &sleep(), Input::Empty).unwrap();
    let third = start(&jobs, &space, "a", &sleep(), Input::Empty);
    assert!(matches!(third, Err(JobsError::OfOne(2))));
    let fed = start(&jobs, &space, "b", "cat; exit 3", Input::Open).unwrap();
    let fourth = start(&jobs, &space, "c", &sleep(), Input::Empty);
    assert!(matches!(fourth, Err(JobsError::InAll(3))));

    assert!(matches!(jobs.news("b", &first), Err(JobsError::Unknown(_))));
    assert!(matches!(jobs.kill("b", &first), Err(JobsError::Unknown(_))));
    assert!(matches!(
        jobs.write("a", &first, b"x", false),
        Err(JobsError::NoInput(_))
    ));
    jobs.write("b", &fed, b"hello", true).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while jobs.told("b", &fed).unwrap().ended.is_none() {
        assert!(std::time::Instant::now() < deadline, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let news = jobs.news("b", &fed).unwrap();
    assert_eq!(
        (news.bytes, news.told.ended),
        (b"hello".to_vec(), Some(Ended::Exit(3)))
    );
    assert!(jobs.news("b", &fed).unwrap().bytes.is_empty());

    assert!(jobs.kill("a", &first).unwrap());
    assert!(!jobs.kill("a", &first).unwrap(), "once is enough");
    assert_eq!(jobs.end_all_of("a"), 1);
    jobs.close();
    let ended = |told: &instar_sandbox::jobs::Told<u8>| told.ended == Some(Ended::Killed);
    assert!(jobs.list("a").iter().all(ended));
    let closed = start(&jobs, &space, "d", "true", Input::Empty);
    assert!(matches!(closed, Err(JobsError::InAll(_))));
}
