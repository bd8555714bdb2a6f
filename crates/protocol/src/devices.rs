//! Devices of the control plane, as `/api/v1/devices` shows them. The names are the control plane's.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `GET /api/v1/devices`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeviceList {
    /// Waiting for the owner.
    pub pending: Vec<WaitingDevice>,
    /// Let in.
    pub paired: Vec<PairedDevice>,
}

/// A device that proved its key and asks to be let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingDevice {
    pub request_id: String,
    pub device_id: String,
    pub role: String,
    pub scopes: Vec<String>,
    /// What it says of itself: unproved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub remote_ip: String,
    /// True if it was let in before and asks for something else, or again.
    pub is_repair: bool,
    pub ts: Timestamp,
}

/// A device that the owner let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice {
    pub device_id: String,
    pub role: String,
    pub scopes: Vec<String>,
    /// What the owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub approved_at_ms: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at_ms: Option<Timestamp>,
    pub connected: bool,
    /// Its credentials, without their texts; none before it first connects, or once it is revoked.
    pub tokens: Vec<PairedToken>,
}

/// A credential of a device, without its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedToken {
    pub scopes: Vec<String>,
    pub created_at_ms: Timestamp,
}

/// `POST /api/v1/devices/{id}/rename`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameDevice {
    pub label: String,
}

/// `POST /api/v1/devices/{id}/rotate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateDevice {
    /// What the new token is good for; all that was approved when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// The answer to it: the only time that the token is shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotatedDevice {
    pub device_id: String,
    pub token: String,
    pub scopes: Vec<String>,
}

impl std::fmt::Debug for RotatedDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotatedDevice")
            .field("device_id", &self.device_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
