//! Signatures of `ssh-keygen -Y`: `SSHSIG` blobs in armor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use super::{GatewayKey, NAMESPACE, PublicKey, SignError};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const KIND: &[u8] = b"ssh-ed25519";
/// A longer signature is not read.
const ARMOR_BYTES_MAX: usize = 16 * 1024;
const LINE_CHARS: usize = 70;

/// Signs a message under the namespace of releases.
#[must_use]
pub fn sign(message: &[u8], key: &GatewayKey) -> String {
    let signature = key.sign(&signed(NAMESPACE, b"sha512", &Sha512::digest(message)));
    let mut inner = Vec::new();
    put(&mut inner, KIND);
    put(&mut inner, &signature);
    let mut blob = MAGIC.to_vec();
    blob.extend_from_slice(&VERSION.to_be_bytes());
    for part in [
        key.public().ssh_blob().as_slice(),
        NAMESPACE.as_bytes(),
        b"",
        b"sha512",
        &inner,
    ] {
        put(&mut blob, part);
    }
    let text = STANDARD.encode(blob);
    let mut armor = format!("{BEGIN}\n");
    for line in text.as_bytes().chunks(LINE_CHARS) {
        armor.push_str(&String::from_utf8_lossy(line));
        armor.push('\n');
    }
    armor + END + "\n"
}

/// The key that signed a message, if it is one of these and the signature was made for releases.
pub fn verify(message: &[u8], armor: &str, trusted: &[PublicKey]) -> Result<PublicKey, SignError> {
    let blob = unarmored(armor)?;
    let bad = || SignError::Malformed("no SSH signature".to_owned());
    let mut rest = blob.strip_prefix(MAGIC).ok_or_else(bad)?;
    let (version, after) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
    if u32::from_be_bytes(*version) != VERSION {
        return Err(bad());
    }
    rest = after;
    let mut next = || take(&mut rest).ok_or_else(bad);
    let (key, namespace, reserved, hash, mut inner) = (next()?, next()?, next()?, next()?, next()?);
    if !rest.is_empty() || !reserved.is_empty() {
        return Err(bad());
    }
    if namespace != NAMESPACE.as_bytes() {
        return Err(SignError::Namespace {
            found: String::from_utf8_lossy(namespace)
                .chars()
                .take(100)
                .collect(),
            wanted: NAMESPACE.to_owned(),
        });
    }
    let key = PublicKey::of_ssh_blob(key).ok_or_else(bad)?;
    let digest = match hash {
        b"sha512" => Sha512::digest(message).to_vec(),
        b"sha256" => Sha256::digest(message).to_vec(),
        _ => return Err(bad()),
    };
    let kind = take(&mut inner).ok_or_else(bad)?;
    let signature = take(&mut inner).ok_or_else(bad)?;
    if kind != KIND || !inner.is_empty() {
        return Err(bad());
    }
    if !trusted.contains(&key) {
        return Err(SignError::Foreign);
    }
    if key.verifies(&signed(NAMESPACE, hash, &digest), signature) {
        Ok(key)
    } else {
        Err(SignError::Tampered)
    }
}

fn signed(namespace: &str, hash: &[u8], digest: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for part in [namespace.as_bytes(), b"", hash, digest] {
        put(&mut bytes, part);
    }
    bytes
}

fn unarmored(armor: &str) -> Result<Vec<u8>, SignError> {
    let bad = || SignError::Malformed("no armored SSH signature".to_owned());
    if armor.len() > ARMOR_BYTES_MAX {
        return Err(bad());
    }
    let inside = armor
        .trim()
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or_else(bad)?;
    let text: String = inside.split_ascii_whitespace().collect();
    STANDARD.decode(text).map_err(|_| bad())
}

/// A string of the SSH formats: its length and its bytes.
pub(super) fn put(to: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(part);
}

pub(super) fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(part)
}
