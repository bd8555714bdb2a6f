//! Egress at its boundary.
