//! The handshake: who a connection is, and what it may do.
//!
//! Identity is what was proved: a signature over this connection's own challenge, the gateway's
//! token or password, a device's token, or the browser session that came with the upgrade. What a
//! client calls itself, which role it claims and which scopes it asks for select nothing beyond
//! that. `docs/control-plane.md` has the table.

use instar_protocol::principal::Via;
use instar_protocol::{Principal, Secret};
use instar_store::{DeviceRow, DeviceToken, Op};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

use super::device::{self, Challenge, Shown, Signed};
use super::frame::Refusal;
use super::link::{BUFFERED_MAX, Client, Operator, Why};
use super::method::wrong_params;
use super::pairing::Asked;
use super::scope::{Scope, Scopes};
use super::{frame, methods};
use crate::app::{App, AppState};
use crate::door::{AuthProblem, Caller, Digest, SharedSecret, device_token};

/// The version of the protocol that is spoken here.
pub(crate) const PROTOCOL: u64 = 4;
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
struct Connect {
    min_protocol: u64,
    max_protocol: u64,
    client: ClientInfo,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    auth: Credentials,
    #[serde(default)]
    device: Option<Shown>,
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
struct ClientInfo {
    id: String,
    version: String,
    platform: String,
    mode: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    device_family: Option<String>,
    #[serde(default)]
    instance_id: Option<String>,
    #[serde(default, rename = "buildId")]
    _build_id: Value,
    #[serde(default, rename = "modelIdentifier")]
    _model_identifier: Value,
    #[serde(default, rename = "timeZone")]
    _time_zone: Value,
}

#[derive(Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    #[serde(default, deserialize_with = "secret")]
    token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    device_token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    bootstrap_token: Option<Secret>,
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
    fn shared(&self) -> Option<&Secret> {
        let named = [&self.token, &self.password];
        named
            .into_iter()
            .flatten()
            .find(|secret| !secret.expose().is_empty())
    }

    fn of_device(&self) -> Option<&Secret> {
        self.device_token
            .as_ref()
            .filter(|secret| !secret.expose().is_empty())
    }

    /// The one that goes under the device's signature: the one that was sent.
    fn signed(&self) -> &str {
        let sent = [&self.token, &self.device_token, &self.bootstrap_token];
        let sent = sent.into_iter().flatten().map(Secret::expose);
        sent.into_iter()
            .find(|secret| !secret.is_empty())
            .unwrap_or("")
    }
}

/// Who knocks, before anything is proved.
#[derive(Debug)]
pub(super) struct Knock {
    pub(super) peer: SocketAddr,
    /// The browser session that came with the upgrade.
    pub(super) caller: Option<Caller>,
    /// The digest of its cookie.
    pub(super) session: Option<String>,
    pub(super) challenge: Challenge,
    pub(super) conn: String,
}

/// A handshake that worked.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) id: String,
    pub(super) who: Operator,
    /// A token that was made for the device just now.
    pub(super) issued: Option<(Secret, u64)>,
}

/// A handshake that did not: what is answered, if anything, and how the connection ends.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) answer: Option<String>,
    pub(super) close: Why,
}

impl Turned {
    fn away(id: &str, refusal: Refusal) -> Self {
        Self {
            answer: Some(frame::response(id, &Err(refusal))),
            close: (1008, "handshake refused"),
        }
    }
}

/// Reads the first frame of a connection and decides.
pub(super) async fn greet(app: &AppState, knock: &Knock, text: &str) -> Result<Greeted, Turned> {
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
    match prove(app, knock, &connect).await {
        Ok((proof, issued)) => Ok(Greeted {
            id: request.id,
            who: operator(knock, connect, proof),
            issued,
        }),
        Err(refusal) => Err(Turned::away(&request.id, refusal)),
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

/// What was proved, and what it is good for.
#[derive(Debug)]
struct Proof {
    principal: Principal,
    role: &'static str,
    scopes: Scopes,
    device: Option<String>,
    by_secret: bool,
}

type Proved = (Proof, Option<(Secret, u64)>);

async fn prove(app: &AppState, knock: &Knock, connect: &Connect) -> Result<Proved, Refusal> {
    // A device that is shown has to be proved, whatever else is.
    if let Some(shown) = &connect.device {
        check_signature(knock, connect, shown)?;
    }
    if connect.auth.bootstrap_token.is_some() {
        return Err(auth_refusal("AUTH_BOOTSTRAP_TOKEN_INVALID", NO_SETUP_CODES));
    }
    if let (Some(shown), Some(secret)) = (&connect.device, connect.auth.of_device()) {
        let instead = connect.auth.shared().is_some();
        match app.auth.device(secret, &shown.id, knock.peer).await {
            Ok(token) => return by_device(app, knock, connect, shown, &token).await,
            // The gateway's own secret was shown besides: it is judged by itself.
            Err(AuthProblem::Wrong | AuthProblem::Missing | AuthProblem::Locked(_)) if instead => {}
            Err(AuthProblem::Wrong | AuthProblem::Missing) => {
                return Err(auth_refusal("AUTH_DEVICE_TOKEN_MISMATCH", TOKEN_OVER));
            }
            Err(problem) => return Err(shared_refusal(app, problem)),
        }
    }
    let owner = match (&connect.auth.shared(), &knock.caller) {
        (Some(secret), _) => Some(
            app.auth
                .shared(secret, knock.peer)
                .await
                .map_err(|problem| shared_refusal(app, problem))?,
        ),
        (None, Some(caller)) => Some(SharedSecret::from(caller)),
        (None, None) => None,
    };
    match (&connect.device, owner) {
        (Some(shown), Some(owner)) => by_owner(app, knock, connect, shown, owner).await,
        (None, Some(owner)) => Ok((holder(owner), None)),
        (None, None) if connect.auth.of_device().is_some() => Err(auth_refusal(
            "DEVICE_IDENTITY_REQUIRED",
            "a device's token is good together with the device's signature only",
        )),
        (Some(_) | None, None) => Err(missing()),
    }
}

const TOKEN_OVER: &str =
    "the device's token is not good any more; connect with the gateway's token";

const NO_SETUP_CODES: &str = "setup codes are not given out here: approve the device instead";

fn check_signature(knock: &Knock, connect: &Connect, shown: &Shown) -> Result<(), Refusal> {
    let client = &connect.client;
    let signed = Signed {
        client_id: &client.id,
        client_mode: &client.mode,
        role: role(connect),
        scopes: &connect.scopes,
        token: connect.auth.signed(),
        platform: &client.platform,
        family: client.device_family.as_deref().unwrap_or(""),
    };
    device::verify(shown, signed, &knock.challenge).map_err(|doubt| {
        Refusal::invalid("device identity not proved").details(json!({
            "code": doubt,
            "reason": doubt.to_ascii_lowercase().replace('_', "-"),
        }))
    })
}

fn role(connect: &Connect) -> &'static str {
    match connect.role.as_deref() {
        Some("node") => "node",
        _ => "operator",
    }
}

/// The bearer of the gateway's secret without a device: one set, whatever it claims.
fn holder(owner: SharedSecret) -> Proof {
    Proof {
        principal: Principal::Owner { via: owner.via },
        role: "operator",
        scopes: if owner.via == Via::Session || owner.via == Via::TrustedProxy {
            Scopes::OWNER
        } else {
            Scopes::TOKEN_HOLDER
        },
        device: None,
        by_secret: owner.via == Via::Token,
    }
}

/// A device that proved its key, together with the gateway's secret: it gets what the owner has
/// approved for it, and a token of its own.
async fn by_owner(
    app: &AppState,
    knock: &Knock,
    connect: &Connect,
    shown: &Shown,
    owner: SharedSecret,
) -> Result<Proved, Refusal> {
    let row = app.store.device(&shown.id).await.map_err(unavailable)?;
    let asked = asked(connect);
    let approved = row.as_ref().filter(|row| row.role == role(connect));
    let Some(row) = approved.filter(|row| scopes_of(&row.scopes).covers(asked)) else {
        return Err(pairing(app, knock, connect, shown, row.is_some()));
    };
    let tokens = app.store.device_tokens().await.map_err(unavailable)?;
    let has = tokens.iter().find(|token| token.device == row.id);
    if has.is_some_and(DeviceToken::is_revoked) {
        // The owner took its authority back: the shared secret does not restore it.
        return Err(pairing(app, knock, connect, shown, true));
    }
    // One that it was given before stays good: programs that share a key share the token, too.
    let issued = if has.is_some() {
        seen(app, row)?;
        None
    } else {
        Some(issue(app, row).await?)
    };
    let proof = Proof {
        principal: Principal::Owner { via: owner.via },
        role: role(connect),
        scopes: granted(scopes_of(&row.scopes), asked),
        device: Some(row.id.clone()),
        by_secret: owner.via == Via::Token,
    };
    Ok((proof, issued))
}

/// Makes the first token of a device.
async fn issue(app: &AppState, row: &DeviceRow) -> Result<(Secret, u64), Refusal> {
    let token = device_token().map_err(|error| Refusal::unavailable(error.to_string()))?;
    let now = app.clock.now();
    let given = DeviceToken {
        device: row.id.clone(),
        digest: Digest::of(token.expose()).to_hex(),
        scopes: row.scopes.clone(),
        created_at: now,
    };
    let (id, at) = (row.id.clone(), now);
    let ops = vec![Op::PutDeviceToken(given), Op::SeenDevice { id, at }];
    app.store.commit(ops).await.map_err(unavailable)?;
    Ok((token, now.millis()))
}

/// Notes that a device was here.
fn seen(app: &AppState, row: &DeviceRow) -> Result<(), Refusal> {
    let (id, at) = (row.id.clone(), app.clock.now());
    let op = Op::SeenDevice { id, at };
    app.store.enqueue(vec![op]).map_err(unavailable)
}

/// A device that proved its key and shows the token that it was given.
async fn by_device(
    app: &AppState,
    knock: &Knock,
    connect: &Connect,
    shown: &Shown,
    token: &DeviceToken,
) -> Result<Proved, Refusal> {
    let row = app.store.device(&shown.id).await.map_err(unavailable)?;
    let Some(row) = row.filter(|row| row.role == role(connect)) else {
        return Err(pairing(app, knock, connect, shown, true));
    };
    let asked = asked(connect);
    let held = scopes_of(&token.scopes).meet(scopes_of(&row.scopes));
    if !held.covers(asked) {
        return Err(pairing(app, knock, connect, shown, true));
    }
    seen(app, &row)?;
    let proof = Proof {
        principal: Principal::Owner { via: Via::Device },
        role: role(connect),
        scopes: granted(held, asked),
        device: Some(row.id),
        by_secret: false,
    };
    Ok((proof, None))
}

fn asked(connect: &Connect) -> Scopes {
    if role(connect) == "node" {
        return Scopes::default();
    }
    Scopes::read(connect.scopes.iter().map(String::as_str))
}

pub(crate) fn scopes_of(names: &[String]) -> Scopes {
    Scopes::read(names.iter().map(String::as_str))
}

/// What a connection gets of what it holds: the part that it asks for, which the callers have found
/// to be a part of it; all of it if it does not say.
fn granted(held: Scopes, asked: Scopes) -> Scopes {
    if asked.is_empty() { held } else { asked }
}

/// Notes that a device wants to be approved, and says so to whoever may do that.
fn pairing(
    app: &AppState,
    knock: &Knock,
    connect: &Connect,
    shown: &Shown,
    again: bool,
) -> Refusal {
    let client = &connect.client;
    let wanted = asked(connect);
    let request = Asked {
        request: hex::encode(crate::random::ten()),
        device: shown.id.clone(),
        public_key: shown.public_key.clone(),
        role: role(connect).to_owned(),
        // Who asks for nothing in particular gets what a bearer of the token has.
        scopes: if wanted.is_empty() && role(connect) == "operator" {
            Scopes::TOKEN_HOLDER
        } else {
            wanted
        },
        about: json!({
            "clientId": client.id,
            "clientMode": client.mode,
            "platform": client.platform,
            "deviceFamily": client.device_family,
            "displayName": client.display_name,
        }),
        address: knock.peer.ip().to_string(),
        again,
        at: app.clock.now(),
    };
    let (request, new) = app.control.pairing.ask(request);
    if new {
        tracing::info!(
            request = request.request,
            device = request.device,
            "a device asks to be approved: see `instar devices list`"
        );
        app.control
            .tell_holders(Scope::Pairing, "device.pair.requested", &request.shown());
    }
    let reason = if again { "scope-upgrade" } else { "not-paired" };
    Refusal::invalid("pairing required: approve the device with `instar devices approve`").details(
        json!({
            "code": "PAIRING_REQUIRED",
            "reason": reason,
            "requestId": request.request,
            "deviceId": request.device,
        }),
    )
}

fn missing() -> Refusal {
    Refusal::invalid("unauthorized: gateway token missing").details(json!({
        "code": "AUTH_TOKEN_MISSING",
        "authReason": "token_missing",
        "canRetryWithDeviceToken": false,
        "recommendedNextStep": "update_auth_configuration",
    }))
}

fn auth_refusal(code: &str, message: &str) -> Refusal {
    Refusal::invalid(format!("unauthorized: {message}")).details(json!({
        "code": code,
        "recommendedNextStep": "review_auth_configuration",
    }))
}

fn shared_refusal(app: &App, problem: AuthProblem) -> Refusal {
    match problem {
        AuthProblem::Wrong | AuthProblem::Missing => {
            app.metrics.auth_wrong.add(1);
            tracing::warn!("a wrong credential was presented");
            Refusal::invalid("unauthorized: gateway token mismatch").details(json!({
                "code": "AUTH_TOKEN_MISMATCH",
                "authReason": "token_mismatch",
                "canRetryWithDeviceToken": true,
                "recommendedNextStep": "retry_with_device_token",
            }))
        }
        AuthProblem::Locked(wait) => {
            app.metrics.auth_locked.add(1);
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            Refusal::invalid("unauthorized: too many failed attempts")
                .details(json!({
                    "code": "AUTH_RATE_LIMITED",
                    "recommendedNextStep": "wait_then_retry",
                }))
                .after(millis)
        }
        AuthProblem::Unavailable(why) => {
            tracing::error!(why, "nobody can be let in");
            Refusal::unavailable("callers cannot be verified at present")
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn unavailable(error: instar_store::StoreError) -> Refusal {
    Refusal::unavailable(crate::problem::chain(&error))
}

fn operator(knock: &Knock, connect: Connect, proof: Proof) -> Operator {
    let Connect { client, caps, .. } = connect;
    let by_session = matches!(proof.principal, Principal::Owner { via: Via::Session });
    Operator {
        conn: knock.conn.clone(),
        session: knock.session.clone().filter(|_| by_session),
        principal: proof.principal,
        role: proof.role,
        scopes: proof.scopes,
        device: proof.device,
        by_secret: proof.by_secret,
        client: Client {
            id: client.id,
            mode: client.mode,
            version: client.version,
            platform: client.platform,
            display_name: client.display_name,
            device_family: client.device_family,
            instance_id: client.instance_id,
        },
        caps,
        address: knock.peer.ip(),
    }
}

/// The answer to a handshake that worked.
pub(super) async fn hello(
    app: &AppState,
    who: &Arc<Operator>,
    issued: Option<(Secret, u64)>,
) -> Result<Value, Refusal> {
    let config = app.config.current();
    let health = methods::health::value(app).await?;
    let uptime = app.clock.now().since(app.started_at).as_millis();
    let agent = app.default_agent();
    let mut snapshot = json!({
        "presence": app.control.presence(),
        "health": health,
        "stateVersion": app.control.versions(),
        "uptimeMs": u64::try_from(uptime).unwrap_or(u64::MAX),
        "sessionDefaults": {
            "defaultAgentId": agent.as_str(),
            "mainKey": "main",
            "mainSessionKey": instar_protocol::SessionKey::main(&agent).as_str(),
            "scope": "per-sender",
        },
    });
    if who.may(Scope::Admin) {
        snapshot["authMode"] = config.value.gateway.auth.mode.as_str().into();
        snapshot["configPath"] = app.state_dir.config_file().display().to_string().into();
        snapshot["stateDir"] = app.state_dir.root().display().to_string().into();
    }
    let mut auth = json!({ "role": who.role, "scopes": who.scopes.names() });
    if let Some((token, at)) = issued {
        auth["deviceToken"] = token.expose().into();
        auth["issuedAtMs"] = at.into();
    }
    Ok(json!({
        "type": "hello-ok",
        "protocol": PROTOCOL,
        "server": { "version": env!("CARGO_PKG_VERSION"), "connId": who.conn },
        "features": {
            "methods": methods::advertised(),
            "events": methods::EVENTS,
            "capabilities": methods::CAPABILITIES,
        },
        "snapshot": snapshot,
        "auth": auth,
        "policy": {
            "maxPayload": max_payload(app),
            "maxBufferedBytes": BUFFERED_MAX,
            "tickIntervalMs": super::pump::TICK.as_millis(),
        },
    }))
}

/// The longest frame that a proved client may send.
pub(super) fn max_payload(app: &App) -> u64 {
    app.config.current().value.gateway.limits.body_bytes.into()
}
