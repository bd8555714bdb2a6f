//! The first frame of a connection, read: what a client says of itself and what it shows, before
//! anything of it is believed. Plain functions over the text.

use instar_protocol::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::device::Shown;
use super::frame::{self, Refusal};
use super::link::Why;
use super::method::wrong_params;

/// The version of the protocol that is spoken here.
pub(super) const PROTOCOL: u64 = 4;
/// The oldest one that probes may name.
const PROBE_PROTOCOL: u64 = 3;
/// Names in one list of the handshake, and the length of each text.
const NAMES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 1_024;

const CLIENT_IDS: [&str; 17] = [
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-browser-copilot",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-linux",
    "openclaw-ios",
    "openclaw-watchos",
    "openclaw-android",
    "node-host",
    "openclaw-worker",
    "test",
    "fingerprint",
    "openclaw-probe",
];
const CLIENT_MODES: [&str; 8] = [
    "webchat", "cli", "ui", "backend", "node", "worker", "probe", "test",
];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Connect {
    min_protocol: u64,
    max_protocol: u64,
    pub(super) client: ClientInfo,
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) caps: Vec<String>,
    #[serde(default)]
    pub(super) auth: Credentials,
    #[serde(default)]
    pub(super) device: Option<Shown>,
    // What nodes declare of themselves is read and not used: there is no method for nodes yet.
    #[serde(default, rename = "commands")]
    _commands: Value,
    #[serde(default, rename = "permissions")]
    _permissions: Value,
    #[serde(default, rename = "pathEnv")]
    _path_env: Value,
    #[serde(default, rename = "computerUse")]
    _computer_use: Value,
    #[serde(default, rename = "workerRuns")]
    _worker_runs: Value,
    #[serde(default, rename = "locale")]
    _locale: Value,
    #[serde(default, rename = "userAgent")]
    _user_agent: Value,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ClientInfo {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) platform: String,
    pub(super) mode: String,
    #[serde(default)]
    pub(super) display_name: Option<String>,
    #[serde(default)]
    pub(super) device_family: Option<String>,
    #[serde(default)]
    pub(super) instance_id: Option<String>,
    #[serde(default, rename = "buildId")]
    _build_id: Value,
    #[serde(default, rename = "modelIdentifier")]
    _model_identifier: Value,
    #[serde(default, rename = "timeZone")]
    _time_zone: Value,
}

#[derive(Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Credentials {
    #[serde(default, deserialize_with = "secret")]
    token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    device_token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) bootstrap_token: Option<Secret>,
    // Credentials of parts that do not exist here: they prove nothing.
    #[serde(default, rename = "approvalRuntimeToken", deserialize_with = "secret")]
    _approval: Option<Secret>,
    #[serde(
        default,
        rename = "agentRuntimeIdentityToken",
        deserialize_with = "secret"
    )]
    _runtime: Option<Secret>,
}

fn secret<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(text)?.map(Secret::new))
}

impl Credentials {
    /// The gateway's own secret, in whichever field it came.
    pub(super) fn shared(&self) -> Option<&Secret> {
        let named = [&self.token, &self.password];
        named
            .into_iter()
            .flatten()
            .find(|secret| !secret.expose().is_empty())
    }

    pub(super) fn of_device(&self) -> Option<&Secret> {
        self.device_token
            .as_ref()
            .filter(|secret| !secret.expose().is_empty())
    }

    /// The one that goes under the device's signature: the one that was sent.
    pub(super) fn signed(&self) -> &str {
        let sent = [&self.token, &self.device_token, &self.bootstrap_token];
        let sent = sent.into_iter().flatten().map(Secret::expose);
        sent.into_iter()
            .find(|secret| !secret.is_empty())
            .unwrap_or("")
    }
}

/// A handshake that did not: what is answered, if anything, and how the connection ends.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) answer: Option<String>,
    pub(super) close: Why,
}

impl Turned {
    pub(super) fn away(id: &str, refusal: Refusal) -> Self {
        Self {
            answer: Some(frame::response(id, &Err(refusal))),
            close: (1008, "handshake refused"),
        }
    }
}

/// The request to connect in the first frame of a connection, and its id. Nothing is proved yet.
pub(super) fn first(text: &str) -> Result<(String, Connect), Turned> {
    let request = match frame::read(text) {
        frame::Read::Request(request) => request,
        frame::Read::NotJson => {
            return Err(Turned {
                answer: None,
                close: (1000, ""),
            });
        }
        frame::Read::Other => return Err(Turned::away("", not_connect())),
    };
    if request.method != "connect" {
        return Err(Turned::away(&request.id, not_connect()));
    }
    let connect = read(request.params).map_err(|refusal| Turned::away(&request.id, refusal))?;
    if let Some(refusal) = wrong_version(&connect) {
        return Err(Turned {
            close: (1002, "protocol mismatch"),
            ..Turned::away(&request.id, refusal)
        });
    }
    Ok((request.id, connect))
}

/// What becomes of any text as a first frame, before credentials: the id of the request to connect,
/// or the answer, if there is one, and the code of the close. For whoever throws texts at it.
pub fn first_frame(text: &str) -> Result<String, (Option<String>, u16)> {
    match first(text) {
        Ok((id, _)) => Ok(id),
        Err(turned) => Err((turned.answer, turned.close.0)),
    }
}

fn not_connect() -> Refusal {
    Refusal::invalid("invalid handshake: first request must be connect")
}

fn read(params: Value) -> Result<Connect, Refusal> {
    let connect: Connect = serde_json::from_value(params)
        .map_err(|error| wrong_params("connect", &error.to_string()))?;
    let refuse = |why: &str| Err(wrong_params("connect", why));
    let client = &connect.client;
    if !CLIENT_IDS.contains(&client.id.as_str()) {
        return refuse("at /client/id: must be equal to one of the allowed values");
    }
    if !CLIENT_MODES.contains(&client.mode.as_str()) {
        return refuse("at /client/mode: must be equal to one of the allowed values");
    }
    let lists = [&connect.scopes, &connect.caps];
    let texts = [&client.version, &client.platform];
    let named = [
        &client.display_name,
        &client.device_family,
        &client.instance_id,
    ];
    let short = |text: &String| text.len() <= TEXT_BYTES_MAX;
    let fits = lists.iter().all(|list| list.len() <= NAMES_MAX)
        && lists.iter().copied().flatten().all(short)
        && texts
            .into_iter()
            .all(|text| short(text) && !text.is_empty())
        && named.into_iter().flatten().all(short);
    if !fits {
        return refuse("a text or a list is empty or too long");
    }
    match connect.role.as_deref() {
        None | Some("operator" | "node") => Ok(connect),
        Some(_) => refuse("at /role: must be operator or node"),
    }
}

/// Ordinary clients have to speak this version; probes, and nodes, may be one older.
fn wrong_version(connect: &Connect) -> Option<Refusal> {
    let client = &connect.client;
    let lenient = client.mode == "probe"
        || (client.mode == "node" && connect.role.as_deref() == Some("node"));
    let lowest = if lenient { PROBE_PROTOCOL } else { PROTOCOL };
    if connect.min_protocol <= PROTOCOL && connect.max_protocol >= lowest {
        return None;
    }
    Some(Refusal::invalid("protocol mismatch").details(json!({
        "code": "PROTOCOL_MISMATCH",
        "clientMinProtocol": connect.min_protocol,
        "clientMaxProtocol": connect.max_protocol,
        "expectedProtocol": PROTOCOL,
        "minimumProbeProtocol": PROBE_PROTOCOL,
    })))
}

pub(super) fn role(connect: &Connect) -> &'static str {
    match connect.role.as_deref() {
        Some("node") => "node",
        _ => "operator",
    }
}
