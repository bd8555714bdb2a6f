//! What people and clients touch: pages, the fan-out of one conversation to many sockets, and the
//! methods of the control plane when there is much to look through.

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Instant;

use crate::gateway::{Bench, fill, free_port};
use crate::load::Connection;
use crate::machine::{Machine, quantile};
use crate::paint::first_paints;
use crate::process;
use crate::report::{progress, row, say};
use crate::socket::Client;

const PAGES: [&str; 10] = [
    "/chat",
    "/sessions",
    "/usage",
    "/releases",
    "/events",
    "/agents",
    "/models",
    "/devices",
    "/status",
    "/logs",
];
/// What a first visit may load in all.
const FIRST_VISIT_BYTES_MAX: usize = 100_000;
/// Pieces of the answer that is fanned out.
const PIECES: usize = 40;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Clients that follow one conversation
    #[arg(long, default_value_t = 100)]
    clients: usize,
    /// Stored conversations
    #[arg(long, default_value_t = 10_000)]
    stored: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Debug)]
struct Report {
    machine: Machine,
    pages: Vec<PageRow>,
    fan_out: FanOut,
    methods: Vec<MethodRow>,
}

#[derive(Serialize, Debug)]
struct PageRow {
    path: &'static str,
    /// The page with everything that it loads, as sent.
    bytes: usize,
    first_byte_p50_ms: f64,
    /// In a browser with an empty cache; absent if there is none to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_paint_p50_ms: Option<f64>,
}

#[derive(Serialize, Debug)]
struct FanOut {
    clients: usize,
    events: u64,
    /// From the request to the last event at the only client, and at the last of all.
    one_client_ms: f64,
    all_clients_ms: f64,
    cpu_us_per_event: f64,
    memory_mb_per_client: f64,
}

#[derive(Serialize, Debug)]
struct MethodRow {
    method: &'static str,
    few_p50_ms: f64,
    many_p50_ms: f64,
    many_p99_ms: f64,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("a folder for the bench")?;
    let machine = Machine::look(folder.path())?;
    let words: Vec<String> = (0..PIECES).map(|n| format!("piece {n} ")).collect();
    let script = json!({ "otherwise": { "say": words.iter().map(|text| json!({ "text": text })).collect::<Vec<_>>() } });
    let bench = Bench::with(&script.to_string(), 1, folder)?;
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");

    progress("few stored conversations: methods");
    let few = bench.state("few", 128_000)?;
    fill(&few, 10).await?;
    let (gateway, _) = process::gateway(&few, port).await?;
    let little = methods(&address).await?;
    progress(&format!("fan-out to {} clients", options.clients));
    let fan_out = fan_out(&gateway, &address, options.clients).await?;
    gateway.stop()?;

    progress(&format!(
        "{} stored conversations: pages and methods",
        options.stored
    ));
    let many = bench.state("many", 128_000)?;
    fill(&many, options.stored).await?;
    let (gateway, _) = process::gateway(&many, port).await?;
    let pages = pages(&address).await?;
    let much = methods(&address).await?;
    gateway.stop()?;

    let methods = little
        .into_iter()
        .zip(much)
        .map(
            |((method, few_p50_ms, _), (_, many_p50_ms, many_p99_ms))| MethodRow {
                method,
                few_p50_ms,
                many_p50_ms,
                many_p99_ms,
            },
        )
        .collect();
    let report = Report {
        machine,
        pages,
        fan_out,
        methods,
    };
    if options.json {
        say(&serde_json::to_string(&report)?);
    } else {
        print(&report, options.stored);
    }
    Ok(())
}

async fn pages(address: &str) -> anyhow::Result<Vec<PageRow>> {
    let mut connection = Connection::open(address).await?;
    let mut rows = Vec::new();
    for path in PAGES {
        let (page, _) = connection.get(path).await?;
        let text = String::from_utf8_lossy(&page).into_owned();
        let mut bytes = page.len();
        for asset in assets(&text) {
            bytes += connection.get(&asset).await?.0.len();
        }
        let mut millis = Vec::new();
        for _ in 0..50 {
            millis.push(connection.get(path).await?.1);
        }
        rows.push(PageRow {
            path,
            bytes,
            first_byte_p50_ms: quantile(&mut millis, 0.5),
            first_paint_p50_ms: None,
        });
    }
    if let Some(paints) = first_paints(address, &PAGES)? {
        for row in &mut rows {
            row.first_paint_p50_ms = paints.get(row.path).copied();
        }
    }
    Ok(rows)
}

/// The files that a page loads, each once.
fn assets(page: &str) -> Vec<String> {
    let mut found: Vec<String> = page
        .split('"')
        .filter(|text| text.starts_with("/assets/"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

type Timed = (&'static str, f64, f64);

async fn methods(address: &str) -> anyhow::Result<Vec<Timed>> {
    const CALLS: usize = 100;
    let mut client = Client::open(address).await?;
    let asked: [(&'static str, Value); 5] = [
        ("health", json!({})),
        ("sessions.list", json!({ "limit": 50 })),
        ("sessions.search", json!({ "query": "line" })),
        ("chat.history", json!({ "sessionKey": "main" })),
        ("models.list", json!({})),
    ];
    let mut rows = Vec::new();
    for (method, params) in asked {
        let mut millis = Vec::new();
        for _ in 0..CALLS {
            let begun = Instant::now();
            let _answer = client.call(method, params.clone()).await?;
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        rows.push((
            method,
            quantile(&mut millis, 0.5),
            quantile(&mut millis, 0.99),
        ));
    }
    Ok(rows)
}

async fn fan_out(
    gateway: &process::Running,
    address: &str,
    count: usize,
) -> anyhow::Result<FanOut> {
    let mut first = Client::open(address).await?;
    let _warm = turn(&mut first, "warm").await?;
    let mut alone = Vec::new();
    for n in 0..5 {
        alone.push(turn(&mut first, &format!("one-{n}")).await?.0);
    }
    let before_mb = gateway.resident_mb()?;
    let mut others = Vec::with_capacity(count);
    for _ in 1..count {
        let mut client = Client::open(address).await?;
        let follow = json!({ "key": "main" });
        let _ok = client.call("sessions.messages.subscribe", follow).await?;
        others.push(client);
    }
    let grown_mb = gateway.resident_mb()? - before_mb;
    let before = gateway.used()?;
    let mut all_ms = Vec::new();
    let mut events = 0;
    for n in 0..5 {
        let begun = Instant::now();
        let listening: Vec<_> = others
            .drain(..)
            .map(|mut client| {
                tokio::spawn(async move {
                    let seen = client.run_ends().await?;
                    anyhow::Ok((client, seen))
                })
            })
            .collect();
        events += turn(&mut first, &format!("all-{n}")).await?.1;
        for one in listening {
            let (client, seen) = one.await??;
            others.push(client);
            events += seen;
        }
        all_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let cpu_ms = gateway.used()?.since(before).cpu_ms;
    Ok(FanOut {
        clients: count,
        events,
        one_client_ms: quantile(&mut alone, 0.5),
        all_clients_ms: quantile(&mut all_ms, 0.5),
        cpu_us_per_event: cpu_ms * 1e3 / as_float(events),
        memory_mb_per_client: grown_mb / as_float(u64::try_from(count.max(2) - 1)?),
    })
}

/// One turn of the conversation, from the request to its last event: milliseconds and events.
async fn turn(client: &mut Client, key: &str) -> anyhow::Result<(f64, u64)> {
    let begun = Instant::now();
    let said = json!({ "sessionKey": "main", "message": "go on", "idempotencyKey": key });
    let _taken = client.call("chat.send", said).await?;
    let events = client.run_ends().await?;
    Ok((begun.elapsed().as_secs_f64() * 1e3, events))
}

#[expect(clippy::cast_precision_loss, reason = "a number of events")]
fn as_float(value: u64) -> f64 {
    value as f64
}

fn print(report: &Report, stored: usize) {
    let machine = &report.machine;
    say(&format!(
        "{} cores, load {:.2}, flush {:.0} us, kernel {}\n",
        machine.cores, machine.load, machine.flush_us, machine.kernel
    ));
    for page in &report.pages {
        let paint = page.first_paint_p50_ms;
        let paint = paint.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.0}"));
        row(
            &format!("{}: first visit / byte / paint", page.path),
            &format!(
                "{} B / {:.2} / {paint} ms",
                page.bytes, page.first_byte_p50_ms
            ),
            "< 100 KB",
            Some(page.bytes < FIRST_VISIT_BYTES_MAX),
        );
    }
    let fan = &report.fan_out;
    row(
        &format!("a turn's events at one, at {} clients", fan.clients),
        &format!("{:.1} / {:.1} ms", fan.one_client_ms, fan.all_clients_ms),
        "",
        None,
    );
    row(
        "CPU per event delivered",
        &format!("{:.1} us", fan.cpu_us_per_event),
        "",
        None,
    );
    row(
        "memory per client",
        &format!("{:.3} MB", fan.memory_mb_per_client),
        "",
        None,
    );
    for method in &report.methods {
        row(
            &format!("{} at 10, at {stored} conversations", method.method),
            &format!(
                "{:.2} / {:.2} ms (p99 {:.2})",
                method.few_p50_ms, method.many_p50_ms, method.many_p99_ms
            ),
            "",
            None,
        );
    }
}
