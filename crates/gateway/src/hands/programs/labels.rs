//! Who wrote what programs leave in a workspace. A mark stands in the store before a program starts that
//! may write there; when it has ended, what changed since the mark gets the run's label, and the mark
//! goes. As long as one stands, text without a record that changed since counts as a stranger's.

use instar_agent::skills;
use instar_policy::canonical;
use instar_protocol::{AgentId, Label, Readers};
use instar_release::Behaviour;
use instar_sandbox::root::{self, Go, Inside, Kind, Replace, Root, WalkLimits};
use instar_store::{FileLabel, Op, ProgramRun, StoreError};
use instar_tools::files::{FILE_BYTES_MAX, FileError, WALK_MAX};
use instar_tools::{Caller, ToolError};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

use super::network::Way;
use super::order::{Plan, shaping};
use super::{About, Ending, Inner, Programs, broken};
use crate::hands::files::{NAMES, WorkspaceFiles};
use crate::problem::chain;

/// What one look after a run reads at most.
const FILES_MAX: usize = 4_000;
const BYTES_MAX: u64 = 256 << 20;
/// Rows of one commit.
const ROWS: usize = 500;
/// Runs of one agent that were not looked at as a whole; older ones become one.
const OPEN_MAX: usize = 64;
/// What a name gets at its end that a program has put in the place of what shapes the agent.
const ASIDE: &str = "from-program";

/// What is told of a run besides its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(note);
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is to be done when a program has ended.
#[derive(Clone)]
pub(super) struct Settle {
    inner: Arc<Inner>,
    row: Option<String>,
    agent: AgentId,
    way: Arc<Mutex<Option<Way>>>,
    notes: Notes,
}

impl Settle {
    pub(super) async fn run(&self) {
        // First the network, so that nothing is under way any more.
        drop(
            self.way
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let Some(id) = &self.row else { return };
        let settled = settle(&self.inner, &self.agent, id, &self.notes).await;
        if let Err(error) = settled {
            tracing::error!(
                error = chain(&error),
                run = id,
                "what a program wrote could not be labelled: it counts as a stranger's"
            );
        }
    }
}

impl Programs {
    /// Notes, durably, that a program is about to run that may write.
    pub(super) async fn mark(
        &self,
        caller: &Caller,
        plan: &Plan,
        label: &Label,
    ) -> Result<Option<String>, ToolError> {
        if !plan.writes() {
            return Ok(None);
        }
        let present = self.inner.files.with_root(&caller.agent, |root| {
            let names = shaping(root)?.into_iter().map(|entry| entry.name);
            Ok(names.collect::<BTreeSet<_>>())
        });
        let row = ProgramRun {
            id: format!("prg_{}", hex::encode(crate::random::ten())),
            agent: caller.agent.to_string(),
            session: caller.session.clone(),
            began: root::now(),
            ended: None,
            label: label.clone(),
            present: present.await?,
        };
        let id = row.id.clone();
        let stored = self.inner.store.commit(vec![Op::PutProgramRun(row)]).await;
        stored.map_err(|error| {
            tracing::error!(error = chain(&error), "a program could not be noted");
            broken()
        })?;
        Ok(Some(id))
    }

    pub(super) fn at_end(
        &self,
        agent: &AgentId,
        row: Option<String>,
        way: Option<Way>,
        notes: Notes,
    ) -> Ending {
        let settle = Settle {
            inner: Arc::clone(&self.inner),
            row,
            agent: agent.clone(),
            way: Arc::new(Mutex::new(way)),
            notes,
        };
        let (handle, later) = (Handle::current(), settle.clone());
        let call =
            Box::new(move |_: &instar_sandbox::native::Outcome| handle.block_on(later.run()));
        Ending { settle, call }
    }

    /// Something with this label goes into a program: it is in what that writes.
    pub(super) async fn taint(&self, about: &About, context: &Label) -> Result<(), ToolError> {
        let label = {
            let mut label = about.label.lock().unwrap_or_else(PoisonError::into_inner);
            *label = label.join(context);
            label.clone()
        };
        let Some(id) = &about.mark else {
            return Ok(());
        };
        let rows = self.inner.store.program_runs(None).await;
        let row = rows
            .ok()
            .and_then(|rows| rows.into_iter().find(|row| row.id == *id));
        let Some(row) = row else { return Err(broken()) };
        let row = ProgramRun { label, ..row };
        let stored = self.inner.store.commit(vec![Op::PutProgramRun(row)]).await;
        stored.map_err(|_| broken())
    }

    /// Looks at what programs changed whose end nobody saw: the gateway was cut.
    pub(crate) async fn settle_left(&self) {
        let rows = match self.inner.store.program_runs(None).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "programs that were cut cannot be read"
                );
                return;
            }
        };
        for row in rows.into_iter().filter(|row| row.ended.is_none()) {
            let Ok(agent) = AgentId::parse(&row.agent) else {
                continue;
            };
            tracing::warn!(
                run = row.id,
                "a program was cut; what it changed gets its label"
            );
            let settle = Settle {
                inner: Arc::clone(&self.inner),
                row: Some(row.id),
                agent,
                way: Arc::default(),
                notes: Notes::default(),
            };
            settle.run().await;
        }
    }

    /// Takes out of a behaviour what a program that runs has put beside the files that shape an agent:
    /// those that were there could not be written, those that were not do not count. Whoever cannot
    /// learn what runs must not take the behaviour as it is.
    pub(crate) async fn leave_out_planted(
        &self,
        behaviour: &mut Behaviour,
    ) -> Result<(), StoreError> {
        let rows = self.inner.store.program_runs(None).await?;
        for row in rows.iter().filter(|row| row.ended.is_none()) {
            if let Some(agent) = behaviour.agents.get_mut(&row.agent) {
                agent.prompt.retain(|name, _| row.present.contains(name));
                if !row.present.contains(skills::FOLDER) {
                    agent.skills.clear();
                }
            }
        }
        Ok(())
    }
}

impl WorkspaceFiles {
    /// The label of a text that nobody recorded under this name.
    pub(in crate::hands) async fn unrecorded(
        &self,
        agent: &AgentId,
        bytes: &[u8],
        digest: &str,
        changed: u64,
    ) -> Label {
        match self.try_unrecorded(agent, bytes, digest, changed).await {
            Ok(label) => label,
            Err(error) => {
                tracing::error!(error = chain(&error), "a file's label cannot be read");
                Label::stranger(Readers::Private)
            }
        }
    }

    async fn try_unrecorded(
        &self,
        agent: &AgentId,
        bytes: &[u8],
        digest: &str,
        changed: u64,
    ) -> Result<Label, StoreError> {
        let known = if bytes.is_empty() {
            Vec::new()
        } else {
            let root = agent.to_string();
            self.store.labels_of_content(&root, digest).await?
        };
        let written = self.is_in_a_run(agent, changed).await?;
        let mut label = match (known.is_empty(), written) {
            (_, true) => Label::stranger(Readers::Private),
            (true, false) => Label::owner(),
            (false, false) => known.first().cloned().unwrap_or_else(Label::owner),
        };
        for other in &known {
            label = label.join(other);
        }
        Ok(label)
    }

    /// True if a program may have written what changed then, and nobody has looked since.
    async fn is_in_a_run(&self, agent: &AgentId, changed: u64) -> Result<bool, StoreError> {
        let rows = self.store.program_runs(Some(agent.as_str())).await?;
        let covers = |row: &ProgramRun| {
            changed >= row.began && row.ended.is_none_or(|ended| changed <= ended)
        };
        Ok(rows.iter().any(covers))
    }

    /// The label of all that a program sees which is started now: what led to it, and the workspace.
    pub(in crate::hands) async fn everything(&self, agent: &AgentId, context: &Label) -> Label {
        let below = self.store.labels_below(agent.as_str()).await;
        let rows = self.store.program_runs(Some(agent.as_str())).await;
        let (Ok(below), Ok(rows)) = (below, rows) else {
            return context.join(&Label::stranger(Readers::Private));
        };
        let all = below
            .iter()
            .fold(context.clone(), |all, label| all.join(label));
        rows.iter().fold(all, |all, row| all.join(&of_run(row)))
    }
}

/// What may be in files that a run changed and nobody recorded.
fn of_run(row: &ProgramRun) -> Label {
    match row.ended {
        None => row.label.clone(),
        Some(_) => row.label.join(&Label::stranger(Readers::Private)),
    }
}

/// What one look found.
struct Changed {
    /// Name and digest.
    files: Vec<(String, String)>,
    /// All there was.
    whole: bool,
    notes: Vec<String>,
    /// Nothing is left that shapes the agent and was not there before.
    clean: bool,
}

/// Gives what changed since a mark its label, and takes the mark away.
async fn settle(inner: &Inner, agent: &AgentId, id: &str, notes: &Notes) -> Result<(), StoreError> {
    let _one_at_a_time = inner.files.changing.lock().await;
    let rows = inner.store.program_runs(Some(agent.as_str())).await?;
    let Some(row) = rows.iter().find(|row| row.id == id).cloned() else {
        return Ok(());
    };
    // Others that ran meanwhile may have written it as well.
    let overlaps = |other: &&ProgramRun| other.ended.is_none_or(|ended| ended >= row.began);
    let label = rows
        .iter()
        .filter(overlaps)
        .fold(row.label.clone(), |label, other| label.join(&of_run(other)));
    let ended = root::now();
    let (began, present) = (row.began, row.present.clone());
    let looked = inner
        .files
        .with_root(agent, move |root| Ok(look(root, began, &present)))
        .await
        .unwrap_or_else(|error| Changed::unseen(&error));
    for note in looked.notes {
        tracing::warn!(%agent, note, "after a program");
        notes.add(note);
    }
    let mut ops = Vec::new();
    let at = inner.clock.now();
    for (path, digest) in looked.files {
        let before = inner.files.label(agent, &path, &digest).await;
        ops.push(Op::PutFileLabel(FileLabel {
            path: format!("{agent}/{path}"),
            digest,
            label: before.map_or_else(|| label.clone(), |before| before.join(&label)),
            writer: id.to_owned(),
            at,
        }));
    }
    if label.is_tainted() {
        ops.push(Op::PutFileLabel(FileLabel {
            path: format!("{agent}/"),
            digest: NAMES.to_owned(),
            label: inner.files.names(agent).await.join(&label),
            writer: id.to_owned(),
            at,
        }));
    }
    while ops.len() > ROWS {
        let rest = ops.split_off(ROWS);
        inner
            .store
            .commit(std::mem::replace(&mut ops, rest))
            .await?;
    }
    if looked.clean {
        ops.extend(close(&rows, row, ended, looked.whole));
    }
    inner.store.commit(ops).await?;
    Ok(())
}

/// The mark goes; where not all was seen it stays, with its end.
fn close(rows: &[ProgramRun], row: ProgramRun, ended: u64, whole: bool) -> Vec<Op> {
    if whole {
        return vec![Op::DropProgramRun { id: row.id }];
    }
    let mut row = ProgramRun {
        ended: Some(ended),
        ..row
    };
    let open: Vec<_> = rows.iter().filter(|row| row.ended.is_some()).collect();
    let mut ops = Vec::new();
    if open.len() >= OPEN_MAX {
        // One long run stands for many: more counts as a stranger's then, never less.
        for old in open {
            row.began = row.began.min(old.began);
            row.label = row.label.join(&old.label);
            ops.push(Op::DropProgramRun { id: old.id.clone() });
        }
    }
    ops.push(Op::PutProgramRun(row));
    ops
}

impl Changed {
    fn unseen(error: &FileError) -> Self {
        tracing::warn!(%error, "a workspace could not be looked at after a program");
        Self {
            files: Vec::new(),
            whole: false,
            notes: Vec::new(),
            // What nobody could look for may be there.
            clean: false,
        }
    }
}

fn look(root: &Root, began: u64, present: &BTreeSet<String>) -> Changed {
    let mut changed = put_aside(root, began, present);
    let mut names = Vec::new();
    let (mut bytes, mut room) = (0_u64, true);
    let limits = WalkLimits {
        entries: WALK_MAX,
        ..WalkLimits::default()
    };
    let walked = root.walk(&Inside::root(), limits, &mut |found| {
        // A longer file is read by nobody.
        let counts = found.stat.kind == Kind::File
            && found.stat.changed >= began
            && found.stat.bytes <= FILE_BYTES_MAX as u64;
        if counts {
            bytes += found.stat.bytes;
            if names.len() >= FILES_MAX || bytes > BYTES_MAX {
                room = false;
                return Go::Stop;
            }
            names.push(found.name.clone());
        }
        Go::On
    });
    changed.whole = room && walked.unwrap_or(false);
    for name in names {
        match root.read(&name, FILE_BYTES_MAX as u64) {
            Ok(content) => {
                let digest = canonical::sha256(&content);
                changed.files.push((name.to_string(), digest));
            }
            Err(instar_sandbox::root::RootError::Missing) => {}
            Err(_) => changed.whole = false,
        }
    }
    if !changed.whole {
        changed.notes.push(
            "it changed more than could be looked at: the rest counts as a stranger's text"
                .to_owned(),
        );
    }
    changed
}

/// Moves away what a program has made under a name that shapes the agent.
fn put_aside(root: &Root, began: u64, present: &BTreeSet<String>) -> Changed {
    let mut changed = Changed {
        files: Vec::new(),
        whole: true,
        notes: Vec::new(),
        clean: true,
    };
    let entries = match shaping(root) {
        Ok(entries) => entries,
        Err(error) => {
            changed.clean = false;
            changed.notes.push(format!(
                "{error}: what it made there that shapes the agent does not count, and no program is \
                 run, until the owner has cleaned up and started the gateway again"
            ));
            return changed;
        }
    };
    for entry in entries {
        let name = entry.name;
        // Version control is its owner's to begin; what is there was shielded.
        if present.contains(&name) || name.eq_ignore_ascii_case(".git") {
            continue;
        }
        let Ok(from) = Inside::parse(&name) else {
            continue;
        };
        let is_older = root.stat(&from).is_ok_and(|stat| stat.changed < began);
        if is_older {
            continue;
        }
        let aside = format!("{name}.{ASIDE}-{}", hex::encode(&crate::random::ten()[6..]));
        let moved =
            Inside::parse(&aside).is_ok_and(|to| root.rename(&from, &to, Replace::Never).is_ok());
        changed.clean &= moved;
        changed.notes.push(if moved {
            format!("{name} shapes the agent and is no program's to make: it lies as {aside} now")
        } else {
            format!("{name} shapes the agent and could not be moved away: it does not count")
        });
    }
    changed
}

#[cfg(test)]
mod tests;
