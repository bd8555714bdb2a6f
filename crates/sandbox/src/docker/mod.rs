//! Walls built by a container engine: the same job, put into a container of an image that the owner
//! named. Only this machine's engine is spoken to, over its Unix socket.
//!
//! Two processes stand for a run. The *outer* one is the caller's child and does nothing but be there.
//! The *guardian* talks to the engine; when the outer one is gone, however it went, the guardian ends
//! and removes the container.

mod http;

use crate::spec::{Access, Limits};
use crate::stage::{Doing, Order, READY, Refusal};
use http::{Call, ask};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where the workspace is seen.
const WORK: &str = "/work";
/// Where engines listen, unless the owner says otherwise.
pub const SOCKET: &str = "/var/run/docker.sock";

/// What an owner may say of containers. There is no field for a mount, a device, a capability, a
/// network or a security option.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Docker {
    pub socket: PathBuf,
    pub image: String,
    /// User and group by number.
    pub user: (u32, u32),
    /// Processors, in thousandths.
    pub cpu_thousandths: Option<u64>,
    /// Processes, where they are not to be as many as the limits say.
    pub pids: Option<u64>,
    /// Memory of all its processes; else that of the limits.
    pub memory_bytes: Option<u64>,
    /// Capabilities that are taken away by name, beside all.
    pub cap_drop: Vec<String>,
    /// Folders in memory beside `/tmp`.
    pub tmpfs: Vec<String>,
}

/// Those of this process: what is written in the workspace is its user's.
#[must_use]
pub fn own_user() -> (u32, u32) {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    (user.as_raw(), group.as_raw())
}

/// Processors as a whole number.
#[must_use]
pub fn thousandths(cpus: f64) -> u64 {
    // What is no number is the least there is.
    format!("{:.0}", cpus * 1_000.0).parse().unwrap_or(1)
}

/// What is asked of the engine: constants, but for limits, words, user and the one folder.
fn container(order: &Order, docker: &Docker, workspace: Option<&Path>) -> Value {
    let limits = &order.limits;
    let mut mounts = Vec::new();
    if let Some(folder) = workspace {
        let mut bind = |source: &Path, target: String, read_only: bool| {
            mounts.push(json!({
                "Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only,
                "BindOptions": { "Propagation": "rprivate", "NonRecursive": true },
            }));
        };
        bind(folder, WORK.to_owned(), order.workspace == Access::Read);
        for name in &order.shielded {
            bind(&folder.join(name), format!("{WORK}/{name}"), true);
        }
    }
    let memory_bytes = docker.memory_bytes.or(limits.together_bytes);
    let memory_bytes = memory_bytes.unwrap_or(limits.memory_bytes);
    let cpu_thousandths = docker.cpu_thousandths.or(limits.cpu_thousandths);
    let memory = format!("size={memory_bytes},mode=1777,nosuid,nodev");
    let mut tmpfs = serde_json::Map::new();
    for folder in docker.tmpfs.iter().map(String::as_str).chain(["/tmp"]) {
        let _new = tmpfs.insert(folder.to_owned(), json!(memory));
    }
    let mut dropped = vec!["ALL"];
    let by_name = docker.cap_drop.iter().map(String::as_str);
    dropped.extend(by_name.filter(|name| *name != "ALL"));
    if workspace.is_none() {
        let _new = tmpfs.insert(WORK.to_owned(), json!(memory));
    }
    let environment: Vec<String> = order
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    json!({
        "Image": docker.image,
        "Entrypoint": [],
        "Cmd": order.argv,
        "Env": environment,
        "WorkingDir": match order.folder.as_str() {
            "" => WORK.to_owned(),
            folder => format!("{WORK}/{folder}"),
        },
        "User": format!("{}:{}", docker.user.0, docker.user.1),
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true,
        "OpenStdin": true, "StdinOnce": true, "Tty": false,
        "NetworkDisabled": true,
        "Healthcheck": { "Test": ["NONE"] },
        "Labels": { "instar": "walls" },
        "HostConfig": {
            "AutoRemove": true,
            "Init": true,
            "NetworkMode": "none",
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Privileged": false,
            "ReadonlyRootfs": true,
            "CapDrop": dropped,
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": docker.pids.unwrap_or(limits.pids),
            "Memory": memory_bytes,
            "MemorySwap": memory_bytes,
            "NanoCpus": cpu_thousandths.map_or(0, |cpus| cpus * 1_000_000),
            "Tmpfs": tmpfs,
            "Mounts": mounts,
            "Ulimits": ulimits(limits),
            "LogConfig": { "Type": "none" },
        },
    })
}

fn ulimits(limits: &Limits) -> Value {
    let one = |name: &str, bound: u64| json!({ "Name": name, "Soft": bound, "Hard": bound });
    json!([
        one("nofile", limits.files),
        one("fsize", limits.file_bytes),
        one("cpu", limits.cpu_seconds),
        one("core", 0),
    ])
}

/// Runs an order in a container, to its end. `gone` comes back when the caller has gone away.
pub(crate) fn run(
    order: &Order,
    docker: &Docker,
    gone: impl FnOnce() + Send + 'static,
) -> Result<u8, Refusal> {
    let socket = docker.socket.clone();
    let _pong = ask(&socket, "GET", "/_ping", None).map_err(|why| no_engine(&socket, &why))?;
    let workspace = workspace(order)?;
    let made = container(order, docker, workspace.as_deref());
    let created = ask(&socket, "POST", "/containers/create", Some(&made));
    let created = created.map_err(|why| no_container(docker, &why))?;
    let id = created.body["Id"].as_str().unwrap_or_default().to_owned();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Refusal::new("make a container", "the engine gave it no id"));
    }
    let removed = Removed {
        socket: socket.clone(),
        id: id.clone(),
    };
    let ends = removed.clone();
    std::thread::Builder::new()
        .spawn(move || {
            gone();
            ends.remove();
        })
        .doing("watch the caller")?;
    let done = converse(&socket, &id);
    removed.remove();
    done
}

fn converse(socket: &Path, id: &str) -> Result<u8, Refusal> {
    let doing = "run the container";
    let attach = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
    let attached = Call::send(socket, "POST", &attach, None, true).and_then(Call::hijack);
    let stream = attached
        .doing(doing)?
        .map_err(|status| Refusal::new(doing, format!("it was not attached ({status})")))?;
    // The engine has begun to wait before the container is started, so that no end is missed.
    let wait = format!("/containers/{id}/wait?condition=next-exit");
    let wait = Call::send(socket, "POST", &wait, None, false).and_then(Call::begun);
    let wait = wait.doing(doing)?;
    let start = format!("/containers/{id}/start");
    let _started = ask(socket, "POST", &start, None).doing(doing)?;
    let mut output = std::io::stdout();
    let ready = output.write_all(&[READY]).and_then(|()| output.flush());
    ready.doing(doing)?;
    let input = stream.get_ref().try_clone().doing(doing)?;
    let _feeding = std::thread::Builder::new()
        .spawn(move || feed(&input))
        .doing(doing)?;
    // Output that ends early is told by the exit code.
    let _heard = unpack(stream, &mut output, &mut std::io::stderr());
    let ended = wait.answer().doing(doing)?;
    let code = ended.body["StatusCode"].as_u64().unwrap_or(1);
    Ok(u8::try_from(code & 0xff).unwrap_or(1))
}

fn feed(to: &UnixStream) {
    let _fed = std::io::copy(&mut std::io::stdin(), &mut &*to);
    let _closed = to.shutdown(std::net::Shutdown::Write);
}

/// Output comes in frames: the stream, three zeroes, a length, and so many bytes.
fn unpack(mut from: impl Read, out: &mut impl Write, err: &mut impl Write) -> std::io::Result<()> {
    loop {
        let mut head = [0; 8];
        match from.read_exact(&mut head) {
            Err(why) if why.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let [stream, _, _, _, a, b, c, d] = head;
        let mut piece = (&mut from).take(u64::from(u32::from_be_bytes([a, b, c, d])));
        let _count = match stream {
            2 => std::io::copy(&mut piece, err)?,
            _ => std::io::copy(&mut piece, out)?,
        };
        out.flush()?;
    }
}

/// The folder that the stage was started in, by the name that the engine knows it by.
fn workspace(order: &Order) -> Result<Option<PathBuf>, Refusal> {
    let doing = "show the workspace to the engine";
    let Some(identity) = order.identity else {
        return Ok(None);
    };
    let path = std::fs::read_link("/proc/self/cwd").doing(doing)?;
    let stat = rustix::fs::lstat(&path).doing(doing)?;
    if (stat.st_dev, stat.st_ino) != identity {
        return Err(Refusal::new(doing, "it was changed for another meanwhile"));
    }
    if path.to_str().is_none() {
        return Err(Refusal::new(doing, "its path is no text"));
    }
    Ok(Some(path))
}

/// A container that is not to outlive its run.
#[derive(Clone, Debug)]
struct Removed {
    socket: PathBuf,
    id: String,
}

impl Removed {
    fn remove(&self) {
        let path = format!("/containers/{}?force=1&v=1", self.id);
        // It has mostly removed itself.
        let _gone = ask(&self.socket, "DELETE", &path, None);
    }
}

fn no_engine(socket: &Path, why: &std::io::Error) -> Refusal {
    Refusal(format!(
        "no container engine answers at {}: {why}. Install one (`apt-get install docker.io`), start it, and \
         let the gateway's user reach its socket; or set sandbox.backend to native",
        socket.display()
    ))
}

fn no_container(docker: &Docker, why: &std::io::Error) -> Refusal {
    Refusal(format!(
        "the engine made no container of {}: {why}. Images are fetched by you: `docker pull {}`",
        docker.image, docker.image
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart_and_a_cut_one_is_an_end() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let bytes = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03no!\x01\0\0\0\0\0\0\x01.\x01\0";
        unpack(&bytes[..], &mut out, &mut err).unwrap();
        assert_eq!((out, err), (b"hi.".to_vec(), b"no!".to_vec()));
    }
}
