//! Walls that stand before a program comes, through the built binary, on a machine without bubblewrap.

use crate::programs::{open, shell};
use crate::support::{Instar, Setup, skipped, until};
use crate::tools::{calling, said};

/// Bubblewrap is hidden from the gateway, where it is installed.
const WITHOUT: &str = "for p in /usr/bin/bwrap /usr/local/bin/bwrap; do [ ! -e $p ] || mount --bind /dev/null $p || exit; \
                       done; exec \"$@\"";

/// The processes that build walls ahead for a process, and those that wait inside: by number.
fn helpers(of: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            let words = std::fs::read(path.join("cmdline")).ok()?;
            let status = std::fs::read_to_string(path.join("status")).ok()?;
            let parent = status
                .lines()
                .find_map(|line| line.strip_prefix("PPid:\t"))?;
            let is_one = words.starts_with(b"instar-walls-ready\0");
            Some((number, parent.parse().ok()?)).filter(|_| is_one)
        })
        .collect();
    let mut found = vec![of];
    // Helper, outer, first and waiting program.
    for _ in 0..4 {
        for (number, parent) in &all {
            if found.contains(parent) && !found.contains(number) {
                found.push(*number);
            }
        }
    }
    found.split_off(1)
}

#[test]
fn without_bubblewrap_walls_stand_ready_from_the_first_program_on_and_go_with_the_gateway() {
    if !rustix::process::geteuid().is_root() {
        skipped("needs root to hide bubblewrap");
        return;
    }
    let rows = [(
        "start",
        "exec",
        shell("pwd; cat /etc/hostname || cat /proc/sys/kernel/hostname"),
    )];
    let setup = Setup::scripted(calling(&rows)).config(open());
    let mut instar = Instar::start(setup.under(["unshare", "--mount", "sh", "-c", WITHOUT, "sh"]));
    let gateway = instar.pid();
    assert!(
        helpers(gateway).is_empty(),
        "nothing stands before it is needed"
    );
    for _ in 0..3 {
        let told = said(&instar, "start");
        assert!(
            told.contains("/work\n") && told.contains("walled"),
            "{told}"
        );
    }
    // The helper, and two sets of an outer process, a first one and one that waits.
    let standing = until("two sets of walls", || {
        let found = helpers(gateway);
        (found.len() == 7).then_some(found)
    });
    let _killed = instar.kill9();
    until("nothing outlives the gateway", || {
        let left = standing.iter().filter(|number| {
            let words = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            words.starts_with(b"instar-walls-ready\0")
        });
        (left.count() == 0).then_some(())
    });
}
