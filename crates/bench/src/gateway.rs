//! The whole way of a turn, measured on the real binary beside the scripted model called directly.

mod figures;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

use instar_protocol::time::SystemClock;
use instar_protocol::{AgentId, Clock, SessionId, SessionKey};
use instar_store::{Op, SessionRow, Store};

use crate::load::{self, Timings};
use crate::machine::{Machine, quantile};
use crate::process::{self, Running, Start, Used};
use crate::report::{progress, say};
use figures::{Growth, Report, Soak, StartRow, TurnRow, print};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Make every phase this many times shorter, for a quick look
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    shorten: u32,
    /// Turns of the soak
    #[arg(long, default_value_t = 10_000)]
    soak: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Messages of a fixed size, so that every turn carries the same work.
const QUESTION: &str = "Tell me in one short line what you would do next.";

fn turn_body(user: Option<&str>) -> Bytes {
    body(user, QUESTION)
}

/// A message of nine hundred characters: twenty turns of it fill a window of 8,192 tokens.
fn long_body(user: &str) -> Bytes {
    let list = "The list of this week: order paper and ink, call the printer, send both drafts. ";
    body(Some(user), &(list.repeat(11) + QUESTION))
}

fn body(user: Option<&str>, text: &str) -> Bytes {
    let mut body = json!({
        "model": "instar",
        "messages": [{ "role": "user", "content": text }],
    });
    if let (Some(user), Some(fields)) = (user, body.as_object_mut()) {
        let _new = fields.insert("user".to_owned(), user.into());
    }
    Bytes::from(body.to_string())
}

fn direct_body() -> Bytes {
    let body = json!({
        "model": "scripted",
        "stream": true,
        "messages": [{ "role": "user", "content": QUESTION }],
    });
    Bytes::from(body.to_string())
}

pub(crate) struct Bench {
    state: tempfile::TempDir,
    model: String,
    _model: Running,
    shorten: usize,
}

const SCRIPT: &str = r#"{"otherwise":{"say":[{"text":"I would read the list first."}]}}"#;

impl Bench {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let state = tempfile::tempdir().context("a folder for the bench")?;
        Self::with(SCRIPT, usize::try_from(options.shorten)?, state)
    }

    pub(crate) fn with(
        script: &str,
        shorten: usize,
        state: tempfile::TempDir,
    ) -> anyhow::Result<Self> {
        let path = state.path().join("script.json");
        std::fs::write(&path, script)?;
        let (running, model) = process::scripted_model(&path)?;
        Ok(Self {
            state,
            model,
            _model: running,
            shorten,
        })
    }

    /// A state folder whose gateway calls the scripted model.
    pub(crate) fn state(&self, name: &str, window: u32) -> anyhow::Result<std::path::PathBuf> {
        let folder = self.state.path().join(name);
        std::fs::create_dir_all(&folder)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&folder, mode)?;
        let config = json!({
            "models": { "providers": { "bench": {
                "baseUrl": format!("http://{}/v1", self.model), "api": "openai-completions",
                "models": [{ "id": "scripted", "name": "Scripted", "contextWindow": window, "maxTokens": 512 }],
            }}},
            "agents": { "defaults": { "model": { "primary": "bench/scripted" } } },
            // One peer on loopback stands for many, so its request rate is not bounded here.
            "gateway": { "limits": { "requestsPerMinute": 10_000_000 } },
        });
        let path = folder.join("instar.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(folder)
    }

    fn turns(&self, full: usize) -> usize {
        (full / self.shorten).max(20)
    }
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let bench = Bench::new(options)?;
    let machine = Machine::look(bench.state.path())?;
    let state = bench.state("main", 128_000)?;
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");

    progress("start");
    let (gateway, first) = process::gateway(&state, port).await?;
    gateway.stop()?;
    let mut starts = Vec::new();
    for _ in 0..5 {
        let (gateway, start) = process::gateway(&state, port).await?;
        starts.push(start);
        gateway.stop()?;
    }
    let second = median_start(&mut starts);
    let (gateway, _) = process::gateway(&state, port).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle_mb = gateway.resident_mb()?;

    let mut turns = Vec::new();
    // A first round fills pools and caches on both sides.
    let _warm = load::run(&address, 8, 200, |_| turn_body(None)).await?;
    for (clients, full) in [(1, 1000), (8, 4000), (32, 8000)] {
        progress(&format!("{clients} clients, new conversations"));
        turns.push(measure(&bench, &gateway, &address, clients, bench.turns(full)).await?);
    }
    gateway.stop()?;

    progress("one long conversation");
    let long_session = long_session(&bench, port).await?;
    progress("10,000 stored conversations");
    let stored_sessions = stored_sessions(&bench, port).await?;
    progress("soak");
    let soak = soak(&bench, port, options.soak / bench.shorten).await?;

    let report = Report {
        machine,
        binary_mb: megabytes(std::fs::metadata(process::binary("instar")?)?.len()),
        start: vec![
            StartRow {
                what: "first",
                wall_ms: first.wall_ms,
                cpu_ms: first.cpu_ms,
            },
            StartRow {
                what: "second",
                wall_ms: second.wall_ms,
                cpu_ms: second.cpu_ms,
            },
        ],
        idle_mb,
        turns,
        long_session,
        stored_sessions,
        soak,
    };
    if options.json {
        say(&serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn median_start(starts: &mut [Start]) -> Start {
    starts.sort_by(|one, two| one.wall_ms.total_cmp(&two.wall_ms));
    starts[starts.len() / 2]
}

pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// The same number of turns directly and through the gateway, in alternating rounds.
async fn measure(
    bench: &Bench,
    gateway: &Running,
    address: &str,
    clients: usize,
    turns: usize,
) -> anyhow::Result<TurnRow> {
    const ROUNDS: usize = 4;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    let (mut wall_s, mut used) = (0.0, Used::default());
    for _ in 0..ROUNDS {
        let body = direct_body();
        direct.extend(
            load::run(&bench.model, clients, turns / ROUNDS, move |_| body.clone())
                .await?
                .millis,
        );
        let before = gateway.used()?;
        let body = turn_body(None);
        let Timings {
            millis,
            wall_s: wall,
        } = load::run(address, clients, turns / ROUNDS, move |_| body.clone()).await?;
        let spent = gateway.used()?.since(before);
        used.cpu_ms += spent.cpu_ms;
        used.written += spent.written;
        wall_s += wall;
        through.extend(millis);
    }
    let count = count(through.len());
    let (direct_p50_ms, gateway_p50_ms) = (quantile(&mut direct, 0.5), quantile(&mut through, 0.5));
    let (direct_p99_ms, gateway_p99_ms) =
        (quantile(&mut direct, 0.99), quantile(&mut through, 0.99));
    Ok(TurnRow {
        clients,
        turns: through.len(),
        direct_p50_ms,
        gateway_p50_ms,
        added_p50_ms: gateway_p50_ms - direct_p50_ms,
        direct_p99_ms,
        gateway_p99_ms,
        added_p99_ms: gateway_p99_ms - direct_p99_ms,
        turns_per_s: count / wall_s,
        cpu_ms_per_turn: used.cpu_ms / count,
        written_bytes_per_turn: used.written / count,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a number of turns")]
fn count(turns: usize) -> f64 {
    turns as f64
}

/// Sequential turns of one kind: their times, and the CPU that the gateway spent on them.
#[derive(Default)]
struct Sequence {
    millis: Vec<f64>,
    cpu_ms: f64,
}

impl Sequence {
    async fn extend(
        &mut self,
        gateway: &Running,
        address: &str,
        turns: usize,
        body: Bytes,
    ) -> anyhow::Result<()> {
        let before = gateway.used()?;
        let timings = load::run(address, 1, turns, move |_| body.clone()).await?;
        self.cpu_ms += gateway.used()?.since(before).cpu_ms;
        self.millis.extend(timings.millis);
        Ok(())
    }

    /// The median time, and the CPU of one turn.
    fn figures(mut self) -> (f64, f64) {
        let turns = count(self.millis.len());
        (quantile(&mut self.millis, 0.5), self.cpu_ms / turns)
    }
}

/// How often two kinds of turns that are compared take their turn, so that what the machine does
/// meanwhile meets both alike.
const ALTERNATIONS: usize = 16;

/// One conversation whose window is full from about turn 20 on, so that equal context is sent:
/// its turns after many, in alternation with the turns 20 to 40 of conversations that are new.
async fn long_session(bench: &Bench, port: u16) -> anyhow::Result<Growth> {
    let state = bench.state("long", 8_192)?;
    let address = format!("127.0.0.1:{port}");
    let (gateway, _) = process::gateway(&state, port).await?;
    let many = bench.turns(2000);
    grow(&address, "long", many).await?;
    let (mut at_few, mut at_many) = (Sequence::default(), Sequence::default());
    for round in 0..ALTERNATIONS {
        let short = format!("short-{round}");
        grow(&address, &short, 20).await?;
        at_few
            .extend(&gateway, &address, 20, long_body(&short))
            .await?;
        at_many
            .extend(&gateway, &address, 20, long_body("long"))
            .await?;
    }
    gateway.stop()?;
    Ok(growth(20, many, at_few.figures(), at_many.figures()))
}

async fn grow(address: &str, user: &str, turns: usize) -> anyhow::Result<()> {
    let body = long_body(user);
    load::run(address, 1, turns, move |_| body.clone()).await?;
    Ok(())
}

fn growth(few: usize, many: usize, at_few: (f64, f64), at_many: (f64, f64)) -> Growth {
    Growth {
        few,
        many,
        few_p50_ms: at_few.0,
        many_p50_ms: at_many.0,
        ratio: at_many.0 / at_few.0,
        few_cpu_ms: at_few.1,
        many_cpu_ms: at_many.1,
        cpu_ratio: at_many.1 / at_few.1,
    }
}

/// The same turns, in alternation, on two gateways: one with ten stored conversations and one with
/// ten thousand.
async fn stored_sessions(bench: &Bench, port: u16) -> anyhow::Result<Growth> {
    let many = bench.turns(10_000);
    let few = stored(bench, "few", 10, port).await?;
    let lots = stored(bench, "many", many, free_port()?).await?;
    let (mut at_few, mut at_many) = (Sequence::default(), Sequence::default());
    let turns = bench.turns(1000) / ALTERNATIONS + 1;
    for _ in 0..ALTERNATIONS {
        at_few
            .extend(&few.0, &few.1, turns, turn_body(None))
            .await?;
        at_many
            .extend(&lots.0, &lots.1, turns, turn_body(None))
            .await?;
    }
    few.0.stop()?;
    lots.0.stop()?;
    Ok(growth(10, many, at_few.figures(), at_many.figures()))
}

/// A gateway over that many stored conversations, warm, and its address.
async fn stored(
    bench: &Bench,
    name: &str,
    conversations: usize,
    port: u16,
) -> anyhow::Result<(Running, String)> {
    let state = bench.state(name, 128_000)?;
    fill(&state, conversations).await?;
    let (gateway, _) = process::gateway(&state, port).await?;
    let address = format!("127.0.0.1:{port}");
    let _warm = load::run(&address, 1, 100, |_| turn_body(None)).await?;
    Ok((gateway, address))
}

pub(crate) async fn fill(state: &Path, stored: usize) -> anyhow::Result<()> {
    let store = Store::open(state, instar_store::Options::default())?;
    let now = SystemClock.now();
    let agent = AgentId::main();
    for chunk in (0..stored).collect::<Vec<_>>().chunks(500) {
        let mut ops = Vec::new();
        for number in chunk {
            let mut random = [0; 10];
            random[..8].copy_from_slice(&u64::try_from(*number)?.to_be_bytes());
            ops.push(Op::PutSession(SessionRow {
                id: SessionId::new(now, random),
                key: SessionKey::under(&agent, &["openai", &format!("stored-{number}")])?,
                agent: agent.clone(),
                title: Some(format!("Stored conversation {number}")),
                created_at: now,
                updated_at: now,
                leaf: None,
                model: None,
                deleted_at: None,
                entries: 0,
                input_tokens: 0,
                output_tokens: 0,
                cost_micros: 0,
                parent: None,
            }));
        }
        store.commit(ops).await?;
    }
    store.close().await?;
    Ok(())
}

/// After this long without work the conversations sleep and memory was given back.
const REST: Duration = Duration::from_secs(45);

async fn soak(bench: &Bench, port: u16, turns: usize) -> anyhow::Result<Soak> {
    let state = bench.state("soak", 128_000)?;
    let address = format!("127.0.0.1:{port}");
    let (gateway, _) = process::gateway(&state, port).await?;
    // At rest, once its code has been used: pages of the binary that were read stay with it.
    let _warm = load::run(&address, 8, 400, |_| turn_body(None)).await?;
    tokio::time::sleep(REST).await;
    let idle_before_mb = gateway.resident_mb()?;
    let tenth = (turns / 10).max(1);
    let mut cpu = Vec::new();
    let mut wall_s = 0.0;
    for part in 0..10 {
        let before = gateway.used()?;
        // Half of the turns open a new conversation, half go on in one of fifty.
        let timings = load::run(&address, 8, tenth, move |turn| {
            let user = format!("soak-{}", (turn + part) % 50);
            turn_body((turn % 2 == 0).then_some(user.as_str()))
        })
        .await?;
        wall_s += timings.wall_s;
        cpu.push(gateway.used()?.since(before).cpu_ms / count(tenth));
    }
    tokio::time::sleep(REST).await;
    let after_mb = gateway.resident_mb()?;
    gateway.stop()?;
    Ok(Soak {
        turns: tenth * 10,
        first_tenth_cpu_ms_per_turn: cpu[0],
        last_tenth_cpu_ms_per_turn: cpu[9],
        idle_before_mb,
        after_mb,
        memory_ratio: after_mb / idle_before_mb,
        turns_per_s: count(tenth * 10) / wall_s,
    })
}
