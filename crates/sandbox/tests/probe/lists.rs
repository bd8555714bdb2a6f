//! Inside: what public lists try, one after the other. Outside: whether each is tried.
#![expect(
    unsafe_code,
    reason = "numbers of calls are tried as they stand in a list"
)]

use crate::table::{LISTS, Way};
use std::fs;
use std::io::{Error, Read as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// Everything on the lists that is no case of its own.
pub(crate) fn listed(outside: &str) -> Option<String> {
    // A socket that does answer whoever gets to it.
    if UnixStream::connect(format!("{outside}/broker.sock")).is_ok() {
        return Some("a socket of the caller answers".to_owned());
    }
    LISTS.iter().find_map(|list| {
        list.tries.iter().find_map(|(what, way)| {
            let how = way.leads()?;
            Some(format!("{}: {what}: {how}", list.address))
        })
    })
}

impl Way {
    /// How it leads out, if it does.
    fn leads(self) -> Option<String> {
        match self {
            Self::Call(number) => {
                // SAFETY: with null pointers a call that is answered fails or does nothing.
                let answer = unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) };
                let unknown = Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
                (answer != -1 || !unknown).then(|| format!("call {number} is answered"))
            }
            Self::Read(path) => {
                let opened = fs::read_dir(path).is_ok()
                    || fs::File::open(path).is_ok_and(|mut file| file.read(&mut [0]).is_ok());
                opened.then(|| format!("{path} can be read"))
            }
            Self::Write(path) => fs::OpenOptions::new()
                .write(true)
                .open(path)
                .ok()
                .map(|_| format!("{path} can be written")),
            Self::Gone(path) => fs::symlink_metadata(path)
                .ok()
                .map(|_| format!("{path} is there")),
            Self::Connect(path) => UnixStream::connect(path)
                .ok()
                .map(|_| format!("{path} answers")),
            Self::Reach(address) => {
                let address = address.parse().unwrap();
                let reached = TcpStream::connect_timeout(&address, Duration::from_secs(2));
                match reached.map_err(|error| error.raw_os_error()) {
                    Ok(_) | Err(Some(libc::ECONNREFUSED)) => Some(format!("{address} is reached")),
                    Err(_) => None,
                }
            }
            Self::By(_) => None,
        }
    }
}

/// What a process can read of its own walls.
pub(crate) fn status() -> Option<String> {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    // One user and one group are known inside, and no other can be taken on.
    for map in ["uid_map", "gid_map"] {
        let text = read(map);
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() != 3 || words[2] != "1" {
            return Some(format!("{map}: {text}"));
        }
    }
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let told = symbols.lines().find(|line| {
        line.trim_start_matches('0')
            .starts_with(|c: char| c.is_ascii_hexdigit())
    });
    if let Some(line) = told {
        return Some(format!("the kernel shows where it lies: {line}"));
    }
    let mounts = read("mountinfo");
    let open = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let (at, flags) = (fields.next()?, fields.next()?);
        let has = |flag: &str| flags.split(',').any(|one| one == flag);
        // A device holds no program.
        let is_open = has("rw") && !has("nosuid") && !at.starts_with("/dev/");
        let is_strange = line.contains(".sock") || at.starts_with("/sys");
        (is_open || is_strange).then(|| line.to_owned())
    });
    open.map(|line| format!("mounted: {line}"))
}

/// Emulations of other systems, and memory that is laid out the same each time.
pub(crate) fn personality() -> Option<String> {
    let others = [
        ("BSD", 0x0000_0006),
        ("SVR4", 0x0410_0001),
        ("no random places", libc::ADDR_NO_RANDOMIZE),
        ("what is read can be run", libc::READ_IMPLIES_EXEC),
        ("pages at zero", libc::MMAP_PAGE_ZERO),
    ];
    others.into_iter().find_map(|(name, wanted)| {
        // SAFETY: takes no pointer.
        let answer = unsafe { libc::syscall(libc::SYS_personality, wanted) };
        (answer != -1).then(|| format!("{name} is answered"))
    })
}

/// That each thing on a list is tried by a case that is run.
pub(crate) fn covered(cases: &[&str]) -> ExitCode {
    let mut missing = 0;
    for list in LISTS {
        println!("{}", list.address);
        for (what, way) in list.tries {
            if let Way::By(case) = way
                && !cases.contains(case)
            {
                println!("NOT TRIED: {what}: {case}");
                missing += 1;
            }
        }
    }
    ExitCode::from(u8::from(missing > 0))
}
