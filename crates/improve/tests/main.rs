//! The author at its border: events and files in, proposals out.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod assets;
mod clusters;
mod signals;
