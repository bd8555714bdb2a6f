//! A release as a folder in OCI image layout, so that it can travel: written with its signed statements,
//! and read as what a stranger may have made.

use instar_policy::canonical;
use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use instar_store::{EnvelopeRow, Op};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::behaviour::{Behaviour, id_of};
use crate::check;
use crate::error::ReleaseError;
use crate::record::{self, Manifest};
use crate::releases::{LIST_MAX, Releases, STABLE};
use crate::sign::statement::PROVENANCE;
use crate::sign::{Envelope, PublicKey, SignError, Statement};
use crate::trust::{BUILT, IMPORTED, Signer};

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const ARTIFACT_TYPE: &str = "application/vnd.instar.release.v1";
const MANIFEST_TYPE: &str = "application/vnd.instar.release.manifest.v1+json";
const BEHAVIOUR_TYPE: &str = "application/vnd.instar.behaviour.v1+json";
const STATEMENT_TYPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The most bytes of an index or a manifest.
const SMALL_BYTES_MAX: u64 = 256 * 1024;
/// The most statements that travel with a release.
const STATEMENTS_MAX: usize = 16;

/// A release with what was signed of it, as text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub manifest: String,
    pub behaviour: String,
    pub statements: Vec<String>,
}

/// Why a folder is no release that can be taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("cannot {doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: {why}")]
    Shape { path: PathBuf, why: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    schema_version: u32,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Bundle {
    /// Writes the layout into a folder that is new or empty.
    pub fn write(&self, folder: &Path) -> Result<(), BundleError> {
        let blobs = folder.join("blobs/sha256");
        let is_used = std::fs::read_dir(folder).is_ok_and(|mut inside| inside.next().is_some());
        if is_used {
            return Err(shape(folder, "it is not empty; name a new folder"));
        }
        std::fs::create_dir_all(&blobs).map_err(io("make", &blobs))?;
        let blob = |kind: &str, bytes: &[u8]| -> Result<Descriptor, BundleError> {
            let hash = canonical::sha256(bytes);
            put(&blobs.join(&hash), bytes)?;
            Ok(Descriptor {
                media_type: kind.to_owned(),
                digest: format!("sha256:{hash}"),
                size: bytes.len() as u64,
            })
        };
        let config = blob(MANIFEST_TYPE, self.manifest.as_bytes())?;
        let mut layers = vec![blob(BEHAVIOUR_TYPE, self.behaviour.as_bytes())?];
        for statement in &self.statements {
            layers.push(blob(STATEMENT_TYPE, statement.as_bytes())?);
        }
        let image = json!({
            "schemaVersion": 2, "mediaType": IMAGE_TYPE, "artifactType": ARTIFACT_TYPE,
            "config": config, "layers": layers,
        });
        let image = blob(IMAGE_TYPE, image.to_string().as_bytes())?;
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [image]});
        put(&folder.join("index.json"), index.to_string().as_bytes())?;
        put(&folder.join("oci-layout"), LAYOUT.as_bytes())
    }

    /// Reads a layout. Whatever it says is bounded, and no path that it names is followed.
    pub fn read(folder: &Path) -> Result<Self, BundleError> {
        let layout: Value = parsed(&folder.join("oci-layout"), SMALL_BYTES_MAX)?;
        if layout["imageLayoutVersion"] != "1.0.0" {
            return Err(shape(folder, "it is no OCI image layout of version 1.0.0"));
        }
        let index_path = folder.join("index.json");
        let index: Index = parsed(&index_path, SMALL_BYTES_MAX)?;
        let [image] = index.manifests.as_slice() else {
            return Err(shape(&index_path, "it does not name one manifest"));
        };
        if index.schema_version != 2 {
            return Err(shape(&index_path, "it has another schema"));
        }
        let text = blob(folder, image, IMAGE_TYPE, SMALL_BYTES_MAX)?;
        let image: Image =
            serde_json::from_str(&text).map_err(|error| shape(&index_path, &error.to_string()))?;
        if image.schema_version != 2 || image.artifact_type != ARTIFACT_TYPE {
            return Err(shape(&index_path, "it is no release of Instar"));
        }
        let Some((behaviour, statements)) = image.layers.split_first() else {
            return Err(shape(&index_path, "it has no behaviour"));
        };
        if statements.len() > STATEMENTS_MAX {
            return Err(shape(&index_path, "it has too many statements"));
        }
        let large = check::BEHAVIOUR_BYTES_MAX as u64;
        Ok(Self {
            manifest: blob(folder, &image.config, MANIFEST_TYPE, SMALL_BYTES_MAX)?,
            behaviour: blob(folder, behaviour, BEHAVIOUR_TYPE, large)?,
            statements: statements
                .iter()
                .map(|one| blob(folder, one, STATEMENT_TYPE, SMALL_BYTES_MAX))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn blob(folder: &Path, of: &Descriptor, kind: &str, max: u64) -> Result<String, BundleError> {
    let hash = of.digest.strip_prefix("sha256:").unwrap_or_default();
    let is_hash = hash.len() == 64
        && hash
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hash {
        return Err(shape(folder, "a digest is not sha256 with 64 digits"));
    }
    let path = folder.join("blobs/sha256").join(hash);
    if of.media_type != kind {
        return Err(shape(&path, &format!("it is not described as {kind}")));
    }
    if of.size > max {
        return Err(shape(&path, &format!("it has more than {max} bytes")));
    }
    let text = bounded(&path, max)?;
    if text.len() as u64 != of.size || canonical::sha256(text.as_bytes()) != hash {
        return Err(shape(
            &path,
            "it has not the size and hash that it is named by",
        ));
    }
    Ok(text)
}

fn parsed<T: for<'de> Deserialize<'de>>(path: &Path, max: u64) -> Result<T, BundleError> {
    serde_json::from_str(&bounded(path, max)?).map_err(|error| shape(path, &error.to_string()))
}

/// Reads a plain file; a link, a pipe or a device is none.
fn bounded(path: &Path, max: u64) -> Result<String, BundleError> {
    let there = std::fs::symlink_metadata(path).map_err(io("look at", path))?;
    if !there.is_file() {
        return Err(shape(path, "it is no plain file"));
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(max + 1).read_to_string(&mut text))
        .map_err(io("read", path))?;
    if text.len() as u64 > max {
        return Err(shape(path, &format!("it has more than {max} bytes")));
    }
    Ok(text)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).open(path);
    match made {
        Ok(mut file) => file.write_all(bytes).map_err(io("write", path)),
        // Two statements may be the same bytes, which are one blob.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io("make", path)(error)),
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BundleError {
    let path = path.to_owned();
    move |source| BundleError::Io {
        doing,
        path,
        source,
    }
}

fn shape(path: &Path, why: &str) -> BundleError {
    BundleError::Shape {
        path: path.to_owned(),
        why: why.chars().take(300).collect(),
    }
}

impl Releases {
    /// A release with what was signed of it.
    pub async fn export(&self, name: &str) -> Result<Bundle, ReleaseError> {
        let release = self.get(name).await?;
        let manifest = release.manifest();
        let mut statements = Vec::new();
        for row in self.store().envelopes(Some(&release.id)).await? {
            if row.kind == BUILT && statements.len() < STATEMENTS_MAX {
                let bytes = self.store().object(&row.object).await?;
                statements.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        if statements.is_empty() {
            return Err(ReleaseError::refused(
                &release.id,
                BUILT,
                SignError::Missing,
            ));
        }
        Ok(Bundle {
            manifest: canonical::of(&manifest).map_err(ReleaseError::canonical)?,
            behaviour: release.behaviour.canonical()?,
            statements,
        })
    }

    /// Takes a release in that came from elsewhere. Everything is verified before anything is stored; it
    /// serves nobody by that. One that was stable here and is not any more is refused: going back is an
    /// edit of the owner's, not something that is brought.
    pub async fn import(
        &self,
        bundle: Bundle,
        trusted: &[PublicKey],
        now: Timestamp,
    ) -> Result<(ReleaseId, bool), ReleaseError> {
        let store = self.store();
        let Some(signer) = self.signer() else {
            return Err(ReleaseError::Bundle(
                "there is no key to sign it with".to_owned(),
            ));
        };
        check::size(&bundle.behaviour)?;
        let id = id_of(bundle.behaviour.as_bytes());
        let manifest = sound(&bundle, &id)?;
        let object = ObjectHash::from_hex(canonical::sha256(bundle.manifest.as_bytes()));
        let (envelope, by) = provenance(&bundle, &id, &object, (trusted, signer), now)
            .map_err(|reason| ReleaseError::refused(&id, BUILT, reason))?;
        let moves = store.alias_log(Some(STABLE), LIST_MAX).await?;
        let stands = moves.first().map_or(0, |last| last.seq);
        let stable = store.alias(STABLE).await?;
        if let Some(was) = moves.iter().find(|one| one.to == id)
            && stable.as_ref() != Some(&id)
        {
            let found = was.seq;
            let reason = SignError::RolledBack { found, stands };
            return Err(ReleaseError::refused(&id, BUILT, reason));
        }
        if store.release(&id).await?.is_some() {
            return Ok((id, false));
        }
        let stored = record::put(store, &manifest, bundle.behaviour).await?;
        let imported = store.put_object(envelope.into_bytes()).await?;
        let note = json!({"importedFrom": by.id()});
        let statement = Statement::provenance(&manifest, stored.as_str(), &note, &[], None);
        let ops = vec![
            Op::PutRelease {
                id: id.clone(),
                object: stored,
                at: manifest.made_at,
            },
            Op::PutEnvelope(EnvelopeRow {
                release: id.clone(),
                kind: IMPORTED.to_owned(),
                object: imported,
                at: now,
            }),
            signer.put(store, &id, BUILT, &statement, now).await?,
        ];
        store.commit(ops).await?;
        Ok((id, true))
    }
}

/// The manifest, if it is about this behaviour and both are as we write them.
fn sound(bundle: &Bundle, id: &ReleaseId) -> Result<Manifest, ReleaseError> {
    let bad = |what: &str| ReleaseError::Bundle(what.to_owned());
    let read = |error: serde_json::Error| ReleaseError::Bundle(error.to_string());
    let behaviour: Behaviour = serde_json::from_str(&bundle.behaviour).map_err(read)?;
    if behaviour.canonical()? != bundle.behaviour {
        return Err(bad("the behaviour is not in canonical form"));
    }
    check::check(&behaviour)?;
    let manifest: Manifest = serde_json::from_str(&bundle.manifest).map_err(read)?;
    let form = canonical::of(&manifest).map_err(ReleaseError::canonical)?;
    if form != bundle.manifest {
        return Err(bad("the manifest is not in canonical form"));
    }
    let authority = behaviour
        .authority
        .hash()
        .map_err(ReleaseError::canonical)?;
    if manifest.id != *id || manifest.authority != authority {
        return Err(bad("the manifest is about another behaviour"));
    }
    for text in [&manifest.proposer, &manifest.reason, &manifest.code_version] {
        if crate::releases::bounded(text) != *text {
            return Err(bad(
                "a text of the manifest is too long, or not fit to be shown",
            ));
        }
    }
    Ok(manifest)
}

/// The provenance by a key that is trusted; if none is, why the first is refused.
fn provenance(
    bundle: &Bundle,
    id: &ReleaseId,
    object: &ObjectHash,
    (trusted, signer): (&[PublicKey], &Signer),
    now: Timestamp,
) -> Result<(String, PublicKey), SignError> {
    let mut refused = None;
    for text in &bundle.statements {
        let taken = || {
            // Our own, also by a key that has retired since; or by one of those that the owner named.
            let hash = ObjectHash::from_hex(canonical::sha256(text.as_bytes()));
            let (payload, by) = match signer.own(&hash, text.as_bytes()) {
                Ok(found) => found,
                Err(SignError::Retired) => return Err(SignError::Retired),
                Err(_) => Envelope::read(text.as_bytes())?
                    .verify(&[trusted, &[signer.public()]].concat())?,
            };
            let said = Statement::read(&payload, id, PROVENANCE, Some(now))?;
            said.is_about_manifest(object)?;
            Ok((text.clone(), by))
        };
        match taken() {
            Ok(found) => return Ok(found),
            Err(reason) => refused = refused.or(Some(reason)),
        }
    }
    Err(refused.unwrap_or(SignError::Missing))
}
