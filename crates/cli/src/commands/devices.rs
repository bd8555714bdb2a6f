//! `instar devices`.

use instar_protocol::devices::{
    DeviceList, PairedDevice, RenameDevice, RotateDevice, RotatedDevice, WaitingDevice,
};
use serde_json::{Value, json};

use super::events::escape;
use crate::args::Devices;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, visible};

/// Characters of an id that are shown, and that name a device if no other begins with them.
const ID_CHARS: usize = 12;

pub(crate) async fn run(command: &Devices, run: &Context) -> anyhow::Result<()> {
    if let Devices::List = command
        && super::offline::live(run).await?.is_none()
    {
        let known = super::offline::devices(run).await?;
        list(&known, run)?;
        run.out
            .note("no gateway runs; who waits to be let in is known while one does");
        return Ok(());
    }
    let client = run.client()?;
    let known: DeviceList = client.get("/api/v1/devices").await?;
    match command {
        Devices::List => list(&known, run),
        Devices::Approve { request } => {
            let waiting = waiting(&known, request.as_deref())?;
            let told = format!(
                "approved: {} may {}",
                called(waiting),
                waiting.scopes.join(", ")
            );
            answer(&client, waiting, "approve", &told, run).await
        }
        Devices::Reject { request } => {
            let waiting = waiting(&known, Some(request))?;
            let told = format!("{} stays outside", called(waiting));
            answer(&client, waiting, "reject", &told, run).await
        }
        Devices::Rename { device, name } => {
            let body = json!(RenameDevice {
                label: name.clone()
            });
            let told = format!("it is called {} now", visible(name));
            change(
                &client,
                paired(&known, device)?,
                "rename",
                &body,
                &told,
                run,
            )
            .await
        }
        Devices::Revoke { device } => {
            let told = "its token is dead and its connections are closed; \
                        it has to be approved again";
            change(
                &client,
                paired(&known, device)?,
                "revoke",
                &json!({}),
                told,
                run,
            )
            .await
        }
        Devices::Rotate { device } => rotate(&client, paired(&known, device)?, run).await,
        Devices::Remove { device } => {
            let device = paired(&known, device)?;
            let path = format!("/api/v1/devices/{}", escape(&device.device_id));
            let done: Value = client.delete(&path).await?;
            told(&done, "forgotten; its connections are closed", run)
        }
    }
}

fn list(known: &DeviceList, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        return run.out.value(known);
    }
    if known.pending.is_empty() && known.paired.is_empty() {
        run.out.note(
            "no devices; a client with a key of its own shows up here when it first connects",
        );
        return Ok(());
    }
    let now = run.now();
    if !known.pending.is_empty() {
        run.out
            .line("Waiting for you (`instar devices approve REQUEST`):");
        let rows: Vec<_> = known
            .pending
            .iter()
            .map(|one| {
                vec![
                    (Style::Strong, visible(&one.request_id)),
                    (Style::Plain, called(one)),
                    (Style::Plain, one.role.clone()),
                    (Style::Plain, one.scopes.join(" ")),
                    (Style::Plain, visible(&one.remote_ip)),
                    (Style::Faint, ago(one.ts, now)),
                ]
            })
            .collect();
        let head = [
            "request",
            "calls itself",
            "role",
            "asks for",
            "from",
            "since",
        ];
        run.out.table(&head, &rows);
    }
    if known.paired.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = known
        .paired
        .iter()
        .map(|one| {
            let seen = one.last_seen_at_ms.map(|at| ago(at, now));
            let state = match (one.connected, one.tokens.is_empty()) {
                (true, _) => "connected".to_owned(),
                (false, true) => "no token".to_owned(),
                (false, false) => seen.unwrap_or_default(),
            };
            vec![
                (Style::Strong, short(&one.device_id)),
                (Style::Plain, name(one)),
                (Style::Plain, one.role.clone()),
                (Style::Plain, one.scopes.join(" ")),
                (Style::Faint, state),
            ]
        })
        .collect();
    run.out
        .table(&["device", "name", "role", "may", "seen"], &rows);
    Ok(())
}

fn short(id: &str) -> String {
    visible(id).chars().take(ID_CHARS).collect()
}

fn name(device: &PairedDevice) -> String {
    let names = [
        &device.operator_label,
        &device.display_name,
        &device.client_id,
    ];
    let name = names.into_iter().flatten().next();
    name.map_or_else(String::new, |name| visible(name))
}

/// What a device that waits calls itself; nobody has checked it.
fn called(device: &WaitingDevice) -> String {
    let name = device.display_name.as_ref().or(device.client_id.as_ref());
    let name = name.map_or_else(|| short(&device.device_id), |name| visible(name));
    match &device.platform {
        Some(platform) => format!("{name} on {}", visible(platform)),
        None => name,
    }
}

/// The request that is meant: named, or the only one.
fn waiting<'a>(known: &'a DeviceList, named: Option<&str>) -> anyhow::Result<&'a WaitingDevice> {
    let next = "`instar devices list` shows those that wait; a request waits five minutes";
    let found: Vec<_> = match named {
        Some(named) => {
            let fits = |one: &&WaitingDevice| one.request_id.starts_with(named);
            known.pending.iter().filter(fits).collect()
        }
        None => known.pending.iter().collect(),
    };
    let message = match (found.as_slice(), named) {
        ([one], _) => return Ok(one),
        ([], Some(named)) => format!("no request {named} waits"),
        ([], None) => "no device waits".to_owned(),
        (_, _) => format!("{} requests fit: name one", found.len()),
    };
    Err(Failure::new(Code::NotFound, message).next(next).into())
}

/// The device that is meant: by the beginning of its id, or by its name.
fn paired<'a>(known: &'a DeviceList, named: &str) -> anyhow::Result<&'a PairedDevice> {
    let fits = |one: &&PairedDevice| {
        one.device_id.starts_with(named) || one.operator_label.as_deref() == Some(named)
    };
    let found: Vec<_> = known.paired.iter().filter(fits).collect();
    let message = match found.as_slice() {
        [one] => return Ok(one),
        [] => format!("there is no device {named}"),
        many => format!("{} devices fit {named}: say more of the id", many.len()),
    };
    Err(Failure::new(Code::NotFound, message)
        .next("`instar devices list` shows those that there are")
        .into())
}

async fn answer(
    client: &Client,
    waiting: &WaitingDevice,
    what: &str,
    words: &str,
    run: &Context,
) -> anyhow::Result<()> {
    let request = escape(&waiting.request_id);
    let path = format!("/api/v1/devices/requests/{request}/{what}");
    let done: Value = client.post(&path, &json!({})).await?;
    told(&done, words, run)
}

async fn change(
    client: &Client,
    device: &PairedDevice,
    what: &str,
    body: &Value,
    words: &str,
    run: &Context,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/{what}", escape(&device.device_id));
    let done: Value = client.post(&path, body).await?;
    told(&done, words, run)
}

async fn rotate(client: &Client, device: &PairedDevice, run: &Context) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/rotate", escape(&device.device_id));
    let made: RotatedDevice = client.post(&path, &RotateDevice::default()).await?;
    if run.out.json() {
        return run.out.value(&made);
    }
    run.out.line(&made.token);
    run.out
        .note("this is shown once: give it to the device; the old one is dead");
    Ok(())
}

fn told(done: &Value, words: &str, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        return run.out.value(done);
    }
    run.out.note(words);
    Ok(())
}
