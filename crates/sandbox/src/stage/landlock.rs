//! The second wall around files and the network, which holds when a mount is wrong.

use super::mounts::{self, WORK};
use super::order::{Doing, Order, Refusal};
use super::relay;
use crate::spec::{Access, Extra, Network};
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

/// What is asked of the kernel; an older one gives what it has, but never nothing.
const WANTED: ABI = ABI::V6;

const DOING: &str = "close the files with Landlock";

pub(super) fn close(order: &Order) -> Result<(), Refusal> {
    enforce(for_order(fixed(&order.extras)?, order)?)
}

/// Without one rule nothing that has a name can be reached; with a folder that alone.
pub(super) fn close_all_but(folder: Option<&Path>) -> Result<(), Refusal> {
    let mut rules = nothing()?;
    if let Some(folder) = folder {
        let folder = PathFd::new(folder).doing(DOING)?;
        let own = writable() & !(AccessFs::Execute | AccessFs::MakeSock | AccessFs::MakeFifo);
        rules = rules.add_rule(PathBeneath::new(folder, own)).doing(DOING)?;
    }
    enforce(rules)
}

fn nothing() -> Result<RulesetCreated, Refusal> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(WANTED))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(WANTED)))
        .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
        .and_then(Ruleset::create)
        .doing(DOING)
}

/// What is the same for all orders with these extras.
pub(super) fn fixed(extras: &[Extra]) -> Result<RulesetCreated, Refusal> {
    let mut rules = nothing()?;
    let read = AccessFs::from_read(WANTED);
    for path in mounts::shown(extras) {
        rules = allow(rules, path, read)?;
    }
    for (file, _) in mounts::PEOPLE {
        rules = allow(rules, &format!("/{file}"), AccessFs::ReadFile.into())?;
    }
    rules = allow(rules, "/proc", read)?;
    rules = allow(
        rules,
        "/dev",
        AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir,
    )?;
    allow(rules, "/tmp", writable())
}

/// What is added for an order.
pub(super) fn for_order(
    mut rules: RulesetCreated,
    order: &Order,
) -> Result<RulesetCreated, Refusal> {
    let read = AccessFs::from_read(WANTED);
    rules = match order.workspace {
        Access::None => rules,
        Access::Read => allow(rules, WORK, read)?,
        Access::Write => allow(rules, WORK, writable())?,
    };
    if order.network == Network::Broker {
        let port = NetPort::new(relay::PORT, AccessNet::ConnectTcp);
        rules = rules.add_rule(port).doing(DOING)?;
        rules = allow(
            rules,
            mounts::BROKER,
            AccessFs::ReadFile | AccessFs::WriteFile,
        )?;
    }
    Ok(rules)
}

/// Closes this process and all that come of it.
pub(super) fn enforce(rules: RulesetCreated) -> Result<(), Refusal> {
    let status = rules.restrict_self().doing(DOING)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(Refusal(
            "cannot close the files with Landlock: the kernel has it not switched on. Add `landlock` to \
             the list after `lsm=` on the kernel's command line (`cat /sys/kernel/security/lsm` shows \
             it), or take a kernel from 5.13 on"
                .to_owned(),
        ));
    }
    Ok(())
}

/// No devices: a node that could be made would reach the host's hardware.
fn writable() -> BitFlags<AccessFs> {
    AccessFs::from_all(WANTED) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

/// What is not there needs no rule.
fn allow(
    rules: RulesetCreated,
    path: &str,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Refusal> {
    let Ok(fd) = PathFd::new(path) else {
        return Ok(rules);
    };
    let folder = std::fs::metadata(path).is_ok_and(|about| about.is_dir());
    let access = if folder {
        access
    } else {
        access & AccessFs::from_file(WANTED)
    };
    rules.add_rule(PathBeneath::new(fd, access)).doing(DOING)
}
