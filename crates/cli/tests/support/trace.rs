//! Running the binary under `strace`: to kill it at a chosen system call, and to read what it did.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Calls that flush; which one SQLite makes depends on how it was built.
pub(crate) const FLUSHES: &str = "fsync,fdatasync";

/// Why processes cannot be traced here; `None` if they can.
pub(crate) fn cannot_trace() -> Option<String> {
    let tried = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync", "true"])
        .stdin(Stdio::null())
        .output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Some(format!("strace may not trace here: {said}"))
        }
        Err(error) => Some(format!("strace cannot be run: {error}")),
    }
}

/// Kills the process when one of its threads enters such a call for the `nth` time.
pub(crate) fn kill_at(calls: &str, nth: u32) -> Vec<String> {
    words([
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={calls}"),
        "-e",
        &format!("inject={calls}:signal=SIGKILL:when={nth}"),
    ])
}

/// Writes the calls to a file, with the paths and peers of descriptors and what was written.
pub(crate) fn record(calls: &str, log: &Path) -> Vec<String> {
    let log = log.to_str().unwrap();
    let calls = format!("trace={calls}");
    words([
        "strace", "-f", "-qq", "-yy", "-s", "6000", "-o", log, "-e", &calls,
    ])
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// One moment of a recorded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Entered,
    /// With what the call returned.
    Returned(i64),
}

/// What a line of the record says. A call that others interrupted has two lines.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub(crate) thread: u32,
    pub(crate) call: String,
    /// The descriptor with what it is open on, and the rest of the arguments.
    pub(crate) arguments: String,
    pub(crate) moment: Moment,
}

impl Traced {
    pub(crate) fn is_flush(&self) -> bool {
        matches!(self.call.as_str(), "fsync" | "fdatasync")
    }

    pub(crate) fn is_write(&self) -> bool {
        !self.is_flush()
    }

    /// The path that the call is about, or the beginning of the connection's addresses: what stands
    /// between the angle brackets of its first argument.
    pub(crate) fn target(&self) -> &str {
        let inner = self
            .arguments
            .split_once('<')
            .map_or("", |(_, inner)| inner);
        inner.split_once('>').map_or("", |(target, _)| target)
    }

    pub(crate) fn is_log(&self) -> bool {
        self.target().ends_with("instar.sqlite-wal")
    }
}

/// Reads a record. Both moments of a call are given, in the order in which they happened.
pub(crate) fn read(record: &str) -> Vec<Traced> {
    let mut open: HashMap<u32, (String, String)> = HashMap::new();
    let mut all = Vec::new();
    for line in record.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let (Ok(thread), rest) = (thread.parse(), rest.trim_start()) else {
            continue;
        };
        let mut push = |(call, arguments): (String, String), moment| {
            all.push(Traced {
                thread,
                call,
                arguments,
                moment,
            });
        };
        if rest.starts_with("<... ") {
            // `<... fsync resumed>) = 0`
            if let (Some(begun), Some(result)) = (open.remove(&thread), result(rest)) {
                push(begun, Moment::Returned(result));
            }
            continue;
        }
        let Some((call, arguments)) = rest.split_once('(') else {
            continue;
        };
        let begun = (
            call.to_owned(),
            arguments.trim_end_matches(" <unfinished ...>").to_owned(),
        );
        push(begun.clone(), Moment::Entered);
        if rest.ends_with("<unfinished ...>") {
            open.insert(thread, begun);
        } else if let Some(result) = result(rest) {
            push(begun, Moment::Returned(result));
        }
    }
    all
}

fn result(line: &str) -> Option<i64> {
    let (_, result) = line.rsplit_once(" = ")?;
    result.split_whitespace().next()?.parse().ok()
}
