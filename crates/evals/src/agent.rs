//! Assertions on what an agent did.

use crate::assertion::{Asked, Verdict};
use crate::error::Trouble;

pub(crate) fn check(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    Trouble::unsupported(format!("assertions of the type {:?}", asked.kind))
}
