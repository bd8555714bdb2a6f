//! Cutting a byte stream into events: server-sent events and lines of JSON.

pub mod lines;
pub mod sse;

/// The most bytes that one event or line may have.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
