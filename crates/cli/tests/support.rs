//! Runs the built binary on a state folder of its own, beside a scripted model.
//!
//! [`Instar::start`] is all that most tests need; it waits until the gateway is ready. Nothing of
//! the machine's environment reaches the binary but `PATH`.

pub(crate) mod http;
mod process;
pub(crate) mod socket;
pub(crate) mod systemd;
pub(crate) mod terminal;
pub(crate) mod trace;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use instar_demo::{Answer as Said, Script, Step};
use instar_testkit::ScriptedServer;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use http::Http;
pub(crate) use process::{Running, Stopped, children, kill9, until};

/// The API token of every gateway under test.
pub(crate) const TOKEN: &str = "it-0123456789abcdefghijklmnopqrstuvwxyzABCDE";

/// What is particular about one test's gateway.
#[derive(Default)]
pub(crate) struct Setup {
    /// What the model says; when absent it repeats the message: `You said: …`.
    pub(crate) script: Option<Script>,
    /// Laid over the configuration that names the scripted model.
    pub(crate) config: Value,
    /// The text of `instar.json` itself, instead of the above.
    pub(crate) config_text: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    /// The state folder; when absent a new one.
    pub(crate) state: Option<PathBuf>,
    /// A program that starts the gateway, with its arguments.
    pub(crate) under: Vec<String>,
}

impl Setup {
    pub(crate) fn scripted(script: Script) -> Self {
        Self {
            script: Some(script),
            ..Self::default()
        }
    }

    #[must_use]
    pub(crate) fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn under<const N: usize>(mut self, program: [&str; N]) -> Self {
        self.under = program.map(str::to_owned).to_vec();
        self
    }
}

/// A state folder, its scripted model, and the gateway that runs on it (if one does).
pub(crate) struct Instar {
    // First, so that it has ended before its folder goes.
    running: Option<Running>,
    pub(crate) model: ScriptedServer,
    pub(crate) state: PathBuf,
    pub(crate) http: Http,
    pub(crate) under: Vec<String>,
    env: Vec<(String, String)>,
    home: TempDir,
    starts: u32,
}

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Standard output as JSON; the command has to have worked.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Instar {
    /// A gateway that is ready.
    #[track_caller]
    pub(crate) fn start(setup: Setup) -> Self {
        let mut instar = Self::prepare(setup);
        instar.launch();
        instar
    }

    /// Everything but the gateway.
    pub(crate) fn prepare(setup: Setup) -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = setup.state.unwrap_or_else(|| home.path().join("state"));
        private_folder(&state);
        let model = ScriptedServer::start(setup.script.unwrap_or_else(echo));
        let text = setup.config_text.unwrap_or_else(|| {
            let mut config = base_config(&model);
            merge(&mut config, setup.config);
            serde_json::to_string_pretty(&config).unwrap()
        });
        write_private(&state.join("instar.json"), &text);
        Self {
            model,
            state,
            http: Http::new(TOKEN),
            under: setup.under,
            env: setup.env,
            home,
            running: None,
            starts: 0,
        }
    }

    /// Starts the gateway and waits until it is ready; a gateway that ends instead fails the test.
    #[track_caller]
    pub(crate) fn launch(&mut self) {
        if let Err(stopped) = self.try_launch() {
            panic!("the gateway did not start: {stopped:?}");
        }
    }

    /// Starts the gateway and waits until it is ready or has ended.
    pub(crate) fn try_launch(&mut self) -> Result<(), Stopped> {
        self.launch_until("/ready")
    }

    /// Starts the gateway and waits until this path is answered with 200, or it has ended.
    pub(crate) fn launch_until(&mut self, path: &str) -> Result<(), Stopped> {
        self.launch_at(free_port(), path)
    }

    /// Starts the gateway where it was before, for clients that come back.
    #[track_caller]
    pub(crate) fn launch_again(&mut self) {
        if let Err(stopped) = self.launch_at(self.http.own_port(), "/ready") {
            panic!("the gateway did not start: {stopped:?}");
        }
    }

    fn launch_at(&mut self, port: u16, path: &str) -> Result<(), Stopped> {
        assert!(self.running.is_none(), "the gateway is running");
        self.starts += 1;
        self.http.port(port);
        let args = ["gateway", "run", "--port", &port.to_string()].map(str::to_owned);
        let name = format!("gateway-{}", self.starts);
        let running = Running::spawn(self.command(&self.under, &args), self.home.path(), &name);
        self.running = Some(running.until_answers(&self.http, path)?);
        Ok(())
    }

    /// Runs a command on the same state folder.
    pub(crate) fn run<const N: usize>(&self, args: [&str; N]) -> Output {
        self.run_with(&args, "")
    }

    /// Runs a command with something to read.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Output {
        use std::io::Write as _;
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let mut child = self
            .command(&[], &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read may have ended already.
        drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Proposes a change of what is stable, as its owner.
    pub(crate) fn propose(&self, deltas: &Value) -> Output {
        let args = [
            "candidate",
            "new",
            "--delta",
            "-",
            "--reason",
            "a try",
            "--json",
        ];
        self.run_with(&args, &deltas.to_string())
    }

    /// The id of a candidate that is made of this.
    pub(crate) fn candidate(&self, deltas: &Value) -> String {
        self.propose(deltas).json()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A command under way, with what it prints in pipes.
    pub(crate) fn begin<const N: usize>(&self, args: [&str; N]) -> Child {
        self.command(&[], &args.map(str::to_owned))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The binary with this test's environment, behind the program in `under`.
    pub(crate) fn command(&self, under: &[String], args: &[String]) -> Command {
        let binary = env!("CARGO_BIN_EXE_instar").to_owned();
        let words: Vec<&String> = under.iter().chain([&binary]).chain(args).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(self.home.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("INSTAR_STATE_DIR", &self.state)
            .env("INSTAR_GATEWAY_TOKEN", TOKEN)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The gateway's process, not that of a program it runs under.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().gateway_pid()
    }

    pub(crate) fn url(&self) -> String {
        self.http.url()
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn kill9(&mut self) -> Stopped {
        self.running.take().unwrap().kill9()
    }

    /// Asks the gateway to stop and waits until it has.
    pub(crate) fn terminate(&mut self) -> Stopped {
        let running = self.running.take().unwrap();
        running.ask_to_stop();
        running.wait()
    }

    /// Sends the signal only.
    pub(crate) fn ask_to_stop(&self) {
        self.running.as_ref().unwrap().ask_to_stop();
    }

    /// Waits for a gateway that ends by itself.
    pub(crate) fn wait(&mut self) -> Stopped {
        self.running.take().unwrap().wait()
    }

    /// Stops the gateway in good order and starts it again.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let stopped = self.terminate();
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
        self.launch();
    }

    /// Everything that gateways of this test printed.
    pub(crate) fn printed(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.home.path()).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if name.ends_with(".stdout") || name.ends_with(".stderr") {
                text.push_str(&std::fs::read_to_string(entry.path()).unwrap());
            }
        }
        text
    }

    /// The transcript of a conversation, oldest first; empty if there is none.
    #[track_caller]
    pub(crate) fn entries(&self, session: &str) -> Vec<Value> {
        self.try_entries(session)
            .unwrap_or_else(|error| panic!("{session}: {error}"))
    }

    /// The same of a gateway that may be gone.
    pub(crate) fn try_entries(&self, session: &str) -> Result<Vec<Value>, http::Failed> {
        let path = format!("/api/v1/sessions/{}?limit=1000", percent(session));
        let answer = self.http.try_get(&path)?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        Ok(answer.expect(200)["entries"].as_array().unwrap().clone())
    }

    /// Sends a message and waits for the end of its turn: the `done` event's outcome.
    #[track_caller]
    pub(crate) fn ask(&self, session: &str, text: &str) -> Value {
        self.send(&json!({ "session": session, "text": text }))
    }

    /// The same with whatever else goes along.
    #[track_caller]
    pub(crate) fn send(&self, body: &Value) -> Value {
        let mut stream = self
            .http
            .stream("POST", "/api/v1/messages", Some(body))
            .unwrap();
        let mut seen = Vec::new();
        while let Some(event) = stream.next() {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            if data["type"] == "done" {
                let mut outcome = data["outcome"].clone();
                outcome["run"] = data["run"].clone();
                return outcome;
            }
            seen.push(data);
        }
        panic!("the stream ended without an outcome: {seen:?}");
    }

    /// A good word of the owner's about an answer, if there was one.
    pub(crate) fn praise(&self, outcome: &Value) {
        if outcome["error"].is_null() {
            let word = json!({ "run": outcome["run"], "verdict": "good" });
            let said = self.http.post("/api/v1/feedback", &word);
            assert_eq!(said.status, 200, "{}", said.body);
        }
    }

    /// Says something in the main conversation; the [`echo`] model has to answer it.
    #[track_caller]
    pub(crate) fn chat(&self, text: &str) {
        let outcome = self.ask("main", text);
        assert!(is_echo(&outcome["text"], text), "{outcome:#}");
    }
}

impl Drop for Instar {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}

impl Instar {
    /// What helps when a test failed.
    #[expect(
        clippy::print_stderr,
        reason = "a failed test shows what the gateway printed"
    )]
    fn tell(&self) {
        eprintln!("--- printed by the gateway\n{}", self.printed());
        if let Ok(log) = std::fs::read_to_string(self.state.join("logs/instar.log")) {
            eprintln!("--- its log\n{log}");
        }
    }
}

/// Says why a test did not run.
#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
pub(crate) fn skipped(why: &str) {
    eprintln!("SKIPPED: {}", why.trim());
}

/// A line for the reader of the report.
#[expect(
    clippy::print_stderr,
    reason = "numbers that a reader of the report wants"
)]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A model that repeats the message.
pub(crate) fn echo() -> Script {
    Script {
        otherwise: Said::of([Step::Text("You said: {{text}}".to_owned())]),
        ..Script::default()
    }
}

/// True if the [`echo`] model said this about that message. The message reaches it behind a stamp of
/// the time: `[Sat 2026-11-21 03:12 UTC] hello`.
pub(crate) fn is_echo(said: &Value, message: &str) -> bool {
    let Some(heard) = said
        .as_str()
        .and_then(|said| said.strip_prefix("You said: "))
    else {
        return false;
    };
    let stamp = heard.strip_suffix(message).unwrap_or(heard);
    stamp.is_empty()
        || (stamp.starts_with('[') && stamp.ends_with("] ") && heard.len() > stamp.len())
}

/// The configuration that names the scripted model as the one that answers.
pub(crate) fn base_config(model: &ScriptedServer) -> Value {
    json!({
        "models": { "providers": { "scripted": {
            "baseUrl": model.openai_url(),
            "api": "openai-completions",
            "models": [{ "id": "x", "name": "Scripted", "contextWindow": 32_000, "maxTokens": 1_000 }],
        }}},
        "agents": { "defaults": { "model": { "primary": "scripted/x" } } },
    })
}

/// Lays one JSON value over another, object by object.
pub(crate) fn merge(into: &mut Value, over: Value) {
    match (into, over) {
        (_, Value::Null) => {}
        (Value::Object(into), Value::Object(over)) => {
            for (name, value) in over {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, over) => *into = over,
    }
}

pub(crate) fn private_folder(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A session key as one segment of a path.
pub(crate) fn percent(text: &str) -> String {
    text.replace('%', "%25")
        .replace('/', "%2F")
        .replace(':', "%3A")
}

/// A port that nobody listened on a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
