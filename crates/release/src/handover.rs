//! The gateway's signing key, and handing over from one to the next.
//!
//! All of them are derived from the master key, each with a number of its own. A hand-over is signed by the key
//! that retires, which names the next one, and by the next one, which fixes what the retired key had signed
//! until then. Whatever a retired key signs later is no statement of this gateway's, whatever time it bears.

use instar_policy::canonical;
use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use instar_store::{EnvelopeRow, Op, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::ReleaseError;
use crate::record;
use crate::releases::{Releases, STABLE, moving};
use crate::sign::{Envelope, GatewayKey, NAMESPACE, PublicKey, SignError, Statement};
use crate::trust::Signer;

/// The kinds of rows: a hand-over, and the list of what was signed until then.
pub(crate) const HANDED: &str = "hand-over";
pub(crate) const HANDED_LIST: &str = "hand-over-list";
const HAND_OVER: &str = "urn:instar:hand-over:v1";
/// Keys of one gateway.
const KEYS_MAX: u32 = 1_000;

/// For what purpose the key of this number is derived from the master key.
#[must_use]
pub fn purpose(number: u32) -> String {
    match number {
        0 | 1 => NAMESPACE.to_owned(),
        _ => format!("{NAMESPACE}/{number}"),
    }
}

/// A key that signs no more.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) key: PublicKey,
    at: Timestamp,
    /// The statements that it had signed until then, and those of others.
    signed: BTreeSet<ObjectHash>,
}

/// A key of the gateway's, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyShown {
    pub number: u32,
    /// As OpenSSH writes it.
    pub key: String,
    pub retired_at: Option<Timestamp>,
    /// Statements that had been made when it retired.
    pub statements: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandOver {
    number: u32,
    from: String,
    to: String,
    at: Timestamp,
    /// The object that lists the statements until then.
    list: ObjectHash,
}

impl Signer {
    /// The signer with the key that signs now, and those before it. `seed` derives the key of a number.
    pub async fn of_chain<E: From<SignError> + From<ReleaseError>>(
        store: &Store,
        seed: impl Fn(u32) -> Result<[u8; 32], E>,
    ) -> Result<Self, E> {
        let rows = store
            .envelopes_of(HANDED)
            .await
            .map_err(ReleaseError::from)?;
        let (mut number, mut retired) = (1, Vec::new());
        let mut key = GatewayKey::of_seed(&seed(number)?)?;
        while number < KEYS_MAX && (number as usize) <= rows.len() {
            let next = GatewayKey::of_seed(&seed(number + 1)?)?;
            let mut handed = None;
            for row in &rows {
                let found = handed_over(store, row, number, key.public(), next.public()).await;
                handed = handed.or(found);
            }
            let Some(handed) = handed else {
                break;
            };
            retired.push(handed);
            key = next;
            number += 1;
        }
        Ok(Self::of_keys(key, number, retired))
    }

    /// The keys of this gateway, the first one first.
    #[must_use]
    pub fn shown_keys(&self) -> Vec<KeyShown> {
        let retired = self
            .retired()
            .iter()
            .zip(1..)
            .map(|(one, number)| KeyShown {
                number,
                key: one.key.ssh(),
                retired_at: Some(one.at),
                statements: Some(one.signed.len()),
            });
        let now = KeyShown {
            number: self.number(),
            key: self.public().ssh(),
            retired_at: None,
            statements: None,
        };
        retired.chain([now]).collect()
    }

    /// Whose key signed one of our own statements, and what it says.
    pub(crate) fn own(
        &self,
        object: &ObjectHash,
        bytes: &[u8],
    ) -> Result<(Vec<u8>, PublicKey), SignError> {
        let envelope = Envelope::read_own(bytes)?;
        let refused = match envelope.verify_own(self.public()) {
            Ok(payload) => return Ok((payload, self.public())),
            Err(refused) => refused,
        };
        for retired in self.retired() {
            if let Ok(payload) = envelope.verify_own(retired.key) {
                return if retired.signed.contains(object) {
                    Ok((payload, retired.key))
                } else {
                    Err(SignError::Retired)
                };
            }
        }
        Err(refused)
    }
}

/// What a row says of the hand-over of this number; none if it is another one, or does not hold.
async fn handed_over(
    store: &Store,
    row: &EnvelopeRow,
    number: u32,
    from: PublicKey,
    to: PublicKey,
) -> Option<Retired> {
    let envelope = Envelope::read_own(&store.object(&row.object).await.ok()?).ok()?;
    let (payload, _) = envelope.verify(&[from]).ok()?;
    let (same, _) = envelope.verify(&[to]).ok()?;
    let statement = Statement::read(&payload, &row.release, HAND_OVER, None).ok()?;
    let said: HandOver = serde_json::from_value(statement.predicate).ok()?;
    let fits =
        payload == same && said.number == number && said.from == from.hex() && said.to == to.hex();
    let list = store.object(&said.list).await.ok().filter(|_| fits)?;
    let signed: BTreeSet<ObjectHash> = serde_json::from_slice(&list).ok()?;
    Some(Retired {
        key: from,
        at: said.at,
        signed,
    })
}

impl Releases {
    /// Hands over to the next key, whose seed this is. What is stable is signed by it at once, as a move of its own.
    pub async fn rotate_key(
        store: &Store,
        signer: &Signer,
        seed: &[u8; 32],
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<ReleaseId, ReleaseError> {
        let unknown = || ReleaseError::Unknown(STABLE.to_owned());
        let id = store.alias(STABLE).await?.ok_or_else(unknown)?;
        // Nothing is handed over that does not hold.
        Self::trust(store, signer, &id, now).await?;
        let refused = |reason| ReleaseError::refused(&id, HANDED, reason);
        let next = GatewayKey::of_seed(seed).map_err(refused)?;
        let all = store.envelope_objects().await?;
        let list = canonical::of(&all).map_err(ReleaseError::canonical)?;
        let list = store.put_object(list.into_bytes()).await?;
        let said = HandOver {
            number: signer.number(),
            from: signer.public().hex(),
            to: next.public().hex(),
            at: now,
            list: list.clone(),
        };
        let statement = Statement::about(&id, HAND_OVER, json!(said));
        let payload = statement.to_bytes().map_err(refused)?;
        let mut envelope = Envelope::sign(&payload, signer.key());
        envelope
            .signatures
            .extend(Envelope::sign(&payload, &next).signatures);
        let envelope = store
            .put_object(envelope.to_bytes().map_err(refused)?)
            .await?;
        let row = |kind: &str, object| {
            Op::PutEnvelope(EnvelopeRow {
                release: id.clone(),
                kind: kind.to_owned(),
                object,
                at: now,
            })
        };
        let mut ops = vec![row(HANDED_LIST, list), row(HANDED, envelope)];
        let next = Self::next_signer(next, signer.number() + 1);
        let (manifest, object) = record::named(store, &id).await?;
        ops.extend(next.building(store, &manifest, &object, &[], None).await?);
        ops.push(next.adopting(store, &id, &[], now).await?);
        let reason = format!("the signing key was changed to number {}", next.number());
        let from = Some(id.clone());
        ops.extend(moving(from, &id, "owner".to_owned(), reason, now, random));
        store.commit(ops).await?;
        Ok(id)
    }

    fn next_signer(key: GatewayKey, number: u32) -> Signer {
        Signer::of_keys(key, number, Vec::new())
    }
}

/// What a signer holds.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) key: GatewayKey,
    pub(crate) number: u32,
    pub(crate) retired: Vec<Retired>,
}

impl Keys {
    pub(crate) fn new(key: GatewayKey, number: u32, retired: Vec<Retired>) -> Arc<Self> {
        Arc::new(Self {
            key,
            number,
            retired,
        })
    }
}
