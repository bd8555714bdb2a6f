//! `instar status`, `health` and `gateway status`.

use instar_protocol::Timestamp;
use instar_protocol::api::{Health, Status};

use crate::client::Client;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style, span, visible};

pub(crate) async fn status(run: &Context) -> anyhow::Result<()> {
    let status: Status = run.client()?.get("/api/v1/status").await?;
    if run.out.json() {
        return run.out.value(&status);
    }
    let out = run.out;
    let mut rows = vec![
        (
            "gateway",
            format!(
                "{} (pid {}, version {}, {} days old)",
                status.url, status.pid, status.version, status.version_age_days
            ),
        ),
        (
            "up for",
            span(std::time::Duration::from_millis(status.uptime_ms)),
        ),
        ("started in", format!("{} ms", status.start_ms)),
        ("model", status.model.clone()),
        (
            "release",
            status
                .release
                .as_ref()
                .map_or("none".to_owned(), |id| id.short().to_owned()),
        ),
        ("conversations", status.sessions.to_string()),
        ("turns running", status.running_turns.to_string()),
        (
            "memory",
            format!("{:.1} MB", megabytes(status.memory_bytes)),
        ),
        ("sign-in", status.auth_mode.clone()),
        ("state", status.state_dir.clone()),
    ];
    if let Some(fingerprint) = &status.fingerprint {
        rows.push(("certificate", format!("SHA-256 {fingerprint}")));
    }
    if status.uncertain > 0 {
        rows.push((
            "uncertain",
            format!("{} replies may or may not have arrived", status.uncertain),
        ));
    }
    for (name, value) in rows {
        out.line(&format!(
            "{} {value}",
            out.paint(Style::Faint, &format!("{name:<14}"))
        ));
    }
    for (name, health) in [
        ("store", &status.store),
        ("configuration", &status.config),
        ("models", &status.models),
        ("budget", &status.budget),
    ] {
        line(out, name, health);
    }
    if !status.waiting_for_restart.is_empty() {
        let keys = visible(&status.waiting_for_restart.join(", "));
        let name = out.paint(Style::Faint, &format!("{:<14}", "restart"));
        let waits = out.paint(Style::Warn, &format!("waited for by {keys}"));
        out.line(&format!("{name} {waits}"));
        out.line(&format!("{:<14} next: `instar gateway restart`", ""));
    }
    Ok(())
}

fn line(out: Out, name: &str, health: &Health) {
    let name = out.paint(Style::Faint, &format!("{name:<14}"));
    if health.ok {
        out.line(&format!("{name} {}", out.paint(Style::Good, "fine")));
        return;
    }
    let problem = health.problem.as_deref().unwrap_or("not sound");
    out.line(&format!("{name} {}", out.paint(Style::Bad, problem)));
    if let Some(step) = &health.next_step {
        out.line(&format!("{:<14} next: {step}", ""));
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people, one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}

/// Exit code 0 if the gateway lives and is ready, 1 if it is not ready, 4 if it does not answer.
pub(crate) async fn health(run: &Context) -> anyhow::Result<()> {
    let client = run.client()?;
    let live: serde_json::Value = client.get("/health").await?;
    let ready = client.get::<serde_json::Value>("/ready").await;
    if run.out.json() {
        let ready = ready.as_ref().ok();
        run.out
            .value(&serde_json::json!({ "health": live, "ready": ready }))?;
    } else {
        let word = if ready.is_ok() {
            "live and ready"
        } else {
            "live, not ready"
        };
        run.out.line(word);
    }
    ready.map(drop).map_err(|_| {
        Failure::new(Code::Failed, "the gateway is not ready")
            .next("see why with `instar status`")
            .into()
    })
}

/// Shows the gateway's process and address. A run file without a gateway is said to be just that.
pub(crate) async fn gateway(run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    let last = Client::last_run(&state)?;
    let alive = match Client::find(&state)? {
        Some(client) => client.alive().await,
        None => false,
    };
    if run.out.json() {
        let row = last.as_ref().map(
            |last| serde_json::json!({ "pid": last.pid, "url": last.url, "version": last.version }),
        );
        return run
            .out
            .value(&serde_json::json!({ "running": alive, "gateway": row }));
    }
    match last {
        Some(last) if alive => {
            let (pid, url) = (last.pid, &last.url);
            run.out.line(&format!(
                "running at {url} (pid {pid}, version {})",
                last.version
            ));
            Ok(())
        }
        Some(last) => {
            let message = format!("the gateway (pid {}) is gone or does not answer", last.pid);
            Err(Failure::new(Code::NoGateway, message)
                .next("start it with `instar up`")
                .into())
        }
        None => Client::require(&state).map(drop),
    }
}

/// When something happened, for tables.
pub(crate) fn clock(at: Timestamp) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(
        |_| "?".to_owned(),
        |at| {
            at.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}
