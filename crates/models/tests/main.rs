//! The models at their boundary: bytes in, events out; calls against servers on loopback.

mod server;

mod discover;
mod encode;
mod road;
mod transcripts;
