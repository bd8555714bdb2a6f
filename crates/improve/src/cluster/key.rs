//! Hashes over a scanned message: equal for messages that differ in their values only.

use super::scan::{Kind, Piece};

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const VALUE: u64 = 1;
const MARK: u64 = 2;
const WORD: u64 = 3;

/// The two hashes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Keys {
    /// Over words, marks and the places of values.
    pub(super) form: u64,
    /// Over marks, the places of values and the places of words: what messages must share before their
    /// words are compared.
    pub(super) skeleton: u64,
}

/// What a piece counts as, where that is not what it was scanned as.
pub(super) trait View: Fn(usize, Kind) -> Kind {}
impl<F: Fn(usize, Kind) -> Kind> View for F {}

pub(super) fn as_scanned(_: usize, kind: Kind) -> Kind {
    kind
}

/// Values in a row, with only list marks between them, count as one: lists have any length.
pub(super) fn keys(line: &[u8], pieces: &[Piece], view: impl View) -> Keys {
    let mut hash = Keys {
        form: SEED,
        skeleton: SEED,
    };
    let mut in_values = false;
    // Marks after a value, which count unless another value follows.
    let mut held = 0..0;
    for (index, piece) in pieces.iter().enumerate() {
        let kind = view(index, piece.kind);
        if kind == Kind::Mark && in_values && is_list_mark(piece.text(line)) {
            held = if held.is_empty() {
                index..index + 1
            } else {
                held.start..index + 1
            };
            continue;
        }
        if matches!(kind, Kind::Value | Kind::Keyed) {
            if !in_values {
                hash.both(VALUE);
            }
            held = 0..0;
            in_values = true;
            continue;
        }
        for mark in &pieces[std::mem::take(&mut held)] {
            hash.mark(mark.text(line));
        }
        in_values = false;
        if kind == Kind::Mark {
            hash.mark(piece.text(line));
        } else {
            hash.form = fold(hash.form, piece.text(line));
            hash.skeleton = mix(hash.skeleton, WORD);
        }
    }
    for mark in &pieces[held] {
        hash.mark(mark.text(line));
    }
    hash
}

impl Keys {
    fn both(&mut self, word: u64) {
        self.form = mix(self.form, word);
        self.skeleton = mix(self.skeleton, word);
    }

    /// Runs of one mark count as that mark.
    fn mark(&mut self, text: &[u8]) {
        let first = text.first().copied().unwrap_or_default();
        self.both(u64::from(first) << 8 | MARK);
    }
}

fn is_list_mark(text: &[u8]) -> bool {
    matches!(text, [b',' | b':' | b'|' | b'#' | b'-' | b'/' | b';', ..])
}

/// A hash of bytes; not for anything that an enemy must not foresee.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    fold(SEED, bytes)
}

fn fold(hash: u64, bytes: &[u8]) -> u64 {
    let mut hash = hash;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    let rest = chunks.remainder();
    word[..rest.len()].copy_from_slice(rest);
    mix(
        hash,
        u64::from_le_bytes(word) ^ ((bytes.len() as u64) << 56),
    )
}

fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// A hasher for keys that are hashes already.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Hashed(u64);

impl std::hash::BuildHasher for Hashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl std::hash::Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = fold(self.0, bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
