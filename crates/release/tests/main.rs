//! Releases at their border, over a real store.
