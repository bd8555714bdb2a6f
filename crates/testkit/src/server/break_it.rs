//! Faults, applied to the frames of an answer whatever their format.

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body;
use instar_demo::{Fault, Finish};
use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::Frame;

/// An endless stream ends after so many bytes all the same.
const ENDLESS_BYTES_MAX: usize = 1 << 30;
/// An endless stream is sent in chunks of about this size.
const ENDLESS_CHUNK_BYTES: usize = 16 << 10;

/// What happens next on the connection.
#[derive(Debug)]
enum Move {
    Wait(u64),
    Send(Bytes),
    Repeat { chunk: Bytes, left: usize },
    Cut,
}

/// The body that plays the frames with the fault.
pub(super) fn body(
    frames: Vec<Frame>,
    fault: Option<&Fault>,
    error: impl FnOnce() -> Bytes,
) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let moves = match fault {
        Some(fault) => broken(frames, fault, error),
        None => frames.into_iter().flat_map(moves).collect(),
    };
    let stream = stream::unfold(join(moves), |mut moves: VecDeque<Move>| async move {
        loop {
            match moves.pop_front()? {
                Move::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Move::Send(bytes) => return Some((Ok(body::Frame::data(bytes)), moves)),
                Move::Repeat { chunk, left } => {
                    if let Some(left) = left.checked_sub(chunk.len()) {
                        let bytes = chunk.clone();
                        moves.push_front(Move::Repeat { chunk, left });
                        return Some((Ok(body::Frame::data(bytes)), moves));
                    }
                }
                Move::Cut => {
                    // Lets what was sent so far leave before the connection breaks.
                    tokio::task::yield_now().await;
                    let cut = std::io::Error::other("cut by the script");
                    return Some((Err(cut), VecDeque::new()));
                }
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

fn moves(frame: Frame) -> impl Iterator<Item = Move> {
    let wait = (frame.pause > 0).then_some(Move::Wait(frame.pause));
    wait.into_iter().chain([Move::Send(frame.bytes)])
}

/// Joins what is sent without a pause between, so that it leaves in one write.
fn join(moves: Vec<Move>) -> VecDeque<Move> {
    let mut joined = VecDeque::new();
    let mut gathered = BytesMut::new();
    for next in moves {
        match next {
            Move::Send(bytes) => gathered.extend_from_slice(&bytes),
            other => {
                if !gathered.is_empty() {
                    joined.push_back(Move::Send(gathered.split().freeze()));
                }
                joined.push_back(other);
            }
        }
    }
    if !gathered.is_empty() {
        joined.push_back(Move::Send(gathered.freeze()));
    }
    joined
}

fn broken(mut frames: Vec<Frame>, fault: &Fault, error: impl FnOnce() -> Bytes) -> Vec<Move> {
    match fault.finish {
        Finish::Once => {}
        Finish::Twice => {
            let again: Vec<Frame> = frames.iter().filter(|frame| frame.last).cloned().collect();
            frames.extend(again);
        }
        Finish::Missing => frames.retain(|frame| !frame.last),
    }
    if let Some(bytes) = fault.long_line_bytes {
        let mut line = b"data: ".to_vec();
        line.resize(bytes.max(6), b'x');
        line.extend_from_slice(b"\n\n");
        insert(&mut frames, 1, line.into());
    }
    if let Some(place) = fault.garbage_after_frames {
        let garbage = b"\xff\xfe{]not a frame\x00\xc3\x28\n\n";
        insert(&mut frames, place, Bytes::from_static(garbage));
    }
    if let Some(stall) = fault.stall {
        let place = stall.after_frames.min(frames.len());
        insert(&mut frames, place, Bytes::new());
        if let Some(frame) = frames.get_mut(place) {
            frame.pause = stall.ms;
        }
    }
    let mut ending = None;
    if let Some(place) = fault.error_after_frames {
        frames.truncate(place);
        insert(&mut frames, place, error());
    } else if let Some(place) = fault.cut_after_frames {
        frames.truncate(place);
        ending = Some(Move::Cut);
    } else if let Some(bytes) = fault.cut_after_bytes {
        cut_bytes(&mut frames, bytes);
        ending = Some(Move::Cut);
    } else if fault.endless {
        ending = endless(&mut frames);
    }
    frames.into_iter().flat_map(moves).chain(ending).collect()
}

fn insert(frames: &mut Vec<Frame>, place: usize, bytes: Bytes) {
    let frame = Frame {
        pause: 0,
        bytes,
        last: false,
    };
    frames.insert(place.min(frames.len()), frame);
}

fn cut_bytes(frames: &mut Vec<Frame>, bytes: usize) {
    let mut left = bytes;
    for frame in frames.iter_mut() {
        frame.bytes.truncate(left);
        left -= frame.bytes.len();
    }
    frames.retain(|frame| !frame.bytes.is_empty());
}

/// Ends the frames at the newest piece of the answer, and repeats that.
fn endless(frames: &mut Vec<Frame>) -> Option<Move> {
    frames.retain(|frame| !frame.last);
    let is_piece = |frame: &Frame| frame.bytes.windows(7).any(|w| w == b"\"delta\"");
    let place = frames
        .iter()
        .rposition(is_piece)
        .or_else(|| frames.len().checked_sub(1))?;
    frames.truncate(place + 1);
    let piece = frames[place].bytes.clone();
    if piece.is_empty() {
        return None;
    }
    let chunk = piece.repeat((ENDLESS_CHUNK_BYTES / piece.len()).max(1));
    Some(Move::Repeat {
        chunk: chunk.into(),
        left: ENDLESS_BYTES_MAX,
    })
}
