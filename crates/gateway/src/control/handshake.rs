//! The handshake: who a connection is, and what it may do.
//!
//! Identity is what was proved: a signature over this connection's own challenge, the gateway's
//! token or password, a device's token, or the browser session that came with the upgrade. What a
//! client calls itself, which role it claims and which scopes it asks for select nothing beyond
//! that. `docs/control-plane.md` has the table.

use instar_protocol::principal::Via;
use instar_protocol::{Principal, Secret};
use instar_store::{DeviceRow, DeviceToken, Op};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

use super::connect::{self, Connect, PROTOCOL, Turned, role};
use super::device::{self, Challenge, Shown, Signed};
use super::frame::Refusal;
use super::link::{BUFFERED_MAX, Client, Operator};
use super::methods;
use super::pairing::Asked;
use super::scope::{Scope, Scopes};
use crate::app::{App, AppState};
use crate::door::{self, AuthProblem, Caller, Digest, SharedSecret, device_token};

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

/// Reads the first frame of a connection and decides.
pub(super) async fn greet(app: &AppState, knock: &Knock, text: &str) -> Result<Greeted, Turned> {
    let (id, connect) = connect::first(text)?;
    match prove(app, knock, &connect).await {
        Ok((proof, issued)) => Ok(Greeted {
            id,
            who: operator(knock, connect, proof),
            issued,
        }),
        Err(refusal) => Err(Turned::away(&id, refusal)),
    }
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

/// The bearer of the gateway's secret without a device: one set, whatever it claims.
fn holder(owner: SharedSecret) -> Proof {
    Proof {
        principal: Principal::Owner { via: owner.via },
        role: "operator",
        scopes: if matches!(owner.via, Via::Session | Via::TrustedProxy | Via::Identity) {
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
    let by_identity = matches!(proof.principal, Principal::Owner { via: Via::Identity });
    let until = match knock.caller.as_ref().map(|caller| &caller.proof) {
        Some(door::Proof::Until(end)) if by_identity => Some(*end),
        _ => None,
    };
    Operator {
        conn: knock.conn.clone(),
        session: knock.session.clone().filter(|_| by_session),
        until,
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
