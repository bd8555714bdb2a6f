//! The script engine and the guide at their boundary.

mod guide;
mod script;
