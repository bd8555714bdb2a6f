//! The scripted server seen from outside: by a reader of its own and by the vendors' own clients.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod clients;
mod faults;
mod raw;
mod refusals;
mod same;
