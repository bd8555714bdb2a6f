//! What the local network is told of the gateway: nothing, unless the owner wants it.

use instar_egress::{Advert, Beacon};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::app::{App, AppState};
use crate::config::{Bind, InstarConfig, MdnsMode};
use crate::problem::chain;

/// How often it is looked whether the configuration or the certificate changed.
const TICK: Duration = Duration::from_secs(1);
/// Where a daemon for SSH listens as a rule.
const SSH_PORT: u16 = 22;

/// Keeps what is told in line with the configuration, until the gateway stops.
pub(crate) async fn tend(app: AppState, address: SocketAddr) {
    // No two gateways of a network may bear one name, and in `minimal` it says nothing of the machine.
    let mark = &mark();
    let mut told: Option<(Wanted, Option<Advert>)> = None;
    loop {
        let wanted = Wanted::now(&app, address);
        if told.as_ref().map(|(told, _)| told) != wanted.as_ref() {
            // The old word is taken back before there is a new one.
            drop(told.take());
            told = wanted.map(|wanted| {
                let advert = begin(&wanted.beacon(address, mark));
                (wanted, advert)
            });
        }
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// A gateway that cannot tell of itself goes on: nobody is promised to find it.
fn begin(beacon: &Beacon) -> Option<Advert> {
    match Advert::begin(beacon) {
        Ok(advert) => {
            tracing::warn!(
                name = beacon.name,
                "the local network is told that this gateway is here"
            );
            Some(advert)
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "nothing is told");
            None
        }
    }
}

/// What a word follows from. As long as that stays, so does the word, and nothing else is looked at.
#[derive(PartialEq, Eq)]
struct Wanted {
    is_full: bool,
    fingerprint: Option<String>,
}

impl Wanted {
    fn now(app: &App, address: SocketAddr) -> Option<Self> {
        let config = app.config.current();
        is_told(&config.value, address.ip()).then(|| Self {
            is_full: config.value.discovery.mdns.mode == MdnsMode::Full,
            fingerprint: app.fingerprint(),
        })
    }

    fn beacon(&self, address: SocketAddr, mark: &str) -> Beacon {
        let is_full = self.is_full;
        let machine = if is_full { machine() } else { None };
        let name = match &machine {
            Some(machine) => format!("Instar on {machine} ({mark})"),
            None => format!("Instar {mark}"),
        };
        let mut hints = BTreeMap::new();
        let mut hint = |key: &str, value: String| {
            let _new = hints.insert(key.to_owned(), value);
        };
        hint("role", "gateway".to_owned());
        hint("transport", "gateway".to_owned());
        hint("displayName", name.clone());
        hint("gatewayPort", address.port().to_string());
        if let Some(fingerprint) = &self.fingerprint {
            hint("gatewayTls", "1".to_owned());
            hint("gatewayTlsSha256", fingerprint.clone());
        }
        if is_full {
            hint("version", env!("CARGO_PKG_VERSION").to_owned());
            if let Some(machine) = machine {
                hint("lanHost", format!("{machine}.local"));
            }
            if let Ok(program) = std::env::current_exe() {
                hint("cliPath", program.display().to_string());
            }
            if is_listened_on(SSH_PORT) {
                hint("sshPort", SSH_PORT.to_string());
            }
        }
        Beacon {
            name,
            host: format!("instar-{mark}"),
            address: address.ip(),
            port: address.port(),
            hints,
        }
    }
}

/// Who cannot be reached has nothing to tell, and a tailnet carries no such word.
fn is_told(config: &InstarConfig, address: IpAddr) -> bool {
    config.discovery.mdns.mode != MdnsMode::Off
        && config.gateway.bind != Bind::Tailnet
        && !address.is_loopback()
}

fn mark() -> String {
    let bytes = crate::random::ten();
    bytes[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The machine's own name, up to the first dot.
fn machine() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let first = text.trim().split('.').next()?;
    let is_name = !first.is_empty()
        && first.len() < 64
        && first.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_name.then(|| first.to_owned())
}

/// True if a program of this machine listens on the port, on whichever address.
fn is_listened_on(port: u16) -> bool {
    const LISTENING: &str = "0A";
    let place = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        std::fs::read_to_string(table).is_ok_and(|text| {
            text.lines().skip(1).any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let local = fields.next().unwrap_or_default();
                local.ends_with(&place) && fields.nth(1) == Some(LISTENING)
            })
        })
    })
}
