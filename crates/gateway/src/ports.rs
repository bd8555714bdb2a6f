//! Who listens on a port of this machine.

use instar_config::StateDir;
use instar_protocol::api::RunFile;
use std::fmt;
use std::io::Read as _;
use std::net::{IpAddr, TcpListener};
use std::path::Path;

/// Processes that are looked at, and open files of one.
const PROCESSES_MAX: usize = 20_000;
const FILES_MAX: usize = 4_096;
const RUN_FILE_BYTES_MAX: u64 = 64 * 1024;

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// True if a listener could be opened there now.
#[must_use]
pub fn is_free(ip: IpAddr, port: u16) -> bool {
    TcpListener::bind((ip, port)).is_ok()
}

/// True if the gateway that owns the folder listens there.
#[must_use]
pub fn is_of_gateway(state: &StateDir, port: u16) -> bool {
    let read = || -> Option<RunFile> {
        let mut text = String::new();
        let file = std::fs::File::open(state.run_file()).ok()?;
        let _read = file
            .take(RUN_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .ok()?;
        serde_json::from_str(&text).ok()
    };
    let Some(run) = read() else { return false };
    let listens = run
        .url
        .rsplit(':')
        .next()
        .and_then(|text| text.parse().ok())
        == Some(port);
    listens && state.is_held_by(run.pid).unwrap_or(false)
}

/// The process that listens on the port, as far as the system tells it to this user. `None` also
/// where there is no `/proc`.
#[must_use]
pub fn holder(port: u16) -> Option<Holder> {
    let sockets = listening(port);
    if sockets.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .take(PROCESSES_MAX);
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| holds(*pid, &sockets))
        .map(|pid| Holder {
            pid,
            name: name_of(pid),
        })
}

/// The sockets that listen on the port, as the links of open files name them.
fn listening(port: u16) -> Vec<String> {
    /// The state of a listening socket in the kernel's table.
    const LISTEN: &str = "0A";
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else {
                continue;
            };
            let found = local
                .rsplit_once(':')
                .and_then(|(_, hex)| u16::from_str_radix(hex, 16).ok());
            if state == LISTEN && found == Some(port) {
                sockets.push(format!("socket:[{inode}]"));
            }
        }
    }
    sockets
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        // Of another user.
        return false;
    };
    files.flatten().take(FILES_MAX).any(|file| {
        std::fs::read_link(file.path())
            .is_ok_and(|target| sockets.iter().any(|one| Path::new(one) == target))
    })
}

fn name_of(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() {
        "a program".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_program_that_listens_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        let found = holder(port).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert!(!found.name.is_empty());
        drop(listener);
        assert_eq!(holder(port), None);
    }
}
