//! Hearing a program: all its streams on one thread, kept up to a bound.

use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// Which stream a piece of output came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Out,
    Error,
}

/// Is told of output as it comes, from one thread. Must not block for long: the program waits.
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

/// A stream that is heard.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) stream: Stream,
    pub(super) from: File,
    pub(super) heard: Heard,
}

impl Ear {
    /// Reads a piece; false at the end, or in a flood.
    fn hear(
        &mut self,
        buffer: &mut [u8],
        bound: Option<u64>,
        tell: &impl Fn(Stream, &[u8]),
        flooded: &impl Fn(),
    ) -> bool {
        match self.from.read(buffer) {
            Ok(0) => false,
            Ok(count) => {
                let piece = buffer.get(..count).unwrap_or_default();
                tell(self.stream, piece);
                let goes_on = self.heard.note(piece, bound);
                if !goes_on {
                    flooded();
                }
                goes_on
            }
            Err(error) => error.kind() == std::io::ErrorKind::Interrupted,
        }
    }
}

/// Reads all to their ends; `flooded` is called when there is no end to one.
pub(super) fn hear(
    mut ears: Vec<Ear>,
    bound: Option<u64>,
    tell: impl Fn(Stream, &[u8]),
    flooded: impl Fn(),
) {
    let mut buffer = vec![0; 16 * 1024];
    while !ears.is_empty() {
        // With one left, its reading is the wait.
        let speak: Vec<bool> = match ears.as_slice() {
            [_] => vec![true],
            all => speaking(all),
        };
        let mut speak = speak.into_iter();
        ears.retain_mut(|ear| {
            !speak.next().unwrap_or_default() || ear.hear(&mut buffer, bound, &tell, &flooded)
        });
    }
}

/// Waits until one has something to say, or has ended.
fn speaking(ears: &[Ear]) -> Vec<bool> {
    let poll_fd = |ear| PollFd::new(ear, PollFlags::IN);
    let mut fds: Vec<PollFd<'_>> = ears.iter().map(|ear| poll_fd(&ear.from)).collect();
    if poll(&mut fds, None).is_err() {
        return vec![false; ears.len()];
    }
    fds.iter().map(|fd| !fd.revents().is_empty()).collect()
}
