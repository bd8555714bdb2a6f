//! The vocabulary at its border: label laws, ids and keys, redaction.

mod keys;
mod labels;
mod redaction;
