//! The files of an agent's workspace, beneath a root descriptor, with who wrote them and what stood
//! there before.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_config::StateDir;
use instar_policy::canonical;
use instar_protocol::{AgentId, Clock, Label, Readers, UndoId};
use instar_sandbox::root::{self, Go, Inside, Root, RootError, WalkLimits};
use instar_store::{FileLabel, Op, Store, UndoRow};
use instar_tools::Caller;
use instar_tools::files::{
    Change, FILE_BYTES_MAX, FileError, FileRead, FilesPort, Item, Kind, Listed, WALK_MAX, relative,
};
use instar_tools::memory::entries::is_file as is_notes;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

use super::Parts;
use crate::app::ConfigHandle;
use crate::behaviour;
use crate::problem::chain;

/// Under this the label of a workspace's file names is kept.
pub(super) const NAMES: &str = "names";

#[derive(Clone, Debug)]
pub(crate) struct WorkspaceFiles {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: ConfigHandle,
    state: StateDir,
    /// Changes one after the other: what was compared is what is replaced.
    pub(super) changing: Arc<Mutex<()>>,
}

/// An agent's folder, open.
pub(super) struct Workspace {
    root: Root,
    /// The state folder, if it lies inside.
    hidden: Option<String>,
}

impl Workspace {
    /// The name as the kernel may have it.
    fn inside(&self, path: &str) -> Result<Inside, FileError> {
        let path = relative(path)?;
        if self.hides(&path) {
            return Err(FileError::Missing(path));
        }
        if path.is_empty() {
            return Ok(Inside::root());
        }
        Inside::parse(&path).map_err(|error| told(&path, "named", RootError::Name(error)))
    }

    /// What holds secrets and the store is nobody's workspace.
    fn hides(&self, path: &str) -> bool {
        self.hidden
            .as_deref()
            .is_some_and(|hidden| path == hidden || path.starts_with(&format!("{hidden}/")))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        self.read_dated(path).map(|(bytes, _)| bytes)
    }

    /// The file, and when it changed last.
    pub(super) fn read_dated(&self, path: &str) -> Result<(Vec<u8>, u64), FileError> {
        let name = self.inside(path)?;
        self.root
            .read_dated(&name, FILE_BYTES_MAX as u64)
            .map_err(|error| match error {
                RootError::NotAFile if self.is_folder(&name) => FileError::Folder(path.to_owned()),
                error => told(path, "read", error),
            })
    }

    fn is_folder(&self, name: &Inside) -> bool {
        self.root
            .stat(name)
            .is_ok_and(|stat| stat.kind == root::Kind::Folder)
    }

    pub(super) fn present(&self, path: &str) -> Result<Option<Vec<u8>>, FileError> {
        match self.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FileError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn put(&self, path: &str, bytes: Option<&[u8]>) -> Result<(), FileError> {
        let name = self.inside(path)?;
        match bytes {
            Some(bytes) => self.root.write(&name, bytes),
            None => self.root.remove(&name),
        }
        .map_err(|error| told(path, "written", error))
    }
}

impl WorkspaceFiles {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            store: parts.store.clone(),
            clock: Arc::clone(&parts.clock),
            config: parts.config.clone(),
            state: parts.state.clone(),
            changing: Arc::default(),
        }
    }

    /// Does something with the folder of an agent on a thread that may block.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        agent: &AgentId,
        act: impl FnOnce(&Workspace) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let folder = behaviour::folder(&self.config.current().value, &self.state, agent);
        let state = self.state.root().to_path_buf();
        let done = tokio::task::spawn_blocking(move || {
            let root =
                Root::open(&folder).map_err(|error| told("the workspace", "opened", error))?;
            let hidden = hidden(&folder, &state);
            act(&Workspace { root, hidden })
        });
        done.await.unwrap_or_else(|_| Err(broken("the workspace")))
    }

    /// Does something with the folder of an agent itself, where that holds nothing but the agent's.
    pub(super) async fn with_root<T: Send + 'static>(
        &self,
        agent: &AgentId,
        act: impl FnOnce(&Root) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        self.with(agent, move |space| match &space.hidden {
            None => act(&space.root),
            Some(hidden) => Err(FileError::Path {
                path: hidden.clone(),
                why: "the workspace holds the gateway's own folder, so no program is run in it; the owner \
                      can name another workspace",
            }),
        })
        .await
    }

    pub(super) async fn label(&self, agent: &AgentId, path: &str, digest: &str) -> Option<Label> {
        let key = format!("{agent}/{path}");
        match self.store.file_label(&key, digest).await {
            Ok(row) => row.map(|row| row.label),
            Err(error) => {
                tracing::error!(error = chain(&error), "a file's label cannot be read");
                Some(Label::stranger(Readers::Private))
            }
        }
    }

    async fn read_file(&self, caller: &Caller, path: &str) -> Result<FileRead, FileError> {
        let name = path.to_owned();
        let (bytes, changed) = self
            .with(&caller.agent, move |space| space.read_dated(&name))
            .await?;
        let agent = &caller.agent;
        if is_notes(path) {
            let label = self.label_of_notes(agent, path, &bytes, changed).await;
            return Ok(FileRead { bytes, label });
        }
        let digest = canonical::sha256(&bytes);
        let label = match self.label(agent, path, &digest).await {
            Some(label) => label,
            None => self.unrecorded(agent, &bytes, &digest, changed).await,
        };
        Ok(FileRead { bytes, label })
    }

    pub(super) async fn names(&self, agent: &AgentId) -> Label {
        let label = self.label(agent, "", NAMES).await;
        label.unwrap_or_else(Label::owner)
    }

    async fn list_folder(&self, caller: &Caller, path: &str) -> Result<Listed, FileError> {
        let at = path.to_owned();
        let listed = self.with(&caller.agent, move |space| list(space, &at));
        let (items, cut) = listed.await?;
        let label = self.names(&caller.agent).await;
        Ok(Listed { items, cut, label })
    }

    async fn walk_folder(&self, caller: &Caller, path: &str) -> Result<Listed, FileError> {
        let at = path.to_owned();
        let walked = self.with(&caller.agent, move |space| walk(space, &at));
        let (items, cut) = walked.await?;
        let label = self.names(&caller.agent).await;
        Ok(Listed { items, cut, label })
    }

    async fn apply(&self, caller: &Caller, changes: Vec<Change>) -> Result<(), FileError> {
        let _one_at_a_time = self.changing.lock().await;
        let changes = self
            .with(&caller.agent, move |space| {
                for change in &changes {
                    if space.present(&change.path)? != change.before {
                        return Err(FileError::Changed(change.path.clone()));
                    }
                }
                Ok(changes)
            })
            .await?;
        // First the record, then the files: nothing lies there that no label speaks of, and nothing
        // is gone that cannot be had back.
        let ops = self.record(caller, &changes).await.map_err(|error| {
            tracing::error!(
                error = chain(&error),
                "a change of a file could not be recorded"
            );
            broken(
                changes
                    .first()
                    .map_or("the file", |change| change.path.as_str()),
            )
        })?;
        self.with(&caller.agent, move |space| write_all(space, &changes))
            .await
            .inspect_err(|_| tracing::warn!(rows = ops, "a change of files was taken back"))
    }

    async fn record(
        &self,
        caller: &Caller,
        changes: &[Change],
    ) -> Result<usize, instar_store::StoreError> {
        let mut ops = Vec::new();
        let at = self.clock.now();
        for change in changes {
            let keep = async |bytes: &Option<Vec<u8>>| match bytes {
                Some(bytes) => self.store.put_object(bytes.clone()).await.map(Some),
                None => Ok(None),
            };
            ops.push(Op::PutUndo(UndoRow {
                id: UndoId::new(at, crate::random::ten()),
                at,
                session: caller.session.clone(),
                run: caller.run.clone(),
                path: format!("{}/{}", caller.agent, change.path),
                before: keep(&change.before).await?,
                after: keep(&change.after).await?,
                undone_at: None,
            }));
            if let Some(after) = &change.after {
                let label = |path: &str, digest: String, label: Label| FileLabel {
                    path: format!("{}/{path}", caller.agent),
                    digest,
                    label,
                    writer: caller.run.to_string(),
                    at,
                };
                let digest = canonical::sha256(after);
                ops.push(Op::PutFileLabel(label(
                    &change.path,
                    digest,
                    change.label.clone(),
                )));
                if change.before.is_none() && caller.context.is_tainted() {
                    let names = self.names(&caller.agent).await.join(&caller.context);
                    ops.push(Op::PutFileLabel(label("", NAMES.to_owned(), names)));
                }
            }
        }
        let count = ops.len();
        self.store.commit(ops).await?;
        Ok(count)
    }
}

impl FilesPort for WorkspaceFiles {
    fn read<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<FileRead, FileError>> {
        self.read_file(caller, path).boxed()
    }

    fn list<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Listed, FileError>> {
        self.list_folder(caller, path).boxed()
    }

    fn walk<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Listed, FileError>> {
        self.walk_folder(caller, path).boxed()
    }

    fn change<'a>(
        &'a self,
        caller: &'a Caller,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<(), FileError>> {
        self.apply(caller, changes).boxed()
    }
}

/// Writes all, or puts back what was written already.
fn write_all(space: &Workspace, changes: &[Change]) -> Result<(), FileError> {
    for (at, change) in changes.iter().enumerate() {
        let Err(error) = space.put(&change.path, change.after.as_deref()) else {
            continue;
        };
        for done in changes[..at].iter().rev() {
            if let Err(error) = space.put(&done.path, done.before.as_deref()) {
                tracing::error!(%error, "a change of files could not be taken back");
            }
        }
        return Err(error);
    }
    Ok(())
}

pub(super) fn list(space: &Workspace, path: &str) -> Result<(Vec<Item>, bool), FileError> {
    let folder = space.inside(path)?;
    let entries = space
        .root
        .list(&folder, WALK_MAX)
        .map_err(|error| told(path, "listed", error))?;
    let mut items = Vec::new();
    let mut cut = false;
    for entry in entries {
        let found = folder.join(&entry.name).ok().and_then(|name| {
            let stat = space.root.stat(&name).ok()?;
            Some(item(name.to_string(), stat.kind, stat.bytes))
        });
        match found {
            Some(item) if space.hides(&item.path) => {}
            Some(item) => items.push(item),
            // A name that cannot be given back.
            None => cut = true,
        }
    }
    Ok((items, cut))
}

fn walk(space: &Workspace, path: &str) -> Result<(Vec<Item>, bool), FileError> {
    let folder = space.inside(path)?;
    let mut items = Vec::new();
    let limits = WalkLimits {
        entries: WALK_MAX,
        ..WalkLimits::default()
    };
    let whole = space
        .root
        .walk(&folder, limits, &mut |found| {
            let path = found.name.to_string();
            if found.name.name() == Some(".git") || space.hides(&path) {
                return Go::Past;
            }
            items.push(item(path, found.stat.kind, found.stat.bytes));
            Go::On
        })
        .map_err(|error| told(path, "searched", error))?;
    Ok((items, !whole))
}

fn item(path: String, kind: root::Kind, bytes: u64) -> Item {
    let kind = match kind {
        root::Kind::File => Kind::File,
        root::Kind::Folder => Kind::Folder,
        root::Kind::Link | root::Kind::Other => Kind::Other,
    };
    Item { path, kind, bytes }
}

/// The state folder as seen from the workspace, if it is inside it.
fn hidden(folder: &std::path::Path, state: &std::path::Path) -> Option<String> {
    let real = |path: &std::path::Path| -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
    };
    let (folder, state) = (real(folder), real(state));
    let below = state.strip_prefix(&folder).ok()?;
    (!below.as_os_str().is_empty()).then(|| below.to_string_lossy().into_owned())
}

fn broken(path: &str) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        doing: "reached",
        why: "the house has a problem; tell the owner".to_owned(),
    }
}

pub(super) fn told(path: &str, doing: &'static str, error: RootError) -> FileError {
    let path = path.to_owned();
    match error {
        RootError::Missing => FileError::Missing(path),
        RootError::Link | RootError::NotAFile => FileError::Special(path),
        RootError::NotAFolder => FileError::NoFolder(path),
        RootError::TooLarge { limit } => FileError::TooLarge {
            path,
            bytes: limit + 1,
        },
        error => FileError::Io {
            path,
            doing,
            why: error.to_string(),
        },
    }
}
