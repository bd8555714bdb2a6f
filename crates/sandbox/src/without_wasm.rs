//! What stands in the place of the engine in a build that has none.

use crate::spec::Component;
use crate::stage::Order;
use std::io::Write as _;
use std::path::Path;

pub(crate) const ENGINE_BYTES: u64 = 0;

/// Runs nothing.
pub(crate) fn run(_path: &Path, _order: &Order, _bounds: Component) -> u8 {
    let text = b"this build of Instar has no engine for WebAssembly components\n";
    // Nobody may read it.
    let _told = std::io::stderr().write_all(text);
    126
}
