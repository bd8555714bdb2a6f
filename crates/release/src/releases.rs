//! The releases of a state folder, the alias that says which one is stable, and who is served what.

use instar_policy::canonical as policy_canonical;
use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::redact::redact;
use instar_protocol::{AgentId, EventId, Label, ReleaseId, SessionId, Timestamp};
use instar_store::{AliasMove, Op, Store, StoredRelease};
use serde_json::Value;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::Mutex;

use crate::behaviour::Behaviour;
use crate::check;
use crate::error::ReleaseError;
use crate::name::Name;
use crate::record::{self, Manifest, Release};
use crate::rollout::{Corrects, Live};
use crate::sign::statement::GateNamed;
use crate::trust::{BUILT, Signer};

/// The alias of the release that everyone is served.
pub const STABLE: &str = "stable";

/// The most releases, or moves of an alias, that one call returns.
pub const LIST_MAX: usize = 100;

/// The most characters of a reason or a proposer.
const REASON_CHARS_MAX: usize = 300;

/// The most candidates that an ambiguous name is answered with.
const CANDIDATES_MAX: usize = 8;

/// Who a release is resolved for.
#[derive(Clone, Debug)]
pub struct Cohort {
    pub session: SessionId,
    pub at: Timestamp,
}

/// The answer of `resolve`.
#[derive(Clone, Debug)]
pub struct Served {
    pub release: Arc<Release>,
    pub arm: Arm,
    /// The rollout whose candidate it is: what such a turn notes waits for the verdict there.
    pub overlay: Option<String>,
}

/// The releases of this state folder and the one that is stable. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Releases {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    /// Signs what is adopted; `None` where releases are only looked at.
    signer: Option<Signer>,
    /// What the alias points at. Written only behind `adopting`, after the alias is durable.
    stable: RwLock<Option<Arc<Release>>>,
    /// The rollout that is under way. Never held over a wait.
    live: std::sync::Mutex<Option<Live>>,
    /// One move at a time: each names the one before it as its parent.
    adopting: Mutex<()>,
    /// Reads corrections in what people write; unset where nobody knows how.
    corrects: OnceLock<Corrects>,
}

impl Releases {
    /// Loads the stable release from its alias; there is none on a fresh state.
    ///
    /// Reads the objects of that one release only, however many are stored. Signatures are not looked
    /// at: this is for who looks at releases and serves none.
    pub async fn open(store: Store) -> Result<Self, ReleaseError> {
        Self::over(store, None).await
    }

    /// As [`Releases::open`] for the gateway: what is stable has to be signed, and what is adopted will
    /// be.
    pub async fn open_signed(
        store: Store,
        signer: Signer,
        now: Timestamp,
    ) -> Result<Self, ReleaseError> {
        if let Some(id) = store.alias(STABLE).await? {
            // Bytes that do not have their hash are told as such, before any signature.
            record::load(&store, &find(&store, &id).await?).await?;
            Self::trust(&store, &signer, &id, now).await?;
        }
        Self::over(store, Some(signer)).await
    }

    /// Signs what is stable once more, as the owner's own word: for a folder whose key or whose statements
    /// are gone. The content still has to have its hash. It is a move of the alias of its own.
    pub async fn sign_again(
        store: &Store,
        signer: &Signer,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<ReleaseId, ReleaseError> {
        let unknown = || ReleaseError::Unknown(STABLE.to_owned());
        let id = store.alias(STABLE).await?.ok_or_else(unknown)?;
        record::load(store, &find(store, &id).await?).await?;
        let (manifest, object) = record::named(store, &id).await?;
        let built = signer.building(store, &manifest, &object, &[], None);
        let mut ops = built.await?;
        ops.push(signer.adopting(store, &id, &[], now).await?);
        let reason = "signed again by the owner".to_owned();
        let from = Some(id.clone());
        ops.extend(moving(from, &id, "owner".to_owned(), reason, now, random));
        store.commit(ops).await?;
        Ok(id)
    }

    async fn over(store: Store, signer: Option<Signer>) -> Result<Self, ReleaseError> {
        let stable = match store.alias(STABLE).await? {
            Some(id) => Some(Arc::new(
                record::load(&store, &find(&store, &id).await?).await?,
            )),
            None => None,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                signer,
                stable: RwLock::new(stable),
                live: std::sync::Mutex::new(None),
                adopting: Mutex::new(()),
                corrects: OnceLock::new(),
            }),
        })
    }

    /// Says how corrections in words are read; what comes second changes nothing.
    pub fn hear(&self, corrects: Corrects) {
        let _is_second = self.shared.corrects.set(corrects).is_err();
    }

    /// How corrections in words are read.
    #[must_use]
    pub fn corrects(&self) -> Corrects {
        self.shared.corrects.get().copied().unwrap_or(|_| false)
    }

    /// Makes the behaviour the stable release if it is not already: static checks, objects, then
    /// row, alias and event in one batch. Returns the id and whether the alias moved.
    ///
    /// A crash before the batch leaves objects that nothing names; after it the alias holds. If
    /// the caller drops the future in between, the next call brings what is served up to date.
    pub async fn adopt(
        &self,
        behaviour: Behaviour,
        proposer: &str,
        reason: &str,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<(ReleaseId, bool), ReleaseError> {
        let by = (proposer, reason);
        self.adopt_with(behaviour, by, Vec::new(), now, random)
            .await
    }

    /// As [`Releases::adopt`], with changes that are part of the move.
    pub(crate) async fn adopt_with(
        &self,
        behaviour: Behaviour,
        (proposer, reason): (&str, &str),
        beside: Vec<Op>,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<(ReleaseId, bool), ReleaseError> {
        check::check(&behaviour)?;
        let id = behaviour.id()?;
        let store = &self.shared.store;

        let _one_at_a_time = self.shared.adopting.lock().await;
        let current = store.alias(STABLE).await?;
        if current.as_ref() == Some(&id) {
            if self.stable().is_none_or(|served| served.id != id) {
                self.serve(record::load(store, &find(store, &id).await?).await?);
            }
            if !beside.is_empty() {
                store.commit(beside).await?;
            }
            return Ok((id, false));
        }

        let (proposer, reason) = (bounded(proposer), bounded(reason));
        let (release, mut ops) = self.kept_from(behaviour, &proposer, &reason, now).await?;
        ops.extend(self.superseded(now, random)?);
        let moves = self.moves_to(&release, &[], &proposer, &reason, now, random);
        ops.extend(moves.await?);
        ops.extend(beside);
        store.commit(ops).await?;
        *self.live() = None;
        self.serve(release);
        Ok((id, true))
    }

    /// The move of the stable alias to a stored release, with its signature, which names the gates that it had, and
    /// its event.
    pub(crate) async fn moves_to(
        &self,
        release: &Release,
        gates: &[GateNamed],
        by: &str,
        reason: &str,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<Vec<Op>, ReleaseError> {
        let store = &self.shared.store;
        let mut ops = Vec::new();
        if let Some(signer) = &self.shared.signer {
            ops.push(signer.adopting(store, &release.id, gates, now).await?);
        }
        let from = store.alias(STABLE).await?;
        let (by, reason) = (by.to_owned(), reason.to_owned());
        ops.extend(moving(from, &release.id, by, reason, now, random));
        Ok(ops)
    }

    /// A stored release whose bytes have their hash and whose provenance is ours.
    pub(crate) async fn trusted(&self, id: &ReleaseId) -> Result<Release, ReleaseError> {
        let store = &self.shared.store;
        let release = record::load(store, &find(store, id).await?).await?;
        if let Some(signer) = &self.shared.signer {
            let (manifest, object) = record::named(store, id).await?;
            let built = signer.built(store, &manifest, &object).await;
            built.map_err(|reason| ReleaseError::refused(id, BUILT, reason))?;
        }
        Ok(release)
    }

    /// The release that serves this agent and cohort. Cheap: no store is asked.
    ///
    /// Where a rollout is under way it depends on the arm of the conversation's episode.
    #[must_use]
    pub fn resolve(&self, agent: &AgentId, cohort: &Cohort) -> Option<Served> {
        let live = self.live();
        let canary = live
            .as_ref()
            .and_then(|live| live.served(agent, &cohort.session, cohort.at));
        if canary.is_some() {
            return canary;
        }
        drop(live);
        let release = self.stable()?;
        release
            .behaviour
            .agents
            .contains_key(agent.as_str())
            .then_some(Served {
                release,
                arm: Arm::Stable,
                overlay: None,
            })
    }

    /// The stable release, if there is one yet.
    #[must_use]
    pub fn stable(&self) -> Option<Arc<Release>> {
        self.shared
            .stable
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The release that a rollout lets out beside the stable one.
    #[must_use]
    pub fn let_out(&self) -> Option<Arc<Release>> {
        self.live().as_ref().map(|live| Arc::clone(&live.release))
    }

    /// The newest releases, newest first, at most [`LIST_MAX`].
    pub async fn list(&self) -> Result<Vec<Release>, ReleaseError> {
        let mut releases = Vec::new();
        for stored in self.newest(LIST_MAX).await? {
            releases.push(record::load(&self.shared.store, &stored).await?);
        }
        Ok(releases)
    }

    /// The newest releases without their behaviours, newest first, at most [`LIST_MAX`].
    pub async fn manifests(&self, limit: usize) -> Result<Vec<Manifest>, ReleaseError> {
        let mut manifests = Vec::new();
        for stored in self.newest(limit.min(LIST_MAX)).await? {
            manifests.push(record::manifest(&self.shared.store, &stored).await?);
        }
        Ok(manifests)
    }

    /// By full id, unique prefix, alias name, or alias name some moves back (`stable~1`).
    pub async fn get(&self, name: &str) -> Result<Release, ReleaseError> {
        let unknown = || ReleaseError::Unknown(bounded(name));
        let store = &self.shared.store;
        let stored = match Name::parse(name).ok_or_else(unknown)? {
            Name::Prefix(prefix) => self.by_prefix(&prefix).await?,
            Name::Alias { alias, back: 0 } => {
                let id = store.alias(&alias).await?.ok_or_else(unknown)?;
                find(store, &id).await?
            }
            Name::Alias { alias, back } => {
                let moves = store.alias_log(Some(&alias), back + 1).await?;
                let step = moves.get(back).ok_or_else(unknown)?;
                find(store, &step.to).await?
            }
        };
        record::load(store, &stored).await
    }

    /// The moves of an alias (of all when `None`), newest first, at most [`LIST_MAX`].
    pub async fn log(
        &self,
        alias: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AliasMove>, ReleaseError> {
        let store = &self.shared.store;
        Ok(store.alias_log(alias, limit.min(LIST_MAX)).await?)
    }

    /// Who signs here.
    #[must_use]
    pub fn signer(&self) -> Option<&Signer> {
        self.shared.signer.as_ref()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn live_cell(&self) -> &std::sync::Mutex<Option<Live>> {
        &self.shared.live
    }

    pub(crate) async fn moving_lock(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.adopting.lock().await
    }

    fn serve(&self, release: Release) {
        self.serve_shared(Arc::new(release));
    }

    pub(crate) fn serve_shared(&self, release: Arc<Release>) {
        *self
            .shared
            .stable
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(release);
    }

    async fn newest(&self, limit: usize) -> Result<Vec<StoredRelease>, ReleaseError> {
        // The store hands them out newest first.
        let mut stored = self.shared.store.releases().await?;
        stored.truncate(limit);
        Ok(stored)
    }

    async fn by_prefix(&self, prefix: &str) -> Result<StoredRelease, ReleaseError> {
        let mut fitting: Vec<StoredRelease> = self.shared.store.releases().await?;
        fitting.retain(|stored| stored.id.as_str().starts_with(prefix));
        match fitting.len() {
            0 => Err(ReleaseError::Unknown(prefix.to_owned())),
            1 => Ok(fitting.swap_remove(0)),
            _ => Err(ReleaseError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: fitting
                    .iter()
                    .take(CANDIDATES_MAX)
                    .map(|stored| stored.id.short().to_owned())
                    .collect(),
            }),
        }
    }
}

/// RFC 8785 canonical JSON.
pub fn canonical(value: &Value) -> Result<String, ReleaseError> {
    policy_canonical::write(value).map_err(ReleaseError::canonical)
}

/// The alias's move and the event that tells of it; they are applied together or not at all.
pub(crate) fn moving(
    from: Option<ReleaseId>,
    to: &ReleaseId,
    by: String,
    reason: String,
    at: Timestamp,
    random: [u8; 10],
) -> [Op; 2] {
    [
        Op::MoveAlias {
            alias: STABLE.to_owned(),
            to: to.clone(),
            reason: reason.clone(),
            by,
            at,
        },
        Op::AppendEvent(Event {
            release: Some(to.clone()),
            label: Label::owner().join(&Label::system()),
            ..Event::of_house(
                EventId::new(at, random),
                at,
                EventKind::Release {
                    alias: STABLE.to_owned(),
                    from,
                    to: to.clone(),
                    reason,
                },
            )
        }),
    ]
}

pub(crate) async fn lookup(
    store: &Store,
    id: &ReleaseId,
) -> Result<Option<StoredRelease>, ReleaseError> {
    Ok(store.release(id).await?)
}

async fn find(store: &Store, id: &ReleaseId) -> Result<StoredRelease, ReleaseError> {
    lookup(store, id)
        .await?
        .ok_or_else(|| ReleaseError::Unknown(id.to_string()))
}

/// A short text from outside, fit to be stored and shown: redacted, one line, cut.
pub(crate) fn bounded(text: &str) -> String {
    redact(text)
        .as_str()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REASON_CHARS_MAX)
        .collect()
}
