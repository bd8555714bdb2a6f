//! What arguments of a tool are for, as its annotation says.

use instar_policy::{Authority, Kind};

/// The arguments that it takes as text and that say neither who nor where nor which.
#[must_use]
pub fn texts(authority: &Authority, tool: &str) -> Vec<String> {
    let slots = authority.annotations.get(tool).map(|one| &one.slots);
    let slots = slots.into_iter().flatten();
    // A part of an argument is none by itself.
    let whole = slots.filter(|(name, _)| !name.contains('.'));
    let texts = whole.filter(|(_, slot)| slot.kind == Kind::Text && !slot.role.is_target());
    texts.map(|(name, _)| name.clone()).collect()
}

/// Whether an argument says who, where, which or how much.
#[must_use]
pub fn is_target(authority: &Authority, tool: &str, argument: &str) -> bool {
    let known = authority.annotations.get(tool);
    known.is_none_or(|known| known.slot(argument).role.is_target())
}

/// The argument that names a file.
#[must_use]
pub fn path(authority: &Authority, tool: &str) -> Option<String> {
    let mut slots = authority.annotations.get(tool)?.slots.iter();
    let path = slots.find(|(name, slot)| slot.kind == Kind::Path && !name.contains('.'));
    path.map(|(name, _)| name.clone())
}
