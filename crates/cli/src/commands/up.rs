//! `instar up` and `instar gateway run`: the gateway in this process.

use anyhow::anyhow;
use instar_config::{StateDir, StateError};
use instar_gateway::{Gateway, Options, Running, StartError};
use instar_protocol::Secret;
use instar_protocol::api::SignInCode;
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use super::config::explain;
use crate::args::Up;
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::out::Style;

/// Starts the gateway for a person at a terminal.
pub(crate) async fn up(command: &Up, run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    let mut running = match start(&state, command.port, run).await {
        Ok(running) => running,
        Err(error) => return Err(with_link(error, &state).await),
    };
    let (link, _ends) = running
        .sign_in_link()
        .map_err(|error| anyhow!("making a sign-in link: {error}"))?;
    let token = running.take_new_token();
    welcome(&running, &link, token.as_ref(), &state, run)?;
    if !command.no_open {
        open(&link);
    }
    finish(running, run).await
}

/// Starts the gateway for a service manager: nothing is printed but the address.
pub(crate) async fn run(port: Option<u16>, run: &Context) -> anyhow::Result<()> {
    let mut running = start(&run.state()?, port, run).await?;
    if run.out.json() {
        let line = serde_json::json!({ "url": running.url(), "pid": std::process::id() });
        run.out.value_line(&line)?;
    } else {
        run.out.line(&format!("listening on {}", running.url()));
    }
    if let Some(token) = running.take_new_token() {
        run.out
            .note(&format!("API token, shown this once: {}", token.expose()));
    }
    tell_manager("READY=1");
    finish(running, run).await
}

async fn start(state: &StateDir, port: Option<u16>, run: &Context) -> anyhow::Result<Running> {
    let mut options = options(state, run)?;
    options.port = port.or(options.port);
    serve(options, run).await
}

/// A gateway that this machine alone reaches, for a job that needs one.
pub(super) async fn start_here(
    state: &StateDir,
    port: u16,
    run: &Context,
) -> anyhow::Result<Running> {
    let mut options = options(state, run)?;
    options.port = Some(port);
    options.only_here = true;
    serve(options, run).await
}

fn options(state: &StateDir, run: &Context) -> anyhow::Result<Options> {
    Options::new(state.clone(), environment).map_err(|error| refused(error, run))
}

async fn serve(mut options: Options, run: &Context) -> anyhow::Result<Running> {
    options.give_back = crate::memory::give_back;
    options.corrects = instar_improve::signal::text::corrects;
    options.local_models = BTreeMap::from([("demo".to_owned(), instar_demo::guide())]);
    Gateway::start(options)
        .await
        .map_err(|error| refused(error, run))
}

fn refused(error: StartError, run: &Context) -> anyhow::Error {
    match error {
        StartError::Config(error) => explain(error, run),
        StartError::State(error @ StateError::Locked { .. }) => {
            Failure::new(Code::Locked, error.to_string())
                .next("ask that gateway with `instar status`, or stop it first")
                .into()
        }
        other => other.into(),
    }
}

/// A second `up` is refused, and told where the first one is, with a fresh link to it.
async fn with_link(error: anyhow::Error, state: &StateDir) -> anyhow::Error {
    let locked = error
        .downcast_ref::<Failure>()
        .is_some_and(|one| one.code == Code::Locked);
    if !locked {
        return error;
    }
    let Ok(Some(client)) = Client::find(state) else {
        return error;
    };
    let code = client
        .post::<SignInCode>("/api/v1/sign-in-codes", &serde_json::json!({}))
        .await;
    match code {
        Ok(code) => Failure::new(Code::Locked, error.to_string())
            .next(format!("open it: {} (good once, for a minute)", code.url))
            .into(),
        Err(_) => error,
    }
}

fn welcome(
    running: &Running,
    link: &str,
    token: Option<&Secret>,
    state: &StateDir,
    run: &Context,
) -> anyhow::Result<()> {
    let (out, app) = (run.out, running.app());
    let start_ms = app.start_ms.load(Ordering::Relaxed);
    let model = app.default_model();
    if out.json() {
        return out.value_line(&serde_json::json!({
            "url": running.url(), "link": link, "model": model, "startMs": start_ms,
            "token": token.map(Secret::expose), "fingerprint": app.fingerprint(),
        }));
    }
    let name = out.paint(
        Style::Strong,
        &format!("Instar {}", env!("CARGO_PKG_VERSION")),
    );
    out.line(&format!("{name}, ready after {start_ms} ms"));
    let row = |label: &str, value: &str| {
        out.line(&format!(
            "  {} {value}",
            out.paint(Style::Faint, &format!("{label:<6}"))
        ));
    };
    let faint = |text: &str| out.paint(Style::Faint, text);
    row("open", link);
    row("", &faint("the link works once, within a minute"));
    if let Some(fingerprint) = app.fingerprint() {
        row("TLS", &format!("SHA-256 {fingerprint}"));
        let compare = "compare it with the certificate that the browser shows";
        row("", &faint(compare));
    }
    if model.starts_with("demo/") {
        row(
            "model",
            &format!("{model}, a scripted guide that runs offline"),
        );
        row(
            "",
            &faint("connect a real one: `instar models set openai/gpt-5`"),
        );
    } else {
        row("model", &model);
    }
    if let Some(token) = token {
        row("token", token.expose());
        row(
            "",
            &faint("for API clients; shown this once, only its hash is kept"),
        );
    }
    row("state", &state.root().display().to_string());
    row("stop", "Ctrl-C");
    Ok(())
}

/// Opens the link where there is a desktop to open it on; the link is printed in any case.
pub(super) fn open(link: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if environment("DISPLAY")
        .or_else(|| environment("WAYLAND_DISPLAY"))
        .is_some()
    {
        "xdg-open"
    } else {
        return;
    };
    let started = Command::new(program)
        .arg(link)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // No browser to be had is no error: the link is on the screen.
    drop(started);
}

/// Waits for a signal, then shuts down in order.
async fn finish(running: Running, run: &Context) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    tell_manager("STOPPING=1");
    if !run.out.json() {
        run.out.note("stopping: letting turns finish");
    }
    running.shutdown().await;
    Ok(())
}

/// Tells a service manager that waits for it how far the process is, by systemd's protocol: one
/// datagram to the socket that the environment names.
fn tell_manager(word: &str) {
    let Some(name) = environment("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        #[cfg(target_os = "linux")]
        if let Some(name) = name.strip_prefix('@') {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            return socket.send_to_addr(word.as_bytes(), &address);
        }
        socket.send_to(word.as_bytes(), &name)
    });
    // A manager that hears nothing says so itself when its patience ends.
    drop(sent);
}
