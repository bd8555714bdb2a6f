//! A device proves itself with a signature over the challenge of this very connection.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The bytes of a public key.
const KEY_BYTES: usize = 32;

/// What a client shows of its device.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) public_key: String,
    pub(crate) signature: String,
    pub(crate) signed_at: u64,
    pub(crate) nonce: String,
}

/// What the signature has to be over, beside what the device shows itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) client_mode: &'a str,
    pub(crate) role: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) token: &'a str,
    pub(crate) platform: &'a str,
    pub(crate) family: &'a str,
}

/// The challenge that this connection was given.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) nonce: String,
    pub(crate) at: u64,
}

/// Why a device is not believed: the protocol's word for it.
pub(crate) type Doubt = &'static str;

/// Checks that whoever holds the device's key has signed this challenge. True words alone count for
/// nothing: every field is either the challenge's own or under the signature.
pub(crate) fn verify(
    shown: &Shown,
    signed: Signed<'_>,
    challenge: &Challenge,
) -> Result<(), Doubt> {
    let key = URL_SAFE_NO_PAD
        .decode(&shown.public_key)
        .ok()
        .filter(|key| key.len() == KEY_BYTES)
        .ok_or("DEVICE_AUTH_PUBLIC_KEY_INVALID")?;
    if hex::encode(Sha256::digest(&key)) != shown.id {
        return Err("DEVICE_AUTH_DEVICE_ID_MISMATCH");
    }
    if shown.nonce.is_empty() {
        return Err("DEVICE_AUTH_NONCE_REQUIRED");
    }
    if shown.nonce != challenge.nonce {
        return Err("DEVICE_AUTH_NONCE_MISMATCH");
    }
    if shown.signed_at != challenge.at {
        return Err("DEVICE_AUTH_SIGNATURE_EXPIRED");
    }
    let signature = URL_SAFE_NO_PAD
        .decode(&shown.signature)
        .map_err(|_| "DEVICE_AUTH_SIGNATURE_INVALID")?;
    let key = UnparsedPublicKey::new(&ED25519, key);
    let good = [text_v3(shown, signed), text_v2(shown, signed)]
        .iter()
        .any(|text| key.verify(text.as_bytes(), &signature).is_ok());
    good.then_some(()).ok_or("DEVICE_AUTH_SIGNATURE_INVALID")
}

fn text_v2(shown: &Shown, signed: Signed<'_>) -> String {
    format!("v2|{}", common(shown, signed))
}

fn text_v3(shown: &Shown, signed: Signed<'_>) -> String {
    let plain = |text: &str| text.trim().to_ascii_lowercase();
    let (platform, family) = (plain(signed.platform), plain(signed.family));
    format!("v3|{}|{platform}|{family}", common(shown, signed))
}

fn common(shown: &Shown, signed: Signed<'_>) -> String {
    [
        &shown.id,
        signed.client_id,
        signed.client_mode,
        signed.role,
        &signed.scopes.join(","),
        &shown.signed_at.to_string(),
        signed.token,
        &shown.nonce,
    ]
    .join("|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    const SIGNED: Signed<'_> = Signed {
        client_id: "cli",
        client_mode: "cli",
        role: "operator",
        scopes: &[],
        token: "secret",
        platform: " Linux ",
        family: "",
    };

    fn challenge() -> Challenge {
        Challenge {
            nonce: "n-1".to_owned(),
            at: 17,
        }
    }

    fn shown(version: &str) -> Shown {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = pair.public_key().as_ref();
        let mut shown = Shown {
            id: hex::encode(Sha256::digest(key)),
            public_key: URL_SAFE_NO_PAD.encode(key),
            signature: String::new(),
            signed_at: 17,
            nonce: "n-1".to_owned(),
        };
        let text = match version {
            "v3" => format!("v3|{}|cli|cli|operator||17|secret|n-1|linux|", shown.id),
            _ => format!("v2|{}|cli|cli|operator||17|secret|n-1", shown.id),
        };
        shown.signature = URL_SAFE_NO_PAD.encode(pair.sign(text.as_bytes()));
        shown
    }

    #[test]
    fn both_versions_of_the_signed_text_are_accepted() {
        for version in ["v3", "v2"] {
            assert_eq!(
                verify(&shown(version), SIGNED, &challenge()),
                Ok(()),
                "{version}"
            );
        }
    }

    #[test]
    fn everything_that_was_signed_has_to_be_as_it_was_signed() {
        let good = shown("v3");
        let doubt = |shown: &Shown, signed| verify(shown, signed, &challenge()).unwrap_err();
        let wider = ["operator.admin".to_owned()];
        for signed in [
            Signed {
                role: "node",
                ..SIGNED
            },
            Signed {
                scopes: &wider,
                ..SIGNED
            },
            Signed {
                token: "another",
                ..SIGNED
            },
            Signed {
                client_id: "test",
                ..SIGNED
            },
            Signed {
                client_mode: "ui",
                ..SIGNED
            },
            Signed {
                platform: "darwin",
                ..SIGNED
            },
        ] {
            assert_eq!(doubt(&good, signed), "DEVICE_AUTH_SIGNATURE_INVALID");
        }
        let with = |change: fn(&mut Shown)| {
            let mut shown = good.clone();
            change(&mut shown);
            doubt(&shown, SIGNED)
        };
        assert_eq!(with(|s| s.id.clear()), "DEVICE_AUTH_DEVICE_ID_MISMATCH");
        assert_eq!(
            with(|s| s.public_key.clear()),
            "DEVICE_AUTH_PUBLIC_KEY_INVALID"
        );
        assert_eq!(with(|s| s.nonce.clear()), "DEVICE_AUTH_NONCE_REQUIRED");
        assert_eq!(with(|s| s.nonce.push('x')), "DEVICE_AUTH_NONCE_MISMATCH");
        assert_eq!(with(|s| s.signed_at += 1), "DEVICE_AUTH_SIGNATURE_EXPIRED");
        assert_eq!(
            with(|s| s.signature.clear()),
            "DEVICE_AUTH_SIGNATURE_INVALID"
        );
        assert_eq!(
            with(|s| s.signature.push('!')),
            "DEVICE_AUTH_SIGNATURE_INVALID"
        );
    }
}
