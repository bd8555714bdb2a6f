//! The author at its border: events and files in, proposals out.

mod assets;
mod clusters;
mod trials;
