//! Policy at its border: facts in, decisions out.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod canonical;
mod cedar;
mod children;
mod decisions;
mod deletions;
mod facts;
mod gathered;
mod graded;
mod grades;
mod hashing;
mod inferred;
mod inferring;
mod judged;
mod links;
mod lists;
mod needs;
mod obeying;
mod payload;
mod permits;
mod planned;
mod proof;
mod questions;
mod recorded;
mod rulings;
mod seen;
mod shapes;
mod supposed;
mod table;
mod told;
mod values;
mod wide;
mod words;
