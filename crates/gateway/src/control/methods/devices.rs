//! Devices: the ones that wait for the owner, the ones that were approved, and their tokens.
//!
//! No operation gives away more than its caller has, and none touches a device that is stronger.

use instar_store::{DeviceRow, DeviceToken, Op, Store, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::AppState;
use crate::control::handshake::scopes_of;
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::pairing::Asked;
use crate::control::scope::Scopes;
use crate::door::{Digest, device_token};

const NAME_CHARS_MAX: usize = 80;

/// Who lays hands on a device.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    held: Scopes,
    /// The device that it is itself, and its connection.
    own: Option<String>,
    conn: Option<String>,
}

impl Hand {
    fn of(call: &Call) -> Self {
        Self {
            held: call.who.scopes,
            own: call.who.device.clone(),
            conn: Some(call.who.conn.clone()),
        }
    }

    /// The owner, at the gateway's own page or on its own machine.
    pub(crate) fn owner() -> Self {
        Self {
            held: Scopes::OWNER,
            own: None,
            conn: None,
        }
    }

    /// Refuses to touch a device that may do more than is held here: the weaker must not take the
    /// stronger away. Itself a device may always end.
    fn reaches(&self, row: &DeviceRow) -> Result<(), Refusal> {
        if row.role != "operator" && !self.held.may(Scope::Admin) {
            return Err(lacks(Scope::Admin));
        }
        if self.own.as_ref() == Some(&row.id) {
            return Ok(());
        }
        attenuated(self.held, scopes_of(&row.scopes))
    }
}

macro_rules! pairing_methods {
    ($($name:literal => $run:ident),* $(,)?) => {
        pub(super) const METHODS: &[Method] = &[$(Method {
            name: $name,
            need: Need::Scope(Scope::Pairing),
            advertised: true,
            run: |call| Box::pin($run(call)),
        }),*];
    };
}

pairing_methods! {
    "device.pair.list" => list,
    "device.pair.approve" => approve,
    "device.pair.reject" => reject,
    "device.pair.remove" => remove,
    "device.pair.rename" => rename,
    "device.token.rotate" => rotate,
    "device.token.revoke" => revoke,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfRequest {
    request_id: String,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfDevice {
    device_id: String,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfToken {
    device_id: String,
    role: String,
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    device_id: String,
    label: String,
}

/// The requests that wait and the devices that were approved.
pub(crate) async fn listed(app: &AppState) -> Result<Value, Refusal> {
    let pending: Vec<Value> = app
        .control
        .pairing
        .list(app.clock.now())
        .iter()
        .map(Asked::shown)
        .collect();
    let paired = paired(&app.store, |id| is_connected(app, id)).await?;
    Ok(json!({ "pending": pending, "paired": paired }))
}

fn is_connected(app: &AppState, id: &str) -> bool {
    let links = app.control.all();
    links
        .iter()
        .any(|link| link.who.device.as_deref() == Some(id))
}

/// The devices that were let in, as the store has them.
pub(crate) async fn paired(
    store: &Store,
    connected: impl Fn(&str) -> bool,
) -> Result<Vec<Value>, StoreError> {
    let tokens = store.device_tokens().await?;
    let rows = store.devices().await?;
    let living = |row: &DeviceRow| {
        let mut tokens = tokens.iter();
        tokens.find(|token| token.device == row.id && !token.is_revoked())
    };
    let shown = rows
        .iter()
        .map(|row| shown(connected(&row.id), row, living(row)));
    Ok(shown.collect())
}

fn shown(connected: bool, row: &DeviceRow, token: Option<&DeviceToken>) -> Value {
    let mut shown = json!({
        "deviceId": row.id,
        "publicKey": row.public_key,
        "role": row.role,
        "roles": [row.role],
        "scopes": row.scopes,
        "approvedVia": row.approved_by,
        "createdAtMs": row.created_at.millis(),
        "approvedAtMs": row.approved_at.millis(),
        "connected": connected,
        "tokens": token.map(|token| json!({
            "role": row.role, "scopes": token.scopes, "createdAtMs": token.created_at.millis(),
        })).into_iter().collect::<Vec<_>>(),
    });
    if let Some(name) = &row.name {
        shown["operatorLabel"] = name.as_str().into();
    }
    if let Some(at) = row.last_seen_at {
        shown["lastSeenAtMs"] = at.millis().into();
    }
    for name in [
        "displayName",
        "platform",
        "deviceFamily",
        "clientId",
        "clientMode",
    ] {
        if let Some(text) = row.about[name].as_str() {
            shown[name] = text.into();
        }
    }
    shown
}

async fn list(call: Call) -> Result<Value, Refusal> {
    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Params {}
    let _params: Params = call.params()?;
    listed(&call.app).await
}

/// Runs a change to its end, even if whoever asked for it goes: what is stored and who is cut off
/// belong together.
pub(crate) async fn whole<T: Send + 'static>(
    app: &AppState,
    change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let ended = app.tasks.spawn(change).await;
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "a change of devices failed");
        Err(Refusal::unavailable("the change failed: see `instar logs`"))
    })
}

async fn approve(call: Call) -> Result<Value, Refusal> {
    let params: OfRequest = call.params()?;
    let by = call.who.device.clone();
    let by = by.unwrap_or_else(|| call.who.client.id.clone());
    let app = call.app.clone();
    let change = async move { approved(&call.app, &params.request_id, Hand::of(&call), &by).await };
    whole(&app, change).await
}

/// Approves a request. Nobody gives away more than they hold, and a device that has more already is
/// not made another by the weaker.
pub(crate) async fn approved(
    app: &AppState,
    request: &str,
    hand: Hand,
    by: &str,
) -> Result<Value, Refusal> {
    let now = app.clock.now();
    let asked = app
        .control
        .pairing
        .find(request, now)
        .ok_or_else(unknown_request)?;
    attenuated(hand.held, asked.scopes)?;
    if asked.role != "operator" && !hand.held.may(Scope::Admin) {
        return Err(lacks(Scope::Admin));
    }
    if let Some(known) = app.store.device(&asked.device).await? {
        hand.reaches(&known)?;
    }
    // Two who answer at the same time: one of them does.
    let asked = app
        .control
        .pairing
        .take(request, now)
        .ok_or_else(unknown_request)?;
    let row = DeviceRow {
        id: asked.device.clone(),
        public_key: asked.public_key.clone(),
        role: asked.role.clone(),
        scopes: names(asked.scopes),
        name: None,
        about: asked.about.clone(),
        approved_by: by.to_owned(),
        created_at: now,
        approved_at: now,
        last_seen_at: None,
    };
    app.store.commit(vec![Op::PutDevice(row)]).await?;
    // What it may do has changed: it connects anew.
    app.control.close_device(&asked.device);
    tracing::info!(device = asked.device, "a device was approved");
    resolved(app, &asked, "approved");
    let row = app.store.device(&asked.device).await?;
    let device = row.map(|row| shown(is_connected(app, &row.id), &row, None));
    Ok(json!({ "requestId": asked.request, "device": device }))
}

async fn reject(call: Call) -> Result<Value, Refusal> {
    let params: OfRequest = call.params()?;
    rejected(&call.app, &params.request_id)
}

pub(crate) fn rejected(app: &AppState, request: &str) -> Result<Value, Refusal> {
    let taken = app.control.pairing.take(request, app.clock.now());
    let asked = taken.ok_or_else(unknown_request)?;
    resolved(app, &asked, "rejected");
    Ok(json!({ "requestId": asked.request, "deviceId": asked.device }))
}

fn resolved(app: &AppState, asked: &Asked, decision: &str) {
    let payload = json!({
        "requestId": asked.request, "deviceId": asked.device, "decision": decision,
        "ts": app.clock.now().millis(),
    });
    app.control
        .tell_holders(Scope::Pairing, "device.pair.resolved", &payload);
}

async fn remove(call: Call) -> Result<Value, Refusal> {
    let params: OfDevice = call.params()?;
    let app = call.app.clone();
    let change = async move { removed(&call.app, &params.device_id, Hand::of(&call)).await };
    whole(&app, change).await
}

/// Forgets a device; its token and its open connections end.
pub(crate) async fn removed(app: &AppState, id: &str, hand: Hand) -> Result<Value, Refusal> {
    let row = device(app, id).await?;
    hand.reaches(&row)?;
    app.store
        .commit(vec![Op::ForgetDevice { id: row.id.clone() }])
        .await?;
    app.control.close_device(&row.id);
    tracing::info!(device = row.id, "a device was removed");
    Ok(json!({ "deviceId": row.id }))
}

async fn rename(call: Call) -> Result<Value, Refusal> {
    let params: Named = call.params()?;
    renamed(&call.app, &params.device_id, &params.label, Hand::of(&call)).await
}

pub(crate) async fn renamed(
    app: &AppState,
    id: &str,
    label: &str,
    hand: Hand,
) -> Result<Value, Refusal> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > NAME_CHARS_MAX {
        let why = format!("label: 1 to {NAME_CHARS_MAX} characters");
        return Err(Refusal::invalid(why));
    }
    let row = device(app, id).await?;
    hand.reaches(&row)?;
    let rename = Op::RenameDevice {
        id: row.id.clone(),
        name: label.to_owned(),
    };
    app.store.commit(vec![rename]).await?;
    Ok(json!({ "deviceId": row.id, "label": label }))
}

async fn rotate(call: Call) -> Result<Value, Refusal> {
    let params: OfToken = call.params()?;
    let app = call.app.clone();
    let change = async move {
        let OfToken {
            device_id,
            role,
            scopes,
        } = params;
        rotated(
            &call.app,
            &device_id,
            &role,
            scopes.as_deref(),
            Hand::of(&call),
        )
        .await
    };
    whole(&app, change).await
}

/// Gives a device another token: the only time that it is shown. A device that rotates its own keeps
/// the connection that the answer goes to.
pub(crate) async fn rotated(
    app: &AppState,
    id: &str,
    role: &str,
    asked: Option<&[String]>,
    hand: Hand,
) -> Result<Value, Refusal> {
    let row = device(app, id).await?;
    if row.role != role {
        return Err(Refusal::invalid(
            "the device was not approved for that role",
        ));
    }
    hand.reaches(&row)?;
    let approved = scopes_of(&row.scopes);
    let scopes = asked.map_or(approved, |asked| {
        Scopes::read(asked.iter().map(String::as_str))
    });
    attenuated(approved, scopes)?;
    attenuated(hand.held, scopes)?;
    let token = device_token().map_err(|error| Refusal::unavailable(error.to_string()))?;
    let given = DeviceToken {
        device: row.id.clone(),
        digest: Digest::of(token.expose()).to_hex(),
        scopes: names(scopes),
        created_at: app.clock.now(),
    };
    app.store.commit(vec![Op::PutDeviceToken(given)]).await?;
    // Whoever held the old one is out.
    app.control.close((1008, "device token rotated"), |link| {
        link.who.device.as_deref() == Some(row.id.as_str())
            && hand.conn.as_ref() != Some(&link.who.conn)
    });
    Ok(json!({
        "deviceId": row.id, "role": role, "token": token.expose(), "scopes": scopes.names(),
        "rotatedAtMs": app.clock.now().millis(), "tokenDelivery": "in-band",
    }))
}

async fn revoke(call: Call) -> Result<Value, Refusal> {
    let params: OfToken = call.params()?;
    let app = call.app.clone();
    let change =
        async move { revoked(&call.app, &params.device_id, &params.role, Hand::of(&call)).await };
    whole(&app, change).await
}

/// Takes a device's token back. Not even the shared secret lets the device in again before it is
/// approved anew, or given another token.
pub(crate) async fn revoked(
    app: &AppState,
    id: &str,
    role: &str,
    hand: Hand,
) -> Result<Value, Refusal> {
    let row = device(app, id).await?;
    if row.role != role {
        return Err(Refusal::invalid(
            "the device was not approved for that role",
        ));
    }
    hand.reaches(&row)?;
    let (device, at) = (row.id.clone(), app.clock.now());
    let revoke = Op::RevokeDeviceToken { device, at };
    app.store.commit(vec![revoke]).await?;
    app.control.close_device(&row.id);
    Ok(json!({ "deviceId": row.id, "role": row.role, "revokedAtMs": at.millis() }))
}

pub(crate) async fn device(app: &AppState, id: &str) -> Result<DeviceRow, Refusal> {
    let found = app.store.device(id).await?;
    found.ok_or_else(|| Refusal::invalid("unknown deviceId"))
}

fn unknown_request() -> Refusal {
    Refusal::invalid("unknown requestId: it was answered, or five minutes are over")
}

/// Refuses what would give away more than is held.
fn attenuated(held: Scopes, wanted: Scopes) -> Result<(), Refusal> {
    let missing = Scope::ALL
        .into_iter()
        .find(|scope| wanted.may(*scope) && !held.may(*scope));
    missing.map_or(Ok(()), |scope| Err(lacks(scope)))
}

fn lacks(scope: Scope) -> Refusal {
    let scope = scope.as_str();
    Refusal::forbidden(format!("missing scope: {scope}")).details(json!({
        "code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope],
    }))
}

fn names(scopes: Scopes) -> Vec<String> {
    scopes.names().into_iter().map(str::to_owned).collect()
}
