//! Hearing a program: each stream on a thread of its own, kept up to a bound.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// Which stream a piece of output came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Out,
    Error,
}

/// Is told of output as it comes, from two threads. Must not block for long: the program waits.
pub type Sink = Arc<dyn Fn(Stream, &[u8]) + Send + Sync>;

/// Beyond so many times what is kept, a program is taken for one that only floods.
const FLOOD: u64 = 16;

/// What was heard of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    pub bytes: Vec<u8>,
    /// All that was written, kept or not.
    pub total: u64,
}

impl Captured {
    #[must_use]
    pub fn cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Captured>>);

impl Heard {
    pub(super) fn so_far(&self) -> Captured {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes a piece; false when it has become a flood. Without a bound it is counted alone.
    fn note(&self, piece: &[u8], bound: Option<u64>) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.total = heard.total.saturating_add(piece.len() as u64);
        let Some(bound) = bound else { return true };
        let room = bound.saturating_sub(heard.bytes.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(piece.len());
        heard
            .bytes
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
        heard.total <= bound.saturating_mul(FLOOD)
    }
}

/// Reads to the end; `flooded` is called once when there is no end to it.
pub(super) fn hear(
    mut from: impl Read,
    heard: &Heard,
    bound: Option<u64>,
    tell: impl Fn(&[u8]),
    flooded: impl FnOnce(),
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let piece = buffer.get(..count).unwrap_or_default();
                tell(piece);
                if !heard.note(piece, bound) {
                    return flooded();
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
