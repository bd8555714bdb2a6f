//! What this crate promises its callers.
