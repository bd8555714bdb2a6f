//! What the running gateway does, seen from outside.
