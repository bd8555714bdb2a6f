//! A report in the forms that others read.

mod junit;
mod markdown;
mod promptfoo;

pub use junit::junit;
pub use markdown::markdown;
pub use promptfoo::promptfoo;

use crate::report::{ArmReport, Report, Row};

/// True if the repetitions of this case did not agree.
fn is_flaky(report: &Report, arm: &ArmReport, row: &Row) -> bool {
    report
        .flaky
        .iter()
        .any(|one| one.arm == arm.name && (one.case, one.column) == row.key())
}
