//! `instar lab walls`: jobs with the walls of the lab and of the judge try what those may not do, and say how that went.
//!
//! What stands in documents about their rights is shown here on the machine that they run on.

use instar_gateway::{judge_job, lab};
use instar_protocol::judge;
use instar_protocol::lab::{PROBE_ROLE, ROLE};
use instar_sandbox::confined::{Confined, Post};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Error;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::Style;

/// The name of the folder that is a job's own.
const OWN_FOLDER: &str = "TMPDIR";

/// What the job is told to try.
#[derive(Clone, Serialize, Deserialize, Debug)]
struct Bait {
    /// The folder of the gateway.
    state: PathBuf,
    /// The gateway's port.
    port: u16,
    /// A process beside it, as the judge is one.
    beside: i32,
}

/// One attempt and what became of it.
#[derive(Serialize, Deserialize, Debug)]
struct Attempt {
    /// Whose walls they are.
    job: String,
    what: String,
    /// Why it was refused; none if it was not.
    refused: Option<String>,
}

pub(crate) fn run(run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    // Something listens, so that what is refused is the socket and not the connection.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let bait = Bait {
        state: state.root().to_owned(),
        port: listener.local_addr()?.port(),
        beside: i32::try_from(std::process::id())?,
    };
    let mut attempts = tried(ROLE, lab::job(PROBE_ROLE)?, &bait)?;
    attempts.extend(tried(judge::ROLE, judge_job(PROBE_ROLE)?, &bait)?);
    if run.out.json() {
        run.out.value(&attempts)?;
    } else {
        for attempt in &attempts {
            let (style, came) = match &attempt.refused {
                Some(why) => (Style::Faint, format!("refused: {why}")),
                None => (Style::Bad, "NOT REFUSED".to_owned()),
            };
            run.out.line(&format!(
                "{:<6} {:<38} {}",
                attempt.job,
                attempt.what,
                run.out.paint(style, &came)
            ));
        }
    }
    let wrong = attempts.iter().find(|attempt| attempt.refused.is_none());
    let Some(wrong) = wrong else {
        return Ok(());
    };
    let what = format!("the {} could do what it must not", wrong.job);
    Err(Failure::new(Code::Failed, what)
        .next("do not run it on this machine; `instar doctor` checks the walls")
        .into())
}

/// What a job tried behind its walls, and what it was left with.
fn tried(name: &str, mut job: Confined, bait: &Bait) -> anyhow::Result<Vec<Attempt>> {
    // It waits to be told, and has opened nothing by itself yet.
    let held = told("hold a file that was left open", held(job.id()));
    job.tell(bait)?;
    let mut attempts: Vec<Attempt> = job.hear()?;
    attempts.push(held);
    for attempt in &mut attempts {
        name.clone_into(&mut attempt.job);
    }
    Ok(attempts)
}

/// The descriptors of a job, looked at from outside: its line, who watches that, and nothing else.
fn held(job: u32) -> Result<(), Error> {
    let mut lines = 0;
    for one in std::fs::read_dir(format!("/proc/{job}/fd"))? {
        let name = std::fs::read_link(one?.path())?;
        match name.to_string_lossy() {
            name if name.starts_with("socket:") => lines += 1,
            name if name == "/dev/null" => {}
            _ => return Ok(()),
        }
    }
    if lines > 2 {
        return Ok(());
    }
    Err(Error::other("it has its line alone"))
}

/// The job's side.
pub(crate) fn probe(mut post: Post) -> u8 {
    let tried = post.hear().map(|bait| attempts(&bait));
    u8::from(tried.and_then(|tried| post.tell(&tried)).is_err())
}

fn attempts(bait: &Bait) -> Vec<Attempt> {
    let state = |name: &str| bait.state.join(name);
    let of = |name: &str| PathBuf::from(format!("/proc/{}/{name}", bait.beside));
    let read = |path: PathBuf| File::open(path).map(drop);
    let write = |path: PathBuf| OpenOptions::new().append(true).open(path).map(drop);
    let socket = bait.state.join("any.sock");
    let beside = rustix::process::Pid::from_raw(bait.beside);
    let signalled = beside.map(rustix::process::test_kill_process);
    vec![
        told(
            "open a socket of the internet",
            UdpSocket::bind("127.0.0.1:0").map(drop),
        ),
        told(
            "reach the gateway",
            TcpStream::connect(("127.0.0.1", bait.port)).map(drop),
        ),
        told(
            "open a socket of the machine",
            UnixStream::connect(socket).map(drop),
        ),
        told(
            "run a program",
            Command::new("/proc/self/exe")
                .arg("--version")
                .spawn()
                .map(drop),
        ),
        told(
            "run a shell",
            Command::new("/bin/sh").arg("-c").arg(":").spawn().map(drop),
        ),
        told("read the secrets", read(state("secrets.json"))),
        told(
            "sign: read the key that opens them",
            read(state("master.key")),
        ),
        told("read conversations", read(state("instar.sqlite"))),
        told("write the gateway's store", write(state("instar.sqlite"))),
        told("write the configuration", write(state("instar.json"))),
        told(
            "make a file in the folder",
            File::create(state("made-by-the-lab")).map(drop),
        ),
        told(
            "make a file anywhere",
            File::create("/tmp/made-by-the-lab").map(drop),
        ),
        told(
            "look at the folder",
            std::fs::read_dir(&bait.state).map(drop),
        ),
        told("read a process beside it", read(of("environ"))),
        told("write its memory", write(of("mem"))),
        told(
            "reach the judge: signal a process",
            match signalled {
                Some(answer) => answer.map_err(Error::from),
                None => Err(Error::other("there is none")),
            },
        ),
        told(
            "find a word in its environment",
            match std::env::vars_os().find(|(name, _)| name != OWN_FOLDER) {
                Some(_) => Ok(()),
                None => Err(Error::other("there is none")),
            },
        ),
        told("find a file in a folder of its own", found()),
    ]
}

/// The judge has a folder of its own, and nothing is in it.
fn found() -> Result<(), Error> {
    let folder = std::env::var_os(OWN_FOLDER).ok_or_else(|| Error::other("it has none"))?;
    match std::fs::read_dir(folder)?.next() {
        Some(_) => Ok(()),
        None => Err(Error::other("it is empty")),
    }
}

fn told(what: &str, result: Result<(), Error>) -> Attempt {
    Attempt {
        job: String::new(),
        what: what.to_owned(),
        refused: result.err().map(|error| error.to_string()),
    }
}
