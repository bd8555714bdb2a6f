//! Running a program inside walls, and acting on files beneath a root that nothing leads out of.
//!
//! The crate decides nothing: what may run, and with which walls, is settled before it is called.
//! Everything here blocks; an async caller runs it on threads for blocking work.
//!
//! Reading order: [`root`] (files by descriptor), [`spec`] (what walls can be asked for), [`bind`] (what a
//! command is made of), [`native`] (the side of the caller), [`jobs`] (many of them, by their owners), `stage` (the side of the walls: a second start of the same binary that
//! builds them around itself and then becomes the program), [`cgroup`] (limits for a run as a whole), [`probe`] (which layers
//! are there), [`confined`] (work of our own that is not trusted: no file, no network, one line), [`solver`] (programs that
//! answer what policy asks), [`script`] (short scripts that are told one text and write another).

mod asked;

pub mod bind;
pub mod confined;
pub mod jobs;
pub mod root;
pub mod script;
pub mod solver;
pub mod spec;

pub mod cgroup;
pub mod docker;
pub mod native;
pub mod probe;
mod stage;
#[cfg(feature = "components")]
mod wasm;
#[cfg(not(feature = "components"))]
#[path = "without_wasm.rs"]
mod wasm;

/// True if this build has the engine for WebAssembly components.
pub const HAS_COMPONENTS: bool = cfg!(feature = "components");

pub use asked::AskError;
pub use stage::stage;
