//! The models at their boundary.
