//! The author at its border: events and files in, proposals out.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod assets;
mod choosing;
mod clusters;
mod exchange;
mod genes;
mod healing;
mod kinds;
mod labs;
mod languages;
mod lookalikes;
mod notes;
mod schedules;
mod signals;
mod skills;
