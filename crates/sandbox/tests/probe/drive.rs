//! Outside: lays the bait, runs the case, and looks whether the bait was taken.
#![expect(unsafe_code, reason = "a key is laid as bait, which no library does")]

use instar_sandbox::native::{Ended, Maker, Native, Outcome, Sink, StartError, Stream};
use instar_sandbox::root::{Inside, Root};
use instar_sandbox::spec::{
    Access, Argv, BrokerSocket, Environment, Extra, Input, Job, Limits, Network, Walls,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const EXTRAS: [Extra; 2] = [Extra::Certificates, Extra::TimeZone];
const LONG: Duration = Duration::from_secs(600);
/// The name of a key of the caller's.
pub(crate) const KEY: &str = "instar-bait-key";
pub(crate) const SECRET: &str = "the-bait-that-nobody-may-see";

use crate::{missing, several};

pub(crate) fn drive(case: &str, maker: &str, folder: &Path) -> ExitCode {
    if rustix::process::geteuid().is_root() {
        println!("this runs as an ordinary user only: root passes what should stop it");
        return ExitCode::FAILURE;
    }
    lay_bait(folder);
    if let Some(layer) = case.strip_prefix("lack-") {
        return missing::lack(layer, maker, folder);
    }
    let native = native(maker);
    // What a careless part of the caller leaves open across a start.
    let bait = std::fs::File::open(folder.join("state/instar.json")).unwrap();
    let _left_open: Vec<_> = (0..20).map(|_| rustix::io::dup(&bait).unwrap()).collect();
    match case {
        "talk" => return talk(&native, folder),
        "vanish" => return vanish(&native, folder),
        "broker" | "listed" => serve(folder),
        "keys" => hold_a_key(),
        "abstract" => bind_an_abstract_socket(folder),
        "reuse" => return several::reuse(&native, folder),
        "twice" => return several::twice(&native, folder),
        "helper" => return several::helper(&native, folder),
        "aged" => return several::aged(&native, folder),
        "many" => return several::many(&native, folder),
        "swapped" => return several::swapped(&native, folder),
        _ => {}
    }
    let result = native
        .start(job(case, folder), None)
        .and_then(|mut running| {
            // Else the direct way would be tried twice.
            assert_eq!(running.stood_ready(), maker == "ready" && case != "broker");
            running.wait().map_err(StartError::Start)
        });
    let fine = judge(case, &result) && bait_untouched(folder);
    println!("{case}: {result:?}");
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

pub(crate) fn native(maker: &str) -> Native {
    let native = Native::of_this_binary();
    match maker {
        "own" => native.with_maker(Maker::Own),
        "ready" => native.with_maker(Maker::Own).keeping_ready(&EXTRAS, LONG),
        path => native.with_maker(Maker::Bubblewrap(path.into())),
    }
}

/// A background job: heard while it runs, spoken to, ended from elsewhere.
fn talk(native: &Native, folder: &Path) -> ExitCode {
    let (tell, heard) = std::sync::mpsc::channel();
    let mut job = job("input", folder);
    job.input = Input::Open;
    let sink: Sink = Arc::new(move |stream, piece: &[u8]| {
        let _told = tell.send((stream, piece.to_vec()));
    });
    let mut running = native.start(job, Some(sink)).unwrap();
    running.write(b"question").unwrap();
    let answer = heard.recv_timeout(Duration::from_secs(20));
    let heard = answer == Ok((Stream::Out, b"question".to_vec()));
    let early = running.wait_for(Duration::ZERO).unwrap().is_none();
    running.killer().kill();
    let outcome = running.wait().unwrap();
    // Once more, when there is nobody left to meet.
    running.kill();
    println!("heard {heard}, early {early}, {outcome:?}");
    if heard && early && outcome.ended == Ended::Killed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Goes away in the middle of a run, without a chance to clean up.
fn vanish(native: &Native, folder: &Path) -> ExitCode {
    let mut job = job("vanish", folder);
    let word = format!("{}", folder.display());
    job.argv = Argv::new(own(&["sh", "-c", "sleep 1000 & wait", &word])).unwrap();
    let running = native.start(job, None).unwrap();
    println!("started");
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
    drop(running);
    ExitCode::FAILURE
}

/// What the caller keeps in its session's ring: seen by all that it starts, unless that leaves it.
fn hold_a_key() {
    let name = std::ffi::CString::new(KEY).unwrap();
    // SAFETY: strings that outlive the call.
    let key = unsafe {
        let kind = c"user".as_ptr();
        libc::syscall(
            libc::SYS_add_key,
            kind,
            name.as_ptr(),
            name.as_ptr(),
            KEY.len(),
            -3,
        )
    };
    let shown = std::fs::read_to_string("/proc/keys").unwrap_or_default();
    println!("key {key}, shown outside: {}", shown.contains(KEY));
}

fn bind_an_abstract_socket(folder: &Path) {
    use std::os::linux::net::SocketAddrExt;
    let name = folder.to_str().unwrap();
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    std::os::unix::net::UnixStream::connect_addr(&address).unwrap();
    // Held until this process ends.
    std::mem::forget(listener);
}

/// Stands in for the egress broker.
fn serve(folder: &Path) {
    let listener = std::os::unix::net::UnixListener::bind(folder.join("broker.sock")).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut asked = [0; 4];
            connection.read_exact(&mut asked).unwrap();
            connection
                .write_all(&[&asked[..], b" yourself"].concat())
                .unwrap();
        }
    });
}

fn lay_bait(folder: &Path) {
    for (file, text) in [
        ("home/.ssh/id_ed25519", SECRET),
        ("state/instar.json", SECRET),
        ("work/note", "a note"),
    ] {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let probe = folder.join("work/probe");
    std::fs::copy("/proc/self/exe", &probe).unwrap();
    // A link from the workspace to the bait, as a program of an earlier run may have left it.
    let _there = std::os::unix::fs::symlink(folder.join("state"), folder.join("work/way-out"));
}

fn bait_untouched(folder: &Path) -> bool {
    ["home/.ssh/id_ed25519", "state/instar.json"]
        .iter()
        .all(|file| std::fs::read_to_string(folder.join(file)).is_ok_and(|text| text == SECRET))
        && std::fs::read_dir(folder.join("state")).unwrap().count() == 1
}

/// The words inside for a case. A case that is no attempt of ours is a program of the system.
fn words(case: &str, folder: &Path) -> Vec<String> {
    let outside = folder.display();
    let words: Vec<&str> = match case {
        "hello" => vec!["echo", "hello", "$HOME", "`id`", "*"],
        "missing" => vec!["no-such-program"],
        "signal" => vec!["sh", "-c", "kill -9 $$"],
        "code" => vec!["sh", "-c", "exit 7"],
        "twice" => vec!["true"],
        // It is there in the system's folder, too, with other words.
        "swapped" => vec!["cat", "os-release"],
        "environment" => vec!["env"],
        "input" | "output-bound" => vec!["cat"],
        "flood" => vec!["yes"],
        "time" => vec!["sleep", "1000"],
        "orphans" => vec!["sh", "-c", "setsid sleep 27182818 & echo started"],
        "write-read-only" => vec!["sh", "-c", "echo x > /work/new"],
        "write" => vec!["sh", "-c", "echo words > /work/new && cat /work/new"],
        "write-system" => vec![
            "sh",
            "-c",
            "echo x > /usr/new; echo x > /etc/new; echo x > /new",
        ],
        "memory" => vec!["python3", "-c", "x = bytearray(1 << 30); print('ESCAPED')"],
        "tmp" => vec![
            "sh",
            "-c",
            "head -c 2000000 /dev/zero > /tmp/a && ! head -c 70000000 /dev/zero > /tmp/b",
        ],
        "shield" => vec!["sh", "-c", "echo x > /work/new; echo x > /work/note"],
        "python" => vec!["python3", "-c", "print(6 * 7)"],
        // Programs that lists call safe, with the flags that make them something else.
        "safe-sort" => return own(&["sort", "-o", &format!("{outside}/state/x"), "/work/note"]),
        "safe-sort-program" => {
            return own(&["sort", "--compress-prog=touch", "-S1", "/work/note"]);
        }
        "safe-tee" => return own(&["tee", &format!("{outside}/state/x"), "/work/way-out/x"]),
        "safe-find" => {
            return own(&[
                "find",
                "/work/note",
                "-fprint",
                &format!("{outside}/state/x"),
            ]);
        }
        "safe-dd" => {
            return own(&[
                "dd",
                "if=/work/note",
                &format!("of={outside}/state/instar.json"),
            ]);
        }
        "safe-tar" => {
            let run = format!("--checkpoint-action=exec=cp /work/note {outside}/state/x");
            return own(&[
                "tar",
                "cf",
                "/dev/null",
                "--checkpoint=1",
                &run,
                "/work/note",
            ]);
        }
        "safe-sed" => return own(&["sed", "-n", &format!("w {outside}/state/x"), "/work/note"]),
        attempt => return own(&["/work/probe", "try", attempt, &outside.to_string()]),
    };
    own(&words)
}

pub(crate) fn own(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(crate) fn job(case: &str, folder: &Path) -> Job {
    let walls = Walls {
        workspace: match case {
            "write" | "links" | "shield" => Access::Write,
            _ => Access::Read,
        },
        extras: EXTRAS.to_vec(),
        limits: Limits {
            wall_seconds: if case == "time" { 1 } else { 60 },
            memory_bytes: if case == "tmp" { 64 } else { 256 } << 20,
            pids: 48,
            output_bytes: 4_096,
            ..Limits::default()
        },
        ..Walls::default()
    };
    let mut job = Job::new(walls, Argv::new(words(case, folder)).unwrap());
    job.workspace = Some(Root::open(&folder.join("work")).unwrap());
    if case == "broker" {
        job.walls.network = Network::Broker;
        job.broker = Some(BrokerSocket::new(&folder.join("broker.sock")).unwrap());
    }
    if case == "shield" {
        job.shielded = vec![Inside::parse("note").unwrap()];
    }
    job.input = match case {
        "input" => Input::Bytes(b"what goes in".to_vec()),
        "output-bound" => Input::Bytes(vec![b'x'; 10_000]),
        _ => Input::Empty,
    };
    let asked = [
        ("LANG", "de_DE.UTF-8"),
        ("LD_PRELOAD", "/work/evil.so"),
        ("TZ", "../../etc"),
    ];
    let asked: BTreeMap<_, _> = asked
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    job.environment = Environment::project(&asked).0;
    job
}

const ENVIRONMENT: &str = "HOME=/tmp\nLANG=de_DE.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin\nTERM=dumb\nTMPDIR=/tmp\nUSER=walled\n";

fn judge(case: &str, result: &Result<Outcome, StartError>) -> bool {
    let outcome = match result {
        Err(StartError::Refused(words)) => {
            return case == "missing" && words.contains("there is no program");
        }
        Err(_) => return false,
        Ok(outcome) => outcome,
    };
    let out = String::from_utf8_lossy(&outcome.stdout.bytes);
    let code = outcome.ended;
    if out.contains("ESCAPED") || out.contains(SECRET) {
        return false;
    }
    match case {
        "hello" => code == Ended::Exit(0) && out == "hello $HOME `id` *\n",
        "signal" => code == Ended::Exit(137),
        "code" => code == Ended::Exit(7),
        "environment" => {
            let mut lines: Vec<&str> = out.lines().collect();
            lines.sort_unstable();
            lines.join("\n") + "\n" == ENVIRONMENT
        }
        "input" => out == "what goes in",
        "output-bound" => {
            outcome.stdout.cut() && out.len() == 4_096 && outcome.stdout.total == 10_000
        }
        "flood" => code == Ended::Flooded,
        "time" => code == Ended::TimedOut,
        "orphans" => {
            let left = std::fs::read_dir("/proc").unwrap().any(|entry| {
                let words =
                    std::fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
                words == b"sleep\x0027182818\0"
            });
            code == Ended::Exit(0) && out == "started\n" && !left
        }
        "tmp" => code == Ended::Exit(0),
        "shield" => code != Ended::Exit(0),
        "write" => code == Ended::Exit(0) && out == "words\n",
        "python" => code == Ended::Exit(0) && out == "42\n",
        "write-read-only" | "write-system" | "memory" => code != Ended::Exit(0),
        safe if safe.starts_with("safe-") => true,
        _ => code == Ended::Exit(0) && out.contains("held"),
    }
}
