//! Signatures of minisign, over the BLAKE2b digest of the file. The older kind over the file itself is
//! not read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};

use super::{GatewayKey, NAMESPACE, PublicKey, SignError};

/// A longer signature is not read.
const TEXT_BYTES_MAX: usize = 16 * 1024;
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";
/// What the trusted comment of ours begins with, so that a signature for something else is none for this.
const PURPOSE: &str = NAMESPACE;

/// Signs a message. The trusted comment begins with the namespace of releases.
#[must_use]
pub fn sign(message: &[u8], key: &GatewayKey) -> String {
    let signature = key.sign(&Blake2b512::digest(message));
    let comment = format!("{PURPOSE} signed by the gateway");
    let mut over = signature.clone();
    over.extend_from_slice(comment.as_bytes());
    let global = key.sign(&over);
    let mut line = b"ED".to_vec();
    line.extend_from_slice(&number(key.public()));
    line.extend_from_slice(&signature);
    format!(
        "{UNTRUSTED}signature of an Instar gateway\n{}\n{TRUSTED}{comment}\n{}\n",
        STANDARD.encode(line),
        STANDARD.encode(global)
    )
}

/// The public key as minisign has it in a file.
#[must_use]
pub fn public_file(key: PublicKey) -> String {
    let mut line = b"Ed".to_vec();
    line.extend_from_slice(&number(key));
    line.extend_from_slice(&key.0);
    format!(
        "{UNTRUSTED}key of an Instar gateway\n{}\n",
        STANDARD.encode(line)
    )
}

/// The number of a key of ours; minisign has random ones and wants the same in key and signature.
fn number(key: PublicKey) -> [u8; 8] {
    let digest = Blake2b512::digest(key.0);
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    number
}

/// The key of a line `RW…`.
pub(super) fn public_key(word: &str) -> Option<PublicKey> {
    let bytes = STANDARD.decode(word).ok()?;
    let key = bytes.strip_prefix(b"Ed")?.get(8..)?;
    key.try_into().ok().map(PublicKey)
}

/// The key that signed a message, if it is one of these, and the trusted comment says what for.
pub fn verify(message: &[u8], text: &str, trusted: &[PublicKey]) -> Result<PublicKey, SignError> {
    let bad = || SignError::Malformed("no minisign signature".to_owned());
    if text.len() > TEXT_BYTES_MAX {
        return Err(bad());
    }
    let lines: Vec<&str> = text.lines().collect();
    let [first, line, comment, global] = lines.as_slice() else {
        return Err(bad());
    };
    let comment = comment.strip_prefix(TRUSTED).ok_or_else(bad)?;
    if !first.starts_with(UNTRUSTED) {
        return Err(bad());
    }
    let line = STANDARD.decode(line).map_err(|_| bad())?;
    let global = STANDARD.decode(global).map_err(|_| bad())?;
    let rest = line.strip_prefix(b"ED").ok_or_else(bad)?;
    let signature = rest
        .get(8..)
        .filter(|rest| rest.len() == 64)
        .ok_or_else(bad)?;
    let digest = Blake2b512::digest(message);
    let mut over = signature.to_vec();
    over.extend_from_slice(comment.as_bytes());
    let signer = trusted.iter().find(|key| key.verifies(&over, &global));
    let signer = signer.ok_or(SignError::Foreign)?;
    if !signer.verifies(&digest, signature) {
        return Err(SignError::Tampered);
    }
    if comment.split_whitespace().next() != Some(PURPOSE) {
        return Err(SignError::Namespace {
            found: comment.chars().take(100).collect(),
            wanted: PURPOSE.to_owned(),
        });
    }
    Ok(*signer)
}
