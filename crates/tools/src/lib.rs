//! The [`Tool`] trait, the built-in tools and the one dispatch function that runs a permit.
//!
//! A tool describes itself (a spec for the model, an annotation for policy) and runs; it decides
//! nothing. [`Toolbox::run`] is the only caller of [`Tool::run`] and takes a permit by value, so a
//! call that policy did not allow cannot be written down. What a tool needs from the house comes
//! through a port, [`SessionsPort`] for the session tools.
//!
//! Start at [`Toolbox`], then `builtin`; [`LoopGuard`] is for whoever drives the turn.

mod tool;
mod toolbox;

pub mod browser;
pub mod exec;
pub mod files;
pub mod image;
pub mod mcp;
pub mod memory;
pub mod owner;
pub mod web;

mod annotate;
mod builtin;
mod config;
mod guard;
mod output;
mod picture;
mod plain;
mod profiles;
mod schema;

pub use builtin::{ErrandsPort, SKILL, Sent, SkillsPort, Task};
pub use config::{
    EnvValue, FetchConfig, FolderAccess, McpConfig, McpServerConfig, Provider, SearchConfig,
    ToolChoice, ToolsConfig, WebConfig,
};
pub use guard::{LoopGuard, Repetition};
pub use output::{Bounds, KEPT_CHARS_MAX, OUTPUT_CHARS_MAX, OutputsPort};
pub use picture::{PICTURE_BYTES_MAX, Picture, PictureError, PictureFacts};
pub use profiles::{
    MCP_PREFIX, Profile, Selection, built_in_names, description_label, group_of, names_of,
};
pub use schema::{Schema, SchemaError};
pub use tool::{Caller, Output, SessionsPort, Tool, ToolError};
pub use toolbox::{RegisterError, TOOL_TIMEOUT, Toolbox};
pub use web::web_address;
