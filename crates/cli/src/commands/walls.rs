//! `instar lab walls`: a job with the lab's own walls tries what the lab may not do, and says how that went.
//!
//! What stands in documents about the rights of the lab is shown here on the machine that it runs on.

use instar_gateway::lab::job;
use instar_protocol::lab::PROBE_ROLE;
use instar_sandbox::confined::Post;
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

/// What the job is told to try.
#[derive(Serialize, Deserialize, Debug)]
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
    let mut job = job(PROBE_ROLE)?;
    job.tell(&bait)?;
    let attempts: Vec<Attempt> = job.hear()?;
    if run.out.json() {
        run.out.value(&attempts)?;
    } else {
        for attempt in &attempts {
            let (style, came) = match &attempt.refused {
                Some(why) => (Style::Faint, format!("refused: {why}")),
                None => (Style::Bad, "NOT REFUSED".to_owned()),
            };
            run.out.line(&format!(
                "{:<38} {}",
                attempt.what,
                run.out.paint(style, &came)
            ));
        }
    }
    if attempts.iter().all(|attempt| attempt.refused.is_some()) {
        return Ok(());
    }
    Err(
        Failure::new(Code::Failed, "the lab could do what it must not")
            .next("do not run it on this machine; `instar doctor` checks the walls")
            .into(),
    )
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
            match std::env::vars_os().next() {
                Some(_) => Ok(()),
                None => Err(Error::other("it is empty")),
            },
        ),
    ]
}

fn told(what: &str, result: Result<(), Error>) -> Attempt {
    Attempt {
        what: what.to_owned(),
        refused: result.err().map(|error| error.to_string()),
    }
}
