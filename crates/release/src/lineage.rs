//! Where a release comes from: who proposed it, of what, on which evidence, what the gates measured it with, and
//! who signed. One read model for whoever tells it: nodes and the edges between them.
//!
//! [`Material`] is what a decision was made with, under its content address. Materials stand in the
//! attestations of gates and in a release's provenance.

use instar_policy::canonical;
use instar_protocol::fault::Fault;
use instar_protocol::{ReleaseId, Timestamp};
use instar_store::{EnvelopeRow, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

use crate::candidate::{Candidate, short};
use crate::endorse::OWNER;
use crate::error::ReleaseError;
use crate::gate::attest;
use crate::record::{self, Manifest};
use crate::releases::Releases;
use crate::rollout::verdict::{self, VERDICT};
use crate::sign::PublicKey;
use crate::sign::statement::SUMMARY;
use crate::trust::{ADOPTED, Signer};

/// Releases that are gone back through.
const PARENTS_MAX: usize = 20;
/// Materials of one decision.
pub(crate) const MATERIALS_MAX: usize = 200;

/// How the names of faults begin that something was proposed because of.
const FAULT: &str = "fault ";

/// What a material is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaterialKind {
    /// A suite, with every file that it names.
    Suite,
    /// A file that cases of a suite were read from.
    Dataset,
    /// What came of running a suite.
    Report,
    /// What spoke for a candidate, as it was counted then.
    Evidence,
}

impl MaterialKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Suite => "suite",
            Self::Dataset => "dataset",
            Self::Report => "report",
            Self::Evidence => "evidence",
        }
    }
}

/// Something that a decision was made with, under its content address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    pub kind: MaterialKind,
    pub name: String,
    /// SHA-256.
    pub digest: String,
}

impl Material {
    #[must_use]
    pub fn new(kind: MaterialKind, name: &str, digest: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            digest: digest.to_owned(),
        }
    }

    /// What spoke for a candidate, by the digest of its canonical form.
    pub fn evidence(name: &str, of: &impl Serialize) -> Result<Self, ReleaseError> {
        let text = canonical::of(of).map_err(ReleaseError::canonical)?;
        let digest = canonical::sha256(text.as_bytes());
        Ok(Self::new(MaterialKind::Evidence, name, &digest))
    }

    /// A fault as it stood.
    pub fn of_fault(fault: &Fault) -> Result<Self, ReleaseError> {
        Self::evidence(&format!("{FAULT}{}", fault.id), fault)
    }

    /// The id of the fault that it is.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.name.strip_prefix(FAULT)
    }

    /// As in-toto describes a resource.
    pub(crate) fn described(&self) -> serde_json::Value {
        let kind = self.kind.word();
        serde_json::json!({
            "name": format!("{kind}: {}", self.name),
            "uri": format!("urn:instar:{kind}:{}", self.digest),
            "digest": {"sha256": self.digest},
        })
    }
}

/// The content address of a report of evals: SHA-256 over its canonical form. What was measured on the way
/// (time, whether an answer was kept, the events of an agent's turn) is left out, so that equal runs have
/// equal addresses.
#[must_use]
pub fn report_address(mut report: Value) -> String {
    if let Some(whole) = report.as_object_mut() {
        whole.remove("digest");
        // A seed has more digits than a number of JSON is sure to keep.
        if let Some(seed) = whole.get_mut("seed") {
            *seed = Value::String(seed.to_string());
        }
    }
    for arm in members(&mut report, "arms") {
        for part in ["columns", "rows"] {
            for one in members(arm, part).filter_map(Value::as_object_mut) {
                for measured in ["latency_ms", "cached", "metadata"] {
                    one.remove(measured);
                }
            }
        }
    }
    let text = canonical::write(&report).unwrap_or_else(|_| report.to_string());
    canonical::sha256(text.as_bytes())
}

fn members<'a>(of: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = of.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

/// What a node of a lineage is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Release,
    Candidate,
    Delta,
    Proposer,
    Gate,
    Material,
    Signature,
    Code,
}

/// One of those that a release comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// Unique in its lineage.
    pub id: String,
    pub kind: Kind,
    pub name: String,
    /// What there is to say of it; may be empty.
    pub says: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// How one node comes from another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Edge {
    /// What came of it.
    pub of: String,
    /// What it came from.
    pub from: String,
    pub how: String,
}

/// A release with all that it comes from. The first node is the release itself; edges stand in the order in
/// which they are told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Lineage {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

impl Lineage {
    /// Adds a node unless it is there, and how `of` comes from it. Returns its id.
    fn put(&mut self, of: &str, how: &str, node: Node) -> String {
        let id = node.id.clone();
        if self.nodes.iter().all(|one| one.id != id) {
            self.nodes.push(node);
        }
        let edge = Edge {
            of: of.to_owned(),
            from: id.clone(),
            how: how.to_owned(),
        };
        if !of.is_empty() && !self.edges.contains(&edge) {
            self.edges.push(edge);
        }
        id
    }

    fn material(&mut self, of: &str, how: &str, one: &Material) {
        let kind = one.kind.word();
        let node = Node {
            id: format!("{kind}:{}", one.digest),
            kind: Kind::Material,
            name: format!("{kind} {}", one.name),
            says: String::new(),
            digest: Some(one.digest.clone()),
        };
        let _id = self.put(of, how, node);
    }

    /// The lines of the tree, each with its depth: every node where it is come to first.
    #[must_use]
    pub fn lines(&self) -> Vec<(usize, &Node, &str)> {
        let (mut lines, mut seen) = (Vec::new(), BTreeSet::new());
        if let Some(root) = self.nodes.first() {
            self.beneath(root, "", 0, &mut seen, &mut lines);
        }
        lines
    }

    fn beneath<'a>(
        &'a self,
        node: &'a Node,
        how: &'a str,
        depth: usize,
        seen: &mut BTreeSet<&'a str>,
        lines: &mut Vec<(usize, &'a Node, &'a str)>,
    ) {
        lines.push((depth, node, how));
        if !seen.insert(&node.id) {
            return;
        }
        for edge in self.edges.iter().filter(|edge| edge.of == node.id) {
            if let Some(next) = self.nodes.iter().find(|one| one.id == edge.from) {
                self.beneath(next, &edge.how, depth + 1, seen, lines);
            }
        }
    }
}

impl Releases {
    /// Where a release comes from, by any of its names. Statements are verified as they are read.
    pub async fn lineage(
        &self,
        name: &str,
        signer: &Signer,
        owners: &[PublicKey],
        now: Timestamp,
    ) -> Result<Lineage, ReleaseError> {
        let manifest = self.get(name).await?.manifest();
        let mut lineage = Lineage::default();
        let root = lineage.put("", "", released(&manifest));
        for row in self.store().candidates().await? {
            if row.release == manifest.id {
                let candidate = self.candidate(row.id.as_str()).await?;
                self.proposed(&mut lineage, &root, &candidate, signer, now)
                    .await?;
            }
        }
        made(&mut lineage, &root, &manifest);
        self.signed(&mut lineage, &root, &manifest.id, signer, owners)
            .await?;
        self.parents(&mut lineage, &manifest).await?;
        Ok(lineage)
    }

    async fn proposed(
        &self,
        lineage: &mut Lineage,
        root: &str,
        candidate: &Candidate,
        signer: &Signer,
        now: Timestamp,
    ) -> Result<(), ReleaseError> {
        let spec = &candidate.spec;
        let node = Node {
            id: format!("candidate:{}", candidate.id),
            kind: Kind::Candidate,
            name: format!("candidate {}", short(&candidate.id)),
            says: format!("{}: {}", candidate.state.word(), spec.reason),
            digest: Some(candidate.id.clone()),
        };
        let id = lineage.put(root, "candidate", node);
        let proposer = Node {
            id: format!("proposer:{}", spec.proposer),
            kind: Kind::Proposer,
            name: spec.proposer.clone(),
            says: format!("with evidence of {} origin", spec.evidence.origins.worst()),
            digest: None,
        };
        let _proposer = lineage.put(&id, "proposed by", proposer);
        for (number, delta) in spec.deltas.iter().enumerate() {
            let text = canonical::of(delta).map_err(ReleaseError::canonical)?;
            let node = Node {
                id: format!("delta:{}:{number}", candidate.id),
                kind: Kind::Delta,
                name: delta.touches().to_string(),
                says: String::new(),
                digest: Some(canonical::sha256(text.as_bytes())),
            };
            let _delta = lineage.put(&id, "changes", node);
        }
        for source in &spec.sources {
            lineage.material(&id, "because of", source);
        }
        for (gate, said) in attest::newest(signer, self.store(), candidate, now).await? {
            let (says, materials) = match said {
                Ok(finding) => (
                    format!("{}: {}", finding.outcome.word(), finding.why),
                    finding.materials,
                ),
                Err(reason) => (format!("its attestation is refused: {reason}"), Vec::new()),
            };
            let node = Node {
                id: format!("gate:{}:{}", candidate.id, gate.name()),
                kind: Kind::Gate,
                name: format!("gate {}", gate.name()),
                says,
                digest: None,
            };
            let gate = lineage.put(&id, "checked by", node);
            for material in &materials {
                lineage.material(&gate, "with", material);
            }
        }
        Ok(())
    }

    async fn signed(
        &self,
        lineage: &mut Lineage,
        root: &str,
        release: &ReleaseId,
        signer: &Signer,
        owners: &[PublicKey],
    ) -> Result<(), ReleaseError> {
        let moves = self.stable_moves().await?;
        for row in self.store().envelopes(Some(release)).await? {
            if row.kind.starts_with(attest::KIND) {
                continue;
            }
            let sound = match row.kind.as_str() {
                OWNER => {
                    let by = self.endorsed(signer, &row, owners).await;
                    by.map(|_| "verified".to_owned())
                }
                VERDICT => {
                    let read = verdict::read(signer, self.store(), &row).await;
                    read.map(|verdict| verdict.words())
                }
                _ => match self.statement_fits(signer, &row, &moves).await {
                    Ok(()) => Ok(gates_named(signer, self.store(), &row).await),
                    Err(reason) => Err(reason),
                },
            };
            let node = Node {
                id: format!("signature:{}", row.object.as_str()),
                kind: Kind::Signature,
                name: row.kind.clone(),
                says: sound.unwrap_or_else(|why| format!("refused: {why}")),
                digest: Some(row.object.as_str().to_owned()),
            };
            let _signature = lineage.put(root, "signed", node);
        }
        Ok(())
    }

    /// The releases before it, one after the other.
    async fn parents(
        &self,
        lineage: &mut Lineage,
        manifest: &Manifest,
    ) -> Result<(), ReleaseError> {
        let mut next = vec![manifest.clone()];
        for _ in 0..PARENTS_MAX {
            let Some(child) = next.pop() else {
                break;
            };
            let of = format!("release:{}", child.id);
            for parent in &child.parents {
                let Some(stored) = self.store().release(parent).await? else {
                    continue;
                };
                let parent = record::manifest(self.store(), &stored).await?;
                let id = lineage.put(&of, "parent", released(&parent));
                made(lineage, &id, &parent);
                next.push(parent);
            }
        }
        Ok(())
    }
}

/// That a statement was verified, and the gates that it names, if it is the summary of what was a candidate.
async fn gates_named(signer: &Signer, store: &Store, row: &EnvelopeRow) -> String {
    let mut says = "verified".to_owned();
    if row.kind == ADOPTED
        && let Ok(summary) = signer.statement(store, row, SUMMARY, None).await
        && let Ok(gates) = summary.gates()
    {
        for (number, one) in gates.iter().enumerate() {
            let before = if number == 0 { "; gates: " } else { ", " };
            says += &format!("{before}{} {}", one.gate.name(), one.outcome.word());
        }
    }
    says
}

fn released(manifest: &Manifest) -> Node {
    Node {
        id: format!("release:{}", manifest.id),
        kind: Kind::Release,
        name: format!("release {}", manifest.id.short()),
        says: manifest.reason.clone(),
        digest: Some(manifest.id.to_string()),
    }
}

/// Who made a release, and with what program.
fn made(lineage: &mut Lineage, of: &str, manifest: &Manifest) {
    let proposer = Node {
        id: format!("proposer:{}", manifest.proposer),
        kind: Kind::Proposer,
        name: manifest.proposer.clone(),
        says: String::new(),
        digest: None,
    };
    let _proposer = lineage.put(of, "made by", proposer);
    let code = Node {
        id: format!("code:{}", manifest.code_version),
        kind: Kind::Code,
        name: format!("instar {}", manifest.code_version),
        says: String::new(),
        digest: None,
    };
    let _code = lineage.put(of, "made with", code);
}
