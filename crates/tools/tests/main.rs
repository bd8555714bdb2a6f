//! The tools at their border.
