//! Devices that the owner approved, and their tokens.

use instar_protocol::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::apply::{millis, run_sql};
use crate::error::StoreError;
use crate::read::{all, column, maybe, text, time, unsigned};
use crate::store::Store;

/// Devices that are kept. Each was approved by hand.
pub const DEVICES_MAX: u32 = 256;

/// A device that the owner approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// The digest of its public key.
    pub id: String,
    pub public_key: String,
    pub role: String,
    pub scopes: Vec<String>,
    pub name: Option<String>,
    /// What it says of itself: platform, client and the like. Nothing is decided by it.
    pub about: serde_json::Value,
    pub approved_by: String,
    pub created_at: Timestamp,
    pub approved_at: Timestamp,
    pub last_seen_at: Option<Timestamp>,
}

/// The token of a device, known by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceToken {
    pub device: String,
    pub digest: String,
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
}

/// What stands in the place of a digest once a token is revoked. No digest looks like it.
const REVOKED: &str = "revoked:";

impl DeviceToken {
    /// True if the owner took the token back. The row stays, so that this is not forgotten before
    /// the device is approved anew.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.digest.starts_with(REVOKED)
    }
}

/// Takes a device's token back. A device that never had one cannot get one after this.
pub(crate) fn revoke_token(
    connection: &Connection,
    device: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let gone = DeviceToken {
        device: device.to_owned(),
        digest: format!("{REVOKED}{device}"),
        scopes: Vec::new(),
        created_at: at,
    };
    put_token(connection, &gone)
}

/// Puts a device in place; a token that it had is gone, for it may say more than was approved now.
pub(crate) fn put(connection: &Connection, row: &DeviceRow) -> Result<(), StoreError> {
    drop_token(connection, &row.id)?;
    run_sql(
        connection,
        "INSERT INTO devices (id, public_key, role, scopes, name, about, approved_by, created_at,
             approved_at, last_seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET role = excluded.role, scopes = excluded.scopes,
             about = excluded.about, approved_by = excluded.approved_by,
             approved_at = excluded.approved_at",
        params![
            row.id,
            row.public_key,
            row.role,
            list(&row.scopes),
            row.name,
            row.about.to_string(),
            row.approved_by,
            millis(row.created_at),
            millis(row.approved_at),
            row.last_seen_at.map(millis),
        ],
    )
}

/// Forgets a device and its token.
pub(crate) fn forget(connection: &Connection, id: &str) -> Result<(), StoreError> {
    drop_token(connection, id)?;
    run_sql(connection, "DELETE FROM devices WHERE id = ?1", params![id])
}

pub(crate) fn rename(connection: &Connection, id: &str, name: &str) -> Result<(), StoreError> {
    run_sql(
        connection,
        "UPDATE devices SET name = ?2 WHERE id = ?1",
        params![id, name],
    )
}

pub(crate) fn seen(connection: &Connection, id: &str, at: Timestamp) -> Result<(), StoreError> {
    run_sql(
        connection,
        "UPDATE devices SET last_seen_at = ?2 WHERE id = ?1",
        params![id, millis(at)],
    )
}

/// Gives a device its token in the place of the one it had. A device that is gone gets none.
pub(crate) fn put_token(connection: &Connection, token: &DeviceToken) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO device_tokens (device, digest, scopes, created_at)
         SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM devices WHERE id = ?1)
         ON CONFLICT (device) DO UPDATE SET digest = excluded.digest, scopes = excluded.scopes,
             created_at = excluded.created_at",
        params![
            token.device,
            token.digest,
            list(&token.scopes),
            millis(token.created_at)
        ],
    )
}

fn drop_token(connection: &Connection, device: &str) -> Result<(), StoreError> {
    run_sql(
        connection,
        "DELETE FROM device_tokens WHERE device = ?1",
        params![device],
    )
}

const COLUMNS: &str = "id, public_key, role, scopes, name, about, approved_by, created_at, \
                       approved_at, last_seen_at";

pub(crate) fn device(connection: &Connection, id: &str) -> Result<Option<DeviceRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM devices WHERE id = ?1");
    Ok(all(connection, &sql, [id], device_row)?.into_iter().next())
}

/// All devices, the one that was approved last first.
pub(crate) fn devices(connection: &Connection) -> Result<Vec<DeviceRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM devices ORDER BY approved_at DESC, id LIMIT ?1");
    all(connection, &sql, [DEVICES_MAX], device_row)
}

pub(crate) fn tokens(connection: &Connection) -> Result<Vec<DeviceToken>, StoreError> {
    let sql = "SELECT device, digest, scopes, created_at FROM device_tokens LIMIT ?1";
    all(connection, sql, [DEVICES_MAX], token_row)
}

pub(crate) fn token(
    connection: &Connection,
    digest: &str,
) -> Result<Option<DeviceToken>, StoreError> {
    let sql = "SELECT device, digest, scopes, created_at FROM device_tokens WHERE digest = ?1";
    let found = all(connection, sql, [digest], token_row)?;
    Ok(found.into_iter().next())
}

fn device_row(row: &Row<'_>) -> Result<DeviceRow, StoreError> {
    let seen: Option<i64> = row.get(9).map_err(column)?;
    Ok(DeviceRow {
        id: text(row, 0)?,
        public_key: text(row, 1)?,
        role: text(row, 2)?,
        scopes: read_list(&text(row, 3)?),
        name: maybe(row, 4)?,
        about: serde_json::from_str(&text(row, 5)?).unwrap_or_default(),
        approved_by: text(row, 6)?,
        created_at: time(row, 7)?,
        approved_at: time(row, 8)?,
        last_seen_at: seen.map(|at| Timestamp::from_millis(unsigned(at))),
    })
}

fn token_row(row: &Row<'_>) -> Result<DeviceToken, StoreError> {
    Ok(DeviceToken {
        device: text(row, 0)?,
        digest: text(row, 1)?,
        scopes: read_list(&text(row, 2)?),
        created_at: time(row, 3)?,
    })
}

fn list(scopes: &[String]) -> String {
    serde_json::Value::from(scopes).to_string()
}

/// What cannot be read is no scope: a device without scopes may do nothing.
fn read_list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

impl Store {
    pub async fn device(&self, id: &str) -> Result<Option<DeviceRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| device(sql, &id)).await
    }

    /// All devices, the one that was approved last first.
    pub async fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        self.read(devices).await
    }

    pub async fn device_tokens(&self) -> Result<Vec<DeviceToken>, StoreError> {
        self.read(tokens).await
    }

    /// The token with this digest.
    pub async fn device_token(&self, digest: &str) -> Result<Option<DeviceToken>, StoreError> {
        let digest = digest.to_owned();
        self.read(move |sql| token(sql, &digest)).await
    }
}
