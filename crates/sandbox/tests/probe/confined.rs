//! A confined job that tries to do what it must not.
#![expect(
    unsafe_code,
    reason = "calls that the standard library has no name for"
)]

use instar_sandbox::confined::Post;
use serde::{Deserialize, Serialize};
use std::io::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// What lies in wait outside.
#[derive(Serialize, Deserialize)]
struct Bait {
    secret: PathBuf,
    state: PathBuf,
    caller: i32,
    port: u16,
}

pub(crate) fn work(mut post: Post) -> ExitCode {
    let bait: Bait = post.hear().unwrap();
    match post.role() {
        "scratch" => {
            let file = std::env::temp_dir().join("notes");
            std::fs::write(&file, "mine").unwrap();
            let mine = std::fs::read_to_string(&file).unwrap();
            let folder = std::env::temp_dir();
            post.tell(&(mine, folder, attempts(&bait))).unwrap();
        }
        "attempts" => post.tell(&attempts(&bait)).unwrap(),
        "echo" => {
            let words: String = post.hear().unwrap();
            post.tell(&words).unwrap();
        }
        "threads" => {
            let sums: Vec<u64> = (0..3_u64)
                .map(|part| std::thread::spawn(move || (0..=100_u64).map(|one| one * part).sum()))
                .map(|thread| thread.join().unwrap())
                .collect();
            post.tell(&sums).unwrap();
        }
        "long" => post.tell(&"x".repeat(100_000)).unwrap(),
        "chatter" => while post.tell(&"x".repeat(900)).is_ok() {},
        "forgery" => post.tell(&serde_json::json!({ "score": "much" })).unwrap(),
        "memory" => {
            let mut held = Vec::new();
            for _ in 0..200 {
                held.push(vec![1_u8; 10 << 20]);
            }
            post.tell(&held.len()).unwrap();
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        "panic" => assert_eq!(bait.caller, 0, "a job that fails"),
        // It stays until it is ended.
        _ => drop(post.hear::<String>()),
    }
    ExitCode::SUCCESS
}

/// What a call of the kernel answered.
fn call(answer: i64) -> Result<(), Error> {
    if answer < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(())
    }
}

fn socket(family: libc::c_int) -> Result<(), Error> {
    // SAFETY: takes no pointer.
    call(unsafe { libc::socket(family, libc::SOCK_STREAM, 0) }.into())
}

fn socketpair() -> Result<(), Error> {
    let mut pair = [0; 2];
    // SAFETY: two numbers that outlive the call.
    call(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair.as_mut_ptr()) }.into())
}

fn fork() -> Result<(), Error> {
    // SAFETY: a child that there were would do nothing but end with the test.
    call(unsafe { libc::fork() }.into())
}

fn signal(pid: i32) -> Result<(), Error> {
    // SAFETY: takes no pointer.
    call(unsafe { libc::kill(pid, libc::SIGTERM) }.into())
}

fn trace(pid: i32) -> Result<(), Error> {
    // SAFETY: this request reads neither of the two last arguments.
    call(unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid, 0, 0) })
}

/// Each attempt and what came of it: an error, or `ESCAPED`.
fn attempts(bait: &Bait) -> Vec<(String, String)> {
    let told = |what: &str, result: Result<(), Error>| {
        let came = result.map_or_else(|why| format!("{:?}", why.kind()), |()| "ESCAPED".to_owned());
        (what.to_owned(), came)
    };
    let of_caller = format!("/proc/{}/environ", bait.caller);
    let address = ("127.0.0.1", bait.port);
    let program = || std::process::Command::new("/bin/true").spawn();
    vec![
        told("socket of the internet", socket(libc::AF_INET)),
        told("socket of the machine", socket(libc::AF_UNIX)),
        told("pair of sockets", socketpair()),
        told(
            "connection",
            std::net::TcpStream::connect(address).map(drop),
        ),
        told("program", program().map(drop)),
        told("process", fork()),
        told("secret", std::fs::read(&bait.secret).map(drop)),
        told("its name", std::fs::metadata(&bait.secret).map(drop)),
        told("list", std::fs::read_dir("/").map(drop)),
        told("state", std::fs::write(&bait.state, "overwritten")),
        told("removal", std::fs::remove_file(&bait.state)),
        told("memory of the caller", std::fs::read(of_caller).map(drop)),
        told("signal", signal(bait.caller)),
        told("trace", trace(bait.caller)),
        told("environment", environment()),
        told("inherited descriptor", inherited()),
    ]
}

/// Nothing but the name of a folder of its own.
fn environment() -> Result<(), Error> {
    match std::env::vars_os().find(|(name, _)| name != "TMPDIR") {
        Some(_) => Ok(()),
        None => Err(Error::other("empty")),
    }
}

/// The standard streams, the line and the copy of it that is watched for its end are all there is.
fn inherited() -> Result<(), Error> {
    for descriptor in 5..64 {
        // SAFETY: takes no pointer.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } >= 0 {
            return Ok(());
        }
    }
    Err(Error::other("none"))
}
