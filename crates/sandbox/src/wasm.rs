//! WebAssembly components in the place of programs: run by an engine in this process, which stands
//! behind the walls already.
//!
//! A component has what is handed to it and nothing else: its words, its environment, its streams, the
//! clocks, random bytes, and the folder that the walls show. There is no way to write down a socket or
//! another program: a component that asks for them is not started.

use crate::spec::{Access, Component as Bounds};
use crate::stage::Order;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder, Trap};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::add_to_linker_proxy_interfaces_sync as add_plain;
use wasmtime_wasi::p2::bindings::sync::{Command, filesystem};
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxView, WasiView};

/// Where the workspace is seen.
const WORK: &str = "/work";
const COMPONENT_BYTES_MAX: u64 = 128 << 20;
/// What the engine itself needs beside the component's memory, to compile it.
pub(crate) const ENGINE_BYTES: u64 = 512 << 20;
/// The exit code of a component that was stopped; the words are on its standard error.
const STOPPED: u8 = 134;

/// What a component reaches.
struct House {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for House {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Runs it to its end and gives its exit code. Why one was stopped is told on its standard error.
pub(crate) fn run(path: &Path, order: &Order, bounds: Bounds) -> u8 {
    attempt(path, order, bounds).unwrap_or_else(|why| {
        let text = format!("the component was stopped: {why}\n");
        // Nobody may read it any more.
        let _told = std::io::stderr().write_all(text.as_bytes());
        STOPPED
    })
}

fn attempt(path: &Path, order: &Order, bounds: Bounds) -> Result<u8, String> {
    let bytes = read(path)?;
    let engine = Engine::new(&settings()).map_err(|why| told(&why))?;
    let component = Component::new(&engine, &bytes).map_err(|why| told(&why))?;
    let linker = linker(&engine).map_err(|why| told(&why))?;
    let mut store = Store::new(&engine, house(order).map_err(|why| told(&why))?);
    store.limiter(|house| &mut house.limits);
    store.set_fuel(bounds.fuel).map_err(|why| told(&why))?;
    store.set_epoch_deadline(1);
    stop_after(engine, Duration::from_secs(order.limits.wall_seconds))?;
    let command =
        Command::instantiate(&mut store, &component, &linker).map_err(|why| told(&why))?;
    match command.wasi_cli_run().call_run(&mut store) {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => Ok(u8::try_from(*code & 0xff).unwrap_or(1)),
            None => Err(told(&error)),
        },
    }
}

fn settings() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        // Files without a name are not among the calls that the walls let through.
        .memory_init_cow(false);
    config
}

/// Everything of `wasi:cli/command` but sockets.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<House>> {
    let mut linker = Linker::new(engine);
    add_plain(&mut linker)?;
    let l = &mut linker;
    cli::environment::add_to_linker::<House, WasiCli>(l, House::cli)?;
    cli::exit::add_to_linker::<House, WasiCli>(l, House::cli)?;
    cli::terminal_input::add_to_linker::<House, WasiCli>(l, House::cli)?;
    cli::terminal_output::add_to_linker::<House, WasiCli>(l, House::cli)?;
    cli::terminal_stdin::add_to_linker::<House, WasiCli>(l, House::cli)?;
    cli::terminal_stdout::add_to_linker::<House, WasiCli>(l, House::cli)?;
    cli::terminal_stderr::add_to_linker::<House, WasiCli>(l, House::cli)?;
    random::insecure::add_to_linker::<House, WasiRandom>(l, |house| house.wasi.random())?;
    random::insecure_seed::add_to_linker::<House, WasiRandom>(l, |house| house.wasi.random())?;
    filesystem::types::add_to_linker::<House, WasiFilesystem>(l, House::filesystem)?;
    filesystem::preopens::add_to_linker::<House, WasiFilesystem>(l, House::filesystem)?;
    Ok(linker)
}

fn house(order: &Order) -> wasmtime::Result<House> {
    let rights = match order.workspace {
        Access::Read => FsPerms::ReadOnly,
        // Where the workspace is not shown, that is an empty folder of its own.
        Access::Write | Access::None => FsPerms::ReadWrite,
    };
    let start = match order.folder.as_str() {
        "" => WORK.to_owned(),
        folder => format!("{WORK}/{folder}"),
    };
    let mut wasi = WasiCtx::builder();
    wasi.args(&order.argv)
        .envs(&order.environment)
        .inherit_stdio()
        // There is one program in this process, and nothing else waits.
        .allow_blocking_current_thread(true)
        .initial_cwd(&start)
        .preopened_dir(&start, ".", rights)?
        .preopened_dir(WORK, WORK, rights)?;
    let memory = usize::try_from(order.limits.memory_bytes).unwrap_or(usize::MAX);
    Ok(House {
        wasi: wasi.build(),
        table: ResourceTable::new(),
        limits: StoreLimitsBuilder::new().memory_size(memory).build(),
    })
}

/// Ends the component from another thread; it may be deep in a loop.
fn stop_after(engine: Engine, time: Duration) -> Result<(), String> {
    let clock = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(time);
        engine.increment_epoch();
    });
    clock.map(drop).map_err(|why| why.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|why| why.to_string())?;
    let mut bytes = Vec::new();
    let limited = &mut file.take(COMPONENT_BYTES_MAX + 1);
    let count = limited
        .read_to_end(&mut bytes)
        .map_err(|why| why.to_string())?;
    if u64::try_from(count).unwrap_or(u64::MAX) > COMPONENT_BYTES_MAX {
        return Err(format!(
            "it is larger than {} MB",
            COMPONENT_BYTES_MAX >> 20
        ));
    }
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(bytes),
        Some([0, b'a', b's', b'm', _, _, 0, 0]) => Err(
            "it is a module and no component; `wasm-tools component new` makes one of it"
                .to_owned(),
        ),
        _ => Err("it is no WebAssembly component".to_owned()),
    }
}

/// In words, for whoever started it.
fn told(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => "it took more steps than it was given".to_owned(),
        Some(Trap::Interrupt) => "it ran longer than it was given".to_owned(),
        _ => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            causes.join(": ")
        }
    }
}
