//! In-toto statements about releases.

use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SignError;
use crate::gate::{Gate, Outcome};
use crate::lineage::{Material, MaterialKind};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
pub const SUMMARY: &str = "https://slsa.dev/verification_summary/v1";
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// Who we are in statements.
const GATEWAY: &str = "urn:instar:gateway";
/// Fields of our own in a predicate; whoever does not know them ignores them.
const MOVE: &str = "urn:instar:move";
const GATES: &str = "urn:instar:gates";
/// Until when a statement holds, as RFC 3339 in UTC.
pub(crate) const EXPIRES: &str = "urn:instar:expires";

/// What a signed payload says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    pub kind: String,
    pub subject: Vec<Subject>,
    pub predicate_type: String,
    pub predicate: Value,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subject {
    #[serde(default)]
    pub name: String,
    pub digest: std::collections::BTreeMap<String, String>,
}

/// A move of an alias, as a statement binds itself to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    pub alias: String,
    /// The number of the move in the history of aliases.
    pub seq: u64,
    /// The hash of the move before it; null for the first, and where the statement came later.
    pub after: Option<String>,
}

/// What a gate said last when a release was verified, under the address of its statement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateNamed {
    pub gate: Gate,
    pub outcome: Outcome,
    /// SHA-256 of the envelope.
    pub digest: String,
    /// Until when it held.
    pub until: Option<String>,
}

/// The candidate that a release was made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeOf {
    pub candidate: String,
    /// The place that each delta changes, and the digest of its canonical form.
    pub deltas: Vec<(String, String)>,
}

impl MadeOf {
    fn described(&self) -> Value {
        let delta = |(place, digest): &(String, String)| json!({"name": place, "digest": {"sha256": digest}});
        json!({
            "uri": format!("urn:instar:candidate:{}", self.candidate),
            "digest": {"sha256": self.candidate},
            "deltas": self.deltas.iter().map(delta).collect::<Vec<_>>(),
        })
    }
}

impl Statement {
    pub(crate) fn about(release: &ReleaseId, predicate_type: &str, predicate: Value) -> Self {
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![Subject {
                name: "behaviour".to_owned(),
                digest: [("sha256".to_owned(), release.to_string())].into(),
            }],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Who made a release, when, from what, and with which materials.
    #[must_use]
    pub fn provenance(
        manifest: &crate::Manifest,
        object: &str,
        note: &Value,
        materials: &[Material],
        of: Option<&MadeOf>,
    ) -> Self {
        let (reports, sources): (Vec<&Material>, Vec<&Material>) = materials
            .iter()
            .partition(|one| one.kind == MaterialKind::Report);
        let parents = manifest.parents.iter().map(|parent| {
            json!({
                "uri": format!("urn:instar:release:{parent}"),
                "digest": {"sha256": parent},
            })
        });
        let dependencies: Vec<Value> = parents
            .chain(sources.into_iter().map(Material::described))
            .collect();
        let made = json!({"name": "manifest", "digest": {"sha256": object}});
        let byproducts: Vec<Value> = std::iter::once(made)
            .chain(reports.into_iter().map(Material::described))
            .collect();
        let at = rfc3339(manifest.made_at);
        let mut parameters = json!({"proposer": manifest.proposer, "reason": manifest.reason});
        if let Some(of) = of {
            parameters["candidate"] = of.described();
        }
        let predicate = json!({
            "buildDefinition": {
                "buildType": "urn:instar:behaviour:v1",
                "externalParameters": parameters,
                "internalParameters": {"authority": manifest.authority, "note": note},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": GATEWAY, "version": {"instar": manifest.code_version}},
                "metadata": {"startedOn": at, "finishedOn": at},
                "byproducts": byproducts,
            },
        });
        Self::about(&manifest.id, PROVENANCE, predicate)
    }

    /// That the gateway checked a release and moved an alias to it. What was a candidate had gates: each is named with
    /// its outcome and the digest of its result.
    #[must_use]
    pub fn adoption(release: &ReleaseId, of: &Move, gates: &[GateNamed], at: Timestamp) -> Self {
        let (policy, levels): (_, &[&str]) = if gates.is_empty() {
            ("static", &["INSTAR_STATIC_CHECKS"])
        } else {
            ("gates", &["INSTAR_STATIC_CHECKS", "INSTAR_GATES"])
        };
        let input = |one: &GateNamed| {
            json!({
                "uri": format!("urn:instar:gate:{}:v1", one.gate.name()),
                "digest": {"sha256": one.digest},
            })
        };
        let predicate = json!({
            "verifier": {"id": GATEWAY, "version": {"instar": env!("CARGO_PKG_VERSION")}},
            "timeVerified": rfc3339(at),
            "resourceUri": format!("urn:instar:alias:{}", of.alias),
            "policy": {"uri": format!("urn:instar:checks:{policy}:v1")},
            "inputAttestations": gates.iter().map(input).collect::<Vec<_>>(),
            "verificationResult": "PASSED",
            "verifiedLevels": levels,
            GATES: gates,
            MOVE: of,
        });
        Self::about(release, SUMMARY, predicate)
    }

    /// Looks that a provenance names this manifest.
    pub(crate) fn is_about_manifest(&self, object: &ObjectHash) -> Result<(), SignError> {
        let made = &self.predicate["runDetails"]["byproducts"][0]["digest"]["sha256"];
        if made.as_str() == Some(object.as_str()) {
            Ok(())
        } else {
            Err(SignError::Subject)
        }
    }

    /// Whether a provenance names all of these.
    pub(crate) fn names(&self, materials: &[Material]) -> bool {
        let lists = [
            &self.predicate["buildDefinition"]["resolvedDependencies"],
            &self.predicate["runDetails"]["byproducts"],
        ];
        materials.iter().all(|one| {
            let described = one.described();
            let mut listed = lists.iter().filter_map(|list| list.as_array()).flatten();
            listed.any(|there| *there == described)
        })
    }

    /// Whether a provenance says that the release was made of this candidate; of any, where none is asked for.
    pub(crate) fn is_made_of(&self, of: Option<&MadeOf>) -> bool {
        let said = &self.predicate["buildDefinition"]["externalParameters"]["candidate"];
        of.is_none_or(|of| *said == of.described())
    }

    /// The gates that a summary names.
    pub fn gates(&self) -> Result<Vec<GateNamed>, SignError> {
        // From before gates were named.
        let Some(named) = self.predicate.get(GATES) else {
            return Ok(Vec::new());
        };
        serde_json::from_value(named.clone())
            .map_err(|error| SignError::Malformed(error.to_string()))
    }

    /// The bytes that are signed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SignError> {
        let text = instar_policy::canonical::of(self);
        let text = text.map_err(|error| SignError::Malformed(error.to_string()))?;
        Ok(text.into_bytes())
    }

    /// Reads a payload that was verified, and looks that it speaks of this release, in this way, and
    /// still.
    pub fn read(
        payload: &[u8],
        release: &ReleaseId,
        predicate: &'static str,
        now: Option<Timestamp>,
    ) -> Result<Self, SignError> {
        let read: Self = serde_json::from_slice(payload)
            .map_err(|error| SignError::Malformed(error.to_string()))?;
        if read.kind != STATEMENT {
            return Err(SignError::Malformed("no in-toto statement".to_owned()));
        }
        // Subjects are matched by their digest only.
        let speaks = |subject: &Subject| {
            subject.digest.get("sha256").map(String::as_str) == Some(release.as_str())
        };
        if !read.subject.iter().any(speaks) {
            return Err(SignError::Subject);
        }
        if read.predicate_type != predicate {
            return Err(SignError::Predicate(predicate));
        }
        if let (Some(now), Some(end)) = (now, read.predicate.get(EXPIRES)) {
            let end = end.as_str().unwrap_or_default();
            // Both in UTC and of one length: their order is that of their letters.
            if end.len() != rfc3339(now).len() || end <= rfc3339(now).as_str() {
                return Err(SignError::Expired(end.chars().take(40).collect()));
            }
        }
        Ok(read)
    }

    /// The move that it is bound to.
    pub fn bound_to(&self) -> Result<Move, SignError> {
        let of = self.predicate.get(MOVE).cloned().unwrap_or_default();
        serde_json::from_value(of).map_err(|error| SignError::Malformed(error.to_string()))
    }
}

/// A time as RFC 3339 in UTC, to the second.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let seconds = at.millis() / 1_000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Civil date of a day count, by eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_286_385, "2026-11-21T18:39:45Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let at = Timestamp::from_millis(seconds * 1_000);
            assert_eq!(rfc3339(at), text, "{seconds}");
        }
    }
}
