//! The script engine and the guide at their boundary.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod guide;
mod planted;
mod script;
