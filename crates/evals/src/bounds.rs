//! How much of anything is taken from outside. A suite is a file that somebody else may have written.

/// The most bytes of one file that a suite names, the suite itself included.
pub const FILE_BYTES_MAX: usize = 8 << 20;
/// The most files that one suite may read.
pub const FILES_MAX: usize = 1_000;
/// The most cases that a suite may come to, with every list of values and every repetition taken apart.
pub const CASES_MAX: usize = 100_000;
/// The most prompts, and the most providers.
pub const PROMPTS_MAX: usize = 100;
/// The most checks of one case.
pub const CHECKS_MAX: usize = 1_000;
/// The most times that each case is run.
pub const REPEAT_MAX: u32 = 100;
/// The most bytes that a template may write.
pub const RENDERED_BYTES_MAX: usize = 4 << 20;
/// The most steps that a template may take: it may loop over loops.
pub const TEMPLATE_STEPS_MAX: usize = 1_000_000;
/// Nothing is nested deeper than this: values, templates, expressions.
pub const DEPTH_MAX: usize = 64;
/// The most bytes of an answer that are looked at.
pub const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// The most cells of the table that the distance of two texts is worked out in.
pub const DISTANCE_CELLS_MAX: usize = 100_000_000;
/// The most bytes that the automaton of one pattern may take.
pub const PATTERN_BYTES_MAX: usize = 2 << 20;
