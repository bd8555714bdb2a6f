//! Which layers this machine has, found out by trying them: walls are built around a program that
//! does nothing, once for each maker of namespaces, and the layers without which none are built are
//! asked for one by one.

use crate::cgroup;
use crate::native::{Ended, Maker, Native};
use crate::spec::{Argv, Job, Limits, Walls};

/// One layer, as it is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    pub name: &'static str,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It was tried and holds.
    Holds,
    /// Walls stand without it, but hold less; the words say what and how to have it.
    Weak(String),
    /// Nothing runs; the words say what to do.
    Missing(String),
}

/// Tries every layer of the native back end. Takes some milliseconds and leaves nothing behind. `gateway` is
/// the process whose programs they are for, where that is not this one.
#[must_use]
pub fn probe(native: &Native, gateway: Option<u32>) -> Vec<Layer> {
    let own = State::of(attempt(&native.clone().with_maker(Maker::Own)));
    let bubblewrap = match native.maker() {
        Maker::Bubblewrap(path) => State::of(attempt(&native.clone().with_maker(Maker::Bubblewrap(path.clone())))),
        Maker::Own | Maker::Nobody | Maker::Docker(_) => State::Weak(
            "not installed; our own set-up is used. `apt-get install bubblewrap` where that is refused"
                .to_owned(),
        ),
    };
    let walls = State::of(attempt(native));
    [
        ("walls", walls),
        ("namespaces of our own", own),
        ("bubblewrap", bubblewrap),
        ("landlock", landlock()),
        ("limits on processes", processes()),
        ("cgroup limits", cgroup(gateway)),
    ]
    .map(|(name, state)| Layer { name, state })
    .to_vec()
}

impl State {
    fn of(attempt: Result<(), String>) -> Self {
        match attempt {
            Ok(()) => Self::Holds,
            Err(why) => Self::Missing(why),
        }
    }
}

fn attempt(native: &Native) -> Result<(), String> {
    let limits = Limits {
        wall_seconds: 20,
        ..Limits::default()
    };
    let walls = Walls {
        limits,
        ..Walls::default()
    };
    let argv = Argv::new(vec!["true".to_owned()]).map_err(|error| error.to_string())?;
    let outcome = native
        .run(Job::new(walls, argv))
        .map_err(|error| error.to_string())?;
    match outcome.ended {
        Ended::Exit(0) => Ok(()),
        other => Err(format!("a program that does nothing ended with {other:?}")),
    }
}

fn landlock() -> State {
    // What the kernel says of itself, not what was built in: it can be switched off at start.
    use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    let asks = |abi| {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))
            .and_then(landlock::Ruleset::create)
            .is_ok()
    };
    if asks(ABI::V5) {
        State::Holds
    } else if asks(ABI::V1) {
        State::Weak(
            "an old one: it does not cover truncation or devices. Linux 6.10 does".to_owned(),
        )
    } else {
        State::Missing(
            "not switched on. Add `landlock` to the list after `lsm=` on the kernel's command line"
                .to_owned(),
        )
    }
}

fn processes() -> State {
    if rustix::process::getuid().is_root() {
        State::Weak(
            "the kernel sets root no limit on processes. Run the gateway as an ordinary user"
                .to_owned(),
        )
    } else {
        State::Holds
    }
}

/// Whether the part of the control tree that a process is in was handed to its user.
fn cgroup(gateway: Option<u32>) -> State {
    match cgroup::look(gateway) {
        Ok(_) => State::Holds,
        Err(why) => State::Weak(format!(
            "{why}. Until then memory is limited for each process, not for all of a run together"
        )),
    }
}
