//! The one socket of a job: JSON texts, each with its length in front. Both sides bound what they take.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What is sent to a job at a time.
const SENT_BYTES_MAX: usize = 256 << 20;
/// The shortest time that a socket can be told to wait.
const SHORTEST: Duration = Duration::from_millis(1);

/// What goes wrong on a line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("the other side is gone")]
    Gone,
    #[error("the time was up")]
    Late,
    #[error("a message of {0} bytes, more than is taken")]
    Long(u64),
    #[error("it is of another form: {0}")]
    Form(String),
    #[error("the line fails: {0}")]
    Broken(std::io::Error),
}

/// One end.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
    message_bytes: u64,
    /// What may still be heard.
    left_bytes: u64,
}

impl Line {
    pub(crate) fn new(stream: UnixStream, message_bytes: u64, told_bytes: u64) -> Self {
        Self {
            stream,
            message_bytes,
            left_bytes: told_bytes,
        }
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub fn send(&mut self, words: &impl Serialize, deadline: Instant) -> Result<(), LineError> {
        let text = serde_json::to_vec(words).map_err(|why| LineError::Form(why.to_string()))?;
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        if text.len() > SENT_BYTES_MAX {
            return Err(LineError::Long(length.into()));
        }
        self.write(&length.to_be_bytes(), deadline)?;
        self.write(&text, deadline)
    }

    pub fn receive<T: DeserializeOwned>(&mut self, deadline: Instant) -> Result<T, LineError> {
        let mut length = [0; 4];
        self.fill(&mut length, deadline)?;
        let length = u64::from(u32::from_be_bytes(length));
        if length > self.message_bytes.min(self.left_bytes) {
            return Err(LineError::Long(length));
        }
        self.left_bytes -= length;
        let mut text = Vec::new();
        let mut piece = [0; 64 * 1024];
        // Memory is taken for what came, not for what was announced.
        while (text.len() as u64) < length {
            let left = usize::try_from(length - text.len() as u64).unwrap_or(piece.len());
            let part = left.min(piece.len());
            self.fill(&mut piece[..part], deadline)?;
            text.extend_from_slice(&piece[..part]);
        }
        serde_json::from_slice(&text).map_err(|why| LineError::Form(why.to_string()))
    }

    /// Piece by piece against one deadline: dripping does not lengthen it.
    fn fill(&mut self, mut buffer: &mut [u8], deadline: Instant) -> Result<(), LineError> {
        while !buffer.is_empty() {
            let left = left(deadline)?;
            self.stream
                .set_read_timeout(Some(left))
                .map_err(LineError::Broken)?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(LineError::Gone),
                Ok(count) => buffer = &mut buffer[count..],
                Err(why) => failed(why)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<(), LineError> {
        while !bytes.is_empty() {
            let left = left(deadline)?;
            self.stream
                .set_write_timeout(Some(left))
                .map_err(LineError::Broken)?;
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(why) => failed(why)?,
            }
        }
        Ok(())
    }
}

fn left(deadline: Instant) -> Result<Duration, LineError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(LineError::Late);
    }
    Ok(left.max(SHORTEST))
}

/// What is not the end of the line is tried again until the deadline says so.
fn failed(why: std::io::Error) -> Result<(), LineError> {
    match why.kind() {
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Err(LineError::Gone),
        _ => Err(LineError::Broken(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(message_bytes: u64, told_bytes: u64) -> (Line, Line) {
        let (one, other) = UnixStream::pair().unwrap();
        (
            Line::new(one, message_bytes, told_bytes),
            Line::new(other, message_bytes, told_bytes),
        )
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn what_is_said_arrives_and_what_is_too_long_or_of_another_form_does_not() {
        let (mut one, mut other) = pair(10, 20);
        one.send(&"words", soon()).unwrap();
        assert_eq!(other.receive::<String>(soon()).unwrap(), "words");
        one.send(&"words", soon()).unwrap();
        assert!(matches!(
            other.receive::<u32>(soon()),
            Err(LineError::Form(_))
        ));
        // Six of twenty bytes are left.
        one.send(&"wordss", soon()).unwrap();
        assert!(matches!(
            other.receive::<String>(soon()),
            Err(LineError::Long(8))
        ));
        let (mut one, mut other) = pair(10, 100);
        one.send(&"nine letters", soon()).unwrap();
        assert!(matches!(
            other.receive::<String>(soon()),
            Err(LineError::Long(14))
        ));
        drop(one);
    }

    #[test]
    fn nobody_waits_past_the_deadline_or_for_who_is_gone() {
        let (mut one, mut other) = pair(10, 20);
        let past = Instant::now();
        assert!(matches!(
            other.receive::<String>(past),
            Err(LineError::Late)
        ));
        let near = Instant::now() + Duration::from_millis(5);
        assert!(matches!(
            other.receive::<String>(near),
            Err(LineError::Late)
        ));
        // The half of a message, and then the end.
        one.write(&[0, 0, 0, 9, b'"'], soon()).unwrap();
        drop(one);
        assert!(matches!(
            other.receive::<String>(soon()),
            Err(LineError::Gone)
        ));
    }
}
