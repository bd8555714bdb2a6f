//! A container engine that has no containers: it answers on a Unix socket as the documented interface
//! (1.41) does, and runs the command of a container as a process of this machine. It shows what is asked
//! of an engine and in which order, not what walls an engine builds.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Result, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Container {
    spec: Value,
    attached: Option<UnixStream>,
    pid: Option<u32>,
    code: Option<i32>,
    waits: usize,
}

#[derive(Debug, Default)]
struct House {
    asked: Vec<(String, Value)>,
    containers: BTreeMap<String, Container>,
    count: u64,
}

/// The engine at work; it serves until the process ends.
#[derive(Clone, Debug)]
pub struct FakeEngine {
    socket: PathBuf,
    image: &'static str,
    house: Arc<(Mutex<House>, Condvar)>,
}

impl FakeEngine {
    /// Listens at this place and knows one image.
    pub fn start(socket: &Path, image: &'static str) -> Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let engine = Self {
            socket: socket.to_owned(),
            image,
            house: Arc::default(),
        };
        let serving = engine.clone();
        let _thread = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let engine = serving.clone();
                let _thread = std::thread::spawn(move || engine.converse(client));
            }
        });
        Ok(engine)
    }

    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Every request so far: method and path, with ids taken out, and the body.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.house().asked.clone()
    }

    /// Containers that were made and not removed.
    #[must_use]
    pub fn left(&self) -> usize {
        self.house().containers.len()
    }

    fn house(&self) -> MutexGuard<'_, House> {
        self.house.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn converse(&self, client: UnixStream) {
        let mut reader = BufReader::new(client);
        // A client that goes away is no matter.
        let _ended = self.answer(&mut reader);
    }

    fn answer(&self, reader: &mut BufReader<UnixStream>) -> Result<()> {
        let mut line = String::new();
        let _count = reader.read_line(&mut line)?;
        let mut words = line.split(' ');
        let (method, target) = (
            words.next().unwrap_or_default().to_owned(),
            words.next().unwrap_or_default().to_owned(),
        );
        let mut length = 0;
        loop {
            let mut header = String::new();
            let _count = reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(given) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = given.trim().parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let path = target.strip_prefix("/v1.41").unwrap_or("/unversioned");
        let mut parts = path.trim_start_matches('/').split(['/', '?']);
        let parts = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
        let shown = match parts {
            ["containers", id, _] if id != "create" => path.replace(id, "ID"),
            _ => path.to_owned(),
        };
        self.house()
            .asked
            .push((format!("{method} {shown}"), body.clone()));
        let stream = reader.get_mut();
        match (method.as_str(), parts) {
            ("GET", ["_ping", ..]) => stream.write_all(
                b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: text/plain\r\n\
                  Content-Length: 2\r\n\r\nOK",
            ),
            ("POST", ["containers", "create", _]) => self.create(stream, body),
            ("POST", ["containers", id, "attach"]) => {
                stream.write_all(
                    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
                      Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
                )?;
                let held = stream.try_clone()?;
                if let Some(container) = self.house().containers.get_mut(id) {
                    container.attached = Some(held);
                }
                Ok(())
            }
            ("POST", ["containers", id, "start"]) => self.begin(stream, id),
            ("POST", ["containers", id, "wait"]) => self.wait(stream, id),
            ("DELETE", ["containers", id, _]) => self.remove(stream, id),
            _ => told(
                stream,
                "404 Not Found",
                &json!({ "message": "page not found" }),
            ),
        }
    }

    fn create(&self, stream: &mut UnixStream, spec: Value) -> Result<()> {
        if spec["Image"] != self.image {
            let why = format!(
                "No such image: {}",
                spec["Image"].as_str().unwrap_or_default()
            );
            return told(stream, "404 Not Found", &json!({ "message": why }));
        }
        let mut house = self.house();
        house.count += 1;
        let id = format!("{:064x}", house.count);
        let container = Container {
            spec,
            ..Container::default()
        };
        let _new = house.containers.insert(id.clone(), container);
        drop(house);
        told(stream, "201 Created", &json!({ "Id": id, "Warnings": [] }))
    }

    fn begin(&self, stream: &mut UnixStream, id: &str) -> Result<()> {
        let (spec, attached) = {
            let mut house = self.house();
            let Some(container) = house.containers.get_mut(id) else {
                drop(house);
                return missing(stream, id);
            };
            (container.spec.clone(), container.attached.take())
        };
        let Some(attached) = attached else {
            return told(
                stream,
                "409 Conflict",
                &json!({ "message": "not attached" }),
            );
        };
        let child = match spawn(&spec) {
            Ok(child) => child,
            Err(why) => {
                let message = json!({ "message": why.to_string() });
                return told(stream, "400 Bad Request", &message);
            }
        };
        if let Some(container) = self.house().containers.get_mut(id) {
            container.pid = Some(child.id());
        }
        let (engine, id) = (self.clone(), id.to_owned());
        let _thread = std::thread::spawn(move || {
            let code = carry(child, &attached).unwrap_or(1);
            if let Some(container) = engine.house().containers.get_mut(&id) {
                container.code = Some(code);
            }
            engine.house.1.notify_all();
            let _closed = attached.shutdown(std::net::Shutdown::Both);
        });
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
    }

    /// Comes back with the exit code, in a chunked body as the engine sends it; a container that was to
    /// remove itself is gone then.
    fn wait(&self, stream: &mut UnixStream, id: &str) -> Result<()> {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        )?;
        let mut house = self.house();
        if let Some(container) = house.containers.get_mut(id) {
            container.waits += 1;
        }
        let code = loop {
            match house.containers.get(id) {
                None => break 137,
                Some(Container {
                    code: Some(code), ..
                }) => break *code,
                Some(_) => {
                    let waiting = self.house.1.wait(house);
                    house = waiting.unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        let _gone = house.containers.remove(id);
        drop(house);
        let body = json!({ "StatusCode": code }).to_string();
        let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        stream.write_all(chunked.as_bytes())
    }

    fn remove(&self, stream: &mut UnixStream, id: &str) -> Result<()> {
        let Some(container) = self.house().containers.remove(id) else {
            return missing(stream, id);
        };
        self.house.1.notify_all();
        if let (Some(pid), None) = (container.pid, container.code) {
            // The process was put into a group of its own.
            let _killed = Command::new("kill")
                .args(["-KILL", "--", &format!("-{pid}")])
                .status();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
    }
}

fn spawn(spec: &Value) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let texts = |key: &str| -> Vec<String> {
        let list = spec[key].as_array().into_iter().flatten();
        list.filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    let (words, environment) = (texts("Cmd"), texts("Env"));
    let folder = spec["HostConfig"]["Mounts"][0]["Source"]
        .as_str()
        .unwrap_or("/");
    Command::new(words.first().map_or("", String::as_str))
        .args(words.iter().skip(1))
        .env_clear()
        .envs(environment.iter().filter_map(|pair| pair.split_once('=')))
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Carries a container's streams until it ends: input raw, output in frames.
fn carry(mut child: Child, attached: &UnixStream) -> Result<i32> {
    let out = attached.try_clone()?;
    let framed = Arc::new(Mutex::new(out));
    let mut threads = Vec::new();
    let streams: [(u8, Option<Box<dyn Read + Send>>); 2] = [
        (1, child.stdout.take().map(|from| Box::new(from) as _)),
        (2, child.stderr.take().map(|from| Box::new(from) as _)),
    ];
    for (number, from) in streams {
        let (Some(mut from), to) = (from, Arc::clone(&framed)) else {
            continue;
        };
        threads.push(std::thread::spawn(move || {
            let mut piece = vec![0; 4_096];
            while let Ok(count @ 1..) = from.read(&mut piece) {
                let length = u32::try_from(count).unwrap_or_default().to_be_bytes();
                let head = [&[number, 0, 0, 0][..], &length].concat();
                let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
                let sent = to
                    .write_all(&head)
                    .and_then(|()| to.write_all(&piece[..count]));
                if sent.is_err() {
                    return;
                }
            }
        }));
    }
    if let (Some(mut to), Ok(mut from)) = (child.stdin.take(), attached.try_clone()) {
        let _thread = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    }
    let status = child.wait()?;
    for thread in threads {
        let _ended = thread.join();
    }
    Ok(status.code().unwrap_or(137))
}

fn missing(stream: &mut UnixStream, id: &str) -> Result<()> {
    let message = json!({ "message": format!("No such container: {id}") });
    told(stream, "404 Not Found", &message)
}

fn told(stream: &mut UnixStream, status: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes())
}
