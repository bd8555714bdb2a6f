//! Inside: every way out that is known to have worked somewhere, tried in earnest.
#![expect(
    unsafe_code,
    reason = "attempts speak to the kernel as an attacker would"
)]

use std::fs;
use std::io::Error;
use std::process::ExitCode;

use crate::lists;

pub(crate) fn attempt(case: &str, rest: &[&str]) -> ExitCode {
    let outside = rest.first().copied().unwrap_or("/");
    let escaped = match case {
        "calls" => calls(),
        "namespaces" => namespaces(),
        "terminal" => terminal(),
        "sockets" => sockets(),
        "descriptors" => descriptors(),
        "first-process" => first_process(),
        "signals" => signals(),
        "files" => files(outside),
        "links" => links(outside),
        "devices" => devices(),
        "setuid" => setuid(),
        "capabilities" => capabilities(),
        "forks" => forks(),
        "keys" => keys(),
        "ptrace" => ptrace(),
        "abstract" => abstract_socket(outside),
        "network" => network(),
        "broker" => broker(),
        "listed" => lists::listed(outside),
        "status" => lists::status(),
        "personality" => lists::personality(),
        _ => Some(format!("no such attempt: {case}")),
    };
    match escaped {
        None => println!("held: {case}"),
        Some(how) => println!("ESCAPED: {case}: {how}"),
    }
    ExitCode::SUCCESS
}

/// Calls that have no business inside. Each must be unknown, whatever it is given.
fn calls() -> Option<String> {
    let calls = [
        ("mount", libc::SYS_mount),
        ("umount2", libc::SYS_umount2),
        ("open_tree", libc::SYS_open_tree),
        ("move_mount", libc::SYS_move_mount),
        ("fsopen", libc::SYS_fsopen),
        ("mount_setattr", libc::SYS_mount_setattr),
        ("pivot_root", libc::SYS_pivot_root),
        ("chroot", libc::SYS_chroot),
        ("unshare", libc::SYS_unshare),
        ("setns", libc::SYS_setns),
        ("clone3", libc::SYS_clone3),
        ("bpf", libc::SYS_bpf),
        ("keyctl", libc::SYS_keyctl),
        ("add_key", libc::SYS_add_key),
        ("request_key", libc::SYS_request_key),
        ("ptrace", libc::SYS_ptrace),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("kcmp", libc::SYS_kcmp),
        ("pidfd_getfd", libc::SYS_pidfd_getfd),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("io_uring_enter", libc::SYS_io_uring_enter),
        ("io_uring_register", libc::SYS_io_uring_register),
        ("kexec_load", libc::SYS_kexec_load),
        ("init_module", libc::SYS_init_module),
        ("finit_module", libc::SYS_finit_module),
        ("delete_module", libc::SYS_delete_module),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("name_to_handle_at", libc::SYS_name_to_handle_at),
        ("fanotify_init", libc::SYS_fanotify_init),
        ("mknodat", libc::SYS_mknodat),
        ("acct", libc::SYS_acct),
        ("swapon", libc::SYS_swapon),
        ("reboot", libc::SYS_reboot),
        ("syslog", libc::SYS_syslog),
        ("quotactl", libc::SYS_quotactl),
        ("settimeofday", libc::SYS_settimeofday),
        ("clock_settime", libc::SYS_clock_settime),
        ("adjtimex", libc::SYS_adjtimex),
        ("sethostname", libc::SYS_sethostname),
        ("vhangup", libc::SYS_vhangup),
        ("migrate_pages", libc::SYS_migrate_pages),
        ("memfd_secret", libc::SYS_memfd_secret),
        ("beyond every list", 1_000),
        // The second interface of the same machine.
        ("x32 getpid", 0x4000_0000 | libc::SYS_getpid),
    ];
    calls.into_iter().find_map(|(name, call)| {
        // SAFETY: with null pointers a call that is answered fails or does nothing.
        let answer = unsafe { libc::syscall(call, 0, 0, 0, 0, 0, 0) };
        let known = answer != -1 || Error::last_os_error().raw_os_error() != Some(libc::ENOSYS);
        known.then(|| format!("{name} is answered"))
    })
}

/// The flags of `clone` one by one, as a filter may have forgotten one.
fn namespaces() -> Option<String> {
    let flags = [
        ("user", libc::CLONE_NEWUSER),
        ("mount", libc::CLONE_NEWNS),
        ("pid", libc::CLONE_NEWPID),
        ("net", libc::CLONE_NEWNET),
        ("ipc", libc::CLONE_NEWIPC),
        ("uts", libc::CLONE_NEWUTS),
        ("cgroup", libc::CLONE_NEWCGROUP),
    ];
    flags.into_iter().find_map(|(name, flag)| {
        // SAFETY: without memory of its own for a stack it is a fork; the child leaves at once.
        match unsafe { libc::syscall(libc::SYS_clone, flag | libc::SIGCHLD, 0, 0, 0, 0) } {
            0 => std::process::abort(),
            -1 => None,
            _ => Some(format!("a new {name} namespace")),
        }
    })
}

fn terminal() -> Option<String> {
    [
        ("TIOCSTI", libc::TIOCSTI),
        ("TIOCLINUX", libc::TIOCLINUX),
        ("high bits", libc::TIOCSTI | 1 << 40),
    ]
    .into_iter()
    .find_map(|(name, request)| {
        // SAFETY: the byte outlives the call.
        let answer = unsafe { libc::ioctl(0, request, c"x".as_ptr()) };
        let refused = Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
        (answer != -1 || !refused).then(|| format!("{name} is answered"))
    })
}

fn sockets() -> Option<String> {
    let families = [
        ("netlink", libc::AF_NETLINK),
        ("packet", libc::AF_PACKET),
        ("vsock", libc::AF_VSOCK),
        ("alg", libc::AF_ALG),
        ("bluetooth", libc::AF_BLUETOOTH),
        ("can", libc::AF_CAN),
        ("key", libc::AF_KEY),
        ("rds", libc::AF_RDS),
        ("tipc", libc::AF_TIPC),
        ("xdp", libc::AF_XDP),
    ];
    let opened = families.into_iter().find_map(|(name, family)| {
        // SAFETY: takes no pointer.
        let socket = unsafe { libc::socket(family, libc::SOCK_RAW, 0) };
        (socket >= 0).then(|| format!("a socket of the family {name}"))
    });
    // SAFETY: takes no pointer.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW) };
    opened.or_else(|| (raw >= 0).then(|| "a raw socket".to_owned()))
}

/// Nothing but the three standard streams, whatever the gateway had open.
fn descriptors() -> Option<String> {
    (3..4_096).find_map(|number| {
        // SAFETY: takes no pointer.
        let open = unsafe { libc::fcntl(number, libc::F_GETFD) } != -1;
        open.then(|| format!("descriptor {number} was left open"))
    })
}

fn first_process() -> Option<String> {
    ["environ", "mem", "maps", "auxv", "syscall", "stack"]
        .into_iter()
        .find_map(|file| {
            let read = fs::read(format!("/proc/1/{file}"));
            read.is_ok_and(|bytes| !bytes.is_empty())
                .then(|| format!("/proc/1/{file} can be read"))
        })
        .or_else(|| {
            fs::read_dir("/proc/1/fd")
                .ok()
                .map(|_| "/proc/1/fd can be listed".to_owned())
        })
        .or_else(|| {
            fs::read_dir("/proc/1/root/")
                .ok()
                .map(|_| "/proc/1/root can be entered".to_owned())
        })
        .or_else(|| {
            let writes = [
                "/proc/sys/kernel/core_pattern",
                "/proc/sysrq-trigger",
                "/proc/self/uid_map",
            ];
            writes.into_iter().find_map(|file| {
                fs::write(file, "|/work/probe")
                    .ok()
                    .map(|()| format!("{file} can be written"))
            })
        })
}

fn signals() -> Option<String> {
    // SAFETY: takes no pointer. Process 1 ignores it or the number is unknown.
    let parent = unsafe { libc::getppid() };
    let numbers = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let seen = numbers.count();
    if parent > 1 || seen > 3 {
        return Some(format!("sees {seen} processes, its parent is {parent}"));
    }
    for number in 2..400 {
        let watcher = fs::exists(format!("/proc/1/task/{number}")).unwrap_or(false);
        if watcher || number == std::process::id().cast_signed() {
            continue;
        }
        // SAFETY: takes no pointer.
        if unsafe { libc::kill(number, 0) } == 0 {
            return Some(format!("process {number} can be signalled"));
        }
    }
    // The program cannot end the process that watches it.
    // SAFETY: takes no pointer.
    unsafe { libc::kill(1, libc::SIGKILL) };
    None
}

fn files(outside: &str) -> Option<String> {
    let names = [
        format!("{outside}/home/.ssh/id_ed25519"),
        format!("{outside}/state/instar.json"),
        format!("/proc/1/root{outside}/state/instar.json"),
        format!("/proc/self/root{outside}/state/instar.json"),
        format!("/proc/self/cwd/../..{outside}/state/instar.json"),
        "/work/way-out/instar.json".to_owned(),
        "/work/../state/instar.json".to_owned(),
        "/etc/shadow".to_owned(),
        "/root/.ssh".to_owned(),
        "/var/run/docker.sock".to_owned(),
        "/proc/kcore".to_owned(),
        "/proc/kmsg".to_owned(),
        "/sys/kernel".to_owned(),
        "/dev/mem".to_owned(),
        "/dev/vda".to_owned(),
        "/dev/kvm".to_owned(),
        "/dev/fuse".to_owned(),
    ];
    let read = names.iter().find_map(|name| {
        fs::File::open(name)
            .ok()
            .map(|_| format!("{name} can be opened"))
    });
    let written = [
        "/work/x", "/usr/x", "/etc/x", "/x", "/dev/x", "/proc/x", "/run/x",
    ];
    read.or_else(|| {
        written.into_iter().find_map(|name| {
            fs::write(name, "x")
                .ok()
                .map(|()| format!("{name} can be written"))
        })
    })
}

/// Links out of a workspace that can be written; what they lead to must not exist inside.
fn links(outside: &str) -> Option<String> {
    let target = format!("{outside}/state/instar.json");
    let _made = std::os::unix::fs::symlink(&target, "/work/soft");
    let followed = fs::read("/work/soft").is_ok() || fs::write("/work/soft", "x").is_ok();
    let _gone = fs::remove_file("/work/soft");
    let hard = fs::hard_link("/work/way-out/instar.json", "/work/hard").is_ok()
        || fs::hard_link("/usr/bin/env", "/work/hard").is_ok()
        || fs::rename("/work/note", "/tmp/note").is_ok();
    (followed || hard).then(|| "a link leads out".to_owned())
}

fn devices() -> Option<String> {
    ["/tmp/node", "/work/node"].into_iter().find_map(|at| {
        let path = std::ffi::CString::new(at).unwrap();
        // SAFETY: the path outlives the call.
        let made =
            unsafe { libc::mknod(path.as_ptr(), libc::S_IFBLK | 0o666, libc::makedev(254, 0)) };
        (made == 0).then(|| format!("a device was made at {at}"))
    })
}

fn setuid() -> Option<String> {
    for program in [
        "/usr/bin/su",
        "/usr/bin/passwd",
        "/usr/bin/mount",
        "/usr/bin/chsh",
    ] {
        let ran = std::process::Command::new(program)
            .arg("--version")
            .output();
        drop(ran);
    }
    // SAFETY: takes no pointer.
    let became = unsafe { libc::setuid(0) } == 0;
    let id = rustix::process::geteuid().as_raw();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2");
    (became || id != 1_000 || !held).then(|| format!("runs as {id}:\n{status}"))
}

fn capabilities() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    sets.into_iter().find_map(|set| {
        let none = format!("{set}:\t0000000000000000");
        (!status.contains(&none)).then(|| format!("{set} is not empty: {status}"))
    })
}

/// The keys that the caller holds, and making some.
fn keys() -> Option<String> {
    let shown = fs::read_to_string("/proc/keys").unwrap_or_default();
    if shown.contains(crate::drive::KEY) {
        return Some(format!("the caller's key is shown: {shown}"));
    }
    let (kind, name) = (c"user".as_ptr(), c"made-inside".as_ptr());
    // The ring of the session, of the user, and of the session of the user.
    (-5..=-3_i64).find_map(|ring| {
        // SAFETY: strings that outlive the calls.
        let answers = unsafe {
            [
                libc::syscall(libc::SYS_add_key, kind, name, c"x".as_ptr(), 1, ring),
                libc::syscall(libc::SYS_request_key, kind, name, 0, ring),
                // Its number, and what it holds.
                libc::syscall(libc::SYS_keyctl, 0, ring, 1),
                libc::syscall(libc::SYS_keyctl, 11, ring, 0, 0),
            ]
        };
        let answered = answers.iter().any(|answer| *answer != -1);
        answered.then(|| format!("the ring {ring} is answered: {answers:?}"))
    })
}

/// Watching another process: the first, a child of its own, and being watched.
fn ptrace() -> Option<String> {
    // SAFETY: one thread; the child only waits to be ended.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            std::thread::park();
        }
    }
    let requests = [
        ("attach", libc::PTRACE_ATTACH),
        ("seize", libc::PTRACE_SEIZE),
        ("traceme", libc::PTRACE_TRACEME),
    ];
    let tried = requests.into_iter().find_map(|(name, request)| {
        [1, child].into_iter().find_map(|of| {
            // SAFETY: null pointers; what is attached to would only stop.
            let answer = unsafe { libc::ptrace(request, of, 0, 0) };
            (answer != -1).then(|| format!("{name} of process {of} is answered"))
        })
    });
    // SAFETY: takes no pointer.
    unsafe { libc::kill(child, libc::SIGKILL) };
    tried
}

/// A socket without a file, of somebody outside.
fn abstract_socket(outside: &str) -> Option<String> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    let address = SocketAddr::from_abstract_name(outside).unwrap();
    if UnixStream::connect_addr(&address).is_ok() {
        return Some("a socket outside answers".to_owned());
    }
    // The name is free inside: what is behind it there is another one.
    let own = UnixListener::bind_addr(&address).and_then(|_own| UnixStream::connect_addr(&address));
    own.err()
        .map(|why| format!("it meets the one outside: {why}"))
}

/// Forks until it is refused; the limit of the walls is 48.
fn forks() -> Option<String> {
    for count in 0..200 {
        // SAFETY: one thread; the child only waits to be ended.
        match unsafe { libc::fork() } {
            -1 => {
                println!("refused after {count}");
                return None;
            }
            0 => loop {
                std::thread::park();
            },
            _ => {}
        }
    }
    Some("200 processes were made".to_owned())
}

fn network() -> Option<String> {
    use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
    let addresses = [
        "127.0.0.1:22",
        "127.0.0.1:80",
        "169.254.169.254:80",
        "192.0.2.1:443",
        "[::1]:80",
    ];
    let tcp = addresses.into_iter().find_map(|address| {
        let address = address.parse().unwrap();
        let reached = TcpStream::connect_timeout(&address, std::time::Duration::from_secs(2));
        match reached.map_err(|error| error.raw_os_error()) {
            // Refused by a listener's absence would mean that there is a way to it.
            Ok(_) | Err(Some(libc::ECONNREFUSED)) => Some(format!("{address} is reached")),
            Err(_) => None,
        }
    });
    let udp = UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.send_to(b"x", "192.0.2.1:53"))
        .is_ok();
    let names = ("example.org", 80).to_socket_addrs().is_ok();
    let interfaces = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let wires = interfaces
        .lines()
        .skip(2)
        .filter(|line| !line.trim().starts_with("lo:"))
        .count();
    tcp.or_else(|| {
        (udp || names || wires > 0).then(|| format!("udp {udp}, names {names}, {interfaces}"))
    })
}

/// With the broker there is one way, and it leads to the broker.
fn broker() -> Option<String> {
    use std::io::{Read, Write};
    let proxy = std::env::var("https_proxy").unwrap_or_default();
    let address = proxy.strip_prefix("http://").unwrap_or_default().to_owned();
    let mut way = match std::net::TcpStream::connect(&address) {
        Ok(way) => way,
        Err(error) => return Some(format!("no way to the broker at {proxy}: {error}")),
    };
    way.write_all(b"help").unwrap();
    let mut answer = String::new();
    way.read_to_string(&mut answer).unwrap();
    if answer != "help yourself" {
        return Some(format!("the broker answered {answer:?}"));
    }
    network()
}
