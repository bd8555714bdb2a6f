//! What the tools ask of the house: files beneath the workspace, kept outputs, the way out.

pub(crate) mod browser;
mod files;
#[cfg(test)]
mod fixture;
pub(crate) mod mcp;
mod mcp_stdio;
mod memory;
mod outputs;
mod programs;
mod undo;
mod way;
mod web;

use instar_browser::Browsers;
use instar_config::StateDir;
use instar_egress::Egress;
use instar_protocol::{Clock, SecretSource};
use instar_store::Store;
use instar_tools::exec::ProgramsPort;
use instar_tools::files::FilesPort;
use instar_tools::memory::MemoryPort;
use instar_tools::web::WebPort;
use instar_tools::{RegisterError, Toolbox};
use std::sync::Arc;

use crate::app::ConfigHandle;
pub(crate) use files::WorkspaceFiles;
pub(crate) use memory::{AmendError, Memory};
use outputs::KeptOutputs;
pub(crate) use programs::Programs;
pub(crate) use undo::UndoError;
use web::Web;

/// What the tools are built over.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) config: ConfigHandle,
    pub(crate) state: StateDir,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) egress: Egress,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) browsers: Browsers,
}

/// Puts every tool that is there from the start into the toolbox; gives the files that they work on, the
/// programs that they run, and the notes.
pub(crate) fn equip(
    toolbox: &mut Toolbox,
    parts: &Parts,
) -> Result<(WorkspaceFiles, Programs, Memory), RegisterError> {
    let workspace = WorkspaceFiles::new(parts);
    let files: Arc<dyn FilesPort> = Arc::new(workspace.clone());
    toolbox.extend(instar_tools::files::tools(&files))?;
    let memory = Memory::new(workspace.clone());
    let port: Arc<dyn MemoryPort> = Arc::new(memory.clone());
    toolbox.extend(instar_tools::memory::tools(&port))?;
    let programs = Programs::new(parts, workspace.clone());
    let port: Arc<dyn ProgramsPort> = Arc::new(programs.clone());
    toolbox.extend(instar_tools::exec::tools(&port))?;
    let web: Arc<dyn WebPort> = Arc::new(Web {
        egress: parts.egress.clone(),
        config: parts.config.clone(),
        secrets: Arc::clone(&parts.secrets),
    });
    toolbox.extend(instar_tools::web::tools(&web))?;
    let settings = parts.config.current().value.browser.clone();
    browser::offer(toolbox, &parts.browsers, &workspace, &settings);
    let outputs = KeptOutputs::new(parts.store.clone(), Arc::clone(&parts.clock));
    toolbox.keep_outputs(Arc::new(outputs))?;
    Ok((workspace, programs, memory))
}
