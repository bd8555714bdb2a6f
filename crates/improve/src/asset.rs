//! The content address of a shared asset: a gene, a capsule, an event.
//!
//! An address is the SHA-256 of the canonical form (RFC 8785) of the asset without its own address.
//! It is taken over the very value that is stored, so that what was written verifies when it is read
//! again; an asset that does not is named and not used.

use instar_release::canonical;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The field that holds the address. Only the one at the top is left out of the digest.
pub const FIELD: &str = "asset_id";

const PREFIX: &str = "sha256:";

#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    #[error("an asset is a JSON object")]
    Shape,
    #[error("the asset has no canonical form")]
    Canonical(#[source] instar_release::ReleaseError),
    #[error("the asset names no {FIELD}")]
    Unnamed,
    #[error("the asset says {said}, its content is {found}: it was changed after it was named")]
    Mismatch { said: String, found: String },
}

/// The address of an asset, whatever it says of itself.
pub fn address(asset: &Value) -> Result<String, AssetError> {
    let fields = asset.as_object().ok_or(AssetError::Shape)?;
    let content: Map<String, Value> = fields
        .iter()
        .filter(|(name, _)| name.as_str() != FIELD)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let text = canonical(&Value::Object(content)).map_err(AssetError::Canonical)?;
    Ok(format!(
        "{PREFIX}{}",
        hex::encode(Sha256::digest(text.as_bytes()))
    ))
}

/// Writes the address into an asset; any that it had is replaced.
pub fn seal(mut asset: Value) -> Result<Value, AssetError> {
    let address = address(&asset)?;
    let fields = asset.as_object_mut().ok_or(AssetError::Shape)?;
    fields.insert(FIELD.to_owned(), Value::String(address));
    Ok(asset)
}

/// Fails unless the asset names the address of its content.
pub fn verify(asset: &Value) -> Result<(), AssetError> {
    let found = address(asset)?;
    match asset.get(FIELD).and_then(Value::as_str) {
        None => Err(AssetError::Unnamed),
        Some(said) if said == found => Ok(()),
        Some(said) => Err(AssetError::Mismatch {
            said: said.chars().take(found.len()).collect(),
            found,
        }),
    }
}
